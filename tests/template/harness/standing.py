"""Where a lakehouse stands, read from its files: what a run left behind, not what it said."""

from __future__ import annotations

import io
import json
import sqlite3
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.template.harness.zipped import unpack


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """Of one environment."""

    aliases: dict[str, str]
    """Version by alias."""
    versions: dict[str, dict[str, str]]
    """Tags by version."""
    acts: tuple[str, ...]
    """Of the audit log, oldest first: what was done."""
    actors: tuple[str, ...]
    """And by whom."""
    live: str | None
    """The commit that was deployed last."""
    clock: str
    predictions: int = 0
    """Rows of the log of predictions."""

    @property
    def champion(self) -> str | None:
        """The version that is live."""
        return self.aliases.get("champion")


NOTHING = Standing(aliases={}, versions={}, acts=(), actors=(), live=None, clock="")


def standing(pointer: str, artefact: Callable[[str], bytes], folder: Path, schema: str) -> Standing:
    """What the pointer names. `artefact` fetches a zip by its name; `schema` is `prod.temperature`."""
    if not pointer:
        return NOTHING
    state = json.loads(pointer)
    if not folder.exists():
        unpack(artefact(state["artefact"]), folder)
        (packed,) = folder.rglob("*.tar.gz")
        with tarfile.open(fileobj=io.BytesIO(packed.read_bytes())) as archive:
            archive.extractall(folder / "lakehouse", filter="data")
    (database,) = (folder / "lakehouse").rglob("mlflow.db")
    aliases, versions = _registry(database)
    entries = _audit(database.parent / "tables" / Path(*schema.split(".")) / "audit_log")
    deployed = [entry["details"]["commit"] for entry in entries if entry["action"].startswith("code_")]
    return Standing(
        aliases=aliases,
        versions=versions,
        acts=tuple(entry["action"] for entry in entries),
        actors=tuple(entry["actor"] for entry in entries),
        live=deployed[-1] if deployed else None,
        clock=state["clock"],
        predictions=_rows(database.parent / "tables" / Path(*schema.split(".")) / "predictions"),
    )


def _registry(database: Path) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    with sqlite3.connect(database) as connection:
        aliases = connection.execute("SELECT alias, version FROM registered_model_aliases").fetchall()
        numbers = connection.execute("SELECT version FROM model_versions").fetchall()
        tags = connection.execute("SELECT version, key, value FROM model_version_tags").fetchall()
    versions: dict[str, dict[str, str]] = {str(number): {} for (number,) in numbers}
    for number, key, value in tags:
        versions[str(number)][key] = value
    return {alias: str(number) for alias, number in aliases}, versions


def _rows(table: Path) -> int:
    from deltalake import DeltaTable

    return int(DeltaTable(str(table)).to_pyarrow_table(columns=["model_version"]).num_rows) if table.exists() else 0


def _audit(table: Path) -> list[dict[str, Any]]:
    from deltalake import DeltaTable

    rows = DeltaTable(str(table)).to_pyarrow_table().sort_by("seq").to_pylist()
    return [row | {"details": json.loads(row["details"])} for row in rows]
