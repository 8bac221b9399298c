"""Raw rows into source tables: only what is new or has changed, only what is known by as-of.

Bad rows are set aside and counted, schema changes are seen before anything is written, and each write is keyed, so
that a run that is repeated or was killed in the middle adds nothing twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from gatehouse.errors import SchemaBreak
from gatehouse.lakehouse.expectations import single_rows
from gatehouse.lakehouse.point_in_time import sample, visible
from gatehouse.pipelines.changes import KNOWN, Changes, first_load, fresh_rows, summarise
from gatehouse.pipelines.context import Context
from gatehouse.pipelines.quality import judge, record_counts, set_aside, without_moment
from gatehouse.pipelines.runs import Run, record, watermark
from gatehouse.pipelines.tables import SCHEMA_CHANGES
from gatehouse.project import Extraction, Source, Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from gatehouse.lakehouse.tables import TableName


@dataclass(frozen=True, kw_only=True, slots=True)
class Ingested:
    """What happened to one source. Rows of the source that were there already count nowhere."""

    table: str
    inserted: int = 0
    updated: int = 0
    quarantined: int = 0
    violations: int = 0
    new_columns: tuple[str, ...] = ()


def ingest(context: Context) -> tuple[Ingested, ...]:
    """Bring every source up to the context's as-of. An environment that reads another's sources has nothing to do."""
    if context.environment.sources_from:
        context.progress.note(
            f"{context.name} reads the source tables of {context.environment.sources_from}: nothing to ingest."
        )
        return ()
    with context.alone("ingest"):
        return tuple(_ingest_one(context, source) for source in context.project.sources)


def _ingest_one(context: Context, source: Source) -> Ingested:
    table = source.table
    name = context.own(table.name)
    with context.progress.step(f"ingest {table.name}"):
        seen = watermark(context, "ingest", table.name)
        if seen is not None and context.as_of < seen:
            context.progress.note(_left(context, table, seen))
            return Ingested(table=table.name)
        since = _start(context, source, seen)
        landing = context.platform.landing(context.spark, name)
        raw = source.extract(
            Extraction(spark=context.spark, since=since, until=context.as_of, raw=Path(landing.folder), landing=landing)
        )
        extra = _compare_schema(raw, table)
        arrived = raw.select(*table.names)
        single, contradictions = single_rows(_cut(context, arrived, table), table.primary_key)
        context.tables.create(name, table)
        judged = judge(
            context,
            table,
            _fresh(context, name, single, table),
            contradictions.unionByName(without_moment(arrived, table)),
        )
        # Counts and bad rows first: whatever a killed run has done of this order, the next one ends it.
        record_counts(context, judged.counts, again=context.as_of == seen)
        quarantined = set_aside(context, table, judged)
        changes, version = _write(context, name, judged.good, table)
        new_columns = _record_columns(context, table, raw, extra)
        if context.as_of != seen or changes.inserted or changes.updated or quarantined:
            record(
                context,
                Run(
                    pipeline="ingest",
                    target=table.name,
                    since=since,
                    rows=changes.inserted,
                    updated=changes.updated,
                    quarantined=quarantined,
                    changed_from=changes.changed_from,
                    version=version,
                ),
            )
    result = Ingested(
        table=table.name,
        inserted=changes.inserted,
        updated=changes.updated,
        quarantined=quarantined,
        violations=sum(c.violations for c in judged.counts),
        new_columns=new_columns,
    )
    _tell(context, result, first=seen is None)
    return result


def _left(context: Context, table: Table, seen: datetime) -> str:
    said = f"{table.name} is known up to {seen:%Y-%m-%d %H:%M}, later than as-of: left as it is."
    stood = watermark(context, "ingest", table.name, until=context.as_of)
    if stood is None or stood == context.as_of:
        return said
    return (
        f"{said} Nothing was taken in as of {context.as_of:%Y-%m-%d %H:%M}: what is computed as of then reads the "
        f"table as it stood on {stood:%Y-%m-%d %H:%M}, without what became known in between. "
        f"Go on from {seen:%Y-%m-%d}, or begin anew (gatehouse reset)."
    )


def _start(context: Context, source: Source, seen: datetime | None) -> datetime | None:
    """From where to ask. Only events are cut to the environment's history: master data are as old as they are."""
    earliest = _history_start(context, source.table)
    if seen is None:
        return earliest
    back = seen - source.lookback
    return max(back, earliest) if earliest else back


def _history_start(context: Context, table: Table) -> datetime | None:
    days = context.environment.history_days
    return context.as_of - timedelta(days=days) if days and table.name == context.project.events.table else None


def _compare_schema(raw: DataFrame, table: Table) -> tuple[str, ...]:
    """Names of undeclared columns; SchemaBreak for a missing column or another type."""
    arrived = dict(raw.dtypes)
    missing = [c.name for c in table.columns if c.name not in arrived]
    changed = [
        f"{c.name}: declared {c.type}, arrived {arrived[c.name]}"
        for c in table.columns
        if c.name in arrived and arrived[c.name] != c.type
    ]
    if missing or changed:
        found = [*(f"{name}: missing" for name in missing), *changed]
        raise SchemaBreak(
            f"The source of {table.name} no longer fits its declaration ({'; '.join(found)}).",
            why="Reading on would fill the table with nulls, and every feature behind it.",
            remedy="Have the source mended, or change the table's declaration and what reads it. Nothing was written.",
        )
    return tuple(name for name in arrived if name not in table.names)


def _cut(context: Context, frame: DataFrame, table: Table) -> DataFrame:
    """Only what is known by as-of, and of the events the environment's share and stretch."""
    from pyspark.sql import functions as F

    frame = visible(frame, table, context.as_of)
    if (earliest := _history_start(context, table)) is not None:
        frame = frame.where(F.col(table.known_at) > F.lit(earliest))
    if table.name == context.project.events.table:
        frame = sample(frame, table.primary_key, context.environment.data_fraction)
    return frame


def _fresh(context: Context, name: TableName, rows: DataFrame, table: Table) -> DataFrame:
    """The rows that are not stored in this form; with `changes.fresh_rows`' columns, unless nothing is stored yet."""
    if context.tables.version(name) == 0:  # created, never written: no row can be there yet
        return rows
    return fresh_rows(rows, context.tables.read(name), table)


def _write(context: Context, name: TableName, good: DataFrame, table: Table) -> tuple[Changes, int]:
    """Write what is fresh; the commit itself says since when it matters, so that no crash comes between the two."""
    if KNOWN not in good.columns:
        version = context.tables.append(name, good)
        return first_load(context.tables.read(name), table), version
    changes = summarise(good)
    rows = good.select(*table.names)
    if changes.updated:
        version = context.tables.merge(name, rows, keys=table.primary_key, metadata=changes.as_metadata())
    elif changes.inserted:
        version = context.tables.append(name, rows, metadata=changes.as_metadata())
    else:
        version = context.tables.version(name)
    return changes, version


def _record_columns(context: Context, table: Table, raw: DataFrame, extra: tuple[str, ...]) -> tuple[str, ...]:
    """Keep when a column was first delivered without being declared; returns those that are new."""
    from pyspark.sql import functions as F

    if not extra:
        return ()
    name = context.own(SCHEMA_CHANGES.name)
    context.tables.create(name, SCHEMA_CHANGES)
    known = context.tables.read(name).where(F.col("table_name") == table.name).select("column_name").collect()
    new = tuple(c for c in extra if c not in {r.column_name for r in known})
    types = dict(raw.dtypes)
    rows: list[tuple[object, ...]] = [(table.name, c, context.as_of, types[c]) for c in new]
    if rows:
        context.tables.append(name, context.frame(rows, SCHEMA_CHANGES.name))
    return new


def _tell(context: Context, result: Ingested, *, first: bool) -> None:
    if result.new_columns:
        context.progress.note(
            f"{result.table}: the source now also delivers {', '.join(result.new_columns)}; recorded, and left out "
            "until the project declares it."
        )
    if result.quarantined:
        context.progress.note(f"{result.table}: {result.quarantined} rows set aside in {result.table}_quarantine.")
    if not first and not result.inserted and not result.updated:
        context.progress.note(f"{result.table}: nothing new up to {context.as_of:%Y-%m-%d %H:%M}.")
