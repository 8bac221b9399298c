"""How two contenders differ, metric by metric and slice by slice, in a form that a record can keep."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from gatehouse.errors import EvaluationError
from gatehouse.evaluation.measurement import Unmeasured, Value, measure
from gatehouse.evaluation.metrics import FloatArray, Metric
from gatehouse.evaluation.statistics import SliceKey, UnitStatistics

DIGITS = 12  # kept, relative to the metric: further ones depend on the order in which workers finished


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """One metric in one slice: everything a verdict on it needs, so that it can be repeated from a record.

    `difference` is turned so that positive means the candidate is better, whatever the metric's own
    direction; `influence` is turned likewise, has one number per entry of `units`, and sums to zero.
    """

    metric: str
    slice: str
    champion: float
    candidate: float
    difference: float
    influence: tuple[float, ...]
    units: tuple[str, ...]
    rows: int

    def to_record(self) -> dict[str, Any]:
        """For JSON; `from_record` gives the same comparison back."""
        return {**asdict(self), "influence": list(self.influence), "units": list(self.units)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Comparison:
        """What `to_record` gave.

        Raises:
            EvaluationError: The record was cut, or holds something that is no finite number.
        """
        try:
            comparison = cls(
                metric=str(record["metric"]),
                slice=str(record["slice"]),
                champion=float(record["champion"]),
                candidate=float(record["candidate"]),
                difference=float(record["difference"]),
                influence=tuple(float(e) for e in record["influence"]),
                units=tuple(str(u) for u in record["units"]),
                rows=int(record["rows"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise _damaged(f"{type(error).__name__}: {error}") from error
        if len(comparison.influence) != len(comparison.units):
            raise _damaged(f"{len(comparison.influence)} influences of {len(comparison.units)} units")
        numbers = (comparison.champion, comparison.candidate, comparison.difference, *comparison.influence)
        if not all(map(math.isfinite, numbers)):
            raise _damaged("it holds a number that is not finite")
        return comparison


def _damaged(what: str) -> EvaluationError:
    return EvaluationError(
        f"A recorded comparison cannot be read: {what}.",
        why="A verdict can be repeated only from complete statistics.",
        remedy="Take the decision record from the artefacts of the model version again.",
    )


def compare(statistics: UnitStatistics, *, champion: str, candidate: str) -> tuple[Comparison | Unmeasured, ...]:
    """Every metric in every slice: metrics in order of declaration, the whole before its slices.

    Raises:
        EvaluationError: Rows had an invalid prediction of either contender, an impossible label or no unit.
            To compare the other rows would leave out exactly those on which a model failed.
    """
    _refuse_faults(statistics, (champion, candidate))
    return tuple(
        _compare(statistics, metric, key, champion, candidate)
        for metric in statistics.metrics
        for key in statistics.slices
    )


def compare_with_threshold(
    statistics: UnitStatistics, *, metric: Metric, threshold: float, candidate: str
) -> Comparison | Unmeasured:
    """The candidate against a fixed value of one metric over all rows, which stands in for the champion.

    Raises:
        EvaluationError: As `compare` does.
    """
    _refuse_faults(statistics, (candidate,))
    new = measure(statistics, metric, SliceKey(), candidate)
    if isinstance(new, Unmeasured):
        return new
    return _difference(metric, threshold, new, new.influence)


def _refuse_faults(statistics: UnitStatistics, contenders: Sequence[str]) -> None:
    counts = statistics.refusals.invalid_predictions
    ours = {name: counts[statistics.contenders[statistics.contender(name)]] for name in contenders}
    faults = replace(statistics.refusals, invalid_predictions=ours).faults
    if faults:
        raise EvaluationError(
            faults,
            why="Measured without these rows, a model that fails on them would look better than it is.",
            remedy="Find the rows (null, NaN, infinite or out of range) and mend the model or the label.",
        )


def _compare(
    statistics: UnitStatistics, metric: Metric, key: SliceKey, champion: str, candidate: str
) -> Comparison | Unmeasured:
    old = measure(statistics, metric, key, champion)
    new = measure(statistics, metric, key, candidate)
    if isinstance(old, Unmeasured):
        return old
    if isinstance(new, Unmeasured):
        return new
    return compare_values(metric, old, new)


def compare_values(metric: Metric, champion: Value, candidate: Value) -> Comparison:
    """Two contenders' values of a metric, measured in the same slice of the same statistics."""
    return _difference(metric, champion.value, candidate, candidate.influence - champion.influence)


def _difference(metric: Metric, champion: float, new: Value, influence: FloatArray) -> Comparison:
    sign = 1.0 if metric.greater_is_better else -1.0
    scale = max(abs(champion), abs(new.value))
    values = _rounded(np.array([champion, new.value, sign * (new.value - champion)]), scale)
    return Comparison(
        metric=metric.name,
        slice=new.slice,
        champion=values[0],
        candidate=values[1],
        difference=values[2],
        influence=_rounded(sign * influence, scale),
        units=new.units,
        rows=new.rows,
    )


def _rounded(numbers: FloatArray, scale: float) -> tuple[float, ...]:
    decimals = DIGITS - (math.ceil(math.log10(scale)) if scale > 0 else 0)
    return tuple((np.round(numbers, decimals) + 0.0).tolist())  # + 0.0: no negative zeros in records
