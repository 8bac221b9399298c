"""Seconds and memory of every pipeline at 1, 10 and 30 times the flights of a year (10 million).

    uv run python bench/scale.py [--json FILE] [--times 1 10 30]

A copy of the year has other flight numbers and other aircraft at the same minutes, so everything grows but the
calendar: as many more flights of an hour, an airline, a day. The rows lie in Parquet files, as they would on arrival.
Each size runs in a fresh process, on an empty lakehouse, through the pipelines as they are: everything of the year is
ingested, features are computed, a version is trained (three reviewed options, one thread), becomes champion without
being judged, scores its last 31 days, and the last 7 are monitored.

Shown are seconds, processor seconds (all threads; the same on a machine that others use), the highest memory of the
process while the pipeline ran (on Linux; elsewhere the highest so far), and the exponent of growth between two sizes:
1 is proportional to the rows.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from flight_delays import PROJECT, sources
from gatehouse.project import Extraction, Project, Source

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from gatehouse.pipelines.context import Context

pc: Any = importlib.import_module("pyarrow.compute")  # untyped
pq: Any = importlib.import_module("pyarrow.parquet")
AS_OF = datetime(2014, 1, 1, 12, tzinfo=UTC)
PIPELINES = ("ingest", "features", "training", "inference", "monitoring")
_FLIGHT_NUMBERS = 10_000  # the highest of a year is 8,500


def write_copies(folder: Path, times: int) -> None:
    """A Parquet file per copy of the flights and of the register of aircraft, and one of the weather."""
    for name in ("flights", "planes", "weather"):
        (folder / name).mkdir()
    pq.write_table(sources.weather(), folder / "weather" / "0.parquet")
    for copy in range(times):
        pq.write_table(another(sources.flights(), copy), folder / "flights" / f"{copy}.parquet")
        pq.write_table(another(sources.planes(), copy), folder / "planes" / f"{copy}.parquet")


def another(rows: pa.Table, copy: int) -> pa.Table:
    """The same rows with other flight numbers and other aircraft; copy 0 is the original."""
    if copy == 0:
        return rows
    changed = {"tail_number": pc.binary_join_element_wise(rows["tail_number"], f"-{copy}", "")}
    if "flight_number" in rows.column_names:
        shift = pa.scalar(copy * _FLIGHT_NUMBERS, pa.int32())
        changed["flight_number"] = pc.add(rows["flight_number"], shift)
    for name, values in changed.items():
        rows = rows.set_column(rows.column_names.index(name), name, values)
    return rows


def project_over(folder: Path) -> Project:
    """The example, with its sources reading the copies."""

    def from_files(source: Source) -> Callable[[Extraction], DataFrame]:
        table = source.table

        def extract(request: Extraction) -> DataFrame:
            from pyspark.sql import functions as F

            rows = request.spark.read.parquet(str(folder / table.name)).select(*table.names)
            moments = [F.col(m) for m in (table.known_at, table.late_known_at) if m is not None]
            wanted = F.lit(False)
            for moment in moments:
                since = F.lit(True) if request.since is None else moment > F.lit(request.since)
                wanted = wanted | ((moment <= F.lit(request.until)) & since)
            return rows.where(wanted)

        return extract

    return replace(PROJECT, sources=tuple(replace(s, extract=from_files(s)) for s in PROJECT.sources))


def run_all(folder: Path) -> list[dict[str, float | str]]:
    """What one process measures of itself: a row for each pipeline."""
    from gatehouse.cli.world import Place, open_world
    from gatehouse.progress import Silent
    from gatehouse.settings import find_conf, load

    where = Place(settings=load(find_conf(Path(__file__).parent)), root=folder / "lakehouse")
    with open_world(where, "prod") as world:
        context = replace(world, project=project_over(folder)).context("prod", AS_OF, Silent())
        rows = [measured(name, steps(context)[name]) for name in PIPELINES]
        print(json.dumps(rows), flush=True)
        os._exit(0)  # the engine lives in this process and need not be wound up


def steps(context: Context) -> dict[str, Callable[[], object]]:
    """The pipelines, ready to run; the trained version becomes champion without being judged."""
    from gatehouse.pipelines.features import refresh
    from gatehouse.pipelines.inference import infer
    from gatehouse.pipelines.ingest import ingest
    from gatehouse.pipelines.monitoring import monitor
    from gatehouse.pipelines.training import train

    def train_and_crown() -> None:
        trained = train(context, proposer="bench")
        context.registry.set_alias(context.model, "champion", trained.version.version)

    return {
        "ingest": lambda: ingest(context),
        "features": lambda: refresh(context),
        "training": train_and_crown,
        "inference": lambda: infer(context),
        "monitoring": lambda: monitor(context),
    }


def measured(name: str, run: Callable[[], object]) -> dict[str, float | str]:
    """Seconds, processor seconds and the highest memory, in MB."""
    forget_peak()
    started, used = time.perf_counter(), time.process_time()
    run()
    seconds, processor = time.perf_counter() - started, time.process_time() - used
    return {"pipeline": name, "seconds": seconds, "processor": processor, "megabytes": peak_megabytes()}


def forget_peak() -> None:
    """Let the highest memory be counted anew, where the system can."""
    if sys.platform == "linux":
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_megabytes() -> float:
    """The highest memory of this process since it was last forgotten."""
    if sys.platform == "linux":
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def in_fresh_process(times: int) -> dict[str, Any]:
    """One size, where nothing was imported or allocated before."""
    with tempfile.TemporaryDirectory(prefix="gatehouse-scale-") as folder:
        write_copies(Path(folder), times)
        done = subprocess.run(
            [sys.executable, __file__, "--folder", folder], check=True, stdout=subprocess.PIPE, text=True
        )
    return {"times": times, "pipelines": json.loads(done.stdout.splitlines()[-1])}


def show(console: Console, found: list[dict[str, Any]]) -> None:
    """A row for each pipeline, a block of columns for each size."""
    flights = sources.flights().num_rows
    table = Table("", title="Seconds (processor seconds), and peak memory in MB, by flights")
    for size in found:
        table.add_column(f"{flights * size['times']:,}", justify="right")
        table.add_column("MB", justify="right")
    for size, larger in pairwise(found):
        table.add_column(f"exponent {size['times']} to {larger['times']}", justify="right")
    for place, name in enumerate(PIPELINES):
        runs = [size["pipelines"][place] for size in found]
        cells = [c for r in runs for c in (f"{r['seconds']:.1f} ({r['processor']:.1f})", f"{r['megabytes']:,.0f}")]
        cells += [
            f"{exponent(a, b, 'processor', found[i + 1]['times'] / found[i]['times']):.2f}"
            for i, (a, b) in enumerate(pairwise(runs))
        ]
        table.add_row(name, *cells)
    console.print(table)
    console.print("Exponents are of processor seconds; 1 is proportional to the flights.")


def exponent(small: dict[str, float], large: dict[str, float], what: str, times: float) -> float:
    """By which power of the rows it grows."""
    return math.log(large[what] / small[what]) / math.log(times)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    parser.add_argument("--times", type=int, nargs="+", default=[1, 10, 30])
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.folder:
        run_all(options.folder)
    found = []
    for times in options.times:
        found.append(in_fresh_process(times))
        show(Console(width=130), found)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
