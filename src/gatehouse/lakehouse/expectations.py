"""Expectations: boolean SQL expressions that good rows satisfy, all evaluated in one pass over the rows.

A count is recorded for each, even where it is zero, so that "no violations" differs from "not looked at".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, TypeVar

from pyspark.errors import PySparkException
from pyspark.sql import functions as F

from gatehouse.errors import ConfigurationError, DataError, ExpectationFailed
from gatehouse.lakehouse.failures import first_line
from gatehouse.project import Action, Expectation

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

VIOLATED = "violated"
DUPLICATE_KEY = "duplicate_key"
NULL_KEY = "null_key"

_EXAMPLES = 3
_Result = TypeVar("_Result")


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpectationCount:
    """How many rows of a table one expectation looked at, and how many violated it."""

    table: str
    name: str
    action: Action
    rows_checked: int
    violations: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """The outcome: `good` rows as they came; `quarantined` rows with `violated`, an array of the names they violate."""

    counts: tuple[ExpectationCount, ...]
    good: DataFrame
    quarantined: DataFrame


def check(
    frame: DataFrame, expectations: Sequence[Expectation], *, table: str = "", key: Sequence[str] = ()
) -> Checked:
    """Count violations and part the rows. A condition that is null counts as satisfied.

    Args:
        table: Name for messages and counts.
        key: Columns that tell the rows apart, if that is to be checked, in the same pass.

    Raises:
        ConfigurationError: a condition does not parse or names an unknown column.
        ExpectationFailed: rows violate an expectation whose action is `fail`.
        DataError: two rows share a key, or one has none.
    """
    _refuse_wrong_types(frame, expectations, table)
    counts = _count(frame, expectations, table, key)
    _refuse_failures(frame, expectations, counts)
    quarantining = [e for e in expectations if e.action is Action.QUARANTINE]
    if not quarantining:
        nothing = F.array().cast("array<string>")
        return Checked(counts=counts, good=frame, quarantined=frame.where(F.lit(False)).withColumn(VIOLATED, nothing))
    violated = F.filter(
        F.array(*[F.when(_violation(e), F.lit(e.name)) for e in quarantining]), lambda name: name.isNotNull()
    )
    bad = reduce(lambda a, b: a | b, [_violation(e) for e in quarantining])
    return Checked(counts=counts, good=frame.where(~bad), quarantined=frame.where(bad).withColumn(VIOLATED, violated))


def duplicate_keys(frame: DataFrame, keys: Sequence[str]) -> DataFrame:
    """One row per key that several rows share or that is partly null: the keys, and `rows` bigint."""
    from gatehouse.lakehouse.frames import duplicated

    return duplicated(frame, keys)


def single_rows(frame: DataFrame, keys: Sequence[str]) -> tuple[DataFrame, DataFrame]:
    """Rows that stand alone for their key, and those that cannot be told apart by it.

    Copies of one whole row count as that row. Rows that share a key and contradict each other, and rows whose key is
    partly null, all go to the second frame, with column `violated` (string): DUPLICATE_KEY or NULL_KEY.
    """
    label = F.when(_partly_null(keys), F.lit(NULL_KEY)).otherwise(F.lit(DUPLICATE_KEY))
    suspects = duplicate_keys(frame, keys)
    if suspects.limit(1).count() == 0:
        return frame, frame.where(F.lit(False)).withColumn(VIOLATED, label)
    distinct = frame.dropDuplicates()
    contradicting = duplicate_keys(distinct, keys)
    same_key = _same_key(distinct, contradicting, keys)
    return (
        distinct.join(contradicting, same_key, "left_anti"),
        distinct.join(contradicting, same_key, "left_semi").withColumn(VIOLATED, label),
    )


def _evaluated(
    run: Callable[[Sequence[Expectation]], _Result], expectations: Sequence[Expectation], table: str
) -> _Result:
    """Evaluate all expectations at once; if the engine refuses, find the one it refuses."""
    try:
        return run(expectations)
    except PySparkException:
        run([])  # if this fails too, it is the rows that cannot be computed, not an expectation
        for expectation in expectations:
            try:
                run([expectation])
            except PySparkException as error:
                raise _wrong(expectation, table, first_line(error)) from error
        raise


def _refuse_wrong_types(frame: DataFrame, expectations: Sequence[Expectation], table: str) -> None:
    def types(some: Sequence[Expectation]) -> list[str]:
        conditions = [F.expr(e.condition).alias(f"_{i}") for i, e in enumerate(some)]
        return [field.dataType.simpleString() for field in frame.select(*conditions).schema]

    for expectation, type_ in zip(expectations, _evaluated(types, expectations, table), strict=True):
        if type_ != "boolean":
            raise _wrong(expectation, table, f"it is of type {type_}, not boolean")


def _violation(expectation: Expectation) -> Column:
    return ~F.coalesce(F.expr(expectation.condition), F.lit(True))


def _wrong(expectation: Expectation, table: str, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"Expectation {expectation.name} of table {table or '?'} cannot be evaluated: "
        f"{expectation.condition!r}: {reason}",
        why="An expectation that is not evaluated looks like one that holds. Nothing was written.",
        remedy="Correct the condition: a boolean Spark SQL expression over the table's columns.",
    )


def _count(
    frame: DataFrame, expectations: Sequence[Expectation], table: str, key: Sequence[str]
) -> tuple[ExpectationCount, ...]:
    def count(some: Sequence[Expectation]) -> list[int]:
        sums = [F.sum(F.when(_violation(e), 1).otherwise(0)) for e in some]
        filled = [F.coalesce(s, F.lit(0)).alias(f"_{i}") for i, s in enumerate(sums)]
        rows = F.count(F.lit(1))
        keys = F.count_distinct(*(F.col(c) for c in key)) if key else rows
        return list(frame.agg(rows.alias("_rows"), keys.alias("_keys"), *filled).collect()[0])

    if not expectations and not key:
        return ()
    rows, keys, *violations = _evaluated(count, expectations, table)
    if rows != keys:
        raise DataError(
            f"{rows} rows for {table or 'a table'} have {keys} keys ({', '.join(key)}).",
            why="Where two rows share a key, or one has none, whoever looks it up gets either. Nothing was written.",
            remedy="Compute one row for each key, or declare a key that tells them apart.",
        )
    return tuple(
        ExpectationCount(table=table, name=e.name, action=e.action, rows_checked=rows, violations=number)
        for e, number in zip(expectations, violations, strict=True)
    )


def _refuse_failures(frame: DataFrame, expectations: Sequence[Expectation], counts: Sequence[ExpectationCount]) -> None:
    failed = {c.name: c for c in counts if c.action is Action.FAIL and c.violations}
    if not failed:
        return
    found = []
    for expectation in (e for e in expectations if e.name in failed):
        count = failed[expectation.name]
        shown = frame.where(_violation(expectation)).limit(_EXAMPLES)
        examples = "; ".join(", ".join(f"{k}={v}" for k, v in row.asDict().items()) for row in shown.collect())
        found.append(
            f"{expectation.name} ({expectation.condition}): {count.violations} of {count.rows_checked} rows, "
            f"such as {examples}"
        )
    raise ExpectationFailed(
        f"Rows of {counts[0].table or 'a table'} violate {'; and '.join(found)}.",
        why=" ".join(e.reason for e in expectations if e.name in failed) + " Nothing was written.",
        remedy="Correct the rows at their source, or change the expectation's action.",
    )


def _partly_null(keys: Sequence[str]) -> Column:
    return reduce(lambda a, b: a | b, (F.col(k).isNull() for k in keys))


def _same_key(left: DataFrame, right: DataFrame, keys: Sequence[str]) -> Column:
    return reduce(lambda a, b: a & b, (left[k].eqNullSafe(right[k]) for k in keys))
