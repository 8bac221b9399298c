"""Deliveries: a use case small enough to be read, whose rows are written down in the tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gatehouse.project import (
    MAE,
    RMSE,
    Column,
    Events,
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

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame

PARCELS = Table(
    name="parcels",
    description="One row per parcel, known when it is sent.",
    owner="post@example.org",
    columns=(
        Column(name="parcel", type="string", description="Number.", nullable=False),
        Column(name="depot", type="string", description="Where it was handed in."),
        Column(name="sent_at", type="timestamp", description="When it was sent."),
        Column(name="weight", type="double", description="Weight.", unit="kg"),
        Column(name="days", type="double", description="How long it took.", unit="days"),
        Column(name="arrived_at", type="timestamp", description="When it arrived."),
    ),
    primary_key=("parcel",),
    known_at="sent_at",
    late=("days",),
    late_known_at="arrived_at",
)

DEPOT_SPEED = Table(
    name="depot_speed",
    description="How fast a depot's parcels arrived so far, one row per depot and arrival.",
    owner="post@example.org",
    columns=(
        Column(name="depot", type="string", description="Where they were handed in."),
        Column(name="known_at", type="timestamp", description="When the last of them arrived."),
        Column(name="depot_days", type="double", description="Days the last of them took.", unit="days"),
    ),
    primary_key=("depot", "known_at"),
    known_at="known_at",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Constant:
    """Predicts one number."""

    number: float

    def predict(self, features: pd.DataFrame) -> np.ndarray:
        return np.full(len(features), self.number)

    def save(self, **_: Any) -> str:
        raise NotImplementedError  # nothing is stored in these tests

    def importances(self, features: pd.DataFrame) -> Mapping[str, float]:
        return {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Guess:
    """Trains nothing: the option is the prediction."""

    requirements: tuple[str, ...] = ()

    def search_space(self, trial: Trial) -> Options:
        return {"number": trial.suggest_float("number", 0.0, 10.0)}

    def fit(self, features: pd.DataFrame, label: pd.Series[Any], options: Options, *, seed: int) -> Constant:
        return Constant(number=float(options["number"]))


def last_days(inputs: Mapping[str, DataFrame], window: Window) -> DataFrame:
    """The days that the last parcel took, at the moment it arrived."""
    from pyspark.sql import functions as F

    arrived = inputs["parcels"].where(
        (F.col("arrived_at") > F.lit(window.start)) & (F.col("arrived_at") <= F.lit(window.end))
    )
    return arrived.select("depot", F.col("arrived_at").alias("known_at"), F.col("days").alias("depot_days"))


def heavy(parcels: DataFrame) -> DataFrame:
    from pyspark.sql import functions as F

    return parcels.withColumn("is_heavy", (F.col("weight") > 5).cast("double"))


def make_project(**differing: Any) -> Project:
    declared: dict[str, Any] = {
        "name": "deliveries",
        "description": "How many days a parcel takes.",
        "owner": "post@example.org",
        "task": Task.REGRESSION,
        "sources": (Source(table=PARCELS, extract=_nothing, lookback=timedelta(days=2)),),
        "feature_tables": (
            FeatureTable(
                table=DEPOT_SPEED,
                inputs=("parcels",),
                compute=last_days,
                join_on=("depot",),
                history=timedelta(days=30),
                max_age=timedelta(days=7),
            ),
        ),
        "events": Events(
            table="parcels",
            time="sent_at",
            lead=timedelta(hours=1),
            derive=heavy,
            derived=(Column(name="is_heavy", type="double", description="1 above 5 kg."),),
        ),
        "label": Label(name="days_taken", expression="days", known_at="arrived_at", description="Days.", unit="days"),
        "features": ("weight", "is_heavy", "depot_days"),
        "estimator": Guess(),
        "baseline": GroupMean(columns=("depot",)),
        "primary_metric": RMSE,
        "guardrail_metrics": (MAE,),
        "unit": Unit(name="day", expression="cast(to_date(sent_at) AS string)"),
        "slices": (Slice(name="depot", expression="depot"),),
        **differing,
    }
    return Project(**declared)


def _nothing(_: Any) -> DataFrame:
    raise NotImplementedError  # these tests write their tables themselves


@pytest.fixture
def project() -> Project:
    """Predicts the days of a parcel from its weight and from what its depot's last parcel took."""
    return make_project()
