"""How an airport or a carrier is running right now: landings, overdue flights and cancellations of the last hours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from flight_delays.features import OUTCOME_LIMIT
from flight_delays.tables import ARRIVED, CANCELLED
from gatehouse.project import Window

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


class Measure(StrEnum):
    """What is measured of a subject, and the suffix of its column."""

    DEPARTURES = "departures_1h"  # flights scheduled to leave in the last hour
    RECENT_DELAY = "recent_delay"  # mean arrival delay, in minutes, of the landings of the last `recent`
    CANCELLED_SHARE = "cancelled_share_6h"  # cancellations among the outcomes of the last 6 hours
    OVERDUE = "overdue"  # flights that should have landed in the last 6 hours and have no outcome
    OVERDUE_SHARE = "overdue_share"  # the same, as a share of all flights due in the last 6 hours


@dataclass(frozen=True, kw_only=True, slots=True)
class OperationsConfig:
    """Whose operations, and what to measure of them."""

    by: str  # key column, and prefix of the others
    measures: tuple[Measure, ...]
    recent: timedelta = timedelta(hours=2)
    step: timedelta = timedelta(minutes=30)  # time between two rows, and so how stale one may be

    @property
    def history(self) -> timedelta:
        """How far before a row's moment the schedule of a flight that counts in it may lie."""
        return OUTCOME_LIMIT + max(self.recent, _SHARES_OVER)


_SHARES_OVER = timedelta(hours=6)
_DEPARTURES_OVER = timedelta(hours=1)

_READS = {
    Measure.DEPARTURES: ("scheduled",),
    Measure.RECENT_DELAY: ("landed", "delay"),
    Measure.CANCELLED_SHARE: ("landed", "cancelled"),
    Measure.OVERDUE: ("due", "closed"),
    Measure.OVERDUE_SHARE: ("due", "closed"),
}
"""The counts behind each measure; a flight adds to each of them once, at a step of its own."""


def operations(flights: DataFrame, window: Window, config: OperationsConfig) -> DataFrame:
    """The measures at the end of each step in which one of the counts behind them changed.

    Args:
        flights: One row per flight, with its outcome where it is known.
        window: Moments to compute.
        config: Whose, and which measures.

    Returns:
        One row per key and step: `by`, known_at, and `<by>_<measure>` double for each measure; null where there was
        nothing to take a mean or a share of.
    """
    from pyspark.sql import functions as F

    known_at = F.timestamp_seconds(F.col("step") * _seconds(config.step)).alias("known_at")
    measured = _per_step(flights, config).select(
        config.by, known_at, *(_measure(m, config).alias(f"{config.by}_{m}") for m in config.measures)
    )
    return measured.where((F.col("known_at") > F.lit(window.start)) & (F.col("known_at") <= F.lit(window.end)))


def _per_step(flights: DataFrame, config: OperationsConfig) -> DataFrame:
    """Counts per key and step: one row for each step in which a count changed."""
    from pyspark.sql import functions as F

    counts = sorted({count for m in config.measures for count in _READS[m]})
    additions = _additions(config)
    exploded = flights.select(
        config.by,
        F.explode(
            F.array(
                *(
                    F.struct(
                        F.lit(count).alias("count"),
                        additions[count][0].alias("step"),
                        additions[count][1].alias("amount"),
                    )
                    for count in counts
                )
            )
        ).alias("adds"),
    ).select(config.by, "adds.count", "adds.step", "adds.amount")
    changes = exploded.where(F.col("step").isNotNull() & F.col("amount").isNotNull())
    return changes.groupBy(config.by, "step").agg(
        *(F.sum(F.when(F.col("count") == c, F.col("amount")).otherwise(0.0)).alias(c) for c in counts)
    )


def _additions(config: OperationsConfig) -> dict[str, tuple[Column, Column]]:
    """By count: the step at which a flight adds to it, and how much; null, it does not.

    A flight is overdue from the step in which it was due to the step that closes it: that of its outcome, or, failing
    that, the one 6 hours later.
    """
    from pyspark.sql import functions as F

    due, known = _step_of("scheduled_arrival_at", config), _step_of("outcome_known_at", config)
    gives_up = due + _steps(_SHARES_OVER, config)
    closed = F.greatest(due, F.least(F.coalesce(known, gives_up), gives_up))
    in_time = F.col("outcome_known_at") <= F.col("scheduled_at") + F.lit(OUTCOME_LIMIT)
    landed = in_time & (F.col("outcome") == ARRIVED)
    one = F.lit(1.0)
    return {
        "scheduled": (_step_of("scheduled_at", config), one),
        "due": (due, one),
        "closed": (closed, one),
        "landed": (known, F.when(landed, one)),
        "delay": (known, F.when(landed, F.col("arrival_delay_minutes"))),
        "cancelled": (known, F.when(in_time & (F.col("outcome") == CANCELLED), one)),
    }


def _measure(measure: Measure, config: OperationsConfig) -> Column:
    from pyspark.sql import functions as F

    def last(count: str, span: timedelta) -> Column:
        return _sum_over(count, config, steps=_steps(span, config))

    def per(total: Column, count: Column) -> Column:
        return total / F.nullif(count, F.lit(0.0))

    def overdue() -> Column:
        # A flight is in both sums or in neither, so their difference is exact wherever the history begins.
        return _sum_over("due", config, steps=None) - _sum_over("closed", config, steps=None)

    match measure:
        case Measure.DEPARTURES:
            return last("scheduled", _DEPARTURES_OVER)
        case Measure.RECENT_DELAY:
            return per(last("delay", config.recent), last("landed", config.recent))
        case Measure.CANCELLED_SHARE:
            cancelled = last("cancelled", _SHARES_OVER)
            return per(cancelled, cancelled + last("landed", _SHARES_OVER))
        case Measure.OVERDUE:
            return overdue()
        case Measure.OVERDUE_SHARE:
            return per(overdue(), last("due", _SHARES_OVER))


def _sum_over(column: str, config: OperationsConfig, *, steps: int | None) -> Column:
    """Sum over this step and the ones before it, `steps` in all; None, all there are."""
    from pyspark.sql import Window as SqlWindow
    from pyspark.sql import functions as F

    first = SqlWindow.unboundedPreceding if steps is None else 1 - steps
    span = SqlWindow.partitionBy(config.by).orderBy("step").rangeBetween(first, SqlWindow.currentRow)
    return F.sum(column).over(span)


def _step_of(moment: str, config: OperationsConfig) -> Column:
    """Number of the step that ends at the moment or next after it; null for no moment."""
    from pyspark.sql import functions as F

    return F.ceil(F.unix_micros(moment) / F.lit(_seconds(config.step) * 1_000_000.0))


def _steps(span: timedelta, config: OperationsConfig) -> int:
    return span // config.step


def _seconds(span: timedelta) -> int:
    return int(span.total_seconds())
