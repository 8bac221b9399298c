"""The files of a model version: what they are known by, and how they become a predictor."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gatehouse.errors import ModelDoesNotLoad, StateError
from gatehouse.lakehouse.mlflow_globals import import_mlflow

if TYPE_CHECKING:
    from gatehouse.project import Predictor

REGISTRY_NOTE = "registered_model_meta"
"""MLflow writes this file beside a model that it fetches by its registry name. It is no part of the model."""


def digest(folder: Path) -> str:
    """SHA-256 of a model's files: of the lines `sha256sum` prints for them, sorted by path in the C locale.

    The same on every machine: `find . -type f ! -path ./registered_model_meta -printf '%P\\n' | LC_ALL=C sort |
    tr '\\n' '\\0' | xargs -0 sha256sum | sha256sum`. One file is left out, REGISTRY_NOTE at the top; empty folders,
    permissions and times do not count. A symbolic link, a line break in a name, or anything that is neither file nor
    folder is an error.
    """
    lines = []
    for path in sorted(_files(folder), key=lambda p: p.relative_to(folder).as_posix().encode()):
        with path.open("rb") as content:
            lines.append(
                f"{hashlib.file_digest(content, 'sha256').hexdigest()}  {path.relative_to(folder).as_posix()}\n"
            )
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def load(folder: Path | str, named: str) -> Predictor:
    """The model in a folder, or at an address of MLflow's, through its pyfunc.

    ModelDoesNotLoad says what went wrong; `named` is for that message.
    """
    mlflow = import_mlflow()
    try:
        with _no_bytecode():
            # MLflow would search the files of every installed package, most of a second, to warn of other versions.
            predictor: Predictor = mlflow.pyfunc.load_model(str(folder), suppress_warnings=True)
    except Exception as error:
        raise ModelDoesNotLoad(
            f"{named} does not load: {type(error).__name__}: {error}",
            why="A model that cannot be loaded here cannot serve here.",
            remedy="Compare its requirements.txt with this environment, and train it again if its files are damaged.",
        ) from error
    return predictor


@contextmanager
def _no_bytecode() -> Iterator[None]:
    """A model that brings code along would get a `__pycache__` among its files, and with it another digest."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def _files(folder: Path) -> list[Path]:
    files = []
    for path in folder.rglob("*"):
        if path.is_symlink() or "\n" in path.name or not (path.is_file() or path.is_dir()):
            raise StateError(
                f"{path} is not an ordinary file.",
                why="What it stands for could change, and the model's digest would not.",
                remedy="Train the version again; MLflow stores files and folders only.",
            )
        if path.is_file() and path != folder / REGISTRY_NOTE:
            files.append(path)
    if not files:
        raise StateError(
            f"There are no model files in {folder}.",
            why="A digest of nothing would be equal for every lost model.",
            remedy="Restore the lakehouse folder from a copy, or train the version again.",
        )
    return files
