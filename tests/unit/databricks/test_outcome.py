"""A task's own word for how it ended survives the way through a log, with its exit code."""

from __future__ import annotations

import pytest

from gatehouse.databricks.outcome import Outcome, error_of, read_outcome, write_failure, write_outcome
from gatehouse.errors import (
    AliasMoved,
    Busy,
    GatehouseError,
    Refused,
    RunFailed,
    StateError,
    Unanswered,
    UsageError,
)


def test_what_is_written_is_read_from_a_log_around_it() -> None:
    line = write_outcome(0, {"version": "7", "note": 'a "quoted"\nline, and ünicode'})
    assert line.count("\n") == 0
    log = f"+ features   1.2 s\ngatehouse-exit is what ends it\n{line}\nTraceback (most recent call last):\n  ...\n"
    assert read_outcome(log) == Outcome(0, {"version": "7", "note": 'a "quoted"\nline, and ünicode'})


def test_the_last_word_counts() -> None:
    assert read_outcome(f"{write_outcome(0)}\n{write_outcome(10)}") == Outcome(10)


@pytest.mark.parametrize(
    "log",
    [
        "",
        "gatehouse-exit",
        "gatehouse-exit ten",
        "gatehouse-exit 256",
        "gatehouse-exit 010",
        'gatehouse-exit 0 {"a": 1}',
        'gatehouse-exit 0 {"a"',
        'gatehouse-exit 0 {"a": "b"} and more',
        "gatehouse-exit 0\ngatehouse-exit 0 {",
    ],
)
def test_what_is_not_of_the_form_says_nothing(log: str) -> None:
    assert read_outcome(log) is None


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (Refused("no", why="because", remedy="do"), Refused),
        (Busy("later"), Busy),
        (UsageError("what?"), UsageError),
        (Unanswered("silence", status=500), Unanswered.__base__),
        (AliasMoved("gone", holder="3"), StateError),
        (GatehouseError("some"), GatehouseError),
    ],
)
def test_an_error_inside_ends_its_caller_with_the_same_exit_code(error: GatehouseError, kind: type[object]) -> None:
    outcome = read_outcome(write_failure(error))
    assert outcome is not None
    again = error_of(outcome, where="task gate of run 7")
    assert type(again) is kind
    assert again.exit_code == error.exit_code
    assert (again.what, again.why, again.remedy) == (f"{error.what} (task gate of run 7)", error.why, error.remedy)


def test_a_code_that_is_no_class_of_ours_is_a_failed_run() -> None:
    error = error_of(Outcome(99), where="task gate of run 7", said="killed")
    assert (type(error), error.what) == (RunFailed, "killed (task gate of run 7)")
