"""The contract between a use case and the machinery: everything a use case declares, and nothing else.

A use case is one `Project`. Its package imports only this module. The machinery knows tables, times, labels and
predictions; it knows neither flights nor two classes. Time runs as follows: every row of every table has a moment
at which it became known (`Table.known_at`), some columns become known later than their row (`Table.late`), a prediction
for an event is made `Events.lead` before `Events.time`, and may use what was known by then, nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from gatehouse.errors import ConfigurationError
from gatehouse.evaluation.metrics import (
    ACCURACY,
    AVERAGE_PRECISION,
    BRIER,
    LOG_LOSS,
    MAE,
    MULTICLASS_LOG_LOSS,
    RMSE,
    ROC_AUC,
    SQRT,
    Link,
    Metric,
    Ranking,
    Ratio,
    Task,
    WholeSample,
)

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    from mlflow.models import ModelSignature
    from pyspark.sql import DataFrame, SparkSession

__all__ = [
    "ACCURACY",
    "AVERAGE_PRECISION",
    "BRIER",
    "LOG_LOSS",
    "MAE",
    "MULTICLASS_LOG_LOSS",
    "RMSE",
    "ROC_AUC",
    "SQRT",
    "Action",
    "Baseline",
    "Column",
    "ConfigurationError",
    "Estimator",
    "Events",
    "Expectation",
    "Extraction",
    "FeatureTable",
    "FittedModel",
    "GroupMean",
    "Label",
    "Link",
    "Metric",
    "Options",
    "Predictor",
    "Project",
    "Ranking",
    "Ratio",
    "Slice",
    "Source",
    "Table",
    "Task",
    "Trial",
    "Unit",
    "WholeSample",
    "Window",
]

ColumnType = Literal["string", "boolean", "int", "bigint", "double", "date", "timestamp", "array<double>"]
Options = Mapping[str, float | int | str | bool]
"""Hyper-parameters of one candidate; JSON-able, so that they travel as a reviewed file."""


class Action(StrEnum):
    """What an expectation does with the rows that violate it."""

    WARN = "warn"  # counted and kept
    QUARANTINE = "quarantine"  # counted and moved to `<table>_quarantine`
    FAIL = "fail"  # nothing is written


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One column. Timestamps are UTC; a missing value is null, never NaN."""

    name: str
    type: ColumnType
    description: str
    unit: str | None = None
    nullable: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Expectation:
    """A boolean Spark SQL expression that good rows satisfy.

    Null counts as satisfied: say IS NOT NULL to demand a value.
    """

    name: str
    condition: str
    action: Action
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A table, declared once: code, tests and documentation read it from here.

    `known_at` names the timestamp column that says when a row became known. Columns in `late` are null until
    the moment in column `late_known_at` (null: not yet), like the outcome of an event.
    """

    name: str
    description: str
    owner: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...]
    known_at: str
    late: tuple[str, ...] = ()
    late_known_at: str | None = None
    expectations: tuple[Expectation, ...] = ()

    def __post_init__(self) -> None:
        names = [c.name for c in self.columns]
        _refuse_repeats(f"table {self.name}", names)
        for role, used in {
            "primary_key": self.primary_key,
            "known_at": (self.known_at,),
            "late": self.late,
            "late_known_at": (self.late_known_at,) if self.late_known_at else (),
        }.items():
            _refuse_unknown(f"{role} of table {self.name}", used, names)
        if not self.primary_key:
            raise ConfigurationError(
                f"Table {self.name} has no primary key.",
                why="Without one, a run that is repeated would write its rows twice.",
                remedy="Name the columns that identify a row in `primary_key`.",
            )
        if bool(self.late) != bool(self.late_known_at):
            raise ConfigurationError(
                f"Table {self.name} declares one of `late` and `late_known_at` without the other.",
                why="Columns that are filled in later leak the future unless the moment is known.",
                remedy="Declare both, or neither.",
            )

    def column(self, name: str) -> Column:
        """The declared column of that name; KeyError if there is none."""
        return {c.name: c for c in self.columns}[name]

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in table order."""
        return tuple(c.name for c in self.columns)


@dataclass(frozen=True, kw_only=True, slots=True)
class Extraction:
    """One request for raw rows: those of which something became known in (since, until].

    `since` None means from the start.
    `raw` is the folder, or volume path, under which files of this source land.
    """

    spark: SparkSession
    since: datetime | None
    until: datetime
    raw: Path

    def frame(self, rows: pa.Table | pd.DataFrame, table: Table) -> DataFrame:
        """Rows in memory as a DataFrame of the table's columns and types; no rows are fine too."""
        schema = ", ".join(f"`{c.name}` {c.type}" for c in table.columns)
        chosen = rows.select(list(table.names)) if hasattr(rows, "select") else rows[list(table.names)]
        return self.spark.createDataFrame(chosen, schema)  # type: ignore[type-var]


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Raw rows and the table they are kept in.

    `extract` may return more rows than asked for: what is not known by `until` is cut, what did not change is not
    written again. `lookback` is how late a row may still turn up: each run asks again for that much time.
    """

    table: Table
    extract: Callable[[Extraction], DataFrame]
    lookback: timedelta = timedelta(0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """Half-open stretch of time (start, end], UTC."""

    start: datetime
    end: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureTable:
    """Features by key and moment, joined to events point-in-time.

    `compute` gets the tables named in `inputs`, as known at the window's end and reaching back `history` before its
    start (None: all of it), and returns the rows whose `known_at` lies in the window. The primary key is
    `join_on` plus the table's `known_at`. A row older than `max_age` at the time of prediction does not join; None
    suits tables with few versions per key, such as master data.
    """

    table: Table
    inputs: tuple[str, ...]
    compute: Callable[[Mapping[str, DataFrame], Window], DataFrame]
    join_on: tuple[str, ...]
    history: timedelta | None
    max_age: timedelta | None

    def __post_init__(self) -> None:
        if set(self.table.primary_key) != {*self.join_on, self.table.known_at}:
            raise ConfigurationError(
                f"Feature table {self.table.name} joins on {self.join_on}, but its key is {self.table.primary_key}.",
                why="A point-in-time join needs exactly one row per key and moment.",
                remedy=f"Make the primary key {(*self.join_on, self.table.known_at)}.",
            )

    @property
    def features(self) -> tuple[str, ...]:
        """The columns this table brings to a training set: all but its keys and its moment."""
        return tuple(n for n in self.table.names if n not in self.table.primary_key)


@dataclass(frozen=True, kw_only=True, slots=True)
class Events:
    """What is predicted: one row of `table` is one event, and gets one prediction, `lead` before `time`.

    `derive` adds columns that the event itself brings (an hour of day, a distance band); it sees no late column.
    """

    table: str
    time: str
    lead: timedelta = timedelta(0)
    derive: Callable[[DataFrame], DataFrame] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Label:
    """The truth: a Spark SQL expression over the event's columns, null where there is none (a flight that never left).

    Binary labels are 0 and 1, multiclass labels are positions in `Project.classes`. `known_at` is the column that says
    when it was known.
    """

    name: str
    expression: str
    known_at: str
    description: str
    unit: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Unit:
    """What is independent of what: rows of one unit go together, units do not.

    `expression` is Spark SQL over the event's columns.
    Statistics treat units as a series ordered by their text, so use a sortable form such as a date.
    """

    name: str
    expression: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """A group of events a model must serve. `values` of a required slice must all be present in a hold-out."""

    name: str
    expression: str
    required: bool = False
    values: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.required and not self.values:
            raise ConfigurationError(
                f"Slice {self.name} is required but lists no values.",
                why="A required slice that is absent must block, which needs its name beforehand.",
                remedy="List its `values`, or make it informative with required=False.",
            )


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
        """Train on rows that all have a label. Features may be null."""


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    """A use case. `features` are the columns a model gets, in order; all arrive as double, null where unknown.

    `forbidden` names columns that no model may use whatever their value (protected attributes, identifiers).
    `intended_use` and `limitations` go to the model card in the project's own words.
    """

    name: str
    description: str
    owner: str
    task: Task
    sources: tuple[Source, ...]
    feature_tables: tuple[FeatureTable, ...]
    events: Events
    label: Label
    features: tuple[str, ...]
    estimator: Estimator
    baseline: Baseline
    primary_metric: Metric
    guardrail_metrics: tuple[Metric, ...]
    unit: Unit
    slices: tuple[Slice, ...] = ()
    classes: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    intended_use: str = ""
    limitations: str = ""
    tables: Mapping[str, Table] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        declared = [s.table for s in self.sources] + [f.table for f in self.feature_tables]
        _refuse_repeats(f"project {self.name}", [t.name for t in declared])
        object.__setattr__(self, "tables", {t.name: t for t in declared})
        sources = [s.table.name for s in self.sources]
        _refuse_unknown("events.table", (self.events.table,), sources)
        event_columns = self.event_table.names
        _refuse_unknown("events.time", (self.events.time,), event_columns)
        _refuse_unknown("label.known_at", (self.label.known_at,), event_columns)
        for feature_table in self.feature_tables:
            _refuse_unknown(f"inputs of {feature_table.table.name}", feature_table.inputs, sources)
            _refuse_repeats("feature tables and events", [*event_columns, *feature_table.features, self.label.name])
        _refuse_repeats("features", self.features)
        if not self.features:
            raise ConfigurationError(
                f"Project {self.name} names no features.",
                why="A model needs something to learn from.",
                remedy="List the model's input columns in `features`.",
            )
        for metric in self.metrics:
            if self.task not in metric.tasks:
                raise ConfigurationError(
                    f"Metric {metric.name} does not fit the {self.task} task of project {self.name}.",
                    why="It would compare predictions of a shape it was not made for.",
                    remedy=f"Choose one for {self.task} tasks.",
                )
        if (self.task is Task.MULTICLASS) != bool(self.classes):
            raise ConfigurationError(
                f"Project {self.name} is a {self.task} task and names {len(self.classes)} classes.",
                why="Class names belong to multiclass tasks, which need them.",
                remedy="Set `classes` for a multiclass task and only there.",
            )

    @property
    def event_table(self) -> Table:
        """The table whose rows are predicted."""
        return self.tables[self.events.table]

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The primary metric, then the guardrails."""
        return (self.primary_metric, *self.guardrail_metrics)


def _refuse_repeats(where: str, names: Sequence[str]) -> None:
    repeated = sorted({n for n in names if list(names).count(n) > 1})
    if repeated:
        raise ConfigurationError(
            f"{where}: {', '.join(repeated)} declared more than once.",
            why="Two things of one name shadow each other.",
            remedy="Rename one of them.",
        )


def _refuse_unknown(role: str, used: Sequence[str], known: Sequence[str] | Mapping[str, Any]) -> None:
    unknown = [name for name in used if name not in known]
    if unknown:
        raise ConfigurationError(
            f"{role} names {', '.join(map(repr, unknown))}, which is not declared.",
            why="A misspelt name would fail in the middle of a run.",
            remedy=f"Choose from: {', '.join(known)}.",
        )
