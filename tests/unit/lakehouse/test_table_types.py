"""Names are plain words; conditions say exactly which rows they mean."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from gatehouse.errors import ConfigurationError
from gatehouse.lakehouse.table_types import Between, Equals, TableName, Value

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_a_name_reads_back_as_it_is_written() -> None:
    name = TableName.parse("prod.flight_delays._runs2")
    assert (name.catalog, name.schema, name.table) == ("prod", "flight_delays", "_runs2")
    assert str(name) == "prod.flight_delays._runs2"


@pytest.mark.parametrize("text", ["t", "s.t", "a.b.c.d", ""])
def test_a_name_has_three_levels(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is not the name of a table"):
        TableName.parse(text)


@pytest.mark.parametrize(
    "part", ["", "1st", "a b", "a-b", "a/b", "..", "a`b", "a'b", 'a"b', "a;b", "é", "a\n", "$a", "a\\b"]
)
def test_a_level_is_a_plain_word(part: str) -> None:
    for levels in ((part, "s", "t"), ("c", part, "t"), ("c", "s", part)):
        with pytest.raises(ConfigurationError, match="cannot be the name of a"):
            TableName(*levels)


VALUES: list[tuple[str, Value]] = [
    ("text", 'it\'s `a` "b" \\ %'),
    ("number", -(2**40)),
    ("day", date(2013, 2, 28)),
    ("moment", datetime(2013, 3, 10, 7, 30, 0, 1, tzinfo=UTC)),
    ("moment", datetime(2013, 3, 10, 2, 30, 0, 1, tzinfo=timezone(timedelta(hours=-5)))),
    ("moment", datetime(2013, 3, 10, 7, 30, 0, 1)),  # noqa: DTZ001 - taken for UTC
]


@pytest.mark.parametrize(("column", "value"), VALUES)
def test_a_value_of_any_type_finds_its_row_and_null_is_no_value(spark: SparkSession, column: str, value: Value) -> None:
    moment = datetime(2013, 3, 10, 7, 30, 0, 1, tzinfo=UTC)
    frame = spark.createDataFrame(
        [
            (1, 'it\'s `a` "b" \\ %', -(2**40), date(2013, 2, 28), moment),
            (2, "b", 1, date(2014, 1, 1), None),
            (3, None, None, None, None),
        ],
        "id int, text string, number bigint, day date, moment timestamp",
    )
    assert [r.id for r in frame.where(Equals(column, value).condition()).collect()] == [1]
    assert [r.id for r in frame.where(~Equals(column, value).condition()).orderBy("id").collect()] == [2, 3]


def test_a_stretch_leaves_out_its_start_takes_in_its_end_and_knows_no_null(spark: SparkSession) -> None:
    frame = spark.createDataFrame([(1,), (2,), (3,), (4,), (None,)], "number int")
    stretch = Between("number", after=1, until=3)
    inside = {r.number for r in frame.where(stretch.condition()).collect()}
    outside = {r.number for r in frame.where(~stretch.condition()).collect()}
    assert (inside, outside) == ({2, 3}, {1, 4, None})
    assert (str(stretch), str(Equals("number", 2))) == ("1 < number <= 3", "number = 2")
