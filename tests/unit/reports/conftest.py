"""A small project and short ways to write down what its environment would say."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gatehouse.lakehouse.lineage import Lineage
from gatehouse.project import (
    LOG_LOSS,
    ROC_AUC,
    Action,
    Column,
    Events,
    Expectation,
    GroupMean,
    Label,
    Project,
    Slice,
    Source,
    Table,
    Task,
    Unit,
)
from gatehouse.reports.readings import Checked, Completed, Measurement, Readings, Registered
from gatehouse.settings import MonitoringFile

MAY = datetime(2013, 5, 1, tzinfo=UTC)


@pytest.fixture
def project() -> Project:
    """Delays, by log loss and ROC AUC; one feature has a name that is also markup."""
    flights = Table(
        name="flights",
        description="Departures.",
        owner="network",
        columns=(
            Column(name="id", type="string", description="Key."),
            Column(name="at", type="timestamp", description="Scheduled."),
            Column(name="<b>", type="double", description="A name that is also markup."),
            Column(name="distance", type="double", description="Miles."),
            Column(name="delay", type="double", description="Minutes."),
            Column(name="landed", type="timestamp", description="When it had landed."),
        ),
        primary_key=("id",),
        known_at="at",
        late=("delay",),
        late_known_at="landed",
        expectations=(
            Expectation(name="distance_is_possible", condition="distance < 12500", action=Action.WARN, reason="Earth."),
        ),
    )
    return Project(
        name="delays",
        description="Will it be late?",
        owner="network",
        task=Task.BINARY,
        sources=(Source(table=flights, extract=lambda _: pytest.fail("nothing is extracted for a report")),),
        feature_tables=(),
        events=Events(table="flights", time="at"),
        label=Label(name="late", expression="delay >= 15", known_at="landed", description="Late."),
        features=("<b>", "distance"),
        estimator=None,  # type: ignore[arg-type]  # a report trains nothing
        baseline=GroupMean(columns=("distance",)),
        primary_metric=LOG_LOSS,
        guardrail_metrics=(ROC_AUC,),
        unit=Unit(name="day", expression="date(at)"),
        slices=(
            Slice(name="origin", expression="origin", required=True, values=("EWR", "JFK")),
            Slice(name="carrier", expression="carrier"),
        ),
    )


@pytest.fixture
def thresholds() -> MonitoringFile:
    return MonitoringFile(drift_warning=0.1, drift_alert=0.25)


@pytest.fixture
def measured() -> Callable[..., Measurement]:
    """`measured("log_loss", 0.5)`: over the week to May by version 1, with 100 rows of the label."""

    def make(metric: str, value: float | None, **differs: Any) -> Measurement:
        as_of = differs.get("as_of", MAY)
        given = {
            "as_of": as_of,
            "window_start": as_of - timedelta(days=7),
            "window_end": as_of,
            "metric": metric,
            "subject": "late",
            "version": "1",
            "unit": "",
            "value": value,
            "rows": 100,
        }
        return Measurement(**{**given, **differs})

    return make


@pytest.fixture
def registered() -> Callable[..., Registered]:
    """`registered("1", "champion")`: trained from January to 4 March, 0.46 against 0.53 on its hold-out."""

    def make(version: str, *aliases: str, **differs: Any) -> Registered:
        lineage = Lineage(
            project="delays",
            environment="prod",
            proposer="ada",
            as_of=datetime(2013, 4, 1, tzinfo=UTC),
            train_start=datetime(2013, 1, 1, tzinfo=UTC),
            train_end=datetime(2013, 3, 4, tzinfo=UTC),
            hold_out_end=datetime(2013, 4, 1, tzinfo=UTC),
            code_commit="0123456789abcdef",
            code_digest="c0de",
            configuration_digest="c0nf",
            data_versions={"prod.main.flights": 7},
            options={"num_leaves": 31},
            seed=2013,
            training_key="key",
        )
        given = {
            "version": version,
            "aliases": aliases,
            "created_at": datetime(2013, 4, 1, 9, tzinfo=UTC),
            "lineage": lineage,
            "card": "# delays\n\n| table | version |\n|---|---|\n| flights | 7 |",
            "hold_out": {"log_loss": 0.46, "roc_auc": 0.76},
            "baseline": {"log_loss": 0.53, "roc_auc": 0.64},
            "importances": {"distance": 0.25, "<b>": 0.5},
        }
        return Registered(**{**given, **differs})

    return make


@pytest.fixture
def completed() -> Callable[..., Completed]:
    """`completed("ingest", "flights")`: 100 rows up to May."""

    def make(pipeline: str, target: str, **differs: Any) -> Completed:
        given = {
            "pipeline": pipeline,
            "target": target,
            "as_of": MAY,
            "rows": 100,
            "updated": 2,
            "quarantined": 1,
            "version": 7,
            "code": "0123456789abcdef",
            "finished_at": datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
        }
        return Completed(**{**given, **differs})

    return make


@pytest.fixture
def checked() -> Callable[..., Checked]:
    """`checked(3)`: so many violations of distance_is_possible in 100 rows, up to May."""

    def make(violations: int, **differs: Any) -> Checked:
        given = {
            "table": "flights",
            "expectation": "distance_is_possible",
            "as_of": MAY,
            "action": "warn",
            "rows_checked": 100,
            "violations": violations,
        }
        return Checked(**{**given, **differs})

    return make


@pytest.fixture
def readings() -> Callable[..., Readings]:
    """`readings(versions=(..))`: prod on 1 May 2013 with what is given, and nothing else."""

    def make(**given: Any) -> Readings:
        stands = {
            "environment": "prod",
            "sources_in": "prod",
            "catalog": "prod",
            "schema": "main",
            "as_of": MAY,
            "written_at": datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
            "since": MAY - timedelta(days=180),
        }
        return Readings(**{**stands, **given})

    return make
