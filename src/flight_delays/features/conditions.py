"""What is looked up rather than summed: the weather, the aircraft, and where the aircraft comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flight_delays.features import OUTCOME_LIMIT
from flight_delays.tables import ARRIVED
from gatehouse.project import Window

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def origin_weather(weather: DataFrame, window: Window) -> DataFrame:
    """Observations as features: one row per airport and observation, known when it was made."""
    from pyspark.sql import functions as F

    return weather.where(_within("observed_at", window)).select(
        "origin",
        F.col("observed_at").alias("known_at"),
        F.col("temperature_f").alias("temperature"),
        (F.col("temperature_f") - F.col("dew_point_f")).alias("dew_point_spread"),
        F.col("wind_speed_mph").alias("wind_speed"),
        F.col("wind_gust_mph").alias("wind_gust"),
        F.col("precipitation_in").alias("precipitation"),
        F.col("pressure_hpa").alias("pressure"),
        F.col("visibility_mi").alias("visibility"),
    )


def aircraft(planes: DataFrame, window: Window) -> DataFrame:
    """Size and age: one row per aircraft, known since the snapshot of the register. Age in years at the snapshot."""
    from pyspark.sql import functions as F

    return planes.where(_within("registered_at", window)).select(
        "tail_number",
        F.col("registered_at").alias("known_at"),
        F.col("seats").cast("double").alias("aircraft_seats"),
        (F.year("registered_at") - F.col("year_built")).cast("double").alias("aircraft_age"),
    )


def aircraft_rotation(flights: DataFrame, window: Window) -> DataFrame:
    """How late an aircraft landed: one row per aircraft and landing, known then; delay in minutes.

    Only flights out of New York are in the data. An aircraft that landed late is late for its flight back, and for the
    next one out.
    """
    from pyspark.sql import functions as F

    landed = flights.where(
        (F.col("outcome") == ARRIVED)
        & F.col("tail_number").isNotNull()
        & (F.col("outcome_known_at") <= F.col("scheduled_at") + F.lit(OUTCOME_LIMIT))
        & _within("outcome_known_at", window)
    )
    # Two landings of one aircraft in the same minute are an error of the source; the later one is the cautious reading.
    return landed.groupBy("tail_number", F.col("outcome_known_at").alias("known_at")).agg(
        F.max("arrival_delay_minutes").alias("aircraft_last_delay")
    )


def _within(moment: str, window: Window) -> Column:
    from pyspark.sql import functions as F

    return (F.col(moment) > F.lit(window.start)) & (F.col(moment) <= F.lit(window.end))
