"""Applies a stored model to a DataFrame: one model per worker process, predictions in the shape of the task."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from gatehouse.project import Task

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import pandas as pd
    from pyspark.sql import DataFrame

PREDICTION = "prediction"
PROBABILITIES = "probabilities"


def score(frame: DataFrame, model: Path, features: Sequence[str], task: Task) -> DataFrame:
    """The frame with `prediction` double and `probabilities` array<double> (null unless multiclass).

    Args:
        frame: Any columns, the features among them as double, null where unknown.
        model: Folder of the stored model, readable by every worker.
        features: The model's columns, in its order.
        task: Fixes the shape: probability, value, or position of the likeliest class.
    """
    schema = ", ".join(f"`{name}` {kind}" for name, kind in frame.dtypes)
    path, wanted = str(model), list(features)

    def apply(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for batch in batches:
            yield batch.assign(**shaped(_model(path).predict(batch[wanted]), task, len(batch)))

    return frame.mapInPandas(apply, f"{schema}, {PREDICTION} double, {PROBABILITIES} array<double>")


def shaped(raw: Any, task: Task, rows: int) -> dict[str, Any]:
    """What a model returned, as the two columns; ValueError if the shape is not the task's."""
    import numpy as np

    found: np.ndarray = np.asarray(raw, dtype=float)
    if task is Task.MULTICLASS:
        if found.ndim != 2 or len(found) != rows:
            raise ValueError(f"a multiclass model returned shape {found.shape} for {rows} rows, not (rows, classes)")
        return {PREDICTION: found.argmax(axis=1).astype(float), PROBABILITIES: list(found)}
    if found.shape not in ((rows,), (rows, 1)):
        raise ValueError(f"the model returned shape {found.shape} for {rows} rows, not one number per row")
    return {PREDICTION: found.reshape(rows), PROBABILITIES: None}


@cache
def _model(path: str) -> Any:
    import mlflow.pyfunc

    return mlflow.pyfunc.load_model(path)
