from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from gatehouse.project import Project
from gatehouse.reports.inputs import (
    Drift,
    Expected,
    SourceRows,
    State,
    drift,
    drift_scale,
    expectations,
    source_rows,
    volume,
)
from gatehouse.reports.readings import Checked, Completed, Measurement, Readings, Scored
from gatehouse.settings import MonitoringFile

Make = Callable[..., Measurement]
Read = Callable[..., Readings]


def test_columns_come_by_their_distance_and_the_unmeasured_last(
    thresholds: MonitoringFile, measured: Make, readings: Read
) -> None:
    here = readings(
        measurements=(
            measured("drift_psi", None, subject="empty", rows=0),
            measured("drift_psi", 0.05, subject="still"),
            measured("missing_rate", 0.25, subject="still"),
            measured("drift_psi", 0.2, subject="predictions"),
            measured("drift_psi", 5.0, subject="wild"),
            measured("drift_usual", 0.3, subject="wild"),
            measured("drift_psi", 9.0, subject="of another version", version="2"),
        )
    )

    found = drift(here, thresholds, "1")

    assert found == (
        Drift(
            column="wild",
            is_prediction=False,
            psi=5.0,
            usual=0.3,
            missing_rate=None,
            rows=100,
            state=State.ALERT,
            length=100.0,
            beyond=True,
        ),
        Drift(
            column="predictions",
            is_prediction=True,
            psi=0.2,
            usual=None,
            missing_rate=None,
            rows=100,
            state=State.WATCH,
            length=20.0,
            beyond=False,
        ),
        Drift(
            column="still",
            is_prediction=False,
            psi=0.05,
            usual=None,
            missing_rate=0.25,
            rows=100,
            state=State.FINE,
            length=5.0,
            beyond=False,
        ),
        Drift(
            column="empty",
            is_prediction=False,
            psi=None,
            usual=None,
            missing_rate=None,
            rows=0,
            state=State.UNKNOWN,
            length=0.0,
            beyond=False,
        ),
    )


def test_a_column_exactly_at_a_threshold_has_not_passed_it(
    thresholds: MonitoringFile, measured: Make, readings: Read
) -> None:
    here = readings(measurements=tuple(measured("drift_psi", psi, subject=f"{psi}") for psi in (0.1, 0.25)))

    assert [(d.psi, d.state) for d in drift(here, thresholds, "1")] == [(0.25, State.WATCH), (0.1, State.FINE)]


def test_a_column_that_moves_no_more_than_ordinary_windows_do_is_watched(
    thresholds: MonitoringFile, measured: Make, readings: Read
) -> None:
    here = readings(
        measurements=(
            measured("drift_psi", 0.5, subject="season"),
            measured("drift_usual", 0.5, subject="season"),
            measured("drift_psi", 0.4, subject="distance"),
            measured("drift_usual", 0.3, subject="distance"),
        )
    )

    assert [(d.column, d.state) for d in drift(here, thresholds, "1")] == [
        ("season", State.WATCH),
        ("distance", State.ALERT),
    ]


@pytest.mark.parametrize(("farthest", "warning", "alert"), [(0.01, 33.3, 83.3), (0.5, 20.0, 50.0), (100.0, 10.0, 25.0)])
def test_the_scale_always_shows_both_thresholds(
    thresholds: MonitoringFile, measured: Make, readings: Read, farthest: float, warning: float, alert: float
) -> None:
    here = readings(measurements=(measured("drift_psi", farthest, subject="column"),))

    scale = drift_scale(drift(here, thresholds, "1"), thresholds)

    assert (round(scale.warning, 1), round(scale.alert, 1)) == (warning, alert)


def test_volume_adds_up_the_versions_and_takes_labels_from_the_last_measurement(
    project: Project, measured: Make, readings: Read
) -> None:
    last = measured("log_loss", 0.5, unit="2013-04-30", rows=8)
    here = readings(
        scored=(
            Scored(unit="2013-04-30", version="1", rows=10),
            Scored(unit="2013-04-30", version="2", rows=5),
            Scored(unit="2013-05-01", version="2", rows=3),
        ),
        measurements=(
            last,
            measured("log_loss", 0.5, unit="2013-04-30", rows=4, as_of=last.as_of - timedelta(days=1)),
            measured("log_loss", 0.5, unit="2013-04-30", rows=5, version="2"),
        ),
    )

    found = volume(project, here)

    assert found.rows == (("2013-05-01", 3, 0), ("2013-04-30", 15, 13))
    assert found.plot is not None
    assert "<title>Predictions by day, 2013-04-30 to 2013-05-01</title>" in found.plot


def test_without_predictions_there_is_no_volume(project: Project, readings: Read) -> None:
    assert (volume(project, readings()).plot, volume(project, readings()).rows) == (None, ())


def test_a_source_shows_its_rows_in_the_window_and_its_last_ingestion(
    project: Project, measured: Make, completed: Callable[..., Completed], readings: Read
) -> None:
    last = completed("ingest", "flights")
    here = readings(
        measurements=(measured("rows", 70.0, subject="flights", version="", rows=70),),
        completed=(last, completed("features", "flights")),
    )

    assert source_rows(project, here) == (SourceRows(name="flights", description="Departures.", rows=70, last=last),)
    assert source_rows(project, readings()) == (
        SourceRows(name="flights", description="Departures.", rows=None, last=None),
    )


def expected(**differs: object) -> Expected:
    given: dict[str, object] = {
        "table": "flights",
        "name": "distance_is_possible",
        "condition": "distance < 12500",
        "reason": "Earth.",
        "action": "warn",
        "as_of": None,
        "rows_checked": 0,
        "violations": 0,
        "violations_in_history": 0,
        "state": State.UNKNOWN,
    }
    return Expected(**{**given, **differs})  # type: ignore[arg-type]


def test_an_expectation_that_nothing_violated_is_shown_too(
    project: Project, checked: Callable[..., Checked], readings: Read
) -> None:
    last = checked(0)
    before = checked(3, as_of=last.as_of - timedelta(days=1))

    assert expectations(project, readings(checked=(before, last))) == (
        expected(as_of=last.as_of, rows_checked=100, violations_in_history=3, state=State.FINE),
    )


def test_an_expectation_that_was_never_evaluated_is_not_fine(project: Project, readings: Read) -> None:
    assert expectations(project, readings()) == (expected(),)


def test_a_run_without_new_rows_does_not_speak_for_an_expectation(
    project: Project, checked: Callable[..., Checked], readings: Read
) -> None:
    empty = checked(0, rows_checked=0)
    before = checked(3, as_of=empty.as_of - timedelta(days=1))

    assert [expectations(project, readings(checked=c)) for c in ((before, empty), (empty,))] == [
        (expected(as_of=before.as_of, rows_checked=100, violations=3, violations_in_history=3, state=State.WATCH),),
        (expected(as_of=empty.as_of, state=State.UNKNOWN),),
    ]


def test_results_of_an_expectation_that_is_gone_stay_visible(
    project: Project, checked: Callable[..., Checked], readings: Read
) -> None:
    gone = checked(2, expectation="gone", action="fail")

    assert expectations(project, readings(checked=(gone,)))[1:] == (
        expected(
            name="gone",
            condition="",
            reason="No longer declared.",
            action="fail",
            as_of=gone.as_of,
            rows_checked=100,
            violations=2,
            violations_in_history=2,
            state=State.ALERT,
        ),
    )
