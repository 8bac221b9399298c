"""What one contender scores in one slice, and how much each unit has to do with it. Arithmetic, no rows.

The influence of a unit is its first-order share in the metric: the derivative of the metric by the sums and
counts, applied to the unit's own. For a ratio R = N / D it is (N_u - R D_u) / D times the link's slope
(linearisation), for a ranking metric the sum of its rows' Hajek projections, for a whole-sample metric the
change when it is left out (jackknife). Influences sum to zero; their spread along the units is all that
`significance` needs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gatehouse.evaluation.metrics import FloatArray, Metric, Ranking, Ratio
from gatehouse.evaluation.statistics import SliceKey, UnitStatistics
from gatehouse.evaluation.whole_sample import LeftOut


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Value:
    """A metric of one contender in one slice."""

    metric: str
    slice: str
    value: float
    influence: FloatArray  # one per entry of `units`, sums to zero
    units: tuple[str, ...]  # those that have rows in the slice
    rows: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Unmeasured:
    """A metric that is undefined in a slice. `reason` is a sentence."""

    metric: str
    slice: str
    reason: str
    rows: int


def measure(statistics: UnitStatistics, metric: Metric, key: SliceKey, contender: str) -> Value | Unmeasured:
    """The metric over the rows that could be counted; `statistics.refusals` tells of the others."""
    s, c = statistics.slice(key), statistics.contender(contender)
    present = statistics.sums.rows[s] > 0
    rows = int(statistics.sums.rows[s].sum())
    if isinstance(metric, Ratio):
        r = statistics.ratios.index(metric)
        sums = statistics.sums
        found = _ratio(metric, sums.numerators[s, present, c, r], sums.denominators[s, present, c, r])
    elif isinstance(metric, Ranking):
        found = _ranking(metric, statistics.histograms[s, present, c].astype(np.float64))
    else:
        found = _whole_sample(statistics.left_out[metric.name], s, c, present, statistics.sums.rows[s, present])
    if isinstance(found, str):
        where = f"in slice {key.name}" if key.column else "here"
        reason = f"{metric.name} of {contender} is undefined {where} ({rows:,} rows): {found}."
        return Unmeasured(metric=metric.name, slice=key.name, reason=reason, rows=rows)
    value, influence = found
    units = tuple(u for u, there in zip(statistics.units, present, strict=True) if there)
    return Value(metric=metric.name, slice=key.name, value=value, influence=influence, units=units, rows=rows)


def _ratio(metric: Ratio, numerators: FloatArray, denominators: FloatArray) -> tuple[float, FloatArray] | str:
    below = denominators.sum()
    if below == 0:
        return "its denominator is zero"
    ratio = float(numerators.sum() / below)
    value = metric.link.value(ratio)
    influence = metric.link.slope(ratio) * (numerators - ratio * denominators) / below
    if not (np.isfinite(value) and np.isfinite(influence).all()):
        return f"its link gives no finite number at {ratio:g}"
    return value, influence


def _ranking(metric: Ranking, histograms: FloatArray) -> tuple[float, FloatArray] | str:
    negatives, positives = histograms.sum(axis=0)
    if not positives.any() or not negatives.any():
        return f"all rows are {'positive' if positives.any() else 'negative'}"
    value, by_positives, by_negatives = metric.curve(positives, negatives)
    return value, histograms[:, 1] @ by_positives + histograms[:, 0] @ by_negatives


def _whole_sample(
    left_out: LeftOut, s: int, c: int, present: np.ndarray, rows: np.ndarray
) -> tuple[float, FloatArray] | str:
    value = float(left_out.value[s, c])
    if not np.isfinite(value):
        return f"it is {value}"
    if len(rows) == 1:
        return value, np.zeros(1)
    without = left_out.without[s, present, c]
    if not np.isfinite(without).all():
        return "it is undefined once some unit is left out"
    # Units differ in size: a linear metric then has exactly its linearised influences (Busing et al. 1999).
    influence = (1.0 - rows / rows.sum()) * (value - without)
    return value, influence - influence.mean()
