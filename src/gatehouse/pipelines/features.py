"""Feature tables, brought up to as-of: the days that are new, and those whose inputs have changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, partial
from typing import TYPE_CHECKING

from gatehouse.errors import TableNotFound
from gatehouse.lakehouse.expectations import check
from gatehouse.lakehouse.point_in_time import visible
from gatehouse.lakehouse.tables import Between
from gatehouse.pipelines.changes import BEGINNING
from gatehouse.pipelines.context import Context
from gatehouse.pipelines.moments import utc
from gatehouse.pipelines.quality import expectations_of, record_counts, set_computed_aside
from gatehouse.pipelines.runs import Completed, Run, changed_since, completed, record
from gatehouse.project import FeatureTable, Window

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from gatehouse.lakehouse.tables import TableName

_INSTANT = timedelta(microseconds=1)
_FirstMoment = Callable[[str], datetime | None]
"""When the first row of a source was known, asked once for all the feature tables of a run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Refreshed:
    """What happened to one feature table: rows of the stretch (since, as_of] that was computed; None, nothing was."""

    table: str
    rows: int
    since: datetime | None


def refresh(context: Context) -> tuple[Refreshed, ...]:
    """Compute every feature table up to the context's as-of.

    What was computed is recorded at the end, or at the first error: each record is a commit of its own, and takes as
    long as a small table. Killed before that, the next run computes the same rows over those that are there.
    """
    with context.alone("features"):
        before = completed(context, "features")
        first = cache(partial(_first_moment, context))
        done: list[tuple[Refreshed, Run | None]] = []
        try:
            for declaration in context.project.feature_tables:
                done.append(_refresh_one(context, declaration, before.get(declaration.table.name), first))
        except Exception:
            _record(context, done)
            raise
        _record(context, done)
        return tuple(refreshed for refreshed, _ in done)


def _record(context: Context, done: Sequence[tuple[Refreshed, Run | None]]) -> None:
    record(context, *(run for _, run in done if run is not None))


def _refresh_one(
    context: Context, declaration: FeatureTable, before: Completed | None, first: _FirstMoment
) -> tuple[Refreshed, Run | None]:
    """Compute one table; the run is what to record of it."""
    table = declaration.table
    name = context.own(table.name)
    with context.progress.step(f"features {table.name}"):
        versions = _versions(context, declaration)
        grown = context.tables.exists(name) and not _stored_columns(context, name) >= set(table.names)
        context.tables.create(name, table)
        window = _window(context, declaration, before, first, grown=grown)
        if window is None:
            context.progress.note(f"{table.name}: nothing to compute up to {context.as_of:%Y-%m-%d %H:%M}.")
            return Refreshed(table=table.name, rows=0, since=None), None
        inputs = {i: _input(context, declaration, i, versions[i], window) for i in declaration.inputs}
        computed = declaration.compute(inputs, window).select(*table.names)
        checked = check(computed, expectations_of(table), table=table.name, key=table.primary_key)
        stretch = Between(table.known_at, after=window.start, until=window.end)
        if aside := set_computed_aside(context, table, checked, stretch):
            context.progress.note(f"{table.name}: {aside} rows set aside in {table.name}_quarantine.")
        version = context.tables.replace(name, checked.good, where=stretch)
        rows = _rows_in(context.tables.read(name), table.known_at, window)
        record_counts(context, checked.counts)
    run = Run(pipeline="features", target=table.name, since=window.start, rows=rows, version=version, inputs=versions)
    return Refreshed(table=table.name, rows=rows, since=window.start), run


def _window(
    context: Context, declaration: FeatureTable, before: Completed | None, first: _FirstMoment, *, grown: bool
) -> Window | None:
    """From the earliest moment whose inputs changed since the last run, else from that run; None if it is all there.

    A table that has gained a column is computed anew: null would look like a value that was not known.
    """
    done = before.as_of if before else None
    if done is not None and done > context.as_of:
        return None
    changed = None
    if before is not None:
        changed = BEGINNING if grown else changed_since(context, before.inputs)
        if changed is not None and changed > context.as_of:
            changed = None
        if done == context.as_of and changed is None:
            return None
    if done is None or changed == BEGINNING:
        known = [m for m in map(first, declaration.inputs) if m is not None and m <= context.as_of]
        return Window(start=min(known) - _INSTANT, end=context.as_of) if known else None
    return Window(start=done if changed is None else min(done, changed - _INSTANT), end=context.as_of)


def _stored_columns(context: Context, name: TableName) -> set[str]:
    return {c.name for c in context.tables.declaration(name).columns}


def _first_moment(context: Context, source: str) -> datetime | None:
    """When the first row of a source was known; None: it is empty."""
    from pyspark.sql import functions as F

    rows = context.tables.read(context.source(source))
    known_at = context.project.tables[source].known_at
    return utc(rows.agg(F.min(known_at).alias("first")).toPandas()["first"].iloc[0])


def _versions(context: Context, declaration: FeatureTable) -> dict[str, int]:
    for name in declaration.inputs:
        place = context.source(name)
        if not context.tables.exists(place):
            raise TableNotFound(
                f"{place}, which {declaration.table.name} is computed from, does not exist.",
                why="Features without their source would be empty.",
                remedy=f"gatehouse run ingest --env {context.environment.sources_from or context.name}",
            )
    return {name: context.tables.version(context.source(name)) for name in declaration.inputs}


def _input(context: Context, declaration: FeatureTable, name: str, version: int, window: Window) -> DataFrame:
    from pyspark.sql import functions as F

    table = context.project.tables[name]
    rows = visible(context.tables.read(context.source(name), version=version), table, window.end)
    if declaration.history is None:
        return rows
    return rows.where(F.col(table.known_at) > F.lit(window.start - declaration.history))


def _rows_in(frame: DataFrame, known_at: str, window: Window) -> int:
    from pyspark.sql import functions as F

    moment = F.col(known_at)
    return frame.where((moment > F.lit(window.start)) & (moment <= F.lit(window.end))).count()
