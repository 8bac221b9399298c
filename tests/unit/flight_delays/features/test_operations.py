"""Operations of the last hours: what is counted, in which half hour, and until when."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from chispa import assert_df_equality

from flight_delays.features.operations import Measure, OperationsConfig, operations
from gatehouse.project import Window

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

ALL_MAY = Window(start=datetime(2013, 5, 1, tzinfo=UTC), end=datetime(2013, 6, 1, tzinfo=UTC))


def at(clock: str, day: int = 6) -> datetime:
    return datetime.fromisoformat(f"2013-05-{day:02d} {clock}+00:00")


def measured(
    spark: SparkSession, found: DataFrame, measure: Measure, rows: list[tuple[datetime, float | None]]
) -> None:
    expected = spark.createDataFrame(
        [("JFK", *row) for row in rows], f"origin string, known_at timestamp, origin_{measure} double"
    )
    assert_df_equality(found, expected, ignore_nullable=True, ignore_row_order=True)


def of(measure: Measure, **differing: Any) -> OperationsConfig:
    return OperationsConfig(by="origin", measures=(measure,), **differing)


def test_departures_are_counted_from_the_half_hour_they_were_scheduled_in(
    spark: SparkSession, flights: Callable[..., DataFrame]
) -> None:
    scheduled = flights(("2013-05-06 12:00", {}), ("2013-05-06 12:01", {}), ("2013-05-06 12:59", {}))

    found = operations(scheduled, ALL_MAY, of(Measure.DEPARTURES))

    measured(
        spark,
        found,
        Measure.DEPARTURES,
        [(at("12:00"), 1.0), (at("12:30"), 2.0), (at("13:00"), 2.0)],
    )


def test_recent_delay_is_the_mean_of_the_landings_of_the_last_two_hours(
    spark: SparkSession, flights: Callable[..., DataFrame]
) -> None:
    def landed(known_at: str, delay: float) -> dict[str, Any]:
        return {"outcome": "arrived", "arrival_delay_minutes": delay, "outcome_known_at": known_at}

    known = flights(
        ("2013-05-06 10:00", landed("2013-05-06 12:10", 10.0)),
        ("2013-05-06 10:01", landed("2013-05-06 12:30", 30.0)),
        ("2013-05-06 10:02", landed("2013-05-06 14:01", -5.0)),  # 12:30 is not in the two hours up to 14:30
        ("2013-05-06 10:03", {"outcome": "cancelled", "outcome_known_at": "2013-05-06 14:03"}),
        ("2013-05-03 10:04", landed("2013-05-06 14:04", 5000.0)),  # took more than three days
    )

    found = operations(known, ALL_MAY, of(Measure.RECENT_DELAY))

    measured(spark, found, Measure.RECENT_DELAY, [(at("12:30"), 20.0), (at("14:30"), -5.0)])


def test_a_flight_is_overdue_from_its_scheduled_arrival_to_its_landing_and_for_six_hours_at_most(
    spark: SparkSession, flights: Callable[..., DataFrame]
) -> None:
    known = flights(
        # Scheduled for 6 hours each: due at 12:00, 12:00 and 12:10.
        ("2013-05-06 06:00", {"outcome": "arrived", "outcome_known_at": "2013-05-06 13:20"}),
        ("2013-05-06 06:00", {"outcome": "arrived", "outcome_known_at": "2013-05-06 11:40"}),  # early
        ("2013-05-06 06:10", {}),
    )

    found = operations(known, ALL_MAY, of(Measure.OVERDUE))

    measured(
        spark,
        found,
        Measure.OVERDUE,
        [(at("12:00"), 1.0), (at("12:30"), 2.0), (at("13:30"), 1.0), (at("18:30"), 0.0)],
    )


def test_the_overdue_share_is_of_the_flights_due_in_the_last_six_hours(
    spark: SparkSession, flights: Callable[..., DataFrame]
) -> None:
    known = flights(
        ("2013-05-06 06:00", {"outcome": "arrived", "outcome_known_at": "2013-05-06 13:30"}),
        ("2013-05-06 06:10", {"outcome": "arrived", "outcome_known_at": "2013-05-06 12:10"}),
    )

    found = operations(known, ALL_MAY, of(Measure.OVERDUE_SHARE))

    measured(
        spark,
        found,
        Measure.OVERDUE_SHARE,
        [(at("12:00"), 1.0), (at("12:30"), 0.5), (at("13:30"), 0.0)],
    )


def test_the_cancelled_share_is_of_the_outcomes_of_the_last_six_hours(
    spark: SparkSession, flights: Callable[..., DataFrame]
) -> None:
    known = flights(
        ("2013-05-06 08:00", {"outcome": "cancelled", "outcome_known_at": "2013-05-06 12:00"}),
        ("2013-05-06 08:01", {"outcome": "arrived", "outcome_known_at": "2013-05-06 12:20"}),
        (
            "2013-05-06 08:02",
            {"outcome": "diverted", "departure_delay_minutes": 0.0, "outcome_known_at": "2013-05-07 08:02"},
        ),
        ("2013-05-06 10:00", {"outcome": "arrived", "outcome_known_at": "2013-05-06 18:01"}),
    )

    found = operations(known, ALL_MAY, of(Measure.CANCELLED_SHARE))

    measured(
        spark,
        found,
        Measure.CANCELLED_SHARE,
        [(at("12:00"), 1.0), (at("12:30"), 0.5), (at("18:30"), 0.0)],
    )


def test_step_and_stretch_are_configured(spark: SparkSession, flights: Callable[..., DataFrame]) -> None:
    def landed(known_at: str, delay: float) -> dict[str, Any]:
        return {"outcome": "arrived", "arrival_delay_minutes": delay, "outcome_known_at": known_at}

    known = flights(
        ("2013-05-06 08:00", landed("2013-05-06 12:05", 10.0)),
        ("2013-05-06 08:01", landed("2013-05-06 14:55", 20.0)),
        ("2013-05-06 08:02", landed("2013-05-06 15:05", 40.0)),
    )
    config = of(Measure.RECENT_DELAY, recent=timedelta(hours=3), step=timedelta(hours=1))

    found = operations(known, ALL_MAY, config)

    measured(spark, found, Measure.RECENT_DELAY, [(at("13:00"), 10.0), (at("15:00"), 15.0), (at("16:00"), 30.0)])


def test_rows_lie_in_the_window_and_look_back_before_it(spark: SparkSession, flights: Callable[..., DataFrame]) -> None:
    scheduled = flights(("2013-05-06 11:50", {}), ("2013-05-06 12:10", {}), ("2013-05-06 12:40", {}))

    window = Window(start=at("12:00"), end=at("12:30"))
    found = operations(scheduled, window, of(Measure.DEPARTURES))

    measured(spark, found, Measure.DEPARTURES, [(at("12:30"), 2.0)])


def test_keys_do_not_mix(flights: Callable[..., DataFrame]) -> None:
    scheduled = flights(("2013-05-06 12:00", {"origin": "JFK"}), ("2013-05-06 12:00", {"origin": "LGA"}))

    found = operations(scheduled, ALL_MAY, of(Measure.DEPARTURES))

    assert {r.origin: r.origin_departures_1h for r in found.collect()} == {"JFK": 1.0, "LGA": 1.0}
