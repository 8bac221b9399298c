"""Where a model version comes from, as it stands in the version's tags: code, data, configuration, windows, seed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from gatehouse.errors import StateError

PREFIX = "gatehouse_"


@dataclass(frozen=True, kw_only=True, slots=True)
class Lineage:
    """Everything a training run read, by content where it can be. Moments are UTC.

    `training_key` is the digest of all of it: the same key, the same model. `data_versions` are the Delta versions of
    the tables read; `proposer` is who started the run.
    """

    project: str
    environment: str
    proposer: str
    as_of: datetime
    train_start: datetime
    train_end: datetime
    hold_out_end: datetime
    code_commit: str
    code_digest: str
    configuration_digest: str
    data_versions: Mapping[str, int]
    options: Mapping[str, Any]
    seed: int
    training_key: str

    def to_tags(self) -> dict[str, str]:
        """Registry tags, one per field."""
        fields_by_name = {**asdict(self), "data_versions": _grouped(self.data_versions)}
        return {f"{PREFIX}{name}": _to_text(content) for name, content in fields_by_name.items()}

    @classmethod
    def from_tags(cls, tags: Mapping[str, str], version: str) -> Lineage:
        """Read back what `to_tags` wrote; StateError names the tags that are missing or damaged."""
        read: dict[str, Any] = {}
        wrong: list[str] = []
        for field in fields(cls):
            try:
                read[field.name] = _from_text(str(field.type), tags[f"{PREFIX}{field.name}"])
            except (KeyError, ValueError):
                wrong.append(f"{PREFIX}{field.name}")
        if wrong:
            raise StateError(
                f"Version {version} has no readable tag {', '.join(wrong)}.",
                why="Without its lineage nobody can say what it was trained on, nor keep the hold-out from it.",
                remedy="Train the version again with `gatehouse run training`; do not edit gatehouse_* tags.",
            )
        return cls(**{**read, "data_versions": _flat(read["data_versions"])})


def _grouped(versions: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """By catalog and schema, which shortens them: Unity Catalog's tags hold a thousand characters."""
    grouped: dict[str, dict[str, int]] = {}
    for name, version in versions.items():
        schema, _, table = name.rpartition(".")
        grouped.setdefault(schema, {})[table] = version
    return grouped


def _flat(grouped: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    return {f"{schema}.{table}": v for schema, tables in grouped.items() for table, v in tables.items()}


def _to_text(content: object) -> str:
    if isinstance(content, datetime):
        return content.isoformat()
    return content if isinstance(content, str) else json.dumps(content, sort_keys=True)


def _from_text(kind: str, text: str) -> object:
    if kind == "datetime":
        return datetime.fromisoformat(text)
    return text if kind == "str" else json.loads(text)
