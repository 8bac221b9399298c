"""One metric of one set of predictions in memory: a number without an interval, for choosing and for showing."""

from __future__ import annotations

import numpy as np

from gatehouse.errors import EvaluationError
from gatehouse.evaluation.metrics import FloatArray, Metric, Ranking, Ratio
from gatehouse.evaluation.ranking import BINS, score_bins


def value(metric: Metric, y: FloatArray, prediction: FloatArray) -> float:
    """The metric over all rows given: y of shape (n,), prediction of shape (n,) or (n, classes).

    Raises:
        EvaluationError: No rows, predictions that are not finite, or (ranking metrics) one class only.
    """
    if not len(y):
        raise EvaluationError(f"{metric.name} of no rows is undefined.", remedy="Choose a window that holds labels.")
    if not np.isfinite(prediction).all():
        raise EvaluationError(
            f"{int((~np.isfinite(prediction)).sum())} of {prediction.size} predictions are not finite.",
            why=f"{metric.name} would be NaN, which compares as neither better nor worse.",
            remedy="Find the rows on which the model returns NaN or infinity.",
        )
    if isinstance(metric, Ratio):
        below = len(y) if metric.denominator is None else metric.denominator(y, prediction).sum()
        return metric.link.value(float(metric.numerator(y, prediction).sum() / below))
    if isinstance(metric, Ranking):
        bins = score_bins(prediction)
        positives = np.bincount(bins[y > 0.5], minlength=BINS).astype(np.float64)
        negatives = np.bincount(bins[y <= 0.5], minlength=BINS).astype(np.float64)
        if not positives.any() or not negatives.any():
            raise EvaluationError(
                f"{metric.name} needs both classes, and there is one only.", remedy="Choose a longer window."
            )
        return metric.curve(positives, negatives).value
    return float(metric.compute(y, prediction))


def oriented(metric: Metric, number: float) -> float:
    """The number turned so that smaller is better."""
    return -number if metric.greater_is_better else number
