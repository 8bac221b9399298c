"""What a flight brings by itself: its place in the local day and week, and its schedule."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from chispa import assert_df_equality

from flight_delays.features.schedule import schedule_features

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def test_clock_and_weekday_are_new_yorks_on_both_sides_of_daylight_saving(
    spark: SparkSession, flights: Callable[..., DataFrame]
) -> None:
    scheduled = flights(
        ("2013-03-10 04:30", {"flight_number": 1}),  # Saturday evening, standard time
        ("2013-03-10 12:00", {"flight_number": 2}),  # Sunday morning, the clocks have gone forward
        ("2013-03-11 13:05", {"flight_number": 3}),  # Monday
    )

    derived = schedule_features(scheduled).select("flight_number", "local_hour", "minute_of_day", "day_of_week")

    expected = spark.createDataFrame(
        [(1, 23, 23 * 60.0 + 30, 5.0), (2, 8, 8 * 60.0, 6.0), (3, 9, 9 * 60.0 + 5, 0.0)],
        "flight_number int, local_hour int, minute_of_day double, day_of_week double",
    )
    assert_df_equality(derived, expected, ignore_nullable=True, ignore_row_order=True)


def test_scheduled_speed_is_distance_over_the_time_from_gate_to_gate(
    spark: SparkSession, flights: Callable[..., DataFrame]
) -> None:
    scheduled = flights(
        ("2013-05-06 12:00", {"distance_miles": 1200.0, "scheduled_arrival_at": "2013-05-06 14:30"}),
        ("2013-05-06 13:00", {"distance_miles": 1200.0, "scheduled_arrival_at": "2013-05-06 13:00"}),
        ("2013-05-06 14:00", {"distance_miles": None, "scheduled_arrival_at": "2013-05-06 15:00"}),
    )

    derived = schedule_features(scheduled).select("scheduled_minutes", "scheduled_speed")

    expected = spark.createDataFrame(
        [(150.0, 480.0), (0.0, None), (60.0, None)], "scheduled_minutes double, scheduled_speed double"
    )
    assert_df_equality(derived, expected, ignore_nullable=True, ignore_row_order=True)
