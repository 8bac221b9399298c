"""What engines and the disk say when something goes wrong, turned into errors of ours, in one place.

Sail's errors are plain text without a class of their own, the JVM's carry a stack trace: both are matched by substring.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from gatehouse.errors import AccessDenied, Busy, DataError, GatehouseError, StorageError

_Result = TypeVar("_Result")

_CONFLICTS = (
    "Failed to commit transaction",  # Sail: another writer committed first
    "Missing commit file",  # Sail: a commit was under way while the table was read
    "DELTA_CONCURRENT",  # JVM: the family of conflicts
    "DELTA_METADATA_CHANGED",
)
_DAMAGE = (
    "Parquet error",  # Sail: a file that is cut off, or gone
    "FAILED_READ_FILE",  # JVM
    "DELTA_FILE_NOT_FOUND",
    "is not a Parquet file",
)
_DISK = (
    "os error",  # Sail, delta-rs
    "No space left on device",
    "Permission denied",
    "Read-only file system",
    "File too large",
    "Input/output error",
    "failed to create file",  # JVM: a folder that is read-only
)
_APPEND_ONLY = ("append-only", "DELTA_CANNOT_MODIFY_APPEND_ONLY")
_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8)


def retry_conflicts(write: Callable[[], _Result], *, pauses: Sequence[float] = _PAUSES) -> _Result:
    """Run a write again while another writer comes first. A call that failed has committed nothing, on either engine.

    Writers of the port wait for each other, so a conflict means that something else writes to the table. `pauses`
    are the seconds between the tries.
    """
    for pause in pauses:
        try:
            return write()
        except Exception as error:
            if not _says(error, _CONFLICTS):
                raise
        time.sleep(pause)
    return write()


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Raise the Gatehouse error that an engine's or the disk's error stands for; others pass unchanged."""
    try:
        yield
    except GatehouseError:
        raise
    except Exception as error:
        found = _meaning(error, doing)
        if found is None:
            raise
        raise found from error


def first_line(error: BaseException) -> str:
    """The line of an engine's message that a person reads: without the stack trace that the JVM adds."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].strip()


def _meaning(error: Exception, doing: str) -> GatehouseError | None:
    if "DELTA_NOT_NULL_CONSTRAINT_VIOLATED" in str(error):
        return DataError(
            f"{doing}: {first_line(error)}",
            why="The column is declared as never null. Nothing was written.",
            remedy="Fill the column, or declare it nullable.",
        )
    if _says(error, _APPEND_ONLY):
        return AccessDenied(
            f"{doing}: the table is append-only.",
            why="What it says was so at the time, and stays said. Nothing was written.",
            remedy="Append a row that corrects the earlier one.",
        )
    if _says(error, _CONFLICTS):
        return Busy(
            f"{doing}: another writer came first, again and again.",
            why="Writing anyway could lose its rows. Nothing was written.",
            remedy="Run the same command again when the other one has ended.",
        )
    if _says(error, _DAMAGE):
        return StorageError(
            f"{doing}: a file of the table is damaged or missing: {first_line(error)}",
            why="Its rows cannot be read, and leaving them out would change every result. Nothing was written.",
            remedy="Restore the file from a copy, or `gatehouse reset` the environment and run it again.",
        )
    if isinstance(error, OSError) or _says(error, _DISK):
        return StorageError(
            f"{doing}: {first_line(error)}",
            why="What was committed before stays readable; this write is not visible at all.",
            remedy="Free space, or make the lakehouse folder writable, and run the same command again.",
        )
    return None


def _says(error: Exception, texts: tuple[str, ...]) -> bool:
    message = str(error)
    return any(text in message for text in texts)
