"""What the table port does to a frame before it is written. Pure: DataFrames in, DataFrames out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from gatehouse.errors import DataError, SchemaBreak
from gatehouse.lakehouse.table_types import Between, Equals, TableName, known, literal

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame
    from pyspark.sql.types import StructType

MATCHED = "_gatehouse_matched"

_PYTHON_TYPES: dict[str, type] = {"string": str, "int": int, "bigint": int, "date": date, "timestamp": datetime}
_LOOKALIKES: dict[type, type] = {int: bool, date: datetime}
"""A bool is an int to Python, and a datetime is a date; not to SQL."""


def fit(name: TableName, frame: DataFrame, stored: StructType, declared: Sequence[str]) -> DataFrame:
    """The frame's columns in table order; stored columns that are no longer declared are null.

    Types must be the stored ones exactly: Sail would cast in silence, and make null of what does not cast.

    Raises:
        SchemaBreak: a column is missing, unknown, or of another type.
    """
    stored_types = {field.name: field.dataType for field in stored}
    arrived = {field.name: field.dataType for field in frame.schema}
    problems = [f"{n}: expected {stored_types[n].simpleString()}, missing" for n in declared if n not in arrived]
    problems += [f"{n}: unknown to the table" for n in arrived if n not in stored_types]
    problems += [f"{n}: there more than once" for n in arrived if frame.columns.count(n) > 1]
    problems += [
        f"{n}: expected {stored_types[n].simpleString()}, got {type_.simpleString()}"
        for n, type_ in arrived.items()
        if n in stored_types and type_ != stored_types[n]
    ]
    if problems:
        raise SchemaBreak(
            f"The rows for {name} do not have its columns ({'; '.join(problems)}).",
            why="An engine may cast in silence, and make null of what does not cast. Nothing was written.",
            remedy="Cast or select the columns where the rows are made, or change the table's declaration.",
        )
    columns = [F.col(n) if n in arrived else F.lit(None).cast(type_).alias(n) for n, type_ in stored_types.items()]
    return frame.select(*columns)


def check_condition(name: TableName, where: Equals | Between, stored: StructType) -> None:
    """Raise DataError unless the condition names a column of the table and compares it with values of its type."""
    types = {field.name: field.dataType.simpleString() for field in stored}
    expected = _PYTHON_TYPES.get(types.get(where.column, ""))
    lookalike = _LOOKALIKES.get(expected, ()) if expected else ()
    if expected is None or any(
        not isinstance(value, expected) or isinstance(value, lookalike) for value in where.values
    ):
        raise DataError(
            f"Rows of {name} cannot be chosen by {where!r}.",
            why=f"The column is {types.get(where.column, 'not in the table')}: comparing it with another type could "
            "choose no row, or every row. Nothing was written.",
            remedy="Compare a column with a value of its own type.",
        )


def duplicated(frame: DataFrame, keys: Sequence[str]) -> DataFrame:
    """One row per key that more than one row has, or that is partly null: the keys, and `rows` bigint."""
    partly_null = reduce(lambda a, b: a | b, (F.col(k).isNull() for k in keys))
    return frame.groupBy(*keys).agg(F.count(F.lit(1)).alias("rows")).where((F.col("rows") > 1) | partly_null)


def changed(source: DataFrame, target: DataFrame, keys: Sequence[str], columns: Sequence[str]) -> DataFrame:
    """Rows of `source` that `target` lacks or holds with other values, with boolean MATCHED for the latter.

    Keys are unique and not null in the source; a key that the target holds twice comes twice, as in SQL's MERGE. Only
    `columns` are compared; others keep the value they have.
    """
    old = target.select(*[F.col(c).alias(f"_old_{c}") for c in target.columns], F.lit(True).alias(MATCHED))
    same_key = _all(F.col(k) == F.col(f"_old_{k}") for k in keys)
    same_values = _all(F.col(c).eqNullSafe(F.col(f"_old_{c}")) for c in columns if c not in keys)
    matched = F.col(MATCHED).isNotNull()
    values = [F.col(c) if c in columns else F.col(f"_old_{c}").alias(c) for c in source.columns]
    differing = source.join(old, same_key, "left").where(~(matched & same_values))
    return differing.select(*values, matched.alias(MATCHED))


@dataclass(frozen=True, kw_only=True, slots=True)
class ChangeSummary:
    """How many rows are new and how many known; `covering` is true for every changed key, and for few others."""

    inserted: int
    updated: int
    covering: Column


def summarise(changes: DataFrame, keys: Sequence[str]) -> ChangeSummary:
    """One pass over what `changed` found."""
    bounds = [k for k in keys if changes.schema[k].dataType.simpleString() in _PYTHON_TYPES]
    row = changes.agg(
        F.count(F.lit(1)).alias("rows"),
        F.count(F.when(F.col(MATCHED), 1)).alias("updated"),
        *[F.min(k).alias(f"_min_{k}") for k in bounds],
        *[F.max(k).alias(f"_max_{k}") for k in bounds],
    ).collect()[0]
    covering = _all(
        known(k) & (F.col(k) >= F.lit(literal(row[f"_min_{k}"]))) & (F.col(k) <= F.lit(literal(row[f"_max_{k}"])))
        for k in bounds
    )
    return ChangeSummary(inserted=row["rows"] - row["updated"], updated=row["updated"], covering=covering)


def _all(conditions: Iterable[Column]) -> Column:
    return reduce(lambda a, b: a & b, conditions, F.lit(True))
