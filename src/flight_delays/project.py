"""The use case in one object: what is predicted, from what, how well it must do, and for whom."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from flight_delays import files, sources, tables
from flight_delays.estimator import LightGBMClassifier
from flight_delays.features import OUTCOME_LIMIT
from flight_delays.features.conditions import aircraft, aircraft_rotation, origin_weather
from flight_delays.features.operations import Measure, OperationsConfig, operations
from flight_delays.features.punctuality import PunctualityConfig, punctuality
from flight_delays.features.schedule import TIME_ZONE, schedule_features
from gatehouse.project import (
    BRIER,
    LOG_LOSS,
    ROC_AUC,
    Events,
    FeatureTable,
    GroupMean,
    Label,
    Project,
    Slice,
    Source,
    Table,
    Task,
    Unit,
    Window,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

LEAD = timedelta(hours=1)


def _punctuality(table: Table, config: PunctualityConfig) -> FeatureTable:
    def compute(inputs: Mapping[str, DataFrame], window: Window) -> DataFrame:
        return punctuality(inputs["flights"], window, config)

    return FeatureTable(
        table=table,
        inputs=("flights",),
        compute=compute,
        join_on=config.by,
        history=config.history,
        max_age=timedelta(days=2),  # published daily: one publication may fail
    )


def _operations(table: Table, config: OperationsConfig) -> FeatureTable:
    def compute(inputs: Mapping[str, DataFrame], window: Window) -> DataFrame:
        return operations(inputs["flights"], window, config)

    return FeatureTable(
        table=table,
        inputs=("flights",),
        compute=compute,
        join_on=(config.by,),
        history=config.history,
        max_age=timedelta(hours=6),
    )


def _looked_up(
    table: Table,
    source: str,
    transform: Callable[[DataFrame, Window], DataFrame],
    *,
    history: timedelta | None,
    max_age: timedelta | None,
) -> FeatureTable:
    def compute(inputs: Mapping[str, DataFrame], window: Window) -> DataFrame:
        return transform(inputs[source], window)

    return FeatureTable(
        table=table,
        inputs=(source,),
        compute=compute,
        join_on=tuple(k for k in table.primary_key if k != table.known_at),
        history=history,
        max_age=max_age,
    )


FEATURE_TABLES = (
    _punctuality(tables.CARRIER_PUNCTUALITY, PunctualityConfig(subject="carrier", by=("carrier", "origin"))),
    _punctuality(tables.DESTINATION_PUNCTUALITY, PunctualityConfig(subject="destination", by=("destination",))),
    _punctuality(tables.ORIGIN_PUNCTUALITY, PunctualityConfig(subject="origin", by=("origin",))),
    _operations(
        tables.ORIGIN_CONGESTION,
        OperationsConfig(
            by="origin",
            measures=(
                Measure.DEPARTURES,
                Measure.RECENT_DELAY,
                Measure.OVERDUE,
                Measure.CANCELLED_SHARE,
            ),
        ),
    ),
    _operations(
        tables.CARRIER_OPERATIONS,
        OperationsConfig(by="carrier", measures=(Measure.RECENT_DELAY, Measure.OVERDUE_SHARE)),
    ),
    _operations(
        tables.DESTINATION_OPERATIONS,
        OperationsConfig(by="destination", measures=(Measure.RECENT_DELAY,), recent=timedelta(hours=6)),
    ),
    _looked_up(tables.ORIGIN_WEATHER, "weather", origin_weather, history=timedelta(0), max_age=timedelta(hours=3)),
    _looked_up(tables.AIRCRAFT, "planes", aircraft, history=None, max_age=None),
    _looked_up(
        tables.AIRCRAFT_ROTATION, "flights", aircraft_rotation, history=OUTCOME_LIMIT, max_age=timedelta(hours=24)
    ),
)

FROM_SCHEDULE = ("minute_of_day", "day_of_week", "distance_miles", "scheduled_minutes", "scheduled_speed")
"""Columns of the event that the model gets; the hour is left to the baseline."""

PROJECT = Project(
    name="flight_delays",
    description="Will a flight from New York City arrive 15 minutes late or more? Predicted an hour before departure.",
    owner=tables.OWNER,
    task=Task.BINARY,
    sources=(
        # A correction of the schedule or of an outcome is seen if it arrives within two days.
        Source(table=tables.FLIGHTS, extract=sources.extract_flights, lookback=timedelta(days=2)),
        Source(table=tables.WEATHER, extract=sources.extract_weather, lookback=timedelta(days=2)),
        Source(table=tables.PLANES, extract=sources.extract_planes),
    ),
    feature_tables=FEATURE_TABLES,
    events=Events(
        table="flights",
        time="scheduled_at",
        lead=LEAD,
        derive=schedule_features,
        derived=tables.DERIVED,
    ),
    label=Label(
        name="late",
        expression=f"cast(arrival_delay_minutes >= {tables.LATE_FROM_MINUTES} AS double)",
        known_at="outcome_known_at",
        description="1 if the flight arrived 15 minutes late or more; null if it was cancelled or diverted.",
    ),
    features=(*FROM_SCHEDULE, *(f for t in FEATURE_TABLES for f in t.features)),
    estimator=LightGBMClassifier(),
    baseline=GroupMean(columns=("carrier", "local_hour")),
    primary_metric=LOG_LOSS,
    guardrail_metrics=(ROC_AUC, BRIER),
    # Weather and congestion are shared by all flights of a day, so that days, and not flights, are independent.
    unit=Unit(name="day", expression=f"cast(to_date(from_utc_timestamp(scheduled_at, '{TIME_ZONE}')) AS string)"),
    slices=(
        Slice(name="origin", expression="origin", required=True, values=tables.ORIGINS),
        Slice(name="carrier", expression="carrier"),
        Slice(
            name="time_of_day",
            expression=(
                "CASE WHEN local_hour < 12 THEN 'morning' WHEN local_hour < 17 THEN 'afternoon' ELSE 'evening' END"
            ),
        ),
    ),
    forbidden=("tail_number", "flight_number", *tables.FLIGHTS.late, "outcome_known_at"),
    intended_use=(
        "Planning ground staff and telling passengers about likely delays, an hour before scheduled departure, for "
        "scheduled passenger flights leaving Newark, Kennedy and LaGuardia."
    ),
    limitations=(
        "The data are of one year, 2013: each season occurs once. It says nothing about cancellations or diversions, "
        "which have no label. It sees an aircraft only when it leaves New York, not on its way back. The source does "
        "not say when a cancellation or a change of aircraft became known; the first is taken to be 4 hours after "
        "schedule, the second before the prediction. Not for decisions about safety, crews or compensation."
    ),
    sample=files.sample,
)
