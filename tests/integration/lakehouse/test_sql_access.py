"""SQL on the embedded engine reads every table by its three-level name and writes none."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pyspark.sql import functions as F

from gatehouse.lakehouse.tables import DeltaTables, TableName
from gatehouse.project import Column, Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.engine(
    "sail"
)  # open-source Spark has no catalogs of these names: there is nothing to write to

Open = Callable[..., DeltaTables]

TABLE = Table(
    name="t",
    description="-",
    owner="-",
    columns=(
        Column(name="id", type="bigint", description="-"),
        Column(name="at", type="timestamp", description="-"),
    ),
    primary_key=("id",),
    known_at="at",
)
PROD = TableName("prod", "main", "t")
DEV = TableName("dev", "main", "t")


@pytest.fixture
def rows(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame([(1, datetime(2013, 1, 1, tzinfo=UTC))], "id bigint, at timestamp")


@pytest.fixture
def dev(tables: Open, rows: DataFrame) -> DeltaTables:
    """A session of dev, with one row in a table of dev and one in a table of prod, both readable in SQL."""
    for place in (PROD, DEV):
        port = tables((place.catalog, place.schema))
        port.create(place, TABLE)
        port.append(place, rows)
    port = tables()
    port.expose("prod")
    port.expose("dev")
    return port


WRITES: dict[str, Callable[[SparkSession, DataFrame, str], object]] = {
    statement.partition("{t}")[0].strip(): lambda spark, _rows, name, s=statement: spark.sql(s.format(t=name))
    for statement in (
        "INSERT INTO {t} VALUES (2, null)",
        "INSERT OVERWRITE {t} VALUES (2, null)",
        "DELETE FROM {t}",
        "UPDATE {t} SET id = 2",
        "MERGE INTO {t} USING (SELECT 1 AS i) s ON id = s.i WHEN MATCHED THEN DELETE",
        "TRUNCATE TABLE {t}",
        "DROP TABLE {t}",
        "ALTER TABLE {t} ADD COLUMNS (more int)",
        "CREATE TABLE {t} (id int) USING delta",
        "CREATE OR REPLACE TABLE {t} (id int) USING delta",
        "CREATE TABLE {t}_new USING delta AS SELECT 1 AS id",
        "CREATE TABLE {t}_new AS SELECT 'x' AS id",
    )
} | {
    "saveAsTable append": lambda _s, rows, name: rows.write.format("delta").mode("append").saveAsTable(name),
    "saveAsTable overwrite": lambda _s, rows, name: rows.write.format("delta").mode("overwrite").saveAsTable(name),
    "saveAsTable new": lambda _s, rows, name: rows.write.format("delta").saveAsTable(f"{name}_new"),
    "saveAsTable parquet": lambda _s, rows, name: rows.write.mode("append").saveAsTable(name),
    "insertInto": lambda _s, rows, name: rows.write.insertInto(name),
    "writeTo append": lambda _s, rows, name: rows.writeTo(name).append(),
    "writeTo overwrite": lambda _s, rows, name: rows.writeTo(name).overwrite(F.lit(True)),
    "writeTo replace": lambda _s, rows, name: rows.writeTo(name).using("delta").createOrReplace(),
    "mergeInto": lambda _s, rows, name: rows.mergeInto(name, F.lit(True)).whenMatched().delete().merge(),
}


@pytest.mark.parametrize("place", [PROD, DEV], ids=str)
def test_no_statement_writes_to_a_table_past_the_port(
    spark: SparkSession,
    dev: DeltaTables,
    rows: DataFrame,
    lakehouse_root: Path,
    place: TableName,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)  # where an engine might put a table that it finds no place for

    def content() -> dict[Path, bytes]:
        return {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}

    before = content()
    got_through = []
    for name, write in WRITES.items():
        with suppress(Exception):
            write(spark, rows, str(place))
            got_through.append(name)
        assert content() == before, name
        dev.expose(place.catalog)
        assert spark.table(str(place)).select("id").collect() == [(1,)], name
    assert got_through == []
    assert [folder.name for folder in tmp_path.iterdir()] == [lakehouse_root.name]


def test_tables_columns_and_rows_that_came_later_are_seen_after_exposing_again(
    spark: SparkSession, tables: Open, dev: DeltaTables, rows: DataFrame
) -> None:
    prod = tables(("prod", "main"), ("prod", "more"))
    wider = (*TABLE.columns, Column(name="extra", type="string", description="-"))
    prod.create(PROD, Table(name="t", description="-", owner="-", columns=wider, primary_key=("id",), known_at="at"))
    later = TableName("prod", "more", "u")
    prod.create(later, TABLE)
    prod.append(PROD, rows.withColumn("extra", F.lit("x")))
    dev.expose("prod")
    assert spark.table(str(PROD)).columns == ["id", "at", "extra"]
    assert spark.table(str(PROD)).count() == 2
    assert spark.table(str(later)).count() == 0


def test_another_lakehouse_shows_its_own_tables_and_not_those_of_the_last_one(
    spark: SparkSession, dev: DeltaTables, rows: DataFrame, tmp_path: Path
) -> None:
    from gatehouse.lakehouse.session import Engine

    other = DeltaTables(spark, Engine.SAIL, tmp_path / "other", writable=[("dev", "main")])
    other.create(DEV, TABLE)
    other.expose("dev")
    other.expose("prod")
    assert spark.table(str(DEV)).count() == 0
    assert spark.sql("SHOW DATABASES IN prod").select("name").collect() == [("default",)]
    assert dev.read(DEV).count() == 1  # the first one's port is not misled
    dev.append(DEV, rows)
    assert (dev.read(DEV).count(), other.read(DEV).count()) == (2, 0)


def test_a_dropped_schema_is_gone_from_sql(spark: SparkSession, dev: DeltaTables) -> None:
    dev.drop_schema("dev", "main")
    with pytest.raises(Exception, match="not found"):
        spark.table(str(DEV)).count()
