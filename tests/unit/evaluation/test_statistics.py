from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from gatehouse.errors import EvaluationError
from gatehouse.evaluation.metrics import (
    BRIER,
    LOG_LOSS,
    MAE,
    MEDIAN_ABSOLUTE_ERROR,
    MULTICLASS_BRIER,
    ROC_AUC,
    WAPE,
    Metric,
    Ratio,
    Task,
)
from gatehouse.evaluation.ranking import score_bins
from gatehouse.evaluation.statistics import SliceKey, UnitStatistics, collect

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CONTENDERS = {"champion": "old", "candidate": "new"}
SCORED = pd.DataFrame(
    {
        "day": ["2013-07-02", "2013-07-01", "2013-07-02", "2013-07-01", "2013-07-02"],
        "late": [1.0, 0.0, 0.0, 1.0, None],
        "old": [0.9, 0.2, 0.6, 0.4, 0.5],
        "new": [0.8, 0.7, 0.1, 0.3, 0.5],
        "origin": ["JFK", "JFK", None, "LGA", "JFK"],
    }
)


def binary(frame: Any, metrics: tuple[Metric, ...] = (BRIER,), **changes: Any) -> UnitStatistics:
    question: dict[str, Any] = {
        "unit": "day",
        "label": "late",
        "predictions": CONTENDERS,
        "slices": ["origin"],
        "metrics": metrics,
        "task": Task.BINARY,
    }
    return collect(frame, **(question | changes))


def same(one: UnitStatistics, other: UnitStatistics) -> None:
    assert (one.contenders, one.slices, one.units) == (other.contenders, other.slices, other.units)
    assert one.refusals == other.refusals
    assert np.array_equal(one.histograms, other.histograms)
    for name in ("rows", "labels", "numerators", "denominators", "flips", "apart"):
        np.testing.assert_allclose(getattr(one.sums, name), getattr(other.sums, name), rtol=1e-12, err_msg=name)
    assert one.left_out.keys() == other.left_out.keys()
    for name, left_out in one.left_out.items():
        np.testing.assert_allclose(left_out.value, other.left_out[name].value)
        np.testing.assert_allclose(left_out.without, other.left_out[name].without)


def test_rows_are_summed_per_slice_and_unit_for_every_contender() -> None:
    found = binary(SCORED)
    assert found.contenders == ("champion", "candidate")
    assert found.units == ("2013-07-01", "2013-07-02")
    assert [key.name for key in found.slices] == ["all", "origin=(missing)", "origin=JFK", "origin=LGA"]
    assert found.sums.rows.tolist() == [[2, 2], [0, 1], [1, 1], [1, 0]]
    assert found.sums.labels.tolist() == [[1, 1], [0, 0], [0, 1], [1, 0]]
    np.testing.assert_allclose(found.sums.numerators[0, :, :, 0], [[0.40, 0.98], [0.37, 0.05]])
    np.testing.assert_allclose(found.sums.denominators[0, :, :, 0], [[2, 2], [2, 2]])
    assert found.sums.flips[0].tolist() == [[[0, 1], [0, 0]], [[0, 0], [1, 0]]]
    np.testing.assert_allclose(found.sums.apart[0], [[[0, 0.6], [0.6, 0]], [[0, 0.6], [0.6, 0]]])


def test_scores_are_counted_per_class_and_bin() -> None:
    found = binary(SCORED)
    jfk = found.slice(SliceKey("origin", "JFK"))
    on_time, late = np.nonzero(found.histograms[jfk, :, 1, 0]), np.nonzero(found.histograms[jfk, :, 1, 1])
    assert [a.tolist() for a in on_time] == [[0], score_bins(np.array([0.7])).tolist()]
    assert [a.tolist() for a in late] == [[1], score_bins(np.array([0.8])).tolist()]
    assert found.histograms.sum() == 2 * 2 * 4  # contenders, slices of each row, rows


def test_rows_without_label_are_told_of_and_not_counted() -> None:
    assert binary(SCORED).refusals.without_label == 1
    assert binary(SCORED).refusals.faults is None


def test_rows_that_cannot_be_judged_are_faults_by_name() -> None:
    frame = pd.DataFrame(
        {
            "day": ["1", "1", "1", "1", None, "1"],
            "late": [0.0, 1.0, 2.0, 1.0, 1.0, None],
            "old": [0.5, np.nan, 0.5, 0.5, 0.5, np.nan],
            "new": [0.5, np.inf, 0.5, 1.2, 0.5, 0.5],
        }
    )
    found = binary(frame, slices=[])
    assert found.sums.rows.tolist() == [[1]]
    assert found.refusals.faults == (
        "The scored data hold 2 rows with an invalid prediction of champion, 2 rows with an invalid prediction of "
        "candidate, 1 row with an impossible label, 1 row without a unit."
    )


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ([dt.date(2013, 7, 1), dt.date(2013, 6, 30)], ("2013-06-30", "2013-07-01")),
        ([10, 9], ("9", "10")),
        (["week 10", "week 09"], ("week 09", "week 10")),
        (pd.to_datetime(["2013-07-01", "2013-06-30"]), ("2013-06-30T00:00:00", "2013-07-01T00:00:00")),
    ],
)
def test_units_are_in_order_whatever_their_type(days: Any, expected: tuple[str, ...]) -> None:
    frame = pd.DataFrame({"day": days, "late": [0, 1], "old": 0.5, "new": 0.5})
    assert binary(frame, slices=[]).units == expected


def test_the_values_of_slices_are_text_as_sql_writes_it() -> None:
    frame = SCORED.assign(origin=[True, False, True, False, True])
    assert [key.name for key in binary(frame).slices] == ["all", "origin=false", "origin=true"]


def test_the_order_of_rows_and_the_size_of_batches_make_no_difference() -> None:
    rng = np.random.default_rng(2)
    n = 150_000  # three batches, in which units and slices turn up at different times
    frame = pd.DataFrame(
        {
            "day": rng.integers(0, 40, n),
            "late": np.where(np.arange(n) % 100 == 0, np.nan, rng.integers(0, 2, n)),
            "old": rng.random(n),
            "new": rng.random(n),
            "origin": rng.choice(["EWR", "JFK", "LGA"], n),
        }
    )
    by_day = frame.sort_values(["day", "origin"])
    found = binary(frame, (BRIER, LOG_LOSS))
    assert found.refusals.without_label == 1_500
    assert found.sums.rows[0].sum() == 148_500
    same(found, binary(by_day, (BRIER, LOG_LOSS)))


def test_spark_and_pandas_give_the_same_statistics(spark: SparkSession) -> None:
    rng = np.random.default_rng(3)
    n = 5_000
    frame = pd.DataFrame(
        {
            "day": [str(dt.date(2013, 7, 1) + dt.timedelta(days=int(d))) for d in rng.integers(0, 20, n)],
            "late": np.where(rng.random(n) < 0.05, np.nan, rng.integers(0, 2, n)),
            "old": np.where(rng.random(n) < 0.001, np.nan, rng.random(n)),
            "new": rng.random(n),
            "origin": rng.choice(np.array(["EWR", "JFK", None]), n),
        }
    )
    mean_error = Ratio(name="wide", numerator=lambda y, p: np.abs(y - p), denominator=lambda y, p: 1.0 + y * p)
    metrics = (BRIER, LOG_LOSS, ROC_AUC, mean_error)
    rows = spark.createDataFrame(frame).repartition(3)
    same(binary(rows, metrics), binary(frame, metrics))


def test_dates_and_booleans_of_spark_have_the_same_names(spark: SparkSession) -> None:
    rows = spark.sql(
        "SELECT DATE'2013-07-01' AS day, 1 AS late, 0.5D AS old, 0.25D AS new, true AS origin "
        "UNION ALL SELECT DATE'2013-07-02', 0, 0.5D, 0.25D, null"
    )
    found = binary(rows)
    assert found.units == ("2013-07-01", "2013-07-02")
    assert [key.name for key in found.slices] == ["all", "origin=(missing)", "origin=true"]


def multiclass(rows: Any) -> UnitStatistics:
    return collect(
        rows,
        unit="week",
        label="kind",
        predictions=CONTENDERS,
        slices=[],
        metrics=[MULTICLASS_BRIER],
        task=Task.MULTICLASS,
        classes=3,
    )


def test_classes_are_judged_by_position_and_flips_by_the_likeliest(spark: SparkSession) -> None:
    frame = pd.DataFrame(
        {
            "week": [1, 1, 2, 2],
            "kind": [0, 2, 1, 1],
            "old": [[0.6, 0.2, 0.2], [0.1, 0.1, 0.8], [0.5, 0.4, 0.1], [0.2, 0.7, 0.1]],
            "new": [[0.2, 0.6, 0.2], [0.1, 0.1, 0.8], [0.3, 0.6, 0.1], [0.2, 0.7, 0.1]],
        }
    )
    found = multiclass(frame)
    assert found.sums.rows.tolist() == [[2, 2]]
    np.testing.assert_allclose(found.sums.numerators[0, :, :, 0], [[0.30, 1.10], [0.76, 0.40]])
    assert found.sums.flips[0, :, 0, 1].tolist() == [1, 0]
    assert found.sums.flips[0, :, 1, 0].tolist() == [0, 1]
    np.testing.assert_allclose(found.sums.apart[0, :, 0, 1], [0.4, 0.2])
    same(multiclass(spark.createDataFrame(frame)), found)


def test_a_multiclass_prediction_of_the_wrong_width_or_sum_is_invalid() -> None:
    frame = pd.DataFrame(
        {
            "week": [1, 1, 1, 1, 1],
            "kind": [0, 1, 2, 3, 1],
            "old": [[0.6, 0.2, 0.2], [0.5, 0.5], None, [0.6, 0.2, 0.2], [0.6, 0.3, 0.3]],
            "new": [[0.6, 0.2, 0.2]] * 5,
        }
    )
    found = multiclass(frame)
    assert found.sums.rows.tolist() == [[1]]
    assert found.refusals.invalid_predictions == {"champion": 3, "candidate": 0}
    assert found.refusals.impossible_labels == 1


def test_a_regression_counts_flips_within_a_tolerance_and_keeps_whole_samples(spark: SparkSession) -> None:
    frame = pd.DataFrame(
        {
            "week": [1, 1, 2, 2, 2],
            "amount": [10.0, 20.0, 30.0, 40.0, np.inf],
            "old": [11.0, 25.0, 31.0, 44.0, 1.0],
            "new": [13.0, 21.0, 30.5, 46.0, 1.0],
        }
    )

    def regression(rows: Any) -> UnitStatistics:
        return collect(
            rows,
            unit="week",
            label="amount",
            predictions=CONTENDERS,
            slices=[],
            metrics=[MAE, WAPE, MEDIAN_ABSOLUTE_ERROR],
            task=Task.REGRESSION,
            tolerance=2.0,
        )

    found = regression(frame)
    assert found.refusals.impossible_labels == 1
    assert found.sums.numerators[0].tolist() == [[[6, 6], [4, 4]], [[5, 5], [6.5, 6.5]]]
    assert found.sums.denominators[0].tolist() == [[[2, 30], [2, 30]], [[2, 70], [2, 70]]]
    assert found.sums.flips[0, :, 0, 1].tolist() == [1, 0]
    median = found.left_out["median_absolute_error"]
    assert median.value.tolist() == [[2.5, 2.0]]
    assert median.without.tolist() == [[[2.5, 3.25], [3.0, 2.0]]]
    same(regression(spark.createDataFrame(frame)), found)


def test_a_hold_out_without_labels_is_an_error() -> None:
    with pytest.raises(EvaluationError, match="No row can be evaluated: 5 without a label"):
        binary(SCORED.assign(late=None))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": "delayed"}, "no column delayed"),
        ({"metrics": (MAE,)}, "Metric mae does not suit a binary task"),
        ({"metrics": (BRIER, BRIER)}, "have the same name"),
        ({"task": Task.MULTICLASS, "metrics": (MULTICLASS_BRIER,)}, "given 0 classes"),
        ({"label": "origin"}, "Column origin holds string, and a number is needed"),
    ],
)
def test_a_question_that_cannot_be_answered_is_an_error(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        binary(SCORED, **changes)


def test_text_among_numbers_is_an_error() -> None:
    with pytest.raises(EvaluationError, match="A column holds values of several types"):
        binary(SCORED.assign(old=[0.5, "high", 0.5, 0.5, 0.5]))


def broken(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    raise ZeroDivisionError("division by zero")


@pytest.mark.parametrize(
    ("row_function", "message"),
    [
        (broken, "Metric own failed on 4 rows: ZeroDivisionError: division by zero"),
        (lambda y, p: np.log(p - 0.2), "Metric own gave no finite number"),
        (lambda y, p: np.array([1.0]), "Metric own gave no finite number"),
    ],
)
def test_a_projects_own_metric_that_fails_is_named(row_function: Any, message: str) -> None:
    with pytest.raises(EvaluationError, match=message), np.errstate(all="ignore"):
        binary(SCORED, (Ratio(name="own", numerator=row_function),))


def test_an_error_on_a_spark_worker_arrives_as_itself(spark: SparkSession) -> None:
    rows = spark.createDataFrame(SCORED)
    with pytest.raises(EvaluationError) as caught:
        binary(rows, label="origin")
    assert caught.value.what == "Column origin holds string, and a number is needed."
    assert caught.value.remedy == "Cast origin to double where it is made."


def test_more_slices_and_units_than_memory_are_refused() -> None:
    n = 120_000
    frame = pd.DataFrame({"day": np.arange(n), "late": 1.0, "old": 0.5, "new": 0.5})
    with pytest.raises(EvaluationError, match=r"1 slices times 65,536 units \(day\) need more"):
        binary(frame, slices=[])


def test_asking_for_what_was_not_collected_is_an_error() -> None:
    with pytest.raises(EvaluationError, match="no statistics of contender challenger"):
        binary(SCORED).contender("challenger")
    with pytest.raises(EvaluationError, match="no statistics of slice origin=EWR"):
        binary(SCORED).slice(SliceKey("origin", "EWR"))


def test_the_statistics_of_some_days_are_those_of_their_rows() -> None:
    frame = pd.concat([SCORED, SCORED.assign(day="2013-07-03", origin="EWR")])
    days = ["2013-07-03", "2013-07-01"]
    found = binary(frame, (BRIER, ROC_AUC)).of_units(days)
    alone = binary(frame[frame["day"].isin(days)], (BRIER, ROC_AUC))
    same(replace(found, refusals=alone.refusals), alone)
