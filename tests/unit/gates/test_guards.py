from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from gatehouse.evaluation.comparison import Comparison
from gatehouse.gates.challenge import judge_challenge
from gatehouse.gates.evidence import ALL, ChallengeEvidence
from gatehouse.gates.policy import Policy
from gatehouse.gates.synthetic import PRIMARY, Truth, draw
from gatehouse.gates.verdict import Finding, Outcome, Verdict

Policies = Callable[..., Policy]
Rows = Callable[..., pd.DataFrame]
Challenges = Callable[..., ChallengeEvidence]
SLICES = ("origin=EWR", "origin=JFK", "origin=LGA")


def finding(verdict: Verdict, rule: str) -> Finding:
    (only,) = [f for f in verdict.findings if f.rule == rule]
    return only


@pytest.mark.broken_gate(15)
def test_a_required_slice_that_is_absent_blocks_and_is_named(
    scored: Rows, challenge: Challenges, policy: Policies
) -> None:
    frame = scored(1, champion=1.0, candidate=0.5)
    verdict = judge_challenge(challenge(frame[frame["origin"] != "LGA"]), policy())
    assert verdict.outcome is Outcome.ERROR
    assert [f.reason for f in verdict.deciding] == [
        "Required slice origin=LGA has no rows in the hold-out, so nobody knows how the candidate serves it."
    ]


@pytest.mark.broken_gate(15)
def test_a_required_slice_with_too_few_rows_blocks_and_is_named(
    scored: Rows, challenge: Challenges, policy: Policies
) -> None:
    frame = scored(1, champion=1.0, candidate=0.5)
    few = frame[(frame["origin"] != "LGA") | (frame.index % 14 == 0)]
    verdict = judge_challenge(challenge(few), policy())
    assert verdict.outcome is Outcome.INSUFFICIENT_EVIDENCE
    (told,) = verdict.deciding
    assert told.reason == (
        "Required slice origin=LGA has 94 rows, and the policy wants at least 200; at this rate that takes 60 days."
    )


@pytest.mark.broken_gate(15)
def test_a_required_slice_without_a_comparison_of_the_primary_metric_blocks(
    good: ChallengeEvidence, policy: Policies
) -> None:
    kept = tuple(c for c in good.comparisons if (c.metric, c.slice) != ("log_loss", "origin=JFK"))
    assert judge_challenge(replace(good, comparisons=kept), policy()).outcome is Outcome.ERROR


def test_a_required_slice_is_required_against_a_threshold_too(
    scored: Rows, challenge: Challenges, policy: Policies, good: ChallengeEvidence
) -> None:
    frame = scored(1, champion=1.0, candidate=0.5)
    fixed = policy(first="threshold", threshold=0.6)
    threshold = replace(good.opponent, kind="threshold", version=None, threshold=0.6, training=None)
    whole = judge_challenge(challenge(frame, opponent=threshold), fixed)
    assert whole.outcome is Outcome.PROMOTE
    without = judge_challenge(challenge(frame[frame["origin"] != "LGA"], opponent=threshold), fixed)
    assert without.outcome is Outcome.ERROR
    assert finding(without, "rows of required slice origin=LGA").outcome is Outcome.ERROR


@pytest.mark.broken_gate(17)
def test_three_tiny_slices_that_look_bad_do_not_veto_a_better_model(
    scored: Rows, challenge: Challenges, policy: Policies
) -> None:
    frame = scored(2, champion=1.0, candidate=0.5)
    for number, name in enumerate(("BDR", "HPN", "ISP")):
        tiny = frame.index % 280 == number
        frame.loc[tiny, "origin"] = name
        frame.loc[tiny, "candidate"] = 0.2 + 0.6 * (1.0 - frame.loc[tiny, "late"])
    tiny_slices = ("origin=BDR", "origin=HPN", "origin=ISP")
    verdict = judge_challenge(challenge(frame), policy())
    assert verdict.outcome is Outcome.PROMOTE
    for name in tiny_slices:
        told = finding(verdict, f"slice {name}")
        assert told.informative
        assert told.outcome is not Outcome.PROMOTE
    required = challenge(frame, required=(*SLICES, *tiny_slices))
    assert judge_challenge(required, policy(slices={"margin": 0.06, "minimum_rows": 1})).outcome is not Outcome.PROMOTE


@pytest.mark.broken_gate(17)
def test_a_slice_that_is_not_required_informs_however_large_it_is(policy: Policies) -> None:
    guarded = policy()
    truth = Truth(gain=0.1, harm={(PRIMARY, "group=a"): -2 * guarded.slices.margin})
    required = draw(guarded, truth, mode="superiority", rng=np.random.default_rng(1))
    assert judge_challenge(required, guarded).outcome is Outcome.HOLD
    shown = replace(required, required_slices=("group=b", "group=c"), informative_slices=("group=a",))
    verdict = judge_challenge(shown, guarded)
    assert verdict.outcome is Outcome.PROMOTE
    told = finding(verdict, "slice group=a")
    assert (told.informative, told.outcome) == (True, Outcome.HOLD)


def test_a_required_slice_that_is_harmed_holds_a_version_that_is_better_on_the_whole(
    scored: Rows, challenge: Challenges, policy: Policies
) -> None:
    frame = scored(2, champion=1.0, candidate=0.1)
    rng = np.random.default_rng(3)
    jfk = frame["origin"] == "JFK"
    logit = np.log(frame.loc[jfk, "champion"] / (1 - frame.loc[jfk, "champion"])) + rng.normal(0, 0.8, jfk.sum())
    frame.loc[jfk, "candidate"] = 1 / (1 + np.exp(-logit))
    verdict = judge_challenge(challenge(frame), policy(hold_out={"reuse_budget": 1}))
    assert finding(verdict, "primary metric log_loss").outcome is Outcome.PROMOTE
    assert verdict.outcome is Outcome.HOLD
    (told,) = verdict.deciding
    assert told.rule == "required slice origin=JFK"
    assert "after correction for 4 comparisons, below 0.05" in told.reason


def test_a_guardrail_that_is_harmed_holds_a_version_whose_primary_metric_is_better(policy: Policies) -> None:
    guarded = policy()
    truth = Truth(gain=0.1, harm={("roc_auc", ALL): -0.06}, precision=10.0)
    evidence = draw(guarded, truth, mode="superiority", rng=np.random.default_rng(1))
    verdict = judge_challenge(evidence, guarded)
    assert finding(verdict, "primary metric primary_metric").outcome is Outcome.PROMOTE
    assert verdict.outcome is Outcome.HOLD
    assert [f.rule for f in verdict.deciding] == ["guardrail roc_auc"]


def test_harm_that_is_proven_but_lies_within_the_margin_passes(policy: Policies) -> None:
    guarded = policy()
    truth = Truth(gain=0.1, harm={(PRIMARY, "group=a"): -0.2 * guarded.slices.margin}, precision=100.0)
    evidence = draw(guarded, truth, mode="superiority", rng=np.random.default_rng(1))
    (harmed,) = evidence.found(PRIMARY, "group=a")
    assert isinstance(harmed, Comparison)
    assert harmed.difference < 0
    assert judge_challenge(evidence, guarded).outcome is Outcome.PROMOTE


def test_harm_is_claimed_only_after_correction_for_the_number_of_comparisons(policy: Policies) -> None:
    """One slice of ten is worse at p = 0.02: not held, because among ten this is no surprise; alone it is."""
    guarded = policy(slices={"margin": 0.001, "minimum_rows": 1}, guardrails={}, hold_out={"reuse_budget": 1})
    ten = tuple(f"group={i}" for i in range(10))
    alternating = np.array([1.0, -1.0] * 14)

    def alike(evidence: ChallengeEvidence, suspect: str) -> ChallengeEvidence:
        def change(c: Comparison) -> Comparison:
            if c.slice == ALL:
                return c
            wave = np.cos(np.pi * (np.arange(28) + 0.5) / 28) + alternating
            difference = -0.0126 if c.slice == suspect else 0.0
            return replace(
                c,
                difference=difference,
                candidate=c.champion + difference,
                influence=tuple((wave * 0.0005).tolist()),
            )

        return replace(evidence, comparisons=tuple(change(c) for c in evidence.comparisons))  # type: ignore[arg-type]

    def told(slices: tuple[str, ...]) -> Finding:
        truth = Truth(gain=0.1, slices=slices)
        evidence = draw(guarded, truth, mode="superiority", rng=np.random.default_rng(1))
        return finding(judge_challenge(alike(evidence, "group=3"), guarded), "required slice group=3")

    assert told(("group=3",)).outcome is Outcome.HOLD
    assert told(ten).outcome is Outcome.INSUFFICIENT_EVIDENCE
    assert "after correction for 10 comparisons" in told(ten).reason
