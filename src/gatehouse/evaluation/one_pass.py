"""One pass of a worker function over the rows of a Spark or pandas frame, with its results added up.

Workers are generators from Arrow batches to records. Records with the same key are summed, on the cluster
first, so that the driver gets one per key however many partitions there are. What a worker yields must not
grow with its rows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from gatehouse.errors import EvaluationError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Key = tuple[int, str, str]  # axis, value, unit: what they mean is the worker's affair
BATCH = 65_536  # rows at a time, when they are in memory already

_SCHEMA = pa.schema(
    [
        ("axis", pa.int32()),
        ("value", pa.string()),
        ("unit", pa.string()),
        ("sums", pa.binary()),
        ("counts", pa.binary()),
    ]
)
_SPARK_SCHEMA = "axis int, value string, unit string, sums binary, counts binary"
_FAILED = -99  # the axis of a worker's error, whose words are the value


class Record(NamedTuple):
    """What a worker found under one key, or the sum of what several did. Arrays of any shape; sums come back flat."""

    key: Key
    sums: NDArray[np.float64]
    counts: NDArray[np.int64]


Worker = Callable[[Iterable[pa.RecordBatch]], Iterator[Record]]


def sum_over_rows(frame: DataFrame | pd.DataFrame, columns: Sequence[str], worker: Worker) -> dict[Key, Record]:
    """The worker's records over all rows of the frame, summed by key.

    Raises:
        EvaluationError: The one that a worker raised.
    """
    if isinstance(frame, pd.DataFrame):
        batches = arrow_table(frame, columns).to_batches(max_chunksize=BATCH)
        return _added_up(_encoded(worker, batches))
    partial_sums = frame.select(*columns).mapInArrow(partial(_encoded, worker), _SPARK_SCHEMA)
    sums = partial_sums.repartition("axis", "value", "unit").mapInArrow(_add_on_worker, _SPARK_SCHEMA)
    return _added_up(sums.toArrow().to_batches())


def arrow_table(frame: DataFrame | pd.DataFrame, columns: Sequence[str]) -> pa.Table:
    """The rows themselves, in memory."""
    if not isinstance(frame, pd.DataFrame):
        return frame.select(*columns).toArrow()
    try:
        return pa.Table.from_pandas(frame[list(columns)], preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise EvaluationError(
            f"A column holds values of several types: {error}",
            why="Text among numbers would have to be guessed at.",
            remedy="Give every column one type where the data frame is made.",
        ) from error


def in_order(units: set[str]) -> list[str]:
    """By their text, so that dates go by time; whole numbers by size."""
    numbers = all(u.lstrip("-").isdecimal() for u in units)
    return sorted(units, key=lambda u: (int(u), u) if numbers else (0, u))


def _encoded(worker: Worker, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Records as Arrow. An error is a record too: engines hand exceptions on as mere text."""
    try:
        yield _batch([_row(record) for record in worker(batches)])
    except EvaluationError as error:
        words = json.dumps([error.what, error.why, error.remedy])
        yield _batch([_row(Record((_FAILED, words, ""), np.zeros(0), np.zeros(0, dtype=np.int64)))])


def _add_on_worker(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield _batch([_row(record) for record in _added_up(batches, keep_errors=True).values()])


def _row(record: Record) -> dict[str, Any]:
    return dict(zip(_SCHEMA.names, (*record.key, record.sums.tobytes(), record.counts.tobytes()), strict=True))


def _batch(rows: list[dict[str, Any]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(rows, schema=_SCHEMA)


def _added_up(batches: Iterable[pa.RecordBatch], *, keep_errors: bool = False) -> dict[Key, Record]:
    totals: dict[Key, Record] = {}
    for row in (row for batch in batches for row in batch.to_pylist()):
        key = (row["axis"], row["value"], row["unit"])
        if key[0] == _FAILED and not keep_errors:
            what, why, remedy = json.loads(key[1])
            raise EvaluationError(what, why=why, remedy=remedy)
        sums = np.frombuffer(row["sums"], dtype=np.float64)
        counts = np.frombuffer(row["counts"], dtype=np.int64)
        if key in totals:
            sums, counts = sums + totals[key].sums, counts + totals[key].counts
        totals[key] = Record(key, sums, counts)
    return totals
