"""What was known when: of rows, of outcomes, of features at the moment of a prediction."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from chispa import assert_df_equality

from gatehouse.lakehouse.point_in_time import join_features, sample, visible
from gatehouse.project import Column, FeatureTable, Table, Window

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def at(day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2013, 5, day, hour, minute, tzinfo=UTC)


FLIGHTS = Table(
    name="flights",
    description="One row per flight.",
    owner="ops@example.org",
    columns=(
        Column(name="flight", type="string", description="Number."),
        Column(name="scheduled_at", type="timestamp", description="Departure."),
        Column(name="delay", type="double", description="Arrival delay.", unit="min"),
        Column(name="landed_at", type="timestamp", description="Landing."),
    ),
    primary_key=("flight",),
    known_at="scheduled_at",
    late=("delay",),
    late_known_at="landed_at",
)


def test_a_later_row_is_gone_and_a_later_outcome_is_null_again(spark: SparkSession) -> None:
    schema = "flight string, scheduled_at timestamp, delay double, landed_at timestamp, note string"
    stored = spark.createDataFrame(
        [
            ("landed before", at(1), 5.0, at(1, 6), "kept"),
            ("landed now", at(1), 7.0, at(2), "kept"),
            ("in the air", at(1), 90.0, at(2, 1), "kept"),
            ("never landed", at(1), None, None, "kept"),
            ("leaves now", at(2), None, None, "kept"),
            ("leaves later", at(2, 1), None, None, "kept"),
        ],
        schema,
    )

    expected = spark.createDataFrame(
        [
            ("landed before", at(1), 5.0, at(1, 6), "kept"),
            ("landed now", at(1), 7.0, at(2), "kept"),
            ("in the air", at(1), None, None, "kept"),
            ("never landed", at(1), None, None, "kept"),
            ("leaves now", at(2), None, None, "kept"),
        ],
        schema,
    )
    assert_df_equality(visible(stored, FLIGHTS, at(2)), expected, ignore_row_order=True, ignore_nullable=True)


def test_the_same_events_are_sampled_on_every_engine(spark: SparkSession) -> None:
    flights = spark.createDataFrame(
        [(f"UA{n}", n, at(1 + n % 5, n % 24)) for n in range(60)], "flight string, number int, scheduled_at timestamp"
    )

    def chosen(fraction: float) -> list[int]:
        rows = sample(flights, ("flight", "number", "scheduled_at"), fraction)
        return sorted(r.number for r in rows.collect())

    quarter = [1, 5, 6, 14, 16, 17, 19, 22, 25, 29, 33, 47, 49, 50, 52, 55, 58]
    assert chosen(0.25) == quarter
    assert set(quarter) < set(chosen(0.5)) < set(chosen(0.9))
    assert chosen(1.0) == list(range(60))


def weather(*, max_age: timedelta | None) -> FeatureTable:
    def compute(inputs: Mapping[str, DataFrame], window: Window) -> DataFrame:
        raise NotImplementedError  # the join reads rows that were computed before

    return FeatureTable(
        table=Table(
            name="weather",
            description="One row per origin and observation.",
            owner="ops@example.org",
            columns=(
                Column(name="origin", type="string", description="Airport."),
                Column(name="observed_at", type="timestamp", description="When."),
                Column(name="wind", type="double", description="Wind.", unit="mph"),
            ),
            primary_key=("origin", "observed_at"),
            known_at="observed_at",
        ),
        inputs=(),
        compute=compute,
        join_on=("origin",),
        history=None,
        max_age=max_age,
    )


OBSERVATIONS = [
    ("JFK", at(1, 6), 1.0),
    ("JFK", at(1, 22), 2.0),
    ("JFK", at(1, 23), 3.0),
    ("JFK", at(3, 12), None),
    ("LGA", at(1, 9), 9.0),
    (None, at(1, 6), 99.0),
]
EVENTS = [
    # flight, origin, departure; predicted an hour before
    ("before the first", "JFK", at(1, 6, 59)),
    ("at the first", "JFK", at(1, 7)),
    ("long after the first", "JFK", at(1, 22, 59)),
    ("at the second of a day", "JFK", at(1, 23)),
    ("at the third of a day", "JFK", at(2, 0)),
    ("the day after", "JFK", at(2, 12)),
    ("just before it is too old", "JFK", at(2, 23, 59)),
    ("when it is too old", "JFK", at(3, 0)),
    ("at one without a value", "JFK", at(3, 13)),
    ("elsewhere", "LGA", at(1, 12)),
    ("nowhere", None, at(1, 12)),
    ("unknown", "EWR", at(1, 12)),
]


def joined(spark: SparkSession, *, max_age: timedelta | None) -> dict[str, float | None]:
    found = join_features(
        spark.createDataFrame(EVENTS, "flight string, origin string, scheduled_at timestamp"),
        [
            (
                weather(max_age=max_age),
                spark.createDataFrame(OBSERVATIONS, "origin string, observed_at timestamp, wind double"),
            )
        ],
        time="scheduled_at",
        lead=timedelta(hours=1),
    )
    assert found.columns == ["flight", "origin", "scheduled_at", "wind"]
    rows = [(r.flight, r.wind) for r in found.collect()]
    assert len(rows) == len(EVENTS)
    return dict(rows)


def test_an_event_gets_the_latest_row_known_before_its_prediction_until_it_is_as_old_as_allowed(
    spark: SparkSession,
) -> None:
    assert joined(spark, max_age=timedelta(hours=24)) == {
        "before the first": None,
        "at the first": 1.0,
        "long after the first": 1.0,
        "at the second of a day": 2.0,
        "at the third of a day": 3.0,
        "the day after": 3.0,
        "just before it is too old": 3.0,
        "when it is too old": None,
        "at one without a value": None,
        "elsewhere": 9.0,
        "nowhere": None,
        "unknown": None,
    }


def test_without_an_age_limit_the_latest_row_holds_until_the_next(spark: SparkSession) -> None:
    assert joined(spark, max_age=None) == {
        "before the first": None,
        "at the first": 1.0,
        "long after the first": 1.0,
        "at the second of a day": 2.0,
        "at the third of a day": 3.0,
        "the day after": 3.0,
        "just before it is too old": 3.0,
        "when it is too old": 3.0,
        "at one without a value": None,
        "elsewhere": 9.0,
        "nowhere": None,
        "unknown": None,
    }
