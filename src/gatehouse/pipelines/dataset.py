"""Events with their features and labels, point-in-time: what training, scoring and evaluation read.

One builder serves all three, so that a model is trained on what it will see.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from gatehouse.errors import ConfigurationError, DataError, TableNotFound
from gatehouse.lakehouse.failures import first_line
from gatehouse.lakehouse.point_in_time import join_features, sample, visible
from gatehouse.pipelines.context import Context
from gatehouse.pipelines.runs import versions_at

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyspark.sql import DataFrame

    from gatehouse.lakehouse.tables import TableName

EVENT_TIME = "event_time"
UNIT = "unit"
LABEL_KNOWN_AT = "label_known_at"
OUTCOME = "_outcome"


@dataclass(frozen=True, kw_only=True, slots=True)
class Pinned:
    """The Delta version of every table that is read: by these numbers the same rows can be read again."""

    versions: Mapping[TableName, int]

    def as_text(self) -> dict[str, int]:
        """Three-part names to versions, for tags and records."""
        return {str(name): version for name, version in sorted(self.versions.items(), key=lambda i: str(i[0]))}


def slice_column(name: str) -> str:
    """The column that carries a slice's value."""
    return f"slice_{name}"


def pin(context: Context) -> Pinned:
    """The versions of events and feature tables that belong to as-of; TableNotFound names the pipeline to run."""
    versions: dict[TableName, int] = {}
    events = context.source(context.project.events.table)
    ingesting = context.environment.sources_from or context.name
    own = [context.own(f.table.name) for f in context.project.feature_tables]
    for pipeline, env, names in (("ingest", ingesting, [events]), ("features", context.name, own)):
        for name in names:
            if not context.tables.exists(name):
                raise TableNotFound(
                    f"{name} does not exist.",
                    why=f"The {context.project.name} data set is built from it.",
                    remedy=f"gatehouse run {pipeline} --env {env} --as-of {context.as_of:%Y-%m-%d}",
                )
        if names:
            versions |= versions_at(context, pipeline, names)
    return Pinned(versions=versions)


def build(context: Context, pinned: Pinned, *, after: datetime, until: datetime) -> DataFrame:
    """Events of (after, until] with their features, as known at the context's as-of.

    Returns:
        One row per event: the event's own and derived columns (late ones excepted), every feature, `event_time`,
        `unit` string, `slice_<name>` strings, the label as double under its own name (null: none, or not yet known)
        and `label_known_at`.
    """
    from pyspark.sql import functions as F

    project = context.project
    events = project.events
    rows = derived(context, _events(context, pinned, after=after, until=until))
    features = []
    for declaration in project.feature_tables:
        known = visible(_read(context, pinned, context.own(declaration.table.name)), declaration.table, until)
        if declaration.max_age is not None:
            oldest = after - events.lead - declaration.max_age
            known = known.where(F.col(declaration.table.known_at) > F.lit(oldest))
        features.append((declaration, known))
    joined = join_features(rows, features, time=events.time, lead=events.lead)
    columns = joined.columns
    _demand_features(context, columns)
    _demand_sql(joined, {f"slices.{s.name}": s.expression for s in project.slices} | {"unit": project.unit.expression})
    return joined.select(
        *(c for c in columns if c not in (OUTCOME, *project.features)),
        *(F.col(f).cast("double").alias(f) for f in project.features),
        F.col(events.time).alias(EVENT_TIME),
        F.expr(project.unit.expression).cast("string").alias(UNIT),
        *(F.expr(s.expression).cast("string").alias(slice_column(s.name)) for s in project.slices),
        F.col(f"{OUTCOME}.label").alias(project.label.name),
        F.col(f"{OUTCOME}.known_at").alias(LABEL_KNOWN_AT),
    )


def outcomes(context: Context, pinned: Pinned, *, after: datetime, until: datetime) -> DataFrame:
    """The events that `build` gives, without their features: their keys, `event_time`, label and `label_known_at`."""
    from pyspark.sql import functions as F

    project = context.project
    rows = derived(context, _events(context, pinned, after=after, until=until))
    return rows.select(
        *project.event_table.primary_key,
        F.col(project.events.time).alias(EVENT_TIME),
        F.col(f"{OUTCOME}.label").alias(project.label.name),
        F.col(f"{OUTCOME}.known_at").alias(LABEL_KNOWN_AT),
    )


def _events(context: Context, pinned: Pinned, *, after: datetime, until: datetime) -> DataFrame:
    """The environment's share of the events of (after, until], as known at the context's as-of."""
    from pyspark.sql import functions as F

    events, table = context.project.events, context.project.event_table
    rows = visible(_read(context, pinned, context.source(events.table)), table, context.as_of)
    rows = rows.where((F.col(events.time) > F.lit(after)) & (F.col(events.time) <= F.lit(until)))
    return sample(rows, table.primary_key, context.environment.data_fraction)


def _read(context: Context, pinned: Pinned, name: TableName) -> DataFrame:
    return context.tables.read(name, version=pinned.versions[name])


def derived(context: Context, rows: DataFrame) -> DataFrame:
    """The project's derived columns, computed without sight of late ones: label and its moment travel in a struct."""
    from pyspark.sql import functions as F

    project = context.project
    table = project.event_table
    late = {*table.late, table.late_known_at}
    _demand_sql(rows, {"label": project.label.expression})
    label = F.expr(project.label.expression).cast("double")
    rows = rows.select(
        *(c for c in rows.columns if c not in late),
        F.struct(label.alias("label"), F.col(project.label.known_at).alias("known_at")).alias(OUTCOME),
    )
    if project.events.derive is None:
        return rows
    derived = project.events.derive(rows)
    lost = [c for c in rows.columns if c not in derived.columns]
    if lost:
        raise ConfigurationError(
            f"`derive` of project {project.name} dropped {', '.join(lost)}.",
            why="It may add columns to an event; the machinery needs the others.",
            remedy="Use withColumns, not select.",
        )
    return derived


def _demand_features(context: Context, columns: Sequence[str]) -> None:
    missing = [f for f in context.project.features if f not in columns]
    if missing:
        raise DataError(
            f"No event column and no feature table brings {', '.join(missing)}.",
            why=f"Project {context.project.name} declares them as features of its model.",
            remedy="Add them to a feature table or to `derive`, or take them out of `features`.",
        )


def _demand_sql(frame: DataFrame, expressions: Mapping[str, str]) -> None:
    """ConfigurationError names the first of the project's expressions that the engine cannot evaluate on the frame."""
    from pyspark.errors import PySparkException
    from pyspark.sql import functions as F

    try:
        _ = frame.select(*(F.expr(e) for e in expressions.values())).schema
    except PySparkException:
        _ = frame.schema  # if this fails too, it is the rows that cannot be computed, not an expression
        for role, expression in expressions.items():
            try:
                _ = frame.select(F.expr(expression)).schema
            except PySparkException as error:
                raise ConfigurationError(
                    f"{role} of the project cannot be evaluated: {expression!r}: {first_line(error)}",
                    why="It is Spark SQL over the columns of an event.",
                    remedy=f"Correct it. There are: {', '.join(c for c in frame.columns if not c.startswith('_'))}.",
                ) from error
        raise
