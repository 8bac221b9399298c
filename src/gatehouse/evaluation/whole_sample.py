"""Metrics that no sums can express: computed on all rows in memory, and again with each unit left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gatehouse.errors import EvaluationError
from gatehouse.evaluation.metrics import FloatArray, WholeSample
from gatehouse.evaluation.rows import Rows


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LeftOut:
    """A metric with all rows of a slice, and with one unit's rows left out. NaN where there are no rows."""

    value: FloatArray  # (slices, contenders)
    without: FloatArray  # (slices, units, contenders)


def leave_out_units(
    metric: WholeSample, rows: Rows, groups: Sequence[NDArray[np.bool_]], units: NDArray[np.intp], count: int
) -> LeftOut:
    """Delete-one-unit jackknife (Quenouille 1956; Tukey 1958).

    Args:
        metric: What to compute.
        rows: All rows.
        groups: For each slice, which rows belong to it.
        units: Each row's unit, 0 to count - 1.
        count: How many units there are.
    """
    value = np.full((len(groups), len(rows.predictions)), np.nan)
    without = np.full((len(groups), count, len(rows.predictions)), np.nan)
    for s, group in enumerate(groups):
        y, unit = rows.y[group], units[group]
        for c, predictions in enumerate(rows.predictions):
            p = predictions[group]
            value[s, c] = _compute(metric, y, p)
            present = np.unique(unit)
            for u in present if len(present) > 1 else []:
                rest = unit != u
                without[s, u, c] = _compute(metric, y[rest], p[rest])
    return LeftOut(value=value, without=without)


def _compute(metric: WholeSample, y: FloatArray, p: FloatArray) -> float:
    try:
        with np.errstate(all="ignore"):  # undefined becomes NaN, and is reported as such
            return float(metric.compute(y, p))
    except Exception as error:
        raise EvaluationError(
            f"Metric {metric.name} failed on {len(y):,} rows: {type(error).__name__}: {error}",
            why="A metric that cannot be computed cannot decide anything.",
            remedy=f"Mend `compute` of {metric.name}; for rows that leave it undefined, return NaN.",
        ) from error
