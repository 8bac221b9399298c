"""How differently two contenders behave, whichever is better: what users of the old one would notice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gatehouse.evaluation.divergence import jensen_shannon_distance, population_stability_index
from gatehouse.evaluation.measurement import Unmeasured, Value, mean_per_row
from gatehouse.evaluation.metrics import Task
from gatehouse.evaluation.ranking import equal_groups
from gatehouse.evaluation.statistics import SliceKey, UnitStatistics

GROUPS = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreShift:
    """How far the predictions of the second contender lie from those of the first, on the same rows.

    Attributes:
        mean_absolute: Mean absolute difference, in units of the prediction; multiclass: the mean share of
            probability that moved to other classes.
        mean: Mean of second minus first; None in multiclass tasks.
        psi: Population stability index over ten groups of equal size of the first; binary tasks only.
        js_distance: Jensen-Shannon distance over the same groups.
        rows: On how many rows.
    """

    mean_absolute: float
    mean: float | None
    psi: float | None
    js_distance: float | None
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
    sums = statistics.sums
    rows = int(sums.rows[s].sum())
    moved = sums.predictions[s, :, j].sum() - sums.predictions[s, :, i].sum()
    psi = distance = None
    if statistics.task is Task.BINARY:
        scores = statistics.histograms[s].sum(axis=(0, 2))  # (contenders, bins)
        group = equal_groups(scores[i].astype(np.float64), GROUPS)
        before, after = (np.bincount(group, scores[c], minlength=GROUPS) for c in (i, j))
        psi = float(population_stability_index(before, after))
        distance = float(jensen_shannon_distance(before, after))
    return ScoreShift(
        mean_absolute=float(sums.apart[s, :, i, j].sum() / rows),
        mean=None if statistics.task is Task.MULTICLASS else float(moved / rows),
        psi=psi,
        js_distance=distance,
        rows=rows,
    )
