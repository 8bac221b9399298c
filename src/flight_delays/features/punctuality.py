"""How late flights were over the preceding days, published once a day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from flight_delays.features import OUTCOME_LIMIT
from flight_delays.tables import ARRIVED, LATE_FROM_MINUTES
from gatehouse.project import Window

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


@dataclass(frozen=True, kw_only=True, slots=True)
class PunctualityConfig:
    """Whose punctuality, how far back, and how much a thin history is pulled to the network's mean."""

    subject: str  # prefix of the columns
    by: tuple[str, ...]
    short_days: int = 7
    long_days: int = 28
    prior_flights: float = 20.0  # pseudo-arrivals at the mean of the whole network over the same days
    published_at: timedelta = timedelta(
        hours=8
    )  # after midnight UTC: 3 or 4 in the morning in New York, the quietest time

    @property
    def history(self) -> timedelta:
        """How far before a row's moment the schedule of a flight that counts in it may lie."""
        return timedelta(days=self.long_days) + OUTCOME_LIMIT


def punctuality(flights: DataFrame, window: Window, config: PunctualityConfig) -> DataFrame:
    """Share of late arrivals and mean delay over whole days before each publication.

    An outcome counts in the row published at P if it became known in [P - days, P). Days end at the hour of
    publication, so that sums per day are enough.

    Args:
        flights: One row per flight, with its outcome where it is known.
        window: Publications to compute.
        config: Whose, and over which days.

    Returns:
        One row per key and publication, for keys with an arrival in the long stretch: the keys, known_at,
        <subject>_late_rate_<short>d and <subject>_late_rate_<long>d double in [0, 1], <subject>_mean_delay_<long>d
        double in minutes.
    """
    from pyspark.sql import functions as F

    published = (F.col("day").cast("timestamp") + F.lit(config.published_at)).alias("known_at")
    daily = _daily(flights, config)
    counted = (
        daily.withColumn("age", F.explode(F.sequence(F.lit(1), F.lit(config.long_days))))
        .withColumn("day", F.date_add("day", F.col("age")))
        .select(*config.by, published, "age", "arrivals", "late", "delay")
        .where((F.col("known_at") > F.lit(window.start)) & (F.col("known_at") <= F.lit(window.end)))
    )
    recent = F.col("age") <= config.short_days
    sums = counted.groupBy(*config.by, "known_at").agg(
        F.sum("arrivals").alias("arrivals_long"),
        F.sum("late").alias("late_long"),
        F.sum("delay").alias("delay_long"),
        F.sum(F.when(recent, F.col("arrivals")).otherwise(0.0)).alias("arrivals_short"),
        F.sum(F.when(recent, F.col("late")).otherwise(0.0)).alias("late_short"),
    )
    rate, mean = f"{config.subject}_late_rate", f"{config.subject}_mean_delay"
    return sums.select(
        *config.by,
        "known_at",
        _shrunk("late_short", "arrivals_short", config).alias(f"{rate}_{config.short_days}d"),
        _shrunk("late_long", "arrivals_long", config).alias(f"{rate}_{config.long_days}d"),
        _shrunk("delay_long", "arrivals_long", config).alias(f"{mean}_{config.long_days}d"),
    )


def _daily(flights: DataFrame, config: PunctualityConfig) -> DataFrame:
    """Sums per key and day in which the outcome became known, with days that end at the hour of publication."""
    from pyspark.sql import functions as F

    known_at = F.col("outcome_known_at")
    arrivals = flights.where((F.col("outcome") == ARRIVED) & (known_at <= F.col("scheduled_at") + F.lit(OUTCOME_LIMIT)))
    delay = F.col("arrival_delay_minutes")
    return arrivals.groupBy(*config.by, F.to_date(known_at - F.lit(config.published_at)).alias("day")).agg(
        F.count(delay).cast("double").alias("arrivals"),
        F.sum((delay >= LATE_FROM_MINUTES).cast("double")).alias("late"),
        F.sum(delay).alias("delay"),
    )


def _shrunk(total: str, count: str, config: PunctualityConfig) -> Column:
    """Mean per arrival, pulled to the network's; null where there was no arrival to take a mean of."""
    from pyspark.sql import Window as SqlWindow
    from pyspark.sql import functions as F

    network = SqlWindow.partitionBy("known_at")
    network_mean = F.sum(total).over(network) / F.nullif(F.sum(count).over(network), F.lit(0.0))
    weight = F.col(count) + config.prior_flights
    return (F.col(total) + config.prior_flights * network_mean) / F.nullif(weight, F.lit(0.0))
