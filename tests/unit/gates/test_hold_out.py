from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gatehouse.gates.challenge import judge_challenge
from gatehouse.gates.evidence import ChallengeEvidence, Contender, HoldOut, Training
from gatehouse.gates.policy import Policy
from gatehouse.gates.verdict import Finding, Outcome

Policies = Callable[..., Policy]

both = pytest.mark.parametrize("who", ["candidate", "opponent"])


def trained(evidence: ChallengeEvidence, who: str, **changes: Any) -> ChallengeEvidence:
    """The evidence with one contender's training changed."""
    contender: Contender = getattr(evidence, who)
    assert contender.training is not None
    changed = replace(contender, training=replace(contender.training, **changes))
    return replace(evidence, candidate=changed) if who == "candidate" else replace(evidence, opponent=changed)


def hold_out(evidence: ChallengeEvidence, **changes: Any) -> ChallengeEvidence:
    return replace(evidence, hold_out=replace(evidence.hold_out, **changes))


def judged(evidence: ChallengeEvidence, policy: Policy, rule: str) -> tuple[Outcome, Finding]:
    """The verdict, and the one finding of a rule."""
    verdict = judge_challenge(evidence, policy)
    (only,) = [f for f in verdict.findings if f.rule == rule]
    return verdict.outcome, only


@pytest.mark.broken_gate(13)
@pytest.mark.broken_gate(20)
@both
def test_a_contender_trained_into_the_hold_out_is_refused(good: ChallengeEvidence, policy: Policies, who: str) -> None:
    into = trained(good, who, end=good.hold_out.start + timedelta(days=3))
    name = {"candidate": "Candidate version 8", "opponent": "Champion version 7"}[who]
    rule = f"hold-out after the training of {getattr(good, who).kind}"
    outcome, found = judged(into, policy(), rule)
    assert (outcome, found.outcome) == (Outcome.ERROR, Outcome.ERROR)
    assert found.reason == (
        f"{name} was trained on events until 2013-07-04 00:00 UTC, and the hold-out runs from 2013-07-01 00:00 to "
        "2013-07-29 00:00 UTC: a model looks better than it is on what it was trained on."
    )


@pytest.mark.broken_gate(20)
@both
def test_a_contender_trained_after_the_hold_out_is_refused_too(
    good: ChallengeEvidence, policy: Policies, who: str
) -> None:
    later = good.hold_out.end + timedelta(days=1)
    after = trained(good, who, start=later, end=later + timedelta(days=60))
    assert judge_challenge(after, policy()).outcome is Outcome.ERROR


@pytest.mark.broken_gate(13)
@pytest.mark.broken_gate(20)
@both
def test_one_key_of_the_hold_out_in_the_training_rows_is_refused_whatever_the_windows_say(
    good: ChallengeEvidence, policy: Policies, who: str
) -> None:
    rule = f"hold-out keys in the training of {getattr(good, who).kind}"
    outcome, found = judged(trained(good, who, hold_out_keys=1), policy(), rule)
    assert (outcome, found.outcome) == (Outcome.ERROR, Outcome.ERROR)
    assert found.reason.startswith("1 event of the hold-out were among the training rows of ")


@pytest.mark.broken_gate(13)
@both
def test_keys_that_nobody_looked_for_prove_nothing(good: ChallengeEvidence, policy: Policies, who: str) -> None:
    assert judge_challenge(trained(good, who, hold_out_keys=None), policy()).outcome is Outcome.ERROR


@pytest.mark.broken_gate(20)
@both
def test_a_contender_without_recorded_training_is_refused(good: ChallengeEvidence, policy: Policies, who: str) -> None:
    unknown: Contender = replace(getattr(good, who), training=None)
    evidence = replace(good, candidate=unknown) if who == "candidate" else replace(good, opponent=unknown)
    assert judge_challenge(evidence, policy()).outcome is Outcome.ERROR


def test_training_that_ends_when_the_hold_out_starts_is_fine(good: ChallengeEvidence, policy: Policies) -> None:
    assert good.candidate.training is not None
    assert good.candidate.training.end == good.hold_out.start
    assert judge_challenge(good, policy()).outcome is Outcome.PROMOTE


def test_a_hold_out_that_ends_before_it_starts_is_an_error(good: ChallengeEvidence, policy: Policies) -> None:
    assert judge_challenge(hold_out(good, end=good.hold_out.start), policy()).outcome is Outcome.ERROR


@pytest.mark.parametrize(("units", "expected"), [(28, Outcome.PROMOTE), (29, Outcome.INSUFFICIENT_EVIDENCE)])
def test_the_policy_says_how_many_units_are_enough(
    good: ChallengeEvidence, policy: Policies, units: int, expected: Outcome
) -> None:
    outcome, found = judged(good, policy(hold_out={"minimum_units": units}), "hold-out size")
    assert (outcome, found.outcome) == (expected, expected)
    if expected is Outcome.INSUFFICIENT_EVIDENCE:
        assert found.next_step.startswith("Wait for 1 more day of labels")


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.8, Outcome.PROMOTE),
        (0.79, Outcome.INSUFFICIENT_EVIDENCE),
        (0.0, Outcome.INSUFFICIENT_EVIDENCE),
        (float("nan"), Outcome.ERROR),
        (1.01, Outcome.ERROR),
        (-0.1, Outcome.ERROR),
    ],
)
def test_labels_must_have_arrived(good: ChallengeEvidence, policy: Policies, share: float, expected: Outcome) -> None:
    outcome, found = judged(hold_out(good, label_share=share), policy(), "hold-out labels")
    assert (outcome, found.outcome) == (expected, expected)


def test_missing_labels_are_counted(good: ChallengeEvidence, policy: Policies) -> None:
    _, found = judged(hold_out(good, label_share=0.5), policy(), "hold-out labels")
    # 4,200 labels are half of 8,400 events, of which 80 % are 6,720.
    assert found.reason == (
        "50 % of the events have a known label, and the policy wants 80 %, which 2,520 more labels would reach."
    )


@pytest.mark.parametrize(
    ("before", "expected"), [(0, Outcome.PROMOTE), (4, Outcome.PROMOTE), (5, Outcome.HOLD), (-1, Outcome.ERROR)]
)
def test_a_hold_out_serves_as_many_versions_as_its_budget(
    good: ChallengeEvidence, policy: Policies, before: int, expected: Outcome
) -> None:
    outcome, found = judged(hold_out(good, judged_before=before), policy(), "hold-out reuse")
    assert (outcome, found.outcome) == (expected, expected)
    if expected is Outcome.HOLD:
        assert "use a later --as-of" in found.next_step


@pytest.mark.parametrize(
    ("before", "expected"), [(0, Outcome.PROMOTE), (4, Outcome.PROMOTE), (5, Outcome.HOLD), (-1, Outcome.ERROR)]
)
def test_a_version_is_looked_at_as_often_as_the_budget_says(
    good: ChallengeEvidence, policy: Policies, before: int, expected: Outcome
) -> None:
    outcome, found = judged(hold_out(good, looks_before=before), policy(), "hold-out reuse")
    assert (outcome, found.outcome) == (expected, expected)
    if before == 4:
        assert found.reason == (
            "This is version number 1 of the 5 that this hold-out may judge, and look number 5 of the 5 that a version "
            "has, which spends 0.00125 of the error rate of 0.05."
        )


def test_a_later_look_demands_more_of_every_comparison(good: ChallengeEvidence, policy: Policies) -> None:
    again = hold_out(good, looks_before=1)
    reasons = [f.reason for f in judge_challenge(again, policy()).findings if "below" in f.reason]
    assert reasons
    assert all("below 0.00125" in reason for reason in reasons)


@pytest.mark.parametrize("changes", [{"rows": 4_199}, {"units": 27}])
def test_comparisons_of_another_hold_out_are_an_error(
    good: ChallengeEvidence, policy: Policies, changes: dict[str, int]
) -> None:
    outcome, found = judged(hold_out(good, **changes), policy(), "comparisons")
    assert (outcome, found.outcome) == (Outcome.ERROR, Outcome.ERROR)


def test_a_threshold_has_no_training_to_look_into(good: ChallengeEvidence, policy: Policies) -> None:
    evidence = replace(good, opponent=Contender(kind="threshold", threshold=0.6))
    rules = [f.rule for f in judge_challenge(evidence, policy()).findings if f.rule.startswith("hold-out")]
    assert rules == [
        "hold-out after the training of candidate",
        "hold-out keys in the training of candidate",
        "hold-out size",
        "hold-out labels",
        "hold-out reuse",
    ]
    assert isinstance(good.hold_out, HoldOut)
    assert isinstance(good.candidate.training, Training)
