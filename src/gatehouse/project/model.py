"""The model side of the contract: how one is trained, what it can do, and the rule of thumb it must beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from mlflow.models import ModelSignature

Options = Mapping[str, float | int | str | bool]
"""Hyper-parameters of one candidate; JSON-able, so that they travel as a reviewed file."""


class Trial(Protocol):
    """How a search space asks for a value; Optuna's trials have this shape."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """A number in [low, high]."""

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        """A whole number in [low, high]."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of the choices."""


class Predictor(Protocol):
    """Anything that predicts: shape (n,), or (n, classes) for a multiclass task."""

    def predict(self, features: pd.DataFrame) -> np.ndarray:
        """One prediction per row, in the order of the rows."""


class FittedModel(Predictor, Protocol):
    """A trained model that can be stored without pickling and can say what it leans on."""

    def save(
        self,
        *,
        name: str,
        signature: ModelSignature,
        input_example: pd.DataFrame,
        requirements: Sequence[str],
    ) -> str:
        """Log to the active MLflow run in a native flavour; returns the model URI."""

    def importances(self, features: pd.DataFrame) -> Mapping[str, float]:
        """Mean absolute contribution of each feature over the rows, in units of the raw score."""


class Estimator(Protocol):
    """How a model is trained. Deterministic: same rows, options and seed, same model."""

    @property
    def requirements(self) -> Sequence[str]:
        """Distributions that predicting needs; their installed versions are stored with the model."""

    def search_space(self, trial: Trial) -> Options:
        """Options to try next."""

    def fit(self, features: pd.DataFrame, label: pd.Series[Any], options: Options, *, seed: int) -> FittedModel:
        """Train on rows that all have a label. Features may be null. Fits may run beside each other in threads."""


class Baseline(Protocol):
    """The rule of thumb that the first model must beat."""

    @property
    def columns(self) -> Sequence[str]:
        """Columns of the training set that it reads."""

    def fit(self, frame: pd.DataFrame, label: pd.Series[Any]) -> Predictor:
        """Learn the rule from rows that all have a label."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupMean:
    """A baseline: the mean label of a group, pulled to the overall mean by `prior_rows` pseudo-rows.

    With `classes` > 0 the means are class frequencies, one column per class. Groups never seen get the overall mean.
    """

    columns: tuple[str, ...]
    prior_rows: float = 20.0
    classes: int = 0

    def fit(self, frame: pd.DataFrame, label: pd.Series[Any]) -> Predictor:
        """Group means over the rows given."""
        from gatehouse.evaluation.baseline import fit_group_mean

        return fit_group_mean(frame, label, columns=self.columns, prior_rows=self.prior_rows, classes=self.classes)
