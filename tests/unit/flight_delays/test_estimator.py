"""Trees that are the same each time, refuse what they do not know, and say what they lean on."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from flight_delays.estimator import LightGBMClassifier
from gatehouse.errors import ConfigurationError, PlatformError
from gatehouse.lakehouse.tracking import Tracking
from gatehouse.project import Options

SMALL: Options = {
    "n_estimators": 40,
    "num_leaves": 7,
    "min_child_samples": 5,
    "learning_rate": 0.2,
    "feature_fraction": 0.5,
}
REVIEWED = Path(__file__).parents[3] / "conf" / "options.yml"


@pytest.fixture(scope="module")
def features() -> pd.DataFrame:
    """2,000 rows of two features: `signal` makes the label likelier, `noise` does not; each is missing at times."""
    rng = np.random.default_rng(7)
    rows = pd.DataFrame({"noise": rng.normal(size=2_000), "signal": rng.normal(size=2_000)})
    return rows.mask(rng.random(rows.shape) < 0.1)


@pytest.fixture(scope="module")
def label(features: pd.DataFrame) -> pd.Series[Any]:
    chance = 1 / (1 + np.exp(-2 * features["signal"].fillna(0.0)))
    drawn: pd.Series[Any] = (chance > np.random.default_rng(8).random(len(features))).astype(float)
    return drawn


def test_the_same_rows_options_and_seed_give_the_same_model(features: pd.DataFrame, label: pd.Series[Any]) -> None:
    once, again, other = (
        LightGBMClassifier().fit(features, label, SMALL, seed=seed).predict(features) for seed in (1, 1, 2)
    )

    np.testing.assert_array_equal(once, again)
    assert (once != other).any()


def test_predictions_are_probabilities_that_follow_the_signal(features: pd.DataFrame, label: pd.Series[Any]) -> None:
    model = LightGBMClassifier().fit(features, label, SMALL, seed=1)

    low, high = model.predict(pd.DataFrame({"noise": [0.0, 0.0], "signal": [-2.0, 2.0]}))
    assert 0 < low < 0.2
    assert 0.8 < high < 1


def test_columns_are_read_by_name_and_others_ignored(features: pd.DataFrame, label: pd.Series[Any]) -> None:
    model = LightGBMClassifier().fit(features, label, SMALL, seed=1)

    turned = features.assign(unknown="text")[["unknown", "signal", "noise"]]
    np.testing.assert_array_equal(model.predict(turned), model.predict(features))


def test_missing_values_predict_and_so_do_no_rows(features: pd.DataFrame, label: pd.Series[Any]) -> None:
    model = LightGBMClassifier().fit(features, label, SMALL, seed=1)

    empty = pd.DataFrame({"noise": [None, np.nan], "signal": [None, np.nan]})
    assert np.isfinite(model.predict(empty)).all()
    assert model.predict(features.head(0)).shape == (0,)


def test_importances_are_mean_absolute_contributions_largest_first(
    features: pd.DataFrame, label: pd.Series[Any]
) -> None:
    model = LightGBMClassifier(explained_rows=100).fit(features, label, SMALL, seed=1)

    importances = model.importances(features)
    assert list(importances) == ["signal", "noise"]
    assert importances["signal"] > 5 * importances["noise"] > 0
    assert importances == model.importances(features)
    assert model.importances(features.head(0)) == {"noise": 0.0, "signal": 0.0}


def test_an_unknown_option_is_refused(features: pd.DataFrame, label: pd.Series[Any]) -> None:
    with pytest.raises(ConfigurationError, match="'leaves'") as error:
        LightGBMClassifier().fit(features, label, {"leaves": 31}, seed=1)
    assert "num_leaves" in error.value.remedy


class Corner:
    """A trial that always answers with the lowest, or the highest, value of a range."""

    def __init__(self, *, highest: bool) -> None:
        self.highest = highest

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        return high if self.highest else low

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        return high if self.highest else low

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return choices[-1 if self.highest else 0]


@pytest.mark.parametrize("highest", [False, True])
def test_every_corner_of_the_search_space_trains(features: pd.DataFrame, label: pd.Series[Any], highest: bool) -> None:
    estimator = LightGBMClassifier()

    model = estimator.fit(features, label, estimator.search_space(Corner(highest=highest)), seed=1)

    assert np.isfinite(model.predict(features)).all()


def test_the_reviewed_options_are_options_of_this_estimator(features: pd.DataFrame, label: pd.Series[Any]) -> None:
    reviewed = yaml.safe_load(REVIEWED.read_text(encoding="utf-8"))["candidates"]

    assert reviewed
    for candidate in reviewed:
        model = LightGBMClassifier().fit(features, label, {**candidate["options"], "n_estimators": 1}, seed=1)
        assert np.isfinite(model.predict(features)).all()


@pytest.mark.slow
def test_a_saved_model_predicts_the_same_in_lightgbms_own_format(
    features: pd.DataFrame, label: pd.Series[Any], tracking: Tracking
) -> None:
    import mlflow
    from mlflow.models import infer_signature

    model = LightGBMClassifier().fit(features, label, SMALL, seed=1)
    with tracking.run("training", tags={}):
        uri = model.save(
            name="model",
            signature=infer_signature(features.head(), model.predict(features.head())),
            input_example=features.head(),
            requirements=["lightgbm"],
        )
        loaded = mlflow.pyfunc.load_model(uri)
        folder = Path(mlflow.artifacts.download_artifacts(uri))

    np.testing.assert_array_equal(loaded.predict(features), model.predict(features))
    assert loaded.metadata.flavors.keys() == {"python_function", "lightgbm"}
    assert loaded.metadata.flavors["python_function"]["loader_module"] == "mlflow.lightgbm"
    assert (folder / "model.lgb").read_text(encoding="utf-8").startswith("tree")
    assert not [p for p in folder.rglob("*") if p.suffix in {".pkl", ".pickle", ".skops"}]


def test_a_machine_without_openmp_is_told_what_to_install(
    features: pd.DataFrame, label: pd.Series[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoOpenMP(MetaPathFinder):
        """Fails as macOS does: the wheel is there, and its library does not find OpenMP."""

        def find_spec(self, fullname: str, path: object, target: object = None) -> None:
            if fullname == "lightgbm":
                raise OSError("dlopen(lib_lightgbm.dylib): Library not loaded: @rpath/libomp.dylib")

    monkeypatch.delitem(sys.modules, "lightgbm", raising=False)
    monkeypatch.setattr(sys, "meta_path", [NoOpenMP(), *sys.meta_path])
    with pytest.raises(PlatformError, match="brew install libomp"):
        LightGBMClassifier().fit(features, label, SMALL, seed=1)
