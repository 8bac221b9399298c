"""How well a version does: the newest window beside its hold-out, by unit, and by slice. Readings in, values out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from gatehouse.reports.figures import SERIES, Level, Line, trend
from gatehouse.reports.wording import number, stretch

if TYPE_CHECKING:
    from markupsafe import Markup

    from gatehouse.project import Metric, Project, Slice
    from gatehouse.reports.readings import Measurement, Readings, Registered

MOST_VALUES = 12
"""An informative slice shows its largest groups only; a required one shows all that it names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """The stretch of the newest monitoring run, and the version whose figures are shown for it."""

    start: datetime
    end: datetime
    version: str | None

    @property
    def text(self) -> str:
        """24 April to 1 May 2013."""
        return stretch(self.start, self.end)


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """One metric of the version shown. None: not measured, or (hold-out, baseline) not on record."""

    metric: str
    unit: str
    greater_is_better: bool
    value: float | None
    rows: int
    hold_out: float | None
    baseline: float | None

    @property
    def since_training(self) -> str:
        """The change against the hold-out, in words; empty if one of the two is not there."""
        if self.value is None or self.hold_out is None:
            return ""
        change = self.value - self.hold_out
        if number(abs(change)) == number(0.0):
            return "the same as on its hold-out"
        better = (change > 0) is self.greater_is_better
        return f"{number(abs(change))} {'better' if better else 'worse'} than on its hold-out"


@dataclass(frozen=True, kw_only=True, slots=True)
class Trend:
    """A metric over the units of the history. `lines` are versions in the order of their colours."""

    score: Score
    plot: Markup | None
    lines: tuple[str, ...]
    levels: tuple[Level, ...]
    rows: tuple[tuple[str, tuple[float | None, ...]], ...]  # unit, then one value per line; newest unit first


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """One value of a slice. `place` is where the primary metric lies between the lowest and highest, in per cent."""

    value: str
    rows: int
    scores: tuple[float | None, ...]
    place: float | None
    required: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Sliced:
    """All groups of one slice; `left_out` is how many are not shown.

    Places run from `low` to `high`, values of the primary metric; `whole` is the place of its value over all rows.
    """

    name: str
    required: bool
    groups: tuple[Group, ...]
    low: float | None
    high: float | None
    whole: float | None
    left_out: int


def newest(readings: Readings) -> tuple[Measurement, ...]:
    """What the last monitoring run measured."""
    last = max((m.as_of for m in readings.measurements), default=None)
    return tuple(m for m in readings.measurements if m.as_of == last)


def window(project: Project, readings: Readings) -> Window | None:
    """The newest window; of several versions that scored in it, the champion is shown, else the newest."""
    current = newest(readings)
    if not current:
        return None
    champion = readings.champion
    scoring = {m.version for m in current if m.version}
    measured = {m.version for m in current if m.metric == project.primary_metric.name}
    version = max(
        measured or scoring, key=lambda v: (champion is not None and v == champion.version, len(v), v), default=None
    )
    return Window(start=current[0].window_start, end=current[0].window_end, version=version)


def scores(project: Project, readings: Readings, version: str | None) -> tuple[Score, ...]:
    """The version's metrics over the newest window, primary first."""
    known = next((v for v in readings.versions if v.version == version), None)
    whole = {
        m.metric: m for m in newest(readings) if m.version == version and not m.unit and m.subject == project.label.name
    }
    return tuple(_score(metric, whole.get(metric.name), known) for metric in project.metrics)


def trends(project: Project, readings: Readings, shown: tuple[Score, ...], version: str | None) -> tuple[Trend, ...]:
    """One for each metric, primary first."""
    return tuple(_trend(project, readings, score, version) for score in shown)


def by_slice(project: Project, readings: Readings, version: str | None) -> tuple[Sliced, ...]:
    """The slices in the project's order, those that have no figure and are not required left out."""
    found = {
        (m.subject, m.metric): m for m in newest(readings) if m.version == version and not m.unit and "=" in m.subject
    }
    whole = next((s.value for s in scores(project, readings, version)), None)
    sliced = (_sliced(project, declared, found, whole) for declared in project.slices)
    return tuple(s for s in sliced if s.groups)


def _score(metric: Metric, found: Measurement | None, known: Registered | None) -> Score:
    return Score(
        metric=metric.name,
        unit=metric.unit,
        greater_is_better=metric.greater_is_better,
        value=found.value if found else None,
        rows=found.rows if found else 0,
        hold_out=known.hold_out.get(metric.name) if known else None,
        baseline=known.baseline.get(metric.name) if known else None,
    )


def _trend(project: Project, readings: Readings, score: Score, version: str | None) -> Trend:
    points: dict[str, dict[str, float]] = {}
    # A unit is measured again as long as it lies in the window, and more of its labels are known each time.
    for m in sorted(readings.measurements, key=lambda m: m.as_of):
        if m.unit and m.metric == score.metric and m.subject == project.label.name and m.value is not None:
            points.setdefault(m.version, {})[m.unit] = m.value
    names = sorted(points, key=lambda v: (v == version, len(v), v), reverse=True)[:SERIES]
    references = (("hold-out when trained", score.hold_out), ("baseline on that hold-out", score.baseline))
    levels = tuple(Level(name=name, value=value) for name, value in references if value is not None)
    units = sorted({unit for name in names for unit in points[name]}, reverse=True)
    plot = None
    if units:
        plot = trend(
            f"trend-{score.metric}",
            [Line(name=name, points=points[name]) for name in names],
            levels,
            title=f"{score.metric} by {project.unit.name}, {units[-1]} to {units[0]}",
            description=f"A line for each version: {', '.join(names)}. "
            + " ".join(f"Across: {level.name}, {number(level.value)}." for level in levels),
        )
    return Trend(
        score=score,
        plot=plot,
        lines=tuple(names),
        levels=levels,
        rows=tuple((unit, tuple(points[name].get(unit) for name in names)) for unit in units),
    )


def _sliced(
    project: Project, declared: Slice, found: Mapping[tuple[str, str], Measurement], whole: float | None
) -> Sliced:
    primary = project.primary_metric.name
    rows = {
        subject.partition("=")[2]: m.rows
        for (subject, metric), m in found.items()
        if metric == primary and subject.partition("=")[0] == declared.name
    }
    largest = sorted((v for v in rows if v not in declared.values), key=lambda v: (-rows[v], v))
    kept = [*declared.values, *(largest if declared.required else largest[:MOST_VALUES])]
    table = {v: [found.get((f"{declared.name}={v}", metric.name)) for metric in project.metrics] for v in kept}
    figures = {v: tuple(m.value if m else None for m in of_value) for v, of_value in table.items()}
    measured = [f[0] for f in figures.values() if f[0] is not None]
    measured += [whole] if whole is not None and measured else []
    return Sliced(
        name=declared.name,
        required=declared.required,
        groups=tuple(
            Group(
                value=v,
                rows=rows.get(v, 0),
                scores=figures[v],
                place=_place(figures[v][0], measured),
                required=declared.required and v in declared.values,
            )
            for v in kept
        ),
        low=min(measured, default=None),
        high=max(measured, default=None),
        whole=_place(whole, measured),
        left_out=len(rows.keys() - table.keys()),
    )


def _place(value: float | None, among: list[float]) -> float | None:
    if value is None or not among:
        return None
    low, high = min(among), max(among)
    return 50.0 if high == low else 100 * (value - low) / (high - low)
