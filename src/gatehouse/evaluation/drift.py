"""How far columns have moved from what a model was trained on. One pass; the bins were fixed in training.

Numeric columns are counted in bins of equal frequency in training, categorical ones by level; missing values
are a bin of their own. The population stability index (PSI) compares counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from gatehouse.errors import EvaluationError
from gatehouse.evaluation.arrow_columns import MISSING, coded, is_number, numbers
from gatehouse.evaluation.one_pass import Record, arrow_table, in_order, sum_over_rows

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

BINS = 10  # of a numeric column
MOST_LEVELS = 100  # of a categorical column; rarer ones are counted together
SAMPLE_ROWS = 50_000  # from which bins are chosen, a decile then holds 10 % +- 0.13; every row is counted
USUAL = 0.95  # the share of ordinary windows that the usual PSI covers
OTHER = "(other)"
FORMAT = 1  # of a stored reference

Counts = NDArray[np.int64]


class Kind(StrEnum):
    """How the values of a column are counted."""

    NUMERIC = "numeric"
    CATEGORICAL = "categorical"


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnReference:
    """One column in training.

    Counts are by bin or level, then (categorical) all other levels, then missing values. Bin i of a numeric
    column holds what is above edge i - 1 and at most edge i; infinite values count as missing.
    `unit_counts` has a row per unit, in order of units, if the reference was taken with a unit.
    """

    name: str
    kind: Kind
    edges: tuple[float, ...] = ()
    levels: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    unit_counts: tuple[tuple[int, ...], ...] = ()

    @property
    def width(self) -> int:
        """How many counts there are: a bin more than edges, or all other levels, and missing values."""
        return len(self.edges or self.levels) + 2

    def places(self, column: pa.Array) -> NDArray[np.intp]:
        """Each value's place in the counts."""
        missing = self.width - 1
        if self.kind is Kind.CATEGORICAL:
            known = {level: i for i, level in enumerate((*self.levels, OTHER, MISSING))}
            texts, codes = coded(column)
            return np.array([known.get(t, missing - 1) for t in texts], dtype=np.intp)[codes]
        values = numbers(column, self.name)
        places = np.zeros(len(values), dtype=np.int16)
        for edge in self.edges:  # fifteen times faster than a binary search, with so few edges
            places += values > edge
        return np.where(np.isfinite(values), places, missing)


@dataclass(frozen=True, kw_only=True, slots=True)
class DriftReference:
    """The distributions a model was trained on. Stored with the model, as JSON; its size does not grow with rows."""

    columns: tuple[ColumnReference, ...]
    rows: int
    unit: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON; `from_dict` gives the same reference back."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> DriftReference:
        """What `to_dict` gave.

        Raises:
            EvaluationError: It is not a reference, or one that another version of Gatehouse stored.
        """
        try:
            if stored["format"] != FORMAT:
                raise ValueError(f"format {stored['format']} instead of {FORMAT}")
            columns = tuple(
                ColumnReference(
                    name=c["name"],
                    kind=Kind(c["kind"]),
                    edges=tuple(map(float, c["edges"])),
                    levels=tuple(map(str, c["levels"])),
                    counts=tuple(map(int, c["counts"])),
                    unit_counts=tuple(tuple(map(int, u)) for u in c["unit_counts"]),
                )
                for c in stored["columns"]
            )
            return cls(columns=columns, rows=int(stored["rows"]), unit=stored["unit"])
        except (KeyError, TypeError, ValueError) as error:
            raise EvaluationError(
                f"The stored drift reference cannot be read: {type(error).__name__}: {error}.",
                why="Without the distributions of training there is nothing to compare with.",
                remedy="Train the model again with this version of Gatehouse.",
            ) from error


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnDrift:
    """How far one column has moved.

    Attributes:
        column: Its name.
        rows: Rows measured.
        missing_rate: Share of rows without a value.
        psi: Population stability index, 0 for equal shares and without upper limit. 0.1 and 0.25 are the
            usual signs of some and of much change. Empty bins count half a row.
        usual_psi: What 95 % of ordinary windows stay below: windows of as many units, cut from training.

    None where it could not be measured: no rows, or (usual_psi) no units or too few of them.
    """

    column: str
    rows: int
    missing_rate: float | None
    psi: float | None
    usual_psi: float | None


def reference(frame: DataFrame | pd.DataFrame, columns: Sequence[str], *, unit: str | None = None) -> DriftReference:
    """Bins and counts of the training data. Numbers are binned, everything else is counted by level.

    Args:
        frame: The rows a model was trained on.
        columns: Which columns to describe.
        unit: Column of the unit of independence (a day), whose ordinary variation then becomes known.

    Raises:
        EvaluationError: There are no rows, or a column is missing.
    """
    read = [*columns, *([unit] if unit else [])]
    _refuse_missing(read, list(frame.columns))
    sample = _sample(frame, read)
    if not sample.num_rows:
        raise EvaluationError(
            "There are no rows to take a drift reference from.",
            why="Drift is the distance from the training data.",
            remedy="Check the training window.",
        )
    bare = tuple(_bins(name, sample.column(name).combine_chunks()) for name in columns)
    by_unit, _, rows = _count(frame, bare, unit)
    return DriftReference(
        columns=tuple(
            ColumnReference(
                name=c.name,
                kind=c.kind,
                edges=c.edges,
                levels=c.levels,
                counts=tuple(by_unit[i].sum(axis=0).tolist()),
                unit_counts=tuple(map(tuple, by_unit[i].tolist())) if unit else (),
            )
            for i, c in enumerate(bare)
        ),
        rows=rows,
        unit=unit,
    )


def measure(frame: DataFrame | pd.DataFrame, reference: DriftReference) -> tuple[ColumnDrift, ...]:
    """The drift of every column of the reference, in its order, in one pass over the frame.

    If the reference has a unit and the frame its column, `usual_psi` is for windows of as many units.

    Raises:
        EvaluationError: A column is missing, or was numeric in training and is not.
    """
    names = [c.name for c in reference.columns]
    _refuse_missing(names, list(frame.columns))
    unit = reference.unit if reference.unit in frame.columns else None
    by_unit, units, rows = _count(frame, reference.columns, unit)
    window = len(units) if unit else 0
    return tuple(_drift(column, by_unit[i].sum(axis=0), rows, window) for i, column in enumerate(reference.columns))


def _refuse_missing(wanted: Sequence[str], columns: Sequence[str]) -> None:
    missing = [c for c in wanted if c not in columns]
    if missing or not wanted:
        raise EvaluationError(
            f"Drift cannot be measured: no column {', '.join(missing) or 'was named'}.",
            why="A column that vanished has drifted as far as can be, and has no distance.",
            remedy=f"Choose from: {', '.join(columns)}.",
        )


def _sample(frame: DataFrame | pd.DataFrame, columns: Sequence[str]) -> pa.Table:
    """About `SAMPLE_ROWS` rows, the same on every run: every k-th one, or those whose hash is a multiple of k."""
    if isinstance(frame, pd.DataFrame):
        return arrow_table(frame.iloc[:: max(1, len(frame) // SAMPLE_ROWS)], columns)
    from pyspark.sql import functions as F

    every = max(1, frame.count() // SAMPLE_ROWS)
    chosen = F.pmod(F.xxhash64(*columns), F.lit(every)) == 0
    return arrow_table(frame.where(chosen) if every > 1 else frame, columns)


def _bins(name: str, column: pa.Array) -> ColumnReference:
    if not is_number(column.type):
        texts, codes = coded(column)
        counts = np.bincount(codes, minlength=len(texts))
        common = sorted((-n, t) for t, n in zip(texts, counts.tolist(), strict=True) if t != MISSING)
        return ColumnReference(name=name, kind=Kind.CATEGORICAL, levels=tuple(t for _, t in common[:MOST_LEVELS]))
    values = numbers(column, name)
    return ColumnReference(name=name, kind=Kind.NUMERIC, edges=_edges(values[np.isfinite(values)]))


def _edges(values: NDArray[np.float64]) -> tuple[float, ...]:
    """Upper bounds of all bins but the last."""
    if not len(values):
        return (0.0,)
    distinct = np.unique(values)
    if len(distinct) <= 2 * BINS:  # a bin for each, and one below the lowest
        return (float(np.nextafter(distinct[0], -np.inf)), *distinct.tolist())
    shares = np.arange(1, BINS) / BINS
    edges = np.quantile(values, shares, method="inverted_cdf")
    atoms = edges[1:][edges[1:] == edges[:-1]]  # one value fills several bins (no rain): bin the others too
    if len(atoms):
        others = values[~np.isin(values, atoms)]
        edges = np.concatenate([atoms, np.quantile(others, shares, method="inverted_cdf")])
    return tuple(np.unique(edges).tolist())


def _count(
    frame: DataFrame | pd.DataFrame, columns: Sequence[ColumnReference], unit: str | None
) -> tuple[list[Counts], list[str], int]:
    """For each column its counts, shape (units, bins); the units in order, one without a name if none; the rows."""
    read = list(dict.fromkeys([*(c.name for c in columns), *([unit] if unit else [])]))
    records = sum_over_rows(frame, read, partial(_count_batches, tuple(columns), unit))
    units = in_order({u for _, _, u in records})
    tables = [
        np.array([records[i, "", u].counts for u in units], dtype=np.int64).reshape(len(units), c.width)
        for i, c in enumerate(columns)
    ]
    return tables, units, int(tables[0].sum())


def _count_batches(
    columns: tuple[ColumnReference, ...], unit: str | None, batches: Iterable[pa.RecordBatch]
) -> Iterator[Record]:
    found: dict[tuple[int, str], Counts] = {}
    for batch in batches:
        units, codes = coded(batch.column(unit)) if unit else ([""], np.zeros(len(batch), dtype=np.intp))
        for i, column in enumerate(columns):
            places = codes * column.width + column.places(batch.column(column.name))
            counts = np.bincount(places, minlength=len(units) * column.width).reshape(len(units), column.width)
            for u, of_unit in zip(units, counts, strict=True):
                found[i, u] = found.get((i, u), 0) + of_unit
    for (i, u), counts in found.items():
        yield Record((i, "", u), np.zeros(0), counts)


def _drift(column: ColumnReference, counts: Counts, rows: int, window: int) -> ColumnDrift:
    return ColumnDrift(
        column=column.name,
        rows=rows,
        missing_rate=float(counts[-1] / rows) if rows else None,
        psi=float(population_stability_index(column.counts, counts)) if rows else None,
        usual_psi=_usual(np.array(column.unit_counts), window),
    )


def population_stability_index(expected: ArrayLike, actual: ArrayLike) -> NDArray[np.float64]:
    """Sum over bins (the last axis) of (q - p) ln(q / p), p and q the shares of the counts; 0 if they are equal.

    Each bin gets half a row more, or an empty one would make the index infinite.
    """
    p, q = _shares(np.asarray(expected) + 0.5), _shares(np.asarray(actual) + 0.5)
    return np.asarray(((q - p) * np.log(q / p)).sum(axis=-1))


def _shares(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(counts / counts.sum(axis=-1, keepdims=True))


def _usual(unit_counts: Counts, window: int) -> float | None:
    """The PSI between a window cut from training and the rest of it, at the 95th percentile of all windows."""
    if not window or len(unit_counts) < 2 * window:
        return None
    until = np.concatenate([np.zeros((1, unit_counts.shape[1]), dtype=np.int64), unit_counts.cumsum(axis=0)])
    windows = until[window:] - until[:-window]
    return float(np.quantile(population_stability_index(until[-1] - windows, windows), USUAL))
