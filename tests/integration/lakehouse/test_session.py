"""One engine per process, in UTC, that Ctrl-C can end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import pytest
from pyspark.sql.connect.client import DefaultChannelBuilder, SparkConnectClient

from gatehouse.errors import ConfigurationError, PlatformError
from gatehouse.lakehouse.jvm import start_jvm
from gatehouse.lakehouse.session import (
    FOLDERS_CATALOG,
    Engine,
    close_session,
    installed_engine,
    interruptible,
    open_session,
    sail_channel,
)

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


GZIP = b"\x1f\x8b\x08"


def as_pyspark_asks(port: int) -> DefaultChannelBuilder:
    return DefaultChannelBuilder(f"sc://127.0.0.1:{port}")


@contextmanager
def listening_in(target: int) -> Iterator[tuple[int, bytearray]]:
    """A port that leads to another, and what came back over it."""
    answers = bytearray()

    def pass_on(source: socket.socket, sink: socket.socket, heard: bytearray) -> None:
        with suppress(OSError):
            while chunk := source.recv(65536):
                heard += chunk
                sink.sendall(chunk)
            sink.shutdown(socket.SHUT_WR)

    def relay(listener: socket.socket) -> None:
        with listener.accept()[0] as near, socket.create_connection(("127.0.0.1", target)) as far:
            there = threading.Thread(target=pass_on, args=(near, far, bytearray()), daemon=True)
            there.start()
            pass_on(far, near, answers)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=relay, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1], answers


def test_opened_again_a_session_is_the_same_one_until_the_last_has_closed_it(
    spark: SparkSession, engine: Engine
) -> None:
    again = open_session(engine, catalogs=["prod"])
    assert again is spark
    close_session(again)
    assert spark.sql("select 1 as one").collect() == [(1,)]


def test_a_process_has_one_engine_with_the_catalogs_it_started_with(spark: SparkSession, engine: Engine) -> None:
    other = Engine.JVM if engine is Engine.SAIL else Engine.SAIL
    with pytest.raises(PlatformError, match="were asked for"):
        open_session(other, catalogs=["dev"])
    if engine is Engine.SAIL:
        with pytest.raises(PlatformError, match="elsewhere"):
            open_session(engine, catalogs=["elsewhere"])


def test_moments_are_utc_for_sql_for_the_process_and_for_pandas(spark: SparkSession) -> None:
    frame = spark.sql(
        "select timestamp'2013-07-01 12:00:00' as moment, cast(moment_text as timestamp) as parsed "
        "from values ('2013-07-01T08:00:00-04:00') as t(moment_text)"
    )
    noon = datetime(2013, 7, 1, 12, tzinfo=UTC)
    assert [tuple(r) for r in frame.collect()] == [(noon.replace(tzinfo=None),) * 2]
    assert [m.tz_localize(UTC) for m in frame.toPandas().iloc[0]] == [noon, noon]
    assert time.timezone == 0


@pytest.mark.engine("sail")
def test_a_batch_is_large_enough_for_a_model_to_score_it_fast(spark: SparkSession) -> None:
    assert os.environ["SAIL_EXECUTION__BATCH_SIZE"] == "65536"


@pytest.mark.engine("sail")
@pytest.mark.parametrize(("asked", "packed"), [(sail_channel, False), (as_pyspark_asks, True)])
def test_answers_come_as_they_are(
    spark: SparkSession, asked: Callable[[int], DefaultChannelBuilder], *, packed: bool
) -> None:
    sail = cast("Any", spark).client._builder.url.port
    # Closed in any case: Sail does not stop under an open one.
    with listening_in(sail) as (port, answers), closing(SparkConnectClient(asked(port))) as client:
        client.get_configs("spark.sql.session.timeZone")
    assert (GZIP in answers) is packed


ALONE = """
import os
from gatehouse.lakehouse.session import Engine, close_session, open_session
for catalogs in (["acme", "dev"], ["other"]):
    spark = open_session(Engine.SAIL, catalogs=catalogs)
    print([r.catalog for r in spark.sql("SHOW CATALOGS").orderBy("catalog").collect()], spark.catalog.currentCatalog())
    close_session(spark)
    close_session(spark)
print(os.environ["DATABRICKS_HOST"])
"""


@pytest.mark.engine("sail")
def test_a_closed_engine_can_be_started_with_other_catalogs_and_a_workspace_is_none_of_its_business() -> None:
    environment = {**os.environ, "DATABRICKS_HOST": "https://example.org", "UC_CATALOG": "x", "RUST_LOG": "warn"}
    run = subprocess.run(
        [sys.executable, "-"], input=ALONE, capture_output=True, text=True, env=environment, timeout=60, check=True
    )
    assert run.stdout.splitlines() == [
        f"['acme', 'dev', '{FOLDERS_CATALOG}', 'system'] acme",
        f"['{FOLDERS_CATALOG}', 'other', 'system'] other",
        "https://example.org",
    ]


def test_a_catalog_cannot_take_the_name_of_one_of_the_engines_own() -> None:
    from gatehouse.lakehouse.session import _start_sail  # a session is open, so not by the front door

    with pytest.raises(ConfigurationError, match="'system'"):
        _start_sail(["dev", "system"])


def test_without_an_engine_the_command_that_installs_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABRICKS_RUNTIME_VERSION", raising=False)
    for module in ("pysail", "delta", "databricks", "databricks.connect"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(PlatformError, match="No Spark engine is installed") as raised:
        installed_engine()
    assert "uv sync" in str(raised.value)


def test_without_java_the_jvm_engine_says_so_before_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(PlatformError, match="Java was not found"):
        start_jvm()


@pytest.mark.engine("sail")
def test_ctrl_c_ends_a_running_query_and_the_session_goes_on(spark: SparkSession) -> None:
    before = signal.getsignal(signal.SIGINT)
    endless = spark.sql("select count(*) from range(1000000000000) where pmod(id, 7) = 8")
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt), interruptible(spark):
        endless.collect()
    assert time.monotonic() - started < 5
    assert spark.sql("select 1 as one").collect() == [(1,)]
    assert signal.getsignal(signal.SIGINT) is before


def test_outside_the_main_thread_interrupts_are_left_to_others(spark: SparkSession) -> None:
    found: list[object] = []

    def work() -> None:
        with interruptible(spark):
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [signal.getsignal(signal.SIGINT)]


DEAF = """
import os, signal, threading
from gatehouse.lakehouse.session import interruptible

class Deaf:
    def interruptAll(self):
        threading.Event().wait()

print("complete")
with interruptible(Deaf(), grace=float(os.environ["GRACE"])):
    for moment in os.environ["MOMENTS"].split():
        threading.Timer(float(moment), os.kill, (os.getpid(), signal.SIGINT)).start()
    threading.Event().wait()
"""


@pytest.mark.parametrize(("grace", "moments"), [("0.1", "0.1"), ("1000", "0.1 0.3")])
def test_an_engine_that_does_not_answer_is_left_after_the_grace_or_at_the_second_ctrl_c(
    grace: str, moments: str
) -> None:
    run = subprocess.run(
        [sys.executable, "-"],
        input=DEAF,
        capture_output=True,
        text=True,
        env={**os.environ, "GRACE": grace, "MOMENTS": moments},
        timeout=60,
        check=False,
    )
    assert (run.returncode, run.stdout) == (130, "complete\n")
    assert "Interrupted." in run.stderr
