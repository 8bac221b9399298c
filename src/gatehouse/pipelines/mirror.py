"""A masked sample of the source tables, in a schema of its own, for those who may not see the tables themselves.

It is an ingestion whose source are the environment's own tables: rows are masked before anything else is done with
them, so that no copy, quarantine or count ever holds a value that is sensitive. The share is that of the environments
which read it, chosen by a hash of the (masked) key: the same rows in every run.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import TYPE_CHECKING

from gatehouse.errors import ConfigurationError
from gatehouse.lakehouse.failures import first_line
from gatehouse.lakehouse.table_types import TableName
from gatehouse.pipelines.context import Context
from gatehouse.pipelines.ingest import Ingested, ingest
from gatehouse.project import Column, Extraction, Source, Table

if TYPE_CHECKING:
    from pyspark.sql import Column as SparkColumn
    from pyspark.sql import DataFrame

    from gatehouse.settings import Environment


def mirror(context: Context) -> tuple[Ingested, ...]:
    """Bring the mirror up to the context's as-of.

    A mirror that was written with other masks is dropped first, for its history still holds what it held.

    Raises:
        ConfigurationError: nobody reads it, or a mask cannot be computed.
    """
    readers = [e for e in context.settings.environments.environments.values() if _reads(e, context.name)]
    if not readers:
        raise ConfigurationError(
            f"No environment reads a mirror of {context.name}.",
            why="It would be a copy for nobody.",
            remedy=f"Set `source: mirror` beside `sources_from: {context.name}` in conf/environments.yml.",
        )
    catalog, schema = context.environment.mirror
    sources = tuple(_masked_source(context, source.table) for source in context.project.sources)
    if any(_written_with_other_masks(context, TableName(catalog, schema, s.table.name), s.table) for s in sources):
        context.progress.note(f"The masks have changed: {catalog}.{schema} is dropped and written anew.")
        context.tables.drop_schema(catalog, schema)
    histories = [reader.history_days for reader in readers]
    environment = context.environment.model_copy(
        update={
            "db_schema": schema,
            "data_fraction": max(reader.data_fraction for reader in readers),
            "history_days": None if None in histories else max(days for days in histories if days is not None),
        }
    )
    project = dataclasses.replace(context.project, sources=sources)
    return ingest(dataclasses.replace(context, environment=environment, project=project))


def _reads(environment: Environment, name: str) -> bool:
    return environment.sources_from == name and environment.source == "mirror"


def _masked_source(context: Context, table: Table) -> Source:
    """The table as the mirror has it: masked, and judged already."""
    name = context.own(table.name)
    moments = {table.known_at, table.late_known_at}
    if shown := [column.name for column in table.columns if column.sensitive and column.name in moments]:
        raise ConfigurationError(
            f"{', '.join(shown)} of table {table.name} is sensitive, and says when a row became known.",
            why="With a masked moment nobody could tell what was known when.",
            remedy="Declare the moment in a column that may be seen.",
        )

    def extract(_: Extraction) -> DataFrame:
        return masked(context.tables.read(name), table)

    declared = tuple(_masked_column(column) if column.sensitive else column for column in table.columns)
    return Source(table=dataclasses.replace(table, columns=declared, expectations=()), extract=extract)


def masked(rows: DataFrame, table: Table) -> DataFrame:
    """The table's columns, with the mask in the place of each sensitive one."""
    from pyspark.errors import PySparkException
    from pyspark.sql import functions as F

    columns = [_expression(c) if c.sensitive else F.col(c.name) for c in table.columns]
    found = rows.select(*columns)
    try:
        _ = found.schema
    except PySparkException as error:
        raise ConfigurationError(
            f"A mask of table {table.name} cannot be computed: {first_line(error)}",
            why="It is Spark SQL over the columns of the row.",
            remedy=f"Correct it. There are: {', '.join(table.names)}.",
        ) from error
    return found


def _expression(column: Column) -> SparkColumn:
    from pyspark.sql import functions as F

    mask = F.lit(None) if column.mask is None else F.expr(column.mask)
    return mask.cast(column.type).alias(column.name)


def _masked_column(column: Column) -> Column:
    """Its description says by which mask, so that a change is seen."""
    digest = hashlib.sha256((column.mask or "NULL").encode()).hexdigest()[:8]
    return dataclasses.replace(column, description=f"{column.description} (masked, {digest})")


def _written_with_other_masks(context: Context, name: TableName, table: Table) -> bool:
    if not context.tables.exists(name):
        return False
    stored = {column.name: column.description for column in context.tables.declaration(name).columns}
    return any(stored.get(c.name) not in (None, c.description) for c in table.columns if c.sensitive)
