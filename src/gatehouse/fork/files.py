"""A repository in memory: its files as they are, read before and written after everything is decided."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from gatehouse.errors import PlatformError, StateError, StorageError
from gatehouse.git import NO_ANSWER, git


@dataclass(frozen=True, slots=True)
class File:
    """What a path holds. Of a symbolic link, `content` is where it leads.

    A text whose lines all end the Windows way has them the other way here, and says so: `crlf`.
    """

    content: bytes
    executable: bool = False
    link: bool = False
    crlf: bool = False

    @classmethod
    def of(cls, stored: bytes, *, executable: bool = False) -> File:
        """As it lies on the disk."""
        ends = stored.count(b"\r\n")
        crlf = b"\0" not in stored and 0 < ends == stored.count(b"\n") == stored.count(b"\r")
        return cls(stored.replace(b"\r\n", b"\n") if crlf else stored, executable, crlf=crlf)

    @property
    def stored(self) -> bytes:
        """As it shall lie on the disk."""
        return self.content.replace(b"\n", b"\r\n") if self.crlf else self.content

    @property
    def text(self) -> str | None:
        """None if it is not text, or a link."""
        if self.link or b"\0" in self.content:
            return None
        try:
            return self.content.decode("utf-8")
        except UnicodeDecodeError:
            return None

    def written(self, text: str) -> File:
        """The same file with another text."""
        return replace(self, content=text.encode("utf-8"))


Files = Mapping[str, File]
"""By path from the root, with forward slashes."""


def top_of_checkout(folder: Path) -> Path:
    """The root of the git checkout around a folder."""
    answer = _git(folder, "rev-parse", "--show-toplevel")
    if answer is None:
        raise StateError(
            f"{folder} is not inside a git checkout.",
            why="Many files change at once, and git is the way to look at that and the way back.",
            remedy='git init && git add --all && git commit -m "Begin from the template"',
        )
    return Path(answer.strip())


def uncommitted(root: Path) -> tuple[str, ...]:
    """What `git status --short` lists, new files included, ignored ones not."""
    return tuple((_git(root, "status", "--porcelain", "--untracked-files=all") or "").splitlines())


def tracked(root: Path) -> tuple[str, ...]:
    """The paths that git knows, of files that are there."""
    listed = _git(root, "ls-files", "-z")
    if listed is None:
        raise StateError(f"{root} is not a git checkout.", remedy="git clone the template, or let Copier do it.")
    return tuple(name for name in listed.split("\0") if name and os.path.lexists(root / name))


def read(root: Path, names: tuple[str, ...]) -> dict[str, File]:
    """These files, links not followed. A folder among them (a submodule) is left out."""
    found = {}
    for name in names:
        path = root / name
        try:
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                found[name] = File(os.fsencode(path.readlink()), link=True)
            elif stat.S_ISREG(mode):
                found[name] = File.of(path.read_bytes(), executable=bool(mode & stat.S_IXUSR))
        except OSError as error:
            raise StorageError(
                f"{name} cannot be read: {error}.", remedy="Nothing was changed. Mend it, try again."
            ) from (error)
    return found


def _git(folder: Path, *arguments: str) -> str | None:
    """None where git says no."""
    done = git(folder, "-c", "core.quotePath=false", *arguments, errors="surrogateescape")
    if done.returncode == NO_ANSWER:
        raise PlatformError(
            f"git does not answer: {done.stderr}.", remedy="Is it installed, and on the path? Then try again."
        )
    return done.stdout if done.returncode == 0 else None
