"""From unit statistics of a scored hold-out to the evidence of a challenge. Arithmetic; no rows, no verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gatehouse.evaluation.calibration import calibration_error
from gatehouse.evaluation.comparison import Comparison, compare, compare_with_threshold
from gatehouse.evaluation.measurement import Unmeasured, Value
from gatehouse.evaluation.metrics import Metric, Task
from gatehouse.evaluation.stability import negative_flip_rate, score_shift
from gatehouse.evaluation.statistics import SliceKey, UnitStatistics
from gatehouse.gates.evidence import ChallengeEvidence, Contender, HoldOut, Reading, Stability
from gatehouse.gates.policy import Mode
from gatehouse.project import Window

_WHOLE = SliceKey()


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What is asked of the statistics, and what they cannot know of themselves.

    Slices are named `column=value`, by the columns that were collected; found ones that are not required inform.
    `window`, `label_share`, `judged_before` and `looks_before` are as `HoldOut` says.
    """

    candidate: Contender
    opponent: Contender
    mode: Mode
    mode_reason: str
    unit: str
    primary_metric: Metric
    guardrail_metrics: Sequence[Metric]
    required_slices: Sequence[str]
    window: Window
    label_share: float
    judged_before: int
    looks_before: int = 0


def gather(statistics: UnitStatistics, question: Question) -> ChallengeEvidence:
    """The evidence, with faults where rows could not be judged: the judge turns them into an ERROR.

    In the statistics contenders are called by their kind: `candidate`, and `champion` or `baseline`.

    Raises:
        EvaluationError: The statistics lack a contender.
    """
    faults = _faults(statistics)
    slices = [key.name for key in statistics.slices if key.column]
    return _evidence(
        question,
        units=len(statistics.units),
        rows=int(statistics.sums.rows[statistics.slice(_WHOLE)].sum()),
        informative_slices=tuple(name for name in slices if name not in question.required_slices),
        comparisons=() if faults else _comparisons(statistics, question),
        stability=stability(statistics, question.opponent),
        faults=faults,
    )


def nothing_measured(question: Question, reason: str) -> ChallengeEvidence:
    """The evidence where no row could be judged, and why: from it, too, the judge says all that is wrong."""
    missing = Reading(value=None, missing=reason)
    unknown = Stability(
        negative_flips=missing, score_shift=missing, calibration_error=missing, opponent_calibration_error=missing
    )
    return _evidence(question, units=0, rows=0, informative_slices=(), comparisons=(), stability=unknown, faults=reason)


def _evidence(
    question: Question,
    *,
    units: int,
    rows: int,
    informative_slices: tuple[str, ...],
    comparisons: tuple[Comparison | Unmeasured, ...],
    stability: Stability,
    faults: str | None,
) -> ChallengeEvidence:
    return ChallengeEvidence(
        mode=question.mode,
        mode_reason=question.mode_reason,
        unit=question.unit,
        candidate=question.candidate,
        opponent=question.opponent,
        primary_metric=question.primary_metric.name,
        guardrail_metrics=tuple(m.name for m in question.guardrail_metrics),
        required_slices=tuple(question.required_slices),
        informative_slices=informative_slices,
        hold_out=HoldOut(
            start=question.window.start,
            end=question.window.end,
            units=units,
            rows=rows,
            label_share=question.label_share,
            judged_before=question.judged_before,
            looks_before=question.looks_before,
        ),
        comparisons=comparisons,
        stability=stability,
        faults=faults,
    )


def stability(statistics: UnitStatistics, opponent: Contender) -> Stability:
    """How far the candidate's predictions are from the opponent's, over the whole hold-out."""
    if opponent.kind == "threshold":
        alone = Reading(value=None, missing="A threshold predicts nothing.", applies=False)
        error = _calibration_error(statistics, "candidate")
        return Stability(
            negative_flips=alone, score_shift=alone, calibration_error=error, opponent_calibration_error=alone
        )
    flips = negative_flip_rate(statistics, _WHOLE, old=opponent.kind, new="candidate")
    shift = score_shift(statistics, _WHOLE, old=opponent.kind, new="candidate")
    return Stability(
        negative_flips=_reading(flips, applies=statistics.has_decisions),
        score_shift=Reading(value=shift.mean_absolute, rows=shift.rows),
        calibration_error=_calibration_error(statistics, "candidate"),
        opponent_calibration_error=_calibration_error(statistics, opponent.kind),
    )


def _reading(found: Value | Unmeasured, *, applies: bool) -> Reading:
    if isinstance(found, Unmeasured):
        return Reading(value=None, missing=found.reason, applies=applies)
    return Reading(value=found.value, rows=found.rows)


def _calibration_error(statistics: UnitStatistics, contender: str) -> Reading:
    found = calibration_error(statistics, _WHOLE, contender)
    if isinstance(found, Unmeasured):
        return Reading(value=None, missing=found.reason, applies=statistics.task is Task.BINARY)
    return Reading(value=found.value, rows=found.rows)


def _comparisons(statistics: UnitStatistics, question: Question) -> tuple[Comparison | Unmeasured, ...]:
    if question.opponent.kind != "threshold":
        return compare(statistics, champion=question.opponent.kind, candidate="candidate")
    threshold, metric = question.opponent.threshold, question.primary_metric
    if threshold is None:
        return ()
    whole = compare_with_threshold(statistics, metric=metric, threshold=threshold, candidate="candidate")
    return (whole, *(_without_opponent(statistics, metric, key) for key in statistics.slices if key.column))


def _without_opponent(statistics: UnitStatistics, metric: Metric, key: SliceKey) -> Unmeasured:
    """Says that a slice is there, and how large it is: a threshold has no value in it."""
    rows = int(statistics.sums.rows[statistics.slice(key)].sum())
    reason = f"The threshold is for {metric.name} over all rows; it says nothing about slice {key.name}."
    return Unmeasured(metric=metric.name, slice=key.name, reason=reason, rows=rows)


def _faults(statistics: UnitStatistics) -> str | None:
    """Rows that could not be judged, or labels that are all the same; None if there is nothing to say."""
    found = [statistics.refusals.faults, _one_class(statistics)]
    return " ".join(f for f in found if f) or None


def _one_class(statistics: UnitStatistics) -> str | None:
    """A hold-out in which nothing, or everything, happened says nothing about telling the two apart."""
    if statistics.task is not Task.BINARY:
        return None
    whole = statistics.slice(_WHOLE)
    rows, positives = int(statistics.sums.rows[whole].sum()), float(statistics.sums.labels[whole].sum())
    if 0 < positives < rows:
        return None
    return f"All {rows:,} labels of the hold-out are {int(positives > 0)}: one class only."
