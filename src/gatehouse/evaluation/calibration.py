"""Whether probabilities mean what they say: observed rates against predicted ones, from score histograms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gatehouse.evaluation.measurement import Unmeasured, Value, mean_per_row
from gatehouse.evaluation.metrics import FloatArray, Task
from gatehouse.evaluation.ranking import BINS, bin_logits, bin_scores, equal_groups
from gatehouse.evaluation.statistics import SliceKey, UnitStatistics

GROUPS = 10
MOST_STEPS = 50  # of Newton's method; ten are many


@dataclass(frozen=True, kw_only=True, slots=True)
class CalibrationPoint:
    """One group of rows with similar scores. `predicted` is the mean score, `observed` the share of positives."""

    predicted: float
    observed: float
    rows: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """The calibration curve of one contender and its summaries.

    Attributes:
        curve: Ten groups of about equal size, by score; fewer if many scores are equal.
        expected_error: Mean distance between predicted and observed over the rows (ECE), 0 if perfect.
        slope: Of a logistic regression of the label on the logit of the score (Cox 1958): 1 if perfect,
            below it if scores are too extreme, above it if they are too timid. None if the classes can be
            separated.
    """

    curve: tuple[CalibrationPoint, ...]
    expected_error: float
    slope: float | None
    rows: int


def calibration(statistics: UnitStatistics, key: SliceKey, contender: str) -> Calibration | Unmeasured:
    """Of a binary task's contender. Scores are known to a 1,024th of the scale of logits."""
    if statistics.task is not Task.BINARY:
        reason = f"Calibration is measured for binary tasks; this is a {statistics.task} task."
        return Unmeasured(metric="calibration", slice=key.name, reason=reason, rows=0)
    s, c = statistics.slice(key), statistics.contender(contender)
    negatives, positives = statistics.histograms[s, :, c].sum(axis=0).astype(np.float64)
    rows = positives + negatives
    group = equal_groups(rows, GROUPS)
    size = np.bincount(group, rows, minlength=GROUPS)
    there = size > 0
    predicted = np.bincount(group, rows * bin_scores(), minlength=GROUPS)[there] / size[there]
    observed = np.bincount(group, positives, minlength=GROUPS)[there] / size[there]
    total = int(rows.sum())
    return Calibration(
        curve=tuple(
            CalibrationPoint(predicted=float(p), observed=float(o), rows=int(n))
            for p, o, n in zip(predicted, observed, size[there], strict=True)
        ),
        expected_error=float(np.abs(predicted - observed) @ size[there] / total),
        slope=_slope(positives, negatives),
        rows=total,
    )


def bias(statistics: UnitStatistics, key: SliceKey, contender: str) -> Value | Unmeasured:
    """Mean prediction minus mean label ("calibration in the large"), with unit influences; not for classes."""
    if statistics.task is Task.MULTICLASS:
        reason = "Bias is measured for probabilities and values, not for several classes."
        return Unmeasured(metric="bias", slice=key.name, reason=reason, rows=0)
    s, c = statistics.slice(key), statistics.contender(contender)
    excess = statistics.sums.predictions[s, :, c] - statistics.sums.labels[s]
    return mean_per_row(statistics, "bias", key, excess)


def _slope(positives: FloatArray, negatives: FloatArray) -> float | None:
    """Newton's method on the binned rows."""
    design = np.stack([np.ones(BINS), bin_logits()])
    rows = positives + negatives
    weights = np.array([0.0, 1.0])
    for _ in range(MOST_STEPS):
        expected = 0.5 + 0.5 * np.tanh(weights @ design / 2.0)  # the logistic function, without overflow
        gradient = design @ (positives - rows * expected)
        curvature = (design * (rows * expected * (1.0 - expected))) @ design.T
        if not np.linalg.det(curvature) > 1e-9 * np.trace(curvature) ** 2:  # also if both are 0: one class only
            return None
        step = np.linalg.solve(curvature, gradient)
        weights = weights + step
        if np.abs(step).max() < 1e-9:
            return float(weights[1])
    return None
