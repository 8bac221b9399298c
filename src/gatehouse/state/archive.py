"""An environment's part of a lakehouse as one tar file, and back into an empty folder: all of it, or nothing.

Packing holds every lock of the environment, so that no run is in progress, and copies MLflow's database through SQLite.
Unpacking trusts nothing: the digest is checked first, only plain files below the known names are taken, and the folder
appears under its name when it is complete.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
import sqlite3
import tarfile
import tempfile
import uuid
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from filelock import FileLock, Timeout

from gatehouse.errors import Busy, StateError, StorageError

MANIFEST = "gatehouse-state.json"
_FORMAT = 1
_DATABASE = "mlflow.db"
_TOP = frozenset({"tables", "artifacts", "audit", "state", "report", _DATABASE, MANIFEST})
_PIPELINES = ("ingest", "features", "training", "inference", "monitoring", "release", "deploy")
_PASSING = ("_gatehouse_staging", ".part")
_CHUNK = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """Whose state it is. `places` are the `catalog.schema` it reads and writes, its own first."""

    environment: str
    places: tuple[str, ...]

    @property
    def manifest(self) -> str:
        """What an archive says of itself."""
        return json.dumps({"format": _FORMAT, "environment": self.environment, "place": self.places[0]})


@contextmanager
def at_rest(root: Path, scope: Scope) -> Iterator[None]:
    """Nobody works in the environment inside; Busy names what somebody does."""
    folder = root / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    names = {f"{place}{end}" for place in scope.places for end in ("", *(f".{p}" for p in _PIPELINES))}
    names |= {path.stem for place in scope.places for path in folder.glob(f"{place}.*.lock")}
    with ExitStack() as held:
        for name in sorted(names):
            try:
                held.enter_context(FileLock(folder / f"{name}.lock", timeout=0))
            except Timeout:
                raise Busy(
                    f"Somebody is working in {scope.environment}: the lock {name} is held.",
                    why="What is packed in the middle of a run is neither before nor after it.",
                    remedy="Wait until that run has ended, then run the same command again.",
                ) from None
        yield


def pack(root: Path, scope: Scope, target: Path) -> str:
    """Write the archive and return its SHA-256; call it `at_rest`. The same state gives the same bytes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.part")
    try:
        with (
            tempfile.TemporaryDirectory() as aside,
            partial.open("wb") as file,
            gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=6, mtime=0) as zipped,
        ):
            _write(root, scope, Path(aside), zipped)
        digest = _digest(partial)
        partial.replace(target)
    except (OSError, sqlite3.Error) as error:
        raise StorageError(
            f"The state of {scope.environment} cannot be packed: {error}",
            why="The next run would go on from an older state.",
            remedy="Free space, or mend what it names, then run the same command again.",
        ) from error
    return digest


def unpack(archive: Path, root: Path, scope: Scope, *, sha256: str) -> None:
    """Make the lakehouse folder of an archive. Whatever is wrong, there is afterwards what was before.

    Raises:
        StateError: the folder is not empty, or it is another environment's archive, or not the one of this digest.
        StorageError: it is damaged, or holds what no archive of ours does.
    """
    refuse_full(root)
    if (found := _digest(archive)) != sha256:
        raise StateError(
            f"{archive.name} is not what the pointer names: its SHA-256 is {found[:12]}, not {sha256[:12]}.",
            why="Somebody else's tables, models and audit log would be taken for ours.",
            remedy="Look who made it. To begin anew, without the history: gatehouse state restore --anew",
        )
    root.parent.mkdir(parents=True, exist_ok=True)
    aside = root.parent / f".{root.name}.restoring-{uuid.uuid4().hex[:8]}"
    aside.mkdir()
    try:
        _extract(archive, aside)
        _refuse_other(aside, scope)
        (aside / MANIFEST).unlink()
        if root.is_dir():
            shutil.rmtree(root)  # it holds nothing but locks that nobody needs
        aside.rename(root)
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise StorageError(
            f"{archive.name} cannot be unpacked: {error}",
            why="Half a lakehouse is worse than none, so none was made.",
            remedy="Free space if that is what it says; else begin anew: gatehouse state restore --anew",
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def refuse_full(root: Path) -> None:
    """StateError if the folder holds anything but locks."""
    if not root.exists():
        return
    held = sorted(p.name for p in root.iterdir() if p.name not in ("locks", ".writable"))
    if held:
        raise StateError(
            f"The lakehouse {root} is not empty: there are {', '.join(held[:5])}.",
            why="What is there would be lost, or mixed with another history.",
            remedy="Move it away, or restore into another folder: gatehouse --lakehouse DIR state restore",
        )


def _write(root: Path, scope: Scope, aside: Path, zipped: gzip.GzipFile) -> None:
    with tarfile.open(fileobj=zipped, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        _add(tar, MANIFEST, io.BytesIO(scope.manifest.encode()), len(scope.manifest.encode()))
        if (root / _DATABASE).is_file():
            copy = _copied(root / _DATABASE, aside / _DATABASE)
            with copy.open("rb") as file:
                _add(tar, _DATABASE, file, copy.stat().st_size)
        for path in _files(root, scope):
            with path.open("rb") as file:
                _add(tar, path.relative_to(root).as_posix(), file, path.stat().st_size)


def _add(tar: tarfile.TarFile, name: str, content: IO[bytes], size: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = size, 0o644, 0
    tar.addfile(entry, content)


def _files(root: Path, scope: Scope) -> list[Path]:
    """Plain files alone; a link would carry another place's content, or lead there."""
    folders = [root / "artifacts"]
    single: list[Path] = []
    for place in scope.places:
        catalog, _, schema = place.partition(".")
        folders += [root / "tables" / catalog / schema, root / "report" / "decisions" / place]
        single += [root / "audit" / f"{place}.json", root / "state" / f"{place}.json"]
        single += [root / "state" / f"{place}.alerts.json"]
    found = [path for folder in folders if folder.is_dir() for path in folder.rglob("*")]
    return sorted(
        path
        for path in (*found, *single)
        if path.is_file() and not path.is_symlink() and not any(part.endswith(_PASSING) for part in path.parts)
    )


def _copied(database: Path, copy: Path) -> Path:
    address = f"{database.as_uri()}?mode=rw"
    with (
        closing(sqlite3.connect(address, uri=True, timeout=20)) as source,
        closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
    return copy


def _extract(archive: Path, folder: Path) -> None:
    with tarfile.open(archive, mode="r:gz") as tar:
        for member in tar:
            path = PurePosixPath(member.name)
            if not member.isfile() or path.is_absolute() or ".." in path.parts or path.parts[0] not in _TOP:
                raise tarfile.TarError(f"{member.name!r} has no place in a state")
            tar.extract(member, folder, filter="data")


def _refuse_other(folder: Path, scope: Scope) -> None:
    path = folder / MANIFEST
    said = path.read_text(encoding="utf-8") if path.is_file() else "nothing"
    if said != scope.manifest:
        raise StateError(
            f"The archive says of itself {said[:200]}, and {scope.manifest} is wanted.",
            why="It is another environment's, or another version of Gatehouse wrote it.",
            remedy="Restore with the configuration and the code that packed it (gatehouse live).",
        )


def _digest(path: Path) -> str:
    total = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                total.update(chunk)
    except OSError as error:
        raise StorageError(
            f"{path} cannot be read: {error.strerror or error}",
            why="It is the state of an environment.",
            remedy="Pack it again: gatehouse state pack",
        ) from error
    return total.hexdigest()
