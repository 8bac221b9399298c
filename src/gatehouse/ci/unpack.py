"""The files of an artefact, out of the zip that it is downloaded as."""

from __future__ import annotations

import zipfile
from pathlib import Path

from gatehouse.errors import StateError


def unpack(packed: Path, folder: Path, *, named: str, within: str = "") -> None:
    """Into the folder, and nowhere else. `within` is a folder around all files that is left out where it is there."""
    try:
        with zipfile.ZipFile(packed) as files:
            for entry in files.infolist():
                if within and entry.filename.startswith(f"{within}/"):
                    entry.filename = entry.filename.removeprefix(f"{within}/")
                if entry.filename:
                    files.extract(entry, folder)  # it keeps names inside the folder and makes no links
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise StateError(
            f"{named} is no zip file: {error}.",
            why="Nothing can be unpacked from it.",
            remedy="Have the CI's own step upload it, as an archive.",
        ) from None
