"""A use case as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gatehouse.errors import ConfigurationError
from gatehouse.evaluation.metrics import Metric, Task
from gatehouse.project.data import Events, FeatureTable, Label, Slice, Source, Table, Unit
from gatehouse.project.model import Baseline, Estimator
from gatehouse.project.names import refuse_repeats, refuse_unknown


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
        refuse_repeats(f"project {self.name}", [t.name for t in declared])
        object.__setattr__(self, "tables", {t.name: t for t in declared})
        sources = [s.table.name for s in self.sources]
        refuse_unknown("events.table", (self.events.table,), sources)
        event_columns = self.event_table.names
        refuse_unknown("events.time", (self.events.time,), event_columns)
        refuse_unknown("label.known_at", (self.label.known_at,), event_columns)
        for feature_table in self.feature_tables:
            refuse_unknown(f"inputs of {feature_table.table.name}", feature_table.inputs, sources)
            refuse_repeats("feature tables and events", [*event_columns, *feature_table.features, self.label.name])
        refuse_repeats("features", self.features)
        if not self.features:
            raise ConfigurationError(
                f"Project {self.name} names no features.",
                why="A model needs something to learn from.",
                remedy="List the model's input columns in `features`.",
            )
        known = {*event_columns, *(c.name for c in self.events.derived)}
        known |= {f for table in self.feature_tables for f in table.features}
        refuse_unknown("features", self.features, sorted(known))
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
