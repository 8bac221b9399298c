from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from gatehouse.project import Project
from gatehouse.reports.readings import Measurement, Readings, Registered
from gatehouse.reports.scores import MOST_VALUES, Group, Score, Sliced, by_slice, scores, trends, window

Make = Callable[..., Measurement]
Read = Callable[..., Readings]
Register = Callable[..., Registered]


def test_scores_stand_beside_the_hold_out_and_the_baseline_of_the_same_version(
    project: Project, measured: Make, registered: Register, readings: Read
) -> None:
    here = readings(
        versions=(registered("2"), registered("1", "champion", hold_out={"log_loss": 0.4}, baseline={"log_loss": 0.6})),
        measurements=(measured("log_loss", 0.5), measured("log_loss", 0.9, version="2"), measured("roc_auc", None)),
    )

    assert scores(project, here, "1") == (
        Score(
            metric="log_loss",
            unit="nats",
            greater_is_better=False,
            value=0.5,
            rows=100,
            hold_out=0.4,
            baseline=0.6,
        ),
        Score(
            metric="roc_auc",
            unit="",
            greater_is_better=True,
            value=None,
            rows=100,
            hold_out=None,
            baseline=None,
        ),
    )


@pytest.mark.parametrize(
    ("value", "greater_is_better", "said"),
    [
        (0.5, False, "0.1000 worse than on its hold-out"),
        (0.5, True, "0.1000 better than on its hold-out"),
        (0.3, False, "0.1000 better than on its hold-out"),
        (0.3, True, "0.1000 worse than on its hold-out"),
        (0.4, True, "the same as on its hold-out"),
        (None, True, ""),
    ],
)
def test_a_change_is_better_or_worse_by_the_direction_of_the_metric(
    value: float | None, greater_is_better: bool, said: str
) -> None:
    score = Score(
        metric="m", unit="", greater_is_better=greater_is_better, value=value, rows=1, hold_out=0.4, baseline=None
    )

    assert score.since_training == said


def test_the_window_is_that_of_the_last_run_and_shows_the_champion(
    project: Project, measured: Make, registered: Register, readings: Read
) -> None:
    before = measured("log_loss", 0.5)
    later = before.as_of + timedelta(days=7)
    here = readings(
        versions=(registered("10"), registered("9", "champion")),
        measurements=(before, *(measured("log_loss", 0.5, as_of=later, version=v) for v in ("9", "10"))),
    )

    found = window(project, here)

    assert found is not None
    assert (found.start, found.end, found.version) == (before.as_of, later, "9")


def test_a_window_the_champion_did_not_score_in_shows_the_newest_version_that_did(
    project: Project, measured: Make, registered: Register, readings: Read
) -> None:
    here = readings(
        versions=(registered("11", "champion"),),
        measurements=tuple(measured("log_loss", 0.5, version=v) for v in ("9", "10")),
    )

    found = window(project, here)

    assert found is not None
    assert found.version == "10"


def test_without_a_monitoring_run_there_is_no_window(project: Project, readings: Read) -> None:
    assert window(project, readings()) is None


def test_a_unit_counts_by_its_last_measurement_because_more_labels_were_known_then(
    project: Project, measured: Make, readings: Read
) -> None:
    last = measured("log_loss", 0.5, unit="2013-04-30")
    early = last.as_of - timedelta(days=1)
    here = readings(
        measurements=(
            last,
            measured("log_loss", 0.7, unit="2013-04-30", as_of=early),
            measured("log_loss", 0.6, unit="2013-04-24", as_of=early),
            measured("log_loss", None, unit="2013-04-25", as_of=early),
            measured("log_loss", 0.4, unit="2013-04-30", version="2"),
        )
    )

    first, second = trends(project, here, scores(project, here, "1"), "1")

    assert (first.lines, first.rows) == (
        ("1", "2"),
        (("2013-04-30", (0.5, 0.4)), ("2013-04-24", (0.6, None))),
    )
    assert first.plot is not None
    assert "<title>log_loss by day, 2013-04-24 to 2013-04-30</title>" in first.plot
    assert (second.score.metric, second.plot, second.rows) == ("roc_auc", None, ())


def test_a_required_group_without_rows_is_shown_as_such(project: Project, measured: Make, readings: Read) -> None:
    here = readings(
        measurements=(
            measured("log_loss", 0.5),
            measured("log_loss", 0.25, subject="origin=JFK", rows=60),
            measured("roc_auc", 0.8, subject="origin=JFK", rows=60),
            measured("log_loss", 0.75, subject="origin=LGA", rows=40),
        )
    )

    assert by_slice(project, here, "1") == (
        Sliced(
            name="origin",
            required=True,
            groups=(
                Group(value="EWR", rows=0, scores=(None, None), place=None, required=True),
                Group(value="JFK", rows=60, scores=(0.25, 0.8), place=0.0, required=True),
                Group(value="LGA", rows=40, scores=(0.75, None), place=100.0, required=False),
            ),
            low=0.25,
            high=0.75,
            whole=50.0,
            left_out=0,
        ),
    )


def test_an_informative_slice_shows_its_largest_groups_and_counts_the_others(
    project: Project, measured: Make, readings: Read
) -> None:
    sizes = range(1, MOST_VALUES + 4)
    here = readings(measurements=tuple(measured("log_loss", 0.5, subject=f"carrier={n}", rows=n) for n in sizes))

    found = {s.name: s for s in by_slice(project, here, "1")}["carrier"]

    assert [group.rows for group in found.groups] == list(reversed(sizes))[:MOST_VALUES]
    assert found.left_out == 3


def test_a_group_may_have_an_equals_sign_in_its_name(project: Project, measured: Make, readings: Read) -> None:
    here = readings(measurements=(measured("log_loss", 0.5, subject="carrier=a=b"),))

    found = {s.name: s for s in by_slice(project, here, "1")}["carrier"]

    assert [(group.value, group.place) for group in found.groups] == [("a=b", 50.0)]
