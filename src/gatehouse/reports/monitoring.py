"""The monitoring pages: one for each environment, and an overview of all. Readings in, HTML out.

Everything on them comes from the readings; where there is nothing yet, the page says which command makes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from gatehouse.reports.accuracy import Accuracy, accuracy_of
from gatehouse.reports.inputs import State, drift, drift_scale, expectations, source_rows, volume
from gatehouse.reports.page import markdown, render
from gatehouse.reports.scores import Score, Window, by_slice, newest, scores, trends, window
from gatehouse.reports.wording import day

if TYPE_CHECKING:
    from gatehouse.project import Project
    from gatehouse.reports.readings import Readings, Registered
    from gatehouse.settings import MonitoringFile

INDEX = "index.html"
MOST_VERSIONS = 12
"""Older versions without an alias are counted, not shown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Headline:
    """What somebody who looks for five seconds should see.

    Attributes:
        data_age: Days between the end of the champion's training data and as-of; None if that is not on record, or
            as-of lies before it.
        primary: None without a monitoring run that had predictions.
        accuracy: The same against its hold-out, with what chance explains; None if there is nothing to compare, and
            in `stands` what the thresholds make of it.
        predictions: Of the newest window, and in `labelled` those whose label was known.
        drifted: Columns beyond the alert threshold, of `columns` measured; the farthest is `farthest`.
        violations: Of expectations in their last evaluation, of `expectations` evaluated.
    """

    window: Window | None
    champion: Registered | None
    data_age: int | None
    primary: Score | None
    accuracy: Accuracy | None
    stands: State
    predictions: int | None
    labelled: int | None
    drifted: int
    columns: int
    farthest: str
    drift: State
    violations: int
    expectations: int
    expected: State


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """What keeps the page from showing accuracy, as a sentence, and the command that comes next."""

    reason: str
    command: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One line of the overview: an environment with its headline, or the problem it could not be read for.

    `decisions` are versions that have a page which says why they were promoted or not, the newest first.
    """

    environment: str
    as_of: datetime | None = None
    headline: Headline | None = None
    problem: str = ""
    decisions: tuple[Registered, ...] = ()

    @property
    def href(self) -> str | None:
        """Address of its page, if it has one."""
        return file_name(self.environment) if self.headline else None


def file_name(environment: str) -> str:
    """The page of an environment; one that is called index does not take the overview's place."""
    return f"{environment}.html" if environment.lower() != "index" else "environment-index.html"


def headline(project: Project, thresholds: MonitoringFile, readings: Readings) -> Headline:
    """The figures at the top of a page, and of a line of the overview."""
    found = window(project, readings)
    version = found.version if found else None
    champion = readings.champion
    counted = dict.fromkeys(("predictions", "labelled"), 0)
    for m in newest(readings):
        if m.metric in counted and not m.unit:
            counted[m.metric] += m.rows
    columns = [d for d in drift(readings, thresholds, version) if d.psi is not None]
    evaluated = [e for e in expectations(project, readings) if e.as_of is not None]
    accuracy = accuracy_of(readings, version)
    age = (readings.as_of - champion.lineage.train_end).days if champion and champion.lineage else None
    return Headline(
        window=found,
        champion=champion,
        data_age=age if age is not None and age >= 0 else None,
        primary=scores(project, readings, version)[0] if version else None,
        accuracy=accuracy,
        stands=accuracy.state(thresholds) if accuracy else State.UNKNOWN,
        predictions=counted["predictions"] if found else None,
        labelled=counted["labelled"] if found else None,
        drifted=sum(d.state is State.ALERT for d in columns),
        columns=len(columns),
        farthest=columns[0].column if columns else "",
        drift=_worst([d.state for d in columns]),
        violations=sum(e.violations for e in evaluated),
        expectations=len(evaluated),
        expected=_worst([e.state for e in evaluated]),
    )


def next_step(readings: Readings, top: Headline) -> Step | None:
    """The first step on the way from nothing to accuracy that has not been made; None if all have."""
    here = f"--env {readings.environment}"
    at = f"{here} --as-of {readings.as_of:%Y-%m-%dT%H:%M}".removesuffix("T00:00")
    if not any(c.pipeline == "ingest" for c in readings.completed):
        there = at.replace(here, f"--env {readings.sources_in}")
        return Step(reason="No source has been ingested.", command=f"gatehouse run ingest {there}")
    if not readings.versions:
        return Step(reason="No version is registered.", command=f"gatehouse run training {at}")
    if not top.champion:
        return Step(
            reason="No version holds the champion alias, so nothing is scored. One of these has to be promoted:",
            command=f"gatehouse status {here}",
        )
    if not readings.scored or (top.window and not top.window.version):
        where = f"from {top.window.text}" if top.window else f"since {day(readings.since)}"
        return Step(reason=f"No event {where} has been scored.", command=f"gatehouse run inference {at}")
    if not top.window:
        return Step(reason="Nothing has been measured.", command=f"gatehouse run monitoring {at}")
    if not top.labelled:
        return Step(
            reason="No labels of the scored events are known yet. Ingest again when they are; after that:",
            command=f"gatehouse run monitoring {here}",
        )
    return None


def environment_html(
    project: Project, thresholds: MonitoringFile, readings: Readings, *, others: Sequence[tuple[str, str]]
) -> str:
    """The page of one environment. `others` are names and addresses of the pages beside it."""
    top = headline(project, thresholds, readings)
    version = top.window.version if top.window else None
    found = scores(project, readings, version)
    drifted = drift(readings, thresholds, version)
    shown = [v for n, v in enumerate(readings.versions) if n < MOST_VERSIONS or v.aliases]
    champion = top.champion
    return render(
        "environment.html.j2",
        project=project,
        readings=readings,
        thresholds=thresholds,
        others=others,
        top=top,
        trends=trends(project, readings, found, version) if version else (),
        slices=by_slice(project, readings, version) if version else (),
        drifted=drifted,
        drift_scale=drift_scale(drifted, thresholds),
        volume=volume(project, readings),
        sources=source_rows(project, readings),
        expectations=expectations(project, readings),
        versions=shown,
        older=len(readings.versions) - len(shown),
        importances=sorted(champion.importances.items(), key=lambda i: (-i[1], i[0])) if champion else [],
        card=markdown(champion.card, below=2) if champion and champion.card else None,
        next=next_step(readings, top),
        as_of=f"--env {readings.environment} --as-of {readings.as_of:%Y-%m-%dT%H:%M}".removesuffix("T00:00"),
    )


def index_html(project: Project, entries: Sequence[Entry]) -> str:
    """The overview of every environment that has data."""
    return render("index.html.j2", project=project, entries=entries)


def _worst(states: Sequence[State]) -> State:
    order = (State.UNKNOWN, State.FINE, State.WATCH, State.ALERT)
    return max(states, key=order.index, default=State.UNKNOWN)
