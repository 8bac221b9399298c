from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from gatehouse.evaluation.calibration import Calibration, CalibrationPoint, bias, calibration
from gatehouse.evaluation.measurement import Unmeasured, Value
from gatehouse.evaluation.metrics import BRIER, MAE, MULTICLASS_BRIER, Task
from gatehouse.evaluation.statistics import SliceKey, UnitStatistics, collect

RNG = np.random.default_rng(4)
LOGIT = RNG.normal(-1.0, 1.2, 60_000)
LATE = (RNG.random(60_000) < 1 / (1 + np.exp(-LOGIT))).astype(float)


def near(number: float) -> Any:
    """Equal up to half a score bin."""
    return pytest.approx(number, abs=0.004)


def of_scores(scores: np.ndarray, late: np.ndarray = LATE) -> UnitStatistics:
    frame = pd.DataFrame({"day": np.arange(len(late)) % 10, "late": late, "score": scores})
    return collect(
        frame,
        unit="day",
        label="late",
        predictions={"model": "score"},
        slices=[],
        metrics=[BRIER],
        task=Task.BINARY,
    )


def curve_of(scores: np.ndarray, late: np.ndarray = LATE) -> Calibration:
    found = calibration(of_scores(scores, late), SliceKey(), "model")
    assert isinstance(found, Calibration)
    return found


def stretched(factor: float) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-factor * LOGIT)))


def test_true_probabilities_are_calibrated() -> None:
    found = curve_of(stretched(1.0))
    assert len(found.curve) == 10
    assert sum(point.rows for point in found.curve) == found.rows == 60_000
    assert [point.observed for point in found.curve] == pytest.approx([p.predicted for p in found.curve], abs=0.02)
    assert found.expected_error < 0.01
    assert found.slope == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_the_slope_tells_how_far_scores_are_too_timid_or_too_extreme(factor: float) -> None:
    found = curve_of(stretched(factor))
    assert found.slope == pytest.approx(1 / factor, rel=0.03)
    assert found.expected_error > 0.04


def test_one_score_for_all_is_one_point() -> None:
    found = curve_of(np.full(4, 0.5), np.array([1.0, 0.0, 0.0, 0.0]))
    assert found.curve == (CalibrationPoint(predicted=near(0.5), observed=0.25, rows=4),)
    assert found.expected_error == pytest.approx(0.25, abs=0.004)
    assert found.slope is None


def test_classes_that_scores_separate_have_no_slope() -> None:
    assert curve_of(np.array([0.1, 0.2, 0.8, 0.9]), np.array([0.0, 0.0, 1.0, 1.0])).slope is None


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_labels_of_one_class_only_have_no_slope(label: float) -> None:
    rng = np.random.default_rng(1)
    found = curve_of(rng.uniform(0.05, 0.95, 4_000), np.full(4_000, label))
    assert found.slope is None
    assert found.expected_error == pytest.approx(0.5, abs=0.02)


def test_the_bias_is_exact_and_has_an_influence_per_unit() -> None:
    scores = stretched(2.0)
    found = bias(of_scores(scores), SliceKey(), "model")
    assert isinstance(found, Value)
    assert found.value == pytest.approx((scores - LATE).mean())
    assert found.influence.sum() == pytest.approx(0.0, abs=1e-12)
    assert len(found.influence) == 10


def test_other_tasks_are_told_what_does_not_apply() -> None:
    amounts = pd.DataFrame({"day": [1, 2], "late": [1.0, 2.0], "score": [1.5, 2.5]})
    question: dict[str, Any] = {"unit": "day", "label": "late", "predictions": {"model": "score"}, "slices": []}
    regression = collect(amounts, metrics=[MAE], task=Task.REGRESSION, **question)
    found = calibration(regression, SliceKey(), "model")
    assert isinstance(found, Unmeasured)
    assert found.reason == "Calibration is measured for binary tasks; this is a regression task."
    amount_bias = bias(regression, SliceKey(), "model")
    assert isinstance(amount_bias, Value)
    assert amount_bias.value == 0.5
    kinds = amounts.assign(late=[0, 1], score=pd.Series([[0.5, 0.5]] * 2))
    multiclass = collect(kinds, metrics=[MULTICLASS_BRIER], task=Task.MULTICLASS, classes=2, **question)
    assert isinstance(bias(multiclass, SliceKey(), "model"), Unmeasured)
