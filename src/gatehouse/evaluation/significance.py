"""What a difference proves: standard error, tests, intervals, power, and the units that a margin needs.

The test is the equal-weighted cosine test of Lazarus, Lewis, Stock and Watson (2018): the variance of the
difference is the mean square of the first v cosine transforms of the influences, and the difference over its
standard error is Student's t with v degrees of freedom. It allows for units that resemble their neighbours
(one day the next), resamples nothing, and of the ways tried on real data it is the one that errs as often
as it says.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from gatehouse.errors import EvaluationError
from gatehouse.evaluation.comparison import Comparison
from gatehouse.evaluation.measurement import Unmeasured, Value
from gatehouse.evaluation.metrics import FloatArray

FEWEST_UNITS = 4  # from here on one cosine is due: 0.4 * 4^(2/3) = 1.0
MOST_UNITS = 100_000  # a plan that needs more (270 years of days) is no plan


def degrees_of_freedom(units: int) -> int:
    """Cosines for a series of that many units: the nearest whole number to 0.4 T^(2/3), at least 1."""
    return max(1, round(0.4 * math.pow(units, 2 / 3)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """A difference and how uncertain it is, in the metric's unit; positive: the candidate is better.

    `planning_error` is the standard error that power and plans use: from twice as many cosines, because they
    want a steady variance more than a careful one, and with Hedges' (1981) correction, so that the expected
    power is right although the variance is estimated. Standard errors are 0 if every unit shows the same
    difference, as two equal models do; then numbers are compared, and nothing is in doubt.
    """

    difference: float
    standard_error: float
    planning_error: float
    degrees_of_freedom: int
    units: int

    def p_better(self, margin: float = 0.0) -> float:
        """One-sided p-value against "the true difference is -margin or less".

        Margin 0 is the test of superiority, a positive one that of non-inferiority by that much.
        """
        return _p_value(self.difference + margin, self.standard_error, self.degrees_of_freedom)

    def p_worse(self, margin: float = 0.0) -> float:
        """One-sided p-value against "the true difference is -margin or more": small if harm is proven."""
        return _p_value(-self.difference - margin, self.standard_error, self.degrees_of_freedom)

    def interval(self, level: float = 0.9) -> tuple[float, float]:
        """Two-sided confidence interval. At 0.9 it lies above -margin if p_better(margin) is below 0.05."""
        _refuse_outside("The level of an interval", level)
        reach = float(special.stdtrit(self.degrees_of_freedom, 0.5 + level / 2.0)) * self.standard_error
        return self.difference - reach, self.difference + reach

    def power(self, true_difference: float, *, margin: float = 0.0, error_rate: float = 0.05) -> float:
        """The chance that data like these show p_better(margin) < error_rate if that were the truth."""
        return _power(true_difference + margin, self.planning_error, self.degrees_of_freedom, error_rate)

    def detectable(self, *, power: float = 0.8, margin: float = 0.0, error_rate: float = 0.05) -> float:
        """The smallest true difference that data like these show with that power (below 0: even if worse)."""
        _refuse_outside("Power", power)
        if self.planning_error == 0:
            return -margin
        apart = _separation(self.degrees_of_freedom, power, error_rate)
        return apart * self.planning_error - margin

    def units_needed(
        self, *, margin: float, true_difference: float = 0.0, power: float = 0.8, error_rate: float = 0.05
    ) -> int | None:
        """How many units like these show p_better(margin) < error_rate with that power.

        None: no number of them (up to 100,000), because the truth lies too near to -margin, or beyond it.
        """
        _refuse_outside("Power", power)
        _refuse_outside("The error rate", error_rate)
        distance = true_difference + margin
        if distance <= 0:
            return None
        per_unit = self.planning_error * math.sqrt(self.units)

        def enough(units: int) -> bool:
            error = per_unit / math.sqrt(units)
            return _power(distance, error, degrees_of_freedom(units), error_rate) >= power

        if not enough(MOST_UNITS):
            return None
        few, many = FEWEST_UNITS - 1, MOST_UNITS
        while many - few > 1:
            middle = (few + many) // 2
            few, many = (few, middle) if enough(middle) else (middle, many)
        return many


def evidence(comparison: Comparison) -> Evidence | Unmeasured:
    """The standard error of a comparison's difference, from its influences alone.

    Returns:
        `Unmeasured` if there are fewer units than any variance can be had from.
    """
    influence = np.array(comparison.influence)
    return _evidence(comparison.metric, comparison.slice, comparison.difference, influence, comparison.rows)


def evidence_of_value(value: Value) -> Evidence | Unmeasured:
    """The same for one contender's metric: its interval, in the metric's own direction."""
    return _evidence(value.metric, value.slice, value.value, value.influence, value.rows)


def _evidence(
    metric: str, slice_name: str, difference: float, influence: FloatArray, rows: int
) -> Evidence | Unmeasured:
    units = len(influence)
    if units < FEWEST_UNITS:
        found = f"{metric} in slice {slice_name} has {units} units, and a standard error needs {FEWEST_UNITS}."
        return Unmeasured(metric=metric, slice=slice_name, reason=found, rows=rows)
    if not (math.isfinite(difference) and np.isfinite(influence).all()):
        raise EvaluationError(
            f"{metric} in slice {slice_name} holds a number that is not finite.",
            why="It compares as neither better nor worse.",
            remedy="Measure again; a record that says this was changed.",
        )
    v = degrees_of_freedom(units)
    return Evidence(
        difference=difference,
        standard_error=_standard_error(influence, v),
        planning_error=_standard_error(influence, 2 * v) / _hedges(2 * v),
        degrees_of_freedom=v,
        units=units,
    )


def _standard_error(influence: FloatArray, cosines: int) -> float:
    units = len(influence)
    moments = (np.arange(units) + 0.5) / units
    waves = math.sqrt(2.0) * np.cos(np.pi * np.outer(np.arange(1, cosines + 1), moments))
    return float(np.sqrt(np.mean((waves @ influence) ** 2)))


def _hedges(v: int) -> float:
    """What makes a ratio to an estimated standard error with v degrees of freedom right on average."""
    return float(np.exp(special.gammaln(v / 2) - special.gammaln((v - 1) / 2)) / math.sqrt(v / 2))


def _p_value(distance: float, standard_error: float, v: int) -> float:
    if standard_error == 0:
        return 0.0 if distance > 0 else 1.0
    return float(special.stdtr(v, -distance / standard_error))


def _power(distance: float, standard_error: float, v: int, error_rate: float) -> float:
    _refuse_outside("The error rate", error_rate)
    if standard_error == 0:
        return 1.0 if distance > 0 else 0.0
    critical = special.stdtrit(v, 1.0 - error_rate)
    apart = distance / standard_error
    missed = special.nctdtr(v, apart, critical)
    if np.isnan(missed):  # SciPy's series fails here and there beyond 35 standard errors: Abramowitz & Stegun 26.7.10
        missed = special.ndtr((critical - apart) / math.sqrt(1.0 + critical**2 / (2 * v)))
    return float(1.0 - missed)


def _separation(v: int, power: float, error_rate: float) -> float:
    """The distance, in standard errors, that is shown with this power."""
    _refuse_outside("The error rate", error_rate)
    critical = special.stdtrit(v, 1.0 - error_rate)
    return float(special.nctdtrinc(v, 1.0 - power, critical))


def _refuse_outside(what: str, number: float) -> None:
    if not 0.0 < number < 1.0:
        raise EvaluationError(
            f"{what} is {number}.", why="It is a probability.", remedy="Give a number between 0 and 1."
        )


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm's (1979) adjusted p-values, in the order given. All those below a rate err together at most at it.

    Raises:
        EvaluationError: One of them is no probability (NaN would otherwise decide by its place).
    """
    for p in p_values:
        if not 0.0 <= p <= 1.0:
            raise EvaluationError(
                f"A p-value is {p}.",
                why="It compares as neither small nor large.",
                remedy="Correct only what was measured.",
            )
    order = np.argsort(p_values, kind="stable")
    factors = len(p_values) - np.arange(len(p_values))
    raised = np.minimum(np.maximum.accumulate(np.asarray(p_values)[order] * factors), 1.0)
    adjusted = np.empty(len(p_values))
    adjusted[order] = raised
    return tuple(adjusted.tolist())
