"""Which incoming rows are new, which differ from what is stored, and since when that matters. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from typing import TYPE_CHECKING

from gatehouse.pipelines.moments import utc

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from gatehouse.lakehouse.table_types import Commit
    from gatehouse.project import Table

KNOWN = "_known"
CHANGED_FROM = "_changed_from"
COMMITTED_FROM = "changed_from"
BEGINNING = datetime(1900, 1, 1, tzinfo=UTC)
"""Earlier than any data: what changed from here on is everything."""

_NO_ROWS_CHANGE = {
    "CREATE TABLE",
    "ADD COLUMN",
    "ADD COLUMNS",
    "SET TBLPROPERTIES",
    "OPTIMIZE",
    "VACUUM START",
    "VACUUM END",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Changes:
    """`changed_from` is the earliest moment whose knowledge differs afterwards; None if nothing does."""

    inserted: int
    updated: int
    changed_from: datetime | None

    def as_metadata(self) -> dict[str, str]:
        """What the commit that makes these changes says about itself."""
        return {COMMITTED_FROM: self.changed_from.isoformat() if self.changed_from else ""}


def changed_in(commit: Commit) -> datetime | None:
    """Since when a commit changed what is known, None for never; the beginning of time if it does not say."""
    if commit.operation in _NO_ROWS_CHANGE or commit.operation.endswith("METADATA"):
        return None
    said = commit.metadata.get(COMMITTED_FROM)
    if said is None:
        return BEGINNING
    return datetime.fromisoformat(said) if said else None


def fresh_rows(incoming: DataFrame, stored: DataFrame, table: Table) -> DataFrame:
    """Incoming rows that are not stored in this form.

    Returns:
        The table's columns and two more: `_known` boolean, whether the key is stored; `_changed_from` timestamp, the
        moment from which readers would see a difference. A late column that is filled in matters from the moment
        it became known; any other difference from the moment the row did.
    """
    from pyspark.sql import functions as F

    old = {name: f"_old_{name}" for name in table.names}
    before = stored.select(*(F.col(name).alias(o) for name, o in old.items()), F.lit(True).alias(KNOWN))
    same_key = _all(F.col(name).eqNullSafe(F.col(old[name])) for name in table.primary_key)
    late = {*table.late, table.late_known_at}
    same_early = _all(F.col(n).eqNullSafe(F.col(old[n])) for n in table.names if n not in late)
    same_late = _all(F.col(n).eqNullSafe(F.col(old[n])) for n in table.names if n in late)
    row_moment = F.least(F.col(table.known_at), F.col(old[table.known_at]))
    late_moment = (
        F.least(F.col(table.late_known_at), F.col(old[table.late_known_at])) if table.late_known_at else row_moment
    )
    new = F.col(KNOWN).isNull()
    return (
        incoming.join(before, same_key, "left")
        .where(new | ~same_early | ~same_late)
        .select(
            *table.names,
            F.coalesce(F.col(KNOWN), F.lit(False)).alias(KNOWN),
            F.when(new | ~same_early, row_moment).otherwise(late_moment).alias(CHANGED_FROM),
        )
    )


def summarise(fresh: DataFrame) -> Changes:
    """Count what `fresh_rows` found, in one pass."""
    from pyspark.sql import functions as F

    row = (
        fresh.agg(
            F.count(F.lit(1)).alias("rows"),
            F.coalesce(F.sum(F.col(KNOWN).cast("bigint")), F.lit(0)).alias("updated"),
            F.min(CHANGED_FROM).alias("changed_from"),
        )
        .toPandas()
        .iloc[0]
    )
    updated = int(row["updated"])
    return Changes(inserted=int(row["rows"]) - updated, updated=updated, changed_from=utc(row["changed_from"]))


def first_load(stored: DataFrame, table: Table) -> Changes:
    """The changes of a table that was empty before: all its rows are new."""
    from pyspark.sql import functions as F

    row = stored.agg(F.count(F.lit(1)).alias("rows"), F.min(table.known_at).alias("first")).toPandas().iloc[0]
    return Changes(inserted=int(row["rows"]), updated=0, changed_from=utc(row["first"]))


def _all(conditions: Iterable[Column]) -> Column:
    from pyspark.sql import functions as F

    return reduce(lambda a, b: a & b, conditions, F.lit(True))
