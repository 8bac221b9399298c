"""The SQLite file under MLflow: made once, never seen half-made, and found again after its folder was moved.

MLflow creates the tables by running every migration since its beginning, about a second. That is done in a file
beside the real one, which then takes its name in one step: neither a second process nor `kill -9` meets half of one.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from gatehouse.errors import Busy, ConfigurationError, GatehouseError, StorageError
from gatehouse.lakehouse.mlflow_errors import translated
from gatehouse.lakehouse.mlflow_globals import import_mlflow

DATABASE = "mlflow.db"
ARTIFACTS = "artifacts"
LOCK = "mlflow.lock"
LOCK_SECONDS = 60.0
"""How long to wait for another process: a migration takes seconds, every other holder milliseconds."""

_PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""Every column in which MLflow keeps the absolute address of files."""


def prepare(root: Path) -> str:
    """The address of the lakehouse's MLflow database, which is created or moved first where it has to be.

    Safe in any number of processes at once. Raises StorageError for a file that is no MLflow database, Busy if another
    process takes too long.
    """
    path = root / DATABASE
    address = sqlite_address(path)
    try:
        root.mkdir(parents=True, exist_ok=True)
        if _is_missing(path):
            with exclusive(root):
                if _is_missing(path):
                    _create(path)
        if _moved_from(path, _artifacts(root)):
            with exclusive(root):
                _move(path, _artifacts(root))
    except sqlite3.Error as error:
        raise _damaged(path, error) from error
    except OSError as error:
        raise translated(error, f"opening {path}") from error
    return address


def sqlite_address(path: Path) -> str:
    """The address by which SQLAlchemy knows a file. It has no way to write a question mark."""
    if "?" in str(path):
        raise ConfigurationError(
            f"{path} has a question mark in its name.",
            why="A database address ends there, so another file would be opened.",
            remedy="Move the project to a folder without one.",
        )
    return f"sqlite:///{path.as_posix()}"


@contextmanager
def exclusive(root: Path) -> Iterator[None]:
    """Hold the lock of whoever changes the registry, or the file itself. The system frees it if its holder dies."""
    lock = FileLock(str(root / LOCK), timeout=LOCK_SECONDS)
    try:
        lock.acquire()
    except Timeout as error:
        raise Busy(
            f"Another process has held {root / LOCK} for {LOCK_SECONDS:.0f} s.",
            why="Registry changes happen one after the other, so that nobody overwrites a promotion.",
            remedy="Wait for it to finish, or end it; the lock goes with it.",
        ) from error
    except OSError as error:
        raise translated(error, f"locking {root}") from error
    try:
        yield
    finally:
        lock.release()


def _is_missing(path: Path) -> bool:
    # Whoever opens a database that is gone (a user interface that is still running) leaves an empty file.
    return not path.exists() or path.stat().st_size == 0


def _create(path: Path) -> None:
    import_mlflow()
    from mlflow.exceptions import MlflowException
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from sqlalchemy.exc import SQLAlchemyError

    partial = path.with_name(f".{path.name}.part")
    # What a killed process left of an attempt; and a journal without its database would be applied to the new one.
    for left_over in (*path.parent.glob(f"{partial.name}*"), *path.parent.glob(f"{path.name}-*")):
        left_over.unlink()
    try:
        with _unsynced():
            SqlAlchemyStore(sqlite_address(partial), _artifacts(path.parent))  # type: ignore[no-untyped-call]
        with partial.open("rb") as made:
            os.fsync(made.fileno())
        partial.replace(path)
    except (MlflowException, SQLAlchemyError) as error:
        raise translated(error, f"creating {path}") from error


@contextmanager
def _unsynced() -> Iterator[None]:
    """Inside, SQLite waits for no disk, as each migration would for a file that is nothing until it is renamed."""
    from sqlalchemy import Engine, event

    def hasten(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA synchronous = OFF")

    event.listen(Engine, "connect", hasten)
    try:
        yield
    finally:
        event.remove(Engine, "connect", hasten)


def _artifacts(root: Path) -> str:
    return (root / ARTIFACTS).as_uri()


def _moved_from(path: Path, now: str) -> str | None:
    """Where the artefacts lay when this database was made, if not here. `_create` gave experiment 0 a folder there."""
    with closing(_connect(path)) as database:
        row = database.execute("SELECT artifact_location FROM experiments WHERE experiment_id = 0").fetchone()
    then = str(row[0]).removesuffix("/0") if row else now
    # A database that was not made by `_create` keeps its files wherever it says.
    return then if then != now and then.endswith(f"/{ARTIFACTS}") else None


def _move(path: Path, new: str) -> None:
    """Follow the folder to where it lies now: state restored from an archive, or a checkout that was renamed."""
    old = _moved_from(path, new)
    if old is None:  # another process was faster
        return
    with closing(_connect(path)) as database, database:
        for table, column in _PLACES:
            database.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",  # noqa: S608
                (new, len(old) + 1, len(old) + 1, f"{old}/"),
            )


def _connect(path: Path) -> sqlite3.Connection:
    # Writable even to read: whoever comes first after a crash has to roll back. But never making a file.
    return sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=20)


def _damaged(path: Path, error: sqlite3.Error) -> GatehouseError:
    return StorageError(
        f"{path} cannot be read as an MLflow database: {error}",
        why="It holds every run, model version and alias, so it is not replaced by an empty one.",
        remedy=f"Restore it from a copy. If there is none, move it away (mv {path} {path}.damaged) and train again.",
    )
