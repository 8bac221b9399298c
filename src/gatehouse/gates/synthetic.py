"""Challenges made of numbers, whose truth is known: what the selftest feeds to the judge that decides in earnest."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from gatehouse.evaluation.comparison import Comparison
from gatehouse.evaluation.measurement import Unmeasured
from gatehouse.gates.evidence import (
    ALL,
    ChallengeEvidence,
    Contender,
    HoldOut,
    Reading,
    Stability,
    Training,
)
from gatehouse.gates.policy import Mode, Policy

PRIMARY = "primary_metric"
REQUIRED = ("group=a", "group=b", "group=c")

_START = datetime(2013, 1, 1, tzinfo=UTC)
_MIDDLE = _START + timedelta(days=90)


@dataclass(frozen=True, kw_only=True, slots=True)
class Truth:
    """What a synthetic challenge is drawn from.

    Attributes:
        gain: True difference of the primary metric over all rows; positive: the candidate is better.
        harm: True differences elsewhere, by (metric, slice); 0 where nothing is said.
        precision: Margins per standard error, in every comparison: the larger, the clearer the answer.
        exact: Comparisons other than the primary one are nearly without noise.
        units: How many the hold-out has.
        slices: The required slices.
    """

    gain: float
    harm: Mapping[tuple[str, str], float] = field(default_factory=dict)
    precision: float = 50.0
    exact: bool = False
    units: int = 28
    slices: tuple[str, ...] = REQUIRED


def enough_units(policy: Policy) -> int:
    """A hold-out that the policy does not find too small: four weeks of days, or what it demands."""
    return max(28, policy.hold_out.minimum_units)


def draw(policy: Policy, truth: Truth, *, mode: Mode, rng: np.random.Generator) -> ChallengeEvidence:
    """One challenge: independent units, normal noise."""
    rows = truth.units * max(1_000, 4 * policy.slices.minimum_rows)
    compared = [(PRIMARY, ALL, policy.primary.margin, rows)]
    compared += [(name, ALL, rule.margin, rows) for name, rule in policy.guardrails.items()]
    compared += [(PRIMARY, s, policy.slices.margin, rows // max(len(truth.slices), 1)) for s in truth.slices]
    return ChallengeEvidence(
        mode=mode,
        mode_reason="Synthetic.",
        unit="day",
        candidate=Contender(kind="candidate", version="2", training=_training()),
        opponent=Contender(kind="champion", version="1", training=_training()),
        primary_metric=PRIMARY,
        guardrail_metrics=tuple(policy.guardrails),
        required_slices=truth.slices,
        informative_slices=(),
        hold_out=HoldOut(
            start=_MIDDLE,
            end=_MIDDLE + timedelta(days=truth.units),
            units=truth.units,
            rows=rows,
            label_share=1.0,
            judged_before=0,
        ),
        comparisons=tuple(_compared(truth, *what, rng) for what in compared),
        stability=Stability(
            negative_flips=Reading(value=0.0, rows=rows),
            score_shift=Reading(value=0.0, rows=rows),
            calibration_error=Reading(value=0.0, rows=rows),
            opponent_calibration_error=Reading(value=0.0, rows=rows),
        ),
    )


def swapped(evidence: ChallengeEvidence) -> ChallengeEvidence:
    """The same hold-out with candidate and opponent exchanged."""

    def turned(c: Comparison | Unmeasured) -> Comparison | Unmeasured:
        if isinstance(c, Unmeasured):
            return c
        influence = tuple(-e + 0.0 for e in c.influence)
        return replace(
            c, champion=c.candidate, candidate=c.champion, difference=-c.difference + 0.0, influence=influence
        )

    return replace(evidence, comparisons=tuple(map(turned, evidence.comparisons)))


def _compared(
    truth: Truth, metric: str, slice_name: str, margin: float, rows: int, rng: np.random.Generator
) -> Comparison:
    main = (metric, slice_name) == (PRIMARY, ALL)
    true = truth.gain if main else truth.harm.get((metric, slice_name), 0.0)
    precision = 200.0 if truth.exact and not main else truth.precision
    noise = rng.normal(0.0, margin / precision * math.sqrt(truth.units), truth.units)
    champion, difference = 0.5, true + float(noise.mean())
    return Comparison(
        metric=metric,
        slice=slice_name,
        champion=champion,
        candidate=champion + difference,
        difference=difference,
        influence=tuple(((noise - noise.mean()) / truth.units).tolist()),
        units=tuple(map(str, range(truth.units))),
        rows=rows,
    )


def _training() -> Training:
    return Training(start=_START, end=_MIDDLE, hold_out_keys=0)
