"""Rows in memory, in the types that a table declares: converted where nothing is lost, refused where something is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatehouse.errors import SchemaBreak

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from gatehouse.project.data import Column, Table


def typed(rows: pa.Table | pd.DataFrame, table: Table) -> pa.Table:
    """The table's columns, in its order and types; NaN and NaT become null, moments without a zone are taken as UTC.

    Raises:
        SchemaBreak: a declared column is missing, or holds what its type cannot.
    """
    import pandas as pd
    import pyarrow as pa

    arrived = list(rows.columns) if isinstance(rows, pd.DataFrame) else rows.column_names
    if missing := [name for name in table.names if name not in arrived]:
        raise SchemaBreak(
            f"The rows for {table.name} lack {', '.join(missing)}.",
            why="Reading on would fill the table with nulls, and every feature behind it.",
            remedy=f"Rename what arrives ({', '.join(map(str, arrived))}), or change the declaration of {table.name}.",
        )
    return pa.table({c.name: typed_column(rows[c.name], c, table.name) for c in table.columns})


def typed_column(values: Any, column: Column, table: str) -> pa.Array | pa.ChunkedArray:
    """One column of Arrow or pandas in its declared type; SchemaBreak where that would lose something."""
    import pandas as pd
    import pyarrow as pa

    target = _arrow_type(column.type)
    # A moment loses its nanoseconds, which no table here keeps; nothing else may be lost.
    safe = column.type != "timestamp"
    try:
        if isinstance(values, pd.Series):
            return pa.Array.from_pandas(values, type=target, safe=safe)
        return values.cast(target, safe=safe)
    except (pa.ArrowException, TypeError, OverflowError) as error:
        raise SchemaBreak(
            f"Column {column.name} of {table} is declared {column.type}, and its rows do not fit: "
            f"{' '.join(str(error).split())}.",
            why="Values that are cut or turned into null train a model on what nobody measured.",
            remedy="Declare the type that arrives, or convert the rows (pd.to_datetime, pd.to_numeric, astype) first.",
        ) from error


def _arrow_type(name: str) -> pa.DataType:
    import pyarrow as pa

    return {
        "string": pa.string(),
        "boolean": pa.bool_(),
        "int": pa.int32(),
        "bigint": pa.int64(),
        "double": pa.float64(),
        "date": pa.date32(),
        "timestamp": pa.timestamp("us", tz="UTC"),
        "array<double>": pa.list_(pa.float64()),
    }[name]
