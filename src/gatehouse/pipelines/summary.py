"""What a table holds, column by column, in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatehouse.errors import TableNotFound
from gatehouse.pipelines.context import Context

if TYPE_CHECKING:
    from pyspark.sql import Column

_NUMERIC = ("int", "bigint", "double")


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnSummary:
    """One column. `missing` is a share; `lowest` and `highest` are as text, `mean` is of numbers only."""

    name: str
    type: str
    unit: str | None
    description: str
    missing: float
    lowest: str | None
    mean: float | None
    highest: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class TableSummary:
    """One table at its newest version."""

    name: str
    description: str
    version: int
    rows: int
    columns: tuple[ColumnSummary, ...]


def summarise(context: Context, table: str) -> TableSummary:
    """Summarise a table the environment owns or reads; TableNotFound lists those there are."""
    from pyspark.sql import functions as F

    place = next((p for p in (context.own(table), context.source(table)) if context.tables.exists(p)), None)
    if place is None:
        own = context.tables.names(context.environment.catalog, context.environment.db_schema)
        raise TableNotFound(
            f"{context.own(table)} does not exist.",
            why="There is nothing to summarise.",
            remedy=f"Choose from: {', '.join(n.table for n in own) or 'nothing yet: run gatehouse demo'}.",
        )
    version = context.tables.version(place)
    said = context.tables.declaration(place)
    frame = context.tables.read(place, version=version)
    figures: list[Column] = [F.count(F.lit(1)).alias("rows")]
    for index, column in enumerate(said.columns):
        figures += _figures(index, column.name, column.type)
    row = frame.agg(*figures).toPandas().iloc[0].to_dict()
    rows = int(row["rows"])
    return TableSummary(
        name=str(place),
        description=said.description,
        version=version,
        rows=rows,
        columns=tuple(
            ColumnSummary(
                name=c.name,
                type=c.type,
                unit=c.unit or None,
                description=c.description,
                missing=1 - int(row[f"present_{i}"]) / rows if rows else 0.0,
                lowest=_text(row.get(f"lowest_{i}")),
                mean=_number(row.get(f"mean_{i}")),
                highest=_text(row.get(f"highest_{i}")),
            )
            for i, c in enumerate(said.columns)
        ),
    )


def _figures(index: int, name: str, kind: str) -> list[Column]:
    from pyspark.sql import functions as F

    column = F.col(name)
    found = [F.count(column).alias(f"present_{index}")]
    if not kind.startswith("array"):
        found += [
            F.min(column).cast("string").alias(f"lowest_{index}"),
            F.max(column).cast("string").alias(f"highest_{index}"),
        ]
    if kind in _NUMERIC:
        found.append(F.avg(column).alias(f"mean_{index}"))
    return found


def _text(found: object) -> str | None:
    return None if found is None else str(found)


def _number(found: object) -> float | None:
    import pandas as pd

    return None if found is None or pd.isna(found) else float(found)  # type: ignore[call-overload, arg-type]
