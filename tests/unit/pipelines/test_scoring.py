"""Predictors applied to frames: the shape that comes back is the task's, or nothing does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from chispa import assert_df_equality

from gatehouse.errors import ConfigurationError
from gatehouse.pipelines.scoring import demand_the_same, fitted, score, score_beside, shaped, stored_model
from gatehouse.project import Task

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


class Doubled:
    """Twice the weight; for classes, certainty that weights above 1 belong to the second of three."""

    def __init__(self, classes: int = 0) -> None:
        self.classes = classes

    def predict(self, features: pd.DataFrame) -> np.ndarray:
        doubled = features["weight"].to_numpy() * 2
        return np.eye(self.classes)[(doubled > 2).astype(int)] if self.classes else doubled


@pytest.fixture
def parcels(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame([("P1", 1.0), ("P2", 2.0)], "parcel string, weight double")


def test_a_frame_gains_one_number_per_row(parcels: DataFrame) -> None:
    scored = score(parcels, fitted(Doubled()), Task.REGRESSION)

    assert scored.dtypes == [*parcels.dtypes, ("prediction", "double"), ("probabilities", "array<double>")]
    assert sorted(tuple(r) for r in scored.collect()) == [("P1", 1.0, 2.0, None), ("P2", 2.0, 4.0, None)]


def test_a_multiclass_frame_gains_the_likeliest_class_and_all_probabilities(parcels: DataFrame) -> None:
    scored = score(parcels, fitted(Doubled(classes=3)), Task.MULTICLASS)

    assert sorted(tuple(r) for r in scored.collect()) == [
        ("P1", 1.0, 0.0, [1.0, 0.0, 0.0]),
        ("P2", 2.0, 1.0, [0.0, 1.0, 0.0]),
    ]


def test_several_predictors_are_applied_side_by_side(parcels: DataFrame) -> None:
    ways = {"once": fitted(Doubled()), "again": fitted(Doubled())}

    assert sorted(tuple(r) for r in score_beside(parcels, ways, Task.REGRESSION).collect()) == [
        ("P1", 1.0, 2.0, 2.0),
        ("P2", 2.0, 4.0, 4.0),
    ]
    of_classes = score_beside(parcels, {"one": fitted(Doubled(classes=2))}, Task.MULTICLASS)
    assert of_classes.dtypes[-1] == ("one", "array<double>")


def test_what_the_predictor_does_not_read_goes_through_unchanged(spark: SparkSession) -> None:
    rows = [("Größe", None, None, datetime(2013, 4, 1, 6, 30)), (None, 2, True, None)]  # noqa: DTZ001 - in UTC
    frame = spark.createDataFrame(rows, "name string, pieces int, fragile boolean, sent_at timestamp")

    scored = score(frame, lambda batch: np.zeros(len(batch)), Task.REGRESSION)

    assert_df_equality(scored.drop("prediction", "probabilities"), frame, ignore_nullable=True)


def test_a_prediction_that_is_not_a_number_is_missing(parcels: DataFrame) -> None:
    scored = score(parcels, lambda batch: np.full(len(batch), np.nan), Task.REGRESSION)

    assert [r.prediction for r in scored.collect()] == [None, None]


def test_a_stored_model_gets_its_own_columns_only(parcels: DataFrame, make_model: Callable[[float], Path]) -> None:
    scored = score(parcels, stored_model(make_model(0.25), ["weight"]), Task.BINARY)

    assert [r.prediction for r in scored.collect()] == [0.25, 0.25]


@pytest.mark.parametrize(
    ("raw", "task", "expected"),
    [
        ([1, 2], Task.BINARY, [1.0, 2.0]),
        ([[1], [2]], Task.REGRESSION, [1.0, 2.0]),
        ([[0.75, 0.25], [1, 0]], Task.BINARY, [0.25, 0.0]),
        ([[0.5, 0.5], [1, 0]], Task.MULTICLASS, [[0.5, 0.5], [1.0, 0.0]]),
    ],
)
def test_predictions_take_the_shape_of_their_task(raw: list[object], task: Task, expected: list[object]) -> None:
    assert shaped(raw, task, 2).tolist() == expected


@pytest.mark.parametrize(
    ("raw", "task"),
    [
        ([1.0], Task.BINARY),
        ([[0.5, 0.5], [1, 0]], Task.REGRESSION),
        ([[0.5, 0.25, 0.25], [1, 0, 0]], Task.BINARY),
        (1.0, Task.REGRESSION),
        ([1.0, 2.0], Task.MULTICLASS),
        ([[0.5, 0.5]], Task.MULTICLASS),
    ],
)
def test_predictions_of_another_shape_are_refused(raw: object, task: Task) -> None:
    with pytest.raises(ValueError, match="for 2 rows, not"):
        shaped(raw, task, 2)


class Probability:
    """As `predict` of an estimator: the probability of 1 alone. `columns`: what is stored instead."""

    def __init__(self, *columns: str) -> None:
        self.columns = columns

    def predict(self, features: pd.DataFrame) -> np.ndarray:
        one = features["weight"].to_numpy()
        stored = {"class": (one > 0.5).astype(float), "of 0": 1 - one, "of 1": one, "nearly": one + 1e-7}
        return np.column_stack([stored[name] for name in self.columns]) if self.columns else one


@pytest.mark.parametrize("columns", [("of 1",), ("of 0", "of 1"), ("nearly",)], ids=str)
def test_a_stored_model_that_answers_as_the_fitted_one_is_the_same(columns: tuple[str, ...]) -> None:
    demand_the_same(Probability(*columns), Probability(), pd.DataFrame({"weight": [0.25, 0.75]}), Task.BINARY)


@pytest.mark.parametrize(
    ("columns", "what"),
    [
        (("class",), "of 2 rows, the first get 0, 1 from the one and 0.25, 0.75 from the other"),
        (("of 1", "of 0"), "the first get 0.75, 0.25 from the one"),
        (("of 0", "of 1", "class"), r"the model returned shape \(2, 3\) for 2 rows"),
    ],
    ids=str,
)
def test_a_stored_model_that_answers_otherwise_is_refused(columns: tuple[str, ...], what: str) -> None:
    with pytest.raises(ConfigurationError, match=what) as refused:
        demand_the_same(Probability(*columns), Probability(), pd.DataFrame({"weight": [0.25, 0.75]}), Task.BINARY)
    assert "predict_proba" in str(refused.value.remedy)
