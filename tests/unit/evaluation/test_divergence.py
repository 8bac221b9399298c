from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from gatehouse.evaluation.divergence import jensen_shannon_distance, population_stability_index


def test_equal_shares_are_no_distance_apart() -> None:
    assert jensen_shannon_distance([10, 30], [100, 300]) == 0.0
    assert population_stability_index([1_000, 3_000], [10_000, 30_000]) == pytest.approx(0.0, abs=1e-6)


def test_the_index_is_its_formula_with_half_a_row_more_in_each_bin() -> None:
    p, q = np.array([10.5, 30.5, 0.5]) / 41.5, np.array([20.5, 0.5, 20.5]) / 41.5
    assert population_stability_index([10, 30, 0], [20, 0, 20]) == pytest.approx(((q - p) * np.log(q / p)).sum())


def test_the_distance_is_scipys_and_1_for_histograms_that_share_nothing() -> None:
    assert jensen_shannon_distance([3, 5, 2], [1, 1, 8]) == pytest.approx(jensenshannon([3, 5, 2], [1, 1, 8], base=2))
    assert jensen_shannon_distance([5, 0], [0, 7]) == pytest.approx(1.0)
