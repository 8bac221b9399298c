"""The words of the table port: names, versions, descriptions, and the conditions that select a stretch of a table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from gatehouse.errors import ConfigurationError

if TYPE_CHECKING:
    from pyspark.sql import Column

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
Value = str | int | date | datetime
"""What a condition compares with: the Python type of a string, int or bigint, date or timestamp column."""


@dataclass(frozen=True, slots=True)
class TableName:
    """A three-level name. Plain letters, digits and underscores: it is a folder, a catalog entry and part of SQL."""

    catalog: str
    schema: str
    table: str

    def __post_init__(self) -> None:
        for level, part in (("catalog", self.catalog), ("schema", self.schema), ("table", self.table)):
            if not NAME.fullmatch(part):
                raise ConfigurationError(
                    f"{part!r} cannot be the name of a {level}.",
                    why="Names become folders and parts of SQL, on every engine and operating system.",
                    remedy="Use letters, digits and underscores, and start with a letter or an underscore.",
                )

    @classmethod
    def parse(cls, text: str) -> TableName:
        """From `catalog.schema.table`."""
        parts = text.split(".")
        if len(parts) != 3:
            raise ConfigurationError(
                f"{text!r} is not the name of a table.",
                why="A table is known by its catalog, schema and name; fewer levels could mean several tables.",
                remedy="Write catalog.schema.table, such as prod.flight_delays.flights.",
            )
        return cls(*parts)

    def __str__(self) -> str:
        return f"{self.catalog}.{self.schema}.{self.table}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Commit:
    """One version of a table: when it was committed (UTC), by what operation, and what the writer said about it."""

    version: int
    at: datetime
    operation: str
    metadata: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnDescription:
    """A stored column. `type` is Spark's name; `declared` is false for one that the declaration no longer has."""

    name: str
    type: str
    description: str
    unit: str | None
    declared: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Description:
    """What a stored table says about itself. `owner` and `primary_key` are empty where nobody declared the table."""

    description: str
    owner: str
    primary_key: tuple[str, ...]
    columns: tuple[ColumnDescription, ...]


@dataclass(frozen=True, slots=True)
class Equals:
    """Rows whose column has this value. Null is no value: such rows are outside."""

    column: str
    value: Value

    def condition(self) -> Column:
        """As a Spark condition."""
        from pyspark.sql import functions as F

        return known(self.column) & (F.col(self.column) == F.lit(literal(self.value)))

    @property
    def values(self) -> tuple[Value, ...]:
        """What the column is compared with."""
        return (self.value,)

    def __str__(self) -> str:
        return f"{self.column} = {self.value}"


@dataclass(frozen=True, slots=True)
class Between:
    """Rows with `after` < column <= `until`, the half-open stretch that consecutive runs share without overlap."""

    column: str
    after: Value
    until: Value

    def condition(self) -> Column:
        """As a Spark condition."""
        from pyspark.sql import functions as F

        column = F.col(self.column)
        return known(self.column) & (column > F.lit(literal(self.after))) & (column <= F.lit(literal(self.until)))

    @property
    def values(self) -> tuple[Value, ...]:
        """What the column is compared with."""
        return (self.after, self.until)

    def __str__(self) -> str:
        return f"{self.after} < {self.column} <= {self.until}"


def known(column: str) -> Column:
    """Not null. Sail replaces rows for which a condition is null as if it were true, so no condition may be."""
    from pyspark.sql import functions as F

    return F.col(column).isNotNull()


def literal(value: Value) -> Value:
    """The value as Spark takes it: moments without a zone are UTC, whatever the zone of the machine."""
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value
