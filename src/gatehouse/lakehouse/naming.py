"""How an engine is told which table is meant, given that tables are folders.

Sail: the folder is attached in a catalog of the port's own, and what people see under `catalog.schema.table` is a view
over it, which Sail refuses to write to. So SQL reads everything and writes nothing, in any environment, short of naming
that catalog or a folder on purpose: the port is the only writer. The JVM: Delta's own path syntax; open-source Spark
has no catalogs of these names.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from gatehouse.errors import PlatformError
from gatehouse.lakehouse.session import FOLDERS_CATALOG
from gatehouse.lakehouse.table_types import TableName

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_SAFE_ON_SAIL = re.compile(r"[A-Za-z0-9_./:@!$&'()+,;=-]*")


class Naming(Protocol):
    """How tables under one lakehouse folder are named to an engine."""

    def path(self, name: TableName) -> str:
        """Where the table is, for readers by path."""

    def target(self, name: TableName) -> str:
        """The existing table, as SQL and `writeTo` take it."""

    def forget(self, catalog: str, schema: str) -> None:
        """The schema's tables are gone."""

    def expose(self, catalog: str, names: Iterable[TableName]) -> None:
        """Make these, and nothing else, readable in SQL by their names in the catalog, if the engine can."""


class SailNaming:
    """Names of tables for Sail, whose catalogs live as long as the session."""

    def __init__(self, spark: SparkSession, folder: Path) -> None:
        self._spark = spark
        self._folder = Path(safe_path(folder))
        # A session may see several lakehouses, one after the other, as tests do; their folders must not mix.
        self._prefix = "l" + hashlib.sha256(str(folder).encode()).hexdigest()[:12]
        self._attached: set[TableName] = set()

    def path(self, name: TableName) -> str:
        """A path that Sail does not rewrite."""
        return str(self._folder / name.catalog / name.schema / name.table)

    def target(self, name: TableName) -> str:
        """The attached folder."""
        database = f"`{FOLDERS_CATALOG}`.`{self._prefix}__{name.catalog}__{name.schema}`"
        full = f"{database}.`{name.table}`"
        if name not in self._attached:
            location = self.path(name).replace("\\", "\\\\").replace("'", "\\'")
            if not any((n.catalog, n.schema) == (name.catalog, name.schema) for n in self._attached):
                self._sql(f"CREATE DATABASE IF NOT EXISTS {database}")
            self._sql(f"CREATE TABLE IF NOT EXISTS {full} USING delta LOCATION '{location}'")
            self._attached.add(name)
        return full

    def forget(self, catalog: str, schema: str) -> None:
        """Detach the schema's folders and drop its views."""
        self._attached = {n for n in self._attached if (n.catalog, n.schema) != (catalog, schema)}
        self._sql(f"DROP DATABASE IF EXISTS `{FOLDERS_CATALOG}`.`{self._prefix}__{catalog}__{schema}` CASCADE")
        self._sql(f"DROP DATABASE IF EXISTS `{catalog}`.`{schema}` CASCADE")

    def expose(self, catalog: str, names: Iterable[TableName]) -> None:
        """Put a view over each table under its own name, with the columns it has now."""
        for row in self._spark.sql(f"SHOW DATABASES IN `{catalog}`").collect():
            if row["name"] != "default":
                self._sql(f"DROP DATABASE `{catalog}`.`{row['name']}` CASCADE")
        for name in names:
            target = self.target(name)
            self._sql(f"CREATE DATABASE IF NOT EXISTS `{name.catalog}`.`{name.schema}`")
            view = f"`{name.catalog}`.`{name.schema}`.`{name.table}`"
            self._sql(f"CREATE OR REPLACE VIEW {view} AS SELECT * FROM {target}")  # noqa: S608 - checked names

    def _sql(self, statement: str) -> None:
        self._spark.sql(statement)


class PathNaming:
    """Names of tables for full Spark: paths."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, name: TableName) -> str:
        """The folder."""
        return str(self._folder / name.catalog / name.schema / name.table)

    def target(self, name: TableName) -> str:
        """The folder, in Delta's syntax."""
        return "delta.`" + self.path(name).replace("`", "``") + "`"

    def forget(self, catalog: str, schema: str) -> None:
        """Nothing is remembered."""

    def expose(self, catalog: str, names: Iterable[TableName]) -> None:
        """Not possible: open-source Spark knows Delta in `spark_catalog` only, where names have two levels."""


def safe_path(folder: Path) -> str:
    """The folder by a path without characters that Sail would percent-encode on disk, and so lose the rows.

    Where the real one has a space or an accent, a link in a temporary folder of this process stands for it.
    """
    text = str(folder)
    return text if _SAFE_ON_SAIL.fullmatch(folder.as_posix()) else _link(text)


@functools.cache
def _link(text: str) -> str:
    # Kept until the process ends: a frame that was read through the link reads it again each time it is computed.
    link = Path(_links()) / hashlib.sha256(text.encode()).hexdigest()[:12]
    try:
        if not _SAFE_ON_SAIL.fullmatch(link.as_posix()):
            raise OSError(f"{link} has such a character, too")
        Path(text).mkdir(parents=True, exist_ok=True)
        link.symlink_to(text, target_is_directory=True)
    except OSError as error:
        raise PlatformError(
            f"The lakehouse folder {text} has a character that Sail writes differently to disk ({error}).",
            why="Rows would land in a folder of another name, and be lost to every other reader.",
            remedy="Choose a folder of plain letters, digits, - and _ : --lakehouse DIR",
        ) from error
    return str(link)


@functools.cache
def _links() -> str:
    import atexit
    import shutil

    folder = tempfile.mkdtemp(prefix="gatehouse-")
    process = os.getpid()
    atexit.register(lambda: shutil.rmtree(folder, ignore_errors=True) if os.getpid() == process else None)
    return folder
