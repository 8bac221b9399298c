"""Applies predictors to a DataFrame: one model per worker process, predictions in the shape of the task."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache, reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatehouse.errors import ConfigurationError
from gatehouse.project import Predictor, Task

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    from pyspark.sql import DataFrame

PREDICTION = "prediction"
PROBABILITIES = "probabilities"

Predict = Callable[["pd.DataFrame"], Any]
"""Rows to predictions. It travels to the workers, so it holds a path, not a model."""


def stored_model(folder: Path, features: Sequence[str]) -> Predict:
    """A stored model, loaded once by each worker. `folder` is readable by every worker."""
    path, wanted = str(folder), list(features)
    return lambda batch: _model(path).predict(batch[wanted])


def fitted(predictor: Predictor) -> Predict:
    """A predictor in memory that is small enough to travel, such as a baseline."""
    return predictor.predict


def score(frame: DataFrame, predict: Predict, task: Task) -> DataFrame:
    """The frame with `prediction` double and `probabilities` array<double> (null unless multiclass).

    Args:
        frame: Any columns, the predictor's among them.
        predict: What to apply to each batch.
        task: Fixes the shape: probability, value, or position of the likeliest class.
    """

    def columns(batch: pd.DataFrame) -> dict[str, Any]:
        found = shaped(predict(batch), task, len(batch))
        if task is Task.MULTICLASS:
            return {PREDICTION: found.argmax(axis=1).astype(float), PROBABILITIES: list(found)}
        return {PREDICTION: found, PROBABILITIES: None}

    return _mapped(frame, columns, {PREDICTION: "double", PROBABILITIES: "array<double>"})


def score_beside(frame: DataFrame, predictors: dict[str, Predict], task: Task) -> DataFrame:
    """The frame with one column per predictor: double, or array<double> for a multiclass task."""

    def columns(batch: pd.DataFrame) -> dict[str, Any]:
        found = {name: shaped(predict(batch), task, len(batch)) for name, predict in predictors.items()}
        return {name: list(p) if p.ndim == 2 else p for name, p in found.items()}

    kind = "array<double>" if task is Task.MULTICLASS else "double"
    return _mapped(frame, columns, dict.fromkeys(predictors, kind))


def shaped(raw: Any, task: Task, rows: int) -> np.ndarray:
    """What a predictor returned, as (rows,) or (rows, classes); ValueError if the shape is not the task's.

    Of the probabilities of 0 and of 1, as a classifier of scikit-learn gives them, a binary task takes the second.
    """
    import numpy as np

    found: np.ndarray = np.asarray(raw, dtype=float)
    if task is Task.MULTICLASS:
        if found.ndim != 2 or len(found) != rows:
            raise ValueError(f"a multiclass model returned shape {found.shape} for {rows} rows, not (rows, classes)")
        return found
    if task is Task.BINARY and found.shape == (rows, 2):
        return found[:, 1]
    if found.shape not in ((rows,), (rows, 1)):
        raise ValueError(f"the model returned shape {found.shape} for {rows} rows, not one number per row")
    return found.reshape(rows)


def demand_the_same(stored: Predictor, fitted: Predictor, rows: pd.DataFrame, task: Task) -> None:
    """Refuse a model that answers otherwise from its files than it did when it was fitted.

    Raises:
        ConfigurationError: its `save` stores something else than its `predict` returns.
    """
    import numpy as np

    expected = shaped(fitted.predict(rows), task, len(rows))
    remedy = (
        "Store what predicts as `predict` does. A stored classifier of scikit-learn answers with classes, unless it is "
        'logged with pyfunc_predict_fn="predict_proba" (docs/bring-your-own-table.md).'
    )
    try:
        found = shaped(stored.predict(rows), task, len(rows))
    except ValueError as error:
        raise ConfigurationError(
            f"The stored model does not predict as the fitted one: {error}.",
            why="What is judged and what production would answer are two models.",
            remedy=remedy,
        ) from error
    if found.shape != expected.shape or not np.allclose(found, expected, rtol=1e-4, atol=1e-6, equal_nan=True):
        raise ConfigurationError(
            f"The stored model does not predict as the fitted one: of {len(rows)} rows, the first get "
            f"{_first(found)} from the one and {_first(expected)} from the other.",
            why="What is judged and what production would answer are two models.",
            remedy=remedy,
        )


def _first(predictions: np.ndarray) -> str:
    return ", ".join(f"{number:.4g}" for number in predictions.reshape(-1)[:3])


def _mapped(frame: DataFrame, columns: Callable[[pd.DataFrame], dict[str, Any]], added: dict[str, str]) -> DataFrame:
    """The predictor sees pandas; the other columns go on as they came: turning them back takes a fifth of the time."""
    schema = ", ".join(f"`{name}` {kind}" for name, kind in [*frame.dtypes, *added.items()])

    def apply(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            found = columns(batch.to_pandas())
            yield reduce(lambda b, name: b.append_column(name, _array(found[name], added[name], len(b))), added, batch)

    return frame.mapInArrow(apply, schema)


def _array(values: Any, kind: str, rows: int) -> pa.Array:
    """NaN becomes null, as everywhere in the tables."""
    import pyarrow as pa

    arrow = pa.list_(pa.float64()) if kind == "array<double>" else pa.float64()
    return pa.nulls(rows, arrow) if values is None else pa.array(values, arrow, from_pandas=True)


@cache
def _model(path: str) -> Any:
    from gatehouse.lakehouse import model_files

    return model_files.load(Path(path), f"The model in {path}")
