"""How differently two contenders behave, whichever is better: what users of the old one would notice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gatehouse.evaluation.measurement import Unmeasured, Value, mean_per_row
from gatehouse.evaluation.statistics import SliceKey, UnitStatistics


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreShift:
    """How far the predictions of the second contender lie from those of the first, on the same rows.

    Attributes:
        mean_absolute: Mean absolute difference, in units of the prediction; multiclass: the mean share of
            probability that moved to other classes.
        rows: On how many rows.
    """

    mean_absolute: float
    rows: int


def negative_flip_rate(statistics: UnitStatistics, key: SliceKey, *, old: str, new: str) -> Value | Unmeasured:
    """Share of rows that `old` got right and `new` gets wrong (Yan et al. 2021). Swapped: the positive flips."""
    if not statistics.has_decisions:
        reason = "Flips need to know when a prediction is right: give a tolerance for this regression."
        return Unmeasured(metric="negative_flip_rate", slice=key.name, reason=reason, rows=0)
    flips = statistics.sums.flips[statistics.slice(key), :, statistics.contender(old), statistics.contender(new)]
    return mean_per_row(statistics, "negative_flip_rate", key, flips.astype(np.float64))


def score_shift(statistics: UnitStatistics, key: SliceKey, *, old: str, new: str) -> ScoreShift:
    """From `old` to `new`."""
    s, i, j = statistics.slice(key), statistics.contender(old), statistics.contender(new)
    rows = int(statistics.sums.rows[s].sum())
    return ScoreShift(mean_absolute=float(statistics.sums.apart[s, :, i, j].sum() / rows), rows=rows)
