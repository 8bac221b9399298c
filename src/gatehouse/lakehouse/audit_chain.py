"""How the rows of the audit log hold together, and what it means when they do not. Pure.

Each row carries the hash of the row before and the hash of itself, the way of Haber and Stornetta, How to Time-Stamp a
Digital Document (1991). That shows every change inside the log. Its end is held by an anchor outside the table, because
a log without its last rows is whole in itself. Who can write the table and the anchor can forge both: against that,
keep the head somewhere else (the summary of a CI run, a signed tag) and hand it to `verify_chain`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any

from gatehouse.errors import DataError
from gatehouse.lakehouse import canonical

CLOCK_TOLERANCE = timedelta(minutes=2)
"""How far the clocks of two machines that are both kept in time may lie apart."""

Row = Mapping[str, Any]
"""A row of the audit log by column; `at` is a moment in UTC."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """The last entry of a log at some time: its number, from 1, and its hash."""

    seq: int
    hash: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Verification:
    """What a look at the whole log found: problems in sentences, and the entry it ends with (None: it is empty)."""

    problems: tuple[str, ...]
    head: Head | None

    @property
    def ok(self) -> bool:
        """Whether the log is as it was written."""
        return not self.problems


def genesis(log: str) -> str:
    """What the first entry names as the hash before it: no two logs begin alike, so rows fit no other log."""
    return hashlib.sha256(f"audit log {log}".encode()).hexdigest()


def row_hash(row: Row) -> str:
    """SHA-256 of the canonical JSON of every column but `hash`."""
    return canonical.digest({name: value for name, value in row.items() if name != "hash"})


def verify_chain(log: str, rows: Sequence[Row], *, anchor: Head | None, kept: Head | None = None) -> Verification:
    """Check all rows of a log, in any order, against each other, its anchor and a head that was kept elsewhere."""
    ordered = _ordered(rows)
    problems = [*_start_problems(log, ordered), *_chain_problems(ordered), *_anchor_problems(ordered, anchor)]
    if kept is not None:
        problems += _head_problems(ordered, kept, "the head that was kept elsewhere")
    return Verification(problems=tuple(problems), head=_head(ordered))


def verify_tail(log: str, rows: Sequence[Row], anchor: Head | None, *, reached: Head | None = None) -> Verification:
    """Check the rows from the anchor's entry on, all there are without one: what an append stands on.

    `reached` is an entry that whoever asks wrote: from an anchor that was put back behind it, all is whole up to there.
    """
    if anchor is None:
        return verify_chain(log, rows, anchor=None)
    ordered = _ordered(rows)
    problems = [*_chain_problems(ordered), *_anchor_problems(ordered, anchor)]
    if reached is not None and reached.seq > anchor.seq and verify_growth(rows, anchor).ok:
        problems = _anchor_problems(ordered, reached)
    return Verification(problems=tuple(problems), head=_head(ordered))


def verify_growth(rows: Sequence[Row], head: Head) -> Verification:
    """Check that rows go on from the entry of `head`, however far."""
    ordered = _ordered(rows)
    problems = [*_chain_problems(ordered), *_head_problems(ordered, head, "the anchor beside the table")]
    return Verification(problems=tuple(problems), head=_head(ordered))


def _chain_problems(ordered: Sequence[Row]) -> list[str]:
    changed = (_changed(row) for row in ordered)
    links = (problem for before, row in pairwise(ordered) for problem in _link_problems(before, row))
    return [*(problem for problem in changed if problem), *links]


def _changed(row: Row) -> str | None:
    try:
        intact = row_hash(row) == row["hash"]
    except DataError:
        intact = False
    return None if intact else f"Entry {row['seq']} was changed: its content does not have its hash."


def _link_problems(before: Row, row: Row) -> Iterator[str]:
    if row["seq"] == before["seq"]:
        yield f"There are several entries {row['seq']}: at least one was put in."
    elif row["seq"] != before["seq"] + 1:
        yield f"{_missing(before['seq'] + 1, row['seq'] - 1)} between entry {before['seq']} and entry {row['seq']}."
    elif row["previous_hash"] != before["hash"]:
        yield f"Entry {row['seq']} does not follow entry {before['seq']}: one of them was replaced, moved or put in."


def _start_problems(log: str, ordered: Sequence[Row]) -> list[str]:
    if not ordered:
        return []
    first = ordered[0]
    if first["seq"] > 1:
        return [f"{_missing(1, first['seq'] - 1)} at the start."]
    if first["seq"] < 1 or first["previous_hash"] != genesis(log):
        return [f"Entry {first['seq']} does not begin {log}: it was put in, or comes from another log."]
    return []


def _anchor_problems(ordered: Sequence[Row], anchor: Head | None) -> list[str]:
    # The anchor is written after each append, so a process that was killed leaves it one entry behind.
    reached = anchor.seq if anchor else 0
    problems = _head_problems(ordered, anchor, "the anchor beside the table") if anchor else []
    last = ordered[-1]["seq"] if ordered else 0
    if last > reached + 1:
        what = f"names entry {reached}" if anchor else "is missing"
        problems.append(
            f"The log goes on to entry {last}, and its anchor {what}: entries were put in, or it was changed."
        )
    return problems


def _head_problems(ordered: Sequence[Row], head: Head, named: str) -> list[str]:
    last = ordered[-1]["seq"] if ordered else 0
    if last < head.seq:
        return [f"{_missing(last + 1, head.seq)} at the end: {named} names entry {head.seq}."]
    if head.hash not in {row["hash"] for row in ordered if row["seq"] == head.seq}:
        return [f"Entry {head.seq} is not the one that {named} names: the log was rewritten there or before."]
    return []


def _head(ordered: Sequence[Row]) -> Head | None:
    return Head(seq=ordered[-1]["seq"], hash=ordered[-1]["hash"]) if ordered else None


def _missing(first: int, last: int) -> str:
    return f"Entry {first} was removed" if first == last else f"Entries {first} to {last} were removed"


def _ordered(rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row["seq"])
