"""Seconds and memory of a challenge: two contenders, 20 slices, four metrics, every interval and test.

    uv run python bench/challenge_speed.py [--json FILE] [--rows 10000000]

Each size runs in a fresh process on the embedded engine, from scored rows in a Delta table to the last p-value; seconds
exclude the start of the session, memory is what the process grows by at its peak. Beside it, on a tenth of the rows:
row resamples of log loss and ROC AUC of both models with scikit-learn (the way to get an interval when no statistics
are kept), of which 5 are measured and 2,000 reckoned; and `mlflow.models.evaluate`, which gives no interval. Takes
a minute or two on 2 cores, and 1.5 GB of disk while it runs.
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

DAYS = 56
SLICES = {"carrier": 14, "origin": 3, "season": 3}
PARTS = 10  # a table is written in parts, one version each: a tenth of the rows is version 0, all of them version 9
RESAMPLES = 2_000
MEASURED = 5


def scored_rows(count: int, seed: int) -> pa.Table:
    """Outcomes and two models' probabilities: `new` errs a little less than `old`."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(-1.3, 1.2, count)
    days = np.array([str(np.datetime64("2013-07-01") + i) for i in range(DAYS)])
    columns: dict[str, Any] = {
        "day": days[np.sort(rng.integers(0, DAYS, count))],
        "late": (rng.random(count) < 1 / (1 + np.exp(-logit))).astype(float),
        "old": 1 / (1 + np.exp(-(logit + rng.normal(0, 0.50, count)))),
        "new": 1 / (1 + np.exp(-(logit + rng.normal(0, 0.45, count)))),
    }
    for name, values in SLICES.items():
        columns[name] = np.array([f"{name} {i}" for i in range(values)])[rng.integers(0, values, count)]
    return pa.table(columns)


def write(path: Path, part_rows: int, parts: int) -> None:
    """A Delta table of that many versions, each of them a part longer."""
    from deltalake import write_deltalake

    for part in range(parts):
        write_deltalake(str(path), scored_rows(part_rows, seed=part), mode="append")


def challenge(path: Path, version: int) -> dict[str, float]:
    """What one process measures of itself."""
    from gatehouse.evaluation.comparison import Comparison, compare
    from gatehouse.evaluation.metrics import AVERAGE_PRECISION, BRIER, LOG_LOSS, ROC_AUC, Task
    from gatehouse.evaluation.significance import Evidence, evidence
    from gatehouse.evaluation.statistics import collect
    from gatehouse.lakehouse.session import Engine, open_session

    spark = open_session(Engine.SAIL, catalogs=["dev"])
    rows = spark.read.format("delta").option("versionAsOf", version).load(str(path))
    rows.limit(1).toArrow()
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    statistics = collect(
        rows,
        unit="day",
        label="late",
        predictions={"champion": "old", "candidate": "new"},
        slices=list(SLICES),
        metrics=[LOG_LOSS, BRIER, ROC_AUC, AVERAGE_PRECISION],
        task=Task.BINARY,
    )
    collected = time.monotonic() - started
    proven = 0
    for comparison in compare(statistics, champion="champion", candidate="candidate"):
        assert isinstance(comparison, Comparison)
        found = evidence(comparison)
        assert isinstance(found, Evidence)
        proven += found.p_better() < 0.05
    seconds = time.monotonic() - started
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {
        "rows": float(statistics.sums.rows[0].sum()),
        "slices": float(len(statistics.slices) - 1),
        "seconds": seconds,
        "seconds_in_rows": collected,
        "megabytes_grown": grown / 1024 if sys.platform != "darwin" else grown / 2**20,
        "called_better": float(proven),
    }


def in_fresh_process(path: Path, version: int) -> dict[str, float]:
    """The same, where nothing was imported or allocated before."""
    command = [sys.executable, __file__, "--challenge", str(path), str(version)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def resample_seconds(table: pa.Table) -> float:
    """One bootstrap resample of rows: log loss and ROC AUC of both models."""
    from sklearn.metrics import log_loss, roc_auc_score

    y, predictions = table["late"].to_numpy(), [table[name].to_numpy() for name in ("old", "new")]
    rng = np.random.default_rng(1)
    started = time.monotonic()
    for _ in range(MEASURED):
        chosen = rng.integers(0, len(y), len(y))
        for p in predictions:
            log_loss(y[chosen], p[chosen])
            roc_auc_score(y[chosen], p[chosen])
    return (time.monotonic() - started) / MEASURED


def mlflow_seconds(table: pa.Table, folder: Path) -> float:
    """`mlflow.models.evaluate` of both models' decisions, after a first call that sets it up."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["GIT_PYTHON_REFRESH"] = "quiet"
    mlflow: Any = importlib.import_module("mlflow")  # untyped
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    mlflow.create_experiment("bench", artifact_location=(folder / "artifacts").as_uri())
    mlflow.set_experiment("bench")
    decided = table.to_pandas()[["late", "old", "new"]] >= 0.5

    def evaluate(rows: Any) -> None:
        for name in ("old", "new"):
            mlflow.models.evaluate(data=rows, targets="late", predictions=name, model_type="classifier")

    evaluate(decided.head(1_000))
    started = time.monotonic()
    evaluate(decided)
    return time.monotonic() - started


def show(console: Console, found: dict[str, Any]) -> None:
    """Two tables: the challenge by size, and the other ways on a tenth of it."""
    growth = Table("rows", "seconds", "of it reading rows", "memory grown, MB", title="Challenge, 20 slices, 4 metrics")
    for run in found["challenge"]:
        growth.add_row(
            f"{run['rows']:,.0f}",
            f"{run['seconds']:.1f}",
            f"{run['seconds_in_rows']:.1f}",
            f"{run['megabytes_grown']:,.0f}",
        )
    console.print(growth)
    small = found["small"]
    ratio = found["resampling_seconds"] / small["seconds"]
    beside = Table("", "seconds", "gives", title=f"Side by side on {small['rows']:,.0f} rows, two models")
    beside.add_row("Gatehouse", f"{small['seconds']:.2f}", "84 values with intervals and tests that know days")
    beside.add_row(
        f"{RESAMPLES:,} row resamples, scikit-learn",
        f"{found['resampling_seconds']:,.0f}",
        f"2 intervals that do not ({MEASURED} resamples measured, {found['resample_seconds']:.2f} s each)",
    )
    beside.add_row(
        "mlflow.models.evaluate", f"{found['mlflow_seconds']:.2f}", "metrics of decisions, without intervals"
    )
    console.print(beside)
    console.print(f"{ratio:,.0f} times faster than resampling rows.")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--challenge", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.challenge:
        path, version = options.challenge
        print(json.dumps(challenge(Path(path), int(version))), flush=True)
        os._exit(0)  # the engine lives in this process and need not be wound up
    with tempfile.TemporaryDirectory(prefix="gatehouse-challenge-") as folder:
        path, part_rows = Path(folder) / "scored", options.rows // PARTS
        write(path, part_rows, 3 * PARTS)
        small = scored_rows(part_rows, seed=0)
        resample = resample_seconds(small)
        found = {
            "challenge": [in_fresh_process(path, share * PARTS - 1) for share in (1, 3)],
            "small": in_fresh_process(path, 0),
            "resample_seconds": resample,
            "resampling_seconds": resample * RESAMPLES,
            "mlflow_seconds": mlflow_seconds(small, Path(folder)),
        }
    show(Console(width=130), found)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
