"""Rows per second of batch scoring, beside calling the model directly on a DataFrame in memory.

    uv run python bench/scoring.py [--json FILE] [--rows 1000000]

The rows have the example's features and lie in a Delta table; the model is the example's estimator with the first
reviewed options. Three ways, taken in turns in one process so that a busy machine is busy for all of them:

    directly    the stored model's `predict` on a pandas DataFrame that is already in memory
    scored      what the inference pipeline does: read the table, `score` in Spark's workers, count the result
    written     the same, appended to an inference log of the declared form

Each turn gives a ratio of seconds; the median of them is shown. Processor seconds (all threads of the process, in which
the engine lives) say the same where others use the machine too. Takes a minute on 2 cores, and 0.6 GB of disk while it
runs.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from flight_delays import PROJECT
from gatehouse.pipelines.scoring import PREDICTION, score, stored_model
from gatehouse.pipelines.tables import predictions_table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from gatehouse.lakehouse.tables import DeltaTables, TableName

TARGET = 0.8
TURNS = 5
TRAINING_ROWS = 80_000
MISSING = 0.05
"""Share of features that are null, as where no weather was observed."""


def rows(count: int, seed: int) -> pd.DataFrame:
    """Keys, moments and features of so many events, spread over a month."""
    rng = np.random.default_rng(seed)
    scheduled = np.datetime64("2013-04-01T10:00") + np.sort(rng.integers(0, 30 * 24 * 60, count)).astype("m8[m]")
    columns: dict[str, Any] = {
        "carrier": rng.choice(["9E", "AA", "B6", "DL", "EV", "UA", "US", "WN"], count),
        "flight_number": np.arange(count, dtype=np.int32),
        "origin": rng.choice(["EWR", "JFK", "LGA"], count),
        "scheduled_at": pd.to_datetime(scheduled).tz_localize("UTC"),
        "event_time": pd.to_datetime(scheduled).tz_localize("UTC"),
        "unit": scheduled.astype("M8[D]").astype(str),
    }
    for name in PROJECT.features:
        values = np.round(rng.normal(0.0, 1.0, count), 2)  # 700 values; those of the example have 20 to 20,000
        columns[name] = np.where(rng.random(count) < MISSING, np.nan, values)
    return pd.DataFrame(columns)


def store_model(folder: Path) -> Path:
    """The example's model, fitted on outcomes that depend on eight of its features, in the form the registry keeps."""
    from mlflow.models import infer_signature

    from gatehouse.lakehouse.mlflow_globals import import_mlflow
    from gatehouse.settings import find_conf, load

    mlflow = import_mlflow()
    options = load(find_conf(Path(__file__).parent)).options.candidates[0].options
    seen = rows(TRAINING_ROWS, seed=1)[list(PROJECT.features)]
    rng = np.random.default_rng(2)
    logit = seen.fillna(0.0).to_numpy()[:, :8] @ rng.normal(0.0, 0.5, 8) - 1.2
    late = pd.Series((rng.random(len(seen)) < 1.0 / (1.0 + np.exp(-logit))).astype(float))
    fitted: Any = PROJECT.estimator.fit(seen, late, options, seed=1)
    signature = infer_signature(seen.head(5), fitted.predict(seen.head(5)))
    mlflow.lightgbm.save_model(fitted.booster, str(folder), signature=signature, pip_requirements=["lightgbm"])
    return folder


Taken = dict[str, list[tuple[float, float]]]
"""By way: seconds and processor seconds of each turn."""


def in_turns(ways: dict[str, Callable[[], object]], turns: int) -> Taken:
    """Every way in every turn, after one turn that warms up."""
    taken: Taken = {name: [] for name in ways}
    for turn in range(-1, turns):
        for name, way in ways.items():
            started, used = time.perf_counter(), time.process_time()
            way()
            if turn >= 0:
                taken[name].append((time.perf_counter() - started, time.process_time() - used))
    return taken


def rate(taken: Taken, name: str, which: int) -> float:
    """The way's rate against that of calling the model directly: the median over turns."""
    return median(d[which] / w[which] for d, w in zip(taken["directly"], taken[name], strict=True))


def measure(count: int, root: Path) -> Taken:
    """The three ways on so many rows."""
    import mlflow.pyfunc
    from deltalake import write_deltalake
    from pyspark.sql import functions as F

    from gatehouse.lakehouse.session import Engine, open_session
    from gatehouse.lakehouse.tables import DeltaTables, TableName

    model = store_model(root / "model")
    frame = rows(count, seed=3)
    write_deltalake(str(root / "events"), frame)
    spark = open_session(Engine.SAIL, catalogs=["bench"])
    tables = DeltaTables(spark, Engine.SAIL, root, writable=[("bench", "main")])
    features = list(PROJECT.features)
    log = TableName("bench", "main", "predictions")
    in_memory, loaded = frame[features], mlflow.pyfunc.load_model(str(model))

    def scored() -> DataFrame:
        events = spark.read.format("delta").load(str(root / "events"))
        return score(events, stored_model(model, features), PROJECT.task)

    def total(predictions: DataFrame) -> float:
        return float(predictions.agg(F.sum(PREDICTION).alias("sum")).toPandas()["sum"].iloc[0])

    taken = in_turns(
        {
            "directly": lambda: loaded.predict(in_memory),
            "scored": lambda: total(scored()),
            "written": lambda: append(tables, log, scored()),
        },
        TURNS,
    )
    expected = float(np.sum(loaded.predict(in_memory)))
    found = [total(scored()), total(tables.read(log)) / (TURNS + 1)]
    assert np.allclose(found, expected, rtol=1e-9), f"{found} were predicted, and {expected} directly"
    return taken


def append(tables: DeltaTables, log: TableName, scored: DataFrame) -> None:
    """Put the predictions at the end of the inference log, as the pipeline does."""
    from pyspark.sql import functions as F

    declared = predictions_table(PROJECT)
    tables.create(log, declared)
    named = scored.withColumns(
        {
            "run_key": F.lit("20130501T000000-v1"),
            "model_version": F.lit("1"),
            "predicted_at": F.lit(datetime(2013, 5, 1, tzinfo=UTC)),
        }
    )
    tables.append(log, named.select(*declared.names))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gatehouse-scoring-") as folder:
        taken = measure(options.rows, Path(folder))
    table = Table(
        "", "seconds", "rows a second", "rate", "processor seconds", "rate", title=f"Scoring {options.rows:,} rows"
    )
    for name, turns in taken.items():
        seconds, used = (median(turn[which] for turn in turns) for which in (0, 1))
        shares = [f"{rate(taken, name, which):.2f}" for which in (0, 1)]
        table.add_row(name, f"{seconds:.2f}", f"{options.rows / seconds:,.0f}", shares[0], f"{used:.2f}", shares[1])
    console = Console(width=110)
    console.print(table)
    console.print(f"Target for scored: {TARGET}. Load of the machine at the end: {os.getloadavg()[0]:.1f}.")
    if options.json:
        rates = {n: {"seconds": rate(taken, n, 0), "processor": rate(taken, n, 1)} for n in taken}
        found = {"rows": options.rows, "taken": taken, "rates": rates, "load": os.getloadavg()[0]}
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
