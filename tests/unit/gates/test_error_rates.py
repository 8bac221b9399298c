"""The error rates that the gate states, measured on challenges whose truth is known. Seeded."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from gatehouse.evaluation.comparison import Comparison
from gatehouse.evaluation.metrics import ACCURACY
from gatehouse.evaluation.significance import Evidence, degrees_of_freedom
from gatehouse.gates.challenge import judge_challenge
from gatehouse.gates.decision import zone
from gatehouse.gates.evidence import ALL, ChallengeEvidence
from gatehouse.gates.guards import power_of_each
from gatehouse.gates.policy import Mode, Policy
from gatehouse.gates.synthetic import PRIMARY, Truth, draw
from gatehouse.gates.verdict import Outcome

pytestmark = pytest.mark.slow

Policies = Callable[..., Policy]
Challenges = Callable[..., ChallengeEvidence]
RATE = 0.05
DRAWS = 400
SLACK = 2.6 * math.sqrt(RATE * (1 - RATE) / DRAWS)  # one time in 200 by chance, once for the seed
TEN = tuple(f"group={i}" for i in range(10))
modes = pytest.mark.parametrize("mode", ["superiority", "non_inferiority"])


def frequencies(policy: Policy, truth: Truth, mode: Mode, seed: int = 1) -> Mapping[Outcome, float]:
    rng = np.random.default_rng(seed)
    seen = Counter(judge_challenge(draw(policy, truth, mode=mode, rng=rng), policy).outcome for _ in range(DRAWS))
    return {outcome: seen[outcome] / DRAWS for outcome in Outcome}


def power_at(precision: float) -> float:
    """Of a non-inferiority test on 28 units whose margin is so many standard errors wide."""
    spread = Evidence(
        difference=0.0,
        standard_error=1.0,
        planning_error=1.0,
        degrees_of_freedom=degrees_of_freedom(28),
        units=28,
    )
    return spread.power(0.0, margin=precision)


@pytest.mark.broken_gate(16)
@modes
@pytest.mark.parametrize("precision", [1.0, 4.0], ids=["on a noisy hold-out", "on a clear one"])
def test_a_version_that_lies_where_it_must_not_pass_is_promoted_as_rarely_as_stated(
    policy: Policies, mode: Mode, precision: float
) -> None:
    demanded = zone(mode, 0.02).demanded
    once = policy(hold_out={"reuse_budget": 1})
    seen = frequencies(once, Truth(gain=demanded, precision=precision, exact=True), mode)
    assert seen[Outcome.PROMOTE] <= RATE + SLACK
    # It is a test, not a wall: the version is promoted about as often as the rate allows.
    assert seen[Outcome.PROMOTE] >= RATE - SLACK


@modes
@pytest.mark.parametrize(
    "days", [(28,), tuple(range(14, 29)), tuple(range(14, 43, 7))], ids=["once", "daily", "weekly"]
)
def test_a_version_that_is_judged_while_its_hold_out_grows_is_promoted_as_rarely_as_stated(
    policy: Policies, mode: Mode, days: tuple[int, ...]
) -> None:
    """It was 12 to 16 % when a version's own looks did not count."""
    given = policy(guardrails={})
    truth = Truth(gain=zone(mode, given.primary.margin).demanded, precision=1.0, exact=True, units=max(days))
    rng = np.random.default_rng(18)

    def ever_promoted() -> bool:
        whole = draw(given, truth, mode=mode, rng=rng)
        return any(
            judge_challenge(of_first_days(whole, n, looks_before=k), given).outcome is Outcome.PROMOTE
            for k, n in enumerate(days)
        )

    promoted = sum(ever_promoted() for _ in range(DRAWS)) / DRAWS
    assert 0.005 <= promoted <= RATE + SLACK


def of_first_days(whole: ChallengeEvidence, units: int, *, looks_before: int) -> ChallengeEvidence:
    """The same challenge on a hold-out that ended earlier."""

    def cut(c: Comparison) -> Comparison:
        gains = (np.array(c.influence) * len(c.units) + c.difference)[:units]
        difference = float(gains.mean())
        return replace(
            c,
            candidate=c.champion + difference,
            difference=difference,
            influence=tuple(((gains - difference) / units).tolist()),
            units=c.units[:units],
            rows=c.rows * units // len(c.units),
        )

    told = replace(
        whole.hold_out,
        end=whole.hold_out.start + timedelta(days=units),
        units=units,
        rows=whole.hold_out.rows * units // whole.hold_out.units,
        looks_before=looks_before,
    )
    compared = tuple(cut(c) for c in whole.comparisons if isinstance(c, Comparison))
    return replace(whole, hold_out=told, comparisons=compared)


@pytest.mark.broken_gate(16)
def test_a_model_half_a_point_less_accurate_is_promoted_as_rarely_as_stated(
    challenge: Challenges, policy: Policies
) -> None:
    """The gate that was found broken compared two numbers, and promoted such a model one time in five."""
    points = policy(
        primary={"margin": 0.005, "suspicious_gain": 0.1},
        guardrails={},
        slices={"margin": 1.0, "minimum_rows": 1},
        stability={"negative_flips": 1.0, "score_shift": 1.0, "calibration_error": 1.0},  # or these would hold it
    )
    rng = np.random.default_rng(16)
    promoted = named_better = 0
    draws = 120
    for _ in range(draws):
        late = (rng.random(28 * 60) < 0.3).astype(float)
        frame = pd.DataFrame({"day": np.repeat(np.arange(28), 60), "late": late, "origin": "EWR"})
        for contender, accuracy in (("champion", 0.80), ("candidate", 0.795)):
            right = rng.random(len(frame)) < accuracy
            frame[contender] = np.where(right, late, 1.0 - late)
        evidence = challenge(frame, primary=ACCURACY, guardrails=(), required=("origin=EWR",), mode="non_inferiority")
        (whole,) = evidence.found("accuracy", ALL)
        named_better += whole.difference > 0  # type: ignore[union-attr]
        promoted += judge_challenge(evidence, points).outcome is Outcome.PROMOTE
    assert named_better / draws > 0.2
    assert promoted / draws <= RATE + 2.6 * math.sqrt(RATE * (1 - RATE) / draws)


@pytest.mark.broken_gate(17)
def test_ten_required_slices_hold_a_good_version_as_rarely_as_stated(policy: Policies) -> None:
    """All ten together; a gate without correction held 40 % of them."""
    good = Truth(gain=0.0, slices=TEN, precision=1.0)
    seen = frequencies(policy(guardrails={}), good, "non_inferiority")
    # Once by the primary metric, once by all ten slices.
    assert seen[Outcome.HOLD] <= 2 * RATE + 2.6 * math.sqrt(2 * RATE * (1 - 2 * RATE) / DRAWS)
    assert seen[Outcome.ERROR] == 0.0


@pytest.mark.broken_gate(17)
def test_ten_required_slices_let_good_versions_through_on_a_hold_out_of_the_planned_size(policy: Policies) -> None:
    """Planned with the power corrected for their number: all ten pass together four times in five."""
    precision = 4.6  # margins per standard error that give each slice the power that ten need
    assert power_at(precision) == pytest.approx(power_of_each(10), abs=0.002)
    good = Truth(gain=0.02, slices=TEN, precision=precision)
    seen = frequencies(policy(guardrails={}, hold_out={"reuse_budget": 1}), good, "non_inferiority")
    assert seen[Outcome.PROMOTE] >= 0.8
    assert seen[Outcome.HOLD] == 0.0


@pytest.mark.broken_gate(17)
@pytest.mark.parametrize("slices", [TEN[:1], TEN])
def test_harm_of_one_margin_in_one_required_slice_passes_as_rarely_as_stated(
    policy: Policies, slices: tuple[str, ...]
) -> None:
    margin = policy().slices.margin
    harmful = Truth(gain=0.1, harm={(PRIMARY, slices[0]): -margin}, slices=slices, precision=8.0)
    seen = frequencies(policy(guardrails={}), harmful, "superiority")
    assert seen[Outcome.PROMOTE] <= RATE + SLACK


def test_a_guardrail_worse_by_its_margin_passes_as_rarely_as_stated(policy: Policies) -> None:
    harmful = Truth(gain=0.1, harm={("roc_auc", ALL): -0.03}, precision=8.0)
    assert frequencies(policy(), harmful, "superiority")[Outcome.PROMOTE] <= RATE + SLACK
