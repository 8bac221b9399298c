"""Whether a champion has become worse is said of enough days, beyond a threshold and beyond chance."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from gatehouse.project import ROC_AUC, Project
from gatehouse.reports.accuracy import BY_CHANCE, SHORTFALL, UNITS, Accuracy, accuracy_of, read_figures
from gatehouse.reports.alerts import KEYS, causes, issue_of
from gatehouse.reports.inputs import State
from gatehouse.reports.readings import Measurement, Readings, Registered
from gatehouse.settings import MonitoringFile

LIMIT = MonitoringFile(accuracy_alert=0.05, accuracy_units=14)
WORSE = Accuracy(worse=0.0725, by_chance=0.04, units=28)


@pytest.mark.parametrize(
    ("found", "thresholds", "state"),
    [
        (WORSE, LIMIT, State.ALERT),
        (replace(WORSE, worse=0.05), LIMIT, State.FINE),
        (replace(WORSE, worse=-1.0), LIMIT, State.FINE),
        (replace(WORSE, by_chance=0.0725), LIMIT, State.FINE),
        (replace(WORSE, units=14), LIMIT, State.ALERT),
        (replace(WORSE, units=13), LIMIT, State.UNKNOWN),
        (replace(WORSE, units=13), MonitoringFile(accuracy_alert=0.05, accuracy_units=13), State.ALERT),
        (replace(WORSE, by_chance=None), LIMIT, State.UNKNOWN),
        (WORSE, MonitoringFile(accuracy_alert=0.08), State.FINE),
        (WORSE, MonitoringFile(), State.UNKNOWN),
    ],
)
def test_what_the_thresholds_make_of_it(found: Accuracy, thresholds: MonitoringFile, state: State) -> None:
    assert found.state(thresholds) is state


def test_the_sentence_has_the_numbers_that_decide(project: Project) -> None:
    assert WORSE.sentence(project, LIMIT) == (
        "log_loss is 0.0725 nats worse than on the hold-out it was let through with, over 28 days with labels; "
        "chance explains 0.0400, and the alert begins at 0.0500."
    )
    seconds = replace(project, primary_metric=replace(ROC_AUC, unit="seconds"), guardrail_metrics=())
    assert WORSE.sentence(seconds, LIMIT).startswith("roc_auc is 0.0725 seconds worse than")


def test_figures_are_read_as_monitoring_writes_them() -> None:
    assert read_figures({SHORTFALL: 0.0725, BY_CHANCE: 0.04, UNITS: 28.0}) == WORSE
    assert read_figures({SHORTFALL: 0.1, BY_CHANCE: None, UNITS: 3.0}) == Accuracy(worse=0.1, by_chance=None, units=3)
    assert read_figures({"log_loss": 0.5}) is None


def test_somebody_is_called_about_the_champion_and_told_who_decides(
    project: Project,
    measured: Callable[..., Measurement],
    registered: Callable[..., Registered],
    readings: Callable[..., Readings],
) -> None:
    def figures(version: str) -> Iterator[Measurement]:
        for name, value in ((SHORTFALL, 0.0725), (BY_CHANCE, 0.04), (UNITS, 28.0)):
            yield measured(name, value, subject="log_loss", version=version)

    here = readings(versions=(registered("2"), registered("1", "champion")), measurements=tuple(figures("1")))
    other = replace(here, measurements=tuple(figures("2")))

    (cause,) = causes(project, LIMIT, here, ())

    assert (cause.key, cause.facts) == ("accuracy", (f"Version 1: {WORSE.sentence(project, LIMIT)}",))
    assert cause.key in KEYS
    assert accuracy_of(other, "2") == WORSE
    assert causes(project, LIMIT, other, ()) == causes(project, MonitoringFile(), here, ()) == ()
    title, body = issue_of(cause, here, ("anna",), run="")
    assert title == "prod: the champion predicts worse than when it was let through"
    assert "Who decides (approval in conf/promotion.yml): anna." in body
    assert "`gatehouse release --env prod`, `gatehouse rollback --env prod --reason ...`" in body
