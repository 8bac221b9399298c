"""The tables' port. `tables.DeltaTables` (folders) and `unity_tables.UnityTables` (Unity Catalog) pass one contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from gatehouse.lakehouse.table_types import Between, Commit, Description, Equals, TableName
    from gatehouse.project import Table

Metadata = Mapping[str, str]


class Tables(Protocol):
    """The tables that a session sees, with the right to write some schemas.

    Every method that takes a table's name raises TableNotFound if there is none; every write also raises AccessDenied
    outside those schemas, Busy or StorageError where other writers or the storage refuse, and SchemaBreak if the rows
    lack a column or bring another type. After any error the table is as it was.
    """

    def exists(self, name: TableName) -> bool:
        """Whether the table was ever created."""

    def names(self, catalog: str, schema: str) -> tuple[TableName, ...]:
        """The tables of a schema, by name; none if the schema does not exist."""

    def schemas(self, catalog: str) -> tuple[str, ...]:
        """The schemas of a catalog that have a table."""

    def create(self, name: TableName, table: Table) -> None:
        """Make the table, or bring a stored one up to its declaration; TableMismatch if the two do not fit."""

    def append_only(self, name: TableName) -> None:
        """From now on rows can be added and not changed, as far as the engine honours it."""

    def read(self, name: TableName, *, version: int | None = None) -> DataFrame:
        """The rows of one version, by default what is the last one now. StateError if there is no such version."""

    def version(self, name: TableName) -> int:
        """Number of the last version; 0 is the empty table."""

    def history(self, name: TableName) -> tuple[Commit, ...]:
        """The table's commits, newest first."""

    def declaration(self, name: TableName) -> Description:
        """What the stored table says about itself."""

    def append(self, name: TableName, frame: DataFrame, *, metadata: Metadata | None = None) -> int:
        """Add rows; returns the version, unchanged if there were none. Run twice, it adds them twice."""

    def insert(self, name: TableName, frame: DataFrame, *, keys: Sequence[str]) -> bool:
        """Add rows, unless one of their keys is there already: then nothing is added, and False is returned.

        Of two writers of one key, on whatever machines, exactly one inserts.
        """

    def merge(self, name: TableName, frame: DataFrame, *, keys: Sequence[str], metadata: Metadata | None = None) -> int:
        """Insert rows with new keys, overwrite those with known ones; returns the version, unchanged if no row differs.

        Raises:
            DataError: a key is null, or two rows share one.
        """

    def replace(
        self, name: TableName, frame: DataFrame, *, where: Equals | Between, metadata: Metadata | None = None
    ) -> int:
        """Put these rows in the place of all that satisfy `where`, in one version; returns it.

        Raises:
            DataError: one of the rows does not satisfy `where`, or `where` does not fit the table.
        """

    def drop_schema(self, catalog: str, schema: str) -> None:
        """Remove all tables of a schema; nothing happens if there are none."""

    def expose(self, catalog: str) -> None:
        """Make a catalog's tables readable in SQL as `catalog.schema.table`, where they are not already."""
