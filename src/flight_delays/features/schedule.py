"""What an event itself brings: its place in the day and the week, and how generously it is scheduled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatehouse.project import Column

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

TIME_ZONE = "America/New_York"
"""Zone of all three origins: rush hours and days of the week go by the local clock."""

DERIVED = (
    Column(name="local_hour", type="int", description="Hour of scheduled departure, New York time", unit="h"),
    Column(name="minute_of_day", type="double", description="Scheduled departure, New York time", unit="min"),
    Column(name="day_of_week", type="double", description="0 is Monday, New York time"),
    Column(name="scheduled_minutes", type="double", description="Scheduled time from gate to gate", unit="min"),
    Column(name="scheduled_speed", type="double", description="Distance over schedule: low means slack", unit="mph"),
)


def schedule_features(flights: DataFrame) -> DataFrame:
    """The flights with the columns of `DERIVED`, one row per flight."""
    from pyspark.sql import functions as F

    local = F.from_utc_timestamp("scheduled_at", TIME_ZONE)
    seconds = F.unix_seconds("scheduled_arrival_at") - F.unix_seconds("scheduled_at")
    return (
        flights.withColumn("local_hour", F.hour(local).cast("int"))
        .withColumn("minute_of_day", (F.hour(local) * 60 + F.minute(local)).cast("double"))
        # Not `weekday`, which is -1 on Sundays on Sail 0.7. Sunday is 1 here, so that 5 more makes it 6 modulo 7.
        .withColumn("day_of_week", F.pmod(F.dayofweek(local) + 5, F.lit(7)).cast("double"))
        .withColumn("scheduled_minutes", seconds.cast("double") / 60.0)
        .withColumn("scheduled_speed", F.col("distance_miles") / F.nullif(seconds.cast("double") / 3600.0, F.lit(0.0)))
    )
