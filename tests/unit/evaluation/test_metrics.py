from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics as reference

from gatehouse.evaluation.metrics import (
    ACCURACY,
    AVERAGE_PRECISION,
    BRIER,
    F1,
    LOG_LOSS,
    MAE,
    MEDIAN_ABSOLUTE_ERROR,
    MSE,
    MULTICLASS_BRIER,
    MULTICLASS_LOG_LOSS,
    R_SQUARED,
    RMSE,
    ROC_AUC,
    WAPE,
    FloatArray,
    Metric,
)
from gatehouse.evaluation.point import value

RNG = np.random.default_rng(20130101)
LOGIT = RNG.normal(-1.0, 1.2, 20_000)
EVENT = (RNG.random(20_000) < 1 / (1 + np.exp(-LOGIT))).astype(float)
PROBABILITY = 1 / (1 + np.exp(-(LOGIT + RNG.normal(0, 0.5, 20_000))))
AMOUNT = RNG.gamma(2.0, 10.0, 20_000)
FORECAST = AMOUNT + RNG.normal(1.0, 5.0, 20_000)
CLASS = RNG.integers(0, 3, 20_000).astype(float)
SHARES = RNG.dirichlet(np.ones(3), 20_000)


def rows_of_brier(y: FloatArray, p: FloatArray) -> float:
    return float(((p - np.eye(3)[y.astype(int)]) ** 2).sum(axis=1).mean())


@pytest.mark.parametrize(
    ("metric", "y", "prediction", "expected"),
    [
        (LOG_LOSS, EVENT, PROBABILITY, reference.log_loss(EVENT, PROBABILITY)),
        (BRIER, EVENT, PROBABILITY, reference.brier_score_loss(EVENT, PROBABILITY)),
        (ACCURACY, EVENT, PROBABILITY, reference.accuracy_score(EVENT, PROBABILITY >= 0.5)),
        (F1, EVENT, PROBABILITY, reference.f1_score(EVENT, PROBABILITY >= 0.5)),
        (MSE, AMOUNT, FORECAST, reference.mean_squared_error(AMOUNT, FORECAST)),
        (RMSE, AMOUNT, FORECAST, reference.root_mean_squared_error(AMOUNT, FORECAST)),
        (MAE, AMOUNT, FORECAST, reference.mean_absolute_error(AMOUNT, FORECAST)),
        (WAPE, AMOUNT, FORECAST, np.abs(AMOUNT - FORECAST).sum() / AMOUNT.sum()),
        (R_SQUARED, AMOUNT, FORECAST, reference.r2_score(AMOUNT, FORECAST)),
        (MEDIAN_ABSOLUTE_ERROR, AMOUNT, FORECAST, reference.median_absolute_error(AMOUNT, FORECAST)),
        (MULTICLASS_LOG_LOSS, CLASS, SHARES, reference.log_loss(CLASS, SHARES)),
        (MULTICLASS_BRIER, CLASS, SHARES, rows_of_brier(CLASS, SHARES)),
        (ACCURACY, CLASS, SHARES, reference.accuracy_score(CLASS, SHARES.argmax(axis=1))),
    ],
    ids=lambda x: getattr(x, "name", ""),
)
def test_a_metric_is_what_scikit_learn_computes(
    metric: Metric, y: FloatArray, prediction: FloatArray, expected: float
) -> None:
    assert value(metric, y, prediction) == pytest.approx(expected, rel=1e-9)


def test_ranking_metrics_from_1024_bins_are_those_of_the_exact_scores() -> None:
    assert value(ROC_AUC, EVENT, PROBABILITY) == pytest.approx(reference.roc_auc_score(EVENT, PROBABILITY), abs=1e-4)
    assert value(AVERAGE_PRECISION, EVENT, PROBABILITY) == pytest.approx(
        reference.average_precision_score(EVENT, PROBABILITY), abs=5e-4
    )


def test_one_certain_mistake_costs_34_and_a_half_nats_and_not_infinity() -> None:
    certain_and_wrong = np.array([0.0])
    assert value(LOG_LOSS, np.array([1.0]), certain_and_wrong) == pytest.approx(34.5, abs=0.05)
    assert value(MULTICLASS_LOG_LOSS, np.array([0.0]), np.array([[0.0, 1.0]])) == pytest.approx(34.5, abs=0.05)
