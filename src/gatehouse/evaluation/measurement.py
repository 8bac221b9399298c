"""What one contender scores in one slice, and how much each unit has to do with it. Arithmetic, no rows.

The influence of a unit is its first-order share in the metric: the derivative of the metric by the sums and
counts, applied to the unit's own. For a ratio R = N / D it is (N_u - R D_u) / D times the link's slope
(linearisation), for a ranking metric the sum of its rows' Hajek projections, for a whole-sample metric the
change when it is left out (jackknife). Influences sum to zero; their spread along the units is all that
`significance` needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gatehouse.evaluation.metrics import FloatArray, Link, Metric, Ranking, Ratio
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
    """The metric over the rows that could be counted; `statistics.refusals` tells of the others.

    Raises:
        EvaluationError: The statistics were not collected for this metric, slice or contender.
    """
    s, c = statistics.slice(key), statistics.contender(contender)
    present = statistics.sums.rows[s] > 0
    rows = statistics.sums.rows[s, present]
    found: _Found | str
    if isinstance(metric, Ratio):
        r = statistics.ratio(metric)
        sums = statistics.sums
        found = _ratio(metric.link, sums.numerators[s, present, c, r], sums.denominators[s, present, c, r])
    elif isinstance(metric, Ranking):
        found = _ranking(metric, statistics.histograms[s, present, c].astype(np.float64))
    else:
        found = _whole_sample(statistics.left_out_of(metric), s, c, present, rows)
    if isinstance(found, str):
        where = f"in slice {key.name}" if key.column else "here"
        reason = f"{metric.name} of {contender} is undefined {where} ({rows.sum():,} rows): {found}."
        return Unmeasured(metric=metric.name, slice=key.name, reason=reason, rows=int(rows.sum()))
    return _value(statistics, metric.name, key, found)


def mean_per_row(statistics: UnitStatistics, name: str, key: SliceKey, totals: FloatArray) -> Value:
    """The mean over a slice's rows of something of which every unit's total is known, shape (units,)."""
    rows = statistics.sums.rows[statistics.slice(key)]
    found = _linearised(totals[rows > 0], rows[rows > 0].astype(np.float64))
    return _value(statistics, name, key, found)


class _Found(NamedTuple):
    value: float
    influence: FloatArray


def _value(statistics: UnitStatistics, name: str, key: SliceKey, found: _Found) -> Value:
    rows = statistics.sums.rows[statistics.slice(key)]
    return Value(
        metric=name,
        slice=key.name,
        value=found.value,
        influence=found.influence,
        units=tuple(unit for unit, n in zip(statistics.units, rows, strict=True) if n),
        rows=int(rows.sum()),
    )


def _ratio(link: Link, numerators: FloatArray, denominators: FloatArray) -> _Found | str:
    if denominators.sum() == 0:
        return "its denominator is zero"
    ratio, influence = _linearised(numerators, denominators)
    with np.errstate(all="ignore"):  # reported below
        found = _Found(link.value(ratio), link.slope(ratio) * influence)
    if not (np.isfinite(found.value) and np.isfinite(found.influence).all()):
        return f"its link gives no finite number at {ratio:g}"
    return found


def _linearised(numerators: FloatArray, denominators: FloatArray) -> _Found:
    below = denominators.sum()
    ratio = float(numerators.sum() / below)
    return _Found(ratio, (numerators - ratio * denominators) / below)


def _ranking(metric: Ranking, histograms: FloatArray) -> _Found | str:
    negatives, positives = histograms.sum(axis=0)
    if not positives.any() or not negatives.any():
        return f"all rows are {'positive' if positives.any() else 'negative'}"
    value, by_positives, by_negatives = metric.curve(positives, negatives)
    return _Found(value, histograms[:, 1] @ by_positives + histograms[:, 0] @ by_negatives)


def _whole_sample(
    left_out: LeftOut, s: int, c: int, present: NDArray[np.bool_], rows: NDArray[np.int64]
) -> _Found | str:
    value = float(left_out.value[s, c])
    if not np.isfinite(value):
        return f"it is {value}"
    if len(rows) == 1:
        return _Found(value, np.zeros(1))
    without = left_out.without[s, present, c]
    if not np.isfinite(without).all():
        return "it is undefined once some unit is left out"
    # Units differ in size: a linear metric then has exactly its linearised influences (Busing et al. 1999).
    influence = (1.0 - rows / rows.sum()) * (value - without)
    return _Found(value, influence - influence.mean())
