"""One writer at a time in each schema, across processes; the operating system frees the lock of a killed one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from gatehouse.errors import Busy


@contextmanager
def writer_lock(folder: Path, subject: str, *, timeout: float) -> Iterator[None]:
    """Hold the lock of `subject`; Busy names the process that held it for all of `timeout` seconds."""
    folder.mkdir(parents=True, exist_ok=True)
    # The holder is noted beside the lock: waiting for a lock file truncates it.
    note = folder / f"{subject}.holder"
    lock = FileLock(folder / f"{subject}.lock", timeout=timeout)
    try:
        lock.acquire()
    except Timeout:
        raise Busy(
            f"{subject} is being written by process {_read(note)}, and was for all of {timeout:g} seconds.",
            why="Two writers at once could lose each other's rows.",
            remedy="Wait for that process to end (or end it), then run the same command again.",
        ) from None
    try:
        with suppress(OSError):  # a disk that is full is told of by what is to be written, not by a courtesy
            note.write_text(str(os.getpid()), encoding="utf-8")
        yield
    finally:
        with suppress(OSError):
            note.unlink()
        lock.release()


def _read(note: Path) -> str:
    try:
        return note.read_text(encoding="utf-8") or "?"
    except OSError:
        return "?"
