"""Spark Connect on loopback that takes Unity Catalog's names: full Spark with Delta, and four small classes of ours.

It needs a JDK, and full Spark beside this interpreter or in .venv-jvm, which `make full-spark` makes. Whoever connects
needs Spark's client alone: `SparkSession.builder.remote(server.remote)`, or SPARK_REMOTE.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import pytest

from gatehouse.lakehouse.jvm import DELTA_JAR

_SOURCES = Path(__file__).parent / "java"
_ROOT = Path(__file__).parents[4]
_SMALL = {
    "spark.master": "local[2]",
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.ui.enabled": "false",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UsePerfData -Duser.timezone=UTC",
}
"""What makes a JVM answer questions about ten rows sooner."""


class SparkServer:
    """A running server; its tables live as long as it does, whoever connects.

    `writers` names the users that may write a catalog; one without an entry is everybody's. `volumes` is the folder
    under which paths of `/Volumes` lie, and `python` the interpreter of Python functions: of the client's minor
    version.
    """

    def __init__(
        self,
        catalogs: Sequence[str],
        *,
        folder: Path,
        volumes: Path | None = None,
        writers: Mapping[str, Collection[str]] | None = None,
        python: str = sys.executable,
    ) -> None:
        self.volumes = volumes or folder / "volumes"
        self._catalogs = catalogs
        self._folder = folder
        self._writers = writers or {}
        self._python = python
        self._process: subprocess.Popen[str] | None = None
        self._port = 0

    @property
    def remote(self) -> str:
        """Address for `SparkSession.builder.remote` and SPARK_REMOTE."""
        return f"sc://127.0.0.1:{self._port}"

    def remote_of(self, user: str) -> str:
        """The same, for a session of this user; a plain name, or an id."""
        return f"{self.remote}/;user_id={user}"

    def __enter__(self) -> SparkServer:
        home = _spark_home()
        self._folder.mkdir(parents=True, exist_ok=True)
        self.volumes.mkdir(parents=True, exist_ok=True)
        settings = {
            **_SMALL,
            "spark.jars.packages": DELTA_JAR,
            "spark.driver.extraClassPath": str(_compiled(home)),
            "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension,gatehouse.emulated.Dialect",
            "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
            "spark.sql.sources.default": "delta",
            "spark.sql.session.timeZone": "UTC",
            # A client of Spark 4.2 reads these as plain numbers, and the default of 4.1 has a unit.
            "spark.sql.session.localRelationSizeLimit": str(3 << 30),
            "spark.sql.session.localRelationChunkSizeBytes": str(16 << 20),
            "spark.sql.warehouse.dir": str(self._folder / "warehouse"),
            "spark.local.dir": str(self._folder / "temporary"),
            "spark.connect.grpc.binding.address": "127.0.0.1",
            "spark.connect.grpc.binding.port": "0",
            "spark.hadoop.fs.file.impl": "gatehouse.emulated.Volumes",
            "spark.hadoop.gatehouse.volumes": str(self.volumes),
            # The usual one goes around `fs.file.impl`.
            "spark.sql.streaming.checkpointFileManagerClass": "org.apache.spark.sql.execution.streaming.checkpointing."
            "FileSystemBasedCheckpointFileManager",
        }
        for catalog in self._catalogs:
            settings[f"spark.sql.catalog.{catalog}"] = "gatehouse.emulated.UnityCatalog"
        for catalog, users in self._writers.items():
            settings[f"spark.sql.catalog.{catalog}.writers"] = ",".join(users)
        options = [word for key, value in settings.items() for word in ("--conf", f"{key}={value}")]
        with self.log.open("w", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                [
                    str(home / "bin" / "spark-submit"),
                    *options,
                    "--class",
                    "gatehouse.emulated.Server",
                    "spark-internal",
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=self._folder,
                env=self._environment(home),
            )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("port "):
                self._port = int(line.split()[1])
                return self
        self._end()
        raise RuntimeError(f"Spark did not start:\n{self.log.read_text(encoding='utf-8')[-4000:]}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    @property
    def log(self) -> Path:
        """What the server said: nothing that a test should print."""
        return self._folder / "spark.log"

    def kill(self) -> None:
        """End it at once, as a machine that loses its power does."""
        assert self._process is not None
        self._process.kill()
        self._end()

    def _end(self) -> None:
        if self._process is not None:
            self._process.communicate()  # the end of its input is what it waits for
            self._process = None

    def _environment(self, home: Path) -> dict[str, str]:
        hidden = ("SPARK_", "PYSPARK_", "DATABRICKS_")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(hidden)}
        modules = (
            sys.path if self._python == sys.executable else [str(_ROOT / "src")]
        )  # another has libraries of its own
        return {
            **kept,
            "SPARK_HOME": str(home),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "PYSPARK_PYTHON": self._python,
            "PYTHONPATH": os.pathsep.join([str(_ROOT), *filter(None, modules)]),
            "TZ": "UTC",
        }


def spark_server_or_skip() -> None:
    """Skip the test where no server can be had; under CI with a JDK, fail instead: there it is a mistake."""
    if shutil.which("javac") is None:
        pytest.skip("a Spark server of its own needs a JDK, and no javac runs here")
    if _find_spark_home() is None:
        message = "needs full Spark beside this interpreter, or in .venv-jvm: make full-spark"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)


def _find_spark_home() -> Path | None:
    interpreters = [Path(sys.prefix), _ROOT / ".venv-jvm"]
    homes = [home for prefix in interpreters for home in sorted(prefix.glob("lib/python3.*/site-packages/pyspark"))]
    return next((home for home in homes if (home / "jars").is_dir()), None)


def _spark_home() -> Path:
    found = _find_spark_home()
    assert found is not None, "ask `spark_server_or_skip` first"
    return found


def _compiled(home: Path) -> Path:
    """Folder of our classes, compiled once for each of their versions."""
    sources = sorted(_SOURCES.glob("*.java"))
    version = hashlib.sha256(b"".join(file.read_bytes() for file in sources)).hexdigest()[:16]
    folder = home.parents[3] / "gatehouse-spark" / version
    if not folder.is_dir():
        folder.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as partial:
            classes = Path(partial) / "classes"
            command = ["javac", "-nowarn", "-proc:none", "-cp", f"{home / 'jars'}/*", "-d", str(classes)]
            subprocess.run([*command, *map(str, sources)], check=True, capture_output=True)
            services = classes / "META-INF" / "services"
            services.mkdir(parents=True)
            (services / "org.apache.spark.sql.sources.DataSourceRegister").write_text("gatehouse.emulated.CloudFiles\n")
            try:
                classes.rename(folder)
            except OSError:
                assert folder.is_dir()  # another process was quicker
    return folder
