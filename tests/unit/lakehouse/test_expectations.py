"""Expectations are counted in one pass, part the rows, and are never skipped in silence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from chispa import assert_df_equality
from pyspark.sql import functions as F

from gatehouse.errors import ConfigurationError, DataError, ExpectationFailed
from gatehouse.lakehouse.expectations import ExpectationCount, check, duplicate_keys, single_rows
from gatehouse.project import Action, Expectation

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

COLUMNS = "id int, value double"
Row = tuple[int | None, float | None]


def expectation(name: str, condition: str, action: Action) -> Expectation:
    return Expectation(name=name, condition=condition, action=action, reason=f"{name} matters.")


POSITIVE = expectation("positive", "value > 0", Action.QUARANTINE)
SMALL = expectation("small", "value < 100", Action.QUARANTINE)
ODD = expectation("odd", "id % 2 = 1", Action.WARN)
KNOWN = expectation("known", "value is not null", Action.FAIL)


@pytest.fixture
def rows(spark: SparkSession) -> DataFrame:
    values: list[Row] = [(1, 5.0), (2, -1.0), (3, 500.0), (4, None)]
    return spark.createDataFrame(values, COLUMNS)


def assert_rows(actual: DataFrame, expected: DataFrame) -> None:
    assert_df_equality(actual, expected, ignore_row_order=True, ignore_nullable=True)


def in_words(quarantined: DataFrame) -> DataFrame:
    """The list of violated names as text, which can be put in order on every engine."""
    assert quarantined.schema["violated"].dataType.simpleString() == "array<string>"
    return quarantined.withColumn("violated", F.concat_ws(" ", "violated"))


def count(name: str, action: Action, violations: int, *, rows_checked: int = 4) -> ExpectationCount:
    return ExpectationCount(
        table="readings", name=name, action=action, rows_checked=rows_checked, violations=violations
    )


def test_rows_are_parted_and_every_expectation_is_counted_also_where_nothing_violates_it(
    spark: SparkSession, rows: DataFrame
) -> None:
    never = expectation("never", "id < 100", Action.FAIL)
    impossible = expectation("both", "value between 0 and 100", Action.QUARANTINE)
    checked = check(rows, [POSITIVE, SMALL, impossible, ODD, never], table="readings")
    assert checked.counts == (
        count("positive", Action.QUARANTINE, 1),
        count("small", Action.QUARANTINE, 1),
        count("both", Action.QUARANTINE, 2),
        count("odd", Action.WARN, 2),
        count("never", Action.FAIL, 0),
    )
    assert_rows(checked.good, spark.createDataFrame([(1, 5.0), (4, None)], COLUMNS))
    assert_rows(
        in_words(checked.quarantined),
        spark.createDataFrame([(2, -1.0, "positive both"), (3, 500.0, "small both")], f"{COLUMNS}, violated string"),
    )


def test_without_expectations_that_quarantine_all_rows_are_good(spark: SparkSession, rows: DataFrame) -> None:
    for expectations, counts in (((), ()), ((ODD,), (count("odd", Action.WARN, 2),))):
        checked = check(rows, expectations, table="readings")
        assert checked.counts == counts
        assert_rows(checked.good, rows)
        assert_rows(in_words(checked.quarantined), spark.createDataFrame([], f"{COLUMNS}, violated string"))


def test_no_rows_are_checked_and_counted_as_none(spark: SparkSession) -> None:
    checked = check(spark.createDataFrame([], COLUMNS), [POSITIVE, KNOWN], table="readings")
    assert checked.counts == (
        count("positive", Action.QUARANTINE, 0, rows_checked=0),
        count("known", Action.FAIL, 0, rows_checked=0),
    )
    assert checked.good.count() == checked.quarantined.count() == 0


def test_rows_that_must_not_be_there_fail_with_their_number_and_up_to_three_of_them(spark: SparkSession) -> None:
    rows = spark.createDataFrame([(i, None) for i in range(5)] + [(9, 1.0)], COLUMNS)
    with pytest.raises(ExpectationFailed) as raised:
        check(rows, [POSITIVE, KNOWN], table="readings")
    message = str(raised.value)
    assert "readings violate known (value is not null): 5 of 6 rows, such as id=" in message
    assert message.count("id=") == 3
    assert "known matters. Nothing was written." in message


@pytest.mark.parametrize(
    "condition", ["valeu > 0", "value >>> (0", "value", "upper(value, 1)", "value > 0 and nosuch(id)"]
)
def test_a_condition_that_cannot_be_evaluated_is_named(rows: DataFrame, condition: str) -> None:
    wrong = expectation("wrong", condition, Action.WARN)
    with pytest.raises(ConfigurationError, match="Expectation wrong of table readings cannot be evaluated"):
        check(rows, [POSITIVE, wrong, SMALL], table="readings")


def test_a_condition_that_fails_on_a_row_is_named(rows: DataFrame) -> None:
    wrong = expectation("wrong", "id / (id - 1) > 0", Action.WARN)
    with pytest.raises(ConfigurationError, match="Expectation wrong of table readings"):
        check(rows, [POSITIVE, wrong, SMALL], table="readings")


@pytest.mark.engine("sail")  # a cold Python worker costs the JVM 12 s, and what computes once is our own code
def test_rows_are_computed_once_for_all_counts(rows: DataFrame, tmp_path: Path) -> None:
    log = str(tmp_path / "rows")

    def counted(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for batch in batches:
            with open(log, "a") as file:  # noqa: PTH123 - runs in a worker of the engine
                file.write("x" * len(batch))
            yield batch

    check(rows.mapInPandas(counted, COLUMNS), [POSITIVE, SMALL, ODD], table="readings")
    assert Path(log).read_text() == "xxxx"


@pytest.mark.parametrize("expectations", [(), (ODD,)])
@pytest.mark.parametrize(("value", "keys"), [((1, 6.0), 4), ((None, 6.0), 4)])
def test_rows_that_no_key_tells_apart_are_refused(
    spark: SparkSession, rows: DataFrame, expectations: tuple[Expectation, ...], value: Row, keys: int
) -> None:
    assert check(rows, expectations, table="readings", key=["id"]).good.count() == 4
    more = rows.unionByName(spark.createDataFrame([value], COLUMNS))
    with pytest.raises(DataError, match=rf"5 rows for readings have {keys} keys \(id\)"):
        check(more, expectations, table="readings", key=["id"])


def test_keys_that_are_repeated_or_partly_null_are_found(spark: SparkSession) -> None:
    rows = spark.createDataFrame([(1, 1.0), (1, 1.0), (1, 2.0), (None, 3.0), (2, 4.0)], COLUMNS)
    expected = spark.createDataFrame([(1, 3), (None, 1)], "id int, rows bigint")
    assert_rows(duplicate_keys(rows, ["id"]), expected)


def test_copies_of_a_row_are_one_row_and_contradictions_are_set_aside(spark: SparkSession) -> None:
    values: list[Row] = [(1, 1.0), (1, 1.0), (2, 1.0), (2, None), (3, 3.0), (None, 4.0), (None, 4.0)]
    single, contradictions = single_rows(spark.createDataFrame(values, COLUMNS), ["id"])
    assert_rows(single, spark.createDataFrame([(1, 1.0), (3, 3.0)], COLUMNS))
    assert_rows(
        contradictions,
        spark.createDataFrame(
            [(2, 1.0, "duplicate_key"), (2, None, "duplicate_key"), (None, 4.0, "null_key")],
            f"{COLUMNS}, violated string",
        ),
    )


def test_rows_with_a_key_each_are_left_as_they_are(rows: DataFrame) -> None:
    single, contradictions = single_rows(rows, ["id"])
    assert single is rows
    assert (contradictions.columns, contradictions.count()) == (["id", "value", "violated"], 0)
