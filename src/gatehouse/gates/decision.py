"""One difference, three answers: good enough, not good enough, cannot tell yet. The same rule serves every comparison.

Two true differences frame the decision, one margin apart: `demanded`, which a version must exceed, and `hoped`, which
is good enough without doubt.

    superiority        demanded = 0          hoped = margin    better at all; a margin better is what one hopes for
    non-inferiority    demanded = -margin    hoped = 0         worse by less than the margin; as good is hoped for

PROMOTE if the difference is shown to exceed `demanded`, else HOLD if it is shown to fall short of `hoped`, else
INSUFFICIENT_EVIDENCE, each "shown" being a one-sided test at the error rate. So a version at `demanded` or below is
promoted with at most that chance, a version at `hoped` or above is held with at most that chance, and between the two
either answer is right. Two equal models therefore end, under superiority, as HOLD once the hold-out is large enough to
exclude a gain of one margin, and as INSUFFICIENT_EVIDENCE before; under non-inferiority as PROMOTE. Swapping the
contenders of a PROMOTE under superiority gives a HOLD.

This is the choice among three decisions with an indifference zone (Wald 1947), on one fixed sample.
"""

from __future__ import annotations

from dataclasses import dataclass

from gatehouse.evaluation.significance import Evidence
from gatehouse.gates.policy import Mode
from gatehouse.gates.verdict import Outcome

POWER = 0.8
"""Chance with which plans and "units needed" want a verdict to fall."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Zone:
    """True differences, in the metric's unit, between which either answer is right. Positive: better."""

    demanded: float
    hoped: float


def zone(mode: Mode, margin: float) -> Zone:
    """The zone of a mode; it is one margin wide."""
    return Zone(demanded=0.0, hoped=margin) if mode == "superiority" else Zone(demanded=-margin, hoped=0.0)


def p_exceeds(evidence: Evidence, frame: Zone) -> float:
    """One-sided p-value against "the true difference is `demanded` or less"."""
    return evidence.p_better(-frame.demanded)


def p_falls_short(evidence: Evidence, frame: Zone) -> float:
    """One-sided p-value against "the true difference is `hoped` or more"."""
    return evidence.p_worse(-frame.hoped)


def decide(*, exceeds: float, falls_short: float, error_rate: float) -> Outcome:
    """From the two p-values, of which the second may have been corrected for the number of comparisons."""
    if exceeds < error_rate:
        return Outcome.PROMOTE
    if falls_short < error_rate:
        return Outcome.HOLD
    return Outcome.INSUFFICIENT_EVIDENCE


def units_to_decide(evidence: Evidence, frame: Zone, *, error_rate: float, power: float = POWER) -> int | None:
    """How many units give a verdict with that power if the true difference is the one observed; None: over 100,000.

    Never fewer than one more than there are, since those could not tell.
    """
    distance = max(evidence.difference - frame.demanded, frame.hoped - evidence.difference)
    needed = evidence.units_needed(margin=distance, power=power, error_rate=error_rate)
    return None if needed is None else max(needed, evidence.units + 1)
