"""What is found in the rows of an audit log that are not as they were written."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gatehouse.lakehouse.audit import AUDIT_LOG
from gatehouse.lakehouse.audit_chain import Head, Verification, genesis, row_hash, verify_chain, verify_tail

LOG = "prod.main.audit_log"
NOON = datetime(2013, 7, 1, 12, tzinfo=UTC)

Rows = list[dict[str, Any]]


def rehashed(rows: Rows, first: int = 0, log: str = LOG) -> Rows:
    """The rows from position `first` on, each with the hash that its content and the row before it now demand."""
    previous = rows[first - 1]["hash"] if first else genesis(log)
    for row in rows[first:]:
        row["previous_hash"] = previous
        previous = row["hash"] = row_hash(row)
    return rows


@pytest.fixture
def rows() -> Rows:
    """Four entries, as they were written."""
    row = {"actor": "anna@example.org", "actor_source": "--as", "model": "prod.main.delays", "version": "7"}
    return rehashed(
        [
            {**row, "seq": seq, "at": NOON + timedelta(seconds=seq), "action": action, "key": f"key-{seq}"}
            | {"details": '{"reason":"July"}'}
            for seq, action in enumerate(("propose", "approve", "promote", "rollback"), 1)
        ]
    )


@pytest.fixture
def anchor(rows: Rows) -> Head:
    return head(rows[3])


def head(row: dict[str, Any]) -> Head:
    return Head(seq=row["seq"], hash=row["hash"])


def changed(rows: Rows, position: int, **other: Any) -> Rows:
    return [{**row, **other} if row["seq"] == position else row for row in rows]


def test_rows_as_they_were_written_are_whole_in_any_order(rows: Rows, anchor: Head) -> None:
    assert verify_chain(LOG, rows[::-1], anchor=anchor) == Verification(problems=(), head=anchor)
    assert verify_chain(LOG, [], anchor=None) == Verification(problems=(), head=None)


CHANGED = "Entry 2 was changed: its content does not have its hash."
FOUND_IN: dict[str, tuple[str, ...]] = dict.fromkeys(AUDIT_LOG.names, (CHANGED,)) | {
    "seq": (
        "Entry 9 was changed: its content does not have its hash.",
        "Entry 2 was removed between entry 1 and entry 3.",
        "Entries 5 to 8 were removed between entry 4 and entry 9.",
        "The log goes on to entry 9, and its anchor names entry 4: entries were put in, or it was changed.",
    ),
    "previous_hash": (CHANGED, "Entry 2 does not follow entry 1: one of them was replaced, moved or put in."),
    "hash": (CHANGED, "Entry 3 does not follow entry 2: one of them was replaced, moved or put in."),
}
ANOTHER = {"seq": 9, "at": NOON + timedelta(seconds=2, microseconds=1), "details": '{"reason":"august"}'}


@pytest.mark.parametrize("column", AUDIT_LOG.names)
def test_a_changed_column_is_found(rows: Rows, anchor: Head, column: str) -> None:
    found = verify_chain(LOG, changed(rows, 2, **{column: ANOTHER.get(column, "other")}), anchor=anchor)

    assert found.problems == FOUND_IN[column]


@pytest.mark.parametrize("column", [name for name in AUDIT_LOG.names if name != "seq"])
def test_an_erased_column_is_found(rows: Rows, anchor: Head, column: str) -> None:
    assert not verify_chain(LOG, changed(rows, 2, **{column: None}), anchor=anchor).ok


def test_a_changed_entry_with_a_hash_made_for_it_is_found(rows: Rows, anchor: Head) -> None:
    rows[1]["actor"] = "bob@example.org"
    rows[1]["hash"] = row_hash(rows[1])

    assert verify_chain(LOG, rows, anchor=anchor).problems == (FOUND_IN["hash"][1],)


@pytest.mark.parametrize(
    ("taken", "problem"),
    [
        ({1}, "Entry 1 was removed at the start."),
        ({2}, "Entry 2 was removed between entry 1 and entry 3."),
        ({2, 3}, "Entries 2 to 3 were removed between entry 1 and entry 4."),
        ({4}, "Entry 4 was removed at the end: the anchor beside the table names entry 4."),
        ({3, 4}, "Entries 3 to 4 were removed at the end: the anchor beside the table names entry 4."),
        ({1, 2, 3, 4}, "Entries 1 to 4 were removed at the end: the anchor beside the table names entry 4."),
    ],
    ids=str,
)
def test_removed_entries_are_found(rows: Rows, anchor: Head, taken: set[int], problem: str) -> None:
    left = [row for row in rows if row["seq"] not in taken]

    assert verify_chain(LOG, left, anchor=anchor).problems == (problem,)


def test_entries_in_another_order_are_found(rows: Rows, anchor: Head) -> None:
    rows[1]["seq"], rows[2]["seq"] = 3, 2

    assert verify_chain(LOG, rows, anchor=anchor).problems == (
        "Entry 2 was changed: its content does not have its hash.",
        "Entry 3 was changed: its content does not have its hash.",
        "Entry 2 does not follow entry 1: one of them was replaced, moved or put in.",
        "Entry 3 does not follow entry 2: one of them was replaced, moved or put in.",
        "Entry 4 does not follow entry 3: one of them was replaced, moved or put in.",
    )


def test_an_entry_that_was_put_in_is_found(rows: Rows, anchor: Head) -> None:
    forged = {**rows[1], "action": "reject"}

    problems = verify_chain(LOG, [*rows, {**forged, "hash": row_hash(forged)}], anchor=anchor).problems
    assert "There are several entries 2: at least one was put in." in problems


def test_entries_of_another_log_do_not_fit(rows: Rows) -> None:
    moved = rehashed(rows, log="staging.main.audit_log")

    assert verify_chain(LOG, moved, anchor=head(moved[3])).problems == (
        "Entry 1 does not begin prod.main.audit_log: it was put in, or comes from another log.",
    )


def test_a_log_rewritten_from_its_start_with_new_hashes_is_given_away_by_its_anchor(rows: Rows, anchor: Head) -> None:
    rewritten = rehashed(changed(rows, 2, actor="bob@example.org"))

    assert verify_chain(LOG, rewritten, anchor=anchor).problems == (
        "Entry 4 is not the one that the anchor beside the table names: the log was rewritten there or before.",
    )


def test_a_log_rewritten_together_with_its_anchor_is_given_away_by_a_head_kept_elsewhere(rows: Rows) -> None:
    kept = head(rows[2])
    rewritten = rehashed([{**row, "actor": "bob@example.org"} for row in rows])
    anchor = head(rewritten[3])

    assert verify_chain(LOG, rewritten, anchor=anchor).ok
    assert verify_chain(LOG, rewritten, anchor=anchor, kept=kept).problems == (
        "Entry 3 is not the one that the head that was kept elsewhere names: the log was rewritten there or before.",
    )


def test_a_log_cut_together_with_its_anchor_is_given_away_by_a_head_kept_elsewhere(rows: Rows, anchor: Head) -> None:
    cut = rows[:2]

    assert verify_chain(LOG, cut, anchor=head(cut[1]), kept=anchor).problems == (
        "Entries 3 to 4 were removed at the end: the head that was kept elsewhere names entry 4.",
    )


def test_without_an_anchor_only_a_first_entry_is_whole(rows: Rows) -> None:
    assert verify_chain(LOG, rows[:1], anchor=None).ok
    assert verify_chain(LOG, rows, anchor=None).problems == (
        "The log goes on to entry 4, and its anchor is missing: entries were put in, or it was changed.",
    )


# What an append stands on: the rows from the anchor's entry on.

TAMPERED: dict[str, Callable[[Rows], Rows]] = {
    "cut": lambda rows: rows[:3],
    "changed": lambda rows: changed(rows, 4, actor="bob@example.org"),
    "rewritten": lambda rows: rehashed(changed(rows, 4, actor="bob@example.org")),
    "put in": lambda rows: rehashed([*rows, {**rows[3], "seq": 5}, {**rows[3], "seq": 6}]),
}


@pytest.mark.parametrize("damage", TAMPERED.values(), ids=TAMPERED)
def test_a_tampered_end_bears_nothing(rows: Rows, anchor: Head, damage: Callable[[Rows], Rows]) -> None:
    assert verify_tail(LOG, rows[3:], anchor).ok
    assert not verify_tail(LOG, damage(rows)[3:], anchor).ok


@pytest.mark.parametrize("damage", TAMPERED.values(), ids=TAMPERED)
def test_an_anchor_that_was_put_back_hides_nothing(rows: Rows, anchor: Head, damage: Callable[[Rows], Rows]) -> None:
    behind = head(rows[0])

    assert not verify_tail(LOG, rows, behind).ok
    assert verify_tail(LOG, rows, behind, reached=anchor) == Verification(problems=(), head=anchor)
    assert not verify_tail(LOG, damage(rows), behind, reached=anchor).ok
