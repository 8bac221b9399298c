"""Raw files of a source on a laptop: all of a folder, read as they lie there each time they are asked for."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatehouse.errors import Refused, SchemaBreak
from gatehouse.project.rows import typed_column

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

    from gatehouse.project import Column, Files


class FolderLanding:
    """See project.Landing. Files in folders below count, too; a folder that is not there has none."""

    def __init__(self, spark: SparkSession, folder: Path) -> None:
        self._spark = spark
        self._folder = folder

    @property
    def folder(self) -> str:
        """See Landing."""
        return str(self._folder)

    @property
    def empty(self) -> bool:
        """See Landing."""
        return not any(self._folder.glob("*"))

    def rows(self, files: Files) -> DataFrame:
        """See Landing."""
        import pyarrow as pa

        found = [_read(file, files) for file in sorted(self._folder.rglob(f"*.{files.format}"))]
        schema = ", ".join(
            [*(f"`{c.name}` {c.type}" for c in files.columns), "_rescued string, _file string, _landed_at timestamp"]
        )
        rows = pa.concat_tables(found) if found else []
        return self._spark.createDataFrame(rows, schema)


def refuse_changed(file: Path, landed: bytes) -> None:
    """Refused unless the file is what has landed under its name."""
    if file.read_bytes() != landed:
        raise Refused(
            f"Another file has landed as {file.name} already.",
            why="It was read, and is not read again: rows of this one would be missing without a trace.",
            remedy=f"Give it a name of its own, such as {file.stem}-2{file.suffix}.",
        )


def misfit(file: str, column: Column) -> SchemaBreak:
    """A file's values are not what the project declared: the same on a laptop and on Databricks."""
    kind = column.type if column.nullable else f"{column.type}, never null"
    return SchemaBreak(
        f"Column {column.name} of {file} is declared {kind}, and there is something else in it, or nothing.",
        why="Reading on would fill the table with nulls, and every feature behind it. Nothing was loaded.",
        remedy="Put a file that is right in its place, or change the declaration of the files, and run ingest again.",
    )


def _read(path: Path, files: Files) -> pa.Table:
    import pyarrow as pa

    raw = _raw(path, files)
    columns: dict[str, Any] = {}
    for column in files.columns:
        values = raw[column.name] if column.name in raw.column_names else pa.nulls(raw.num_rows)
        try:
            columns[column.name] = typed_column(_moments(values, column), column, str(path))
        except (SchemaBreak, ValueError) as error:
            raise misfit(str(path), column) from error
        if columns[column.name].null_count and not column.nullable:
            raise misfit(str(path), column)
    landed_at = datetime.fromtimestamp(path.stat().st_mtime, tz=UTC)
    return pa.table(
        {
            **columns,
            "_rescued": pa.array(_rescued(raw, files), pa.string()),
            "_file": pa.array([str(path)] * raw.num_rows, pa.string()),
            "_landed_at": pa.array([landed_at] * raw.num_rows, pa.timestamp("us", tz="UTC")),
        }
    )


def _raw(path: Path, files: Files) -> pa.Table:
    """The file as it is; of CSV all is text."""
    import pandas as pd
    import pyarrow as pa
    from pyarrow import parquet

    try:
        if files.format == "parquet":
            return parquet.read_table(path)  # type: ignore[no-untyped-call]
        text = pd.read_csv(
            path, sep=files.separator, dtype=str, keep_default_na=False, na_values=["", files.missing], index_col=False
        )
    except (pa.ArrowInvalid, ValueError) as error:  # pandas' errors are of the second kind
        raise SchemaBreak(
            f"{path} cannot be read as {files.format}: {' '.join(str(error).split())}",
            why="Leaving the file out would lose its rows without a word. Nothing was loaded.",
            remedy="Put a file that is right in its place, or take it away, and run ingest again.",
        ) from error
    return pa.table({str(name): pa.array(text[name], pa.string()) for name in text.columns})


def _moments(values: Any, column: Column) -> Any:
    """Text as moments in UTC, with or without a zone; everything else as it is."""
    import pandas as pd
    import pyarrow as pa

    if column.type != "timestamp" or not pa.types.is_string(values.type):
        return values
    return pd.to_datetime(values.to_pandas(), utc=True, format="ISO8601")


def _rescued(raw: pa.Table, files: Files) -> list[str | None]:
    declared = {c.name for c in files.columns}
    others = raw.select([name for name in raw.column_names if name not in declared])
    if others.num_columns == 0:
        return [None] * raw.num_rows
    rows = ({k: v for k, v in row.items() if v is not None} for row in others.to_pylist())
    return [json.dumps(row, default=str) if row else None for row in rows]
