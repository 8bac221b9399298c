"""Rules on what users of the champion would notice although the metrics are fine. Limits on the numbers as measured.

They have no error rate: over the tens of thousands of rows of a hold-out their own uncertainty is small beside the
limits. Flips and shift are differences from the version in production; against a baseline or a threshold they are only
shown.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from gatehouse.gates.evidence import ChallengeEvidence, Reading
from gatehouse.gates.phrases import count, percent
from gatehouse.gates.policy import Policy
from gatehouse.gates.rules import finding
from gatehouse.gates.verdict import Finding, Outcome


def few_negative_flips(evidence: ChallengeEvidence, policy: Policy) -> Iterator[Finding]:
    """The share of events that were right before and are wrong now (Yan et al. 2021)."""
    reading, limit = evidence.stability.negative_flips, policy.stability.negative_flips
    rule, shown_only = "negative flips", evidence.opponent.kind != "champion"
    if problem := _unusable(rule, reading, shown_only=shown_only):
        yield problem
        return
    flipped = f"{_percent(reading)} of {count(reading.rows, 'row')} were right with {evidence.opponent.name} and are"
    if _value(reading) <= limit:
        reason = f"{flipped} wrong now; the limit is {percent(limit)}."
        yield finding(rule, Outcome.PROMOTE, reason, informative=shown_only)
    else:
        yield finding(
            rule,
            Outcome.HOLD,
            f"{flipped} wrong now, more than the limit of {percent(limit)}.",
            next_step="Look at the flipped events; if their users can bear it, raise stability.negative_flips in "
            "conf/promotion.yml in a reviewed change.",
            informative=shown_only,
        )


def small_score_shift(evidence: ChallengeEvidence, policy: Policy) -> Iterator[Finding]:
    """The mean absolute difference of predictions: thresholds downstream were set on the old ones."""
    reading, limit = evidence.stability.score_shift, policy.stability.score_shift
    rule, shown_only = "score shift", evidence.opponent.kind != "champion"
    if problem := _unusable(rule, reading, shown_only=shown_only):
        yield problem
        return
    moved = f"Predictions differ from those of {evidence.opponent.name} by {_value(reading):.4g} on average"
    if _value(reading) <= limit:
        reason = f"{moved}; the limit is {limit:g}."
        yield finding(rule, Outcome.PROMOTE, reason, informative=shown_only)
    else:
        yield finding(
            rule,
            Outcome.HOLD,
            f"{moved}, more than the limit of {limit:g}.",
            next_step="Tell those who act on the scores and check their thresholds, then raise stability.score_shift "
            "in conf/promotion.yml in a reviewed change.",
            informative=shown_only,
        )


def calibrated(evidence: ChallengeEvidence, policy: Policy) -> Iterator[Finding]:
    """The expected calibration error. To hold a version for it while a worse calibrated champion serves is no help."""
    reading, limit = evidence.stability.calibration_error, policy.stability.calibration_error
    other = evidence.stability.opponent_calibration_error
    rule = "calibration"
    if problem := _unusable(rule, reading):
        yield problem
        return
    error = f"The expected calibration error is {_value(reading):.4g}"
    champions = _usable(other) and evidence.opponent.kind == "champion"
    beside = f", of {evidence.opponent.name} {_value(other):.4g}" if _usable(other) else ""
    if _value(reading) <= limit:
        yield finding(rule, Outcome.PROMOTE, f"{error}{beside}; the limit is {limit:g}.")
    elif champions and _value(reading) < _value(other):
        reason = f"{error}{beside}: above the limit of {limit:g}, and better than what is in production."
        yield finding(rule, Outcome.PROMOTE, reason)
    else:
        yield finding(
            rule,
            Outcome.HOLD,
            f"{error}{beside}, more than the limit of {limit:g}.",
            next_step="Recalibrate on recent events, or train on a stretch that is more like the hold-out.",
        )


def _unusable(rule: str, reading: Reading, *, shown_only: bool = False) -> Finding | None:
    """The finding if there is no number to compare with a limit."""
    if _usable(reading):
        return None
    if reading.value is None and not reading.applies:
        return finding(rule, Outcome.PROMOTE, f"Does not apply: {reading.missing}", informative=True)
    why = reading.missing or "no reason is given"
    what = (
        f"Was not measured: {why}" if reading.value is None else f"Was measured as {reading.value}, which says nothing"
    )
    return finding(
        rule,
        Outcome.ERROR,
        f"{what.rstrip('.')}.",
        next_step="Measure it on the rows that the metrics were measured on.",
        informative=shown_only,
    )


def _usable(reading: Reading) -> bool:
    return reading.value is not None and math.isfinite(reading.value) and reading.value >= 0


def _value(reading: Reading) -> float:
    return math.nan if reading.value is None else reading.value


def _percent(reading: Reading) -> str:
    return percent(_value(reading))
