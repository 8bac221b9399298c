"""What is said about a table rather than in it: schema, descriptions, versions, history.

Read and written by delta-rs on the table's folder, the same for every engine, because Sail has no SQL for it. A table's
declaration lies in the table itself: descriptions where Delta keeps them, the rest as properties of our own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from deltalake import DeltaTable, Field, Schema
from deltalake.exceptions import DeltaError, TableNotFoundError
from deltalake.schema import ArrayType, PrimitiveType

from gatehouse.errors import ConfigurationError, StateError, StorageError, TableNotFound
from gatehouse.lakehouse.failures import first_line
from gatehouse.lakehouse.table_rules import StoredColumn, refuse_mismatch
from gatehouse.lakehouse.table_types import NAME, ColumnDescription, Commit, Description, TableName
from gatehouse.project import Column, Table

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

OWNER = "gatehouse.owner"
PRIMARY_KEY = "gatehouse.primary_key"
COLUMNS = "gatehouse.columns"
UNIT = "gatehouse.unit"

_DELTA_TYPES = {"bigint": "long", "int": "integer"}
_SPARK_TYPES = {delta: spark for spark, delta in _DELTA_TYPES.items()}


def is_table(path: Path) -> bool:
    """Whether a first version was committed there; a folder that a killed process began is no table yet."""
    return any(file.is_commit for file in _log_files(path))


def opened(name: TableName, path: Path, version: int | None = None) -> DeltaTable:
    """The table at its last version, or at the one given.

    Raises:
        TableNotFound: nothing was committed there.
        StateError: the version does not exist.
        StorageError: the log is there and cannot be read.
    """
    files = _log_files(path)
    commits = [file for file in files if file.is_commit]
    if not commits:
        raise TableNotFound(
            f"There is no table {name}.",
            why="An earlier step should have written it.",
            remedy=f"Run the pipeline that writes {name.table}, or see `gatehouse status`.",
        )
    if empty := [file.name for file in commits if file.size == 0]:
        raise _damaged(name, f"{empty[0]} is empty")  # which engines take for a commit that did nothing
    try:
        table = _loaded(str(path), files)
    except (DeltaError, TableNotFoundError, ValueError) as error:
        raise _damaged(name, first_line(error)) from error
    if version is None or version == table.version():
        return table
    try:
        return _loaded(str(path), files, version)
    except (DeltaError, TableNotFoundError, ValueError, OverflowError) as error:
        raise StateError(
            f"{name} has no version {version}; its last is {table.version()}.",
            why="What was read must be read again exactly, or not at all.",
            remedy="Choose a version that the table has, or repeat the step that pinned this one.",
        ) from error


def create(name: TableName, path: Path, declaration: Table) -> None:
    """Commit version 0 of a table: schema, descriptions, properties, all at once."""
    path.mkdir(parents=True, exist_ok=True)
    DeltaTable.create(
        str(path),
        Schema([_field(column, nullable=column.nullable) for column in declaration.columns]),
        name=name.table,
        description=declaration.description,
        configuration=_properties(declaration),
        raise_if_key_not_exists=False,
    )


def evolve(name: TableName, table: DeltaTable, declaration: Table) -> None:
    """Bring a stored table up to its declaration, by adding what it lacks. Commits nothing if it lacks nothing.

    Raises:
        TableMismatch: that is impossible without losing or misreading rows.
    """
    stored = {field.name: field for field in table.schema().fields}
    columns = {column: StoredColumn(_type_of(field), field.nullable) for column, field in stored.items()}
    refuse_mismatch(name, columns, primary_key(table), declaration)
    if missing := [_field(c, nullable=True) for c in declaration.columns if c.name not in stored]:
        table.alter.add_columns(missing)
    for column in declaration.columns:
        wanted = _column_metadata(column)
        if column.name in stored and not wanted.items() <= dict(stored[column.name].metadata).items():
            table.alter.set_column_metadata(column.name, wanted)
    if table.metadata().description != declaration.description:
        table.alter.set_table_description(declaration.description)
    properties = _properties(declaration)
    if not properties.items() <= dict(table.metadata().configuration).items():
        table.alter.set_table_properties(properties, raise_if_not_exists=False)


def set_property(table: DeltaTable, key: str, value: str) -> None:
    """Set a property of Delta's own; commits nothing if it is set already."""
    if table.metadata().configuration.get(key) != value:
        table.alter.set_table_properties({key: value}, raise_if_not_exists=False)


def spark_schema(table: DeltaTable) -> StructType:
    """The stored schema in Spark's types."""
    from pyspark.sql.types import StructType

    return StructType.fromJson(json.loads(table.schema().to_json()))


def declared_columns(table: DeltaTable) -> tuple[str, ...]:
    """Columns that writers must give: the last declaration's, or all of a table that nobody declared."""
    listed = table.metadata().configuration.get(COLUMNS)
    return tuple(json.loads(listed)) if listed else tuple(field.name for field in table.schema().fields)


def primary_key(table: DeltaTable) -> tuple[str, ...]:
    """The last declaration's primary key; empty if nobody declared the table."""
    return tuple(json.loads(table.metadata().configuration.get(PRIMARY_KEY, "[]")))


def describe(table: DeltaTable) -> Description:
    """What the table says about itself."""
    declared = declared_columns(table)
    metadata = table.metadata()
    return Description(
        description=metadata.description or "",
        owner=metadata.configuration.get(OWNER, ""),
        primary_key=primary_key(table),
        columns=tuple(
            ColumnDescription(
                name=field.name,
                type=_type_of(field),
                description=str(field.metadata.get("comment", "")),
                unit=field.metadata.get(UNIT) or None,
                declared=field.name in declared,
            )
            for field in table.schema().fields
        ),
    )


def commits(table: DeltaTable) -> tuple[Commit, ...]:
    """Every version that the log still has, newest first."""
    return tuple(_commit(entry) for entry in table.history())


class _LogFile(NamedTuple):
    """A file of a log, by what changes when it is written anew."""

    name: str
    size: int
    modified: int
    inode: int

    @property
    def is_commit(self) -> bool:
        return self.name.endswith(".json")


def _log_files(path: Path) -> tuple[_LogFile, ...]:
    """The files of a table's log, by name; none where there is no table."""
    try:
        found = sorted((path / "_delta_log").iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return ()
    files = []
    for file in found:
        with suppress(FileNotFoundError):  # what a writer in another process had under way
            state = file.stat()
            files.append(_LogFile(file.name, state.st_size, state.st_mtime_ns, state.st_ino))
    return tuple(files)


@lru_cache(maxsize=256)
def _loaded(path: str, files: tuple[_LogFile, ...], version: int | None = None) -> DeltaTable:  # noqa: ARG001
    """Read once per process and state of its log: a pipeline asks for the same tables hundreds of times."""
    return DeltaTable(path, version=version)


def _damaged(name: TableName, reason: str) -> StorageError:
    return StorageError(
        f"The log of {name} is damaged: {reason}",
        why="Which files belong to the table stands only there.",
        remedy="Restore its folder _delta_log from a copy, or `gatehouse reset` the environment and run it again.",
    )


def _commit(entry: Mapping[str, Any]) -> Commit:
    try:
        metadata = json.loads(entry.get("userMetadata") or "{}")
    except ValueError:  # somebody else's, in a form of their own
        metadata = {"userMetadata": entry["userMetadata"]}
    return Commit(
        version=int(entry["version"]),
        at=datetime.fromtimestamp(entry["timestamp"] / 1000, tz=UTC),
        operation=str(entry.get("operation", "")),
        metadata={str(k): str(v) for k, v in metadata.items()} if isinstance(metadata, dict) else {},
    )


def _properties(declaration: Table) -> dict[str, str]:
    return {
        OWNER: declaration.owner,
        PRIMARY_KEY: json.dumps(declaration.primary_key),
        COLUMNS: json.dumps(declaration.names),
    }


def _field(column: Column, *, nullable: bool) -> Field:
    if not NAME.fullmatch(column.name):
        raise ConfigurationError(
            f"{column.name!r} cannot be the name of a column.",
            why="It becomes a part of SQL and of files, on every engine.",
            remedy="Use letters, digits and underscores, and start with a letter or an underscore.",
        )
    return Field(column.name, _delta_type(column.type), nullable=nullable, metadata=_column_metadata(column))


def _delta_type(spark_type: str) -> PrimitiveType | ArrayType:
    if spark_type == "array<double>":
        return ArrayType(PrimitiveType("double"), contains_null=True)
    return PrimitiveType(_DELTA_TYPES.get(spark_type, spark_type))


def _column_metadata(column: Column) -> dict[str, str]:
    return {"comment": column.description, UNIT: column.unit or ""}


def _type_of(field: Field) -> str:
    type_ = field.type
    if isinstance(type_, PrimitiveType):
        return _SPARK_TYPES.get(type_.type, type_.type)
    if isinstance(type_, ArrayType) and isinstance(type_.element_type, PrimitiveType):
        return f"array<{_SPARK_TYPES.get(type_.element_type.type, type_.element_type.type)}>"
    return str(type_)
