from __future__ import annotations

import numpy as np
import pytest

from gatehouse.evaluation.metrics import LOG_LOSS, STANDARD, FloatArray, Metric, Ratio, Task
from gatehouse.evaluation.soundness import perfection_flaw


def labels(task: Task, seed: int) -> FloatArray:
    rng = np.random.default_rng(seed)
    if task is Task.BINARY:
        return np.concatenate([[0.0, 1.0], (rng.random(300) < rng.uniform(0.02, 0.98)).astype(float)])
    if task is Task.MULTICLASS:
        return np.concatenate([[0.0, 1.0, 2.0], rng.integers(0, 3, 300).astype(float)])
    return rng.normal(rng.uniform(-5, 5), rng.uniform(0.1, 50), 300)


@pytest.mark.broken_gate(3)
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("metric", "task"), [(m, t) for m in STANDARD for t in m.tasks], ids=lambda x: getattr(x, "name", str(x))
)
def test_no_prediction_beats_the_truth_on_any_metric_offered(metric: Metric, task: Task, seed: int) -> None:
    assert perfection_flaw(metric, labels(task, seed), task=task, classes=3) is None


@pytest.mark.broken_gate(3)
def test_a_metric_that_rewards_missing_the_event_is_found_out() -> None:
    idle = Ratio(
        name="calls_saved",
        numerator=lambda _, p: np.where(p < 0.5, 1.0, 0.0),
        greater_is_better=True,
        tasks=(Task.BINARY,),
    )
    y = np.array([0.0, 0.0, 0.0, 1.0])
    assert perfection_flaw(idle, y, task=Task.BINARY) == (
        "By calls_saved, the constant 0 scores 1 and beats the truth itself, which scores 0.75."
    )


def test_a_metric_with_the_wrong_sign_is_found_out() -> None:
    upside_down = Ratio(name="log_loss", numerator=LOG_LOSS.numerator, greater_is_better=True, tasks=(Task.BINARY,))
    assert "beats the truth itself" in (perfection_flaw(upside_down, np.array([0.0, 1.0]), task=Task.BINARY) or "")


def test_a_metric_that_a_perfect_prediction_leaves_undefined_is_found_out() -> None:
    odds = Ratio(
        name="odds", numerator=lambda y, _: y, denominator=lambda y, p: np.abs(y - p), tasks=(Task.REGRESSION,)
    )
    with np.errstate(divide="ignore"):
        found = perfection_flaw(odds, np.array([1.0, 2.0]), task=Task.REGRESSION)
    assert found == "odds of a perfect prediction is inf."
