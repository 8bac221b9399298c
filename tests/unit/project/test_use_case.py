"""A declaration that cannot be meant is refused when it is made, with the name that is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from gatehouse.errors import ConfigurationError
from gatehouse.project import (
    ACCURACY,
    BRIER,
    LOG_LOSS,
    MULTICLASS_LOG_LOSS,
    Column,
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
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

TRIPS = Table(
    name="trips",
    description="One row per trip, known when it starts.",
    owner="trams@example.org",
    columns=(
        Column(name="trip", type="string", description="Number.", nullable=False),
        Column(name="line", type="string", description="Line."),
        Column(name="starts_at", type="timestamp", description="When it starts."),
        Column(name="stops", type="int", description="How often it stops."),
        Column(name="delay", type="double", description="How late it was.", unit="min"),
        Column(name="ended_at", type="timestamp", description="When it ended."),
    ),
    primary_key=("trip",),
    known_at="starts_at",
    late=("delay",),
    late_known_at="ended_at",
)
LINES = Table(
    name="line_delays",
    description="The last delay of a line.",
    owner="trams@example.org",
    columns=(
        Column(name="line", type="string", description="Line."),
        Column(name="known_at", type="timestamp", description="When that trip ended."),
        Column(name="last_delay", type="double", description="How late it was.", unit="min"),
    ),
    primary_key=("line", "known_at"),
    known_at="known_at",
)
LABEL = Label(name="late", expression="delay > 3", known_at="ended_at", description="Late by more than 3 minutes.")


def _nothing(*_: Any) -> DataFrame:
    raise NotImplementedError  # a declaration reads nothing


def declare(**differing: Any) -> Project:
    declared: Mapping[str, Any] = {
        "name": "trams",
        "description": "Will it be late?",
        "owner": "trams@example.org",
        "task": Task.BINARY,
        "sources": (Source(table=TRIPS, extract=_nothing),),
        "feature_tables": (_feature_table(LINES),),
        "events": Events(
            table="trips",
            time="starts_at",
            derive=_nothing,
            derived=(Column(name="hour", type="string", description="Hour, for the baseline."),),
        ),
        "label": LABEL,
        "features": ("stops", "last_delay"),
        "estimator": None,
        "baseline": GroupMean(columns=("line", "hour")),
        "primary_metric": LOG_LOSS,
        "guardrail_metrics": (BRIER,),
        "unit": Unit(name="day", expression="date(starts_at)"),
        "slices": (Slice(name="line", expression="line"),),
        **differing,
    }
    return Project(**declared)


def _text(name: str) -> Column:
    return Column(name=name, type="string", description="Text.")


def _renamed(old: str, new: str) -> Table:
    return replace(TRIPS, columns=tuple(replace(c, name=new) if c.name == old else c for c in TRIPS.columns))


def _feature_table(table: Table) -> FeatureTable:
    return FeatureTable(
        table=table,
        inputs=("trips",),
        compute=_nothing,
        join_on=("line",),
        history=timedelta(days=1),
        max_age=timedelta(days=1),
    )


def events_of(table: Table) -> dict[str, Any]:
    return {"sources": (Source(table=table, extract=_nothing),)}


def test_a_project_that_fits_together_is_accepted() -> None:
    project = declare()

    assert (project.event_table, project.metrics) == (TRIPS, (LOG_LOSS, BRIER))


@pytest.mark.parametrize(
    ("differing", "what"),
    [
        (
            {"label": replace(LABEL, known_at="starts_at")},
            "label.known_at is 'starts_at', and 'ended_at' is late_known_at of trips.",
        ),
        (
            events_of(replace(TRIPS, late=(), late_known_at=None)),
            "label.known_at is 'ended_at', and None is late_known_at of trips.",
        ),
        (
            {"label": replace(LABEL, expression="stops > 3")},
            "The label 'stops > 3' reads no late column of table trips.",
        ),
        (
            {"features": ("stops", "delay")},
            "delay is known only after the event (`late` in table trips), and a model is to read it.",
        ),
        (
            {"features": ("stops", "ended_at")},
            "ended_at is known only after the event (`late` in table trips), and a model is to read it.",
        ),
        (
            {"baseline": GroupMean(columns=("delay",))},
            "delay is known only after the event (`late` in table trips), and a model is to read it.",
        ),
        ({"features": ("stops", "line")}, "Feature line is of type string."),
        ({"features": ("stops", "starts_at")}, "Feature starts_at is of type timestamp."),
        ({"features": ("stops", "hour")}, "Feature hour is of type string."),
        ({"features": ("stops", "weather")}, "features names 'weather', which is not declared."),
        ({"features": ()}, "Project trams names no features."),
        ({"features": ("stops", "stops")}, "features: stops declared more than once."),
        (
            {"feature_tables": (_feature_table(LINES), _feature_table(replace(LINES, name="other_delays")))},
            "feature tables and events: last_delay declared more than once.",
        ),
        (
            events_of(_renamed("stops", "unit")) | {"features": ("last_delay",)},
            "events and their features: unit cannot be declared.",
        ),
        (
            events_of(_renamed("stops", "slice_line")) | {"features": ("last_delay",)},
            "events and their features: slice_line cannot be declared.",
        ),
        (
            {"events": Events(table="trips", time="starts_at", derive=_nothing, derived=(_text("event_time"),))},
            "events and their features: event_time cannot be declared.",
        ),
        (events_of(_renamed("stops", "violated")), "table trips: violated cannot be declared."),
        (events_of(replace(TRIPS, name="predictions")), "project trams, tables: predictions cannot be declared."),
        (
            {"baseline": GroupMean(columns=("line", "weekday"))},
            "baseline.columns names 'weekday', which is not declared.",
        ),
        (
            {"events": Events(table="rides", time="starts_at")},
            "events.table names 'rides', which is not declared.",
        ),
        (
            {"primary_metric": MULTICLASS_LOG_LOSS},
            "Metric multiclass_log_loss does not fit the binary task of project trams.",
        ),
        (
            {"task": Task.MULTICLASS, "primary_metric": MULTICLASS_LOG_LOSS, "guardrail_metrics": (ACCURACY,)},
            "Project trams is a multiclass task and names 0 classes.",
        ),
        ({"classes": ("on time", "late")}, "Project trams is a binary task and names 2 classes."),
    ],
)
def test_a_declaration_that_cannot_be_meant_is_refused(differing: dict[str, Any], what: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        declare(**differing)

    assert refused.value.what == what
    assert refused.value.why
    assert refused.value.remedy


def test_names_of_columns_in_a_label_may_be_in_capitals_as_everywhere_in_sql() -> None:
    assert declare(label=replace(LABEL, expression="CAST(DELAY > 3 AS INT)")).label.expression


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (
            lambda: Column(name="delay", type="float", description="Delay."),  # type: ignore[arg-type]
            "Column delay has the type 'float'.",
        ),
        (lambda: replace(TRIPS, primary_key=()), "Table trips has no primary key."),
        (
            lambda: replace(TRIPS, late_known_at=None),
            "Table trips declares one of `late` and `late_known_at` without the other.",
        ),
        (lambda: replace(TRIPS, known_at="start"), "known_at of table trips names 'start', which is not declared."),
        (
            lambda: Slice(name="line", expression="line", required=True),
            "Slice line is required but lists no values.",
        ),
        (
            lambda: Column(name="name", type="string", description="", mask="sha2(name, 256)"),
            "Column name has a mask and is not sensitive.",
        ),
        (
            lambda: Column(name="name", type="string", description="", sensitive=True, nullable=False),
            "Column name is sensitive, is never null, and has no mask.",
        ),
    ],
)
def test_a_part_that_cannot_be_meant_is_refused(make: Callable[[], object], what: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        make()

    assert refused.value.what == what
