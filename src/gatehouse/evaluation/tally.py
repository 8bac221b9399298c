"""Counting and summing scored rows by slice and unit, one Arrow batch at a time.

A tally is what one worker keeps of its rows. Tallies of several workers add up, in any order, to what one
worker would have kept of all rows, up to the last bits of floating-point sums.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gatehouse.errors import EvaluationError
from gatehouse.evaluation.metrics import FloatArray, Task
from gatehouse.evaluation.one_pass import Record
from gatehouse.evaluation.ranking import BINS, score_bins
from gatehouse.evaluation.rows import Layout, Rows, read_rows

K = TypeVar("K")
_NOTHING = np.zeros(0, dtype=np.int64)

WHOLE = -1  # the axis of the slice that is everything; slice columns are axes 0, 1, ..
REFUSED = (-2, "", "")  # the key of the counts of rows that could not be counted
MOST_BYTES = 1e9  # of sums and histograms, in one worker


class Tally:
    """Sums and histograms by slice and unit, growing as new ones appear."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._slices: dict[tuple[int, str], int] = {(WHOLE, ""): 0}
        self._units: dict[str, int] = {}
        self._refused: FloatArray = np.zeros(3 + len(layout.contenders))
        # Both with room to grow: (measures, slices, units) and (slices, units, contenders, 2 classes, bins).
        self._sums: FloatArray = np.zeros((layout.measure_count, 1, 0))
        self._histograms: NDArray[np.int64] = np.zeros((1, 0, *layout.histogram_shape), dtype=np.int64)

    def add(self, batch: pa.RecordBatch) -> None:
        """Count the rows of a batch that has the layout's columns."""
        rows, refused = read_rows(batch, self._layout)
        self._refused += refused
        if not len(rows.y):
            return
        units = _places(self._units, rows.units)[rows.unit_codes]
        axes = [np.zeros(len(units), dtype=np.intp)]
        for axis, (values, codes) in enumerate(zip(rows.values, rows.value_codes, strict=True)):
            axes.append(_places(self._slices, [(axis, v) for v in values])[codes])
        self._grow()
        shape = self._sums.shape[1:]
        cells = [slices * shape[1] + units for slices in axes]
        for place, measure in enumerate(self._layout.measures(rows)):
            for of_axis in cells:
                self._sums[place] += np.bincount(of_axis, measure, minlength=math.prod(shape)).reshape(shape)
        for places in self._bins(rows):
            for of_axis in cells:
                block = of_axis * math.prod(self._layout.histogram_shape)
                np.add.at(self._histograms.reshape(-1), block + places, 1)

    def _bins(self, rows: Rows) -> Iterator[NDArray[np.intp]]:
        """For each contender, the place of each row in the (contender, class, bin) block of its cell."""
        if self._layout.task is Task.BINARY:
            classes = rows.y.astype(np.intp)
            for c, p in enumerate(rows.predictions):
                yield (2 * c + classes) * BINS + score_bins(p)

    def _grow(self) -> None:
        need = (len(self._slices), len(self._units))
        cell = 8 * (len(self._sums) + math.prod(self._layout.histogram_shape))
        if need[0] * need[1] * cell > MOST_BYTES:
            raise EvaluationError(
                f"{need[0]:,} slices times {need[1]:,} units ({self._layout.unit}) need more than a gigabyte.",
                why="Sums and histograms are kept for each of them, in the memory of one process.",
                remedy="Slice by columns with fewer values, or declare a coarser unit (a week for a day).",
            )
        have = self._histograms.shape[:2]
        if need[0] <= have[0] and need[1] <= have[1]:
            return
        room = tuple(max(n, 2 * h if n > h else h) for n, h in zip(need, have, strict=True))
        sums = np.zeros((len(self._sums), *room))
        sums[:, : have[0], : have[1]] = self._sums
        histograms = np.zeros((*room, *self._layout.histogram_shape), dtype=np.int64)
        histograms[: have[0], : have[1]] = self._histograms
        self._sums, self._histograms = sums, histograms

    def records(self) -> Iterator[Record]:
        """One record per slice and unit that had rows, and one for what was refused."""
        yield Record(REFUSED, self._refused, _NOTHING)
        for (axis, value), s in self._slices.items():
            for unit, u in self._units.items():
                if self._sums[0, s, u]:
                    yield Record((axis, value, unit), self._sums[:, s, u], self._histograms[s, u])


def _places(known: dict[K, int], names: list[K]) -> NDArray[np.intp]:
    """The place of each name, new names at the end."""
    return np.array([known.setdefault(name, len(known)) for name in names], dtype=np.intp)


def tally_batches(layout: Layout, batches: Iterable[pa.RecordBatch]) -> Iterator[Record]:
    """What a worker keeps of its rows."""
    tally = Tally(layout)
    for batch in batches:
        tally.add(batch)
    yield from tally.records()
