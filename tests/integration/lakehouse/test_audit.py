"""The audit log tells what was done, once each, and shows every way of telling it differently afterwards."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from gatehouse.errors import AccessDenied, Busy, DataError, StateError, StorageError
from gatehouse.lakehouse.audit import AUDIT_LOG, AuditLog, Entry, Head, Verification
from gatehouse.lakehouse.audit_chain import genesis, row_hash
from gatehouse.lakehouse.session import Engine
from gatehouse.lakehouse.store import FolderStore
from gatehouse.lakehouse.tables import DeltaTables, Equals, TableName

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NAME = TableName("prod", "main", "audit_log")
NOON = datetime(2013, 7, 1, 12, tzinfo=UTC)
ACTIONS = ("propose", "approve", "promote", "rollback")

Rows = list[dict[str, Any]]


class Clock:
    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def open_log(
    spark: SparkSession, engine: Engine, root: Path, *, clock: Callable[[], datetime] | None = None
) -> AuditLog:
    tables = DeltaTables(spark, engine, root, writable=[("prod", "main")], lock_timeout=5)
    return AuditLog(tables, NAME, store=FolderStore(root), clock=clock or Clock(NOON + timedelta(hours=1)))


def act(log: AuditLog, action: str, **more: Any) -> Entry:
    return log.append(action=action, actor="anna@example.org", actor_source="--as (claimed)", **more)


the_order_of_steps = pytest.mark.engine("sail")
"""About what this code does first and what next; what an engine makes of each step, the other tests ask of both."""


@pytest.fixture(scope="module")
def written(spark: SparkSession, engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lakehouse whose audit log has four entries."""
    root = tmp_path_factory.mktemp("written")
    log = open_log(spark, engine, root, clock=Clock(NOON))
    for number, action in enumerate(ACTIONS):
        act(log, action, model="prod.main.delays", version="7", key=f"key-{number}", details={"reason": "July"})
    return root


@pytest.fixture
def root(written: Path, lakehouse_root: Path) -> Path:
    """A copy of it that the test may damage."""
    shutil.copytree(written, lakehouse_root)
    return lakehouse_root


@pytest.fixture
def log(spark: SparkSession, engine: Engine, root: Path) -> AuditLog:
    return open_log(spark, engine, root)


@pytest.fixture
def empty(spark: SparkSession, engine: Engine, lakehouse_root: Path) -> AuditLog:
    return open_log(spark, engine, lakehouse_root, clock=Clock(NOON))


def folder(root: Path) -> Path:
    return root / "tables" / "prod" / "main" / "audit_log"


def anchor(root: Path) -> Path:
    return root / "audit" / "prod.main.json"


def rewrite(root: Path, change: Callable[[Rows], Rows]) -> None:
    """What somebody who can write the folder can do to the table, whatever its properties say."""
    rows = DeltaTable(folder(root)).to_pyarrow_table().sort_by("seq")
    schema = pa.schema([pa.field(f.name, f.type, nullable=True) for f in rows.schema])
    shutil.rmtree(folder(root))
    write_deltalake(folder(root), pa.Table.from_pylist(change(rows.to_pylist()), schema=schema))


def rehashed(rows: Rows, first: int = 0) -> Rows:
    """The rows from position `first` on, each with the hash that its content and the row before it now demand."""
    previous = rows[first - 1]["hash"] if first else genesis(str(NAME))
    for row in rows[first:]:
        row["previous_hash"] = previous
        previous = row["hash"] = row_hash(row)
    return rows


def test_an_empty_log_is_whole(empty: AuditLog) -> None:
    assert empty.entries() == ()
    assert empty.verify() == Verification(problems=(), head=None)


def test_an_entry_says_who_did_what_when_and_how_we_know(empty: AuditLog) -> None:
    entry = empty.append(
        action="approve",
        actor="anna@example.org",
        actor_source="git config user.email (claimed)",
        model="prod.main.delays",
        version="7",
        key="approve-7",
        details={"reason": "Verspätungen ✈ 遅延 " * 600, "seen_at": NOON, "gain": 0.1 + 0.2},
    )

    assert entry == Entry(
        seq=1,
        at=NOON + timedelta(seconds=1),
        actor="anna@example.org",
        actor_source="git config user.email (claimed)",
        action="approve",
        model="prod.main.delays",
        version="7",
        key="approve-7",
        details={
            "reason": "Verspätungen ✈ 遅延 " * 600,
            "seen_at": "2013-07-01T12:00:00+00:00",
            "gain": 0.30000000000000004,
        },
        previous_hash=genesis("prod.main.audit_log"),
        hash=entry.hash,
    )
    assert empty.entries() == (entry,)
    assert empty.verify() == Verification(problems=(), head=Head(seq=1, hash=entry.hash))


def test_entries_are_numbered_and_each_names_the_one_before(log: AuditLog) -> None:
    entries = log.entries()

    assert [(e.seq, e.action) for e in entries] == list(enumerate(ACTIONS, start=1))
    assert [e.previous_hash for e in entries[1:]] == [e.hash for e in entries[:-1]]
    assert log.verify() == Verification(problems=(), head=entries[-1].head)


def test_moments_keep_their_microseconds(spark: SparkSession, engine: Engine, lakehouse_root: Path) -> None:
    exact = datetime(2026, 3, 29, 1, 30, 0, 123457, tzinfo=UTC)
    log = open_log(spark, engine, lakehouse_root, clock=lambda: exact)

    act(log, "approve")

    assert [e.at for e in log.entries()] == [exact]
    assert log.verify().ok


def test_the_same_key_again_adds_nothing_and_returns_the_entry(log: AuditLog) -> None:
    again = act(log, "approve", model="prod.main.delays", version="7", key="key-1", details={"reason": "July"})

    assert again == log.entries()[1]
    assert len(log.entries()) == 4


@pytest.mark.parametrize(
    "other",
    [{"action": "reject"}, {"version": "8"}, {"model": "prod.main.other"}, {"details": {"reason": "August"}}],
    ids=lambda other: next(iter(other)),
)
@the_order_of_steps
def test_a_key_is_not_taken_for_another_act(log: AuditLog, other: dict[str, Any]) -> None:
    same = {"action": "approve", "model": "prod.main.delays", "version": "7", "details": {"reason": "July"}}

    with pytest.raises(DataError, match=f"given to entry 2, which differs in {next(iter(other))}"):
        act(log, **{**same, **other}, key="key-1")

    assert len(log.entries()) == 4


@the_order_of_steps
def test_details_that_json_cannot_hold_are_refused_before_anything_is_written(empty: AuditLog) -> None:
    with pytest.raises(DataError, match=r"\$\.metrics\[1\] is nan"):
        act(empty, "challenge", details={"metrics": [0.4, float("nan")]})

    assert empty.entries() == ()


def test_an_environment_that_is_not_ours_gets_no_entry(
    tables: Callable[..., DeltaTables], lakehouse_root: Path
) -> None:
    log = AuditLog(tables(("dev", "main")), NAME, store=FolderStore(lakehouse_root), clock=Clock(NOON))

    with pytest.raises(AccessDenied):
        act(log, "approve")

    assert log.entries() == ()
    assert not anchor(lakehouse_root).exists()


@the_order_of_steps
def test_a_clock_that_went_back_stops_the_log(spark: SparkSession, engine: Engine, root: Path) -> None:
    log = open_log(spark, engine, root, clock=lambda: NOON - timedelta(hours=3))

    with pytest.raises(StateError, match=r"The clock says 2013-07-01 09:00:00, and the last entry of .* 12:00:04"):
        act(log, "promote")

    assert len(log.entries()) == 4


@the_order_of_steps
def test_clocks_of_two_machines_need_not_agree_to_the_second(spark: SparkSession, engine: Engine, root: Path) -> None:
    log = open_log(spark, engine, root, clock=lambda: NOON - timedelta(minutes=1))

    act(log, "promote")

    assert log.verify().ok


@pytest.mark.parametrize("statement", ["DELETE FROM {} WHERE seq = 4", "UPDATE {} SET actor = 'bob' WHERE seq = 4"])
@pytest.mark.engine("sail")
def test_the_table_itself_refuses_changes(spark: SparkSession, log: AuditLog, root: Path, statement: str) -> None:
    with pytest.raises(Exception, match="append-only"):
        spark.sql(statement.format(f"delta.`{folder(root)}`")).collect()

    assert log.verify().ok


def test_the_port_cannot_replace_entries_either(tables: Callable[..., DeltaTables], log: AuditLog, root: Path) -> None:
    port = tables(("prod", "main"))
    with pytest.raises(Exception, match="append-only"):
        port.replace(NAME, port.read(NAME).where("seq = 4"), where=Equals("seq", 4))

    assert log.verify().ok


# Tampering. What is found in rows, whatever was done to them, is told in tests/unit/lakehouse/test_audit_chain.py.


@pytest.mark.parametrize(
    ("column", "value"),
    [("at", NOON + timedelta(seconds=2, microseconds=1)), ("details", None), ("seq", None)],
    ids=str,
)
def test_a_changed_entry_is_found(log: AuditLog, root: Path, column: str, value: Any) -> None:
    rewrite(root, lambda rows: [{**r, column: value} if r["seq"] == 2 else r for r in rows])

    position = 0 if column == "seq" else 2
    assert f"Entry {position} was changed: its content does not have its hash." in log.verify().problems


def test_a_removed_table_is_found(log: AuditLog, root: Path) -> None:
    shutil.rmtree(folder(root))

    assert log.verify() == Verification(
        problems=("Entries 1 to 4 were removed at the end: the anchor beside the table names entry 4.",), head=None
    )


@the_order_of_steps
def test_an_earlier_head_still_fits_a_log_that_went_on(log: AuditLog) -> None:
    kept = log.verify().head
    act(log, "promote")

    assert log.verify(kept).ok
    assert not log.verify(replace(log.entries()[-1].head, seq=3)).ok


@the_order_of_steps
def test_a_lost_anchor_is_found(log: AuditLog, root: Path) -> None:
    anchor(root).unlink()

    assert log.verify().problems == (
        "The log goes on to entry 4, and its anchor is missing: entries were put in, or it was changed.",
    )


@the_order_of_steps
def test_a_damaged_anchor_is_an_error_that_names_it(log: AuditLog, root: Path) -> None:
    anchor(root).write_text('{"seq": 4')

    assert "audit/prod.main.json, cannot be read" in log.verify().problems[0]
    with pytest.raises(StorageError, match=r"audit/prod\.main\.json, cannot be read"):
        act(log, "promote")


def test_a_damaged_table_is_found(log: AuditLog, root: Path) -> None:
    for file in folder(root).glob("*.parquet"):
        file.write_bytes(b"PAR1 and nothing else")

    verification = log.verify()

    assert verification.head is None
    assert "The audit log prod.main.audit_log cannot be read" in verification.problems[0]


@the_order_of_steps
def test_nothing_is_written_on_top_of_a_tampered_end(log: AuditLog, root: Path) -> None:
    rewrite(root, lambda rows: rows[:3])
    before = log.entries()

    with pytest.raises(StateError, match="does not end where its anchor says"):
        act(log, "promote")

    assert log.entries() == before


# Kills. What a killed process leaves on disk is put there by hand: an append's steps, done up to some point.


@the_order_of_steps
def test_a_process_killed_before_it_moved_the_anchor_leaves_a_whole_log(log: AuditLog, root: Path) -> None:
    behind = anchor(root).read_bytes()
    last = act(log, "promote", key="promotion")
    anchor(root).write_bytes(behind)

    assert log.verify() == Verification(problems=(), head=last.head)
    assert act(log, "promote", key="promotion") == last
    assert log.verify() == Verification(problems=(), head=last.head)
    assert anchor(root).read_bytes() != behind
    assert act(log, "rollback").seq == 6
    assert log.verify().ok


@the_order_of_steps
def test_a_process_killed_after_its_very_first_entry_leaves_a_whole_log(empty: AuditLog, lakehouse_root: Path) -> None:
    act(empty, "approve")
    anchor(lakehouse_root).unlink()

    assert empty.verify().ok
    assert act(empty, "promote").seq == 2
    assert empty.verify().ok


@the_order_of_steps
def test_a_process_killed_before_its_first_entry_leaves_an_empty_log(
    empty: AuditLog, tables: Callable[..., DeltaTables], spark: SparkSession, lakehouse_root: Path
) -> None:
    tables(("prod", "main")).create(NAME, AUDIT_LOG)

    assert empty.verify() == Verification(problems=(), head=None)
    assert act(empty, "approve").seq == 1
    assert empty.verify().ok
    assert DeltaTable(folder(lakehouse_root)).metadata().configuration["delta.appendOnly"] == "true"


class OfSeveralMachines(FolderStore):
    """One store that is seen from machines whose locks do not meet."""

    @contextmanager
    def alone(self, subject: str, *, timeout: float) -> Iterator[None]:
        yield


@the_order_of_steps
def test_an_entry_of_another_machine_that_came_in_between_comes_before(
    tables: Callable[..., DeltaTables], lakehouse_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, port = OfSeveralMachines(lakehouse_root), tables(("prod", "main"))
    mine = AuditLog(port, NAME, store=store, clock=Clock(NOON))
    other = AuditLog(tables(("prod", "main")), NAME, store=store, clock=Clock(NOON))
    mine.append(action="judged", actor="ada", actor_source="the test")
    insert, waiting = port.insert, ["approve", "promote"]

    def overtaken(*given: Any, **named: Any) -> bool:
        if waiting:
            other.append(action=waiting.pop(0), actor="bob", actor_source="the test")
        return insert(*given, **named)

    monkeypatch.setattr(port, "insert", overtaken)
    entry = mine.append(action="reject", actor="ada", actor_source="the test")

    assert entry.seq == 4
    assert [e.action for e in mine.entries()] == ["judged", "approve", "promote", "reject"]
    assert mine.verify() == Verification(problems=(), head=entry.head)


@pytest.fixture
def machines(tables: Callable[..., DeltaTables], lakehouse_root: Path) -> tuple[AuditLog, AuditLog, OfSeveralMachines]:
    """Two logs of one environment on two machines, with one entry, and the store that both see."""
    store = OfSeveralMachines(lakehouse_root)
    mine, other = (AuditLog(tables(("prod", "main")), NAME, store=store, clock=Clock(NOON)) for _ in range(2))
    act(mine, "judged")
    return mine, other, store


@pytest.mark.parametrize("moment", ["before the anchor is read", "before it is written"])
@the_order_of_steps
def test_an_anchor_that_is_written_late_does_not_go_back(
    machines: tuple[AuditLog, AuditLog, OfSeveralMachines], monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    mine, other, store = machines
    insert, write, waiting = mine._tables.insert, store.write, ["approve", "promote"]

    def others_come_in() -> None:
        coming, waiting[:] = list(waiting), []
        for action in coming:
            act(other, action)

    def inserted(*given: Any, **named: Any) -> bool:
        done = insert(*given, **named)
        if moment == "before the anchor is read":
            others_come_in()
        return done

    def written_late(name: str, text: str) -> None:
        others_come_in()
        write(name, text)

    monkeypatch.setattr(mine._tables, "insert", inserted)
    monkeypatch.setattr(store, "write", written_late)
    act(mine, "reject")

    last = mine.entries()[-1].head
    assert [e.action for e in mine.entries()] == ["judged", "reject", "approve", "promote"]
    assert other.verify() == mine.verify() == Verification(problems=(), head=last)
    assert json.loads(str(store.read("audit/prod.main.json"))) == {"seq": 4, "hash": last.hash}


@the_order_of_steps
def test_an_anchor_that_was_put_back_is_mended_by_who_wrote_what_follows_and_by_nobody_else(
    machines: tuple[AuditLog, AuditLog, OfSeveralMachines], lakehouse_root: Path
) -> None:
    mine, other, _ = machines
    behind = anchor(lakehouse_root).read_bytes()
    for action in ("approve", "promote"):
        act(mine, action)
    anchor(lakehouse_root).write_bytes(behind)

    with pytest.raises(StateError, match="does not end where its anchor says"):
        act(other, "reject")
    assert act(mine, "reject").seq == 4
    assert other.verify().ok


@the_order_of_steps
def test_an_anchor_that_was_put_back_hides_nothing(
    machines: tuple[AuditLog, AuditLog, OfSeveralMachines], lakehouse_root: Path
) -> None:
    mine, _, _ = machines
    behind = anchor(lakehouse_root).read_bytes()
    for action in ("approve", "promote"):
        act(mine, action)
    anchor(lakehouse_root).write_bytes(behind)
    rewrite(lakehouse_root, lambda rows: rehashed([*rows[:2], {**rows[2], "actor": "bob@example.org"}]))

    with pytest.raises(StateError, match="does not end where its anchor says"):
        act(mine, "reject")


@the_order_of_steps
def test_a_look_at_a_log_that_is_being_written_finds_it_whole(
    machines: tuple[AuditLog, AuditLog, OfSeveralMachines], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other, _ = machines
    rows, waiting = mine._rows, ["approve", "promote"]

    def read_early(since: int = 0) -> Any:
        found = rows(since)
        while waiting:
            act(other, waiting.pop(0))
        return found

    monkeypatch.setattr(mine, "_rows", read_early)

    assert mine.verify() == Verification(problems=(), head=other.entries()[-1].head)


@the_order_of_steps
def test_a_log_that_others_fill_all_the_time_is_busy(
    tables: Callable[..., DeltaTables], lakehouse_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = tables(("prod", "main"))
    log = AuditLog(port, NAME, store=FolderStore(lakehouse_root), clock=Clock(NOON))
    monkeypatch.setattr(port, "insert", lambda *_, **__: False)

    with pytest.raises(Busy, match="20 times while this entry was on its way"):
        log.append(action="judged", actor="ada", actor_source="the test")
    assert log.entries() == ()
