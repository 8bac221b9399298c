"""conf/setup-record.json: what setup made, so that it can be continued by the next administrator, and undone.

An entry is written before a thing is made and completed afterwards: whoever is stopped in between leaves a plan that
continues. It holds identifiers, and no secret.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gatehouse.errors import Busy, StateError, StorageError
from gatehouse.setup.resources import Kind, Made

_VERSION = 1


class Record:
    """The entries of one project, in the order in which things were made."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: dict[str, Made] = _read(path)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """For one process: Busy for everybody else."""
        from filelock import FileLock, Timeout

        try:
            with FileLock(self.path.with_suffix(".lock"), timeout=0):
                self.entries = _read(self.path)
                yield
        except Timeout:
            raise Busy(
                "Another gatehouse setup is at work in this checkout.",
                why="Two of them would make things twice.",
                remedy="Wait until it has ended, then run the same command again.",
            ) from None

    def begin(self, made: Made) -> None:
        """Before it is made: what it will be."""
        self.entries[made.key] = dataclasses.replace(made, begun=True)
        self._write()

    def complete(self, made: Made) -> None:
        """After it was made or changed."""
        self.entries[made.key] = made
        self._write()

    def forget(self, key: str) -> None:
        """After it was removed."""
        self.entries.pop(key, None)
        self._write()

    def _write(self) -> None:
        content = {"version": _VERSION, "made": [_plain(made) for made in self.entries.values()]}
        draft = self.path.with_suffix(".draft")
        try:
            draft.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
            os.replace(draft, self.path)  # noqa: PTH105 - whole or not at all
        except OSError as error:
            raise StorageError(
                f"{self.path} cannot be written: {error.strerror or error}.",
                why="Without it nobody could tell what setup made, and undo it.",
                remedy="Give yourself the right to write it, then run the same command again.",
            ) from error


def _plain(made: Made) -> dict[str, Any]:
    return {**dataclasses.asdict(made), "added": {name: list(members) for name, members in made.added.items()}}


def _read(path: Path) -> dict[str, Made]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        entries = [_made(entry) for entry in content["made"]] if content["version"] == _VERSION else None
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StateError(
            f"{path} cannot be read: {' '.join(str(error).split())}.",
            why="It says what setup made: guessing would make things twice, or remove what is somebody else's.",
            remedy=f"git checkout -- {path}",
        ) from error
    if entries is None:
        raise StateError(
            f"{path} was written by another version of Gatehouse.",
            why="What it says may mean something else.",
            remedy="Use the version that wrote it.",
        )
    return {made.key: made for made in entries}


def _made(entry: Mapping[str, Any]) -> Made:
    return Made(
        kind=Kind(entry["kind"]),
        name=str(entry["name"]),
        at={str(k): str(v) for k, v in entry["at"].items()},
        id=str(entry["id"]),
        whole=bool(entry["whole"]),
        added={str(k): tuple(map(str, v)) for k, v in entry["added"].items()},
        begun=bool(entry["begun"]),
    )
