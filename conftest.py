"""One Spark session for the whole run, and a throw-away lakehouse for each test.

`pytest --engine jvm` runs the same tests on full Spark (in an environment that has it: `make test-jvm`). A test that
pins what one engine does says so with `@pytest.mark.engine("sail")`, and is skipped, with that reason, on the other.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatehouse.errors import PlatformError
from gatehouse.lakehouse import jvm
from gatehouse.lakehouse.session import Engine, close_session, installed_engine, open_session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from gatehouse.lakehouse.tables import DeltaTables

CATALOGS = ("dev", "staging", "prod")
_SMALL_QUERIES = {
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
}
"""What makes a JVM answer questions about ten rows sooner."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--engine",
        choices=[Engine.SAIL.value, Engine.JVM.value],
        help="Engine that runs the Spark tests. [default: the one that is installed]",
    )


SHARED_JVM = "GATEHOUSE_TESTS_SPARK"
"""Address of the JVM that all processes of a run share, each with its own session: a JVM takes long to become fast."""

CI_MARKS = ("GITHUB_ACTIONS", "TF_BUILD", "GITLAB_CI", "JENKINS_URL")
"""Without these variables a command takes itself to run in no CI, and writes nothing to the page of the tests' run."""


def pytest_configure(config: pytest.Config) -> None:
    gc.disable()  # collecting three thousand tests makes little garbage, and looking for it takes a second
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started by a shell in its background
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # A worker of pytest-xdist has no main file, by which pyspark tells that it is running its own doctests.
    vars(sys.modules["__main__"]).setdefault("__file__", __file__)
    for variable in CI_MARKS:
        os.environ.pop(variable, None)
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"  # where every server of a test listens
    config.addinivalue_line("markers", "engine(name): only for this engine; skipped on another")
    config.addinivalue_line("markers", "spark: uses the engine, by the fixture of that name; nobody writes this mark")
    wanted = config.getoption("--engine")
    try:
        installed = installed_engine().value
    except PlatformError as error:
        raise pytest.UsageError(str(error)) from error
    if wanted not in (None, installed):
        command = "make test-jvm" if wanted == Engine.JVM else "make test-unit"
        raise pytest.UsageError(f"--engine {wanted}, but this environment has {installed}. Next: {command}")
    if installed == Engine.JVM:
        sys.path.append(str(config.rootpath))  # its workers import test modules, functions of which they run
        if config.getoption("numprocesses", None) and SHARED_JVM not in os.environ:
            os.environ[SHARED_JVM] = jvm.start_server()
            del os.environ["SPARK_LOCAL_REMOTE"]  # by which the first process to close its session would end it


@pytest.hookimpl(tryfirst=True)  # before `-m` selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what another engine could change: `-m spark` leaves out what no engine ever sees."""
    for item in items:
        if "spark" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.spark)


def pytest_collection_finish() -> None:
    gc.freeze()  # what is there now stays to the end: no collection need look at it again
    gc.enable()


def pytest_runtest_setup(item: pytest.Item) -> None:
    installed = installed_engine().value
    for mark in item.iter_markers("engine"):
        if mark.args != (installed,):
            pytest.skip(f"is about the engine {mark.args[0]}; this run is on {installed}")


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The engine of this run."""
    return installed_engine()


@pytest.fixture(scope="session")
def spark(engine: Engine) -> Iterator[SparkSession]:
    """The session of this run; commands that open one in this process are given the same."""
    if address := os.environ.get(SHARED_JVM):
        jvm.start_jvm = lambda: jvm.connected_to(address)
    session = open_session(engine, catalogs=CATALOGS)
    if engine is Engine.JVM:
        for key, value in _SMALL_QUERIES.items():
            session.conf.set(key, value)
    yield session
    close_session(session)


@pytest.fixture
def lakehouse_root(tmp_path: Path) -> Path:
    """Folder of a lakehouse that is the test's own, and still empty."""
    return tmp_path / "lakehouse"


@pytest.fixture
def tables(spark: SparkSession, engine: Engine, lakehouse_root: Path) -> Callable[..., DeltaTables]:
    """Opens the port on the test's lakehouse: `tables()` writes dev.main, `tables(("prod", "main"))` that."""
    from gatehouse.lakehouse.tables import DeltaTables

    def open_port(*writable: tuple[str, str], lock_timeout: float = 5) -> DeltaTables:
        return DeltaTables(
            spark, engine, lakehouse_root, writable=writable or [("dev", "main")], lock_timeout=lock_timeout
        )

    return open_port
