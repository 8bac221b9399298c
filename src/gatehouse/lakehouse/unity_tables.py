"""The tables' port on Unity Catalog: Delta tables by name, through SQL and DataFrames that serverless compute takes.

What `tables.DeltaTables` gets from a lock on this machine, Delta's own transactions give here: a write that follows
from what a table holds reads it in the same transaction, so a writer in between makes it fail and be tried again.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from gatehouse.errors import DataError
from gatehouse.lakehouse import frames, unity_ddl
from gatehouse.lakehouse.failures import first_line, retry_conflicts
from gatehouse.lakehouse.table_rules import refuse_ambiguous, refuse_closed, refuse_mismatch
from gatehouse.lakehouse.table_types import NAME, Between, Commit, Description, Equals, TableName
from gatehouse.lakehouse.unity_ddl import Stored, quoted, quoted_column
from gatehouse.lakehouse.unity_failures import asking, is_missing, no_such_table, no_such_version, says

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

    from gatehouse.project import Table

Metadata = Mapping[str, str]

_STAGING = "_gatehouse_staging_"
_START = datetime(1970, 1, 1, tzinfo=UTC)


class UnityTables:
    """See table_port.Tables. `writable` are pairs of catalog and schema; the schemas themselves are made by others.

    Where the account has no right, Unity Catalog says so and AccessDenied is raised, as it is outside `writable`. A
    view in a schema counts as a table: it can be read. The primary key in Unity Catalog tells others what the port
    keeps to; nothing enforces it there.
    """

    def __init__(self, spark: SparkSession, *, writable: Collection[tuple[str, str]]) -> None:
        self._spark = spark
        self._writable = frozenset(writable)

    def exists(self, name: TableName) -> bool:
        """Whether the table was ever created, and this account may see it."""
        with asking(f"look for {name}", catalog=name.catalog):
            return bool(self._spark.catalog.tableExists(quoted(name)))

    def names(self, catalog: str, schema: str) -> tuple[TableName, ...]:
        """The tables of a schema, by name; none if the schema does not exist."""
        found = self._listed(catalog, schema)
        return tuple(TableName(catalog, schema, t) for t in found if not t.startswith(_STAGING))

    def schemas(self, catalog: str) -> tuple[str, ...]:
        """The schemas of a catalog that have a table."""
        with asking(f"list the schemas of {catalog}", catalog=catalog):
            rows = self._spark.sql(f"SHOW SCHEMAS IN `{_plain(catalog)}`").collect()
        found = sorted(row[0] for row in rows if NAME.fullmatch(row[0]))
        return tuple(s for s in found if s != "information_schema" and self.names(catalog, s))

    def create(self, name: TableName, table: Table) -> None:
        """Make the table, or bring a stored one up to its declaration; nothing happens if it is there already.

        Columns that the stored table lacks are added, null in old rows. Stored columns that are no longer declared
        stay and are null in new rows. Raises TableMismatch if the two do not fit, and then changes nothing.
        """
        with self._writing(name.catalog, name.schema, f"create {name}"):
            if not self.exists(name):
                self._spark.sql(unity_ddl.create(name, table))
                return
            stored = self._stored(name)
            refuse_mismatch(name, stored.columns, stored.primary_key, table)
            for statement in unity_ddl.evolve(name, stored, table):
                self._spark.sql(statement)

    def append_only(self, name: TableName) -> None:
        """From now on rows can be added and neither changed nor removed, by anybody who does not lift this first."""
        with self._writing(name.catalog, name.schema, f"protect {name}"):
            if self._stored(name).properties.get("delta.appendOnly") != "true":
                self._spark.sql(unity_ddl.set_properties(name, {"delta.appendOnly": "true"}))

    def read(self, name: TableName, *, version: int | None = None) -> DataFrame:
        """The rows of one version, by default what is the last one now. StateError if there is no such version."""
        with asking(f"read {name}", catalog=name.catalog):
            pinned = self.version(name) if version is None else version
            frame = self._spark.read.option("versionAsOf", pinned).table(quoted(name))
            try:
                _ = frame.schema  # otherwise what is missing is missed at the first use
            except Exception as error:
                if is_missing(error):
                    raise no_such_table(name) from error
                if says(error, "DELTA_VERSION_NOT_FOUND"):
                    raise no_such_version(name, pinned, self.version(name)) from error
                raise
            return frame

    def version(self, name: TableName) -> int:
        """Number of the last version; 0 is the empty table."""
        return int(self._history(name, "LIMIT 1").collect()[0]["version"])

    def history(self, name: TableName) -> tuple[Commit, ...]:
        """The table's commits, newest first."""
        from pyspark.sql import functions as F

        moment = F.unix_micros("timestamp").alias("micros")
        rows = self._history(name).select("version", moment, "operation", "userMetadata").collect()
        found = (
            Commit(
                version=int(row["version"]),
                at=_START + timedelta(microseconds=row["micros"]),
                operation=str(row["operation"]),
                metadata=_metadata(row["userMetadata"]),
            )
            for row in rows
        )
        return tuple(sorted(found, key=lambda commit: -commit.version))

    def declaration(self, name: TableName) -> Description:
        """What the stored table says about itself."""
        return self._stored(name).describe()

    def append(self, name: TableName, frame: DataFrame, *, metadata: Metadata | None = None) -> int:
        """Add rows; returns the version, unchanged if there were none. Run twice, it adds them twice."""
        with self._writing(name.catalog, name.schema, f"append to {name}"):
            rows = self._fitted(name, frame)
            retry_conflicts(lambda: self._append(name, rows, metadata))
            return self.version(name)

    def insert(self, name: TableName, frame: DataFrame, *, keys: Sequence[str]) -> bool:
        """Add rows, unless one of their keys is there already: then nothing is added, and False is returned."""
        from pyspark.sql import functions as F

        with self._writing(name.catalog, name.schema, f"insert into {name}"):
            rows = self._fitted(name, frame)
            taken = self._spark.table(quoted(name)).join(rows.select(*keys), list(keys), "left_semi")
            free = taken.agg((F.count(F.lit(1)) == 0).alias("_gatehouse_free"))
            wanted = rows.crossJoin(free).where("_gatehouse_free").drop("_gatehouse_free")
            return retry_conflicts(lambda: self._sql_merge(name, wanted, keys)) > 0

    def merge(self, name: TableName, frame: DataFrame, *, keys: Sequence[str], metadata: Metadata | None = None) -> int:
        """Insert rows with new keys, overwrite those with known ones; returns the version, unchanged if no row differs.

        Raises:
            DataError: a key is null, or two rows share one.
        """
        with self._writing(name.catalog, name.schema, f"merge into {name}"), self._staged(name, frame) as rows:
            refuse_ambiguous(name, rows, keys)
            retry_conflicts(lambda: self._merge(name, rows, keys, metadata))
            return self.version(name)

    def replace(
        self, name: TableName, frame: DataFrame, *, where: Equals | Between, metadata: Metadata | None = None
    ) -> int:
        """Put these rows in the place of all that satisfy `where`, in one version; returns it.

        Raises:
            DataError: one of the rows does not satisfy `where`, or `where` does not fit the table.
        """
        with self._writing(name.catalog, name.schema, f"replace rows of {name}"):
            stored = self._stored(name)
            frames.check_condition(name, where, stored.schema)
            rows = frames.fit(name, frame, stored.schema, stored.declared)
            try:
                retry_conflicts(lambda: self._overwrite(name, rows, where.condition(), metadata))
            except Exception as error:
                if not says(error, "DELTA_REPLACE_WHERE_MISMATCH"):
                    raise
                raise DataError(
                    f"A row for {name} is outside the rows it would replace ({where}): {first_line(error)}",
                    why="It would be added next to rows that stay, and once more with every run. Nothing was written.",
                    remedy="Cut the rows where they are made, or replace a stretch that covers them.",
                ) from error
            return self.version(name)

    def drop_schema(self, catalog: str, schema: str) -> None:
        """Remove all tables of a schema, one after the other; it stays, with its volumes and models.

        Unity Catalog keeps what was dropped for some days (UNDROP).
        """
        with self._writing(catalog, schema, f"drop the tables of {catalog}.{schema}"):
            for table in self._listed(catalog, schema):
                self._spark.sql(f"DROP TABLE IF EXISTS {quoted(TableName(catalog, schema, table))}")

    def expose(self, catalog: str) -> None:
        """Nothing to do: in Unity Catalog every table has its name."""

    def _listed(self, catalog: str, schema: str) -> list[str]:
        with asking(f"list the tables of {catalog}.{schema}", catalog=catalog):
            try:
                rows = self._spark.sql(f"SHOW TABLES IN `{_plain(catalog)}`.`{_plain(schema)}`").collect()
            except Exception as error:
                if not is_missing(error):
                    raise
                return []
        return sorted(row["tableName"] for row in rows if not row["isTemporary"] and NAME.fullmatch(row["tableName"]))

    def _history(self, name: TableName, limit: str = "") -> DataFrame:
        with asking(f"read the history of {name}", name=name):
            return self._spark.sql(f"DESCRIBE HISTORY {quoted(name)} {limit}")

    def _stored(self, name: TableName) -> Stored:
        with asking(f"describe {name}", name=name):
            detail = self._spark.sql(f"DESCRIBE DETAIL {quoted(name)}").collect()[0]
            schema = self._spark.table(quoted(name)).schema
        return Stored(schema=schema, properties=detail["properties"] or {}, comment=detail["description"] or "")

    def _fitted(self, name: TableName, frame: DataFrame) -> DataFrame:
        stored = self._stored(name)
        return frames.fit(name, frame, stored.schema, stored.declared)

    @contextmanager
    def _writing(self, catalog: str, schema: str, doing: str) -> Iterator[None]:
        refuse_closed(self._writable, catalog, schema, doing)
        with asking(f"Cannot {doing}", catalog=catalog):
            yield

    @contextmanager
    def _staged(self, name: TableName, frame: DataFrame) -> Iterator[DataFrame]:
        """The rows, computed once: they are checked and then written, and serverless compute has no cache."""
        place = quoted(TableName(name.catalog, name.schema, _STAGING + uuid.uuid4().hex))
        rows = self._fitted(name, frame)
        try:
            rows.write.format("delta").saveAsTable(place)
            yield self._spark.table(place)
        finally:
            self._spark.sql(f"DROP TABLE IF EXISTS {place}")

    def _append(self, name: TableName, rows: DataFrame, metadata: Metadata | None) -> None:
        writer = rows.writeTo(quoted(name))
        if metadata:
            writer = writer.option("userMetadata", json.dumps(dict(metadata)))
        writer.append()

    def _overwrite(self, name: TableName, rows: DataFrame, condition: Column, metadata: Metadata | None) -> None:
        writer = rows.writeTo(quoted(name))
        if metadata:
            writer = writer.option("userMetadata", json.dumps(dict(metadata)))
        writer.overwrite(condition)

    def _merge(self, name: TableName, rows: DataFrame, keys: Sequence[str], metadata: Metadata | None) -> None:
        """By MERGE, unless the writer has something to say about it.

        MERGE has no place for that but a setting of the session, which serverless compute does not let one change. Then
        the stretch of keys is overwritten, and the table is read by that write itself: unpinned, in one transaction.
        """
        existing, declared = self._spark.table(quoted(name)), self._stored(name).declared
        changes = frames.changed(rows, existing, keys, declared)
        found = frames.summarise(changes, keys)
        if not found.inserted and not found.updated:
            return
        if not metadata:
            self._sql_merge(name, rows, keys, [c for c in declared if c not in keys])
        elif found.updated:
            kept = existing.where(found.covering).join(changes.select(*keys), list(keys), "left_anti")
            content = kept.select(*existing.columns).unionByName(changes.drop(frames.MATCHED))
            self._overwrite(name, content, found.covering, metadata)
        else:
            self._append(name, changes.drop(frames.MATCHED), metadata)

    def _sql_merge(self, name: TableName, rows: DataFrame, keys: Sequence[str], update: Sequence[str] = ()) -> int:
        """Insert rows with new keys, set the columns `update` of known ones that differ; returns how many changed."""
        view = "gatehouse_merge_" + uuid.uuid4().hex
        changed = [quoted_column(c) for c in update]
        same = " AND ".join(f"target.{c} <=> source.{c}" for c in changed)
        values = ", ".join(f"target.{c} = source.{c}" for c in changed)
        columns = [quoted_column(c) for c in rows.columns]
        statement = (
            f"MERGE INTO {quoted(name)} target",
            f"USING {view} source ON {' AND '.join(f'target.{k} = source.{k}' for k in map(quoted_column, keys))}",
            f"WHEN MATCHED AND NOT ({same}) THEN UPDATE SET {values}" if changed else "",
            f"WHEN NOT MATCHED THEN INSERT ({', '.join(columns)})",
            f"VALUES ({', '.join(f'source.{c}' for c in columns)})",
        )
        rows.createOrReplaceTempView(view)
        try:
            return int(self._spark.sql(" ".join(statement)).collect()[0]["num_affected_rows"])
        finally:
            self._spark.catalog.dropTempView(view)


def _plain(part: str) -> str:
    """A catalog's or schema's name, which is a part of SQL; ConfigurationError for anything else."""
    return TableName(part, part, part).catalog


def _metadata(text: str | None) -> dict[str, str]:
    try:
        found = json.loads(text or "{}")
    except ValueError:  # somebody else's, in a form of their own
        found = {"userMetadata": text}
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}
