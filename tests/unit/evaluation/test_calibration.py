from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from gatehouse.evaluation.calibration import CalibrationError, calibration_error
from gatehouse.evaluation.measurement import Unmeasured
from gatehouse.evaluation.metrics import BRIER, MAE, Task
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


def error_of(scores: np.ndarray, late: np.ndarray = LATE) -> CalibrationError:
    found = calibration_error(of_scores(scores, late), SliceKey(), "model")
    assert isinstance(found, CalibrationError)
    return found


def stretched(factor: float) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-factor * LOGIT)))


def test_true_probabilities_are_calibrated() -> None:
    found = error_of(stretched(1.0))
    assert found.value < 0.01
    assert found.rows == 60_000


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_scores_that_are_too_timid_or_too_extreme_are_not(factor: float) -> None:
    assert error_of(stretched(factor)).value > 0.04


def test_one_score_for_all_is_one_group() -> None:
    found = error_of(np.full(4, 0.5), np.array([1.0, 0.0, 0.0, 0.0]))
    assert found == CalibrationError(value=near(0.25), rows=4)


def test_groups_count_by_their_rows() -> None:
    scores, late = np.array([0.1] * 9 + [0.9]), np.array([0.0] * 9 + [0.0])
    assert error_of(scores, late).value == near(0.9 * 0.1 + 0.1 * 0.9)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_labels_of_one_class_only_are_measured_too(label: float) -> None:
    scores = np.random.default_rng(1).uniform(0.05, 0.95, 4_000)
    assert error_of(scores, np.full(4_000, label)).value == pytest.approx(0.5, abs=0.02)


def test_other_tasks_are_told_that_it_does_not_apply() -> None:
    amounts = pd.DataFrame({"day": [1, 2], "late": [1.0, 2.0], "score": [1.5, 2.5]})
    question: dict[str, Any] = {"unit": "day", "label": "late", "predictions": {"model": "score"}, "slices": []}
    regression = collect(amounts, metrics=[MAE], task=Task.REGRESSION, **question)
    found = calibration_error(regression, SliceKey(), "model")
    assert isinstance(found, Unmeasured)
    assert found.reason == "Calibration is measured for binary tasks; this is a regression task."
