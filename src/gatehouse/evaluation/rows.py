"""What is read of each scored row, and what is summed over rows. Arrays in, arrays out; workers run this."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, permutations
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gatehouse.errors import EvaluationError
from gatehouse.evaluation.arrow_columns import coded, missing, numbers
from gatehouse.evaluation.metrics import FloatArray, Ratio, RowFunction, Task
from gatehouse.evaluation.ranking import BINS


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """What to read of each row and what to sum. Travels to the workers.

    `contenders` maps names to prediction columns. `threshold` (binary) and `tolerance` (regression, in
    units of the label) say when a prediction is right, which flips need; None: nothing is right.
    """

    task: Task
    unit: str
    label: str
    contenders: Mapping[str, str]
    slices: tuple[str, ...]
    ratios: tuple[Ratio, ...]
    classes: int
    threshold: float
    tolerance: float | None

    @property
    def columns(self) -> list[str]:
        """The columns that are read, each once."""
        return list(dict.fromkeys([self.unit, self.label, *self.contenders.values(), *self.slices]))

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Unordered pairs of contenders."""
        return list(combinations(range(len(self.contenders)), 2))

    @property
    def ordered_pairs(self) -> list[tuple[int, int]]:
        """Ordered pairs of different contenders."""
        return list(permutations(range(len(self.contenders)), 2))

    @property
    def histogram_shape(self) -> tuple[int, ...]:
        """(contenders, 2 classes, bins) in binary tasks; nothing otherwise."""
        return (len(self.contenders), 2, BINS) if self.task is Task.BINARY else (0,)

    @property
    def measure_count(self) -> int:
        """How many things are summed over rows."""
        count = len(self.contenders)
        return 2 + 2 * count * len(self.ratios) + len(self.ordered_pairs) + len(self.pairs)

    def measures(self, rows: Rows) -> Iterator[FloatArray]:
        """One array per thing to sum over rows. `sums` names the totals, in this order."""
        y, predictions = rows.y, rows.predictions
        flat = self.task is not Task.MULTICLASS
        one = np.ones(len(y))
        yield from (one, y)
        for p in predictions:
            yield from (_per_row(ratio, ratio.numerator, y, p) for ratio in self.ratios)
        for p in predictions:
            yield from (_per_row(r, r.denominator, y, p) if r.denominator else one for r in self.ratios)
        right = [self.right(y, p) for p in predictions]
        yield from (np.asarray(right[i] & ~right[j], dtype=np.float64) for i, j in self.ordered_pairs)
        for i, j in self.pairs:
            apart = np.abs(predictions[i] - predictions[j])
            yield apart if flat else apart.sum(axis=1) / 2.0

    def sums(self, totals: FloatArray) -> Sums:
        """Totals of the measures on the last axis, taken apart."""
        count, ratios = len(self.contenders), len(self.ratios)
        cells = totals.shape[:-1]
        ends = np.cumsum([1, 1, count * ratios, count * ratios, len(self.ordered_pairs)])
        rows, labels, numerators, denominators, flips, apart = np.split(totals, ends, axis=-1)
        flip_table, apart_table = np.zeros((2, *cells, count, count))
        for place, (i, j) in enumerate(self.ordered_pairs):
            flip_table[..., i, j] = flips[..., place]
        for place, (i, j) in enumerate(self.pairs):
            apart_table[..., i, j] = apart_table[..., j, i] = apart[..., place]
        return Sums(
            rows=rows[..., 0].astype(np.int64),
            labels=labels[..., 0],
            numerators=numerators.reshape(*cells, count, ratios),
            denominators=denominators.reshape(*cells, count, ratios),
            flips=flip_table.astype(np.int64),
            apart=apart_table,
        )

    def right(self, y: FloatArray, p: FloatArray) -> NDArray[np.bool_]:
        """Whether each prediction, turned into a decision, agrees with the label."""
        if self.task is Task.BINARY:
            return np.asarray((p >= self.threshold) == (y > 0.5))
        if self.task is Task.MULTICLASS:
            return np.asarray(p.argmax(axis=1) == y)
        return np.zeros(len(y), dtype=bool) if self.tolerance is None else np.abs(y - p) <= self.tolerance


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Sums:
    """Totals over the rows of each slice and unit. Axes: S slices, U units, C contenders, R ratio metrics."""

    rows: NDArray[np.int64]  # (S, U)
    labels: FloatArray  # (S, U)
    numerators: FloatArray  # (S, U, C, R)
    denominators: FloatArray  # (S, U, C, R)
    flips: NDArray[np.int64]  # (S, U, C, C): rows where the first is right and the second wrong
    apart: FloatArray  # (S, U, C, C): absolute differences of predictions (multiclass: total variation)


def _per_row(ratio: Ratio, function: RowFunction, y: FloatArray, p: FloatArray) -> FloatArray:
    """The function's numbers, or an error that names its metric: it may be a project's own code."""
    try:
        values = np.asarray(function(y, p), dtype=np.float64)
    except Exception as error:
        raise EvaluationError(
            f"Metric {ratio.name} failed on {len(y):,} rows: {type(error).__name__}: {error}",
            why="A metric that cannot be computed cannot decide anything.",
            remedy=f"Mend the row functions of {ratio.name}.",
        ) from error
    if values.shape != y.shape or not np.isfinite(values).all():
        raise EvaluationError(
            f"Metric {ratio.name} gave no finite number for a row with a valid label and prediction.",
            why="A sum with one infinite or missing term says nothing about the other rows.",
            remedy=f"Make the row functions of {ratio.name} return one finite number for every row.",
        )
    return values


class Rows(NamedTuple):
    """The rows of a batch that can be counted."""

    y: FloatArray
    predictions: list[FloatArray]
    units: list[str]  # distinct
    unit_codes: NDArray[np.intp]  # positions in `units`
    values: list[list[str]]  # distinct, per slice column
    value_codes: list[NDArray[np.intp]]


def read_rows(batch: pa.RecordBatch, layout: Layout) -> tuple[Rows, FloatArray]:
    """The countable rows of a batch, and how many were not.

    Returns:
        Rows, and counts of: rows without a label, with an impossible label, without a unit, and, for
        each contender, with an invalid prediction (whether labelled or not).
    """
    y = numbers(batch.column(layout.label), layout.label)
    predictions = [_predictions(batch.column(c), c, layout) for c in layout.contenders.values()]
    unlabelled = np.isnan(y)
    impossible = ~unlabelled & ~_possible(y, layout)
    homeless = ~unlabelled & missing(batch.column(layout.unit))
    invalid = [~_valid(p, layout) for p in predictions]
    refused = np.array([m.sum() for m in (unlabelled, impossible, homeless, *invalid)], dtype=np.float64)
    keep = ~np.logical_or.reduce([unlabelled, impossible, homeless, *invalid])
    if not keep.all():
        batch = batch.filter(pa.array(keep))
        y, predictions = y[keep], [p[keep] for p in predictions]
    units, unit_codes = coded(batch.column(layout.unit))
    slices = [coded(batch.column(c)) for c in layout.slices]
    return Rows(y, predictions, units, unit_codes, [v for v, _ in slices], [c for _, c in slices]), refused


def _predictions(column: pa.Array, name: str, layout: Layout) -> FloatArray:
    if layout.task is not Task.MULTICLASS:
        return numbers(column, name)
    if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)):
        raise EvaluationError(
            f"Column {name} holds {column.type}, and a list of {layout.classes} probabilities is needed.",
            why="A multiclass prediction is one probability per class.",
            remedy=f"Write {name} as array<double>.",
        )
    whole = np.asarray(column.value_lengths().fill_null(-1)) == layout.classes
    out = np.full((len(column), layout.classes), np.nan)
    out[whole] = numbers(column.filter(pa.array(whole)).flatten(), name).reshape(-1, layout.classes)
    return out


def _possible(y: FloatArray, layout: Layout) -> NDArray[np.bool_]:
    if layout.task is Task.REGRESSION:
        return np.isfinite(y)
    most = 1 if layout.task is Task.BINARY else layout.classes - 1
    return np.asarray((y >= 0) & (y <= most) & (y == np.floor(y)))


def _valid(p: FloatArray, layout: Layout) -> NDArray[np.bool_]:
    if layout.task is Task.REGRESSION:
        return np.isfinite(p)
    if layout.task is Task.BINARY:
        return np.asarray((p >= 0) & (p <= 1))
    return np.asarray((p >= 0).all(axis=1) & (np.abs(p.sum(axis=1) - 1.0) <= 1e-3))
