"""The one place that opens databricks-sdk's client: who asks, how patiently, and what its failures mean here."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from json import JSONDecodeError
from typing import TYPE_CHECKING, Protocol, TypeVar

from gatehouse import __version__
from gatehouse.errors import AccessDenied, Busy, ConfigurationError, GatehouseError, Unanswered

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.clock import Clock as SdkClock

T = TypeVar("T")

_EXPECTED = (OSError, ValueError, KeyError, TypeError, AttributeError, NotImplementedError)
"""What the SDK raises for what a workspace does. Its own errors and those of requests are OSErrors."""
_TRIES = 5
_LONGEST_PAUSE = 60.0
"""Seconds, whatever `Retry-After` says."""
_SECRETS = ("token", "client_secret", "password", "azure_client_secret")
_SECRET_VARIABLES = ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "SYSTEM_ACCESSTOKEN", "DATABRICKS_TOKEN")
_UNKNOWN = "Without its answer nobody knows, and not knowing is never a yes."
_GONE = re.compile(r"\b(Job|Run) \d+ does not exist")
_LOG_IN = {
    "pat": "Set DATABRICKS_TOKEN to a token that is still valid; then run it again.",
    "github-oidc": "Give the job `id-token: write`, and compare the service principal's federation policy with the"
    " subject of this run: gatehouse setup --plan",
    "azure-devops-oidc": "Map SYSTEM_ACCESSTOKEN: $(System.AccessToken) in the step, and compare the service"
    " principal's federation policy with this pipeline: gatehouse setup --plan",
}
_LOG_IN_HERE = "databricks auth login --host HOST, or set DATABRICKS_TOKEN; then run it again."


class Clock(Protocol):
    """Time, in seconds; a test gives one that does not wait."""

    def time(self) -> float:
        """Seconds since the epoch."""

    def sleep(self, seconds: float) -> None:
        """Waits."""


class RealClock:
    """This machine's."""

    def time(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Waits."""
        time.sleep(seconds)


class Workspace:
    """A workspace as somebody sees it. Everything is asked through `ask`."""

    def __init__(self, sdk: WorkspaceClient, clock: Clock) -> None:
        self.sdk = sdk
        self.clock = clock

    @property
    def host(self) -> str:
        """`https://adb-1.azuredatabricks.net`, without a slash at the end."""
        return str(self.sdk.config.host).rstrip("/")

    def ask(self, what: str, call: Callable[[], T], *, again: bool = True) -> T:
        """The answer to one call of the SDK.

        The SDK itself repeats what was throttled (429, 503, as `Retry-After` says) and what lost its connection, for
        five minutes, with every method: a call that makes something has to be one that may arrive twice. Answers of
        500 or 504 and answers that nobody can read are asked for again here.

        Args:
            what: What the call does, for the error: "starting the job flights prod release".
            call: Calls the SDK and does nothing else.
            again: False where a second call would do it a second time.

        Raises:
            Unanswered: `status` is 404 where nothing is, 409 where something is already, 400 for a call it refuses.
            AccessDenied: The credentials were not accepted, or may not do this.
            Busy: A quota or a rate limit.
        """
        attempt = 1
        while True:
            try:
                return call()
            except _EXPECTED as error:
                if attempt == _TRIES or not (again and _passing(error)):
                    raise self._meant(what, error) from None
                self.clock.sleep(float(min(2**attempt, 10)))
                attempt += 1

    def _meant(self, what: str, error: Exception) -> GatehouseError:
        """The error that the reader gets for one of the SDK's."""
        from databricks.sdk import errors as sdk

        cause = error.__cause__ if isinstance(error, TimeoutError) else error
        said = self._clean(str(cause or error))
        if isinstance(cause, sdk.Unauthenticated) or (isinstance(cause, sdk.PermissionDenied) and _of_token(said)):
            return not_accepted(self.host, str(self.sdk.config.auth_type), said)
        if isinstance(cause, sdk.PermissionDenied):
            return AccessDenied(
                f"{self.host} does not permit {what}: {said}",
                why="The identity that asks has no right to it; nothing was changed.",
                remedy="gatehouse setup --plan shows which grants are missing.",
            )
        if isinstance(cause, sdk.TooManyRequests) or "QUOTA" in str(getattr(cause, "error_code", "")):
            return Busy(
                f"{self.host} has no room for {what}: {said}",
                why="A quota or rate limit of the workspace is used up; nothing was started.",
                remedy="Wait for other runs to end, or have the quota raised; then run it again.",
            )
        if type(cause) is ValueError:  # of the exchange of tokens; what cannot be parsed is a subclass
            return not_accepted(self.host, str(self.sdk.config.auth_type), said)
        kinds = {sdk.NotFound: 404, sdk.ResourceConflict: 409, sdk.BadRequest: 400}
        status = next((number for kind, number in kinds.items() if isinstance(cause, kind)), None)
        if status == 400 and _GONE.search(said):  # some of the calls about jobs say so with another code
            status = 404
        how = "refused" if status else f"gave no answer{' that can be read' if _unread(cause) else ''} while"
        return Unanswered(
            f"{self.host} {how} {what}: {said or type(cause).__name__}",
            status=status,
            why=_UNKNOWN,
            remedy="Run it again; if it stays so, look at https://status.databricks.com.",
        )

    def _clean(self, message: str) -> str:
        return without(_one_line(message), *(getattr(self.sdk.config, name, None) for name in _SECRETS))


def open_workspace(clock: Clock | None = None) -> Workspace:
    """The workspace named by variables or by a profile in ~/.databrickscfg, as databricks-sdk reads them.

    DATABRICKS_HOST with one of DATABRICKS_TOKEN, DATABRICKS_CLIENT_ID and _SECRET, DATABRICKS_AUTH_TYPE github-oidc or
    azure-devops-oidc; inside a job nothing is needed.

    Raises:
        ConfigurationError: No variable and no profile names a workspace.
        AccessDenied: Nothing to log in with, or it was not accepted.
    """
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.config import Config

    chosen = clock or RealClock()
    try:
        config = Config(product="gatehouse", product_version=__version__, clock=_patient(chosen))
    except ValueError as error:
        host = os.environ.get("DATABRICKS_HOST", "")
        if not host and "DATABRICKS_CONFIG_PROFILE" not in os.environ:
            raise _no_host() from None
        said = without(_one_line(str(error)), os.environ.get("DATABRICKS_CLIENT_SECRET"))
        raise not_accepted(host or "The workspace", os.environ.get("DATABRICKS_AUTH_TYPE", ""), said) from None
    if not config.host:
        raise _no_host()
    return Workspace(WorkspaceClient(config=config), chosen)


def not_accepted(host: str, kind: str, said: str) -> AccessDenied:
    """Nobody is logged in."""
    return AccessDenied(
        f"{host} did not accept the credentials{f' ({kind})' if kind else ''}: {said}",
        why="A token may have expired or been revoked; nothing was changed by this call.",
        remedy=_LOG_IN.get(kind, _LOG_IN_HERE.replace("HOST", host)),
    )


def without(text: str, *secrets: str | None) -> str:
    """The text with every secret of the arguments and of the environment starred out."""
    for secret in (*secrets, *(os.environ.get(name) for name in _SECRET_VARIABLES)):
        if secret:
            text = text.replace(secret, "***")
    return text


def _one_line(message: str) -> str:
    """The SDK's message without its list of settings."""
    return " ".join(message.split(" Config: ", maxsplit=1)[0].split())[:400].rstrip(".")


def _no_host() -> ConfigurationError:
    return ConfigurationError(
        "No Databricks workspace is named: DATABRICKS_HOST is not set, and no profile has a host.",
        why="Commands on an environment with `platform: databricks` ask a workspace.",
        remedy="export DATABRICKS_HOST=https://YOUR-WORKSPACE, or databricks auth login; then run it again.",
    )


def _patient(clock: Clock) -> SdkClock:
    """The SDK waits by this one, never longer than a minute at a time."""
    from databricks.sdk.clock import Clock as Base

    class Patient(Base):
        def time(self) -> float:
            return clock.time()

        def sleep(self, seconds: float) -> None:
            clock.sleep(min(seconds, _LONGEST_PAUSE))

    return Patient()


def _passing(error: BaseException) -> bool:
    """May be gone in a moment; what the SDK has repeated for five minutes is not."""
    from databricks.sdk import errors as sdk
    from databricks.sdk.errors.base import DatabricksError
    from requests.exceptions import ChunkedEncodingError

    server = isinstance(error, sdk.InternalError | sdk.DeadlineExceeded) or type(error) is DatabricksError
    return server or _unread(error) or isinstance(error, ChunkedEncodingError)


def _unread(error: BaseException | None) -> bool:
    """There was an answer: no JSON, or not of the form that the SDK reads."""
    return isinstance(error, JSONDecodeError | UnicodeDecodeError | KeyError | TypeError | AttributeError)


def _of_token(said: str) -> bool:
    """Workspaces answer 403 to a token that they do not know, with these words."""
    return "token" in said.lower() and any(word in said.lower() for word in ("invalid", "expired", "revoked"))
