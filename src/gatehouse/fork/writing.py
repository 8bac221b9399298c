"""Puts a decided repository on the disk: everything is written beside it first, then takes its place file by file.

File by file because Copier runs this over a project of somebody's own: their files in the same folders stay.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from gatehouse.errors import StateError, StorageError
from gatehouse.fork.files import Files
from gatehouse.fork.names import EXAMPLE, Name
from gatehouse.fork.wording import renamed_path


@dataclass(frozen=True, kw_only=True, slots=True)
class Changes:
    """Paths, sorted. A moved file may have another text too."""

    moved: tuple[tuple[str, str], ...]
    changed: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]

    def lines(self) -> list[str]:
        """One line a file, for a dry run."""
        return [
            *(f"move    {old} -> {new}" for old, new in self.moved),
            *(f"change  {path}" for path in self.changed),
            *(f"add     {path}" for path in self.added),
            *(f"remove  {path}" for path in self.removed),
        ]

    def __str__(self) -> str:
        return (
            f"{len(self.moved)} files moved, {len(self.changed)} changed, "
            f"{len(self.added)} added, {len(self.removed)} removed"
        )


def changes(before: Files, after: Files, name: Name) -> Changes:
    """What differs. A file that is gone and stands under the new name has moved."""
    removed, added = before.keys() - after.keys(), after.keys() - before.keys()
    moved = {old: new for old in removed if (new := renamed_path(old, EXAMPLE, name)) in added}
    return Changes(
        moved=tuple(sorted(moved.items())),
        changed=tuple(sorted(path for path in before.keys() & after.keys() if before[path] != after[path])),
        added=tuple(sorted(added - set(moved.values()))),
        removed=tuple(sorted(removed - moved.keys())),
    )


def write(root: Path, before: Files, after: Files, *, over: bool = False) -> None:
    """Make `root`, which holds `before`, hold `after`: all of it, or after an error none of it.

    Args:
        over: Files in the way, that `before` does not know, are replaced instead of refused.
    """
    put = {path: file for path, file in after.items() if before.get(path) != file}
    if not over:
        _refuse_obstacles(root, [path for path in put if path not in before])
    try:
        with tempfile.TemporaryDirectory(prefix=".rename-", dir=root, ignore_cleanup_errors=True) as staging:
            _stage(Path(staging) / "new", put)
            _exchange(root, Path(staging), sorted(put), sorted(before.keys() - after.keys()))
    except OSError as error:
        raise StorageError(
            f"The files could not be written: {error}.",
            why="What had been written was taken back; nothing is changed.",
            remedy="Free disk space or mend the rights of the folder, then run the command again.",
        ) from error
    _remove_empty_folders(root, {path for path in before if path not in after})


def _refuse_obstacles(root: Path, paths: list[str]) -> None:
    in_the_way = [path for path in sorted(paths) if os.path.lexists(root / path)]
    if in_the_way:
        raise StateError(
            f"{in_the_way[0]} is in the way{f', and {len(in_the_way) - 1} more' if in_the_way[1:] else ''}.",
            why="git does not know it, so it could not be brought back.",
            remedy=f"Move it away, then run the command again: mv {in_the_way[0]} ..",
        )


def _stage(folder: Path, put: Files) -> None:
    for path, file in put.items():
        staged = folder / path
        staged.parent.mkdir(parents=True, exist_ok=True)
        if file.link:
            staged.symlink_to(os.fsdecode(file.content))
        else:
            staged.write_bytes(file.stored)
            if file.executable:
                staged.chmod(0o755)


def _exchange(root: Path, staging: Path, put: list[str], removed: list[str]) -> None:
    """Take away what was there, put what shall be there; undone in reverse if anything stops it."""
    done: list[tuple[Path, Path]] = []

    def move(source: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        source.replace(target)
        done.append((source, target))

    try:
        for path in [*put, *removed]:
            if os.path.lexists(root / path):
                move(root / path, staging / "old" / path)
        for path in put:
            move(staging / "new" / path, root / path)
    except BaseException:
        for source, target in reversed(done):
            target.replace(source)
        _remove_empty_folders(root, set(put))
        raise


def _remove_empty_folders(root: Path, paths: set[str]) -> None:
    """Folders that held these files and hold nothing any more but compiled code."""
    folders = {
        parent for path in paths for parent in (root / path).parents if parent != root and root in parent.parents
    }
    for folder in sorted(folders, key=lambda folder: len(folder.parts), reverse=True):
        if folder.is_dir() and all(entry.name == "__pycache__" for entry in folder.iterdir()):
            shutil.rmtree(folder, ignore_errors=True)
