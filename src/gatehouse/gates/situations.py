"""Situations in which a gate was found broken somewhere, each with the one outcome that is right."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np

from gatehouse.evaluation.comparison import Comparison
from gatehouse.evaluation.measurement import Unmeasured
from gatehouse.gates.evidence import ALL, ChallengeEvidence, Contender, Reading
from gatehouse.gates.policy import Policy
from gatehouse.gates.synthetic import PRIMARY, REQUIRED, Truth, draw, enough_units, swapped
from gatehouse.gates.verdict import Outcome

Entry = Comparison | Unmeasured


@dataclass(frozen=True, kw_only=True, slots=True)
class Situation:
    """What is shown to the judge, and what it must say."""

    name: str
    expected: Outcome
    evidence: ChallengeEvidence


def situations(policy: Policy, rng: np.random.Generator) -> Iterator[Situation]:
    """Each differs in one thing from a challenge that a clearly better version wins."""
    good = _drawn(policy, rng, gain=_gain(policy))
    yield from _truths(policy, rng, good)
    yield from _numbers(policy, good)
    yield from _slices(policy, rng, good)
    yield from _contenders(good)
    yield from _hold_outs(policy, rng, good)
    yield from _stability(policy, good)


def edited(
    evidence: ChallengeEvidence, metric: str, slice_name: str, edit: Callable[[Entry], Entry | None]
) -> ChallengeEvidence:
    """The evidence with one comparison changed, or, if `edit` gives None, left out."""
    entries = [edit(c) if (c.metric, c.slice) == (metric, slice_name) else c for c in evidence.comparisons]
    return replace(evidence, comparisons=tuple(c for c in entries if c is not None))


def _gain(policy: Policy) -> float:
    """More than a margin, and not suspicious."""
    return (policy.primary.margin + policy.primary.suspicious_gain) / 2


def _drawn(
    policy: Policy,
    rng: np.random.Generator,
    *,
    gain: float,
    harm: dict[tuple[str, str], float] | None = None,
    units: int | None = None,
) -> ChallengeEvidence:
    have = enough_units(policy) if units is None else units
    truth = Truth(gain=gain, harm=harm or {}, units=have)
    return draw(policy, truth, mode=policy.primary.changed_code, rng=rng)


def _truths(policy: Policy, rng: np.random.Generator, good: ChallengeEvidence) -> Iterator[Situation]:
    gain = _gain(policy)
    yield _situation("a better version", Outcome.PROMOTE, good)
    again = ChallengeEvidence.from_record(good.to_record())
    yield _situation("the same, read back from its record", Outcome.PROMOTE, again)
    yield _situation("the same two, swapped", Outcome.HOLD, swapped(good))
    yield _situation("a worse version", Outcome.HOLD, _drawn(policy, rng, gain=-gain))
    leak = _drawn(policy, rng, gain=2 * policy.primary.suspicious_gain)
    yield _situation("a gain beyond belief", Outcome.HOLD, leak)
    for name, rule in policy.guardrails.items():
        harmed = _drawn(policy, rng, gain=gain, harm={(name, ALL): -2 * rule.margin})
        yield _situation(f"guardrail {name} worse by two margins", Outcome.HOLD, harmed)


def _numbers(policy: Policy, good: ChallengeEvidence) -> Iterator[Situation]:
    def with_difference(value: float) -> ChallengeEvidence:
        return edited(good, PRIMARY, ALL, lambda c: _set_difference(c, value))

    def undefined(c: Entry) -> Entry:
        return Unmeasured(metric=c.metric, slice=c.slice, reason="All rows are negative.", rows=c.rows)

    yield _situation("a difference that is not a number", Outcome.ERROR, with_difference(math.nan))
    yield _situation("an infinite gain", Outcome.ERROR, with_difference(math.inf))
    yield _situation("no comparison at all", Outcome.ERROR, replace(good, comparisons=()))
    yield _situation("the primary metric is missing", Outcome.ERROR, edited(good, PRIMARY, ALL, lambda _: None))
    yield _situation("labels of one class only", Outcome.ERROR, edited(good, PRIMARY, ALL, undefined))
    yield _situation(
        "rows the model failed on", Outcome.ERROR, replace(good, faults="3 rows have no valid prediction.")
    )
    for name in policy.guardrails:
        missing = edited(good, name, ALL, lambda _: None)
        yield _situation(f"guardrail {name} is missing", Outcome.ERROR, missing)


def _slices(policy: Policy, rng: np.random.Generator, good: ChallengeEvidence) -> Iterator[Situation]:
    required, few = REQUIRED[0], policy.slices.minimum_rows - 1
    harm = {(PRIMARY, required): -2 * policy.slices.margin}
    harmed = _drawn(policy, rng, gain=_gain(policy), harm=harm)
    yield _situation("a required slice worse by two margins", Outcome.HOLD, harmed)
    informative = replace(harmed, required_slices=REQUIRED[1:], informative_slices=(required,))
    yield _situation("the same slice, only informative", Outcome.PROMOTE, informative)
    absent = edited(good, PRIMARY, required, lambda _: None)
    yield _situation("a required slice is absent", Outcome.ERROR, absent)
    if few:
        small = edited(good, PRIMARY, required, lambda c: replace(c, rows=few))
        yield _situation("a required slice is too small", Outcome.INSUFFICIENT_EVIDENCE, small)


def _contenders(good: ChallengeEvidence) -> Iterator[Situation]:
    itself = replace(good, opponent=replace(good.opponent, version=good.candidate.version))
    yield _situation("a version against itself", Outcome.ERROR, itself)
    for who in ("candidate", "opponent"):
        contender: Contender = getattr(good, who)
        training = contender.training
        if training is None:
            continue
        into = replace(training, end=good.hold_out.start + timedelta(hours=1))
        among, unknown = replace(training, hold_out_keys=1), replace(training, hold_out_keys=None)
        for what, changed in (
            ("was trained into the hold-out", replace(contender, training=into)),
            ("was trained on one row of the hold-out", replace(contender, training=among)),
            ("was trained on nobody knows which rows", replace(contender, training=unknown)),
            ("has no recorded training", replace(contender, training=None)),
        ):
            evidence = replace(good, candidate=changed) if who == "candidate" else replace(good, opponent=changed)
            yield _situation(f"the {who} {what}", Outcome.ERROR, evidence)


def _hold_outs(policy: Policy, rng: np.random.Generator, good: ChallengeEvidence) -> Iterator[Situation]:
    rule, gain = policy.hold_out, _gain(policy)
    few = _drawn(policy, rng, gain=gain, units=rule.minimum_units - 1)
    yield _situation("one unit too few", Outcome.INSUFFICIENT_EVIDENCE, few)
    yield _situation("a single unit", Outcome.ERROR, _drawn(policy, rng, gain=gain, units=1))
    used = replace(good, hold_out=replace(good.hold_out, judged_before=rule.reuse_budget))
    yield _situation("a hold-out that is used up", Outcome.HOLD, used)
    often = replace(good, hold_out=replace(good.hold_out, looks_before=rule.reuse_budget))
    yield _situation("a version that was judged too often", Outcome.HOLD, often)
    if rule.minimum_label_share > 0:
        early = replace(good, hold_out=replace(good.hold_out, label_share=rule.minimum_label_share / 2))
        yield _situation("half of the labels are missing", Outcome.INSUFFICIENT_EVIDENCE, early)


def _stability(policy: Policy, good: ChallengeEvidence) -> Iterator[Situation]:
    limits, stability = policy.stability, good.stability

    def above(limit: float) -> Reading:
        return Reading(value=limit + 0.01, rows=good.hold_out.rows)

    nothing = Reading(value=None, missing="Nobody measured it.")
    told = [
        (
            "negative flips over the limit",
            Outcome.HOLD,
            replace(stability, negative_flips=above(limits.negative_flips)),
        ),
        ("scores that moved too far", Outcome.HOLD, replace(stability, score_shift=above(limits.score_shift))),
        ("bad calibration", Outcome.HOLD, replace(stability, calibration_error=above(limits.calibration_error))),
        ("flips that nobody measured", Outcome.ERROR, replace(stability, negative_flips=nothing)),
    ]
    for name, expected, changed in told:
        yield _situation(name, expected, replace(good, stability=changed))


def _set_difference(entry: Entry, value: float) -> Entry:
    return replace(entry, difference=value, candidate=value) if isinstance(entry, Comparison) else entry


def _situation(name: str, expected: Outcome, evidence: ChallengeEvidence) -> Situation:
    return Situation(name=name, expected=expected, evidence=evidence)
