"""Gradient-boosted trees by LightGBM: deterministic, stored as text, explained by the library's own TreeSHAP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from gatehouse.project import ConfigurationError, FittedModel, Options, PlatformError, Trial

if TYPE_CHECKING:
    import lightgbm
    import numpy as np
    import pandas as pd
    from mlflow.models import ModelSignature

_DEFAULTS: Mapping[str, float] = {
    "n_estimators": 150,
    "num_leaves": 31,
    "learning_rate": 0.05,
    "min_child_samples": 200,
    "feature_fraction": 0.8,
    "lambda_l2": 1.0,
}
"""Every option there is, and its value where a set of options does not give it. LightGBM's own names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LightGBMClassifier:
    """The probability of a label of 1, from numeric features; a missing one goes the way that lost least in training.

    One thread by default: with more, sums are added in another order on another machine.
    """

    threads: int = 1
    explained_rows: int = 500

    @property
    def requirements(self) -> Sequence[str]:
        """Distributions that predicting needs."""
        return ("lightgbm",)

    def search_space(self, trial: Trial) -> Options:
        """Options within bounds that keep a fit on 100,000 rows to a few seconds."""
        return {
            "n_estimators": trial.suggest_int("n_estimators", 30, 200, log=True),
            "num_leaves": trial.suggest_int("num_leaves", 7, 63, log=True),
            "learning_rate": trial.suggest_float("learning_rate", 0.04, 0.3, log=True),
            "min_child_samples": trial.suggest_int("min_child_samples", 50, 1000, log=True),
            "feature_fraction": trial.suggest_float("feature_fraction", 0.3, 1.0),
            "lambda_l2": trial.suggest_float("lambda_l2", 0.1, 100.0, log=True),
        }

    def fit(self, features: pd.DataFrame, label: pd.Series[Any], options: Options, *, seed: int) -> FittedModel:
        """Train on rows that all have a label of 0 or 1.

        Raises:
            ConfigurationError: an option that does not exist.
        """
        lightgbm = _lightgbm()
        unknown = sorted(set(options) - set(_DEFAULTS))
        if unknown:
            raise ConfigurationError(
                f"The options of the model name {', '.join(map(repr, unknown))}.",
                why="LightGBM would take an unknown option for a default, and the model would not be the reviewed one.",
                remedy=f"In conf/options.yml, choose from: {', '.join(_DEFAULTS)}.",
            )
        chosen = {**_DEFAULTS, **options}
        rounds = int(chosen.pop("n_estimators"))
        rows = lightgbm.Dataset(
            _matrix(features, list(features.columns)),
            label=label.to_numpy(dtype=float),
            feature_name=list(features.columns),
            free_raw_data=True,
        )
        booster = lightgbm.train(
            {
                **chosen,
                "objective": "binary",
                "seed": seed,
                "deterministic": True,
                "force_row_wise": True,  # otherwise the layout is chosen by timing both, which is not deterministic
                "num_threads": self.threads,
                "verbosity": -1,
            },
            rows,
            num_boost_round=rounds,
        )
        return FittedTrees(booster=booster, explained_rows=self.explained_rows)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FittedTrees:
    """A trained booster. It reads the columns it was trained on, by name, and ignores others.

    It works on all cores: each row's trees are added by one of them, so the numbers are the same on any machine.
    """

    booster: lightgbm.Booster
    explained_rows: int

    def predict(self, features: pd.DataFrame) -> np.ndarray:
        """Probability of the positive class, shape (n,)."""
        import numpy as np

        if features.empty:
            return np.empty(0)
        matrix = _matrix(features, self.booster.feature_name())
        return np.asarray(self.booster.predict(matrix))

    def save(
        self, *, name: str, signature: ModelSignature, input_example: pd.DataFrame, requirements: Sequence[str]
    ) -> str:
        """Log the booster to the active MLflow run in LightGBM's text format; returns the model URI."""
        import mlflow.lightgbm

        logged = mlflow.lightgbm.log_model(
            self.booster,
            name=name,
            signature=signature,
            input_example=input_example,
            pip_requirements=list(requirements),
        )
        return str(logged.model_uri)

    def importances(self, features: pd.DataFrame) -> Mapping[str, float]:
        """Mean absolute TreeSHAP contribution in log-odds, largest first, over up to `explained_rows` spaced rows.

        Lundberg et al., From local explanations to global understanding with explainable AI for trees (2020).
        """
        import numpy as np

        names = self.booster.feature_name()
        if features.empty:
            return dict.fromkeys(names, 0.0)
        spaced = np.unique(np.linspace(0, len(features) - 1, num=self.explained_rows).astype(int))
        matrix = _matrix(features.iloc[spaced], names)
        # The last column is the expected value, which belongs to no feature.
        shares = np.asarray(self.booster.predict(matrix, pred_contrib=True))[:, :-1]
        by_name = dict(zip(names, np.abs(shares).mean(axis=0).tolist(), strict=True))
        return dict(sorted(by_name.items(), key=lambda item: -item[1]))


def _lightgbm() -> ModuleType:
    """LightGBM; PlatformError where its wheel does not find the OpenMP library that the system has to bring."""
    try:
        import lightgbm
    except OSError as error:
        raise PlatformError(
            f"LightGBM cannot be loaded: {' '.join(str(error).split())[:200]}",
            why="Its library needs OpenMP, which is not in its wheel on macOS and slim Linux images.",
            remedy="macOS: brew install libomp    Debian and Ubuntu: apt-get install libgomp1",
        ) from error
    return lightgbm


def _matrix(features: pd.DataFrame, names: Sequence[str]) -> np.ndarray:
    return features[list(names)].to_numpy(dtype=float, na_value=float("nan"))
