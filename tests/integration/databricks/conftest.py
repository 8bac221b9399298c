"""A workspace on loopback, seen through the real databricks-sdk; time passes only where somebody waits."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.databricks.jobs_api import JobsApi
from tests.integration.databricks.loopback import Loopback

from gatehouse.databricks.client import Workspace, open_workspace

TOKEN = "dapi-s3cret"  # noqa: S105 - of nobody


class Hours:
    """A clock that goes on when somebody sleeps; `slept` is how long each time."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0
        self.slept: list[float] = []

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def pressed() -> Iterator[None]:
    """A signal to this process reaches Python alone; an engine that another test has started would stop at it."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def hours() -> Hours:
    return Hours()


@pytest.fixture
def server() -> Iterator[Loopback]:
    loopback = Loopback()
    with loopback.running():
        yield loopback


@pytest.fixture
def logged_in(server: Loopback, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The environment of somebody with a token, and of nothing else."""
    for name in ("DATABRICKS_CLIENT_ID", "DATABRICKS_AUTH_TYPE", "DATABRICKS_CONFIG_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("DATABRICKS_HOST", server.address)
    monkeypatch.setenv("DATABRICKS_TOKEN", TOKEN)


@pytest.fixture
def workspace(logged_in: None, hours: Hours) -> Workspace:
    return open_workspace(hours)


@pytest.fixture
def jobs(server: Loopback) -> JobsApi:
    return JobsApi(server)
