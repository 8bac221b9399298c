"""What the checks of arriving rows found, kept: bad rows where people can look at them, counts of every expectation.

Each row is judged once, in the run in which it arrives or changes; a source that delivers it again, as sources do that
are asked for the last days too, adds nothing to either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

from gatehouse.lakehouse.expectations import VIOLATED, Checked, ExpectationCount, check
from gatehouse.pipelines.context import Context
from gatehouse.pipelines.tables import EXPECTATIONS, quarantine_table
from gatehouse.project import Action, Expectation, Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from gatehouse.lakehouse.tables import Between

NO_MOMENT = "no_moment"
"""Why a row is set aside of which nobody can say when it was known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """Arriving rows after the checks. `aside` has the quarantine's columns, and rows that are not there yet."""

    counts: tuple[ExpectationCount, ...]
    good: DataFrame
    aside: DataFrame


def expectations_of(table: Table) -> tuple[Expectation, ...]:
    """The declared expectations, and one for each column that is never null and not part of the key."""
    given = tuple(
        Expectation(
            name=f"{column.name}_is_given",
            condition=f"`{column.name}` IS NOT NULL",
            action=Action.QUARANTINE,
            reason="The column is declared as never null.",
        )
        for column in table.columns
        if not column.nullable and column.name not in (*table.primary_key, table.known_at)
    )
    return (*table.expectations, *given)


def judge(context: Context, table: Table, rows: DataFrame, unusable: DataFrame) -> Judged:
    """Check rows that are new or changed.

    Args:
        context: Where the quarantine is.
        table: The table they are meant for.
        rows: Its columns, and any others, which good rows keep.
        unusable: Its columns and `violated` string: rows that cannot even be told apart.
    """
    expectations = expectations_of(table)
    checked = check(rows, expectations, table=table.name)
    bad = _bad(table, checked)
    counts = checked.counts
    if any(c.violations for c in counts if c.action is Action.QUARANTINE):
        # Only then is it worth a look whether some of them were counted when they came the first time.
        arriving = _not_in_quarantine(context, table, bad).select(*table.names)
        judged = checked.good.select(*table.names).unionByName(arriving)
        counts = check(judged, expectations, table=table.name).counts
    aside = _not_in_quarantine(context, table, bad.unionByName(unusable))
    return Judged(counts=counts, good=checked.good, aside=aside)


def set_aside(context: Context, table: Table, judged: Judged) -> int:
    """Append the bad rows to the quarantine; returns their number."""
    number = judged.aside.count()
    if number:
        context.tables.append(context.own(quarantine_table(table).name), judged.aside)
    return number


def set_computed_aside(context: Context, table: Table, checked: Checked, where: Between) -> int:
    """Put the bad rows of a stretch that was computed anew in the place of its earlier ones; returns their number."""
    from pyspark.sql import functions as F

    declared = quarantine_table(table)
    name = context.own(declared.name)
    found = any(c.violations for c in checked.counts if c.action is Action.QUARANTINE)
    if not found and not context.tables.exists(name):
        return 0
    context.tables.create(name, declared)
    bad = _bad(table, checked).withColumn("quarantined_at", F.lit(context.as_of)).select(*declared.names)
    context.tables.replace(name, bad, where=where)
    return bad.count() if found else 0


def _bad(table: Table, checked: Checked) -> DataFrame:
    from pyspark.sql import functions as F

    return checked.quarantined.select(*table.names, F.concat_ws(",", VIOLATED).alias(VIOLATED))


def record_counts(context: Context, counts: Sequence[ExpectationCount], *, again: bool = False) -> None:
    """Keep what the expectations found, also where it is zero.

    A run that was killed has counted already and finds less to look at: the larger numbers stay. A run that was
    completed and is repeated (`again`) has looked at other rows: the numbers are added.
    """
    if not counts:
        return
    name = context.own(EXPECTATIONS.name)
    context.tables.create(name, EXPECTATIONS)
    before = _counted(context, counts[0].table)
    rows: list[tuple[object, ...]] = []
    for count in counts:
        known = before.get(count.name, (0, 0))
        found = (count.rows_checked, count.violations)
        total = tuple(map(sum, zip(known, found, strict=True))) if again else max(known, found)
        if count.name not in before or total != known:
            rows.append((count.table, count.name, context.as_of, count.action.value, *total))
    if rows and not before:
        context.tables.append(name, context.frame(rows, EXPECTATIONS.name))
    elif rows:
        context.tables.merge(name, context.frame(rows, EXPECTATIONS.name), keys=EXPECTATIONS.primary_key)


def without_moment(rows: DataFrame, table: Table) -> DataFrame:
    """Rows that do not say when they were known, with `violated` string."""
    from pyspark.sql import functions as F

    return rows.where(F.col(table.known_at).isNull()).withColumn(VIOLATED, F.lit(NO_MOMENT))


def _not_in_quarantine(context: Context, table: Table, rows: DataFrame) -> DataFrame:
    """A row whose outcome arrives while it lies in the quarantine is no new row, so late columns do not count."""
    from pyspark.sql import functions as F

    declared = quarantine_table(table)
    name = context.own(declared.name)
    context.tables.create(name, declared)
    same = [c for c in declared.names if c not in (*table.late, table.late_known_at, "quarantined_at")]
    known = context.tables.read(name).select(*(F.col(c).alias(f"_known_{c}") for c in same))
    matches = reduce(lambda a, b: a & b, (F.col(c).eqNullSafe(F.col(f"_known_{c}")) for c in same))
    fresh = rows.join(known, matches, "left_anti")
    return fresh.withColumn("quarantined_at", F.lit(context.as_of)).select(*declared.names)


def _counted(context: Context, table: str) -> Mapping[str, tuple[int, int]]:
    from pyspark.sql import functions as F

    rows = context.tables.read(context.own(EXPECTATIONS.name)).where(
        (F.col("table_name") == table) & (F.col("as_of") == F.lit(context.as_of))
    )
    return {r.expectation: (r.rows_checked, r.violations) for r in rows.collect()}
