"""The record of completed runs, and the watermarks that follow from it.

A run is recorded after its write. Killed in between, the next run finds no record, does the work again and, since every
write is keyed, changes nothing twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from gatehouse.lakehouse.tables import TableName
from gatehouse.pipelines.changes import BEGINNING, changed_in
from gatehouse.pipelines.context import Context
from gatehouse.pipelines.moments import utc
from gatehouse.pipelines.tables import RUNS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What one run did to one target. `changed_from` is the earliest moment whose knowledge changed."""

    pipeline: str
    target: str
    since: datetime | None
    rows: int
    updated: int = 0
    quarantined: int = 0
    changed_from: datetime | None = None
    version: int | None = None
    inputs: Mapping[str, int] = field(default_factory=dict)


def record(context: Context, run: Run) -> None:
    """Write the run to the environment's record, over an earlier record of the same run unless that says the same."""
    name = context.own(RUNS.name)
    context.tables.create(name, RUNS)
    row = (
        run.pipeline,
        run.target,
        context.as_of,
        run.since,
        run.rows,
        run.updated,
        run.quarantined,
        run.changed_from,
        run.version,
        json.dumps(dict(run.inputs), sort_keys=True),
        context.code.commit,
        context.now,
    )
    frame = context.frame([row], RUNS.name)
    earlier = _runs(context, name, run.pipeline, run.target, as_of=context.as_of).unionByName(frame).toPandas()
    if len(earlier) == 1:
        context.tables.append(name, frame)
    elif len(earlier.drop(columns=["code", "finished_at"]).drop_duplicates()) > 1:  # else it was only repeated
        context.tables.merge(name, frame, keys=RUNS.primary_key)


def watermark(context: Context, pipeline: str, target: str) -> datetime | None:
    """The latest as-of up to which this pipeline has completed its target; None if it never ran."""
    from pyspark.sql import functions as F

    name = context.own(RUNS.name)
    if not context.tables.exists(name):
        return None
    runs = _runs(context, name, pipeline, target)
    return utc(runs.agg(F.max("as_of").alias("moment")).toPandas()["moment"].iloc[0])


def inputs_of(context: Context, pipeline: str, target: str, as_of: datetime) -> dict[str, int]:
    """Delta version of each table that a completed run read."""
    runs = _runs(context, context.own(RUNS.name), pipeline, target, as_of=as_of)
    found = runs.select("inputs").toPandas()["inputs"]
    return dict(json.loads(found.iloc[0])) if len(found) else {}


def _runs(context: Context, name: TableName, pipeline: str, target: str, *, as_of: datetime | None = None) -> DataFrame:
    from pyspark.sql import functions as F

    runs = context.tables.read(name).where((F.col("pipeline") == pipeline) & (F.col("target") == target))
    return runs if as_of is None else runs.where(F.col("as_of") == F.lit(as_of))


def changed_since(context: Context, read: Mapping[str, int]) -> datetime | None:
    """Earliest moment whose knowledge changed after the versions of the source tables that were read; None if none did.

    The commits of those tables say so themselves. Where one does not, or is gone from the log, it is the beginning.
    """
    moments = [m for table, version in read.items() for m in _changed_after(context, context.source(table), version)]
    return min(moments, default=None)


def _changed_after(context: Context, name: TableName, version: int) -> Iterator[datetime]:
    newest = context.tables.version(name)
    if newest == version:
        return
    commits = [c for c in context.tables.history(name) if c.version > version]
    if len(commits) != newest - version:  # the log was cut, or the table was made anew
        yield BEGINNING
    yield from filter(None, map(changed_in, commits))


def version_at(context: Context, pipeline: str, name: TableName) -> int:
    """The table's version as runs up to as-of left it, so that a later look at the same as-of reads the same rows.

    Where no such run is on record (the table was filled in one go beyond as-of), its newest version.
    """
    import pandas as pd
    from pyspark.sql import functions as F

    place = TableName(name.catalog, name.schema, RUNS.name)
    if context.tables.exists(place):
        runs = context.tables.read(place).where(
            (F.col("pipeline") == pipeline) & (F.col("target") == name.table) & (F.col("as_of") <= F.lit(context.as_of))
        )
        found = runs.agg(F.max("version").alias("version")).toPandas()["version"].iloc[0]
        if not pd.isna(found):
            return int(found)
    return context.tables.version(name)
