"""Where an environment stands: what `status`, `features` and `lineage` show. Reads, never writes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from gatehouse.gates.promotion import CHAMPION, Kind
from gatehouse.lakehouse.lineage import PREFIX
from gatehouse.pipelines.context import Context
from gatehouse.pipelines.graph import Graph, lineage_graph
from gatehouse.pipelines.moments import utc
from gatehouse.pipelines.promotion import gatekeeper
from gatehouse.pipelines.runs import watermark
from gatehouse.pipelines.tables import METRICS, SYSTEM_TABLES, predictions_table
from gatehouse.reports.accuracy import FIGURES, read_figures
from gatehouse.reports.inputs import State

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True, slots=True)
class TableStanding:
    """One table of the environment. `known_until` is the as-of of the last run that wrote it."""

    name: str
    version: int
    rows: int
    known_until: datetime | None
    description: str


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionStanding:
    """One registered version."""

    version: str
    aliases: tuple[str, ...]
    trained_until: str
    proposer: str
    code: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureStanding:
    """One feature of the model. `fresh_until` is up to when its table is computed."""

    name: str
    table: str
    description: str
    unit: str | None
    owner: str
    fresh_until: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """All of it. `metrics` are the champion's primary and guardrail metrics over the newest window measured."""

    environment: str
    catalog: str
    schema: str
    champion: str | None
    tables: tuple[TableStanding, ...]
    versions: tuple[VersionStanding, ...]
    metrics: Mapping[str, float]
    measured_at: datetime | None
    warnings: tuple[str, ...] = ()


def standing(context: Context) -> Standing:
    """Read the environment's tables, versions and latest figures."""
    tables = tuple(_table(context, name) for name in _existing(context))
    versions = context.registry.versions(context.model)
    champion = context.registry.by_alias(context.model, CHAMPION)
    champion_version = champion.version if champion else None
    metrics, measured_at, worsened = _latest_metrics(context, champion_version)
    return Standing(
        environment=context.name,
        catalog=context.environment.catalog,
        schema=context.environment.db_schema,
        champion=champion_version,
        tables=tables,
        versions=tuple(
            VersionStanding(
                version=v.version,
                aliases=v.aliases,
                trained_until=v.tags.get(f"{PREFIX}train_end", "")[:10],
                proposer=v.tags.get(f"{PREFIX}proposer", ""),
                code=v.tags.get(f"{PREFIX}code_commit", "")[:10],
                created_at=v.created_at,
            )
            for v in versions
        ),
        metrics=metrics,
        measured_at=measured_at,
        warnings=(*warnings_of(context), *worsened),
    )


def warnings_of(context: Context) -> tuple[str, ...]:
    """What nobody may overlook: an alias that was moved by another hand, a champion that went past the gates."""
    keeper = gatekeeper(context)
    found = [outside] if (outside := keeper.moved_outside()) is not None else []
    history = keeper.history()
    if history and history[-1].kind is Kind.BREAK_GLASS:
        live = history[-1]
        found.append(
            f"Version {live.version} was promoted past the gates by {live.entry.actor} at "
            f"{live.entry.at:%Y-%m-%d %H:%M} UTC (break glass); a normal promotion is due."
        )
    return tuple(found)


def features(context: Context) -> tuple[FeatureStanding, ...]:
    """Every feature of the project's model, in its order, with what is declared of it and how fresh it is."""
    project = context.project
    brought = {f: d.table for d in project.feature_tables for f in d.features}
    derived = {c.name: c for c in project.events.derived}
    found = []
    for name in project.features:
        table = brought.get(name, project.event_table)
        column = derived.get(name) or table.column(name)
        found.append(
            FeatureStanding(
                name=name,
                table=table.name,
                description=column.description,
                unit=column.unit,
                owner=table.owner,
                fresh_until=watermark(context, "features" if name in brought else "ingest", table.name),
            )
        )
    return tuple(found)


def graph_of(context: Context) -> Graph:
    """The project's lineage with the versions registered here."""
    scored = _scoring_versions(context)
    return lineage_graph(
        context.project,
        [
            (f"version {v.version}", ", ".join(v.aliases), v.version in scored)
            for v in context.registry.versions(context.model)
        ],
    )


def facts_of(context: Context, graph: Graph) -> dict[str, dict[str, object]]:
    """What is known of each node here: Delta versions of tables, lineage tags of model versions."""
    facts: dict[str, dict[str, object]] = {}
    sources = {s.table.name for s in context.project.sources}
    for name, node in graph.nodes.items():
        if node.kind in ("table", "features", "predictions", "metrics"):
            place = context.source(name) if name in sources else context.own(name)
            if context.tables.exists(place):
                facts[name] = {"table": str(place), "version": context.tables.version(place)}
    for version in context.registry.versions(context.model):
        tags = {k.removeprefix(PREFIX): v for k, v in version.tags.items() if k.startswith(PREFIX)}
        facts[f"version {version.version}"] = {
            "aliases": " ".join(version.aliases) or "none",
            "trained until": tags.get("train_end", "?")[:10],
            "code": tags.get("code_commit", "?")[:10],
            "data": json.loads(tags.get("data_versions", "{}")),
        }
    return facts


def _existing(context: Context) -> list[str]:
    project = context.project
    declared = [*project.tables, predictions_table(project).name, *(t.name for t in SYSTEM_TABLES)]
    order = {name: index for index, name in enumerate(declared)}
    here = [n.table for n in context.tables.names(context.environment.catalog, context.environment.db_schema)]
    return sorted(here, key=lambda name: (order.get(name, len(order)), name))


def _table(context: Context, name: str) -> TableStanding:
    place = context.own(name)
    pipelines = ("ingest", "features", "inference", "monitoring")
    moments = [m for p in pipelines if (m := watermark(context, p, name)) is not None]
    return TableStanding(
        name=name,
        version=context.tables.version(place),
        rows=context.tables.read(place).count(),
        known_until=max(moments, default=None),
        description=context.tables.declaration(place).description,
    )


def _latest_metrics(
    context: Context, champion: str | None
) -> tuple[dict[str, float], datetime | None, tuple[str, ...]]:
    """The champion's figures, when they were measured, and that it has become worse, if it has."""
    from pyspark.sql import functions as F

    name = context.own(METRICS.name)
    if not context.tables.exists(name):
        return {}, None, ()
    project, thresholds = context.project, context.settings.monitoring
    wanted = [m.name for m in project.metrics]
    rows = (
        context.tables.read(name)
        .where(
            F.col("metric").isin([*wanted, *FIGURES])
            & F.col("subject").isin([project.label.name, project.primary_metric.name])
            & (F.col("unit_value") == F.lit(""))
            & F.col("value").isNotNull()
        )
        .orderBy(F.col("as_of").desc())
        .toPandas()
    )
    if rows.empty:
        return {}, None, ()
    last = rows[rows["as_of"] == rows["as_of"].iloc[0]]
    of_champion = last[last["model_version"] == champion]
    newest = of_champion[of_champion["metric"].isin(wanted)]
    found = read_figures(dict(zip(of_champion["metric"], of_champion["value"].astype(float), strict=True)))
    worse = found is not None and found.state(thresholds) is State.ALERT
    return (
        dict(zip(newest["metric"], newest["value"].astype(float), strict=True)),
        utc(last["as_of"].iloc[0]),
        (f"Version {champion}: {found.sentence(project, thresholds)}",) if found and worse else (),
    )


def _scoring_versions(context: Context) -> set[str]:
    name = context.own(predictions_table(context.project).name)
    if not context.tables.exists(name):
        return set()
    return set(context.tables.read(name).select("model_version").distinct().toPandas()["model_version"])
