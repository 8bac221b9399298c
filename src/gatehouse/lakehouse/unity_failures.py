"""What Unity Catalog says when something is missing or not allowed, turned into errors of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gatehouse.errors import AccessDenied, GatehouseError, StateError, TableNotFound
from gatehouse.lakehouse.failures import first_line, translated

if TYPE_CHECKING:
    from gatehouse.lakehouse.table_types import TableName

_DENIED = ("INSUFFICIENT_PERMISSIONS", "PERMISSION_DENIED", "UNAUTHORIZED_ACCESS")
_NO_CATALOG = (
    "NO_SUCH_CATALOG",
    "CATALOG_NOT_FOUND",
    "CATALOG_DOES_NOT_EXIST",
    "REQUIRES_SINGLE_PART_NAMESPACE",  # Spark without Unity Catalog takes an unknown catalog for a schema of its own
)
_NO_TABLE = ("TABLE_OR_VIEW_NOT_FOUND", "DELTA_TABLE_NOT_FOUND", "DELTA_MISSING_DELTA_TABLE", "SCHEMA_NOT_FOUND")


@contextmanager
def asking(doing: str, *, name: TableName | None = None, catalog: str | None = None) -> Iterator[None]:
    """Raise the Gatehouse error that an engine's error stands for; others pass unchanged.

    With `name`, nothing but that table is asked for: what is missing is it.
    """
    try:
        with translated(doing):
            yield
    except GatehouseError:
        raise
    except Exception as error:
        catalog = name.catalog if name else catalog
        if says(error, *_DENIED):
            raise AccessDenied(
                f"{doing}: {first_line(error)}",
                why="Unity Catalog lets an account do what it was granted, and this account was not granted that.",
                remedy="gatehouse setup    (it prints who needs which grant)",
            ) from error
        if catalog and says(error, *_NO_CATALOG):
            raise StateError(
                f"{doing}: there is no catalog {catalog}, or this account may not use it.",
                why="An environment's tables, models and volumes lie in its catalog.",
                remedy="Correct conf/environments.yml, or make the catalog: gatehouse setup",
            ) from error
        if name and is_missing(error):
            raise no_such_table(name) from error
        if says(error, "SCHEMA_NOT_FOUND"):
            raise StateError(
                f"{doing}: {first_line(error)}",
                why="Schemas are made by the bundle, with the grants that belong to them.",
                remedy="Deploy the bundle of this environment first: databricks bundle deploy --target ENV",
            ) from error
        raise


def is_missing(error: Exception) -> bool:
    """Whether the error says that a table, or the schema it would be in, is not there."""
    return says(error, *_NO_TABLE)


def says(error: Exception, *texts: str) -> bool:
    """Whether one of the texts is in what the engine said."""
    return any(text in str(error) for text in texts)


def no_such_table(name: TableName) -> TableNotFound:
    """The table is not there."""
    return TableNotFound(
        f"There is no table {name}.",
        why="An earlier step should have written it.",
        remedy=f"Run the pipeline that writes {name.table}, or see `gatehouse status`.",
    )


def no_such_version(name: TableName, version: int, last: int) -> StateError:
    """The version is not there, or no longer."""
    return StateError(
        f"{name} has no version {version}; its last is {last}.",
        why="What was read must be read again exactly, or not at all.",
        remedy="Choose a version that the table has, or repeat the step that pinned this one.",
    )
