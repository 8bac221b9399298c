"""Punctuality of the preceding days: which outcomes count in which publication."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from chispa import assert_df_equality

from flight_delays.features.punctuality import PunctualityConfig, punctuality
from gatehouse.project import Window

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

BY_ORIGIN = PunctualityConfig(subject="origin", by=("origin",), short_days=1, long_days=2, prior_flights=0)
SCHEMA = (
    "origin string, known_at timestamp, "
    "origin_late_rate_1d double, origin_late_rate_2d double, origin_mean_delay_2d double"
)


def may(day: int, hour: int = 8) -> datetime:
    return datetime(2013, 5, day, hour, tzinfo=UTC)


def arrived(known_at: str, delay: float, origin: str = "JFK") -> dict[str, Any]:
    return {
        "origin": origin,
        "outcome": "arrived",
        "arrival_delay_minutes": delay,
        "outcome_known_at": known_at,
    }


def expect(spark: SparkSession, found: DataFrame, rows: list[tuple[Any, ...]]) -> None:
    assert_df_equality(found, spark.createDataFrame(rows, SCHEMA), ignore_nullable=True, ignore_row_order=True)


def test_an_arrival_counts_from_the_publication_after_it_for_as_many_days_as_asked(
    spark: SparkSession, flights: Callable[..., DataFrame]
) -> None:
    landed = flights(
        ("2013-05-06 01:00", arrived("2013-05-06 07:59", delay=14.0)),  # before the publication of the 6th
        ("2013-05-06 02:00", arrived("2013-05-06 08:00", delay=15.0)),  # at it: counts in the next one
        ("2013-05-06 12:00", arrived("2013-05-06 20:00", delay=61.0)),
    )

    found = punctuality(landed, Window(start=may(1), end=may(31)), BY_ORIGIN)

    expect(
        spark,
        found,
        [
            ("JFK", may(6), 0.0, 0.0, 14.0),
            ("JFK", may(7), 1.0, 2 / 3, 30.0),
            ("JFK", may(8), None, 1.0, 38.0),
        ],
    )


def test_only_publications_of_the_window_are_computed(spark: SparkSession, flights: Callable[..., DataFrame]) -> None:
    landed = flights(("2013-05-06 12:00", arrived("2013-05-06 20:00", delay=0.0)))

    found = punctuality(landed, Window(start=may(7), end=may(8)), BY_ORIGIN)

    expect(spark, found, [("JFK", may(8), None, 0.0, 0.0)])


def test_flights_that_did_not_arrive_or_whose_outcome_took_over_three_days_count_nowhere(
    spark: SparkSession, flights: Callable[..., DataFrame]
) -> None:
    landed = flights(
        ("2013-05-06 12:00", {"outcome": "cancelled", "outcome_known_at": "2013-05-06 16:00"}),
        (
            "2013-05-06 12:10",
            {"outcome": "diverted", "departure_delay_minutes": 5.0, "outcome_known_at": "2013-05-07 12:15"},
        ),
        ("2013-05-06 12:20", {}),  # in the air, for all that is known
        ("2013-05-03 12:30", arrived("2013-05-06 12:31", delay=4000.0)),
        ("2013-05-03 12:40", arrived("2013-05-06 12:40", delay=10.0)),
    )

    found = punctuality(landed, Window(start=may(1), end=may(7)), BY_ORIGIN)

    expect(spark, found, [("JFK", may(7), 0.0, 0.0, 10.0)])


def test_a_thin_history_is_pulled_to_the_mean_of_the_network(
    spark: SparkSession, flights: Callable[..., DataFrame]
) -> None:
    landed = flights(
        ("2013-05-06 12:00", arrived("2013-05-06 20:00", delay=30.0, origin="JFK")),
        *((f"2013-05-06 12:0{n}", arrived("2013-05-06 20:00", delay=-10.0, origin="LGA")) for n in range(3)),
    )
    config = PunctualityConfig(subject="origin", by=("origin",), short_days=1, long_days=2, prior_flights=4)

    found = punctuality(landed, Window(start=may(6), end=may(7)), config)

    # The network: one late of four, no delay on average. Four pseudo-flights of it weigh as much as LGA's and one more.
    expect(
        spark,
        found,
        [
            ("JFK", may(7), (1 + 4 / 4) / (1 + 4), (1 + 4 / 4) / (1 + 4), 30 / 5),
            ("LGA", may(7), (0 + 4 / 4) / (3 + 4), (0 + 4 / 4) / (3 + 4), -30 / 7),
        ],
    )


def test_keys_may_be_several_columns(flights: Callable[..., DataFrame]) -> None:
    landed = flights(
        ("2013-05-06 12:00", {"carrier": "UA", **arrived("2013-05-06 20:00", delay=30.0)}),
        ("2013-05-06 12:00", {"carrier": "AA", **arrived("2013-05-06 20:00", delay=-3.0)}),
    )
    config = PunctualityConfig(subject="carrier", by=("carrier", "origin"), prior_flights=0)

    found = punctuality(landed, Window(start=may(6), end=may(7)), config)

    assert found.columns == [
        "carrier",
        "origin",
        "known_at",
        "carrier_late_rate_7d",
        "carrier_late_rate_28d",
        "carrier_mean_delay_28d",
    ]
    rates = {(r.carrier, r.origin): r.carrier_late_rate_7d for r in found.collect()}
    assert rates == {("UA", "JFK"): 1.0, ("AA", "JFK"): 0.0}
