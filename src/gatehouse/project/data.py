"""The data side of the contract: tables, where they come from, features, events, labels, units, slices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, get_args

from gatehouse.errors import ConfigurationError
from gatehouse.project.names import refuse_repeats, refuse_unknown
from gatehouse.project.rows import typed

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

ColumnType = Literal["string", "boolean", "int", "bigint", "double", "date", "timestamp", "array<double>"]


class Action(StrEnum):
    """What an expectation does with the rows that violate it."""

    WARN = "warn"  # counted and kept
    QUARANTINE = "quarantine"  # counted and moved to `<table>_quarantine`
    FAIL = "fail"  # nothing is written


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One column. Timestamps are UTC; a missing value is null, never NaN.

    `sensitive`: developers who read a mirror get `mask` in its place, a Spark SQL expression over the row's columns
    (None: null). Of equal values it should make equal ones, so that tables still join.
    """

    name: str
    type: ColumnType
    description: str
    unit: str | None = None
    nullable: bool = True
    sensitive: bool = False
    mask: str | None = None

    def __post_init__(self) -> None:
        if self.mask is not None and not self.sensitive:
            raise ConfigurationError(
                f"Column {self.name} has a mask and is not sensitive.",
                why="A mirror would hold its values as they are, which nobody who wrote a mask expects.",
                remedy="Add sensitive=True, or take the mask out.",
            )
        if self.sensitive and self.mask is None and not self.nullable:
            raise ConfigurationError(
                f"Column {self.name} is sensitive, is never null, and has no mask.",
                why="Without a mask a mirror holds null in its place.",
                remedy='Give it one, such as mask="substr(sha2(name, 256), 1, 16)".',
            )
        if self.type not in get_args(ColumnType):
            raise ConfigurationError(
                f"Column {self.name} has the type {self.type!r}.",
                why="A table holds only types that every engine stores and reads alike.",
                remedy=f"Choose from: {', '.join(get_args(ColumnType))}.",
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Expectation:
    """A boolean Spark SQL expression that good rows satisfy.

    Null counts as satisfied: say IS NOT NULL to demand a value.
    """

    name: str
    condition: str
    action: Action
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A table, declared once: code, tests and documentation read it from here.

    `known_at` names the timestamp column that says when a row became known. Columns in `late` are null until
    the moment in column `late_known_at` (null: not yet), like the outcome of an event.
    """

    name: str
    description: str
    owner: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...]
    known_at: str
    late: tuple[str, ...] = ()
    late_known_at: str | None = None
    expectations: tuple[Expectation, ...] = ()

    def __post_init__(self) -> None:
        names = [c.name for c in self.columns]
        refuse_repeats(f"table {self.name}", names)
        for role, used in {
            "primary_key": self.primary_key,
            "known_at": (self.known_at,),
            "late": self.late,
            "late_known_at": (self.late_known_at,) if self.late_known_at else (),
        }.items():
            refuse_unknown(f"{role} of table {self.name}", used, names)
        if not self.primary_key:
            raise ConfigurationError(
                f"Table {self.name} has no primary key.",
                why="Without one, a run that is repeated would write its rows twice.",
                remedy="Name the columns that identify a row in `primary_key`.",
            )
        if bool(self.late) != bool(self.late_known_at):
            raise ConfigurationError(
                f"Table {self.name} declares one of `late` and `late_known_at` without the other.",
                why="Columns that are filled in later leak the future unless the moment is known.",
                remedy="Declare both, or neither.",
            )

    def column(self, name: str) -> Column:
        """The declared column of that name; KeyError if there is none."""
        return {c.name: c for c in self.columns}[name]

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in table order."""
        return tuple(c.name for c in self.columns)


@dataclass(frozen=True, kw_only=True, slots=True)
class Files:
    """What the raw files of a source look like. They never change once they have landed.

    `columns` are what the project reads of them, by the names in the files: plain words, as the landed rows lie in a
    table. CSV has a header, moments in ISO 8601 (UTC where they name no zone), and an empty field or `missing` for
    null. A column that is declared `nullable=False` must be there in every file.
    """

    format: Literal["csv", "parquet"]
    columns: tuple[Column, ...]
    separator: str = ","
    missing: str = ""

    def __post_init__(self) -> None:
        refuse_repeats("the files", [*(c.name for c in self.columns), *LANDED])
        if self.format not in ("csv", "parquet"):
            raise ConfigurationError(
                f"Files of the format {self.format!r} cannot land.",
                why="They are read on a laptop and by Auto Loader, and must mean the same to both.",
                remedy="Choose csv or parquet, or read the files in `extract` itself.",
            )


LANDED = ("_rescued", "_file", "_landed_at")
"""What landed rows have besides the files' columns: columns that nobody declared, as JSON; the file; when it landed."""


class Landing(Protocol):
    """Where the raw files of one source land; `folder` is that, for those who write or read it themselves."""

    @property
    def folder(self) -> str:
        """See above."""

    @property
    def empty(self) -> bool:
        """Whether nothing has ever landed."""

    def rows(self, files: Files) -> DataFrame:
        """The rows of every file that has landed, each once; see Extraction.landed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Extraction:
    """One request for raw rows: those of which something became known in (since, until].

    `since` None means from the start.
    `raw` is the folder, or volume path, under which files of this source land; `landing` reads what landed there.
    """

    spark: SparkSession
    since: datetime | None
    until: datetime
    raw: Path
    landing: Landing | None = None

    @property
    def has_landed(self) -> bool:
        """Whether a file has landed under `raw`: a source that has another way to its rows takes that until then."""
        return self.landing is not None and not self.landing.empty

    def landed(self, files: Files) -> DataFrame:
        """The rows of every file that has landed under `raw`, for a source whose rows arrive as files.

        On a laptop the files are read as they lie there; on Databricks Auto Loader takes in each of them once. The
        columns are those of `files`, then `_rescued` (string: what else was in the row, as JSON, or null), `_file`
        (string) and `_landed_at` (timestamp).

        Raises:
            SchemaBreak: a value does not fit its column's type, or is missing where the column is never null.
        """
        if self.landing is None:
            raise ConfigurationError(
                "Files were asked for, and nothing says where they land.",
                why="Where files land belongs to the environment, not to the source.",
                remedy="In a test, give Extraction a `landing`; `gatehouse run ingest` does.",
            )
        return self.landing.rows(files)

    def frame(self, rows: pa.Table | pd.DataFrame, table: Table) -> DataFrame:
        """Rows in memory as a DataFrame of the table's columns and types; no rows are fine too.

        Raises:
            SchemaBreak: a declared column is missing, or holds what its type cannot.
        """
        schema = ", ".join(f"`{c.name}` {c.type}" for c in table.columns)
        return self.spark.createDataFrame(typed(rows, table), schema)


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Raw rows and the table they are kept in.

    `extract` may return more rows than asked for: what is not known by `until` is cut, what did not change is not
    written again. `lookback` is how late a row may still turn up: each run asks again for that much time.
    """

    table: Table
    extract: Callable[[Extraction], DataFrame]
    lookback: timedelta = timedelta(0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """Half-open stretch of time (start, end], UTC."""

    start: datetime
    end: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureTable:
    """Features by key and moment, joined to events point-in-time.

    `compute` gets the tables named in `inputs`, as known at the window's end and reaching back `history` before its
    start (None: all of it), and returns the rows whose `known_at` lies in the window. The primary key is
    `join_on` plus the table's `known_at`. A row older than `max_age` at the time of prediction does not join; None
    suits tables with few versions per key, such as master data.
    """

    table: Table
    inputs: tuple[str, ...]
    compute: Callable[[Mapping[str, DataFrame], Window], DataFrame]
    join_on: tuple[str, ...]
    history: timedelta | None
    max_age: timedelta | None

    def __post_init__(self) -> None:
        if set(self.table.primary_key) != {*self.join_on, self.table.known_at}:
            raise ConfigurationError(
                f"Feature table {self.table.name} joins on {self.join_on}, but its key is {self.table.primary_key}.",
                why="A point-in-time join needs exactly one row per key and moment.",
                remedy=f"Make the primary key {(*self.join_on, self.table.known_at)}.",
            )

    @property
    def features(self) -> tuple[str, ...]:
        """The columns this table brings to a training set: all but its keys and its moment."""
        return tuple(n for n in self.table.names if n not in self.table.primary_key)


@dataclass(frozen=True, kw_only=True, slots=True)
class Events:
    """What is predicted: one row of `table` is one event, and gets one prediction, `lead` before `time`.

    `derive` adds the columns declared in `derived`, which the event itself brings (an hour of day, a distance band); it
    sees no late column.
    """

    table: str
    time: str
    lead: timedelta = timedelta(0)
    derive: Callable[[DataFrame], DataFrame] | None = None
    derived: tuple[Column, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Label:
    """The truth: a Spark SQL expression over the event's columns, null where there is none (a flight that never left).

    Binary labels are 0 and 1, multiclass labels are positions in `Project.classes`. `known_at` is the column that says
    when it was known.
    """

    name: str
    expression: str
    known_at: str
    description: str
    unit: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Unit:
    """What is independent of what: rows of one unit go together, units do not.

    `expression` is Spark SQL over the event's columns.
    Statistics treat units as a series ordered by their text, so use a sortable form such as a date.
    """

    name: str
    expression: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """A group of events a model must serve. `values` of a required slice must all be present in a hold-out."""

    name: str
    expression: str
    required: bool = False
    values: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.required and not self.values:
            raise ConfigurationError(
                f"Slice {self.name} is required but lists no values.",
                why="A required slice that is absent must block, which needs its name beforehand.",
                remedy="List its `values`, or make it informative with required=False.",
            )
