"""The SQL that declares a table in Unity Catalog, and what a stored one says about itself. Pure: text in, text out.

A declaration lies where Databricks shows it: comments on table and columns, NOT NULL, the primary key as a constraint
(feature tables are tables with one), the rest as properties of our own. Units have no place of their own there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatehouse.errors import ConfigurationError
from gatehouse.lakehouse.delta_log import COLUMNS, OWNER, PRIMARY_KEY
from gatehouse.lakehouse.table_rules import StoredColumn
from gatehouse.lakehouse.table_types import NAME, ColumnDescription, Description, TableName

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

    from gatehouse.project import Column, Table

UNITS = "gatehouse.units"


@dataclass(frozen=True, slots=True)
class Stored:
    """A table as Unity Catalog has it."""

    schema: StructType
    properties: Mapping[str, str]
    comment: str

    @property
    def columns(self) -> dict[str, StoredColumn]:
        """The columns by name."""
        return {field.name: StoredColumn(field.dataType.simpleString(), field.nullable) for field in self.schema}

    @property
    def declared(self) -> tuple[str, ...]:
        """Columns that writers must give: the last declaration's, or all of a table that nobody declared."""
        listed = self.properties.get(COLUMNS)
        return tuple(json.loads(listed)) if listed else tuple(self.schema.names)

    @property
    def primary_key(self) -> tuple[str, ...]:
        """The last declaration's primary key; empty if nobody declared the table."""
        return tuple(json.loads(self.properties.get(PRIMARY_KEY, "[]")))

    def describe(self) -> Description:
        """What the table says about itself."""
        declared, units = self.declared, json.loads(self.properties.get(UNITS, "{}"))
        return Description(
            description=self.comment,
            owner=self.properties.get(OWNER, ""),
            primary_key=self.primary_key,
            columns=tuple(
                ColumnDescription(
                    name=field.name,
                    type=field.dataType.simpleString(),
                    description=str(field.metadata.get("comment", "")),
                    unit=units.get(field.name),
                    declared=field.name in declared,
                )
                for field in self.schema
            ),
        )


def quoted(name: TableName) -> str:
    """The name as SQL takes it, whatever words of SQL its parts are."""
    return ".".join(f"`{part}`" for part in (name.catalog, name.schema, name.table))


def quoted_column(column: str) -> str:
    """The column as SQL takes it, whatever characters it has: tables of others may have any."""
    return "`" + column.replace("`", "``") + "`"


def text(value: str) -> str:
    """A literal of SQL that is this text, whatever is in it: DDL takes no parameters."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def create(name: TableName, table: Table) -> str:
    """The statement that makes the table at once: columns, comments, key, properties."""
    parts = [
        f"`{_checked(c)}` {c.type}{'' if c.nullable else ' NOT NULL'} COMMENT {text(c.description)}"
        for c in table.columns
    ]
    parts += [f"CONSTRAINT `{name.table}_key` PRIMARY KEY ({key})"] if (key := primary_key(table)) else []
    properties = ", ".join(f"{text(k)} = {text(v)}" for k, v in _properties(table).items())
    return (
        f"CREATE TABLE IF NOT EXISTS {quoted(name)} ({', '.join(parts)}) USING DELTA "
        f"COMMENT {text(table.description)} TBLPROPERTIES ({properties})"
    )


def primary_key(table: Table) -> str:
    """The key's columns for a constraint; empty if one of them may be null, which Unity Catalog does not take.

    The moment in the key of a feature table is its TIMESERIES column: point-in-time lookups go by it.
    """
    if any(table.column(c).nullable for c in table.primary_key):
        return ""
    return ", ".join(f"`{c}` TIMESERIES" if c == table.known_at else f"`{c}`" for c in table.primary_key)


def evolve(name: TableName, stored: Stored, table: Table) -> Iterator[str]:
    """The statements that add what the stored table lacks; each can be run again, and none if it lacks nothing."""
    comments = {column.name: column.description for column in stored.describe().columns}
    if missing := [c for c in table.columns if c.name not in comments]:
        added = ", ".join(f"`{_checked(c)}` {c.type} COMMENT {text(c.description)}" for c in missing)
        yield f"ALTER TABLE {quoted(name)} ADD COLUMNS ({added})"
    for column in table.columns:
        if comments.get(column.name, column.description) != column.description:
            yield f"ALTER TABLE {quoted(name)} ALTER COLUMN `{column.name}` COMMENT {text(column.description)}"
    if stored.comment != table.description:
        yield f"COMMENT ON TABLE {quoted(name)} IS {text(table.description)}"
    if not (wanted := _properties(table)).items() <= stored.properties.items():
        yield set_properties(name, wanted)


def set_properties(name: TableName, properties: Mapping[str, str]) -> str:
    """The statement that gives a table these properties and leaves its others alone."""
    pairs = ", ".join(f"{text(key)} = {text(value)}" for key, value in properties.items())
    return f"ALTER TABLE {quoted(name)} SET TBLPROPERTIES ({pairs})"


def _properties(table: Table) -> dict[str, str]:
    return {
        OWNER: table.owner,
        PRIMARY_KEY: json.dumps(table.primary_key),
        COLUMNS: json.dumps(table.names),
        UNITS: json.dumps({c.name: c.unit for c in table.columns if c.unit}),
    }


def _checked(column: Column) -> str:
    if not NAME.fullmatch(column.name):
        raise ConfigurationError(
            f"{column.name!r} cannot be the name of a column.",
            why="It becomes a part of SQL and of files, on every engine.",
            remedy="Use letters, digits and underscores, and start with a letter or an underscore.",
        )
    return column.name
