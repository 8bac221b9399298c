"""What an event itself brings: its place in the day and the week, and how generously it is scheduled."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

TIME_ZONE = "America/New_York"
"""Zone of all three origins: rush hours and days of the week go by the local clock."""


def schedule_features(flights: DataFrame) -> DataFrame:
    """The flights with columns derived from their schedule.

    Returns:
        One row per flight, with local_hour int in 0..23, minute_of_day double in [0, 1440), day_of_week double (0 is
        Monday), scheduled_minutes double from gate to gate, and scheduled_speed double in mph: a low one means slack.
    """
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
