"""The port to Delta tables in folders: what pipelines read and write through, on every engine.

A table `catalog.schema.table` is the folder `tables/catalog/schema/table` of the lakehouse. Every write is one version
or nothing, is checked against the stored schema, and waits for other writers of its schema; readers never wait.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gatehouse.errors import DataError
from gatehouse.lakehouse import delta_log, frames
from gatehouse.lakehouse.failures import retry_conflicts, translated
from gatehouse.lakehouse.locks import writer_lock
from gatehouse.lakehouse.naming import Naming, PathNaming, SailNaming
from gatehouse.lakehouse.session import Engine
from gatehouse.lakehouse.table_rules import refuse_ambiguous, refuse_closed
from gatehouse.lakehouse.table_types import NAME, Between, Commit, Description, Equals, TableName

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession
    from pyspark.sql.types import StructType

    from gatehouse.project import Table

__all__ = ["Between", "Commit", "DeltaTables", "Description", "Equals", "TableName"]

Metadata = Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Stored:
    """The table a write found when its turn came."""

    schema: StructType
    declared: tuple[str, ...]
    version: int


class DeltaTables:
    """The tables of one lakehouse, for a session that may write to some of its schemas.

    Every method that takes a table's name raises TableNotFound if there is none; every write also raises
    AccessDenied outside `writable` (pairs of catalog and schema), Busy if another writer of that schema does not end
    within `lock_timeout` seconds, SchemaBreak if the rows lack a column or bring another type, and StorageError
    if the disk refuses. After any error the table is as it was.
    """

    def __init__(
        self,
        spark: SparkSession,
        engine: Engine,
        root: Path,
        *,
        writable: Collection[tuple[str, str]],
        lock_timeout: float = 60,
    ) -> None:
        self._spark = spark
        self._engine = engine
        self._root = root.resolve()
        self._folder = self._root / "tables"
        self._writable = frozenset(writable)
        self._lock_timeout = lock_timeout
        self._naming: Naming = SailNaming(spark, self._folder) if engine is Engine.SAIL else PathNaming(self._folder)

    def exists(self, name: TableName) -> bool:
        """Whether the table was ever created."""
        return delta_log.is_table(self._path(name))

    def names(self, catalog: str, schema: str) -> tuple[TableName, ...]:
        """The tables of a schema, by name; none if the schema does not exist."""
        found = (TableName(catalog, schema, f) for f in _folders(self._folder / catalog / schema))
        return tuple(name for name in found if self.exists(name))

    def schemas(self, catalog: str) -> tuple[str, ...]:
        """The schemas of a catalog that have a table."""
        return tuple(s for s in _folders(self._folder / catalog) if self.names(catalog, s))

    def create(self, name: TableName, table: Table) -> None:
        """Make the table, or bring a stored one up to its declaration; nothing happens if it is there already.

        Columns that the stored table lacks are added, null in old rows. Stored columns that are no longer declared
        stay and are null in new rows. Raises TableMismatch if the two do not fit, and then changes nothing.
        """
        with self._writing(name.catalog, name.schema, f"create {name}"):
            path = self._path(name)
            if delta_log.is_table(path):
                delta_log.evolve(name, delta_log.opened(name, path), table)
            else:
                delta_log.create(name, path, table)

    def append_only(self, name: TableName) -> None:
        """From now on rows can be added and not changed, by engines that honour Delta's `appendOnly`."""
        with self._writing(name.catalog, name.schema, f"protect {name}"):
            delta_log.set_property(delta_log.opened(name, self._path(name)), "delta.appendOnly", "true")

    def read(self, name: TableName, *, version: int | None = None) -> DataFrame:
        """The rows of one version, by default what is the last one now. StateError if there is no such version."""
        with translated(f"read {name}"):
            pinned = delta_log.opened(name, self._path(name), version).version()
            reader = self._spark.read.format("delta").option("versionAsOf", pinned)
            return reader.load(self._naming.path(name))

    def version(self, name: TableName) -> int:
        """Number of the last version; 0 is the empty table."""
        return delta_log.opened(name, self._path(name)).version()

    def history(self, name: TableName) -> tuple[Commit, ...]:
        """The table's commits, newest first."""
        return delta_log.commits(delta_log.opened(name, self._path(name)))

    def declaration(self, name: TableName) -> Description:
        """What the stored table says about itself."""
        return delta_log.describe(delta_log.opened(name, self._path(name)))

    def append(self, name: TableName, frame: DataFrame, *, metadata: Metadata | None = None) -> int:
        """Add rows; returns the version, unchanged if there were none. Run twice, it adds them twice."""
        with self._writing(name.catalog, name.schema, f"append to {name}"):
            rows = self._checkable(name, frame)
            retry_conflicts(lambda: self._append(name, rows, metadata))
            return self.version(name)

    def insert(self, name: TableName, frame: DataFrame, *, keys: Sequence[str]) -> bool:
        """Add rows, unless one of their keys is there already: then nothing is added, and False is returned."""
        with self._writing(name.catalog, name.schema, f"insert into {name}"):
            rows = self._checkable(name, frame)
            if self.read(name).join(rows.select(*keys), list(keys), "left_semi").limit(1).collect():
                return False
            retry_conflicts(lambda: self._append(name, rows, None))
            return True

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
            frames.check_condition(name, where, self._stored(name).schema)
            with self._staged(name, frame) as rows:
                _refuse_outside(name, rows, where)
                retry_conflicts(lambda: self._overwrite(name, rows, where.condition(), metadata))
            return self.version(name)

    def drop_schema(self, catalog: str, schema: str) -> None:
        """Remove a schema with all its tables, at once for every reader; nothing happens if it is not there."""
        with self._writing(catalog, schema, f"drop {catalog}.{schema}"):
            folder = self._folder / catalog / schema
            trash = self._root / "trash" / f"{catalog}.{schema}"
            if folder.exists():
                trash.mkdir(parents=True, exist_ok=True)
                folder.rename(trash / uuid.uuid4().hex)
            self._naming.forget(catalog, schema)
            shutil.rmtree(trash, ignore_errors=True)

    def expose(self, catalog: str) -> None:
        """Make a catalog's tables readable in SQL as `catalog.schema.table`, where the engine has such names (Sail).

        They are views, so SQL cannot write to them. Tables created later are seen after the next call.
        """
        self._naming.expose(catalog, [n for schema in self.schemas(catalog) for n in self.names(catalog, schema)])

    def _path(self, name: TableName) -> Path:
        return self._folder / name.catalog / name.schema / name.table

    def _stored(self, name: TableName) -> _Stored:
        table = delta_log.opened(name, self._path(name))
        return _Stored(
            schema=delta_log.spark_schema(table),
            declared=delta_log.declared_columns(table),
            version=table.version(),
        )

    def _fitted(self, name: TableName, frame: DataFrame) -> DataFrame:
        stored = self._stored(name)
        return frames.fit(name, frame, stored.schema, stored.declared)

    @contextmanager
    def _writing(self, catalog: str, schema: str, doing: str) -> Iterator[None]:
        refuse_closed(self._writable, catalog, schema, doing)
        lock = writer_lock(self._root / "locks", f"{catalog}.{schema}", timeout=self._lock_timeout)
        with translated(f"Cannot {doing}"), lock:
            yield

    @contextmanager
    def _staged(self, name: TableName, frame: DataFrame) -> Iterator[DataFrame]:
        """The rows, computed once: they are checked and then written, and a frame is computed anew each time."""
        rows = self._fitted(name, frame)
        # Only the holder of the lock stages here, so what is found was left by a process that was killed.
        place = TableName(name.catalog, name.schema, "_gatehouse_staging")
        shutil.rmtree(self._path(place), ignore_errors=True)
        try:
            rows.write.parquet(self._naming.path(place))
            yield self._spark.read.schema(rows.schema).parquet(self._naming.path(place))
        finally:
            shutil.rmtree(self._path(place), ignore_errors=True)

    def _checkable(self, name: TableName, frame: DataFrame) -> DataFrame:
        """The rows as the engine may check them: Sail looks for nulls before the filters that were to drop them.

        It does not look past a function of Python, here one that changes nothing: staging the rows takes twice as long.
        """
        rows = self._fitted(name, frame)
        if self._engine is not Engine.SAIL or all(field.nullable for field in self._stored(name).schema):
            return rows
        schema = ", ".join(f"`{column}` {kind}" for column, kind in rows.dtypes)
        return rows.mapInArrow(lambda batches: batches, schema)

    def _append(self, name: TableName, rows: DataFrame, metadata: Metadata | None) -> None:
        writer = rows.writeTo(self._naming.target(name))
        if metadata:
            writer = writer.option("userMetadata", json.dumps(dict(metadata)))
        writer.append()

    def _overwrite(self, name: TableName, rows: DataFrame, condition: Column, metadata: Metadata | None) -> None:
        writer = rows.writeTo(self._naming.target(name))
        if metadata:
            writer = writer.option("userMetadata", json.dumps(dict(metadata)))
        writer.overwrite(condition)

    def _merge(self, name: TableName, rows: DataFrame, keys: Sequence[str], metadata: Metadata | None) -> None:
        """Not by the engine's MERGE, which takes Sail many times as long and has no place for metadata there."""
        stored = self._stored(name)
        existing = self.read(name, version=stored.version)
        changes = frames.changed(rows, existing, keys, stored.declared)
        found = frames.summarise(changes, keys)
        if found.updated:
            kept = existing.where(found.covering).join(changes.select(*keys), list(keys), "left_anti")
            content = kept.select(*stored.schema.names).unionByName(changes.drop(frames.MATCHED))
            self._overwrite(name, content, found.covering, metadata)
        elif found.inserted:
            self._append(name, changes.drop(frames.MATCHED), metadata)


def _refuse_outside(name: TableName, rows: DataFrame, where: Equals | Between) -> None:
    """Checked on the computed rows: an error inside the query is raised for rows that a filter was yet to drop."""
    outside = rows.where(~where.condition()).select(where.column).limit(1).collect()
    if outside:
        raise DataError(
            f"A row for {name} has {where.column} = {outside[0][0]}, outside the rows it would replace ({where}).",
            why="It would be added next to rows that stay, and once more with every run. Nothing was written.",
            remedy="Cut the rows where they are made, or replace a stretch that covers them.",
        )


def _folders(parent: Path) -> Sequence[str]:
    """Names of the folders in it that can be names at all, sorted."""
    if not parent.is_dir():
        return ()
    return sorted(f.name for f in parent.iterdir() if f.is_dir() and NAME.fullmatch(f.name))
