"""Rules on guardrail metrics and slices: none of them may be worse by more than its margin.

What is controlled, and how, for any number K of guardrails and required slices:

- **Passing a harmful version: at most the error rate, however many there are.** Each must be shown to be worse by less
  than its margin, at the error rate. A version that lies at the margin, or beyond, in any one of them passes all of
  them at most as often as it passes that one (intersection-union test, Berger 1982). Correcting these tests would only
  keep good versions out.
- **Holding a good version: at most the error rate, all of them together.** Harm is claimed where a comparison is shown
  to be worse at all, with p-values after Holm's (1979) correction over all K.
- **What is shown neither way is INSUFFICIENT_EVIDENCE, with the number of units that would tell.** There the power is
  corrected instead: each comparison is planned with 1 - (1 - 0.8) / K, so that an equal version passes all of them
  together with a chance of at least 0.8 (Schultzberg, Ankargren and Franberg 2024).

Only required slices can stop a version. Others inform, small or not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from gatehouse.evaluation.significance import holm
from gatehouse.gates.decision import POWER, decide, p_exceeds, p_falls_short, zone
from gatehouse.gates.evidence import ALL, ChallengeEvidence
from gatehouse.gates.looks import error_rate_at
from gatehouse.gates.measured import Measured, NotMeasured, measured
from gatehouse.gates.phrases import count, probability
from gatehouse.gates.policy import Policy
from gatehouse.gates.primary import decided_by, unmeasured_step, values_in_words, wait_step
from gatehouse.gates.rules import finding
from gatehouse.gates.verdict import Finding, Outcome


@dataclass(frozen=True, kw_only=True, slots=True)
class Guard:
    """One comparison that must not be worse by more than `margin`."""

    rule: str
    metric: str
    slice: str
    margin: float


def power_of_each(guards: int) -> float:
    """The power that each of so many comparisons needs so that all of them together have `POWER`."""
    return 1.0 - (1.0 - POWER) / max(guards, 1)


def guards_of(evidence: ChallengeEvidence, policy: Policy) -> tuple[Guard, ...]:
    """The family that is judged together: guardrail metrics over all rows, the primary metric in required slices.

    A fixed threshold has a value for the primary metric over all rows and nothing else: no family. A slice too small to
    be judged is not in it; `required_slices_present` stops the version.
    """
    if evidence.opponent.kind == "threshold":
        return ()
    metrics = [m for m in evidence.guardrail_metrics if m in policy.guardrails]
    guardrails = [
        Guard(rule=f"guardrail {m}", metric=m, slice=ALL, margin=policy.guardrails[m].margin) for m in metrics
    ]
    slices = [
        Guard(rule=f"required slice {s}", metric=evidence.primary_metric, slice=s, margin=policy.slices.margin)
        for s in evidence.required_slices
        if _rows(evidence, s) >= policy.slices.minimum_rows
    ]
    return (*guardrails, *slices)


def guards_not_worse(evidence: ChallengeEvidence, policy: Policy) -> Iterator[Finding]:
    """Guardrail metrics and required slices, with the error rates that the module states."""
    guards = guards_of(evidence, policy)
    results = [measured(evidence.found(g.metric, g.slice), g.metric, g.slice) for g in guards]
    corrected = iter(holm([_p_worse(r) for r in results if isinstance(r, Measured)]))
    for guard, result in zip(guards, results, strict=True):
        if isinstance(result, NotMeasured):
            step = unmeasured_step(result, evidence, policy)
            yield finding(guard.rule, result.outcome, result.reason, next_step=step)
        else:
            yield _judged(guard, result, next(corrected), len(guards), evidence, policy)


def required_slices_present(evidence: ChallengeEvidence, policy: Policy) -> Iterator[Finding]:
    """Every required slice is in the hold-out, with enough rows. One that has vanished is a fault until explained."""
    need = policy.slices.minimum_rows
    for name in evidence.required_slices:
        rule, rows = f"rows of required slice {name}", _rows(evidence, name)
        if rows == 0:
            yield finding(
                rule,
                Outcome.ERROR,
                f"Required slice {name} has no rows in the hold-out, so nobody knows how the candidate serves it.",
                next_step="Find out why its data stopped (the source, a renamed value); if it is gone for good, take "
                "it out of the project's required slices in a reviewed change.",
            )
        elif rows < need:
            units = math.ceil(evidence.hold_out.units * need / rows)
            yield finding(
                rule,
                Outcome.INSUFFICIENT_EVIDENCE,
                f"Required slice {name} has {count(rows, 'row')}, and the policy wants at least {need:,}; at this rate "
                f"that takes {count(units, evidence.unit)}.",
                next_step="Judge on a longer hold-out, or lower slices.minimum_rows in conf/promotion.yml.",
            )
        else:
            yield finding(rule, Outcome.PROMOTE, f"Required slice {name} has {count(rows, 'row')}.")


def informative_slices(evidence: ChallengeEvidence, policy: Policy) -> Iterator[Finding]:
    """The primary metric in the other slices, uncorrected: shown and recorded, never decisive."""
    rate, margin = error_rate_at(policy, evidence.hold_out.looks_before), policy.slices.margin
    for name in evidence.informative_slices:
        rule = f"slice {name}"
        result = measured(evidence.found(evidence.primary_metric, name), evidence.primary_metric, name)
        if isinstance(result, NotMeasured):
            yield finding(rule, result.outcome, result.reason, informative=True)
            continue
        frame = zone("non_inferiority", margin)
        outcome = decide(exceeds=p_exceeds(result.evidence, frame), falls_short=_p_worse(result), error_rate=rate)
        reason = f"{values_in_words(result, evidence, margin=margin, error_rate=rate)}. For information."
        yield finding(rule, outcome, reason, informative=True)


def _judged(
    guard: Guard, result: Measured, p_worse: float, family: int, evidence: ChallengeEvidence, policy: Policy
) -> Finding:
    """`p_worse` is corrected for the number of comparisons."""
    rate = error_rate_at(policy, evidence.hold_out.looks_before)
    frame = zone("non_inferiority", guard.margin)
    p_within = p_exceeds(result.evidence, frame)
    outcome = decide(exceeds=p_within, falls_short=p_worse, error_rate=rate)
    values = values_in_words(result, evidence, margin=guard.margin, error_rate=rate)
    within = f"to lie within the margin of {guard.margin:g}"
    harm = f"{probability(p_worse)} after correction for {count(family, 'comparison')}"
    if outcome is Outcome.PROMOTE:
        reason = f"{values}. It is shown {within} ({probability(p_within)}, below {rate:g})."
        return finding(guard.rule, outcome, reason)
    if outcome is Outcome.HOLD:
        return finding(
            guard.rule,
            outcome,
            f"{values}. It is not shown {within} ({probability(p_within)}), and it is shown to be worse ({harm}, below "
            f"{rate:g}).",
            next_step="Find out what the candidate does differently here; if more can be borne, widen the margin in "
            "conf/promotion.yml in a reviewed change.",
        )
    units = decided_by(result, frame, evidence.unit, rate, power=power_of_each(family))
    return finding(
        guard.rule,
        outcome,
        f"{values}. It is neither shown {within} ({probability(p_within)}) nor to be worse ({harm}, both at {rate:g}); "
        f"{units}.",
        next_step=wait_step(evidence.unit, guard.margin),
    )


def _p_worse(result: Measured) -> float:
    return p_falls_short(result.evidence, zone("non_inferiority", 1.0))


def _rows(evidence: ChallengeEvidence, slice_name: str) -> int:
    """Rows of a slice, as the primary metric's comparison counted them; 0 if the slice does not occur."""
    return max((c.rows for c in evidence.found(evidence.primary_metric, slice_name)), default=0)
