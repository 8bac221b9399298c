"""Reads what the monitoring pages show, and writes them: an overview and a page for each environment that has data."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from gatehouse.errors import GatehouseError, StateError, VersionNotFound
from gatehouse.gates.promotion import CHAMPION
from gatehouse.lakehouse.lineage import Lineage
from gatehouse.pipelines.context import Context
from gatehouse.pipelines.decisions import VERDICT_TAG
from gatehouse.pipelines.decisions import folder as decisions_folder
from gatehouse.pipelines.moments import utc
from gatehouse.pipelines.tables import EXPECTATIONS, METRICS, RUNS, predictions_table
from gatehouse.pipelines.training import IMPORTANCES
from gatehouse.reports.monitoring import INDEX, MOST_VERSIONS, Entry, environment_html, file_name, headline, index_html
from gatehouse.reports.page import write
from gatehouse.reports.readings import Checked, Completed, Measurement, Readings, Registered, Scored

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import Any

    from gatehouse.lakehouse.registry import Version
    from gatehouse.lakehouse.tables import TableName

FOLDER = "report"
HISTORY = timedelta(days=180)
"""How far back from as-of the pages look."""
MOST_DECISIONS = 5
"""In the overview; every version's row on the environment's page has its own."""


def write_report(context: Context) -> Path:
    """Write the pages of all environments under `report/` of the lakehouse; returns the overview's path.

    The context's own page is as of the context. The others are as of the last run of any pipeline there; what keeps
    one of them from being read stands in the overview, and is no reason to withhold this one.
    """
    folder = context.root / FOLDER
    with context.progress.step("write the report"):
        found: dict[str, Readings | GatehouseError] = {}
        for name in context.settings.environments.environments:
            try:
                readings = _read_at(context, name)
            except GatehouseError as error:
                if name == context.name:
                    raise
                found[name] = error
            else:
                if name == context.name or not readings.is_empty:
                    found[name] = readings
        pages = {name: readings for name, readings in found.items() if isinstance(readings, Readings)}
        others = [(name, file_name(name)) for name in pages]
        project, thresholds = context.project, context.settings.monitoring
        for name, readings in pages.items():
            write(folder / file_name(name), environment_html(project, thresholds, readings, others=others))
        entries = [
            Entry(
                environment=name,
                as_of=r.as_of,
                headline=headline(project, thresholds, r),
                decisions=tuple(v for v in r.versions if v.decision)[:MOST_DECISIONS],
            )
            if isinstance(r, Readings)
            else Entry(environment=name, problem=r.what)
            for name, r in found.items()
        ]
        return write(folder / INDEX, index_html(project, entries))


def read(context: Context) -> Readings:
    """What the environment's tables and registry say, nothing of them later than as-of."""
    since = context.as_of - HISTORY
    return Readings(
        environment=context.name,
        sources_in=context.environment.sources_from or context.name,
        catalog=context.environment.catalog,
        schema=context.environment.db_schema,
        as_of=context.as_of,
        written_at=context.now,
        since=since,
        measurements=tuple(_measurements(context, since)),
        completed=tuple(_completed(context)),
        checked=tuple(_checked(context, since)),
        scored=tuple(_scored(context, since)),
        versions=tuple(_versions(context)),
    )


def _read_at(context: Context, name: str) -> Readings:
    """Another environment through this one's session, at the moment it stands at; with no run, at this one's."""
    if name == context.name:
        return read(context)
    there = dataclasses.replace(context, name=name, environment=context.settings.environment(name))
    return read(dataclasses.replace(there, as_of=_last_run(there) or context.as_of))


def _last_run(context: Context) -> datetime | None:
    from pyspark.sql import functions as F

    name = context.own(RUNS.name)
    if not context.tables.exists(name):
        return None
    return utc(context.tables.read(name).agg(F.max("as_of").alias("moment")).toPandas()["moment"].iloc[0])


def _rows(context: Context, name: TableName, since: datetime | None = None) -> Iterator[Any]:
    """Rows of one of the machinery's tables with an as-of in (since, as-of], as named tuples."""
    from pyspark.sql import functions as F

    if not context.tables.exists(name):
        return
    rows = context.tables.read(name).where(F.col("as_of") <= F.lit(context.as_of))
    if since is not None:
        rows = rows.where(F.col("as_of") > F.lit(since))
    yield from rows.toPandas().itertuples(index=False)


def _measurements(context: Context, since: datetime) -> Iterator[Measurement]:
    for row in _rows(context, context.own(METRICS.name), since):
        yield Measurement(
            as_of=_known(row.as_of),
            window_start=_known(row.window_start),
            window_end=_known(row.window_end),
            metric=row.metric,
            subject=row.subject,
            version=row.model_version,
            unit=row.unit_value,
            value=None if row.value is None or row.value != row.value else float(row.value),
            rows=int(row.rows),
        )


def _completed(context: Context) -> list[Completed]:
    """The last run of each pipeline on each target; ingestions are those of the environment the sources come from."""
    own, source = context.own(RUNS.name), context.source(RUNS.name)
    runs = [row for row in _rows(context, own) if own == source or row.pipeline != "ingest"]
    if own != source:
        runs += [row for row in _rows(context, source) if row.pipeline == "ingest"]
    last = {(row.pipeline, row.target): row for row in sorted(runs, key=lambda row: row.as_of)}
    order = ("ingest", "features", "training", "inference", "monitoring")
    keys = sorted(last, key=lambda k: (order.index(k[0]) if k[0] in order else len(order), k))
    return [_completed_run(last[key]) for key in keys]


def _completed_run(row: Any) -> Completed:
    return Completed(
        pipeline=row.pipeline,
        target=row.target,
        as_of=_known(row.as_of),
        rows=int(row.rows),
        updated=int(row.updated),
        quarantined=int(row.quarantined),
        version=None if row.version is None or row.version != row.version else int(row.version),
        code=row.code,
        finished_at=_known(row.finished_at),
    )


def _checked(context: Context, since: datetime) -> list[Checked]:
    rows = _rows(context, context.source(EXPECTATIONS.name), since)
    found = [
        Checked(
            table=row.table_name,
            expectation=row.expectation,
            as_of=_known(row.as_of),
            action=row.action,
            rows_checked=int(row.rows_checked),
            violations=int(row.violations),
        )
        for row in rows
    ]
    return sorted(found, key=lambda c: c.as_of)


def _scored(context: Context, since: datetime) -> Iterator[Scored]:
    from pyspark.sql import functions as F

    name = context.own(predictions_table(context.project).name)
    if not context.tables.exists(name):
        return
    rows = context.tables.read(name).where(
        (F.col("predicted_at") <= F.lit(context.as_of)) & (F.col("event_time") > F.lit(since))
    )
    counted = rows.groupBy("unit", "model_version").count().toPandas()
    for unit, version, number in counted.itertuples(index=False):
        yield Scored(unit=str(unit), version=str(version), rows=int(number))


def _versions(context: Context) -> Iterator[Registered]:
    """Every version; what its run holds only for those that a page shows."""
    pages = decisions_folder(context)
    for place, version in enumerate(context.registry.versions(context.model)):
        page = pages / f"version-{version.version}.html"
        shown = place < MOST_VERSIONS or bool(version.aliases)
        metrics, importances = _run_of(context, version) if shown else ({}, {})
        yield Registered(
            version=version.version,
            aliases=version.aliases,
            created_at=version.created_at,
            lineage=_lineage(version),
            card=version.description,
            hold_out=_under("hold_out_", metrics),
            baseline=_under("baseline_", metrics),
            importances=importances,
            verdict=version.tags.get(VERDICT_TAG, ""),
            decision=page.relative_to(context.root / FOLDER).as_posix() if page.is_file() else None,
        )


def _run_of(context: Context, version: Version) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """What its run measured, and the champion's importances; nothing if it has no run, or somebody deleted it."""
    if not version.run_id:
        return {}, {}
    try:
        metrics = context.tracking.read_metrics(version.run_id)
        is_champion = CHAMPION in version.aliases
        stored = context.tracking.read_dict(version.run_id, IMPORTANCES) if is_champion else None
    except VersionNotFound:
        return {}, {}
    return metrics, {str(n): float(v) for n, v in (stored or {}).get("mean_absolute_contribution", {}).items()}


def _lineage(version: Version) -> Lineage | None:
    try:
        return Lineage.from_tags(version.tags, version.version)
    except StateError:
        return None


def _under(prefix: str, metrics: Mapping[str, float]) -> dict[str, float]:
    return {n.removeprefix(prefix): v for n, v in metrics.items() if n.startswith(prefix)}


def _known(moment: object) -> datetime:
    found = utc(moment)
    if found is None:
        raise StateError(
            "A row of the machinery's own tables has no moment.",
            why="Without it nobody can say when its figure was known.",
            remedy="Run the pipeline that wrote it again, with the same --as-of.",
        )
    return found
