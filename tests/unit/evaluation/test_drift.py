from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from gatehouse.errors import EvaluationError
from gatehouse.evaluation.drift import (
    ColumnDrift,
    ColumnReference,
    DriftReference,
    Kind,
    measure,
    population_stability_index,
    reference,
)

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def training(rows: int = 20_000, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rain = np.where(rng.random(rows) < 0.9, 0.0, rng.gamma(1.0, 2.0, rows))
    return pd.DataFrame(
        {
            "day": np.sort(rng.integers(1, 61, rows)),
            "wind": np.where(rng.random(rows) < 0.1, np.nan, rng.normal(10.0, 4.0, rows)),
            "rain": rain,
            "hour": rng.integers(5, 24, rows).astype(float),
            "carrier": rng.choice(np.array(["AA", "DL", "UA", None]), rows, p=[0.5, 0.3, 0.1, 0.1]),
        }
    )


COLUMNS = ["wind", "rain", "hour", "carrier"]
REFERENCE = reference(training(), COLUMNS)


def drift_of(frame: Any, column: str, known: DriftReference = REFERENCE) -> ColumnDrift:
    return next(found for found in measure(frame, known) if found.column == column)


def of_training(column: str, known: DriftReference = REFERENCE) -> ColumnReference:
    return next(found for found in known.columns if found.name == column)


def index(expected: Sequence[int], actual: Sequence[int]) -> Any:
    return pytest.approx(float(population_stability_index(expected, actual)))


def test_equal_shares_have_no_index() -> None:
    assert population_stability_index([1_000, 3_000], [10_000, 30_000]) == pytest.approx(0.0, abs=1e-6)


def test_the_index_is_its_formula_with_half_a_row_more_in_each_bin() -> None:
    p, q = np.array([10.5, 30.5, 0.5]) / 41.5, np.array([20.5, 0.5, 20.5]) / 41.5
    assert population_stability_index([10, 30, 0], [20, 0, 20]) == pytest.approx(((q - p) * np.log(q / p)).sum())


def test_training_data_have_not_drifted_from_themselves() -> None:
    for found, known in zip(measure(training(), REFERENCE), REFERENCE.columns, strict=True):
        assert sum(known.counts) == found.rows == 20_000
        assert found.psi == 0.0
        assert found.missing_rate == known.counts[-1] / 20_000


def test_other_rows_of_the_same_kind_have_hardly_drifted() -> None:
    assert all(found.psi is not None and found.psi < 0.01 for found in measure(training(seed=2), REFERENCE))


def test_numbers_are_counted_in_bins_of_equal_frequency() -> None:
    wind = of_training("wind")
    assert (wind.kind, len(wind.counts)) == (Kind.NUMERIC, 11)
    present = np.array(wind.counts[:-1])
    assert np.abs(present / present.sum() - 0.1).max() < 0.005


def test_a_value_that_fills_many_bins_does_not_hide_the_others() -> None:
    rain = of_training("rain")
    assert rain.edges[0] == 0.0
    assert len(rain.counts) == 12
    wetter = training()
    wetter["rain"] *= 2
    assert (drift_of(wetter, "rain").psi or 0) > 0.02


def test_few_distinct_numbers_have_a_bin_each() -> None:
    frame = pd.DataFrame({"n": [1.0, 1.0, 2.0, 4.0]})
    known = reference(frame, ["n"])
    assert of_training("n", known).counts == (0, 2, 1, 1, 0, 0)
    moved = pd.DataFrame({"n": [0.0, 4.0, 5.0, np.nan]})
    assert drift_of(moved, "n", known).psi == index([0, 2, 1, 1, 0, 0], [1, 0, 0, 1, 1, 1])


def test_a_constant_that_becomes_another_has_drifted() -> None:
    known = reference(pd.DataFrame({"n": [5.0] * 100}), ["n"])
    for other in (4.0, 6.0):
        assert (drift_of(pd.DataFrame({"n": [other] * 100}), "n", known).psi or 0) > 1.0


def test_levels_never_seen_are_counted_as_others() -> None:
    known = of_training("carrier")
    assert known.levels == ("AA", "DL", "UA")
    found = drift_of(training().assign(carrier="B6"), "carrier")
    assert found.psi == index(known.counts, [0, 0, 0, 20_000, 0])
    assert (found.psi or 0) > 1.0


def test_only_the_commonest_levels_are_kept() -> None:
    names = [f"tail {i:03d}" for i in range(150) for _ in range(300 - i)]
    found = of_training("tail", reference(pd.DataFrame({"tail": names}), ["tail"]))
    assert len(found.counts) == 102
    assert found.levels[0] == "tail 000"
    assert found.counts[-2] == sum(300 - i for i in range(100, 150))


def test_missing_and_infinite_numbers_are_missing_and_count_as_drift() -> None:
    frame = training()
    frame.loc[:9_999, "wind"] = np.nan
    frame.loc[10_000:10_099, "wind"] = np.inf
    wind = drift_of(frame, "wind")
    assert wind.missing_rate == pytest.approx(frame["wind"].replace(np.inf, np.nan).isna().mean())
    assert (wind.psi or 0) > 0.25


def test_a_column_that_was_always_missing_and_no_longer_is_has_drifted() -> None:
    known = reference(pd.DataFrame({"n": [np.nan] * 50}), ["n"])
    found = drift_of(pd.DataFrame({"n": [1.0] * 50}), "n", known)
    assert found.missing_rate == 0.0
    assert (found.psi or 0) > 1.0


def test_an_empty_window_has_no_drift_and_no_number_that_looks_like_none() -> None:
    wind = drift_of(training().head(0), "wind")
    assert (wind.rows, wind.psi, wind.missing_rate) == (0, None, None)


def test_what_is_usual_comes_from_windows_as_long_as_the_one_measured() -> None:
    rng = np.random.default_rng(3)
    days = np.repeat(np.arange(60), 200)
    weather = np.repeat(rng.normal(0, 1, 60), 200)  # days differ far more than rows do
    frame = pd.DataFrame({"day": days, "wind": weather + rng.normal(0, 0.5, len(days))})
    known = reference(frame, ["wind"], unit="day")
    one_day = drift_of(frame[frame["day"] == 7], "wind", known)
    two_weeks = drift_of(frame[frame["day"].between(7, 20)], "wind", known)
    assert one_day.psi is not None
    assert one_day.usual_psi is not None
    assert two_weeks.usual_psi is not None
    assert one_day.psi > 0.25  # the usual sign of much change, on an ordinary day
    assert one_day.psi < one_day.usual_psi
    assert two_weeks.usual_psi < one_day.usual_psi
    assert drift_of(frame, "wind", known).usual_psi is None  # no training period holds two such windows
    assert drift_of(frame.drop(columns="day"), "wind", known).usual_psi is None


def test_the_usual_index_is_of_windows_cut_out_of_training_against_the_rest() -> None:
    days = [1] * 10 + [2] * 10 + [3] * 10 + [4] * 10
    frame = pd.DataFrame({"day": days, "carrier": ["AA"] * 25 + ["UA"] * 15})
    found = drift_of(frame[frame["day"] <= 2], "carrier", reference(frame, ["carrier"], unit="day"))
    windows = [[20, 0, 0, 0], [15, 5, 0, 0], [5, 15, 0, 0]]  # days 1 and 2, 2 and 3, 3 and 4
    each = [population_stability_index([25 - w[0], 15 - w[1], 0, 0], w) for w in windows]
    assert found.usual_psi == pytest.approx(np.quantile(each, 0.95))


def test_a_reference_survives_json() -> None:
    for known in (REFERENCE, reference(training(), COLUMNS, unit="day")):
        assert DriftReference.from_dict(json.loads(json.dumps(known.to_dict()))) == known


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"format": 2}, "format 2 instead of 1"),
        ({"columns": [{"name": "wind"}]}, "KeyError"),
        ({"rows": None}, "TypeError"),
    ],
)
def test_a_stored_reference_of_another_shape_is_an_error(damage: dict[str, Any], message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        DriftReference.from_dict({**REFERENCE.to_dict(), **damage})


def test_spark_and_pandas_measure_the_same(spark: SparkSession) -> None:
    rows, later = spark.createDataFrame(training()), spark.createDataFrame(training(seed=2))
    known = reference(rows.repartition(3), COLUMNS, unit="day")
    assert known == reference(training(), COLUMNS, unit="day")
    assert measure(later, known) == measure(training(seed=2), known)


@pytest.mark.slow
def test_bins_from_a_sample_still_count_every_row(spark: SparkSession) -> None:
    frame = training(rows=120_000)
    for rows in (frame, spark.createDataFrame(frame)):
        wind = of_training("wind", reference(rows, COLUMNS))
        assert sum(wind.counts) == 120_000
        present = np.array(wind.counts[:-1])
        assert np.abs(present / present.sum() - 0.1).max() < 0.01


@pytest.mark.parametrize(("columns", "message"), [(["gust"], "no column gust"), ([], "no column was named")])
def test_a_reference_of_columns_that_are_not_there_is_an_error(columns: list[str], message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        reference(training(), columns)


def test_a_column_that_vanished_or_became_text_is_an_error() -> None:
    with pytest.raises(EvaluationError, match="no column wind"):
        measure(training().drop(columns="wind"), REFERENCE)
    with pytest.raises(EvaluationError, match="Column wind holds string, and a number is needed"):
        measure(training().assign(wind="strong"), REFERENCE)


def test_no_training_rows_are_no_reference() -> None:
    with pytest.raises(EvaluationError, match="no rows to take a drift reference from"):
        reference(training().head(0), COLUMNS)
