"""Raw files of a source on Databricks: Auto Loader takes each of them once into the table `<source>_landed`.

The volume `landing` of the environment's schema has a folder for each source; how far the loader has come stands in the
volume `gatehouse`, under the table's identity: one that is made anew gets everything that has landed. The declared
columns decide: what else is in a row is kept as JSON, so that a column which is declared later has its values of
earlier files, too; what does not fit is refused with its file, and nothing is loaded until that is mended.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from gatehouse.errors import TableMismatch
from gatehouse.lakehouse.failures import first_line
from gatehouse.lakehouse.landing import misfit
from gatehouse.lakehouse.table_types import TableName
from gatehouse.lakehouse.unity_ddl import quoted, quoted_column
from gatehouse.lakehouse.unity_failures import asking, says
from gatehouse.lakehouse.unity_tables import UnityTables

if TYPE_CHECKING:
    from pyspark.sql import Column as SparkColumn
    from pyspark.sql import DataFrame, SparkSession

    from gatehouse.project import Column, Files

# What is raised, and not the plan that could raise it: the engine's message has both.
_MISFIT = re.compile(r"USER_RAISED_EXCEPTION\] gatehouse-misfit <(?P<column>[^>]*)> <(?P<file>[^>]*)>")


class AutoLoader:
    """See project.Landing. `source` is the source table, whose schema the session may write.

    `folder` and `checkpoints` are paths in volumes, `has_files` says whether the first of them has any. `files_at_once`
    is how many files one transaction takes in.
    """

    def __init__(
        self,
        spark: SparkSession,
        source: TableName,
        *,
        folder: str,
        checkpoints: str,
        has_files: Callable[[], bool],
        files_at_once: int = 1000,
    ) -> None:
        self._spark = spark
        self._name = TableName(source.catalog, source.schema, f"{source.table}_landed")
        self.folder = folder
        """See Landing."""
        self._checkpoints = checkpoints
        self._has_files = has_files
        self._files_at_once = files_at_once

    @property
    def empty(self) -> bool:
        """See Landing. What was loaded has landed, even if its file is gone."""
        return not self._has_files() and not UnityTables(self._spark, writable=()).exists(self._name)

    def rows(self, files: Files) -> DataFrame:
        """See Landing. Loads what has landed since the last time, in transactions that a crash leaves whole."""
        self._load(files)
        return _declared(UnityTables(self._spark, writable=()).read(self._name), files)

    def _load(self, files: Files) -> None:
        from pyspark.sql import functions as F

        schema = ", ".join(f"{quoted_column(c.name)} {c.type}" for c in files.columns)
        reader = (
            self._spark.readStream.format("cloudFiles")
            .option("cloudFiles.format", files.format)
            .option("cloudFiles.schemaEvolutionMode", "none")
            .option("cloudFiles.maxFilesPerTrigger", self._files_at_once)
            .option("rescuedDataColumn", "_rescued")
            .option("pathGlobFilter", f"*.{files.format}")
        )
        if files.format == "csv":
            reader = reader.option("header", "true").option("sep", files.separator).option("multiLine", "true")
            reader = reader.option("nullValue", files.missing)
        arrived = reader.schema(schema).load(self.folder)
        path = F.col("_metadata.file_path")
        fits = F.when(_problem(files, path).isNull(), path).otherwise(F.raise_error(_problem(files, path)))
        rows = arrived.select(
            *[F.col(quoted_column(c.name)) for c in files.columns],
            "_rescued",
            fits.alias("_file"),
            F.col("_metadata.file_modification_time").alias("_landed_at"),
        )
        with asking(f"load the files of {self.folder}", catalog=self._name.catalog):
            landed = f"{schema}, _rescued string, _file string, _landed_at timestamp"
            self._spark.sql(f"CREATE TABLE IF NOT EXISTS {quoted(self._name)} ({landed}) USING delta")
            checkpoint = f"{self._checkpoints}/{self._name.table}-{self._identity()}"
            try:
                (
                    rows.writeStream.format("delta")
                    .option("checkpointLocation", checkpoint)
                    .option("mergeSchema", "true")
                    .trigger(availableNow=True)
                    .toTable(quoted(self._name))
                    .awaitTermination()
                )
            except Exception as error:
                if says(error, "DELTA_FAILED_TO_MERGE_FIELDS", "DELTA_MERGE_INCOMPATIBLE_DATATYPE"):
                    raise TableMismatch(
                        f"{self._name} has a column of another type than the files are declared with now: "
                        f"{first_line(error)}",
                        why="What landed before was read as that type. Nothing was loaded.",
                        remedy=f"Restore the type, or DROP TABLE {self._name}: then all files that are still there are "
                        "loaded again.",
                    ) from error
                if (found := _MISFIT.search(_all_that_was_said(error))) is None:
                    raise
                column = next(c for c in files.columns if c.name == found["column"])
                raise misfit(found["file"], column) from error

    def _identity(self) -> str:
        """The table's own, which one that is made anew under its name does not have."""
        return str(self._spark.sql(f"DESCRIBE DETAIL {quoted(self._name)}").collect()[0]["id"])


def _all_that_was_said(error: Exception) -> str:
    """The cause of a failed stream stands in its stack trace alone."""
    trace = error.getStackTrace() if hasattr(error, "getStackTrace") else None
    return f"{error}\n{trace or ''}"


def _problem(files: Files, path: SparkColumn) -> SparkColumn:
    """Text that names the first column whose value was rescued, or is missing where it never may be; else null."""
    from pyspark.sql import functions as F

    rescued = F.json_object_keys("_rescued")
    problems = [
        F.when(
            F.array_contains(rescued, c.name) | F.lit(not c.nullable) & F.col(quoted_column(c.name)).isNull(),
            F.concat(F.lit(f"gatehouse-misfit <{c.name}> <"), path, F.lit(">")),
        )
        for c in files.columns
    ]
    return F.coalesce(*problems)


def _declared(landed: DataFrame, files: Files) -> DataFrame:
    """The landed rows in the declared columns; one that was declared after its file had landed was kept as JSON."""
    from pyspark.sql import functions as F

    def values(column: Column) -> SparkColumn:
        kept = F.get_json_object("_rescued", f"$['{column.name}']").try_cast(column.type)
        found = [F.col(quoted_column(column.name))] if column.name in landed.columns else []
        return F.coalesce(*found, kept).alias(column.name)

    return landed.select(*map(values, files.columns), "_rescued", "_file", "_landed_at")
