"""Raw rows into source tables: only what is new or has changed, only what is known by as-of.

Bad rows are set aside and counted, schema changes are seen before anything is written, and each write is keyed, so
that a run that is repeated or was killed in the middle adds nothing twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from gatehouse.errors import SchemaBreak
from gatehouse.lakehouse.expectations import Checked, ExpectationCount, check, single_rows
from gatehouse.lakehouse.point_in_time import sample, visible
from gatehouse.pipelines.changes import KNOWN, Changes, first_load, fresh_rows, summarise
from gatehouse.pipelines.context import Context
from gatehouse.pipelines.runs import Run, record, watermark
from gatehouse.pipelines.tables import EXPECTATIONS, SCHEMA_CHANGES, quarantine_table
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
            context.progress.note(
                f"{table.name} is known up to {seen:%Y-%m-%d %H:%M}, later than as-of: left as it is."
            )
            return Ingested(table=table.name)
        since = _start(context, source, seen)
        raw = source.extract(
            Extraction(
                spark=context.spark,
                since=since,
                until=context.as_of,
                raw=context.root / "landing" / table.name,
            )
        )
        extra = _compare_schema(raw, table)
        incoming = _cut(context, raw.select(*table.names), table)
        single, contradictions = single_rows(incoming, table.primary_key)
        checked = check(single, table.expectations, table=table.name)
        context.tables.create(name, table)
        changes, version = _write(context, name, checked.good, table)
        quarantined = _set_aside(context, table, checked, contradictions)
        record_counts(context, table, checked.counts)
        _record_columns(context, table, raw, extra)
        if context.as_of != seen or changes.inserted or changes.updated:
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
        violations=sum(c.violations for c in checked.counts),
        new_columns=extra,
    )
    _tell(context, result, first=seen is None)
    return result


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


def _write(context: Context, name: TableName, good: DataFrame, table: Table) -> tuple[Changes, int]:
    from pyspark.sql import functions as F

    if context.tables.version(name) == 0:  # created, never written: no row can be there yet
        version = context.tables.append(name, good)
        return first_load(context.tables.read(name), table), version
    fresh = fresh_rows(good, context.tables.read(name), table)
    changes = summarise(fresh)
    if changes.updated:
        return changes, context.tables.merge(name, fresh.select(*table.names), keys=table.primary_key)
    if changes.inserted:
        return changes, context.tables.append(name, fresh.where(~F.col(KNOWN)).select(*table.names))
    return changes, context.tables.version(name)


def _set_aside(context: Context, table: Table, checked: Checked, contradictions: DataFrame) -> int:
    """Keep the rows that are not good enough where people can look at them; the same row is kept once."""
    from pyspark.sql import functions as F

    declared = quarantine_table(table)
    name = context.own(declared.name)
    context.tables.create(name, declared)
    rows = (
        checked.quarantined.withColumn("violated", F.concat_ws(",", "violated"))
        .unionByName(contradictions)
        .withColumn("quarantined_at", F.lit(context.as_of))
    )
    content = [c for c in declared.names if c != "quarantined_at"]
    known = context.tables.read(name).select(*content)
    fresh = rows.join(known, [rows[c].eqNullSafe(known[c]) for c in content], "left_anti").select(*declared.names)
    number = fresh.count()
    if number:
        context.tables.append(name, fresh)
    return number


def record_counts(context: Context, table: Table, counts: tuple[ExpectationCount, ...]) -> None:
    """Keep what the expectations found, also where it is zero."""
    name = context.own(EXPECTATIONS.name)
    context.tables.create(name, EXPECTATIONS)
    rows: list[tuple[object, ...]] = [
        (table.name, c.name, context.as_of, c.action.value, c.rows_checked, c.violations) for c in counts
    ]
    if rows:
        context.tables.merge(name, context.frame(rows, EXPECTATIONS.name), keys=EXPECTATIONS.primary_key)


def _record_columns(context: Context, table: Table, raw: DataFrame, extra: tuple[str, ...]) -> None:
    if not extra:
        return
    name = context.own(SCHEMA_CHANGES.name)
    context.tables.create(name, SCHEMA_CHANGES)
    types = dict(raw.dtypes)
    rows: list[tuple[object, ...]] = [(table.name, c, context.as_of, types[c]) for c in extra]
    context.tables.merge(name, context.frame(rows, SCHEMA_CHANGES.name), keys=SCHEMA_CHANGES.primary_key)


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
