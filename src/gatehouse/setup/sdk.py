"""Databricks through its SDK: clients that give up in time, and errors in our words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gatehouse.errors import AccessDenied, GatehouseError, PlatformError, StateError, Unanswered

if TYPE_CHECKING:
    from databricks.sdk import AccountClient, WorkspaceClient
    from databricks.sdk.core import Config

PATIENCE = 20
"""Seconds that one call is repeated for."""


def workspace_client(host: str) -> WorkspaceClient:
    """Signed in as the environment says, or as `databricks auth login` did; PlatformError where nobody is."""
    from databricks.sdk import WorkspaceClient

    return WorkspaceClient(config=_config(host, None))


def account_client(host: str, account: str) -> AccountClient:
    """The same for an account."""
    from databricks.sdk import AccountClient

    return AccountClient(config=_config(host, account))


def _config(host: str, account: str | None) -> Config:
    from databricks.sdk.core import Config
    from databricks.sdk.errors.base import DatabricksError

    try:
        # Only for a request that was never answered, or with 429 or 503; nothing that changes is sent twice otherwise.
        return Config(
            host=host, account_id=account, retry_timeout_seconds=PATIENCE, http_timeout_seconds=30, product="gatehouse"
        )
    except (ValueError, DatabricksError, OSError) as error:
        to = f" --account-id {account}" if account else ""
        raise PlatformError(
            f"Nobody is signed in at {host}: {' '.join(str(error).split())[:200]}",
            why="What is there is seen with somebody's rights, and made with them.",
            remedy=f"databricks auth login --host {host}{to}",
        ) from None


@contextmanager
def translated(doing: str, remedy: str) -> Iterator[None]:
    """Errors of the SDK in our words: AccessDenied, StateError for a conflict, Unanswered for silence."""
    from databricks.sdk import errors
    from databricks.sdk.errors.base import DatabricksError
    from requests import RequestException

    try:
        yield
    except GatehouseError:
        raise
    except (errors.PermissionDenied, errors.Unauthenticated) as error:
        raise AccessDenied(
            f"{doing}: {_said(error)}", why="This identity has no right to it, or its token has expired.", remedy=remedy
        ) from error
    except (errors.ResourceConflict, errors.AlreadyExists) as error:
        raise StateError(
            f"{doing}: {_said(error)}",
            why="Somebody made it a moment ago, or the name is taken where this token does not see it.",
            remedy="gatehouse setup --plan",
        ) from error
    except (DatabricksError, RequestException, TimeoutError, ValueError) as error:
        raise Unanswered(
            f"{doing}: {_said(error)}",
            status=500 if isinstance(error, DatabricksError) else None,
            why="Whether it happened cannot be told.",
            remedy=remedy,
        ) from error


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
