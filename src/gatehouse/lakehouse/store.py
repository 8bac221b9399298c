"""What an environment keeps beside its tables: small texts, and who may work on something right now.

    state/CATALOG.SCHEMA.json         where a replaying clock stands
    state/CATALOG.SCHEMA.alerts.json  which concerns were told already
    audit/CATALOG.SCHEMA.json         the end of the audit log
    rehearsals/CATALOG.SCHEMA.json    which schemas may be thrown away
    proposals/options.yml             the best options that a search found
    report/..                         pages

On a laptop they are files of the lakehouse folder, in a workspace files of a volume (`workspace.VolumeStore`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from gatehouse.errors import StorageError
from gatehouse.lakehouse.locks import writer_lock


class Store(Protocol):
    """Small texts by relative path, each written whole or not at all. StorageError where that is refused."""

    def read(self, name: str) -> str | None:
        """The text; None if there is none of that name."""

    def write(self, name: str, text: str) -> None:
        """Put it there, over what was there."""

    def delete(self, name: str) -> None:
        """Take it away; nothing happens if it is not there."""

    def names(self, folder: str) -> tuple[str, ...]:
        """Names of the texts right in that folder, sorted; none if there is no such folder."""

    def place(self, name: str) -> str:
        """Where a person finds the text."""

    def alone(self, subject: str, *, timeout: float) -> AbstractContextManager[None]:
        """Hold `subject` against the other processes of this machine; Busy after `timeout` seconds of waiting."""


class FolderStore:
    """The store in a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, name: str) -> str | None:
        """See Store."""
        try:
            return (self._root / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise StorageError(
                f"{name} of the lakehouse cannot be read: {error}",
                why="What it says stands nowhere else.",
                remedy=f"Restore {self._root / name} from a copy, then run the same command again.",
            ) from error

    def write(self, name: str, text: str) -> None:
        """See Store."""
        path = self._root / name
        partial = path.with_name(f"{path.name}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(text, encoding="utf-8")
            partial.replace(path)
        except OSError as error:
            raise StorageError(
                f"{name} of the lakehouse cannot be written: {error}",
                why="What it would have said stands nowhere else.",
                remedy=f"Free space, or make {self._root} writable, and run the same command again.",
            ) from error

    def delete(self, name: str) -> None:
        """See Store."""
        (self._root / name).unlink(missing_ok=True)

    def names(self, folder: str) -> tuple[str, ...]:
        """See Store."""
        found = self._root / folder
        return tuple(sorted(p.name for p in found.iterdir() if p.is_file())) if found.is_dir() else ()

    def place(self, name: str) -> str:
        """See Store."""
        return str(self._root / name)

    @contextmanager
    def alone(self, subject: str, *, timeout: float) -> Iterator[None]:
        """See Store."""
        with writer_lock(self._root / "locks", subject, timeout=timeout):
            yield
