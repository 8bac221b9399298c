"""A second, tiny use case: tomorrow's mean temperature at three airports, from one CSV file.

A regression with scikit-learn, judged by weeks. Copy this folder to begin with a table of your own; the page
docs/bring-your-own-table.md goes through it line by line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import Window as SqlWindow
from pyspark.sql import functions as F

from gatehouse.project import (
    MAE,
    RMSE,
    Action,
    Column,
    Events,
    Expectation,
    Extraction,
    FeatureTable,
    GroupMean,
    Label,
    Options,
    Project,
    Slice,
    Source,
    Table,
    Task,
    Trial,
    Unit,
    Window,
)

CSV = Path(__file__).with_name("daily_weather.csv")

# 1. The table: its columns, its key, when a row is known, and which columns are known later than the row.
WEATHER = Table(
    name="daily_weather",
    description="One row per airport and day, known when the day is over.",
    owner="weather@example.org",
    columns=(
        Column(name="airport", type="string", description="IATA code.", nullable=False),
        Column(name="measured_at", type="timestamp", description="End of the day.", unit="UTC", nullable=False),
        Column(name="temperature", type="double", description="Mean over the day.", unit="degrees Celsius"),
        Column(name="dew_point", type="double", description="Mean over the day.", unit="degrees Celsius"),
        Column(name="pressure", type="double", description="Mean at sea level.", unit="hPa"),
        Column(name="wind_speed", type="double", description="Mean over the day.", unit="m/s"),
        Column(name="next_temperature", type="double", description="Mean over the next day.", unit="degrees Celsius"),
        Column(name="next_measured_at", type="timestamp", description="End of the next day.", unit="UTC"),
    ),
    primary_key=("airport", "measured_at"),
    known_at="measured_at",
    late=("next_temperature",),
    late_known_at="next_measured_at",
    expectations=(
        Expectation(
            name="temperature_on_earth",
            condition="temperature BETWEEN -90 AND 60",
            action=Action.QUARANTINE,
            reason="Beyond it no weather station has ever measured.",
        ),
    ),
)


# 2. The source: where rows come from. More rows than asked for are fine.
def read_csv(asked: Extraction) -> DataFrame:
    """The whole file; it is small. The next day's temperature is the row after, where that is the next day."""
    rows = pd.read_csv(CSV, parse_dates=["day"]).sort_values(["airport", "day"])
    following = rows.groupby("airport")[["temperature", "day"]].shift(-1)
    adjacent = following["day"] - rows["day"] == pd.Timedelta(days=1)
    rows["measured_at"] = (rows.pop("day") + pd.Timedelta(days=1)).dt.tz_localize("UTC")
    rows["next_temperature"] = following["temperature"].where(adjacent)
    rows["next_measured_at"] = rows["measured_at"] + pd.Timedelta(days=1)
    return asked.frame(rows, WEATHER)


# 3. A feature table: what was known about the days before, at each moment.
RECENT = Table(
    name="recent_weather",
    description="Means over the last days at one airport.",
    owner="weather@example.org",
    columns=(
        Column(name="airport", type="string", description="IATA code.", nullable=False),
        Column(name="known_at", type="timestamp", description="When the last of the days was over.", unit="UTC"),
        Column(name="mean_temperature_3d", type="double", description="Over three days.", unit="degrees Celsius"),
        Column(name="mean_temperature_7d", type="double", description="Over seven days.", unit="degrees Celsius"),
        Column(name="pressure_change", type="double", description="Against the day before.", unit="hPa"),
    ),
    primary_key=("airport", "known_at"),
    known_at="known_at",
)


def recent_weather(inputs: Mapping[str, DataFrame], window: Window) -> DataFrame:
    """One row per airport and day of the window; a mean over the rows there are."""
    days = SqlWindow.partitionBy("airport").orderBy("measured_at")
    return (
        inputs[WEATHER.name]
        .select(
            "airport",
            F.col("measured_at").alias("known_at"),
            F.avg("temperature").over(days.rowsBetween(-2, 0)).alias("mean_temperature_3d"),
            F.avg("temperature").over(days.rowsBetween(-6, 0)).alias("mean_temperature_7d"),
            (F.col("pressure") - F.lag("pressure").over(days)).alias("pressure_change"),
        )
        .where((F.col("known_at") > F.lit(window.start)) & (F.col("known_at") <= F.lit(window.end)))
    )


# 4. What the event brings itself.
def derive(events: DataFrame) -> DataFrame:
    """The season, as a point on a circle, and the month for the baseline."""
    angle = F.dayofyear("measured_at") * F.lit(2 * np.pi / 365.25)
    return events.withColumns(
        {
            "season_cosine": F.cos(angle),
            "season_sine": F.sin(angle),
            "month": F.month("measured_at").cast("string"),
        }
    )


DERIVED = (
    Column(name="season_cosine", type="double", description="Cosine of the day of the year."),
    Column(name="season_sine", type="double", description="Sine of the day of the year."),
    Column(name="month", type="string", description="Month, for the baseline."),
)


# 5. The estimator.
@dataclass(frozen=True)
class _Fitted:
    pipeline: Any
    names: Sequence[str]

    def predict(self, features: pd.DataFrame) -> np.ndarray:
        return np.asarray(self.pipeline.predict(features), dtype=float)

    def save(self, *, name: str, signature: Any, input_example: pd.DataFrame, requirements: Sequence[str]) -> str:
        import mlflow.sklearn

        stored = mlflow.sklearn.log_model(
            self.pipeline,
            name=name,
            signature=signature,
            input_example=input_example,
            pip_requirements=list(requirements),
            serialization_format="skops",  # no pickle
            skops_trusted_types=["numpy.dtype"],
        )
        return str(stored.model_uri)

    def importances(self, features: pd.DataFrame) -> Mapping[str, float]:
        weights = np.abs(self.pipeline[-1].coef_)  # of standardised features: degrees per standard deviation
        return dict(zip(self.names, weights.tolist(), strict=True))


@dataclass(frozen=True)
class RidgeEstimator:
    """Ridge regression on standardised features, missing values at their mean."""

    requirements: tuple[str, ...] = ("scikit-learn", "skops", "numpy", "pandas")

    def search_space(self, trial: Trial) -> Options:
        """How strongly coefficients are shrunk."""
        return {"alpha": trial.suggest_float("alpha", 0.01, 100.0, log=True)}

    def fit(self, features: pd.DataFrame, label: pd.Series[Any], options: Options, *, seed: int) -> _Fitted:
        """Deterministic without a seed."""
        from sklearn.impute import SimpleImputer
        from sklearn.linear_model import Ridge
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        pipeline = make_pipeline(SimpleImputer(), StandardScaler(), Ridge(alpha=float(options["alpha"])))
        return _Fitted(pipeline.fit(features, label), list(features.columns))


# 6. All of it together.
PROJECT = Project(
    name="temperature",
    description="The mean temperature at an airport tomorrow, predicted when today is over.",
    owner="weather@example.org",
    task=Task.REGRESSION,
    sources=(Source(table=WEATHER, extract=read_csv, lookback=timedelta(days=2)),),
    feature_tables=(
        FeatureTable(
            table=RECENT,
            inputs=("daily_weather",),
            compute=recent_weather,
            join_on=("airport",),
            history=timedelta(days=10),
            max_age=timedelta(days=2),
        ),
    ),
    events=Events(table="daily_weather", time="measured_at", derive=derive, derived=DERIVED),
    label=Label(
        name="temperature_tomorrow",
        expression="next_temperature",
        known_at="next_measured_at",
        description="Mean temperature over the day that follows.",
        unit="degrees Celsius",
    ),
    features=(
        "temperature",
        "dew_point",
        "pressure",
        "wind_speed",
        "mean_temperature_3d",
        "mean_temperature_7d",
        "pressure_change",
        "season_cosine",
        "season_sine",
    ),
    estimator=RidgeEstimator(),
    baseline=GroupMean(columns=("airport", "month"), prior_rows=5),
    primary_metric=RMSE,
    guardrail_metrics=(MAE,),
    unit=Unit(name="week", expression="date_format(date_trunc('week', measured_at), 'yyyy-MM-dd')"),
    slices=(Slice(name="airport", expression="airport", required=True, values=("EWR", "JFK", "LGA")),),
    intended_use="An example to copy. It plans nothing.",
    limitations="Three airports, one year, and nothing of the weather elsewhere.",
)
