"""Whether probabilities mean what they say: observed rates against predicted ones, from score histograms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gatehouse.evaluation.measurement import Unmeasured
from gatehouse.evaluation.metrics import Task
from gatehouse.evaluation.ranking import bin_scores, equal_groups
from gatehouse.evaluation.statistics import SliceKey, UnitStatistics

GROUPS = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class CalibrationError:
    """The expected calibration error on so many rows: 0 if perfect, 1 if certain and wrong."""

    value: float
    rows: int


def calibration_error(statistics: UnitStatistics, key: SliceKey, contender: str) -> CalibrationError | Unmeasured:
    """Of a binary task's contender: the mean distance between predicted and observed rates over its rows.

    Rows are put into ten groups of about equal size by score (Naeini et al. 2015, with equal groups). Scores are known
    to a 1,024th of the scale of logits.
    """
    if statistics.task is not Task.BINARY:
        reason = f"Calibration is measured for binary tasks; this is a {statistics.task} task."
        return Unmeasured(metric="calibration", slice=key.name, reason=reason, rows=0)
    s, c = statistics.slice(key), statistics.contender(contender)
    negatives, positives = statistics.histograms[s, :, c].sum(axis=0).astype(np.float64)
    rows = positives + negatives
    group = equal_groups(rows, GROUPS)
    predicted = np.bincount(group, rows * bin_scores(), minlength=GROUPS)
    observed = np.bincount(group, positives, minlength=GROUPS)
    total = int(rows.sum())
    return CalibrationError(value=float(np.abs(predicted - observed).sum() / total), rows=total)
