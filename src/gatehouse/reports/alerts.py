"""What somebody has to look at, one cause at a time: readings in, causes and their texts out. Pure.

A cause has a key, under which there is one open issue at most; what it is about stands in the text, which may change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from gatehouse.reports.accuracy import accuracy_of
from gatehouse.reports.gfm import code, escaped
from gatehouse.reports.inputs import State, drift, expectations

if TYPE_CHECKING:
    from gatehouse.project import Project
    from gatehouse.reports.readings import Readings
    from gatehouse.settings import MonitoringFile

DRIFT, ACCURACY, EXPECTATIONS, PIPELINES, CHAMPION = "drift", "accuracy", "expectations", "pipelines", "champion"
KEYS = (DRIFT, ACCURACY, EXPECTATIONS, PIPELINES, CHAMPION)
"""Every cause there can be: one that is not found any more is settled."""

LATE = timedelta(days=1)
"""How far a pipeline may lag behind as-of: runs of one day come one after the other."""
_MOST = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Cause:
    """Why somebody is called. `facts` are sentences, `remedies` commands."""

    key: str
    title: str
    facts: tuple[str, ...]
    remedies: tuple[str, ...]


def causes(
    project: Project, thresholds: MonitoringFile, readings: Readings, warnings: Sequence[str]
) -> tuple[Cause, ...]:
    """What is wrong now. `warnings` are those about the champion, as `gatehouse status` shows them."""
    env = readings.environment
    found = (
        _cause(
            DRIFT,
            "the inputs or predictions have moved away from training",
            _drifted(thresholds, readings),
            (f"gatehouse release --env {env}", f"gatehouse status --env {env}"),
        ),
        _cause(
            ACCURACY,
            "the champion predicts worse than when it was let through",
            _worsened(project, thresholds, readings),
            (f"gatehouse release --env {env}", f"gatehouse rollback --env {env} --reason ..."),
        ),
        _cause(
            EXPECTATIONS,
            "data violate an expectation that stops a pipeline",
            _violated(project, readings),
            (f"gatehouse run ingest --env {env}", f"gatehouse explore TABLE --env {env}"),
        ),
        _cause(
            PIPELINES,
            "a pipeline has not completed",
            _late(readings),
            (f"gatehouse run all --env {env}",),
        ),
        _cause(
            CHAMPION,
            "the champion is not one that went through the gates",
            warnings,
            (f"gatehouse audit verify --env {env}", f"gatehouse rollback --env {env} --reason ..."),
        ),
    )
    return tuple(cause for cause in found if cause is not None)


def issue_of(cause: Cause, readings: Readings, approvers: Sequence[str], *, run: str) -> tuple[str, str]:
    """Title and Markdown of the issue. `approvers` decide; none named: whoever did not propose."""
    title = f"{readings.environment}: {cause.title}"
    return title, "\n".join(_lines(cause, readings, approvers, run)) + "\n"


def settled(readings: Readings, *, run: str) -> str:
    """The last word on a cause that is gone."""
    seen = f", seen by {escaped(run)}" if run else ""
    return f"Gone as of {readings.as_of:%Y-%m-%d %H:%M} UTC{seen}."


def _cause(key: str, title: str, facts: Sequence[str] | Iterator[str], remedies: tuple[str, ...]) -> Cause | None:
    said = tuple(facts)
    return Cause(key=key, title=title, facts=said, remedies=remedies) if said else None


def _lines(cause: Cause, readings: Readings, approvers: Sequence[str], run: str) -> Iterator[str]:
    yield f"As of {readings.as_of:%Y-%m-%d %H:%M} UTC, in {code(f'{readings.catalog}.{readings.schema}')}:"
    yield ""
    for fact in cause.facts[:_MOST]:
        yield f"- {escaped(fact)}"
    if len(cause.facts) > _MOST:
        yield f"- and {len(cause.facts) - _MOST} more"
    yield ""
    who = ", ".join(escaped(name) for name in approvers) or "anybody but who proposed the version"
    yield f"Who decides (approval in conf/promotion.yml): {who}."
    yield ""
    yield "What may help: " + ", ".join(code(remedy) for remedy in cause.remedies) + "."
    if run:
        yield ""
        yield f"Found by {escaped(run)}. This text is brought up to date, and the issue closed, by `gatehouse alert`."


def _drifted(thresholds: MonitoringFile, readings: Readings) -> Iterator[str]:
    """Of the champion's columns: beyond the threshold, and beyond what ordinary windows show."""
    for found in drift(readings, thresholds, readings.champion.version) if readings.champion else ():
        if found.state is State.ALERT:
            yield (
                f"{found.column}: population stability index {found.psi:.2f}; "
                f"the alert begins at {thresholds.drift_alert:g}."
            )


def _worsened(project: Project, thresholds: MonitoringFile, readings: Readings) -> Iterator[str]:
    champion = readings.champion
    found = accuracy_of(readings, champion.version) if champion else None
    if champion is not None and found is not None and found.state(thresholds) is State.ALERT:
        yield f"Version {champion.version}: {found.sentence(project, thresholds)}"


def _violated(project: Project, readings: Readings) -> Iterator[str]:
    for e in expectations(project, readings):
        if e.state is State.ALERT:
            yield f"{e.table}.{e.name}: {e.violations:,} of {e.rows_checked:,} rows. {e.reason}"


def _late(readings: Readings) -> Iterator[str]:
    """Pipelines that have run before, and not for the moment that the environment has reached."""
    for pipeline in ("ingest", "features", "inference", "monitoring"):
        moments = [c.as_of for c in readings.completed if c.pipeline == pipeline]
        if moments and readings.as_of - max(moments) > LATE:
            yield (
                f"{pipeline} has completed for {max(moments):%Y-%m-%d %H:%M} UTC last, "
                f"and {readings.environment} stands at {readings.as_of:%Y-%m-%d %H:%M}."
            )
