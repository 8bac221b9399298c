"""MLflow's errors in our words, and the distinction that gates depend on: "there is none" against "could not tell"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from gatehouse.errors import (
    AccessDenied,
    GatehouseError,
    RegistryUnavailable,
    StateError,
    StorageError,
    VersionNotFound,
)

_ABSENT_CODES = {"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"}
_DENIED_CODES = {"PERMISSION_DENIED", "UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED"}
_REFUSED_CODES = {"INVALID_PARAMETER_VALUE", "RESOURCE_ALREADY_EXISTS", "INVALID_STATE", "BAD_REQUEST"}
_DISK = re.compile(
    r"readonly database|unable to open database|disk is full|disk I/O error|malformed|not a database"
    r"|No space left|Read-only file system|Permission denied",
    re.IGNORECASE,
)


def says_no_alias(error: Exception, model: str, alias: str) -> bool:
    """Whether the registry says plainly that nobody holds the alias, or that there is no such model.

    The code alone does not say so: a proxy's "404 page not found" carries RESOURCE_DOES_NOT_EXIST as well, and SQL
    stores use one code for a missing alias and for a bad argument. So the sentence must name the alias or the model.
    """
    no_alias = rf"Registered Model Alias '?{re.escape(alias)}'? (not found|does not exist)"
    return _says(error, no_alias) or says_no_model(error, model)


def says_absent(error: Exception) -> bool:
    """Whether the code is one of those that a missing alias has, among other things: ask further."""
    return getattr(error, "error_code", "") in _ABSENT_CODES


def says_no_model(error: Exception, model: str) -> bool:
    """Whether the registry says plainly that there is no such model."""
    name = re.escape(model)
    return _says(
        error,
        rf"Registered Model with name={name} not found|(Routine or Model|Registered Model) '{name}' does not exist",
    )


@contextmanager
def told(doing: str) -> Iterator[None]:
    """Turn what MLflow raises inside into one of ours. `doing` completes "while ..."."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, RequestException, OSError) as error:
        raise translated(error, doing) from error


def translated(error: Exception, doing: str) -> GatehouseError:
    """Our error for one of MLflow's, of its database or of the files under it."""
    said, code = _first_line(error), getattr(error, "error_code", "")
    if code in _DENIED_CODES:
        return AccessDenied(
            f"Not permitted while {doing}: {said}",
            why="A refusal says nothing about what the registry holds, so nothing is concluded from it.",
            remedy="Ask for the right on this model, or use the identity that has it.",
        )
    if "out-of-date database schema" in said:
        return StateError(
            f"Another version of MLflow wrote the database: {said}",
            why="Its tables are not those that this version reads and writes.",
            remedy="Copy mlflow.db somewhere safe, then `mlflow db upgrade sqlite:///PATH/mlflow.db`.",
        )
    if _DISK.search(said) or _is_of_the_disk(error):
        return StorageError(
            f"The disk refused while {doing}: {said}",
            why="What was written before is intact; this was not written, or not read.",
            remedy="Make room, or make the lakehouse folder writable, and run the command again; "
            "if mlflow.db is damaged, restore it from a copy.",
        )
    if code in {"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"} and not said.startswith("API request to"):
        return VersionNotFound(
            f"MLflow answered while {doing}: {said}",
            why="What does not exist can be neither judged nor promoted.",
            remedy="gatehouse status shows which versions there are.",
        )
    if code in _REFUSED_CODES:
        return StateError(f"MLflow refused while {doing}: {said}", remedy="gatehouse status shows what is there.")
    return RegistryUnavailable(
        f"MLflow gave no usable answer while {doing}: {said}",
        why='"Could not tell" is not "there is none": nothing may be promoted or replaced on the strength of it.',
        remedy="See that the registry is up, then run the command again.",
    )


def _says(error: Exception, sentence: str) -> bool:
    # Anchored, so that a page which merely quotes the sentence does not count. Unity Catalog keeps names in lower case.
    found = re.match(rf"([A-Z_]+: )?({sentence})", _first_line(error), re.IGNORECASE)
    return says_absent(error) and found is not None


def _is_of_the_disk(error: Exception) -> bool:
    """Network libraries derive their errors from OSError too, without a number or from ConnectionError."""
    return (
        isinstance(error, OSError) and error.errno is not None and not isinstance(error, ConnectionError | TimeoutError)
    )


def _first_line(error: Exception) -> str:
    """SQLAlchemy adds the statement and a link, servers add pages of HTML: the first line says it.

    Where SQLAlchemy wrote by itself, it says that first.
    """
    lines = [line for line in str(error).strip().splitlines() if not line.startswith("(raised as a result of ")]
    return (lines or [type(error).__name__])[0][:500]
