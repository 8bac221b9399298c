"""Versions that wait to be judged, as one small file each: what was accepted is still there after `kill -9`.

    todo/000000003.json      to be judged
    waiting/                 the gates opened; a person has to approve
    done/                    judged and settled: another delivery of it changes nothing
    failed/                  could not be judged; only somebody who asks for it starts it again

A file moves by one rename; its number orders it. The worker holds the folder's lock, so there is one.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from filelock import FileLock, Timeout

from gatehouse.errors import Busy, StorageError


class State(StrEnum):
    """Where a version stands; also the name of its folder."""

    TODO = "todo"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A version in the queue. `id` is of the delivery or request that put it there; `note` says what came of it."""

    version: str
    state: State
    id: str
    note: str = ""


class Queue:
    """The queue in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Held by whoever works it off; Busy for everybody else."""
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / ".lock", timeout=0)
        try:
            with lock:
                yield
        except Timeout:
            raise Busy(
                f"Another process listens already: it holds {self.folder / '.lock'}.",
                why="Two listeners would judge a version twice.",
                remedy="End the other one, then run the same command again.",
            ) from None

    def put(self, version: str, delivery: str) -> bool:
        """Accept a version; False if it is known already, in whatever state."""
        if self.find(version) is not None:
            return False
        self._write(Entry(version=version, state=State.TODO, id=delivery))
        return True

    def ask(self, version: str) -> str:
        """Have a version judged, whatever became of it before; returns the id of this request."""
        asked = uuid.uuid4().hex
        self._write(Entry(version=version, state=State.TODO, id=asked))
        for state in (State.WAITING, State.DONE, State.FAILED):
            self._path(state, version).unlink(missing_ok=True)
        return asked

    def find(self, version: str) -> Entry | None:
        """What is known of a version; of two files, which a crash can leave, the one that has to be worked off."""
        return next((e for state in State if (e := self._read(self._path(state, version))) is not None), None)

    def entries(self, state: State) -> tuple[Entry, ...]:
        """Everything in one state, in the order of versions."""
        paths = sorted((self.folder / state.value).glob("*.json"))
        return tuple(entry for path in paths if (entry := self._read(path)) is not None)

    def settle(self, entry: Entry, state: State, note: str = "") -> None:
        """It has been dealt with. Whoever asked for it again in the meantime is not forgotten."""
        now = self._read(self._path(entry.state, entry.version))
        if now is None or now.id != entry.id:
            return
        self._write(Entry(version=entry.version, state=state, id=entry.id, note=note))
        if state is not entry.state:
            self._path(entry.state, entry.version).unlink(missing_ok=True)

    def _path(self, state: State, version: str) -> Path:
        return self.folder / state.value / f"{int(version):09d}.json"

    def _write(self, entry: Entry) -> None:
        path = self._path(entry.state, entry.version)
        partial = path.with_name(f".{path.stem}.{uuid.uuid4().hex}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("w", encoding="utf-8") as file:
                file.write(json.dumps({"id": entry.id, "note": entry.note}))
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except OSError as error:
            raise StorageError(
                f"{path} cannot be written: {error.strerror or error}.",
                why="A version that was not written down would never be judged.",
                remedy="Free space, or give yourself the right to write there.",
            ) from error

    @staticmethod
    def _read(path: Path) -> Entry | None:
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return Entry(
                version=str(int(path.stem)),
                state=State(path.parent.name),
                id=str(content["id"]),
                note=str(content["note"]),
            )
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(
                f"{path} cannot be read: {error.strerror or error}.",
                why="It says that a version has to be judged, or that it was.",
                remedy="Give yourself the right to read it, and see that its folder is one.",
            ) from error
        except (ValueError, KeyError, TypeError):
            raise StorageError(
                f"{path} is damaged.",
                why="It says that a version has to be judged, or that it was.",
                remedy=f"rm {path}    and have it judged again: gatehouse release --version {path.stem.lstrip('0')}",
            ) from None
