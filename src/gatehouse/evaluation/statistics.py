"""Sufficient statistics of scored rows: everything later questions need, per slice and unit of independence.

One Spark pass counts and sums on the workers (`tally`); what comes back is small and does not grow with rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gatehouse.errors import EvaluationError
from gatehouse.evaluation.metrics import Metric, Ratio, Task, WholeSample
from gatehouse.evaluation.one_pass import Key, Record, arrow_table, in_order, sum_over_rows
from gatehouse.evaluation.rows import Layout, Sums, read_rows
from gatehouse.evaluation.tally import REFUSED, WHOLE, tally_batches
from gatehouse.evaluation.whole_sample import LeftOut, leave_out_units

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame

MOST_ROWS_IN_MEMORY = 2_000_000  # for `WholeSample` metrics, which need them all on one machine


@dataclass(frozen=True, slots=True)
class SliceKey:
    """A group of rows: those with the text `value` in slice column `column`; two empty texts mean all rows."""

    column: str = ""
    value: str = ""

    @property
    def name(self) -> str:
        """`all`, or `column=value`."""
        return f"{self.column}={self.value}" if self.column else "all"

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusals:
    """Rows that were not counted, by reason. A row may count in several.

    `without_label` is ordinary (an outcome not known, or an event that has none). Anything else is a fault.
    """

    without_label: int
    impossible_labels: int
    without_unit: int
    invalid_predictions: Mapping[str, int]  # per contender: null, NaN, infinite, or no probability

    @property
    def faults(self) -> str | None:
        """A sentence that names every fault, or None."""
        found = {f"with an invalid prediction of {name}": n for name, n in self.invalid_predictions.items()}
        found |= {"with an impossible label": self.impossible_labels, "without a unit": self.without_unit}
        named = [f"{n:,} {'row' if n == 1 else 'rows'} {what}" for what, n in found.items() if n]
        return f"The scored data hold {', '.join(named)}." if named else None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class UnitStatistics:
    """Sums and histograms of all contenders on the same rows. Axes: S slices, U units, C contenders.

    Counted are rows with a possible label, a unit, and a valid prediction of every contender; `refusals`
    tells of the others. Units are in the order of their text, or of their number if all are whole numbers.
    The first slice holds all rows. A cell without rows is zero everywhere.
    """

    task: Task
    metrics: tuple[Metric, ...]
    contenders: tuple[str, ...]
    slices: tuple[SliceKey, ...]
    units: tuple[str, ...]
    refusals: Refusals
    has_decisions: bool  # whether it is known when a prediction is right, which flips need
    sums: Sums
    histograms: NDArray[np.int64]  # (S, U, C, 2, bins): rows of class 0, 1 per score bin; (S, U, 0) if not binary
    left_out: Mapping[str, LeftOut]  # of each WholeSample metric

    @property
    def ratios(self) -> tuple[Ratio, ...]:
        """The ratio metrics, in the order of the arrays' last axis."""
        return tuple(m for m in self.metrics if isinstance(m, Ratio))

    def of_units(self, units: Sequence[str]) -> UnitStatistics:
        """The same statistics of some units only, in their order here; slices that have no rows there are gone.

        Whole-sample metrics and refusals, which are known for all units together, are left out and as they are.
        """
        u = np.array(sorted(_position(unit, self.units, "unit") for unit in units), dtype=np.intp)
        s = np.flatnonzero(self.sums.rows[:, u].sum(axis=1))
        return replace(
            self,
            metrics=tuple(m for m in self.metrics if not isinstance(m, WholeSample)),
            units=tuple(self.units[i] for i in u),
            slices=tuple(self.slices[i] for i in s),
            sums=Sums(**{f.name: getattr(self.sums, f.name)[np.ix_(s, u)] for f in fields(Sums)}),
            histograms=self.histograms[np.ix_(s, u)],
            left_out={},
        )

    def ratio(self, metric: Ratio) -> int:
        """The place of a ratio metric on the arrays' last axis."""
        return _position(metric.name, [m.name for m in self.ratios], "metric")

    def left_out_of(self, metric: WholeSample) -> LeftOut:
        """A whole-sample metric's values with each unit left out."""
        names = list(self.left_out)
        return self.left_out[names[_position(metric.name, names, "metric")]]

    def contender(self, name: str) -> int:
        """The place of a contender on the arrays' axis."""
        return _position(name, self.contenders, "contender")

    def slice(self, key: SliceKey) -> int:
        """The place of a slice on the arrays' axis."""
        return _position(key, self.slices, "slice")


def _position(wanted: object, known: Sequence[object], kind: str) -> int:
    if wanted in known:
        return known.index(wanted)
    raise EvaluationError(
        f"There are no statistics of {kind} {wanted}.",
        why="Nothing was collected for it.",
        remedy=f"Collect them, or choose from: {', '.join(map(str, known)) or 'nothing'}.",
    )


def collect(
    scored: DataFrame | pd.DataFrame,
    *,
    unit: str,
    label: str,
    predictions: Mapping[str, str],
    slices: Sequence[str],
    metrics: Sequence[Metric],
    task: Task,
    classes: int = 0,
    threshold: float = 0.5,
    tolerance: float | None = None,
) -> UnitStatistics:
    """One pass over scored rows, on Spark's workers or, for a pandas frame, in memory.

    Args:
        scored: One row per event, with the columns named below.
        unit: Column of the unit of independence; rows of one unit go together. Any type with a sortable text.
        label: Column of the truth; null where it is not known. Multiclass: the position of the class.
        predictions: Contender to column of its predictions (multiclass: array<double> with one probability
            per class). All contenders are judged on the same rows.
        slices: Columns whose values are slices; null becomes the slice "(missing)".
        metrics: What will be asked later.
        task: What is predicted.
        classes: How many there are, in multiclass tasks.
        threshold: Probability from which a binary prediction means yes, for flips.
        tolerance: Largest error of a regression that still counts as right; None: no flips.

    Raises:
        EvaluationError: No row could be counted, a metric does not suit the task or fails, a column is missing
            or has the wrong type, or there are more slices and units than memory for them.
    """
    layout = Layout(
        task=Task(task),
        unit=unit,
        label=label,
        contenders=dict(predictions),
        slices=tuple(slices),
        ratios=tuple(m for m in metrics if isinstance(m, Ratio)),
        classes=classes,
        threshold=threshold,
        tolerance=tolerance,
    )
    _check(layout, metrics, list(scored.columns))
    totals = sum_over_rows(scored, layout.columns, partial(tally_batches, layout))
    return _assemble(layout, metrics, totals, lambda: arrow_table(scored, layout.columns))


def _check(layout: Layout, metrics: Sequence[Metric], columns: Sequence[str]) -> None:
    missing = [c for c in layout.columns if c not in columns]
    if missing:
        raise EvaluationError(
            f"The scored data have no column {', '.join(missing)}.",
            why="Unit, label, predictions and slices are read from them.",
            remedy=f"Choose from: {', '.join(columns)}.",
        )
    for metric in metrics:
        if layout.task not in metric.tasks:
            raise EvaluationError(
                f"Metric {metric.name} does not suit a {layout.task} task.",
                why=f"It is defined for: {', '.join(metric.tasks)}.",
                remedy="Name another metric in the project.",
            )
    names = [m.name for m in metrics]
    if len(set(names)) < len(names):
        raise EvaluationError(
            f"Two of the metrics {', '.join(names)} have the same name.",
            why="Results are found by name.",
            remedy="Rename one of them in the project.",
        )
    if layout.task is Task.MULTICLASS and layout.classes < 2:
        raise EvaluationError(
            f"A multiclass task was given {layout.classes} classes.",
            why="The width of a prediction follows from their number.",
            remedy="Name the classes of the project.",
        )


def _assemble(
    layout: Layout,
    metrics: Sequence[Metric],
    totals: dict[Key, Record],
    read: Callable[[], pa.Table],
) -> UnitStatistics:
    """Arrays from the workers' records; `read` gives the rows themselves, if a metric needs them."""
    refused = totals.pop(REFUSED).sums.astype(int).tolist()
    refusals = Refusals(
        without_label=refused[0],
        impossible_labels=refused[1],
        without_unit=refused[2],
        invalid_predictions=dict(zip(layout.contenders, refused[3:], strict=True)),
    )
    if not totals:
        raise EvaluationError(
            f"No row can be evaluated: {refusals.without_label:,} without a label. {refusals.faults or ''}".rstrip(),
            why="Without rows there is nothing to measure.",
            remedy="Check the window of the hold-out, and that its labels have arrived.",
        )
    units = in_order({unit for _, _, unit in totals})
    keys = sorted({(axis, value) for axis, value, _ in totals})
    unit_places = {unit: u for u, unit in enumerate(units)}
    key_places = {key: s for s, key in enumerate(keys)}
    measures = len(next(iter(totals.values())).sums)
    sums = np.zeros((len(keys), len(units), measures))
    histograms = np.zeros((len(keys), len(units), *layout.histogram_shape), dtype=np.int64)
    for (axis, value, unit), total in totals.items():
        place = (key_places[axis, value], unit_places[unit])
        sums[place] = total.sums
        histograms[place] = total.counts.reshape(layout.histogram_shape)
    return UnitStatistics(
        task=layout.task,
        metrics=tuple(metrics),
        contenders=tuple(layout.contenders),
        slices=tuple(SliceKey(layout.slices[a], v) if a != WHOLE else SliceKey() for a, v in keys),
        units=tuple(units),
        refusals=refusals,
        has_decisions=layout.task is not Task.REGRESSION or layout.tolerance is not None,
        sums=layout.sums(sums),
        histograms=histograms,
        left_out=_left_out(layout, metrics, keys, units, int(sums[0, :, 0].sum()), read),
    )


def _left_out(
    layout: Layout,
    metrics: Sequence[Metric],
    keys: list[tuple[int, str]],
    units: list[str],
    counted: int,
    read: Callable[[], pa.Table],
) -> dict[str, LeftOut]:
    slow = [m for m in metrics if isinstance(m, WholeSample)]
    if not slow:
        return {}
    if counted > MOST_ROWS_IN_MEMORY:
        raise EvaluationError(
            f"{slow[0].name} needs all {counted:,} rows in memory, and more than {MOST_ROWS_IN_MEMORY:,} is too much.",
            why="A whole-sample metric is computed again with each unit left out.",
            remedy="Express it as a ratio of sums over rows, or judge it on a shorter hold-out.",
        )
    rows, _ = read_rows(read().combine_chunks().to_batches()[0], layout)
    unit_of = np.array([units.index(u) for u in rows.units])[rows.unit_codes]
    groups = [
        np.ones(len(rows.y), dtype=bool)
        if axis == WHOLE
        else np.isin(rows.value_codes[axis], [i for i, v in enumerate(rows.values[axis]) if v == value])
        for axis, value in keys
    ]
    return {m.name: leave_out_units(m, rows, groups, unit_of, len(units)) for m in slow}
