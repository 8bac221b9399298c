"""Waiting for whoever judges a new version elsewhere: a deployment job, or a listener."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from gatehouse.errors import EvaluationError, StateError
from gatehouse.lakehouse.registry import ModelRegistry
from gatehouse.pipelines.decisions import RECORD_TAG
from gatehouse.progress import Progress

_NOTE_EVERY = timedelta(minutes=5)
_ENTERING = timedelta(minutes=5)
_Record = TypeVar("_Record")


def await_record(
    registry: ModelRegistry,
    model: str,
    version: str,
    *,
    before: str | None,
    limit: timedelta,
    failed: Callable[[], str | None],
    clock: Callable[[], datetime],
    sleep: Callable[[], None],
    progress: Progress,
    remedy: str,
) -> str:
    """The digest of the version's decision record, once it is another than `before`.

    `failed` says what has become of it elsewhere, if it is known that no record will come; `sleep` waits between two
    looks; `remedy` is what to do when nobody judges.

    Raises:
        EvaluationError: it could not be judged, or nobody has within the limit.
    """
    start = clock()
    told = start
    while True:
        digest = registry.get(model, version).tags.get(RECORD_TAG)
        if digest is not None and digest != before:
            return digest
        if (reason := failed()) is not None:
            raise EvaluationError(
                f"Version {version} {reason}.",
                why="What could not be measured is neither good nor bad.",
                remedy=remedy,
            )
        now = clock()
        if now - start >= limit:
            raise EvaluationError(
                f"Nobody has judged version {version} within {_minutes(limit)} minutes.",
                why="It is registered, and waits: nothing is promoted before somebody has judged it.",
                remedy=remedy,
            )
        if now - told >= _NOTE_EVERY:
            told = now
            progress.note(f"Version {version} is not judged yet, after {_minutes(now - start)} minutes.")
        sleep()


def await_entry(
    find: Callable[[], _Record],
    *,
    limit: timedelta = _ENTERING,
    clock: Callable[[], datetime],
    sleep: Callable[[], None],
) -> _Record:
    """The record that was waited for, once whoever judged has entered it too: the version has its tag a moment before.

    Raises:
        StateError: it is not to be relied on after that time either.
    """
    start = clock()
    while True:
        try:
            return find()
        except StateError:
            if clock() - start >= limit:
                raise
        sleep()


def _minutes(span: timedelta) -> int:
    return int(span.total_seconds() // 60)
