"""Seconds to measure the drift of 16 columns, 12 numeric and 4 categorical, a million rows against a million.

    uv run python bench/drift_speed.py [--json FILE] [--rows 1000000]
    uv run --with evidently==0.7.23 python bench/drift_speed.py      # Evidently's DataDriftPreset beside it

Gatehouse reads two Delta tables through the embedded engine: the reference side once, to choose bins and count (in
production that happened in training, and is stored with the model), the current side once, to count. Evidently gets
the same rows as data frames in memory, which it needs. It is not a dependency of this project; without it only our own
figures are shown. Takes a quarter of a minute without Evidently, two minutes with it, on 2 cores.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

NUMERIC = [f"number_{i}" for i in range(12)]
CATEGORICAL = [f"level_{i}" for i in range(4)]


def rows(count: int, seed: int, shift: float) -> pd.DataFrame:
    """Normal, skewed, discrete and partly missing numbers; 5 to 20 levels. Half the columns shift."""
    rng = np.random.default_rng(seed)
    columns: dict[str, Any] = {}
    for i, name in enumerate(NUMERIC):
        values = rng.normal(shift * (i % 2), 1.0, count)
        if i % 4 == 2:
            values = np.exp(values)
        if i % 4 == 3:
            values = np.round(4.0 * values)
        columns[name] = np.where(rng.random(count) < 0.02, np.nan, values) if i < 3 else values
    for i, name in enumerate(CATEGORICAL):
        levels = np.array([f"level {k}" for k in range(5 * (i + 1))])
        weights = 1.0 + np.arange(len(levels)) * (1.0 + shift * (i % 2))
        columns[name] = rng.choice(levels, count, p=weights / weights.sum())
    return pd.DataFrame(columns)


def gatehouse_seconds(folder: Path, before: pd.DataFrame, after: pd.DataFrame) -> tuple[float, float, int]:
    """Seconds for the reference side and for the current side, and the columns with a PSI of 0.1 or more."""
    from deltalake import write_deltalake

    from gatehouse.evaluation import drift
    from gatehouse.lakehouse.session import Engine, open_session

    for name, frame in (("before", before), ("after", after)):
        write_deltalake(str(folder / name), frame)
    spark = open_session(Engine.SAIL, catalogs=["dev"])
    tables = [spark.read.format("delta").load(str(folder / name)) for name in ("before", "after")]
    tables[0].limit(1).toArrow()
    started = time.monotonic()
    reference = drift.reference(tables[0], [*NUMERIC, *CATEGORICAL])
    described = time.monotonic()
    found = drift.measure(tables[1], reference)
    measured = time.monotonic()
    drifted = sum(column.psi is not None and column.psi >= 0.1 for column in found)
    return described - started, measured - described, drifted


def evidently_seconds(before: pd.DataFrame, after: pd.DataFrame) -> float | None:
    """`DataDriftPreset` on the same rows; None without Evidently."""
    if importlib.util.find_spec("evidently") is None:
        return None
    evidently: Any = importlib.import_module("evidently")
    presets: Any = importlib.import_module("evidently.presets")
    columns = evidently.DataDefinition(numerical_columns=NUMERIC, categorical_columns=CATEGORICAL)
    sides = [evidently.Dataset.from_pandas(frame, data_definition=columns) for frame in (after, before)]
    started = time.monotonic()
    evidently.Report([presets.DataDriftPreset()]).run(*sides).dict()
    return time.monotonic() - started


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    before, after = rows(options.rows, seed=1, shift=0.0), rows(options.rows, seed=2, shift=0.5)
    with tempfile.TemporaryDirectory(prefix="gatehouse-drift-") as folder:
        reference, current, drifted = gatehouse_seconds(Path(folder), before, after)
    theirs = evidently_seconds(before, after)
    table = Table("", "seconds", title=f"Drift of 16 columns, {options.rows:,} rows against {options.rows:,}")
    table.add_row("Gatehouse, reference side: bins and counts", f"{reference:.2f}")
    table.add_row(f"Gatehouse, current side: one pass ({drifted} columns drifted)", f"{current:.2f}")
    table.add_row("Gatehouse, both sides", f"{reference + current:.2f}")
    table.add_row("Evidently, DataDriftPreset", "not installed" if theirs is None else f"{theirs:.1f}")
    console = Console(width=110)
    console.print(table)
    if theirs is not None:
        console.print(f"{theirs / (reference + current):,.0f} times faster, both sides.")
    if options.json:
        found = {"rows": options.rows, "reference": reference, "current": current, "evidently": theirs}
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
