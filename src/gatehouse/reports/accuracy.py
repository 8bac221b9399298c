"""Whether the champion has become worse than what it was let through with. Figures of a monitoring run in, words out.

A window is compared with another one, so some difference is always there: what chance explains of it is measured with
the same test as the gates', from how much the units of the window differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatehouse.reports.inputs import State
from gatehouse.reports.scores import newest
from gatehouse.reports.wording import number

if TYPE_CHECKING:
    from gatehouse.project import Project
    from gatehouse.reports.readings import Readings
    from gatehouse.settings import MonitoringFile

SHORTFALL, BY_CHANCE, UNITS = "accuracy_shortfall", "accuracy_usual", "accuracy_units"
FIGURES = (SHORTFALL, BY_CHANCE, UNITS)
"""Rows of `monitoring_metrics`, whose subject is the primary metric."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Accuracy:
    """The primary metric in the window against the hold-out that the version was let through with.

    Attributes:
        worse: By how much, in the metric's unit; negative: it is better.
        by_chance: How much worse it is in one window of twenty although nothing has changed; None: too few units.
        units: Those of the window that have labels.
    """

    worse: float
    by_chance: float | None
    units: int

    def state(self, thresholds: MonitoringFile) -> State:
        """Unknown as long as nothing may be said: no threshold, or too few units."""
        limit = thresholds.accuracy_alert
        if limit is None or self.by_chance is None or self.units < thresholds.accuracy_units:
            return State.UNKNOWN
        return State.ALERT if self.worse > max(limit, self.by_chance) else State.FINE

    def sentence(self, project: Project, thresholds: MonitoringFile) -> str:
        """The numbers that decide."""
        unit = project.primary_metric.unit
        return (
            f"{project.primary_metric.name} is {number(self.worse)}{f' {unit}' if unit else ''} worse than on the "
            f"hold-out it was let through with, over {self.units} {project.unit.name}s with labels; chance explains "
            f"{number(self.by_chance)}, and the alert begins at {number(thresholds.accuracy_alert)}."
        )


def read_figures(figures: Mapping[str, float | None]) -> Accuracy | None:
    """From the values by metric; None if there is no hold-out or no label to compare."""
    worse = figures.get(SHORTFALL)
    if worse is None:
        return None
    return Accuracy(worse=worse, by_chance=figures.get(BY_CHANCE), units=int(figures.get(UNITS) or 0))


def accuracy_of(readings: Readings, version: str | None) -> Accuracy | None:
    """Of one version in the newest window."""
    return read_figures({m.metric: m.value for m in newest(readings) if m.version == version and m.metric in FIGURES})
