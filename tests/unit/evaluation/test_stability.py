from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from gatehouse.evaluation.measurement import Unmeasured, Value
from gatehouse.evaluation.metrics import ACCURACY, BRIER, MAE, Metric, Task
from gatehouse.evaluation.stability import ScoreShift, negative_flip_rate, score_shift
from gatehouse.evaluation.statistics import SliceKey, UnitStatistics, collect


def near(number: float) -> Any:
    return pytest.approx(number)


def statistics(late: Any, old: Any, new: Any, metric: Metric = BRIER, **options: Any) -> UnitStatistics:
    frame = pd.DataFrame({"day": np.arange(len(late)) % 5, "late": late, "old": list(old), "new": list(new)})
    question: dict[str, Any] = {"task": Task.BINARY} | options
    return collect(
        frame,
        unit="day",
        label="late",
        predictions={"old": "old", "new": "new"},
        slices=[],
        metrics=[metric],
        **question,
    )


def test_flips_are_counted_apart_by_direction() -> None:
    found = statistics([1, 1, 0, 0, 0], [0.9, 0.2, 0.2, 0.9, 0.1], [0.1, 0.8, 0.9, 0.1, 0.2])
    worse = negative_flip_rate(found, SliceKey(), old="old", new="new")
    better = negative_flip_rate(found, SliceKey(), old="new", new="old")
    assert isinstance(worse, Value)
    assert isinstance(better, Value)
    assert (worse.value, better.value) == (0.4, 0.4)
    assert worse.influence.tolist() == pytest.approx([0.12, -0.08, 0.12, -0.08, -0.08])


def test_the_threshold_says_what_a_flip_is() -> None:
    found = statistics([1] * 5, [0.4] * 5, [0.2] * 5, threshold=0.3)
    flips = negative_flip_rate(found, SliceKey(), old="old", new="new")
    assert isinstance(flips, Value)
    assert flips.value == 1.0


def test_a_regression_without_tolerance_has_no_flips_and_says_why() -> None:
    found = statistics([1.0] * 5, [2.0] * 5, [3.0] * 5, MAE, task=Task.REGRESSION)
    flips = negative_flip_rate(found, SliceKey(), old="old", new="new")
    assert isinstance(flips, Unmeasured)
    assert flips.reason == "Flips need to know when a prediction is right: give a tolerance for this regression."


def test_equal_scores_have_not_shifted() -> None:
    scores = np.random.default_rng(1).random(500)
    found = statistics(np.arange(500) % 2, scores, scores)
    assert score_shift(found, SliceKey(), old="old", new="new") == ScoreShift(mean_absolute=0.0, rows=500)


def test_shifts_in_opposite_directions_do_not_cancel_out() -> None:
    found = statistics([0, 1] * 5, [0.5] * 10, [0.4, 0.6] * 5)
    assert score_shift(found, SliceKey(), old="old", new="new") == ScoreShift(mean_absolute=near(0.1), rows=10)


def test_a_regression_shifts_in_its_own_unit_and_classes_by_probability_moved() -> None:
    amounts = statistics([1.0] * 5, [2.0] * 5, [5.0, 5.0, 5.0, 5.0, -1.0], MAE, task=Task.REGRESSION)
    assert score_shift(amounts, SliceKey(), old="old", new="new") == ScoreShift(mean_absolute=3.0, rows=5)
    kinds = statistics(
        [0, 1, 2, 0, 1], [[0.5, 0.3, 0.2]] * 5, [[0.3, 0.3, 0.4]] * 5, ACCURACY, task=Task.MULTICLASS, classes=3
    )
    assert score_shift(kinds, SliceKey(), old="old", new="new") == ScoreShift(mean_absolute=near(0.2), rows=5)
