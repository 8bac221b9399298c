"""What a version was given and gave: drift, volume, rows of the sources, expectations. Readings in, values out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from gatehouse.reports.figures import volumes
from gatehouse.reports.scores import newest

if TYPE_CHECKING:
    from markupsafe import Markup

    from gatehouse.project import Expectation, Project, Table
    from gatehouse.reports.readings import Checked, Completed, Readings
    from gatehouse.settings import MonitoringFile

_PREDICTIONS = "predictions"
_SCALE = 4  # bars end at this many times the alert; what is beyond is marked, or one wild column would flatten the rest


class State(StrEnum):
    """How much a figure asks for attention, by the thresholds of conf/monitoring.yml. Unknown is never fine."""

    FINE = "fine"
    WATCH = "watch"
    ALERT = "alert"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True, slots=True)
class Drift:
    """One column. `length` is its bar in per cent of the scale, `beyond` that the bar was cut.

    `usual` is what 95 % of ordinary windows of as many units stay below (None: not measured): beyond the threshold and
    not beyond that, a column is watched, and nobody is called.
    """

    column: str
    is_prediction: bool
    psi: float | None
    usual: float | None
    missing_rate: float | None
    rows: int
    state: State
    length: float
    beyond: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class DriftScale:
    """Where the two thresholds lie, in per cent of the scale."""

    warning: float
    alert: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Volume:
    """Predictions by unit. `rows` are unit, predictions, and how many of their labels were measured; newest first."""

    plot: Markup | None
    rows: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceRows:
    """One source: rows that became known in the newest window (None: not measured), and its last ingestion."""

    name: str
    description: str
    rows: int | None
    last: Completed | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Expected:
    """One expectation: its last evaluation that had rows, and its violations in the history. No `as_of`: none ever."""

    table: str
    name: str
    condition: str
    reason: str
    action: str
    as_of: datetime | None
    rows_checked: int
    violations: int
    violations_in_history: int
    state: State


def drift(readings: Readings, thresholds: MonitoringFile, version: str | None) -> tuple[Drift, ...]:
    """Columns by their distance from training, the farthest first, those that could not be measured last."""
    current = [m for m in newest(readings) if m.version == version and not m.unit]
    missing = {m.subject: m.value for m in current if m.metric == "missing_rate"}
    usual = {m.subject: m.value for m in current if m.metric == "drift_usual"}
    top = _top(thresholds, [m.value for m in current if m.metric == "drift_psi" and m.value is not None])
    found = [
        Drift(
            column=m.subject,
            is_prediction=m.subject == _PREDICTIONS,
            psi=m.value,
            usual=usual.get(m.subject),
            missing_rate=missing.get(m.subject),
            rows=m.rows,
            state=drift_state(m.value, usual.get(m.subject), thresholds),
            length=100 * min((m.value or 0.0) / top, 1.0),
            beyond=m.value is not None and m.value > top,
        )
        for m in current
        if m.metric == "drift_psi"
    ]
    return tuple(sorted(found, key=lambda d: (d.psi is None, -(d.psi or 0.0), d.column)))


def drift_scale(found: tuple[Drift, ...], thresholds: MonitoringFile) -> DriftScale:
    """The scale that `drift` drew its bars on."""
    top = _top(thresholds, [d.psi for d in found if d.psi is not None])
    return DriftScale(warning=100 * thresholds.drift_warning / top, alert=100 * thresholds.drift_alert / top)


def volume(project: Project, readings: Readings) -> Volume:
    """Predictions of every version together."""
    predicted: Counter[str] = Counter()
    for s in readings.scored:
        predicted[s.unit] += s.rows
    labelled = {
        (m.unit, m.version): m.rows
        for m in sorted(readings.measurements, key=lambda m: m.as_of)
        if m.unit and m.metric == project.primary_metric.name and m.subject == project.label.name
    }
    known: Counter[str] = Counter()
    for (unit, _), rows in labelled.items():
        known[unit] += rows
    if not predicted:
        return Volume(plot=None, rows=())
    units = sorted(predicted, reverse=True)
    plot = volumes(
        "volume",
        {unit: (known[unit], predicted[unit]) for unit in units},
        title=f"Predictions by {project.unit.name}, {units[-1]} to {units[0]}",
        description="Filled: predictions whose label is known and measured. Outlined: the others.",
    )
    return Volume(plot=plot, rows=tuple((unit, predicted[unit], known[unit]) for unit in units))


def source_rows(project: Project, readings: Readings) -> tuple[SourceRows, ...]:
    """Every source the project declares, in its order."""
    rows = {m.subject: m.rows for m in newest(readings) if m.metric == "rows"}
    last = {c.target: c for c in readings.completed if c.pipeline == "ingest"}
    return tuple(
        SourceRows(
            name=s.table.name,
            description=s.table.description,
            rows=rows.get(s.table.name),
            last=last.get(s.table.name),
        )
        for s in project.sources
    )


def expectations(project: Project, readings: Readings) -> tuple[Expected, ...]:
    """Every expectation that is declared for a source or was ever evaluated, also where nothing violated it."""
    declared = {(t.name, e.name): (t, e) for t in (s.table for s in project.sources) for e in t.expectations}
    # A run without new rows has nothing to say: the last one that looked at some speaks, if there is one.
    last = {(c.table, c.expectation): c for c in sorted(readings.checked, key=lambda c: (c.rows_checked > 0, c.as_of))}
    total: Counter[tuple[str, str]] = Counter()
    for c in readings.checked:
        total[c.table, c.expectation] += c.violations
    keys = [*declared, *sorted(last.keys() - declared.keys())]
    return tuple(_expected(key, declared.get(key), last.get(key), total[key]) for key in keys)


def _expected(
    key: tuple[str, str], declared: tuple[Table, Expectation] | None, last: Checked | None, total: int
) -> Expected:
    expectation = declared[1] if declared else None
    action = expectation.action.value if expectation else last.action if last else ""
    violations = last.violations if last else 0
    state = State.WATCH if violations else State.FINE if last and last.rows_checked else State.UNKNOWN
    return Expected(
        table=key[0],
        name=key[1],
        condition=expectation.condition if expectation else "",
        reason=expectation.reason if expectation else "No longer declared.",
        action=action,
        as_of=last.as_of if last else None,
        rows_checked=last.rows_checked if last else 0,
        violations=violations,
        violations_in_history=total,
        state=State.ALERT if violations and action == "fail" else state,
    )


def drift_state(psi: float | None, usual: float | None, thresholds: MonitoringFile) -> State:
    """Of a column, by its PSI and what is usual for it; see Drift."""
    if psi is None:
        return State.UNKNOWN
    if psi > max(thresholds.drift_alert, usual or 0.0):
        return State.ALERT
    return State.WATCH if psi > thresholds.drift_warning else State.FINE


def _top(thresholds: MonitoringFile, values: list[float]) -> float:
    """The end of the scale: it always shows the alert."""
    return min(max([*values, 1.2 * thresholds.drift_alert]), _SCALE * thresholds.drift_alert)
