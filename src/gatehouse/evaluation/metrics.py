"""What a metric is, and the ones that come with Gatehouse.

Three kinds, by what has to be kept of the rows to compute them again without the rows:

- `Ratio`: a function of two sums over rows (log loss, RMSE, accuracy, most business metrics).
- `Ranking`: a function of the score histograms of the positives and the negatives (ROC AUC, average
  precision).
- `WholeSample`: anything else. It needs all rows in memory, once per unit left out: the slow path.

A prediction of a binary task is the probability of the positive class, shape (n,); of a multiclass task one
probability per class, shape (n, k), with the label as a class position 0..k-1; of a regression the value,
shape (n,).

Precision and recall are absent on purpose: a constant can win either, so neither may decide. `F1` joins
them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from gatehouse.evaluation import ranking

FloatArray = NDArray[np.float64]
RowFunction = Callable[[FloatArray, FloatArray], FloatArray]
"""(y of shape (n,), prediction of shape (n,) or (n, k)) to one number per row."""

PROBABILITY_FLOOR = 1e-15
"""Log losses clip probabilities to [floor, 1 - floor]: one certain mistake costs 34.5, not infinity."""


class Task(StrEnum):
    """What is predicted, which fixes the shape of a prediction."""

    BINARY = "binary"  # the probability of the positive class, shape (n,)
    REGRESSION = "regression"  # the value, shape (n,)
    MULTICLASS = "multiclass"  # one probability per class, shape (n, classes)


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """A smooth monotone function of a ratio of sums; its slope carries the error along (delta method)."""

    value: Callable[[float], float]
    slope: Callable[[float], float]


IDENTITY = Link(value=lambda ratio: ratio, slope=lambda _: 1.0)
SQRT = Link(
    value=lambda ratio: float(np.sqrt(ratio)),
    slope=lambda ratio: float(0.5 / np.sqrt(ratio)) if ratio > 0 else 0.0,  # no error anywhere: none varies
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ratio:
    """`link(sum of numerator / sum of denominator)` over rows; without a denominator, rows are counted.

    Rows are sums' only contact with the data, so cost is one pass and memory does not grow with rows.
    """

    name: str
    numerator: RowFunction
    denominator: RowFunction | None = None
    link: Link = IDENTITY
    greater_is_better: bool = False
    unit: str = ""
    tasks: tuple[Task, ...] = tuple(Task)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranking:
    """A function of how score orders positives and negatives, from 1,024-bin histograms (binary tasks)."""

    name: str
    curve: ranking.Curve
    greater_is_better: bool = True
    unit: str = ""
    tasks: tuple[Task, ...] = field(default=(Task.BINARY,), init=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class WholeSample:
    """Any function of all labels and predictions: the slow path.

    Rows are collected to one machine (up to a stated limit) and `compute` runs once per unit and slice with
    that unit left out (delete-one-unit jackknife). It must be smooth in the sense that leaving out a unit
    moves it a little: extremes such as the largest error have no valid jackknife.
    """

    name: str
    compute: Callable[[FloatArray, FloatArray], float]
    greater_is_better: bool = False
    unit: str = ""
    tasks: tuple[Task, ...] = tuple(Task)


Metric = Ratio | Ranking | WholeSample


def _clipped(probability: FloatArray) -> FloatArray:
    return np.clip(probability, PROBABILITY_FLOOR, 1.0 - PROBABILITY_FLOOR)


def _log_loss(y: FloatArray, p: FloatArray) -> FloatArray:
    p = _clipped(p)
    loss: FloatArray = -np.log(np.where(y > 0.5, p, 1.0 - p))
    return loss


def _of_true_class(y: FloatArray, p: FloatArray) -> FloatArray:
    chosen: FloatArray = p[np.arange(len(y)), y.astype(np.intp)]
    return chosen


def _multiclass_log_loss(y: FloatArray, p: FloatArray) -> FloatArray:
    loss: FloatArray = -np.log(_clipped(_of_true_class(y, p)))
    return loss


def _multiclass_brier(y: FloatArray, p: FloatArray) -> FloatArray:
    score: FloatArray = (p * p).sum(axis=1) - 2.0 * _of_true_class(y, p) + 1.0
    return score


def _squared_error(y: FloatArray, p: FloatArray) -> FloatArray:
    error: FloatArray = (y - p) ** 2
    return error


def _absolute_error(y: FloatArray, p: FloatArray) -> FloatArray:
    return np.asarray(np.abs(y - p))


def _correct(y: FloatArray, p: FloatArray) -> FloatArray:
    decided = p.argmax(axis=1) if p.ndim == 2 else p >= 0.5
    return np.asarray(decided == y, dtype=np.float64)


def _twice_hits(y: FloatArray, p: FloatArray) -> FloatArray:
    return 2.0 * y * (p >= 0.5)


def _called_or_true(y: FloatArray, p: FloatArray) -> FloatArray:
    return y + (p >= 0.5)


def _r_squared(y: FloatArray, p: FloatArray) -> float:
    return float(1.0 - ((y - p) ** 2).sum() / ((y - y.mean()) ** 2).sum())


_SCORES = (Task.BINARY,)
_VALUES = (Task.REGRESSION,)
_CLASSES = (Task.MULTICLASS,)

LOG_LOSS = Ratio(name="log_loss", numerator=_log_loss, unit="nats", tasks=_SCORES)
BRIER = Ratio(name="brier", numerator=_squared_error, tasks=_SCORES)
ROC_AUC = Ranking(name="roc_auc", curve=ranking.roc_auc)
AVERAGE_PRECISION = Ranking(name="average_precision", curve=ranking.average_precision)
F1 = Ratio(
    name="f1",
    numerator=_twice_hits,
    denominator=_called_or_true,
    greater_is_better=True,
    tasks=_SCORES,
)
ACCURACY = Ratio(name="accuracy", numerator=_correct, greater_is_better=True, tasks=(Task.BINARY, Task.MULTICLASS))
MULTICLASS_LOG_LOSS = Ratio(name="multiclass_log_loss", numerator=_multiclass_log_loss, unit="nats", tasks=_CLASSES)
MULTICLASS_BRIER = Ratio(name="multiclass_brier", numerator=_multiclass_brier, tasks=_CLASSES)
MSE = Ratio(name="mse", numerator=_squared_error, tasks=_VALUES)
RMSE = Ratio(name="rmse", numerator=_squared_error, link=SQRT, tasks=_VALUES)
MAE = Ratio(name="mae", numerator=_absolute_error, tasks=_VALUES)
WAPE = Ratio(name="wape", numerator=_absolute_error, denominator=lambda y, _: np.abs(y), tasks=_VALUES)
R_SQUARED = WholeSample(name="r_squared", compute=_r_squared, greater_is_better=True, tasks=_VALUES)
MEDIAN_ABSOLUTE_ERROR = WholeSample(
    name="median_absolute_error", compute=lambda y, p: float(np.median(np.abs(y - p))), tasks=_VALUES
)

STANDARD: tuple[Metric, ...] = (
    LOG_LOSS,
    BRIER,
    ROC_AUC,
    AVERAGE_PRECISION,
    F1,
    ACCURACY,
    MULTICLASS_LOG_LOSS,
    MULTICLASS_BRIER,
    MSE,
    RMSE,
    MAE,
    WAPE,
    R_SQUARED,
    MEDIAN_ABSOLUTE_ERROR,
)
"""Every metric offered, of every task."""
