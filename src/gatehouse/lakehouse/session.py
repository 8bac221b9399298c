"""The Spark session, on the engine that is installed.

Sail runs inside this process and needs no JVM. The JVM engine is full Spark with Delta, for parity. Both speak Spark
Connect. Moments are UTC in the session and in the process, because `collect` goes by the process.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn, cast

from gatehouse.errors import ConfigurationError, PlatformError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.connect.client import DefaultChannelBuilder

FOLDERS_CATALOG = "gatehouse_folders"
"""Catalog of Sail in which the table port attaches folders; people see views over it in the catalogs of their own."""

_WORKSPACE_SETTINGS = ("DATABRICKS_", "UC_", "UNITY_")
_NO_WAREHOUSE = "gatehouse-refuses://tables-are-written-through-the-table-port/"


class Engine(StrEnum):
    """Who runs the queries."""

    SAIL = "sail"
    JVM = "jvm"
    DATABRICKS = "databricks"


@dataclass
class _Open:
    """The session of this process. `uses` counts the opens that were not yet closed."""

    engine: Engine
    catalogs: frozenset[str]
    spark: SparkSession
    server: Any
    uses: int = field(default=1)


# An engine is one per process (Sail lives in it, the JVM is its child), so what is open is a fact of the process.
_open: list[_Open] = []


def installed_engine() -> Engine:
    """The engine whose distribution provides `pyspark` here; PlatformError says how to install one."""
    if inside_a_job():
        return Engine.DATABRICKS
    for module, engine in (
        ("pysail", Engine.SAIL),
        ("delta", Engine.JVM),
        ("databricks.connect", Engine.DATABRICKS),
    ):
        if _installed(module) and _installed("pyspark"):
            return engine
    raise PlatformError(
        "No Spark engine is installed.",
        why="Every pipeline runs on Spark.",
        remedy="uv sync    (or: pip install '.[sail]')",
    )


def open_session(engine: Engine, *, catalogs: Sequence[str]) -> SparkSession:
    """The session of this process, in which tables of these catalogs can be named; opened again, it is the same one.

    Each open wants its `close_session`. A process has one engine, and its catalogs are fixed when it starts: asking
    for others while it runs raises PlatformError.
    """
    if _open:
        return _reopened(_open[0], engine, frozenset(catalogs))
    _use_utc()
    if engine is Engine.SAIL:
        spark, server = _start_sail(catalogs)
    elif engine is Engine.JVM:
        from gatehouse.lakehouse.jvm import start_jvm

        spark, server = start_jvm(), None
    else:
        spark, server = _start_databricks(), None
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    _open.append(_Open(engine=engine, catalogs=frozenset(catalogs), spark=spark, server=server))
    return spark


def close_session(spark: SparkSession) -> None:
    """Give one open back; the last one ends the session. Closing a session that has ended does nothing."""
    for opened in [o for o in _open if o.spark is spark]:
        opened.uses -= 1
        if opened.uses == 0:
            _open.remove(opened)
            if not inside_a_job():  # whose session is not ours to end
                opened.spark.stop()  # before the server: a server stopped under an open session never returns
            if opened.server is not None:
                opened.server.stop()


def sail_channel(port: int) -> DefaultChannelBuilder:
    """The way to the Sail that listens on this port of the machine; answers are asked for as they are.

    Sail packs what it may (gzip), and now and then an answer reaches the client still packed: "Wire format was
    corrupt". Packing and unpacking also take longer than all else on the way of a large result.
    """
    from pyspark.sql.connect.client import DefaultChannelBuilder

    only_identity = ("grpc.compression_enabled_algorithms_bitset", 1)
    return DefaultChannelBuilder(f"sc://127.0.0.1:{port}", channelOptions=[only_identity])


@contextmanager
def interruptible(spark: SparkSession, *, grace: float = 5.0) -> Iterator[None]:
    """Let Ctrl-C end a running query and raise KeyboardInterrupt; outside the main thread, do nothing.

    Without it pyspark's client asks Sail to interrupt one operation and waits for ever for the answer. Where the
    engine does not answer at all within `grace` seconds (a join of billions of rows keeps Sail from listening), or at a
    second Ctrl-C, the process ends at once with exit code 130: a write that was under way is then never visible.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked = threading.Event()

    def interrupt_all() -> None:
        with suppress(Exception):  # a session that has ended has nothing to interrupt
            spark.interruptAll()

    def on_interrupt(_signal: int, _frame: FrameType | None) -> None:
        if asked.is_set():
            _end_at_once()
        asked.set()
        asking = threading.Thread(target=interrupt_all, daemon=True)
        asking.start()
        asking.join(grace)
        if asking.is_alive():
            _end_at_once()
        asked.clear()
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def inside_a_job() -> bool:
    """Whether this process runs on a workspace's compute, which sets this variable."""
    return bool(os.environ.get("DATABRICKS_RUNTIME_VERSION"))


def _start_databricks() -> SparkSession:
    """The session that a job has, or that SPARK_REMOTE leads to, or one of databricks-connect."""
    from pyspark.sql import SparkSession

    # Spark Connect leaves its metrics in every pandas frame; pyarrow says for each that they are no JSON.
    warnings.filterwarnings("ignore", "Could not serialize pd.DataFrame.attrs")
    if inside_a_job() or os.environ.get("SPARK_REMOTE"):
        return SparkSession.builder.getOrCreate()
    try:
        from databricks.connect import DatabricksSession  # type: ignore[import-untyped, unused-ignore]
    except ImportError as error:
        raise PlatformError(
            "databricks-connect is not installed, and tables of a Databricks workspace are asked for.",
            why="They are in Unity Catalog, which the embedded engine does not reach.",
            remedy="uv sync --no-group sail --group databricks    (it needs Python 3.12)",
        ) from error
    builder = DatabricksSession.builder
    session: SparkSession = (builder if os.environ.get("DATABRICKS_CLUSTER_ID") else builder.serverless()).getOrCreate()
    return session


def _end_at_once() -> NoReturn:
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.write("\nInterrupted. What was complete stays, the rest was never visible.\n")
        sys.stderr.flush()
    os._exit(130)


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _reopened(opened: _Open, engine: Engine, catalogs: frozenset[str]) -> SparkSession:
    if opened.engine is not engine or (engine is Engine.SAIL and not catalogs <= opened.catalogs):
        raise PlatformError(
            f"A Spark session with the catalogs {', '.join(sorted(opened.catalogs))} ({opened.engine}) is open; "
            f"{', '.join(sorted(catalogs))} ({engine}) were asked for.",
            why="A process has one engine, and its catalogs are fixed when it starts.",
            remedy="Close it first (close_session), or use a process of its own.",
        )
    opened.uses += 1
    return opened.spark


def _use_utc() -> None:
    os.environ["TZ"] = "UTC"
    if hasattr(time, "tzset"):  # not on Windows
        time.tzset()


def _start_sail(catalogs: Sequence[str]) -> tuple[SparkSession, Any]:
    if taken := {FOLDERS_CATALOG, "system"}.intersection(catalogs):
        raise ConfigurationError(
            f"A catalog cannot be named {taken.pop()!r} on the embedded engine.",
            why="It is the name of one of the engine's own.",
            remedy="Choose another name for it in conf/environments.yml.",
        )
    names = [*dict.fromkeys(catalogs), FOLDERS_CATALOG]
    entries = ",".join(f'{{type="memory",name="{name}",initial_database=["default"]}}' for name in names)
    os.environ["SAIL_CATALOG__LIST"] = f"[{entries}]"
    os.environ["SAIL_CATALOG__DEFAULT_CATALOG"] = names[0]
    os.environ.setdefault("SAIL_EXECUTION__BATCH_SIZE", "65536")  # a model scores large batches faster
    os.environ.setdefault("RUST_LOG", "off")
    from pysail.spark import SparkConnectServer
    from pyspark.sql.connect.session import SparkSession as Connected

    with _without_workspace_settings():
        server = SparkConnectServer("127.0.0.1", 0)
        server.start()
        _, port = server.listening_address
        spark = cast("SparkSession", Connected.builder.channelBuilder(sail_channel(port)).create())
        # Sail would put a table without a location under the current folder, whatever catalog it was named in.
        spark.conf.set("spark.sql.warehouse.dir", _NO_WAREHOUSE)
        # Otherwise pyspark looks for IPython at every call, which took a sixth of a pipeline's time.
        spark.conf.set("spark.python.sql.dataFrameDebugging.enabled", "false")
    return spark, server


@contextmanager
def _without_workspace_settings() -> Iterator[None]:
    """Sail would take these for its own Unity Catalog client, and the embedded lakehouse knows no workspace."""
    hidden = {k: v for k, v in os.environ.items() if k.startswith(_WORKSPACE_SETTINGS)}
    for key in hidden:
        del os.environ[key]
    try:
        yield
    finally:
        os.environ.update(hidden)
