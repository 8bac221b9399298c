"""What somebody is called for, and what they read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from gatehouse.project import Action, Project
from gatehouse.reports.alerts import Cause, causes, issue_of, settled
from gatehouse.reports.readings import Checked, Completed, Measurement, Readings, Registered
from gatehouse.settings import MonitoringFile

Make = Callable[..., Measurement]
Read = Callable[..., Readings]
Register = Callable[..., Registered]


@pytest.fixture
def strict(project: Project) -> Project:
    """Its expectation stops the pipeline."""
    (source,) = project.sources
    (expectation,) = source.table.expectations
    table = replace(source.table, expectations=(replace(expectation, action=Action.FAIL),))
    return replace(project, sources=(replace(source, table=table),))


def test_where_all_is_well_nobody_is_called(
    project: Project,
    thresholds: MonitoringFile,
    measured: Make,
    registered: Register,
    completed: Callable[..., Completed],
    readings: Read,
) -> None:
    fine = readings(
        versions=(registered("1", "champion"),),
        measurements=(measured("drift_psi", 0.25, subject="distance"), measured("drift_usual", 0.01)),
        completed=tuple(completed(p, "x") for p in ("ingest", "features", "inference", "monitoring")),
    )

    assert causes(project, thresholds, fine, ()) == ()
    assert causes(project, thresholds, readings(), ()) == ()


def test_drift_counts_beyond_the_threshold_and_beyond_what_is_usual(
    project: Project, thresholds: MonitoringFile, measured: Make, registered: Register, readings: Read
) -> None:
    here = readings(
        versions=(registered("2"), registered("1", "champion")),
        measurements=(
            measured("drift_psi", 0.26, subject="distance"),
            measured("drift_psi", 4.0, subject="predictions"),
            measured("drift_psi", 0.4, subject="season"),
            measured("drift_usual", 0.5, subject="season"),
            measured("drift_psi", None, subject="empty"),
            measured("drift_psi", 9.0, subject="of another version", version="2"),
        ),
    )

    (cause,) = causes(project, thresholds, here, ())

    assert (cause.key, cause.facts) == (
        "drift",
        (
            "predictions: population stability index 4.00; the alert begins at 0.25.",
            "distance: population stability index 0.26; the alert begins at 0.25.",
        ),
    )


def test_an_expectation_calls_if_it_stops_a_pipeline(
    project: Project, strict: Project, thresholds: MonitoringFile, checked: Callable[..., Checked], readings: Read
) -> None:
    here = readings(checked=(checked(3, action="fail"),))

    (cause,) = causes(strict, thresholds, here, ())
    assert (cause.key, cause.facts) == ("expectations", ("flights.distance_is_possible: 3 of 100 rows. Earth.",))
    assert causes(project, thresholds, readings(checked=(checked(3),)), ()) == ()


def test_a_pipeline_that_lags_more_than_a_day_behind_is_told(
    project: Project, thresholds: MonitoringFile, completed: Callable[..., Completed], readings: Read
) -> None:
    now = readings().as_of
    here = readings(
        completed=(
            completed("ingest", "flights", as_of=now - timedelta(days=9)),
            completed("ingest", "planes", as_of=now - timedelta(days=1)),
            completed("inference", "predictions", as_of=now - timedelta(days=1, minutes=1)),
        )
    )

    (cause,) = causes(project, thresholds, here, ())

    assert (cause.key, cause.facts) == (
        "pipelines",
        ("inference has completed for 2013-04-29 23:59 UTC last, and prod stands at 2013-05-01 00:00.",),
    )


def test_a_champion_that_nobody_let_through_is_told(
    project: Project, thresholds: MonitoringFile, readings: Read
) -> None:
    (cause,) = causes(project, thresholds, readings(), ("the alias was moved by another hand.",))

    assert (cause.key, cause.facts) == ("champion", ("the alias was moved by another hand.",))


def test_the_issue_names_who_decides_and_what_may_help(readings: Read) -> None:
    cause = Cause(
        key="drift",
        title="the inputs have moved",
        facts=("season | @octocat <b>",),
        remedies=("gatehouse status --env prod",),
    )

    title, body = issue_of(cause, readings(), ("anna@example.org", "bert"), run="https://ci.example/1")

    assert title == "prod: the inputs have moved"
    assert body.startswith("As of 2013-05-01 00:00 UTC, in `prod.main`:\n\n- season \\| @&#8203;octocat &lt;b&gt;\n")
    assert "Who decides (approval in conf/promotion.yml): anna@&#8203;example.org, bert.\n" in body
    assert "What may help: `gatehouse status --env prod`.\n" in body
    many = replace(cause, facts=tuple(f"column {n}" for n in range(23)))
    nobody = issue_of(many, readings(), (), run="")[1]
    assert "anybody but who proposed the version" in nobody
    assert "- and 3 more\n" in nobody
    assert "Found by" not in nobody
    assert settled(readings(), run="") == "Gone as of 2013-05-01 00:00 UTC."
