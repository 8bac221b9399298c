"""What is left of a table when writers collide, are killed, or meet a disk that refuses."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatehouse.errors import AccessDenied, Busy, DataError, StorageError
from gatehouse.lakehouse.failures import retry_conflicts, translated
from gatehouse.lakehouse.tables import Between, DeltaTables, TableName
from gatehouse.project import Column, Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.slow

Open = Callable[..., DeltaTables]

NAME = TableName("dev", "main", "ticks")
TICKS = Table(
    name="ticks",
    description="One row per tick.",
    owner="tests",
    columns=(
        Column(name="id", type="bigint", description="-", nullable=False),
        Column(name="at", type="timestamp", description="-"),
        Column(name="value", type="double", description="-"),
    ),
    primary_key=("id",),
    known_at="at",
)

WRITER = """
import sys
from pathlib import Path
from gatehouse.lakehouse.session import installed_engine, open_session
from gatehouse.lakehouse.tables import DeltaTables, TableName

engine = installed_engine()
spark = open_session(engine, catalogs=["dev"])
port = DeltaTables(spark, engine, Path(sys.argv[1]), writable=[("dev", "main")])
name = TableName("dev", "main", "ticks")
rows = "select id + {} id, timestamp'2013-01-01' at, {}D value from range(10)"
for number in range(1000, 1000000):
    port.append(name, spark.sql(rows.format(number * 10, 1)))
    port.merge(name, spark.sql(rows.format(number * 10, 2)), keys=["id"])
    print(number, flush=True)
"""


def ticks(spark: SparkSession, start: int, number: int, value: float) -> DataFrame:
    return spark.range(start, start + number).selectExpr("id", "timestamp'2013-01-01' at", f"{value}D value")


@pytest.mark.engine("sail")  # the JVM's transactions are Delta's own
def test_two_processes_write_one_table_and_one_is_killed_without_a_row_lost_or_halved(
    spark: SparkSession, tables: Open, lakehouse_root: Path
) -> None:
    port = tables(lock_timeout=30)
    port.create(NAME, TICKS)
    with subprocess.Popen([sys.executable, "-", str(lakehouse_root)], stdin=-1, stdout=-1, text=True) as writer:
        assert writer.stdin
        assert writer.stdout
        writer.stdin.write(WRITER)
        writer.stdin.close()
        reported = [int(writer.stdout.readline())]
        for round_ in range(4):  # both write now
            port.merge(NAME, ticks(spark, 0, 5, round_), keys=["id"])
            reported.append(int(writer.stdout.readline()))
        writer.kill()
        reported += [int(line) for line in writer.stdout]
    version = port.merge(NAME, ticks(spark, 0, 6, 9), keys=["id"])
    stored = port.read(NAME, version=version).toPandas()
    assert stored["id"].is_unique
    mine = stored[stored["id"] < 10000].sort_values("id")
    assert (mine["id"].tolist(), set(mine["value"])) == ([0, 1, 2, 3, 4, 5], {9.0})
    theirs = stored[stored["id"] >= 10000].groupby(stored["id"] // 10)["value"].agg(["size", "nunique"])
    assert (theirs == [10, 1]).all(axis=None)
    assert set(reported) <= set(theirs.index)
    assert len(theirs) - len(set(reported)) <= 1  # what was committed before its writer could say so
    assert not (lakehouse_root / "tables" / "dev" / "main" / "_gatehouse_staging").exists()


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """A disk that is full after `size` bytes of a file, as this process sees it."""
    import resource  # not on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.engine("sail")  # the JVM is another process, which this limit does not reach
@pytest.mark.skipif(sys.platform == "win32", reason="no RLIMIT_FSIZE")
@pytest.mark.parametrize("write", ["append", "merge", "replace"])
def test_a_full_disk_is_told_and_the_table_stays_as_it_was(spark: SparkSession, tables: Open, write: str) -> None:
    port = tables()
    port.create(NAME, TICKS)
    port.append(NAME, ticks(spark, 0, 10, 1))
    rows = ticks(spark, 5, 200_000, 2)
    stretch = Between("at", datetime(2012, 1, 1, tzinfo=UTC), datetime(2014, 1, 1, tzinfo=UTC))
    writes = {
        "append": lambda: port.append(NAME, rows),
        "merge": lambda: port.merge(NAME, rows, keys=["id"]),
        "replace": lambda: port.replace(NAME, rows, where=stretch),
    }
    with largest_file(50_000), pytest.raises(StorageError, match="File too large"):
        writes[write]()
    assert (port.version(NAME), port.read(NAME).count()) == (1, 10)
    writes[write]()
    assert port.read(NAME).count() == {"append": 200_010, "merge": 200_005, "replace": 200_000}[write]


@contextmanager
def rights_of_an_ordinary_user() -> Iterator[None]:
    """Let file permissions bind this thread even where root runs the tests, as in a container."""
    if sys.platform != "linux" or os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3 of the interface, this thread
    before = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; twice
    assert libc.capget(header, before) == 0
    without = (ctypes.c_uint32 * 6)(*before)
    without[0] &= ~0b110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    assert libc.capset(header, without) == 0
    try:
        yield
    finally:
        assert libc.capset(header, before) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="no such permissions")
def test_a_read_only_lakehouse_can_be_read_and_says_why_it_cannot_be_written(
    spark: SparkSession, tables: Open, lakehouse_root: Path
) -> None:
    port = tables()
    port.create(NAME, TICKS)
    entries = [lakehouse_root, *lakehouse_root.rglob("*")]
    try:
        for entry in entries:
            entry.chmod(0o555 if entry.is_dir() else 0o444)
        with rights_of_an_ordinary_user():
            assert port.read(NAME).count() == 0
            for write in (
                lambda: port.append(NAME, ticks(spark, 0, 1, 1)),
                lambda: port.create(TableName("dev", "main", "more"), TICKS),
                lambda: port.drop_schema("dev", "main"),
            ):
                with pytest.raises(StorageError, match="Permission denied"):
                    write()
    finally:
        for entry in entries:
            entry.chmod(0o755 if entry.is_dir() else 0o644)
    assert port.version(NAME) == 0


def test_a_file_where_the_table_should_be_is_told_apart_from_a_table(tables: Open, lakehouse_root: Path) -> None:
    port = tables()
    (lakehouse_root / "tables" / "dev" / "main").mkdir(parents=True)
    (lakehouse_root / "tables" / "dev" / "main" / "ticks").write_text("not a folder")
    assert not port.exists(NAME)
    with pytest.raises(StorageError, match="File exists"):
        port.create(NAME, TICKS)


CONFLICTS = [
    "Failed to commit transaction: 3",
    "Missing commit file: expected version 5, found 4",
    "[DELTA_CONCURRENT_APPEND] Files were added",
]


@pytest.mark.parametrize("text", CONFLICTS)
def test_a_write_that_lost_a_race_is_made_again_until_it_wins(text: str) -> None:
    failures = [RuntimeError(text), RuntimeError(text)]

    def write() -> int:
        if failures:
            raise failures.pop()
        return 7

    assert retry_conflicts(write, pauses=(0, 0, 0)) == 7


def test_a_write_that_loses_every_race_is_busy_and_any_other_error_is_not_tried_again() -> None:
    calls = []

    def write(text: str) -> None:
        calls.append(text)
        raise RuntimeError(text)

    with pytest.raises(Busy, match="append to t: another writer came first"), translated("append to t"):
        retry_conflicts(lambda: write(CONFLICTS[0]), pauses=(0, 0))
    with pytest.raises(RuntimeError, match="divide by zero"), translated("append to t"):
        retry_conflicts(lambda: write("divide by zero"), pauses=(0, 0))
    assert calls == [CONFLICTS[0]] * 3 + ["divide by zero"]


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (OSError(28, "No space left on device"), StorageError),
        (PermissionError(13, "Permission denied"), StorageError),
        (RuntimeError("Generic LocalFileSystem error: Read-only file system (os error 30)"), StorageError),
        (RuntimeError("Job aborted\n\nJVM stacktrace:\njava.io.IOException: No space left on device"), StorageError),
        (RuntimeError("Parquet error: Failed to fetch metadata for file a.parquet"), StorageError),
        (RuntimeError("[FAILED_READ_FILE.FILE_NOT_EXIST] a.parquet"), StorageError),
        (RuntimeError("[DELTA_NOT_NULL_CONSTRAINT_VIOLATED] id"), DataError),
        (RuntimeError("[DELTA_CANNOT_MODIFY_APPEND_ONLY] This table only allows appends"), AccessDenied),
    ],
)
def test_what_an_engine_or_the_disk_says_becomes_an_error_with_a_next_step(
    error: Exception, meaning: type[Exception]
) -> None:
    with pytest.raises(meaning) as raised, translated("append to t"):
        raise error
    assert raised.value.__cause__ is error
    assert "append to t: " in str(raised.value)
    assert "Next: " in str(raised.value)
    assert "stacktrace" not in str(raised.value)
