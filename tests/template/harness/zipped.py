"""Folders and files as zips in memory."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path


def pack(path: Path, prefix: str = "") -> bytes:
    """A file, or all that a folder holds, under `prefix`."""
    packed = io.BytesIO()
    files = [path] if path.is_file() else sorted(found for found in path.rglob("*") if found.is_file())
    base = path.parent if path.is_file() else path
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, prefix + file.relative_to(base).as_posix())
    return packed.getvalue()


def unpack(content: bytes, folder: Path) -> None:
    """Everything, into a folder that is made."""
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(folder)


def names(content: bytes) -> list[str]:
    """What is in it."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.namelist()


def pack_in(content: bytes, folder: str) -> bytes:
    """The same files below a folder."""
    moved = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(moved, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(f"{folder}/{name}", source.read(name))
    return moved.getvalue()
