"""A use case as a whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gatehouse.errors import ConfigurationError
from gatehouse.evaluation.metrics import Metric, Task
from gatehouse.project.data import Events, FeatureTable, Label, Slice, Source, Table, Unit
from gatehouse.project.model import Baseline, Estimator
from gatehouse.project.names import (
    OF_A_DATA_SET,
    OF_A_QUARANTINE,
    OF_THE_INFERENCE_LOG,
    OF_THE_MACHINERY,
    refuse_repeats,
    refuse_taken,
    refuse_unknown,
)

_NUMERIC = ("boolean", "int", "bigint", "double")


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    """A use case. `features` are the columns a model gets, in order; all arrive as double, null where unknown.

    `forbidden` names columns that no model may use whatever their value (protected attributes, identifiers).
    `intended_use` and `limitations` go to the model card in the project's own words. `sample` writes raw files into a
    folder, the same bytes each time, and returns them by source table: they land where nobody has other ones.
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
    sample: Callable[[Path], Mapping[str, Sequence[Path]]] | None = None
    tables: Mapping[str, Table] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        declared = [s.table for s in self.sources] + [f.table for f in self.feature_tables]
        refuse_repeats(f"project {self.name}", [t.name for t in declared])
        refuse_taken(f"project {self.name}, tables", [t.name for t in declared], OF_THE_MACHINERY)
        for table in declared:
            refuse_taken(f"table {table.name}", table.names, OF_A_QUARANTINE)
        object.__setattr__(self, "tables", {t.name: t for t in declared})
        sources = [s.table.name for s in self.sources]
        refuse_unknown("events.table", (self.events.table,), sources)
        event_columns = self.event_table.names
        refuse_unknown("events.time", (self.events.time,), event_columns)
        refuse_unknown("label.known_at", (self.label.known_at,), event_columns)
        for feature_table in self.feature_tables:
            refuse_unknown(f"inputs of {feature_table.table.name}", feature_table.inputs, sources)
        brought = [name for feature_table in self.feature_tables for name in feature_table.features]
        refuse_repeats("feature tables and events", [*event_columns, *brought, self.label.name])
        together = [*event_columns, *(c.name for c in self.events.derived), *brought, self.label.name]
        slices = {f"slice_{part.name}" for part in self.slices}
        refuse_taken("events and their features", together, OF_A_DATA_SET | OF_THE_INFERENCE_LOG | slices)
        refuse_repeats("features", self.features)
        self._refuse_label_in_sight()
        self._refuse_unfit_features()
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

    def _refuse_label_in_sight(self) -> None:
        """What is predicted must be hidden until it is known, and only late columns are."""
        table, label = self.event_table, self.label
        if label.known_at != table.late_known_at:
            raise ConfigurationError(
                f"label.known_at is {label.known_at!r}, and {table.late_known_at!r} is late_known_at of {table.name}.",
                why="Only `late` columns are hidden until their moment; any other shows the outcome beforehand.",
                remedy=f"In table {table.name}, name the columns of the outcome in `late`, and their moment in both.",
            )
        if {c.casefold() for c in table.late}.isdisjoint(re.findall(r"\w+", label.expression.casefold())):
            raise ConfigurationError(
                f"The label {label.expression!r} reads no late column of table {table.name}.",
                why="It would be known together with the event, with nothing left to predict.",
                remedy=f"Compute it from {', '.join(table.late)}, or declare the columns it reads as `late`.",
            )

    def _refuse_unfit_features(self) -> None:
        """A model gets numbers that are known when it predicts."""
        if not self.features:
            raise ConfigurationError(
                f"Project {self.name} names no features.",
                why="A model needs something to learn from.",
                remedy="List the model's input columns in `features`.",
            )
        table = self.event_table
        late = {*table.late, table.late_known_at}
        for name in (*self.features, *self.baseline.columns):
            if name in late:
                raise ConfigurationError(
                    f"{name} is known only after the event (`late` in table {table.name}), and a model is to read it.",
                    why="A model that sees how an event ended looks perfect, and fails when it is used.",
                    remedy="Take it out. What it was in earlier events may come from a feature table.",
                )
        known = {c.name: c.type for c in (*table.columns, *self.events.derived) if c.name not in late}
        known |= {n: f.table.column(n).type for f in self.feature_tables for n in f.features}
        refuse_unknown("features", self.features, sorted(known))
        refuse_unknown("baseline.columns", self.baseline.columns, sorted(known))
        for name in self.features:
            if known[name] not in _NUMERIC:
                raise ConfigurationError(
                    f"Feature {name} is of type {known[name]}.",
                    why="All features reach a model as numbers (double); text would arrive as null, or not at all.",
                    remedy="Turn it into a number in `derive` or in a feature table, and name that one.",
                )

    @property
    def event_table(self) -> Table:
        """The table whose rows are predicted."""
        return self.tables[self.events.table]

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The primary metric, then the guardrails."""
        return (self.primary_metric, *self.guardrail_metrics)
