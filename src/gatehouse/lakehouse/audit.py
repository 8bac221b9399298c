"""The audit log: what was decided and done in an environment, by whom, in rows that can be added and not changed.

One chain per environment. A row is written under a lock of its own, then the anchor beside the table is moved to it; a
process killed in between leaves the anchor one entry behind, which the next append mends. The lock is one machine's, so
the anchor only goes forward, and whoever has moved it looks whether another machine was further. The table refuses
changes where the engine honours Delta's `appendOnly`, and `audit_chain` finds those that were made around it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from gatehouse.errors import Busy, DataError, StateError, StorageError
from gatehouse.lakehouse import canonical
from gatehouse.lakehouse.audit_chain import (
    CLOCK_TOLERANCE,
    Head,
    Row,
    Verification,
    genesis,
    row_hash,
    verify_chain,
    verify_growth,
    verify_tail,
)
from gatehouse.lakehouse.failures import first_line
from gatehouse.lakehouse.table_types import TableName
from gatehouse.project import Column, Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from gatehouse.lakehouse.store import Store
    from gatehouse.lakehouse.table_port import Tables

__all__ = ["AUDIT_LOG", "AuditLog", "Entry", "Head", "Verification", "anchor_name"]

_TRIES = 20

AUDIT_LOG = Table(
    name="audit_log",
    description="One row per decision or act on a model version, in a chain of hashes. Rows are added, never changed.",
    owner="gatehouse",
    primary_key=("seq",),
    known_at="at",
    columns=(
        Column(name="seq", type="bigint", description="Number of the entry, from 1, without gaps.", nullable=False),
        Column(name="at", type="timestamp", description="When, by the machine's clock.", unit="UTC", nullable=False),
        Column(name="actor", type="string", description="Who.", nullable=False),
        Column(name="actor_source", type="string", description="How that was established, and how strong it is."),
        Column(name="action", type="string", description="approve, reject, promote, ...", nullable=False),
        Column(name="model", type="string", description="The model concerned; null: none."),
        Column(name="version", type="string", description="Its version; null: none."),
        Column(name="key", type="string", description="An act with the same key is entered once; null: no key."),
        Column(name="details", type="string", description="Canonical JSON object.", nullable=False),
        Column(name="previous_hash", type="string", description="`hash` of the entry before.", nullable=False),
        Column(
            name="hash",
            type="string",
            description="SHA-256 of the canonical JSON of the other columns.",
            nullable=False,
        ),
    ),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One row of the log, as it was written."""

    seq: int
    at: datetime
    actor: str
    actor_source: str
    action: str
    model: str | None
    version: str | None
    key: str | None
    details: Mapping[str, Any]
    previous_hash: str
    hash: str

    @property
    def head(self) -> Head:
        """What to keep elsewhere, so that nobody can take this entry away unnoticed."""
        return Head(seq=self.seq, hash=self.hash)


class AuditLog:
    """The log of one environment, in the table `name`, its anchor in `store`. `clock` gives the moment of an entry.

    Every method raises StorageError if the table or its anchor cannot be read.
    """

    def __init__(
        self,
        tables: Tables,
        name: TableName,
        *,
        store: Store,
        clock: Callable[[], datetime],
        lock_timeout: float = 60,
    ) -> None:
        self._tables = tables
        self._name = name
        self._store = store
        self._anchor = anchor_name(name.catalog, name.schema)
        self._clock = clock
        self._lock_timeout = lock_timeout
        self._reached: Head | None = None  # the last entry that this object wrote, or found whole

    def append(
        self,
        *,
        action: str,
        actor: str,
        actor_source: str,
        model: str | None = None,
        version: str | None = None,
        details: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> Entry:
        """Add an entry and return it; with a key that has one already, return that and add nothing.

        Raises:
            AccessDenied: the environment is not ours to write.
            Busy: other processes wrote for all of `lock_timeout` seconds.
            DataError: the details have no canonical JSON, or the key stands for another act.
            StateError: the log's end is not where it was left, or the clock has gone back behind the last entry.
        """
        act = {
            "action": action,
            "model": model,
            "version": version,
            "key": key,
            "details": canonical.dumps(details or {}),
        }
        with self._store.alone(f"{self._name}.chain", timeout=self._lock_timeout):
            for _ in range(_TRIES):
                last = self._last()
                if key is not None and (known := self._with_key(key)) is not None:
                    return _entry(_the_same_act(known, act))
                row = self._next(last, {"actor": actor, "actor_source": actor_source, **act})
                if last is None:
                    self._make_table()
                # The lock is this machine's; what another one has entered meanwhile comes before this entry.
                if self._tables.insert(self._name, self._frame(row), keys=("seq",)):
                    self._move_anchor(Head(seq=row["seq"], hash=row["hash"]))
                    return _entry(row)
        raise Busy(
            f"Others entered something in {self._name} {_TRIES} times while this entry was on its way.",
            why="Entries follow one another, each with the hash of the one before.",
            remedy="Run the same command again.",
        )

    def entries(self) -> tuple[Entry, ...]:
        """All entries, oldest first, unverified; none if nothing was ever written."""
        return tuple(_entry(row) for row in sorted(self._rows(), key=lambda row: row["seq"]))

    def verify(self, head: Head | None = None) -> Verification:
        """Read the whole log and say what is wrong with it. `head` is any earlier one that was kept elsewhere."""
        try:
            rows, anchor = self._look()
            return verify_chain(str(self._name), rows, anchor=anchor, kept=head)
        except StorageError as error:
            return Verification(problems=(error.what,), head=None)

    def _last(self) -> Row | None:
        """The last row, its anchor mended if it was left behind or put back; StateError after tampering."""
        rows, anchor = self._look(tail=True)
        found = verify_tail(str(self._name), rows, anchor, reached=self._reached)
        if not found.ok:
            raise StateError(
                f"The audit log {self._name} does not end where its anchor says.",
                why="An entry on top would bury the traces of whoever removed or changed the last ones.",
                remedy="gatehouse audit verify    (it says which entries; then restore the table from a copy)",
            )
        if found.head is not None and found.head != anchor:
            self._move_anchor(found.head)
        return max(rows, key=lambda row: row["seq"], default=None)

    def _look(self, *, tail: bool = False) -> tuple[list[Row], Head | None]:
        """The rows (of the tail: from the anchor's on), and the anchor that was there while they were read."""
        anchor = self._read_anchor()
        for _ in range(_TRIES):
            rows = self._rows(since=anchor.seq if tail and anchor else 0)
            before, anchor = anchor, self._read_anchor()
            if anchor == before:
                break
        return rows, before

    def _next(self, last: Row | None, content: Mapping[str, Any]) -> dict[str, Any]:
        now = self._clock().astimezone(UTC)
        if last is not None and now < last["at"] - CLOCK_TOLERANCE:
            raise StateError(
                f"The clock says {now:%Y-%m-%d %H:%M:%S}, and the last entry of {self._name} is of "
                f"{last['at']:%Y-%m-%d %H:%M:%S} (UTC).",
                why="With a clock that went back, a decision that has expired would be valid again.",
                remedy="Set the clock of this machine, then run the same command again.",
            )
        row = {
            "seq": last["seq"] + 1 if last is not None else 1,
            "at": now,
            "previous_hash": last["hash"] if last is not None else genesis(str(self._name)),
            **content,
        }
        return {**row, "hash": row_hash(row)}

    def _make_table(self) -> None:
        self._tables.create(self._name, AUDIT_LOG)
        self._tables.append_only(self._name)

    def _with_key(self, key: str) -> Row | None:
        from pyspark.sql import functions as F

        if not self._tables.exists(self._name):
            return None
        return next(iter(self._collected(self._tables.read(self._name).where(F.col("key") == F.lit(key)))), None)

    def _rows(self, since: int = 0) -> list[Row]:
        from pyspark.sql import functions as F

        if not self._tables.exists(self._name):
            return []
        frame = self._tables.read(self._name)
        return self._collected(frame.where(F.col("seq") >= since) if since else frame)

    def _collected(self, frame: DataFrame) -> list[Row]:
        from pyspark.sql import functions as F

        columns = [F.col(n) for n in AUDIT_LOG.names if n != "at"]
        try:
            rows = frame.select(*columns, F.unix_micros("at").alias("at")).collect()
        except Exception as error:
            raise StorageError(
                f"The audit log {self._name} cannot be read: {first_line(error)}",
                why="What was decided, and by whom, stands only there.",
                remedy="Restore the table's folder from a copy, then run gatehouse audit verify.",
            ) from error
        return [{**r.asDict(), "seq": r["seq"] or 0, "at": _moment(r["at"])} for r in rows]

    def _frame(self, row: Row) -> DataFrame:
        spark = self._tables.read(self._name).sparkSession
        schema = ", ".join(f"`{c.name}` {c.type}" for c in AUDIT_LOG.columns)
        return spark.createDataFrame([tuple(row[n] for n in AUDIT_LOG.names)], schema)

    def _read_anchor(self) -> Head | None:
        text = self._store.read(self._anchor)
        if text is None:
            return None
        try:
            content = json.loads(text)
            return Head(seq=int(content["seq"]), hash=str(content["hash"]))
        except (ValueError, KeyError, TypeError) as error:
            raise StorageError(
                f"The anchor of the audit log, {self._anchor}, cannot be read: {error}",
                why="It alone shows whether entries were removed at the log's end.",
                remedy="Restore it from a copy, then run gatehouse audit verify.",
            ) from error

    def _move_anchor(self, head: Head) -> None:
        """Forward only. No volume compares before it writes, so what another machine has entered is looked at after it.

        Whoever enters something after that look writes the anchor after it, too.
        """
        for _ in range(_TRIES):
            self._reached = head
            there = self._read_anchor()
            if there is not None and there.seq > head.seq:
                return
            if there != head:
                self._write_anchor(head)
            further = verify_growth(self._rows(since=head.seq), head)
            if not further.ok or further.head is None or further.head == head:
                return  # what does not hold together is not covered up: the next look finds it
            head = further.head

    def _write_anchor(self, head: Head) -> None:
        self._store.write(self._anchor, canonical.dumps({"seq": head.seq, "hash": head.hash}))


def anchor_name(catalog: str, schema: str) -> str:
    """What the anchor of an environment's log is called in its store; whoever throws the tables away removes it."""
    return f"audit/{catalog}.{schema}.json"


def _the_same_act(known: Row, act: Mapping[str, Any]) -> Row:
    if other := [name for name, value in act.items() if known[name] != value]:
        raise DataError(
            f"The key {act['key']!r} was given to entry {known['seq']}, which differs in {', '.join(other)}.",
            why="Taking one act for another would leave the second without a trace.",
            remedy="Give each act a key of its own.",
        )
    return known


def _entry(row: Row) -> Entry:
    try:
        details = json.loads(row["details"])
    except (TypeError, ValueError) as error:
        raise StorageError(
            f"The details of entry {row['seq']} of the audit log are no JSON: {error}",
            why="The entry was changed after it was written.",
            remedy="gatehouse audit verify    (it says which entries were)",
        ) from error
    return Entry(**{**row, "details": details})


def _moment(micros: int | None) -> datetime | None:
    return None if micros is None else datetime.fromtimestamp(0, UTC) + timedelta(microseconds=micros)
