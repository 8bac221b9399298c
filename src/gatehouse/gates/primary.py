"""Rules on the primary metric over the whole hold-out: good enough, and not too good to be true."""

from __future__ import annotations

from collections.abc import Iterator

from gatehouse.gates.decision import POWER, Zone, decide, p_exceeds, p_falls_short, units_to_decide, zone
from gatehouse.gates.evidence import ALL, ChallengeEvidence
from gatehouse.gates.looks import error_rate_at
from gatehouse.gates.measured import Measured, NotMeasured, measured
from gatehouse.gates.phrases import count, number, percent, probability
from gatehouse.gates.policy import Policy
from gatehouse.gates.rules import finding
from gatehouse.gates.verdict import Finding, Outcome


def primary_good_enough(evidence: ChallengeEvidence, policy: Policy) -> Iterator[Finding]:
    """The primary metric decides by the mode's demand: `decision` says how, and how often it errs."""
    metric, margin = evidence.primary_metric, policy.primary.margin
    rate = error_rate_at(policy, evidence.hold_out.looks_before)
    found = measured(evidence.found(metric, ALL), metric, ALL)
    rule = f"primary metric {metric}"
    if isinstance(found, NotMeasured):
        yield finding(rule, found.outcome, found.reason, next_step=unmeasured_step(found, evidence, policy))
        return
    frame = zone(evidence.mode, margin)
    exceeds, falls_short = p_exceeds(found.evidence, frame), p_falls_short(found.evidence, frame)
    outcome = decide(exceeds=exceeds, falls_short=falls_short, error_rate=rate)
    values = values_in_words(found, evidence, margin=margin, error_rate=rate)
    demand = "to be better" if evidence.mode == "superiority" else f"to lie within the margin of {margin:g}"
    if outcome is Outcome.PROMOTE:
        yield finding(rule, outcome, f"{values}. It is shown {demand} ({probability(exceeds)}, below {rate:g}).")
    elif outcome is Outcome.HOLD:
        yield finding(
            rule,
            outcome,
            f"{values}. It is not shown {demand} ({probability(exceeds)}), and it is shown {_short(frame)} "
            f"({probability(falls_short)}, below {rate:g}).",
            next_step="Keep what is in production. More labels will hardly change this: a better version needs better "
            "features, other options or more recent training data.",
        )
    else:
        yield finding(
            rule,
            outcome,
            f"{values}. It is neither shown {demand} ({probability(exceeds)}) nor {_short(frame)} "
            f"({probability(falls_short)}, both at {rate:g}); {decided_by(found, frame, evidence.unit, rate)}.",
            next_step=wait_step(evidence.unit, margin),
        )


def not_suspiciously_good(evidence: ChallengeEvidence, policy: Policy) -> Iterator[Finding]:
    """A gain beyond the policy's ceiling is more often a leak than an invention."""
    metric, ceiling = evidence.primary_metric, policy.primary.suspicious_gain
    found = measured(evidence.found(metric, ALL), metric, ALL)
    if isinstance(found, NotMeasured):
        return  # `primary_good_enough` says so
    gain = found.comparison.difference
    rule, size = "suspicious gain", number(gain, scale=policy.primary.margin)
    if gain <= ceiling:
        yield finding(rule, Outcome.PROMOTE, f"The gain in {metric} is {size}; beyond {ceiling:g} it would be held.")
    else:
        yield finding(
            rule,
            Outcome.HOLD,
            f"The gain in {metric} is {size}, more than the {ceiling:g} from which on a leak is suspected.",
            next_step="Look at the most important features for one that knows the outcome. If the gain is real, raise "
            "primary.suspicious_gain in conf/promotion.yml in a reviewed change and judge again.",
        )


def values_in_words(found: Measured, evidence: ChallengeEvidence, *, margin: float, error_rate: float) -> str:
    """Both values, the difference, its interval and on how much data, as the start of a sentence."""
    compared, level = found.comparison, 1.0 - 2.0 * error_rate
    candidate, other, apart = (
        number(v, scale=margin) for v in (compared.candidate, compared.champion, abs(compared.difference))
    )
    low, high = (number(v, scale=margin) for v in found.evidence.interval(level))
    where = "" if compared.slice == ALL else f" in {compared.slice}"
    direction = "better" if compared.difference > 0 else "worse"
    difference = f"{direction} by {apart}" if apart.strip("0.,") else "the same to these digits"
    data = f"{count(found.evidence.units, evidence.unit)}, {count(compared.rows, 'row')}"
    return (
        f"{compared.metric}{where} is {candidate} for the candidate and {other} for {evidence.opponent.name}: "
        f"{difference} ({percent(level)} interval of the gain {low} to {high}; {data})"
    )


def decided_by(found: Measured, frame: Zone, unit: str, error_rate: float, *, power: float = POWER) -> str:
    """How many units would decide, as the end of a sentence."""
    needed = units_to_decide(found.evidence, frame, error_rate=error_rate, power=power)
    if needed is None:
        return "no hold-out of a reasonable size would decide it"
    return f"if this is the true difference, about {count(needed, unit)} decide it, with a chance of {percent(power)}"


def wait_step(unit: str, margin: float) -> str:
    """What to do about a difference that cannot be told yet."""
    return (
        f"Judge again when more {unit}s of labels are there (hold_out_days in conf/training.yml); "
        f"`gatehouse plan --margin {margin:g}` shows how many a margin needs."
    )


def unmeasured_step(found: NotMeasured, evidence: ChallengeEvidence, policy: Policy) -> str:
    """What to do about a comparison that is missing."""
    if found.outcome is Outcome.INSUFFICIENT_EVIDENCE:
        return f"Judge on at least {count(policy.hold_out.minimum_units, evidence.unit)}."
    return "Find out why it could not be measured (one class only, a metric left out, a model that fails)."


def _short(frame: Zone) -> str:
    return f"to gain less than {frame.hoped:g}" if frame.hoped > 0 else "to be worse"
