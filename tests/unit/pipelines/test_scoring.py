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

from gatehouse.pipelines.scoring import fitted, score, score_beside, shaped, stored_model
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
        ([[0.5, 0.5], [1, 0]], Task.MULTICLASS, [[0.5, 0.5], [1.0, 0.0]]),
    ],
)
def test_predictions_take_the_shape_of_their_task(raw: list[object], task: Task, expected: list[object]) -> None:
    assert shaped(raw, task, 2).tolist() == expected


@pytest.mark.parametrize(
    ("raw", "task"),
    [
        ([1.0], Task.BINARY),
        ([[0.5, 0.5], [1, 0]], Task.BINARY),
        (1.0, Task.REGRESSION),
        ([1.0, 2.0], Task.MULTICLASS),
        ([[0.5, 0.5]], Task.MULTICLASS),
    ],
)
def test_predictions_of_another_shape_are_refused(raw: object, task: Task) -> None:
    with pytest.raises(ValueError, match="for 2 rows, not"):
        shaped(raw, task, 2)
