"""Full Spark with Delta on the JVM, started quietly as a local Spark Connect server."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from gatehouse.errors import PlatformError
from gatehouse.lakehouse.failures import first_line

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DELTA_JAR = "io.delta:delta-spark_4.1_2.13:4.2.0"
"""Fits pyspark 4.1 and delta-spark 4.2.0, which pyproject.toml pins together."""

_CONFIGURATION = {
    "spark.jars.packages": DELTA_JAR,
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.shuffle.partitions": "2",
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "OFF",
    # Stays empty, because tables are folders of a lakehouse; the default is a folder in whatever is the current one.
    "spark.sql.warehouse.dir": str(Path(tempfile.gettempdir()) / "gatehouse-spark-warehouse"),
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UsePerfData -Duser.timezone=UTC",
}


def start_jvm() -> SparkSession:
    """A session on a server of its own, which ends with it; PlatformError if Java or Delta's jar cannot be had."""
    return connected_to(start_server())


def start_server() -> str:
    """The address of a server on two local threads, which ends with this process; PlatformError as above."""
    _require_java()
    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL)  # says again what is raised
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))  # its workers can import what we can
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "jvm.log"
        try:
            # The JVM keeps this file as its standard error for life: ivy and Java have much to say, none of it ours.
            with _errors_to(log):
                return _serve()
        except Exception as error:
            said = log.read_text(encoding="utf-8", errors="replace").splitlines()
            reasons = [line for line in said if "Exception" in line and not line.startswith("\tat ")]
            raise PlatformError(
                f"Spark on the JVM did not start: {(reasons or [first_line(error)])[0].strip()}",
                why=f"It needs Java 17 and, the first time, {DELTA_JAR} from Maven Central.",
                remedy="Check the network once, or use the embedded engine: uv sync --group sail",
            ) from error


def connected_to(address: str) -> SparkSession:
    """A session on a server that was started here or in another process; each call gives one of its own."""
    from pyspark.sql.connect.session import SparkSession as Served

    os.environ["SPARK_CONNECT_MODE_ENABLED"] = "1"
    builder = Served.builder.remote(address)
    for key, value in _CONFIGURATION.items():
        builder = builder.config(key, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # settings given at the start cannot be changed later, it says
        return cast("SparkSession", builder.create())


def _serve() -> str:
    """What pyspark does for `remote("local")`, but that its one port would be everybody's on this machine."""
    from pyspark.sql.connect.session import SparkSession as Served

    os.environ["SPARK_LOCAL_REMOTE"] = "1"  # by which stopping a session of this process stops its server
    os.environ["SPARK_CONNECT_MODE_ENABLED"] = "1"
    port = _free_port()
    Served._start_connect_server("local[2]", {**_CONFIGURATION, "spark.connect.grpc.binding.port": str(port)})
    return f"sc://localhost:{port}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _require_java() -> None:
    home = os.environ.get("JAVA_HOME")
    if (home and (Path(home) / "bin" / "java").exists()) or shutil.which("java"):
        return
    raise PlatformError(
        "Java was not found (JAVA_HOME, PATH).",
        why="The engine jvm is full Spark, which runs on Java 17 or 21.",
        remedy="Install a JDK 17, or use the embedded engine, which needs none: uv sync --group sail",
    )


@contextmanager
def _errors_to(log: Path) -> Iterator[None]:
    sys.stderr.flush()
    before = os.dup(2)
    with log.open("wb") as file:
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(before, 2)
        os.close(before)
