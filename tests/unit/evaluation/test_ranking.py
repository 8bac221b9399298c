from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from gatehouse.evaluation.ranking import (
    BINS,
    Curve,
    average_precision,
    bin_scores,
    equal_groups,
    roc_auc,
    score_bins,
)

CURVES = pytest.mark.parametrize("curve", [roc_auc, average_precision])


def histograms(seed: int, rows: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return (
        np.bincount(rng.integers(300, 900, rows), minlength=BINS).astype(float),
        np.bincount(rng.integers(100, 700, rows), minlength=BINS).astype(float),
    )


def test_bins_keep_the_order_of_probabilities_out_to_one_in_a_trillion() -> None:
    logits = np.linspace(-27, 27, 250)
    bins = score_bins(1 / (1 + np.exp(-logits)))
    assert (np.diff(bins) > 0).all()


def test_certainty_falls_in_the_outermost_bins() -> None:
    assert score_bins(np.array([0.0, 1e-300, 0.5, 1.0])).tolist() == [0, 0, 512, 1023]


def test_the_middle_of_a_bin_lies_in_that_bin() -> None:
    assert score_bins(bin_scores())[:1000].tolist() == list(range(1000))  # above, doubles are too coarse


def test_rare_events_are_still_ranked() -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(-13, 1.5, 200_000)  # about one event in 150,000 rows at a score of one half
    y = rng.random(200_000) < 100 / (1 + np.exp(-logits))
    bins = score_bins(1 / (1 + np.exp(-logits)))
    positives, negatives = (np.bincount(bins[y == side], minlength=BINS).astype(float) for side in (True, False))
    assert roc_auc(positives, negatives).value == pytest.approx(roc_auc_score(y, logits), abs=2e-3)


@CURVES
def test_the_gradient_is_the_slope_of_the_value(curve: Curve) -> None:
    positives, negatives = histograms(1)
    found = curve(positives, negatives)
    step = np.zeros(BINS)
    for place in (305, 450, 600, 699):
        step[place] = 1e-5
        by_positives = (curve(positives + step, negatives).value - curve(positives - step, negatives).value) / 2e-5
        by_negatives = (curve(positives, negatives + step).value - curve(positives, negatives - step).value) / 2e-5
        step[place] = 0.0
        assert found.by_positives[place] == pytest.approx(by_positives, rel=1e-4, abs=1e-9)
        assert found.by_negatives[place] == pytest.approx(by_negatives, rel=1e-4, abs=1e-9)


@CURVES
def test_twice_the_data_have_the_same_value_so_influences_sum_to_zero(curve: Curve) -> None:
    positives, negatives = histograms(2)
    found = curve(positives, negatives)
    assert curve(2 * positives, 2 * negatives).value == pytest.approx(found.value, rel=1e-12)
    assert found.by_positives @ positives + found.by_negatives @ negatives == pytest.approx(0.0, abs=1e-12)


@CURVES
def test_a_constant_score_ranks_nothing(curve: Curve) -> None:
    positives, negatives = np.zeros(BINS), np.zeros(BINS)
    positives[500], negatives[500] = 30, 70
    assert curve(positives, negatives).value == pytest.approx(0.5 if curve is roc_auc else 0.3)


def test_groups_are_of_about_equal_size_and_in_order() -> None:
    rows = np.zeros(BINS)
    rows[100:200] = 1
    groups = equal_groups(rows, 10)
    assert np.bincount(groups, rows, minlength=10).tolist() == [10.0] * 10
    assert (np.diff(groups) >= 0).all()
