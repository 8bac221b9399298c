"""What is looked up: weather, aircraft, and the aircraft's last landing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from chispa import assert_df_equality

from flight_delays.features.conditions import aircraft, aircraft_rotation, origin_weather
from flight_delays.tables import PLANES, WEATHER
from gatehouse.project import Window

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

NOON = datetime(2013, 5, 6, 12, tzinfo=UTC)
ONE = datetime(2013, 5, 6, 13, tzinfo=UTC)


def test_weather_is_known_when_it_is_observed(spark: SparkSession, rows_of: Callable[..., DataFrame]) -> None:
    observed = {
        "origin": "JFK",
        "temperature_f": 60.0,
        "dew_point_f": 57.5,
        "relative_humidity": 90.0,
        "wind_direction": 200.0,
        "wind_speed_mph": 12.0,
        "precipitation_in": 0.02,
        "pressure_hpa": 1011.0,
        "visibility_mi": 3.0,
    }
    hours = rows_of(WEATHER, [{**observed, "observed_at": f"2013-05-06 {hour}:00"} for hour in (12, 13, 14)])

    found = origin_weather(hours, Window(start=NOON, end=ONE))

    expected = spark.createDataFrame(
        [("JFK", ONE, 60.0, 2.5, 12.0, None, 0.02, 1011.0, 3.0)],
        "origin string, known_at timestamp, temperature double, dew_point_spread double, wind_speed double, "
        "wind_gust double, precipitation double, pressure double, visibility double",
    )
    assert_df_equality(found, expected, ignore_nullable=True)


def test_an_aircraft_ages_from_the_year_it_was_built(spark: SparkSession, rows_of: Callable[..., DataFrame]) -> None:
    register = rows_of(
        PLANES,
        [
            {"tail_number": "N1", "year_built": 1998, "seats": 182, "registered_at": "2013-01-01"},
            {"tail_number": "N2", "year_built": None, "seats": 55, "registered_at": "2013-01-01"},
        ],
    )
    snapshot = datetime(2013, 1, 1, tzinfo=UTC)

    found = aircraft(register, Window(start=datetime(2012, 12, 31, tzinfo=UTC), end=snapshot))

    expected = spark.createDataFrame(
        [("N1", snapshot, 182.0, 15.0), ("N2", snapshot, 55.0, None)],
        "tail_number string, known_at timestamp, aircraft_seats double, aircraft_age double",
    )
    assert_df_equality(found, expected, ignore_nullable=True, ignore_row_order=True)
    assert aircraft(register, Window(start=snapshot, end=NOON)).count() == 0


def test_an_aircraft_brings_the_delay_of_its_landing(spark: SparkSession, flights: Callable[..., DataFrame]) -> None:
    def landed(known_at: str, delay: float, tail_number: str | None = "N1") -> dict[str, object]:
        return {
            "tail_number": tail_number,
            "outcome": "arrived",
            "arrival_delay_minutes": delay,
            "outcome_known_at": known_at,
        }

    known = flights(
        ("2013-05-06 06:00", landed("2013-05-06 12:00", 10.0)),  # known at the window's start: not in it
        ("2013-05-06 06:01", landed("2013-05-06 12:01", 25.0)),
        ("2013-05-06 06:02", landed("2013-05-06 12:30", -5.0)),
        ("2013-05-06 06:03", landed("2013-05-06 12:30", 7.0)),  # the same aircraft twice in a minute
        ("2013-05-06 06:04", landed("2013-05-06 12:40", 3.0, tail_number=None)),
        ("2013-05-06 06:05", landed("2013-05-06 13:01", 99.0)),
        ("2013-05-06 06:06", {"outcome": "cancelled", "outcome_known_at": "2013-05-06 12:45"}),
        ("2013-05-03 06:07", landed("2013-05-06 12:50", 5000.0)),  # took more than three days
    )

    found = aircraft_rotation(known, Window(start=NOON, end=ONE))

    expected = spark.createDataFrame(
        [("N1", NOON.replace(minute=1), 25.0), ("N1", NOON.replace(minute=30), 7.0)],
        "tail_number string, known_at timestamp, aircraft_last_delay double",
    )
    assert_df_equality(found, expected, ignore_nullable=True, ignore_row_order=True)
