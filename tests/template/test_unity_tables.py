"""The tables' port on Unity Catalog keeps the contract of the one on a laptop, and what only a catalog can do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import FunctionType
from typing import TYPE_CHECKING

import pytest
from tests.integration.lakehouse import test_tables_contract as contract
from tests.integration.lakehouse.test_tables_contract import NAME, READINGS, assert_rows, at, frame, port
from tests.integration.pipelines.conftest import Lakehouse, Raw, open_lakehouse, raw, weather
from tests.template.harness.spark.server import SparkServer
from tests.template.harness.spark.sessions import session

from gatehouse.errors import AccessDenied, StateError, TableNotFound
from gatehouse.lakehouse.table_types import TableName
from gatehouse.lakehouse.unity_tables import UnityTables
from gatehouse.pipelines.ingest import ingest
from gatehouse.pipelines.mirror import mirror
from gatehouse.project import Column, Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from gatehouse.pipelines.context import Context

__all__ = ["frame", "open_lakehouse", "port", "raw", "weather"]

Open = Callable[..., UnityTables]

FOLDERS_ONLY = {
    "test_a_lakehouse_lists_what_was_created_and_nothing_else": "looks into folders; see the test of lists below",
    "test_a_damaged_log_is_an_error_never_a_shorter_table": "storage is the platform's",
    "test_a_damaged_data_file_is_named_as_such_and_nothing_is_written": "storage is the platform's",
    "test_a_table_that_somebody_else_made_can_be_read_and_taken_over": "by SQL here, below",
    "test_rows_and_columns_that_another_program_adds_are_seen_at_once": "by SQL here, below",
    "test_a_second_writer_of_the_schema_waits_and_then_hears_who_has_it": "Delta's transactions, not a lock",
    "test_a_lakehouse_may_lie_in_a_folder_with_spaces_and_accents": "there is no folder",
}
ON_EACH_PULL_REQUEST = {
    "test_a_merge_overwrites_known_keys_and_inserts_new_ones",
    "test_a_null_in_a_column_that_is_never_null_is_refused",
    "test_a_row_is_inserted_once_by_its_key",
    "test_a_version_that_does_not_exist_is_refused_not_rounded",
    "test_columns_are_matched_by_name_not_by_position",
    "test_each_write_is_one_commit_that_carries_what_its_writer_said",
    "test_every_write_of_dev_into_prod_is_refused_while_reading_is_not",
    "test_replacing_a_stretch_leaves_out_its_start_and_takes_in_its_end",
    "test_the_same_merge_again_changes_nothing_and_makes_no_version",
}
"""One for each thing the port does. The rest of the contract takes full Spark minutes, and is slow."""

CONTRACT = {name: test for name, test in vars(contract).items() if name.startswith("test_")}
assert FOLDERS_ONLY.keys() | ON_EACH_PULL_REQUEST <= CONTRACT.keys()


def _slow(test: FunctionType) -> FunctionType:
    """The same test with that mark, which the laptop's port does not get."""
    twin = FunctionType(test.__code__, test.__globals__, test.__name__, test.__defaults__, test.__closure__)
    vars(twin).update(vars(test))
    return pytest.mark.slow(twin)


for _name in [n for n in CONTRACT if n not in FOLDERS_ONLY]:
    _test = CONTRACT[_name]
    assert isinstance(_test, FunctionType)
    globals()[_name] = _test if _name in ON_EACH_PULL_REQUEST else _slow(_test)


@pytest.fixture(scope="session")
def spark(spark_server: SparkServer) -> Iterator[SparkSession]:
    """A session that may write every catalog but `closed`."""
    with session(spark_server.remote) as opened:
        yield opened


@pytest.fixture(scope="session")
def owner(spark_server: SparkServer) -> Iterator[SparkSession]:
    """A session of the user who may write `closed`."""
    with session(spark_server.remote_of("owner")) as opened:
        yield opened


@pytest.fixture
def tables(spark: SparkSession) -> Open:
    """Opens the port on empty schemas: `tables()` writes dev.main, `tables(("prod", "main"))` that."""
    for place in ("dev.main", "dev.other", "prod.main"):
        spark.sql(f"DROP SCHEMA IF EXISTS {place} CASCADE")
        spark.sql(f"CREATE SCHEMA {place}")

    def open_port(*writable: tuple[str, str]) -> UnityTables:
        return UnityTables(spark, writable=writable or [("dev", "main")])

    return open_port


def test_schemas_and_tables_are_listed_and_nothing_else(spark: SparkSession, tables: Open) -> None:
    port = tables(("dev", "main"), ("dev", "other"))
    names = [TableName("dev", "main", "a"), TableName("dev", "main", "b"), TableName("dev", "other", "c")]
    assert (port.schemas("dev"), port.names("dev", "main"), port.exists(names[0])) == ((), (), False)
    for name in names:
        port.create(name, READINGS)
    spark.sql("CREATE TABLE dev.main._gatehouse_staging_1 AS SELECT 1 AS left_by_a_killed_process")
    spark.range(1).createOrReplaceTempView("of_the_session")
    assert port.schemas("dev") == ("main", "other")
    assert port.names("dev", "main") == (names[0], names[1])
    assert port.names("dev", "no_such_schema") == ()
    port.drop_schema("dev", "main")
    assert spark.sql("SHOW TABLES IN dev.main").where("not isTemporary").collect() == []


@pytest.mark.slow
def test_the_mirror_is_masked_and_other_masks_leave_none_of_what_it_showed(
    spark: SparkSession, weather: Lakehouse, raw: Raw
) -> None:
    for place in ("prod.temperature", "prod.temperature_mirror"):
        spark.sql(f"DROP SCHEMA IF EXISTS {place} CASCADE")
        spark.sql(f"CREATE SCHEMA {place}")
    unity = UnityTables(spark, writable=[("prod", "temperature"), ("prod", "temperature_mirror")])
    lakehouse = weather.environment("dev", sources_from="prod", source="mirror")

    def prod(mask: str | None) -> Context:
        [source] = lakehouse.world.project.sources
        columns = tuple(
            replace(column, sensitive=True, mask=mask) if mask and column.name == "airport" else column
            for column in source.table.columns
        )
        masking = lakehouse.declaring(sources=(replace(source, table=replace(source.table, columns=columns)),))
        return replace(masking.at("2013-06-01"), tables=unity)

    def shown() -> list[tuple[str, float]]:
        rows = unity.read(TableName("prod", "temperature_mirror", "daily_weather"))
        return sorted((row["airport"], row["temperature"]) for row in rows.collect())

    raw.put(1, 11.0)
    raw.put(1, 21.0, airport="LGA")
    ingest(prod(None))
    assert [(result.inserted, result.updated) for result in mirror(prod(None))] == [(2, 0)]
    assert shown() == [("JFK", 11.0), ("LGA", 21.0)]

    masked = prod("upper(substr(airport, 2))")
    assert [(result.inserted, result.updated) for result in mirror(masked)] == [(2, 0)]
    assert [(result.inserted, result.updated) for result in mirror(masked)] == [(0, 0)]
    assert shown() == [("FK", 11.0), ("GA", 21.0)]
    assert unity.version(TableName("prod", "temperature_mirror", "daily_weather")) <= 1  # a table of its own again


def test_a_feature_table_has_a_key_that_the_catalog_knows_with_its_moment(spark: SparkSession, tables: Open) -> None:
    features = Table(
        name="punctuality",
        description='How late carriers were; it\'s \\ "theirs" -- not ours\n; DROP TABLE x; ümlaut',
        owner="o'hara",
        columns=(
            Column(name="carrier", type="string", description="it's the 'code'", nullable=False),
            Column(name="known_at", type="timestamp", description="\\", unit="UTC", nullable=False),
            Column(name="delay", type="double", description="", unit="min'ute"),
        ),
        primary_key=("carrier", "known_at"),
        known_at="known_at",
    )
    name = TableName("dev", "main", "punctuality")
    port = tables()
    port.create(name, features)
    found = port.declaration(name)
    assert (found.description, found.owner, found.primary_key) == (
        features.description,
        "o'hara",
        ("carrier", "known_at"),
    )
    assert [(c.description, c.unit) for c in found.columns] == [
        ("it's the 'code'", None),
        ("\\", "UTC"),
        ("", "min'ute"),
    ]
    properties = spark.sql("DESCRIBE DETAIL dev.main.punctuality").collect()[0]["properties"]
    assert properties["emulated.primaryKey"] == "carrier, known_at TIMESERIES"
    port.create(name, features)
    assert port.version(name) == 0


def test_a_key_that_may_be_null_is_kept_by_the_port_and_not_told_to_the_catalog(
    spark: SparkSession, tables: Open
) -> None:
    loose = replace(READINGS, columns=(replace(READINGS.columns[0], nullable=True), *READINGS.columns[1:]))
    port = tables()
    port.create(NAME, loose)
    properties = spark.sql("DESCRIBE DETAIL dev.main.readings").collect()[0]["properties"]
    assert "emulated.primaryKey" not in properties
    assert port.declaration(NAME).primary_key == ("sensor",)


def test_what_was_made_append_only_refuses_every_other_change(
    port: UnityTables, frame: Callable[..., DataFrame]
) -> None:
    port.append(NAME, frame((1, at(0), 5.0)))
    port.append_only(NAME)
    port.append_only(NAME)
    version = port.append(NAME, frame((2, at(0), 6.0)))
    for metadata in (None, {"run": "1"}):
        with pytest.raises(AccessDenied, match="append-only"):
            port.merge(NAME, frame((1, at(0), 7.0)), keys=["sensor"], metadata=metadata)
    assert port.version(NAME) == version == 3
    assert_rows(port.read(NAME), frame((1, at(0), 5.0), (2, at(0), 6.0)))


@pytest.mark.parametrize("metadata", [None, {"run": "1"}], ids=["by MERGE", "with metadata"])
def test_a_merge_leaves_what_is_not_declared_as_it_is_and_no_staging_behind(
    spark: SparkSession, port: UnityTables, frame: Callable[..., DataFrame], metadata: dict[str, str] | None
) -> None:
    port.append(NAME, frame((1, at(1), 1.0), (2, at(2), 2.0), (3, at(3), None)))
    spark.sql("ALTER TABLE dev.main.readings ADD COLUMNS (odd_name string)")
    spark.sql("UPDATE dev.main.readings SET odd_name = 'kept'")
    before = port.version(NAME)
    rows = frame((1, at(1), 1.0), (2, at(2), 9.0), (4, at(4), 4.0))
    assert port.merge(NAME, rows, keys=["sensor"], metadata=metadata) == before + 1
    assert port.merge(NAME, rows, keys=["sensor"], metadata=metadata) == before + 1
    assert port.history(NAME)[0].metadata == (metadata or {})
    expected = [(1, at(1), 1.0, "kept"), (2, at(2), 9.0, "kept"), (3, at(3), None, "kept"), (4, at(4), 4.0, None)]
    schema = "sensor bigint, known_at timestamp, value double, odd_name string"
    assert_rows(port.read(NAME), spark.createDataFrame(expected, schema))
    assert [row.tableName for row in spark.sql("SHOW TABLES IN dev.main").where("not isTemporary").collect()] == [
        "readings"
    ]


def test_a_table_that_somebody_made_in_sql_can_be_read_and_taken_over(
    spark: SparkSession, tables: Open, frame: Callable[..., DataFrame]
) -> None:
    spark.sql("CREATE TABLE dev.main.readings (sensor bigint, known_at timestamp, value double) USING DELTA")
    port = tables()
    found = port.declaration(NAME)
    assert (found.owner, found.primary_key, found.description) == ("", (), "")
    port.create(NAME, READINGS)
    assert port.declaration(NAME).columns[2].unit == "degree Celsius"
    port.append(NAME, frame((1, at(0), 5.0)))
    assert_rows(port.read(NAME), frame((1, at(0), 5.0)))


def test_tables_outlive_the_session_that_wrote_them(
    spark_server: SparkServer, port: UnityTables, frame: Callable[..., DataFrame]
) -> None:
    port.append(NAME, frame((1, at(0), 5.0)))
    with session(spark_server.remote) as other:
        assert UnityTables(other, writable=[]).read(NAME).count() == 1
        assert other.sql("SELECT count(*) FROM dev.main.readings").collect()[0][0] == 1


def test_what_the_catalog_does_not_grant_is_denied_though_the_session_meant_to_write_it(
    spark: SparkSession, owner: SparkSession, frame: Callable[..., DataFrame]
) -> None:
    place, name = ("closed", "main"), TableName("closed", "main", "readings")
    owner.sql("CREATE SCHEMA IF NOT EXISTS closed.main")
    theirs, mine = UnityTables(owner, writable=[place]), UnityTables(spark, writable=[place])
    theirs.create(name, READINGS)
    for write in contract.WRITES.values():
        with pytest.raises(AccessDenied, match="INSUFFICIENT_PERMISSIONS"):
            write(mine, name, frame((1, at(0), 5.0)))  # type: ignore[arg-type]
    with pytest.raises(AccessDenied, match="INSUFFICIENT_PERMISSIONS"):
        mine.create(TableName("closed", "main", "other"), READINGS)
    with pytest.raises(AccessDenied, match="INSUFFICIENT_PERMISSIONS"):
        mine.drop_schema(*place)
    assert mine.version(name) == 0


def test_a_catalog_or_schema_that_is_not_there_is_told_as_such(spark: SparkSession) -> None:
    port = UnityTables(spark, writable=[("nowhere", "main"), ("dev", "nowhere")])
    with pytest.raises(StateError, match="no catalog nowhere"):
        port.read(TableName("nowhere", "main", "readings"))
    with pytest.raises(StateError, match="no catalog nowhere"):
        port.create(TableName("nowhere", "main", "readings"), READINGS)
    with pytest.raises(StateError, match="nowhere"):
        port.create(TableName("dev", "nowhere", "readings"), READINGS)
    with pytest.raises(TableNotFound):
        port.version(TableName("dev", "nowhere", "readings"))
    assert port.exists(TableName("dev", "nowhere", "readings")) is False


@pytest.mark.slow
def test_of_writers_of_one_key_exactly_one_inserts(
    spark_server: SparkServer, port: UnityTables, frame: Callable[..., DataFrame]
) -> None:
    rounds = 3

    def write(number: int) -> list[bool]:
        with session(spark_server.remote) as other:
            return _inserts(other, number, rounds)

    with ThreadPoolExecutor(2) as writers:
        inserted = list(writers.map(write, [1, 2]))
    assert [sum(of_round) for of_round in zip(*inserted, strict=True)] == [1] * rounds
    assert port.read(NAME).count() == rounds


def _inserts(spark: SparkSession, writer: int, rounds: int) -> list[bool]:
    port = UnityTables(spark, writable=[("dev", "main")])
    rows = [spark.createDataFrame([(key, at(0), float(writer))], contract.COLUMNS) for key in range(rounds)]
    return [port.insert(NAME, row, keys=["sensor"]) for row in rows]


@pytest.mark.slow
def test_writers_that_merge_at_once_lose_no_row(
    spark_server: SparkServer, port: UnityTables, frame: Callable[..., DataFrame]
) -> None:
    port.append(NAME, frame((0, at(0), 0.0)))

    def write(writer: int) -> None:
        with session(spark_server.remote) as other:
            mine = UnityTables(other, writable=[("dev", "main")])
            for number in range(3):
                rows = other.createDataFrame(
                    [(0, at(number), writer + 1.0), (1 + 2 * number + writer, at(0), 1.0)], contract.COLUMNS
                )
                mine.merge(NAME, rows, keys=["sensor"], metadata={"writer": str(writer)} if writer else None)

    with ThreadPoolExecutor(2) as writers:
        list(writers.map(write, [0, 1]))
    assert sorted(row.sensor for row in port.read(NAME).collect()) == [0, 1, 2, 3, 4, 5, 6]
