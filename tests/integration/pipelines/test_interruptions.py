"""Killed or stopped anywhere, the same command afterwards ends where it would have ended: nothing lost, nothing twice.

First at each single write, in this process; then by real signals to real commands in processes of their own.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyspark.sql import functions as F

from gatehouse.cli import main
from gatehouse.lakehouse.locks import writer_lock
from gatehouse.lakehouse.mlflow_database import exclusive
from gatehouse.lakehouse.registry_mlflow import MlflowRegistry
from gatehouse.lakehouse.tables import DeltaTables
from gatehouse.lakehouse.tracking import Run
from gatehouse.pipelines.features import refresh
from gatehouse.pipelines.inference import infer
from gatehouse.pipelines.ingest import ingest
from gatehouse.pipelines.monitoring import monitor
from gatehouse.pipelines.training import train

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from tests.integration.pipelines.conftest import Command, Lakehouse, Open

    from gatehouse.pipelines.context import Context
    from gatehouse.project import Extraction

pytestmark = pytest.mark.slow

LATER = "2013-10-08"
MODEL = "prod.temperature.temperature"
VOLATILE = {"code", "finished_at", "rows", "updated", "quarantined", "changed_from", "version", "since", "inputs"}
"""Columns of a run's record that say when and by what it was completed, and in how many steps."""

PIPELINES: dict[str, Callable[[Context], object]] = {
    "ingest": ingest,
    "features": refresh,
    "training": lambda context: train(context, proposer="ada@example.org"),
    "inference": infer,
    "monitoring": monitor,
}
WRITTEN = {
    "ingest": ("daily_weather", "daily_weather_quarantine", "expectation_results", "pipeline_runs"),
    "features": ("recent_weather", "pipeline_runs"),
    "training": (),
    "inference": ("predictions", "pipeline_runs"),
    "monitoring": ("monitoring_metrics", "pipeline_runs"),
}


class Killed(BaseException):
    """Nothing in the package catches it, as nothing catches SIGKILL."""


WRITES: list[tuple[type, str]] = [
    *((DeltaTables, name) for name in ("append", "merge", "replace")),
    *((Run, name) for name in ("log_params", "log_metrics", "log_text", "log_dict", "log_table_inputs")),
    (MlflowRegistry, "register"),
]


@contextmanager
def killed_after(number: int) -> Iterator[list[str]]:
    """The process dies right after that many writes to tables, runs and registry; the list names those that were."""
    done: list[str] = []

    def dying(original: Callable[..., Any], name: str) -> Callable[..., Any]:
        def write(*arguments: Any, **named: Any) -> Any:
            found = original(*arguments, **named)
            done.append(name)
            if len(done) == number:
                raise Killed
            return found

        return write

    with pytest.MonkeyPatch.context() as patched:
        for port, name in WRITES:
            patched.setattr(port, name, dying(getattr(port, name), name))
        yield done


def eventful(lakehouse: Lakehouse) -> Lakehouse:
    """Since October a day was corrected and another is impossible."""
    (source,) = lakehouse.world.project.sources

    def extract(asked: Extraction) -> DataFrame:
        rows, at = source.extract(asked), F.col("measured_at")
        corrected, impossible = at == F.lit("2013-09-29").cast("timestamp"), at == F.lit("2013-10-03").cast("timestamp")
        changed = F.when(corrected, 21.5).when(impossible, 999.0).otherwise(F.col("temperature"))
        return rows.withColumn(
            "temperature", F.when(F.col("airport") == "JFK", changed).otherwise(F.col("temperature"))
        )

    return lakehouse.declaring(sources=(replace(source, extract=extract),))


@pytest.fixture(scope="module")
def states(trained_once: Lakehouse, open_lakehouse: Open, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The lakehouse as it is right before each pipeline."""
    folder = tmp_path_factory.mktemp("states")
    lakehouse = open_lakehouse(Path(shutil.copytree(trained_once.world.place.root, folder / "running")))
    before = {}
    for name, run in PIPELINES.items():
        before[name] = Path(shutil.copytree(folder / "running", folder / name))
        run(eventful(lakehouse).at(LATER))
    return before


def content(lakehouse: Lakehouse, tables: tuple[str, ...]) -> dict[str, list[tuple[Any, ...]]]:
    """Rows of tables with numbers to nine digits, and the model's versions: one more would be a training too many."""

    def rounded(row: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(float(f"{value:.9g}") if isinstance(value, float) else value for value in row)

    found = {}
    for table in tables:
        columns = [c for c in lakehouse.frame(table).columns if table != "pipeline_runs" or c not in VOLATILE]
        found[table] = [rounded(row) for row in lakehouse.rows(table, "prod", *columns)]
    registry = lakehouse.at(LATER).registry
    found["versions"] = [(v.version, v.aliases) for v in registry.versions(MODEL)]
    return found


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_a_pipeline_killed_after_any_of_its_writes_is_completed_by_the_same_command(
    states: dict[str, Path], open_lakehouse: Open, tmp_path: Path, pipeline: str
) -> None:
    def fresh(name: str) -> Lakehouse:
        return eventful(open_lakehouse(Path(shutil.copytree(states[pipeline], tmp_path / name))))

    run, tables = PIPELINES[pipeline], WRITTEN[pipeline]
    reference = fresh("reference")
    with killed_after(0) as writes:
        run(reference.at(LATER))
    expected = content(reference, tables)

    assert len(writes) >= 2
    for number, (write, following) in enumerate(pairwise([*writes, "end"]), start=1):
        if write.startswith("log_") and following.startswith("log_"):
            continue  # a run that nobody registered, with one note more or less
        lakehouse = fresh(str(number))
        with killed_after(number), pytest.raises(Killed):
            run(lakehouse.at(LATER))
        run(lakehouse.at(LATER))
        assert content(lakehouse, tables) == expected, f"killed after write {number}, {write}"


PRELOADED = [
    "alembic.command",
    "gatehouse.pipelines.reporting",
    "gatehouse.pipelines.steps",
    "mlflow.pyfunc",
    "mlflow.sklearn",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_store",
    "pysail.spark",
    "pyspark.sql.connect.session",
    "sklearn.linear_model",
    "sklearn.pipeline",
]
"""What every command imports: done once in the server from which the processes are forked, which saves 5 s each."""


@pytest.fixture(scope="module")
def start() -> Iterator[Callable[[Lakehouse, str], BaseProcess]]:
    """Starts a command line in a process of its own."""
    context = multiprocessing.get_context("forkserver")
    with pytest.MonkeyPatch.context() as patched:
        # The server has no main module on disk, which pyspark takes for a broken installation unless this is set.
        patched.setenv("SPARK_HOME", "none")
        context.set_forkserver_preload(PRELOADED)

        def run(lakehouse: Lakehouse, line: str) -> BaseProcess:
            place = lakehouse.world.place
            options = ["--conf", str(place.settings.conf), "--lakehouse", str(place.root)]
            process = context.Process(target=main, args=([*options, *line.split()],))
            process.start()
            return process

        yield run


@pytest.fixture(scope="module")
def uninterrupted(states: dict[str, Path], open_lakehouse: Open, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What each pipeline writes if nobody stops it."""
    found = {}
    for name, run in PIPELINES.items():
        folder = tmp_path_factory.mktemp("uninterrupted") / name
        lakehouse = open_lakehouse(Path(shutil.copytree(states[name], folder)))
        run(lakehouse.at(LATER))
        found[name] = content(lakehouse, WRITTEN[name])
    return found


@pytest.mark.engine("sail")  # a forked process has no JVM
@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
@pytest.mark.parametrize("pipeline", PIPELINES)
def test_a_command_that_is_stopped_leaves_a_lakehouse_in_which_the_same_command_goes_on(
    states: dict[str, Path],
    open_lakehouse: Open,
    command: Command,
    start: Callable[[Lakehouse, str], BaseProcess],
    uninterrupted: dict[str, Any],
    tmp_path: Path,
    pipeline: str,
    sent: signal.Signals,
) -> None:
    lakehouse = open_lakehouse(Path(shutil.copytree(states[pipeline], tmp_path / "lakehouse")))
    root = lakehouse.world.place.root
    lakehouse.at(LATER)  # MLflow's database learns that it was copied, which it could not while its lock is taken
    shutil.rmtree(root / "locks")
    line = f"run {pipeline} --env prod --as-of {LATER}"

    # It cannot end before it is stopped: the locks that its writes need are taken.
    with exclusive(root), writer_lock(root / "locks", "prod.temperature", timeout=0):
        process = start(lakehouse, line)
        wait_for(process, root / "locks" / f"prod.temperature.{pipeline}.lock")
        os.kill(process.pid or 0, sent)
        process.join(60)
    assert process.exitcode == {signal.SIGKILL: -signal.SIGKILL, signal.SIGINT: 130}[sent]

    again = command(lakehouse, line)

    assert again.code == 0, again.err
    assert content(lakehouse, WRITTEN[pipeline]) == uninterrupted[pipeline]


def wait_for(process: BaseProcess, file: Path) -> None:
    """Until the file is there; the process has a minute to make it."""
    deadline = time.monotonic() + 60
    while not file.exists():
        assert process.is_alive(), f"ended with {process.exitcode}"
        assert time.monotonic() < deadline
        process.join(0.005)
