"""Where Sail is silently wrong, pinned: what the table port and `sample` work around.

A test that fails here after an upgrade is good news: the workaround that its docstring names may be looked at again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from deltalake import DeltaTable
from pyspark.sql import functions as F

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.engine("sail")

Numbers = Callable[..., "DataFrame"]


@pytest.fixture
def numbers(spark: SparkSession) -> Numbers:
    def make(*pairs: tuple[str, float]) -> DataFrame:
        return spark.createDataFrame(list(pairs), "part string, value double")

    return make


@pytest.fixture
def path(numbers: Numbers, tmp_path: Path) -> str:
    """A Delta table of two rows, partitioned, written past the port."""
    place = str(tmp_path / "table")
    numbers(("a", 1.0), ("b", 2.0)).write.format("delta").partitionBy("part").save(place)
    return place


def stored(spark: SparkSession, path: str) -> list[tuple[object, ...]]:
    rows = spark.read.format("delta").load(path).select("part", "value").collect()
    return sorted((tuple(row) for row in rows), key=repr)


def test_replace_where_by_table_name_replaces_the_whole_table(spark: SparkSession, path: str, numbers: Numbers) -> None:
    """Why the port replaces by `writeTo(..).overwrite(condition)`."""
    spark.sql("DROP TABLE IF EXISTS dev.default.pinned")
    spark.sql(f"CREATE TABLE dev.default.pinned USING delta LOCATION '{path}'")
    writer = numbers(("a", 9.0)).write.format("delta").mode("overwrite").option("replaceWhere", "part = 'a'")
    writer.saveAsTable("dev.default.pinned")
    spark.sql("DROP TABLE dev.default.pinned")
    assert stored(spark, path) == [("a", 9.0)]


def test_dynamic_partition_overwrite_replaces_the_whole_table(spark: SparkSession, path: str, numbers: Numbers) -> None:
    """Why the port has no such mode."""
    writer = numbers(("a", 9.0)).write.format("delta").mode("overwrite").option("partitionOverwriteMode", "dynamic")
    writer.save(path)
    assert stored(spark, path) == [("a", 9.0)]


def test_replace_where_takes_rows_outside_of_its_condition(spark: SparkSession, path: str, numbers: Numbers) -> None:
    """Why `replace` checks every row first."""
    writer = numbers(("b", 9.0)).write.format("delta").mode("overwrite").option("replaceWhere", "part = 'a'")
    writer.save(path)
    assert stored(spark, path) == [("b", 2.0), ("b", 9.0)]


def test_overwriting_by_condition_drops_rows_for_which_it_is_null(
    spark: SparkSession, tmp_path: Path, numbers: Numbers
) -> None:
    """Why every condition of the port asks whether the column is known."""
    place = str(tmp_path / "nulls")
    nulls = spark.createDataFrame([(None, 1.0), ("b", 2.0)], "part string, value double")
    nulls.write.format("delta").save(place)
    empty = numbers().write.format("delta").mode("overwrite").option("replaceWhere", "part = 'b'")
    empty.save(place)
    assert stored(spark, place) == []


def test_an_append_of_another_type_makes_null_of_what_does_not_cast(spark: SparkSession, path: str) -> None:
    """Why the port compares schemas before each write."""
    texts = spark.createDataFrame([("c", "x"), ("d", "1.5")], "part string, value string")
    texts.write.format("delta").mode("append").save(path)
    assert stored(spark, path)[2:] == [("c", None), ("d", 1.5)]


def test_random_numbers_repeat_with_every_batch(spark: SparkSession) -> None:
    """Why samples are taken by a hash of the key."""
    rows = 300_000
    drawn = spark.range(rows).select(F.rand(1).alias("r")).agg(F.countDistinct("r")).collect()[0][0]
    assert drawn < rows / 2


def test_a_sum_of_whole_numbers_wraps_around(spark: SparkSession) -> None:
    """Why sums that may grow are taken as double."""
    total = spark.sql("select sum(v) from values (9223372036854775807), (1) as t(v)").collect()[0][0]
    assert total == -(2**63)


def test_a_transaction_identifier_does_not_keep_a_write_from_happening_twice(
    spark: SparkSession, path: str, numbers: Numbers
) -> None:
    """Why what must not happen twice is merged by key."""
    for _ in range(2):
        writer = numbers(("c", 3.0)).write.format("delta").mode("append")
        writer.option("txnAppId", "me").option("txnVersion", 1).save(path)
    assert stored(spark, path)[2:] == [("c", 3.0), ("c", 3.0)]


def test_a_moment_in_the_future_resolves_to_the_last_version(spark: SparkSession, path: str) -> None:
    """Why the port reads by version and has no argument for a moment."""
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%d %H:%M:%S")
    reader = spark.read.format("delta").option("timestampAsOf", tomorrow)
    assert reader.load(path).count() == 2


def test_an_unknown_delta_property_is_accepted(spark: SparkSession, tmp_path: Path) -> None:
    """Why the port sets properties of its own prefix only."""
    spark.sql("DROP TABLE IF EXISTS dev.default.pinned")
    spark.sql(
        f"CREATE TABLE dev.default.pinned (a int) USING delta LOCATION '{tmp_path / 'p'}'"
        " TBLPROPERTIES ('delta.noSuchThing' = '1')"
    )
    spark.sql("DROP TABLE dev.default.pinned")
    assert DeltaTable(str(tmp_path / "p")).metadata().configuration["delta.noSuchThing"] == "1"


def test_merge_takes_no_metadata(spark: SparkSession, path: str, numbers: Numbers) -> None:
    """One reason why the port merges by replacing rows (the other: it is several times as fast)."""
    numbers(("a", 9.0)).createOrReplaceTempView("pinned_rows")
    spark.conf.set("spark.databricks.delta.commitInfo.userMetadata", json.dumps({"run": "x"}))
    try:
        spark.sql(f"MERGE INTO delta.`{path}` t USING pinned_rows s ON t.part = s.part WHEN MATCHED THEN UPDATE SET *")
    finally:
        spark.conf.unset("spark.databricks.delta.commitInfo.userMetadata")
        spark.catalog.dropTempView("pinned_rows")
    last = DeltaTable(path).history(1)[0]
    assert (last["operation"], last.get("userMetadata")) == ("MERGE", None)


def test_a_commit_file_without_a_byte_counts_as_a_commit_without_rows(
    spark: SparkSession, path: str, numbers: Numbers
) -> None:
    """Why the port takes an empty file in the log for damage."""
    numbers(("c", 3.0)).write.format("delta").mode("append").save(path)
    (Path(path) / "_delta_log" / f"{1:020}.json").write_bytes(b"")
    assert stored(spark, path) == [("a", 1.0), ("b", 2.0)]


def test_a_folder_with_a_space_is_written_under_another_name(tmp_path: Path, numbers: Numbers) -> None:
    """Why the port gives Sail a link to such a folder."""
    numbers(("a", 1.0)).write.format("delta").save(str(tmp_path / "my table"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["my%20table", "my%2520table"]
