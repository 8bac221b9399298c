"""The record of completed runs, and the watermarks that follow from it.

A run is recorded after its write. Killed in between, the next run finds no record, does the work again and, since every
write is keyed, changes nothing twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
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


def record(context: Context, *runs: Run) -> None:
    """Write runs of one pipeline to the environment's record, over earlier ones of this as-of that say otherwise."""
    if not runs:
        return
    name, keys = context.own(RUNS.name), list(RUNS.primary_key)
    context.tables.create(name, RUNS)
    frame = context.frame([_row(context, run) for run in runs], RUNS.name)
    earlier = _runs(context, name, runs[0].pipeline, [run.target for run in runs], as_of=context.as_of)
    both = earlier.unionByName(frame).toPandas()
    if len(both) == len(runs):
        context.tables.append(name, frame)
        return
    said = both.drop(columns=["code", "finished_at"]).drop_duplicates()
    repeated = set(both[both.duplicated(keys)]["target"]) - set(said[said.duplicated(keys)]["target"])
    if other := [_row(context, run) for run in runs if run.target not in repeated]:
        context.tables.merge(name, context.frame(other, RUNS.name), keys=RUNS.primary_key)


def _row(context: Context, run: Run) -> tuple[object, ...]:
    return (
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Completed:
    """Up to when a target is complete, and the Delta version of each table that the run up to there read."""

    as_of: datetime
    inputs: Mapping[str, int]


def completed(context: Context, pipeline: str) -> dict[str, Completed]:
    """The latest run of each target; targets that the pipeline never completed are left out."""
    from pyspark.sql import functions as F

    name = context.own(RUNS.name)
    if not context.tables.exists(name):
        return {}
    runs = context.tables.read(name).where(F.col("pipeline") == pipeline)
    found = runs.select("target", "as_of", "inputs").toPandas().sort_values("as_of")
    return {
        target: Completed(as_of=moment, inputs=json.loads(inputs))
        for target, as_of, inputs in found.itertuples(index=False)
        if (moment := utc(as_of)) is not None
    }


def watermark(context: Context, pipeline: str, target: str, *, until: datetime | None = None) -> datetime | None:
    """The latest as-of, not after `until`, up to which this pipeline has completed its target; None: none."""
    from pyspark.sql import functions as F

    name = context.own(RUNS.name)
    if not context.tables.exists(name):
        return None
    runs = _runs(context, name, pipeline, [target])
    if until is not None:
        runs = runs.where(F.col("as_of") <= F.lit(until))
    return utc(runs.agg(F.max("as_of").alias("moment")).toPandas()["moment"].iloc[0])


def _runs(
    context: Context, name: TableName, pipeline: str, targets: list[str], *, as_of: datetime | None = None
) -> DataFrame:
    from pyspark.sql import functions as F

    runs = context.tables.read(name).where((F.col("pipeline") == pipeline) & F.col("target").isin(targets))
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


def versions_at(context: Context, pipeline: str, names: Sequence[TableName]) -> dict[TableName, int]:
    """The tables' versions as runs up to as-of left them, so that a later look at the same as-of reads the same rows.

    Where no such run is on record (the table was filled in one go beyond as-of), its newest version. The tables are
    of one schema.
    """
    from pyspark.sql import functions as F

    found: dict[str, int] = {}
    place = TableName(names[0].catalog, names[0].schema, RUNS.name)
    if context.tables.exists(place):
        runs = context.tables.read(place).where(
            (F.col("pipeline") == pipeline)
            & F.col("target").isin([name.table for name in names])
            & (F.col("as_of") <= F.lit(context.as_of))
        )
        # Not grouped by the engine: whole rows of so small a table are here sooner.
        for run in runs.select("target", "version").where(F.col("version").isNotNull()).collect():
            found[run.target] = max(run.version, found.get(run.target, 0))
    return {n: found[n.table] if n.table in found else context.tables.version(n) for n in names}
