"""The rule of thumb: group means, pulled to the overall mean where there is little to go by."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gatehouse.errors import DataError
from gatehouse.evaluation.baseline import fit_group_mean
from gatehouse.project import GroupMean

SEEN = pd.DataFrame({"carrier": ["UA", "UA", "AA", "AA"], "hour": [8, 8, 8, 9]})
LATE = pd.Series([1.0, 1.0, 0.0, 0.0])


def test_without_a_prior_each_group_gets_its_own_mean() -> None:
    rule = fit_group_mean(SEEN, LATE, columns=("carrier", "hour"), prior_rows=0, classes=0)

    np.testing.assert_array_equal(rule.predict(SEEN), [1.0, 1.0, 0.0, 0.0])


def test_a_prior_pulls_small_groups_further_to_the_overall_mean_than_large_ones() -> None:
    rule = fit_group_mean(SEEN, LATE, columns=("carrier", "hour"), prior_rows=2, classes=0)

    # Overall 1/2, so two pseudo-rows add 1 to the sum: UA (2 + 1) / (2 + 2), each AA (0 + 1) / (1 + 2).
    np.testing.assert_allclose(rule.predict(SEEN), [3 / 4, 3 / 4, 1 / 3, 1 / 3], rtol=1e-15)


def test_a_group_never_seen_gets_the_overall_mean() -> None:
    rule = fit_group_mean(SEEN, LATE, columns=("carrier", "hour"), prior_rows=0, classes=0)

    unseen = pd.DataFrame({"carrier": ["UA", "HA"], "hour": [9, 8]})
    np.testing.assert_array_equal(rule.predict(unseen), [0.5, 0.5])


def test_predictions_keep_the_order_of_the_rows_whatever_their_index() -> None:
    rule = fit_group_mean(SEEN, LATE, columns=("carrier",), prior_rows=0, classes=0)

    shuffled = pd.DataFrame({"carrier": ["AA", "UA", "AA"], "ignored": [1, 2, 3]}, index=[7, 7, 0])
    np.testing.assert_array_equal(rule.predict(shuffled), [0.0, 1.0, 0.0])


def test_nulls_are_a_group_of_their_own() -> None:
    seen = pd.DataFrame({"carrier": ["UA", None, None]})
    rule = fit_group_mean(seen, pd.Series([0.0, 1.0, 1.0]), columns=("carrier",), prior_rows=0, classes=0)

    np.testing.assert_array_equal(rule.predict(pd.DataFrame({"carrier": [None, "UA"]})), [1.0, 0.0])


def test_an_hour_that_arrives_as_a_double_is_the_same_hour() -> None:
    rule = fit_group_mean(SEEN, LATE, columns=("hour",), prior_rows=0, classes=0)

    np.testing.assert_allclose(rule.predict(pd.DataFrame({"hour": [8.0, 9.0]})), [2 / 3, 0.0])


def test_without_columns_everything_is_one_group() -> None:
    rule = fit_group_mean(SEEN, LATE, columns=(), prior_rows=5, classes=0)

    np.testing.assert_array_equal(rule.predict(SEEN.head(3)), [0.5, 0.5, 0.5])


def test_with_classes_a_prediction_is_one_frequency_per_class() -> None:
    seen = pd.DataFrame({"airport": ["JFK", "JFK", "LGA"]})
    rule = fit_group_mean(seen, pd.Series([0, 2, 2]), columns=("airport",), prior_rows=0, classes=3)

    expected = [[0.5, 0.0, 0.5], [0.0, 0.0, 1.0], [1 / 3, 0.0, 2 / 3]]
    np.testing.assert_allclose(rule.predict(pd.DataFrame({"airport": ["JFK", "LGA", "EWR"]})), expected)


def test_the_projects_baseline_is_this_rule() -> None:
    rule = GroupMean(columns=("carrier", "hour"), prior_rows=2.0).fit(SEEN, LATE)

    np.testing.assert_allclose(rule.predict(SEEN), [3 / 4, 3 / 4, 1 / 3, 1 / 3], rtol=1e-15)


@pytest.mark.parametrize(
    ("labels", "classes", "complaint"),
    [
        ([1.0, None, 0.0, 0.0], 0, "1 of 4 labels are missing"),
        ([0, 1, 2, 3], 3, "Labels between 0 and 3 do not fit 3 classes"),
        ([0.0, 0.5, 1.0, 1.0], 2, "Labels between 0 and 1 do not fit 2 classes"),
    ],
)
def test_labels_that_cannot_be_averaged_are_refused(labels: list[float | None], classes: int, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        fit_group_mean(SEEN, pd.Series(labels), columns=("carrier",), prior_rows=1, classes=classes)


def test_no_rows_are_refused() -> None:
    with pytest.raises(DataError, match="at least one row"):
        fit_group_mean(SEEN.head(0), LATE.head(0), columns=("carrier",), prior_rows=1, classes=0)
