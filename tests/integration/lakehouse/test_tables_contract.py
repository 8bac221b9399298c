"""What every engine must do behind the table port, whatever it does on its own."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from chispa import assert_df_equality
from deltalake import DeltaTable, Field, Schema
from deltalake.schema import PrimitiveType

from gatehouse.errors import (
    AccessDenied,
    Busy,
    ConfigurationError,
    DataError,
    SchemaBreak,
    StateError,
    StorageError,
    TableMismatch,
    TableNotFound,
)
from gatehouse.lakehouse.locks import writer_lock
from gatehouse.lakehouse.table_types import ColumnDescription, Description
from gatehouse.lakehouse.tables import Between, DeltaTables, Equals, TableName
from gatehouse.project import Column, Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from gatehouse.lakehouse.session import Engine

Open = Callable[..., DeltaTables]

READINGS = Table(
    name="readings",
    description="One row per sensor and hour.",
    owner="weather-team",
    columns=(
        Column(name="sensor", type="bigint", description="Number on the case.", nullable=False),
        Column(name="known_at", type="timestamp", description="When the reading arrived, UTC."),
        Column(name="value", type="double", description="Temperature.", unit="degree Celsius"),
    ),
    primary_key=("sensor",),
    known_at="known_at",
)
NAME = TableName("dev", "main", "readings")
COLUMNS = "sensor bigint, known_at timestamp, value double"

Row = tuple[int | None, datetime | None, float | None]


def at(hour: int) -> datetime:
    return datetime(2013, 1, 1, hour, tzinfo=UTC)


@pytest.fixture
def frame(spark: SparkSession) -> Callable[..., DataFrame]:
    def make(*rows: Row) -> DataFrame:
        return spark.createDataFrame(list(rows), COLUMNS)

    return make


@pytest.fixture
def port(tables: Open) -> DeltaTables:
    """A port that may write dev.main, where `readings` holds nothing yet."""
    opened = tables()
    opened.create(NAME, READINGS)
    return opened


def assert_rows(actual: DataFrame, expected: DataFrame) -> None:
    assert_df_equality(actual, expected, ignore_row_order=True, ignore_nullable=True, ignore_metadata=True)


def test_a_table_of_every_type_comes_back_as_it_went_in_nulls_and_all(spark: SparkSession, tables: Open) -> None:
    types = ("string", "boolean", "int", "bigint", "double", "date", "timestamp")
    table = Table(
        name="everything",
        description="One column of each type.",
        owner="tests",
        columns=tuple(Column(name=f"a_{t}", type=t, description=t) for t in types),  # type: ignore[arg-type]
        primary_key=("a_bigint",),
        known_at="a_timestamp",
    )
    name = TableName("dev", "main", "everything")
    rows = [
        ("it's ünïcode", True, -1, 2**62, 0.1, date(2013, 2, 28), datetime(2013, 3, 31, 1, 30, 0, 7, UTC)),
        (None, None, None, 1, None, None, None),
    ]
    frame = spark.createDataFrame(rows, ", ".join(f"a_{t} {t}" for t in types))
    port = tables()
    port.create(name, table)
    port.append(name, frame)
    assert_rows(port.read(name), frame)


def test_columns_are_matched_by_name_not_by_position(port: DeltaTables, frame: Callable[..., DataFrame]) -> None:
    port.append(NAME, frame((1, at(0), 5.0)).select("value", "known_at", "sensor"))
    assert_rows(port.read(NAME), frame((1, at(0), 5.0)))


def test_a_frame_that_was_read_keeps_its_version_while_the_table_moves_on(
    port: DeltaTables, frame: Callable[..., DataFrame]
) -> None:
    first = port.append(NAME, frame((1, at(0), 5.0)))
    before = port.read(NAME)
    port.append(NAME, frame((2, at(0), 6.0)))
    assert_rows(before, frame((1, at(0), 5.0)))
    assert_rows(port.read(NAME, version=first), frame((1, at(0), 5.0)))
    assert_rows(port.read(NAME), frame((1, at(0), 5.0), (2, at(0), 6.0)))


def test_a_version_that_does_not_exist_is_refused_not_rounded(port: DeltaTables) -> None:
    with pytest.raises(StateError, match="no version 7; its last is 0"):
        port.read(NAME, version=7)


def test_each_write_is_one_commit_that_carries_what_its_writer_said(
    port: DeltaTables, frame: Callable[..., DataFrame]
) -> None:
    port.append(NAME, frame((1, at(0), 5.0), (2, at(0), 5.0)), metadata={"run": "first"})
    port.merge(NAME, frame((2, at(1), 6.0)), keys=["sensor"], metadata={"run": 'it\'s "second"'})
    port.replace(NAME, frame(), where=Equals("sensor", 1), metadata={"run": "third"})
    history = port.history(NAME)
    assert [(c.version, dict(c.metadata)) for c in history] == [
        (3, {"run": "third"}),
        (2, {"run": 'it\'s "second"'}),
        (1, {"run": "first"}),
        (0, {}),
    ]
    assert all(c.at.tzinfo is UTC and abs((datetime.now(UTC) - c.at).total_seconds()) < 300 for c in history)
    assert_rows(port.read(NAME), frame((2, at(1), 6.0)))


def test_writes_without_rows_make_no_version(port: DeltaTables, frame: Callable[..., DataFrame]) -> None:
    assert port.append(NAME, frame()) == 0
    assert port.merge(NAME, frame(), keys=["sensor"]) == 0


def test_a_row_is_inserted_once_by_its_key(port: DeltaTables, frame: Callable[..., DataFrame]) -> None:
    assert port.insert(NAME, frame((1, at(1), 0.5)), keys=["sensor"])
    assert not port.insert(NAME, frame((1, at(2), 0.7)), keys=["sensor"])
    assert not port.insert(NAME, frame((1, at(2), 0.7), (2, at(2), 0.7)), keys=["sensor"])
    assert port.version(NAME) == 1
    assert port.insert(NAME, frame((2, at(2), 0.7)), keys=["sensor"])

    assert_rows(port.read(NAME), frame((1, at(1), 0.5), (2, at(2), 0.7)))


def test_a_merge_overwrites_known_keys_and_inserts_new_ones(port: DeltaTables, frame: Callable[..., DataFrame]) -> None:
    port.append(NAME, frame((1, at(0), 5.0), (2, at(0), 5.0), (3, at(0), None)))
    assert port.merge(NAME, frame((2, at(1), None), (3, at(0), 7.0), (4, at(2), 8.0)), keys=["sensor"]) == 2
    assert_rows(port.read(NAME), frame((1, at(0), 5.0), (2, at(1), None), (3, at(0), 7.0), (4, at(2), 8.0)))


def test_a_merge_by_two_keys_leaves_rows_between_the_changed_ones_alone(
    port: DeltaTables, frame: Callable[..., DataFrame]
) -> None:
    port.append(NAME, frame((1, at(1), 1.0), (1, at(2), 2.0), (2, at(1), 3.0), (2, None, 4.0), (3, at(3), 5.0)))
    port.merge(NAME, frame((1, at(1), 9.0), (3, at(3), 9.0), (4, at(2), 9.0)), keys=["sensor", "known_at"])
    assert_rows(
        port.read(NAME),
        frame((1, at(1), 9.0), (1, at(2), 2.0), (2, at(1), 3.0), (2, None, 4.0), (3, at(3), 9.0), (4, at(2), 9.0)),
    )


def test_the_same_merge_again_changes_nothing_and_makes_no_version(
    port: DeltaTables, frame: Callable[..., DataFrame]
) -> None:
    rows = frame((1, at(0), 5.0), (2, at(0), None))
    assert port.merge(NAME, rows, keys=["sensor"]) == 1
    assert port.merge(NAME, rows, keys=["sensor"]) == 1
    assert_rows(port.read(NAME), rows)


@pytest.mark.parametrize(
    ("rows", "key"), [([(1, at(0), 1.0), (1, at(0), 2.0)], "sensor=1"), ([(None, at(0), 1.0)], "sensor=None")]
)
def test_a_merge_refuses_a_repeated_or_missing_key_before_it_writes(
    port: DeltaTables, frame: Callable[..., DataFrame], rows: list[Row], key: str
) -> None:
    with pytest.raises(DataError, match=f"do not have one row per key.* {key}"):
        port.merge(NAME, frame(*rows), keys=["sensor"])
    assert port.version(NAME) == 0


@pytest.mark.engine("sail")  # a cold Python worker costs the JVM 12 s, and what computes once is the port
def test_rows_are_computed_once_for_all_the_checks_of_a_merge(
    port: DeltaTables, frame: Callable[..., DataFrame], tmp_path: Path
) -> None:
    log = str(tmp_path / "batches")

    def expensive(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for batch in batches:
            with open(log, "a") as file:  # noqa: PTH123 - runs in a worker of the engine
                file.write("x" * len(batch))
            yield batch

    port.merge(NAME, frame((1, at(0), 5.0), (2, at(0), 6.0)).mapInPandas(expensive, COLUMNS), keys=["sensor"])
    assert Path(log).read_text() == "xx"


def test_replacing_a_stretch_leaves_out_its_start_and_takes_in_its_end(
    port: DeltaTables, frame: Callable[..., DataFrame]
) -> None:
    port.append(NAME, frame((1, at(1), 1.0), (2, at(2), 2.0), (3, at(3), 3.0), (4, at(4), 4.0)))
    version = port.replace(NAME, frame((5, at(2), 5.0)), where=Between("known_at", after=at(1), until=at(3)))
    assert version == 2
    assert_rows(port.read(NAME), frame((1, at(1), 1.0), (5, at(2), 5.0), (4, at(4), 4.0)))


def test_replacing_one_value_with_nothing_removes_its_rows_and_no_others(
    port: DeltaTables, frame: Callable[..., DataFrame]
) -> None:
    port.append(NAME, frame((1, at(1), 1.0), (2, None, 2.0), (3, at(3), 3.0)))
    port.replace(NAME, frame(), where=Equals("known_at", at(3)))
    assert_rows(port.read(NAME), frame((1, at(1), 1.0), (2, None, 2.0)))


@pytest.mark.parametrize("moment", [at(1), at(4), None])
def test_a_row_outside_the_replaced_stretch_is_refused_and_nothing_is_written(
    port: DeltaTables, frame: Callable[..., DataFrame], moment: datetime | None
) -> None:
    with pytest.raises(DataError, match="outside the rows it would replace"):
        port.replace(NAME, frame((1, at(2), 1.0), (2, moment, 1.0)), where=Between("known_at", at(1), at(3)))
    assert port.version(NAME) == 0


def test_rows_that_a_filter_drops_are_not_held_against_a_replacement(
    port: DeltaTables, frame: Callable[..., DataFrame]
) -> None:
    rows = frame((1, at(2), 1.0), (2, at(9), 1.0)).where("value > 0 and sensor < 2")
    port.replace(NAME, rows, where=Between("known_at", at(1), at(3)))
    assert_rows(port.read(NAME), frame((1, at(2), 1.0)))


@pytest.mark.parametrize(
    "where",
    [Equals("sensor", "1"), Equals("sensor", True), Equals("known_at", date(2013, 1, 1)), Equals("nowhere", 1)],
)
def test_rows_are_chosen_by_a_column_of_the_table_and_values_of_its_type_only(
    port: DeltaTables, frame: Callable[..., DataFrame], where: Equals
) -> None:
    with pytest.raises(DataError, match="cannot be chosen by"):
        port.replace(NAME, frame(), where=where)


WRITES: dict[str, Callable[[DeltaTables, TableName, Any], object]] = {
    "append": lambda port, name, rows: port.append(name, rows),
    "merge": lambda port, name, rows: port.merge(name, rows, keys=["sensor"]),
    "replace": lambda port, name, rows: port.replace(name, rows, where=Equals("sensor", 1)),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        (["cast(sensor as int) sensor", "known_at", "value"], "sensor: expected bigint, got int"),
        (["sensor", "known_at", "'x' value"], "value: expected double, got string"),
        (["sensor", "known_at"], "value: expected double, missing"),
        (["sensor", "known_at", "value", "1 more"], "more: unknown to the table"),
        (["sensor", "known_at", "value", "0D value"], "value: there more than once"),
        (["sensor", "known_at", "value Value"], "value: expected double, missing; Value: unknown to the table"),
    ],
)
def test_no_write_casts_guesses_or_leaves_out_a_column(
    port: DeltaTables,
    frame: Callable[..., DataFrame],
    write: Callable[[DeltaTables, TableName, DataFrame], object],
    columns: list[str],
    complaint: str,
) -> None:
    with pytest.raises(SchemaBreak, match=complaint):
        write(port, NAME, frame((1, at(0), 5.0)).selectExpr(*columns))
    assert port.version(NAME) == 0


def test_a_null_in_a_column_that_is_never_null_is_refused(port: DeltaTables, frame: Callable[..., DataFrame]) -> None:
    with pytest.raises(DataError, match=r"(?i)not[ _]null.*sensor"):
        port.append(NAME, frame((None, at(0), 1.0)))
    assert port.version(NAME) == 0


def test_a_null_that_was_filtered_out_beforehand_does_not_keep_the_others_from_being_appended(
    port: DeltaTables, frame: Callable[..., DataFrame]
) -> None:
    rows = frame((None, at(0), 1.0), (1, at(0), 2.0))

    port.append(NAME, rows.where(rows["sensor"].isNotNull()))

    assert_rows(port.read(NAME), frame((1, at(0), 2.0)))


def test_creating_a_table_again_changes_nothing(port: DeltaTables) -> None:
    port.create(NAME, READINGS)
    assert port.version(NAME) == 0


def test_a_stored_table_tells_its_declaration(port: DeltaTables) -> None:
    assert port.declaration(NAME) == Description(
        description="One row per sensor and hour.",
        owner="weather-team",
        primary_key=("sensor",),
        columns=(
            ColumnDescription(
                name="sensor", type="bigint", description="Number on the case.", unit=None, declared=True
            ),
            ColumnDescription(
                name="known_at",
                type="timestamp",
                description="When the reading arrived, UTC.",
                unit=None,
                declared=True,
            ),
            ColumnDescription(
                name="value", type="double", description="Temperature.", unit="degree Celsius", declared=True
            ),
        ),
    )


def test_a_column_that_is_declared_later_is_added_and_null_in_old_rows(
    spark: SparkSession, port: DeltaTables, frame: Callable[..., DataFrame]
) -> None:
    port.append(NAME, frame((1, at(0), 5.0)))
    station = Column(name="station", type="string", description="Where it stands.", nullable=False)
    port.create(NAME, replace(READINGS, description="With station.", columns=(*READINGS.columns, station)))
    with pytest.raises(SchemaBreak, match="station: expected string, missing"):
        port.append(NAME, frame((2, at(0), 6.0)))
    schema = f"{COLUMNS}, station string"
    port.append(NAME, spark.createDataFrame([(2, at(0), 6.0, "Oslo")], schema))
    assert_rows(port.read(NAME), spark.createDataFrame([(1, at(0), 5.0, None), (2, at(0), 6.0, "Oslo")], schema))
    assert port.declaration(NAME).description == "With station."


def test_a_column_that_is_no_longer_declared_stays_and_keeps_its_values(
    spark: SparkSession, port: DeltaTables, frame: Callable[..., DataFrame]
) -> None:
    port.append(NAME, frame((1, at(0), 5.0), (2, at(0), 6.0)))
    port.create(NAME, replace(READINGS, columns=READINGS.columns[:2]))
    fewer = spark.createDataFrame([(2, at(1)), (3, at(1))], "sensor bigint, known_at timestamp")
    port.merge(NAME, fewer, keys=["sensor"])
    assert_rows(port.read(NAME), frame((1, at(0), 5.0), (2, at(1), 6.0), (3, at(1), None)))
    assert [(c.name, c.declared) for c in port.declaration(NAME).columns] == [
        ("sensor", True),
        ("known_at", True),
        ("value", False),
    ]


@pytest.mark.parametrize(
    ("declaration", "complaint"),
    [
        (
            replace(READINGS, columns=(*READINGS.columns[:2], replace(READINGS.columns[2], type="int"))),
            "value is declared int and stored as double",
        ),
        (replace(READINGS, primary_key=("sensor", "known_at")), r"one row per \(sensor\), declared is"),
        (
            replace(
                READINGS,
                columns=(Column(name="id", type="string", description="-"), *READINGS.columns[1:]),
                primary_key=("id",),
            ),
            "primary key column id is not stored; sensor is stored as never null and not declared",
        ),
    ],
)
def test_a_table_of_another_version_of_the_project_is_left_alone(
    port: DeltaTables, declaration: Table, complaint: str
) -> None:
    with pytest.raises(TableMismatch, match=complaint):
        port.create(NAME, declaration)
    assert port.version(NAME) == 0


def test_a_column_name_that_is_no_plain_word_is_refused(tables: Open) -> None:
    odd = Table(
        name="odd",
        description="-",
        owner="-",
        columns=(Column(name="a b", type="timestamp", description="-"),),
        primary_key=("a b",),
        known_at="a b",
    )
    port = tables()
    with pytest.raises(ConfigurationError, match="'a b' cannot be the name of a column"):
        port.create(TableName("dev", "main", "odd"), odd)
    assert port.names("dev", "main") == ()


@pytest.mark.parametrize(
    "write",
    [
        *WRITES.values(),
        lambda port, name, _rows: port.create(name, READINGS),
        lambda port, name, _rows: port.drop_schema(name.catalog, name.schema),
    ],
    ids=[*WRITES, "create", "drop_schema"],
)
def test_every_write_of_dev_into_prod_is_refused_while_reading_is_not(
    tables: Open, frame: Callable[..., DataFrame], write: Callable[[DeltaTables, TableName, DataFrame], object]
) -> None:
    name = TableName("prod", "main", "readings")
    prod = tables(("prod", "main"))
    prod.create(name, READINGS)
    dev = tables(("dev", "main"))
    with pytest.raises(AccessDenied, match=r"may not write to prod\.main"):
        write(dev, name, frame((1, at(0), 5.0)))
    assert dev.version(name) == 0
    assert dev.read(name).columns == ["sensor", "known_at", "value"]


def test_another_schema_of_the_same_catalog_is_as_closed_as_another_catalog(tables: Open) -> None:
    with pytest.raises(AccessDenied, match=r"may not write to dev\.other"):
        tables(("dev", "main")).create(TableName("dev", "other", "readings"), READINGS)


def test_a_lakehouse_lists_what_was_created_and_nothing_else(tables: Open, lakehouse_root: Path) -> None:
    port = tables(("dev", "main"), ("dev", "other"), ("prod", "main"))
    names = [TableName("dev", "main", "a"), TableName("dev", "main", "b"), TableName("dev", "other", "c")]
    assert (port.schemas("dev"), port.names("dev", "main"), port.exists(names[0])) == ((), (), False)
    for name in names:
        port.create(name, READINGS)
    (lakehouse_root / "tables" / "dev" / "main" / "no table").mkdir()
    (lakehouse_root / "tables" / "dev" / "main" / "begun" / "_delta_log").mkdir(parents=True)
    assert port.schemas("dev") == ("main", "other")
    assert port.names("dev", "main") == (names[0], names[1])
    assert port.names("prod", "main") == ()
    assert [port.exists(n) for n in (*names, TableName("dev", "main", "begun"))] == [True, True, True, False]


def test_dropping_a_schema_drops_its_tables_only_and_it_can_be_filled_again(
    tables: Open, frame: Callable[..., DataFrame]
) -> None:
    port = tables(("dev", "main"), ("dev", "other"))
    other = TableName("dev", "other", "readings")
    port.create(NAME, READINGS)
    port.create(other, READINGS)
    port.append(NAME, frame((1, at(0), 5.0)))
    port.drop_schema("dev", "main")
    port.drop_schema("dev", "main")
    assert (port.schemas("dev"), port.exists(NAME)) == (("other",), False)
    port.create(NAME, READINGS)
    port.append(NAME, frame((2, at(0), 6.0)))
    assert_rows(port.read(NAME), frame((2, at(0), 6.0)))


@pytest.mark.parametrize(
    "use",
    [
        *WRITES.values(),
        lambda port, name, _rows: port.read(name),
        lambda port, name, _rows: port.version(name),
        lambda port, name, _rows: port.history(name),
        lambda port, name, _rows: port.declaration(name),
    ],
    ids=[*WRITES, "read", "version", "history", "declaration"],
)
def test_a_table_that_was_never_created_is_not_found(
    tables: Open, frame: Callable[..., DataFrame], use: Callable[[DeltaTables, TableName, DataFrame], object]
) -> None:
    with pytest.raises(TableNotFound, match=r"no table dev\.main\.nothing"):
        use(tables(), TableName("dev", "main", "nothing"), frame((1, at(0), 5.0)))


@pytest.mark.parametrize("content", ["", '{"commitInfo":{"times', "not a log"])
def test_a_damaged_log_is_an_error_never_a_shorter_table(
    port: DeltaTables, frame: Callable[..., DataFrame], lakehouse_root: Path, content: str
) -> None:
    log = lakehouse_root / "tables" / "dev" / "main" / "readings" / "_delta_log" / f"{0:020}.json"
    log.write_text(content)
    uses: dict[str, Callable[[DeltaTables, TableName, DataFrame], object]]
    uses = {**WRITES, "read": lambda port, name, _rows: port.read(name)}
    for use in uses.values():
        with pytest.raises(StorageError, match=r"log of dev\.main\.readings is damaged"):
            use(port, NAME, frame((1, at(0), 5.0)))


def test_a_damaged_data_file_is_named_as_such_and_nothing_is_written(
    port: DeltaTables, frame: Callable[..., DataFrame], lakehouse_root: Path
) -> None:
    port.append(NAME, frame((1, at(0), 5.0)))
    for file in (lakehouse_root / "tables" / "dev" / "main" / "readings").glob("*.parquet"):
        file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(StorageError, match="damaged or missing"):
        port.merge(NAME, frame((1, at(0), 6.0)), keys=["sensor"])
    assert port.version(NAME) == 1


def test_a_table_that_somebody_else_made_can_be_read_and_taken_over(
    tables: Open, frame: Callable[..., DataFrame], lakehouse_root: Path
) -> None:
    path = lakehouse_root / "tables" / "dev" / "main" / "readings"
    path.mkdir(parents=True)
    DeltaTable.create(
        str(path),
        Schema(
            [
                Field("sensor", PrimitiveType("long")),
                Field("known_at", PrimitiveType("timestamp")),
                Field("value", PrimitiveType("double")),
            ]
        ),
    )
    port = tables()
    found = port.declaration(NAME)
    assert (found.owner, found.primary_key, [c.type for c in found.columns]) == (
        "",
        (),
        ["bigint", "timestamp", "double"],
    )
    port.create(NAME, READINGS)
    assert port.declaration(NAME).owner == "weather-team"
    port.append(NAME, frame((1, at(0), 5.0)))
    assert_rows(port.read(NAME), frame((1, at(0), 5.0)))


def test_rows_and_columns_that_another_program_adds_are_seen_at_once(
    port: DeltaTables, frame: Callable[..., DataFrame], lakehouse_root: Path
) -> None:
    port.append(NAME, frame((1, at(0), 5.0)))
    stored = DeltaTable(str(lakehouse_root / "tables" / "dev" / "main" / "readings"))
    stored.alter.add_columns([Field("note", PrimitiveType("string"))])
    assert port.version(NAME) == 2
    port.append(NAME, frame((2, at(0), 6.0)))  # an undeclared column is nobody's duty
    assert port.read(NAME).columns == ["sensor", "known_at", "value", "note"]
    assert port.read(NAME).count() == 2


def test_a_second_writer_of_the_schema_waits_and_then_hears_who_has_it(
    tables: Open, frame: Callable[..., DataFrame], lakehouse_root: Path
) -> None:
    port = tables(("dev", "main"), ("dev", "other"), lock_timeout=0.1)
    port.create(NAME, READINGS)
    with (
        writer_lock(lakehouse_root / "locks", "dev.main", timeout=0),
        pytest.raises(Busy, match=rf"dev\.main is being written by process {os.getpid()}"),
    ):
        port.append(NAME, frame((1, at(0), 5.0)))
    with writer_lock(lakehouse_root / "locks", "dev.main", timeout=0):
        port.create(TableName("dev", "other", "readings"), READINGS)
        assert port.read(NAME).count() == 0


def test_a_lakehouse_may_lie_in_a_folder_with_spaces_and_accents(
    spark: SparkSession, engine: Engine, frame: Callable[..., DataFrame], tmp_path: Path
) -> None:
    root = tmp_path / "Jörg's files (50 % new)"
    port = DeltaTables(spark, engine, root, writable=[("dev", "main")])
    port.create(NAME, READINGS)
    port.append(NAME, frame((1, at(0), 5.0)))
    port.merge(NAME, frame((1, at(0), 6.0)), keys=["sensor"])
    port.replace(NAME, frame((2, at(0), 7.0)), where=Equals("sensor", 2))
    assert_rows(port.read(NAME), frame((1, at(0), 6.0), (2, at(0), 7.0)))
    assert [p.name for p in tmp_path.iterdir()] == [root.name]
    log = root / "tables" / "dev" / "main" / "readings" / "_delta_log"
    added = [
        json.loads(line)["add"]["path"]
        for file in sorted(log.glob("*.json"))
        for line in file.read_text().splitlines()
        if "add" in json.loads(line)
    ]
    assert len(added) >= 3
    assert all((log.parent.parent / "readings" / path).is_file() for path in added)
