"""What every implementation of the tables' port refuses, in the same words. Nothing here reads or writes a table."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatehouse.errors import AccessDenied, DataError, TableMismatch
from gatehouse.lakehouse import frames

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from gatehouse.lakehouse.table_types import TableName
    from gatehouse.project import Table


@dataclass(frozen=True, slots=True)
class StoredColumn:
    """A column as the stored table has it: Spark's name of its type, and whether it takes nulls."""

    type: str
    nullable: bool


def refuse_closed(writable: Collection[tuple[str, str]], catalog: str, schema: str, doing: str) -> None:
    """Raise AccessDenied unless the schema is one that this session may write."""
    if (catalog, schema) not in writable:
        own = ", ".join(sorted(f"{c}.{s}" for c, s in writable)) or "nothing"
        raise AccessDenied(
            f"Cannot {doing}: this session may not write to {catalog}.{schema}.",
            why="An environment is written by its own pipelines alone.",
            remedy=f"This session writes {own}. If you mean {catalog}, choose its environment with --env.",
        )


def refuse_mismatch(
    name: TableName, stored: Mapping[str, StoredColumn], key: Sequence[str], declaration: Table
) -> None:
    """Raise TableMismatch for everything about a stored table that adding columns cannot mend.

    `key` is the primary key it was declared with, empty if nobody declared it.
    """
    problems = []
    for column in declaration.columns:
        if column.name not in stored:
            if column.name in declaration.primary_key:
                problems.append(f"the primary key column {column.name} is not stored")
        elif (found := stored[column.name].type) != column.type:
            problems.append(f"{column.name} is declared {column.type} and stored as {found}")
    problems += [
        f"{column} is stored as never null and not declared, so no row could be added"
        for column, found in stored.items()
        if not found.nullable and column not in declaration.names
    ]
    if key and set(key) != set(declaration.primary_key):
        problems.append(f"it holds one row per ({', '.join(key)}), declared is ({', '.join(declaration.primary_key)})")
    if problems:
        raise TableMismatch(
            f"{name} was written by another version of the project: {'; '.join(problems)}.",
            why="Reading or extending it could misread rows that are already there. Nothing was changed.",
            remedy="Restore the earlier declaration, give the table a new name, or `gatehouse reset` the environment.",
        )


def refuse_ambiguous(name: TableName, rows: DataFrame, keys: Sequence[str]) -> None:
    """Raise DataError if two of the rows share a key, or a part of one is null."""
    found = frames.duplicated(rows, keys).limit(1).collect()
    if found:
        row = found[0].asDict()
        number = row.pop("rows")
        key = ", ".join(f"{k}={row[k]}" for k in keys)
        raise DataError(
            f"The rows for {name} do not have one row per key: {number} with {key}.",
            why="Which of them should stay would be chance, and a null key matches nothing. Nothing was written.",
            remedy=f"Make the rows unique by {', '.join(keys)} before merging.",
        )
