"""How many units of labels a margin needs, before anybody trains: `gatehouse plan`.

The spread from unit to unit comes from a comparison that was made before, of the champion with its challenger, or,
before there is one, with the baseline. Two models that are alike differ less from day to day than a model and a rule of
thumb, so a plan made from the baseline usually asks for too many units, seldom for too few.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from gatehouse.errors import EvaluationError, UsageError
from gatehouse.evaluation.comparison import Comparison
from gatehouse.evaluation.measurement import Unmeasured
from gatehouse.evaluation.significance import Evidence, degrees_of_freedom
from gatehouse.gates.decision import POWER
from gatehouse.gates.measured import NotMeasured, measured
from gatehouse.gates.phrases import count, percent
from gatehouse.gates.verdict import Outcome

POWERS = (0.5, 0.8, 0.9, 0.95)  # columns of the table
_STEPS = (0.5, 1.0, 1.5, 2.0, 3.0)  # margins of the table, as multiples of the one that was asked for


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanRow:
    """Units that show a difference of one margin with that power; None: more than 100,000."""

    margin: float
    power: float
    units: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Basis:
    """The pair whose comparison a plan rests on. `record`, its decision record's digest, is None without one."""

    candidate: str
    opponent: str
    record: str | None = None
    verdict: Outcome | None = None

    def __str__(self) -> str:
        """As it stands in a sentence."""
        judged = f", {self.verdict} in decision record {self.record[:12]}" if self.record else ", compared just now"
        return f"version {self.candidate} against {self.opponent}{judged}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a margin costs in units of labels, from the spread of a comparison (`basis`) over `basis_units` units.

    `chance` is the power that a hold-out of the basis' size has at this margin, `detectable` the margin for which it
    would have `power`.
    """

    metric: str
    slice: str
    unit: str
    margin: float
    power: float
    error_rate: float
    units: int | None
    basis: Basis
    basis_units: int
    chance: float
    detectable: float
    table: tuple[PlanRow, ...]

    def sentence(self) -> str:
        """The answer, and what it rests on."""
        unit = self.unit
        needed = f"more than 100,000 {unit}s" if self.units is None else count(self.units, unit)
        chance, basis = percent(round(self.chance, 3)), count(self.basis_units, unit)
        return (
            f"A margin of {self.margin:g} in {self.metric} needs {needed} of labels to be decided with a chance of "
            f"{percent(self.power)} at an error rate of {percent(self.error_rate)}. The {basis} this rests on "
            f"({self.basis}) give a chance of {chance}, and would do for a margin of {self.detectable:.3g}."
        )

    def to_record(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "table": [asdict(row) for row in self.table]}


def plan(
    comparison: Comparison | Unmeasured,
    *,
    margin: float,
    unit: str,
    basis: Basis,
    error_rate: float = 0.05,
) -> Plan:
    """The units that decide between a true difference of nothing and one of `margin`, whichever is demanded.

    They are the same for non-inferiority of an equal version and for superiority of one that is a margin better.

    Args:
        comparison: One that was made before; only its spread counts, not who won.
        margin: In the metric's unit, above 0.
        unit: The project's unit, in the singular.
        basis: Whose comparison it is.
        error_rate: Of the test.

    Raises:
        UsageError: The margin is not a positive number.
        EvaluationError: The comparison says nothing about the spread.
    """
    check_margin(margin)
    spread = spread_of(comparison)

    def units(distance: float, chance: float) -> int | None:
        return spread.units_needed(margin=distance, power=chance, error_rate=error_rate)

    return Plan(
        metric=comparison.metric,
        slice=comparison.slice,
        unit=unit,
        margin=margin,
        power=POWER,
        error_rate=error_rate,
        units=units(margin, POWER),
        basis=basis,
        basis_units=spread.units,
        chance=spread.power(0.0, margin=margin, error_rate=error_rate),
        detectable=spread.detectable(power=POWER, error_rate=error_rate),
        table=tuple(
            PlanRow(margin=step * margin, power=chance, units=units(step * margin, chance))
            for step in _STEPS
            for chance in POWERS
        ),
    )


def check_margin(margin: float) -> None:
    """UsageError unless it is a positive number."""
    if not (math.isfinite(margin) and margin > 0):
        raise UsageError(
            f"A margin of {margin} cannot be planned for.",
            why="It is how much worse still counts as not worse; without any, no number of units suffices.",
            remedy="Give a number above 0, in the metric's own unit.",
        )


def spread_of(comparison: Comparison | Unmeasured) -> Evidence:
    """The evidence of an earlier comparison, for its spread.

    Raises:
        EvaluationError: It could not be measured, or its contenders do not differ in any unit.
    """
    found = measured((comparison,), comparison.metric, comparison.slice)
    if isinstance(found, NotMeasured):
        raise EvaluationError(
            found.reason,
            why="How much the difference varies from unit to unit decides how many units are needed.",
            remedy="Plan from a comparison of more units, or from champion against baseline.",
        )
    if found.evidence.planning_error == 0:
        raise EvaluationError(
            f"The contenders score the same {comparison.metric} in every unit.",
            why="From two models that predict alike nobody learns how much two different ones vary.",
            remedy="Plan from champion against baseline, or from another pair of versions.",
        )
    return found.evidence


def at_units(evidence: Evidence, units: int) -> Evidence:
    """What the same spread means for a hold-out of another number of units."""
    shrunk = math.sqrt(evidence.units / units)
    return replace(
        evidence,
        standard_error=evidence.standard_error * shrunk,
        planning_error=evidence.planning_error * shrunk,
        degrees_of_freedom=degrees_of_freedom(units),
        units=units,
    )
