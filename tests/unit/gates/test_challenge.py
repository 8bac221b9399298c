from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gatehouse.evaluation.comparison import Comparison
from gatehouse.evaluation.metrics import LOG_LOSS, STANDARD, Metric, Task
from gatehouse.gates.challenge import judge_challenge
from gatehouse.gates.evidence import ALL, ChallengeEvidence, Contender
from gatehouse.gates.policy import Policy
from gatehouse.gates.verdict import Finding, Outcome, Verdict

Policies = Callable[..., Policy]
Rows = Callable[..., pd.DataFrame]
Challenges = Callable[..., ChallengeEvidence]
EXCHANGED = {"champion": "candidate", "candidate": "champion"}
SEEDS = range(8)


def finding(verdict: Verdict, rule: str) -> Finding:
    (only,) = [f for f in verdict.findings if f.rule == rule]
    return only


def difference(evidence: ChallengeEvidence, metric: str) -> float:
    (only,) = evidence.found(metric, ALL)
    assert isinstance(only, Comparison)
    return only.difference


@pytest.mark.broken_gate(1)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_known_better_model_wins_and_a_known_worse_one_loses(
    seed: int, policy: Policies, scored: Rows, challenge: Challenges
) -> None:
    better = scored(seed, champion=1.0, candidate=0.5)
    evidence = challenge(better)
    assert difference(evidence, "log_loss") > 0.04
    assert judge_challenge(evidence, policy()).outcome is Outcome.PROMOTE
    worse = challenge(better.rename(columns=EXCHANGED))
    assert difference(worse, "log_loss") < -0.04
    assert judge_challenge(worse, policy()).outcome is Outcome.HOLD


@pytest.mark.broken_gate(1)
@pytest.mark.parametrize("seed", SEEDS)
def test_swapped_contenders_give_the_mirrored_evidence_and_never_both_win(
    seed: int, policy: Policies, scored: Rows, challenge: Challenges
) -> None:
    frame = scored(seed, champion=0.6, candidate=0.5)
    one, other = challenge(frame), challenge(frame.rename(columns=EXCHANGED))
    for mine, theirs in zip(one.comparisons, other.comparisons, strict=True):
        assert isinstance(mine, Comparison)
        assert isinstance(theirs, Comparison)
        assert (mine.champion, mine.candidate) == (theirs.candidate, theirs.champion)
        assert mine.difference == -theirs.difference
        assert mine.influence == tuple(-e for e in theirs.influence)
    verdicts = {judge_challenge(one, policy()).outcome, judge_challenge(other, policy()).outcome}
    assert verdicts != {Outcome.PROMOTE}
    if Outcome.PROMOTE in verdicts:
        assert verdicts == {Outcome.PROMOTE, Outcome.HOLD}


@pytest.mark.broken_gate(1)
def test_a_version_compared_with_itself_is_an_error(
    policy: Policies, scored: Rows, challenge: Challenges, champion: Contender
) -> None:
    itself = replace(champion, version="8")
    evidence = challenge(scored(1, champion=1.0, candidate=0.5), opponent=itself)
    verdict = judge_challenge(evidence, policy())
    assert verdict.outcome is Outcome.ERROR
    assert finding(verdict, "contenders").reason == "Version 8 would be compared with itself."


@pytest.mark.broken_gate(3)
@pytest.mark.parametrize("metric", STANDARD, ids=lambda m: m.name)
def test_a_perfect_model_beats_one_that_always_says_the_same_whatever_the_metric(
    metric: Metric, policy: Policies, scored: Rows, challenge: Challenges
) -> None:
    task = metric.tasks[0]
    frame = scored(1, champion=0.5, candidate=0.5)
    if task is Task.REGRESSION:
        frame["late"] = np.random.default_rng(1).gamma(2.0, 10.0, len(frame))
        frame["candidate"], frame["champion"] = frame["late"], 0.0
    elif task is Task.MULTICLASS:
        frame["candidate"] = pd.Series(list(np.eye(2)[frame["late"].to_numpy(dtype=int)]))
        frame["champion"] = pd.Series([np.array([1.0, 0.0])] * len(frame))
    else:
        frame["candidate"], frame["champion"] = frame["late"], 0.0
    primary = {"margin": 1e-6, "suspicious_gain": 1e9}
    limits = {"negative_flips": 0.0, "score_shift": 1e9, "calibration_error": 1e-6}
    wide = policy(primary=primary, guardrails={}, stability=limits)
    perfect = challenge(frame, primary=metric, guardrails=(), task=task, classes=2 * (task is Task.MULTICLASS))
    assert judge_challenge(perfect, wide).outcome is Outcome.PROMOTE


def damaged(evidence: ChallengeEvidence, metric: str, **changes: Any) -> ChallengeEvidence:
    def change(c: Comparison) -> Comparison:
        return replace(c, **changes) if (c.metric, c.slice) == (metric, ALL) else c

    return replace(evidence, comparisons=tuple(change(c) for c in evidence.comparisons))  # type: ignore[arg-type]


def without(evidence: ChallengeEvidence, metric: str) -> ChallengeEvidence:
    return replace(evidence, comparisons=tuple(c for c in evidence.comparisons if c.metric != metric))


def test_the_evidence_that_others_damage_would_be_promoted(good: ChallengeEvidence, policy: Policies) -> None:
    assert judge_challenge(good, policy()).outcome is Outcome.PROMOTE


@pytest.mark.broken_gate(5)
@pytest.mark.broken_gate(14)
@pytest.mark.parametrize("metric", ["log_loss", "roc_auc"])
def test_a_missing_metric_is_an_error_and_not_a_first_deployment(
    good: ChallengeEvidence, metric: str, policy: Policies
) -> None:
    verdict = judge_challenge(without(good, metric), policy())
    assert verdict.outcome is Outcome.ERROR
    assert f"{metric} in slice all was not compared." in verdict.sentence()


@pytest.mark.broken_gate(5)
def test_a_heuristic_stands_in_for_the_champion_only_where_the_policy_says_so(
    good: ChallengeEvidence, policy: Policies, champion: Contender
) -> None:
    first = replace(good, opponent=replace(champion, kind="baseline", version=None))
    assert judge_challenge(first, policy()).outcome is Outcome.PROMOTE
    verdict = judge_challenge(first, policy(first="threshold", threshold=0.6))
    assert verdict.outcome is Outcome.ERROR
    assert finding(verdict, "contenders").reason == (
        "The opponent is the baseline, and the policy names the threshold for a first version."
    )


@pytest.mark.broken_gate(5)
def test_a_champion_without_a_version_is_an_error(
    good: ChallengeEvidence, policy: Policies, champion: Contender
) -> None:
    verdict = judge_challenge(replace(good, opponent=replace(champion, version=None)), policy())
    assert verdict.outcome is Outcome.ERROR


@pytest.mark.broken_gate(14)
@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("field", ["candidate", "champion", "difference"])
@pytest.mark.parametrize("metric", ["log_loss", "roc_auc"])
def test_a_number_that_is_not_finite_is_an_error(
    good: ChallengeEvidence, metric: str, field: str, number: float, policy: Policies
) -> None:
    verdict = judge_challenge(damaged(good, metric, **{field: number}), policy())
    assert verdict.outcome is Outcome.ERROR
    assert f"{metric} in slice all holds a number that is not finite." in verdict.sentence()


@pytest.mark.broken_gate(14)
def test_one_influence_that_is_not_a_number_is_an_error(good: ChallengeEvidence, policy: Policies) -> None:
    (whole,) = good.found("log_loss", ALL)
    assert isinstance(whole, Comparison)
    influence = (float("nan"), *whole.influence[1:])
    assert judge_challenge(damaged(good, "log_loss", influence=influence), policy()).outcome is Outcome.ERROR


@pytest.mark.broken_gate(14)
def test_a_difference_that_its_values_do_not_have_is_an_error(good: ChallengeEvidence, policy: Policies) -> None:
    verdict = judge_challenge(damaged(good, "log_loss", difference=0.2), policy())
    assert verdict.outcome is Outcome.ERROR


@pytest.mark.broken_gate(14)
def test_no_comparison_at_all_is_an_error(good: ChallengeEvidence, policy: Policies) -> None:
    verdict = judge_challenge(replace(good, comparisons=()), policy())
    assert verdict.outcome is Outcome.ERROR
    assert finding(verdict, "comparisons").reason == (
        "Nothing was compared over all rows of the hold-out, so there is nothing to decide by."
    )


@pytest.mark.broken_gate(14)
@pytest.mark.parametrize(
    "content",
    [
        {},
        {"primary": {}},
        {"primary": {"margin": float("nan"), "suspicious_gain": 0.3}},
        {"primary": {"margin": 0.0, "suspicious_gain": 0.3}},
        {"primary": {"margin": 0.02, "suspicious_gain": float("inf")}},
    ],
)
def test_an_empty_policy_or_one_without_a_real_margin_is_refused(content: dict[str, object]) -> None:
    rest = {"slices": {"margin": 0.06}, "compliance": {"allowed_flavours": ["lightgbm"]}} if content else {}
    with pytest.raises(ValueError, match=r"primary"):
        Policy.model_validate({**rest, **content})


@pytest.mark.broken_gate(14)
@pytest.mark.parametrize(
    ("guardrails", "reason"),
    [
        ({}, "Roc_auc is a guardrail of the project and has no margin."),
        (
            {"roc_auc": {"margin": 0.03}, "brier": {"margin": 0.1}},
            "Brier has a margin and is no guardrail of the project.",
        ),
    ],
)
def test_a_guardrail_named_on_one_side_only_is_an_error(
    good: ChallengeEvidence, guardrails: dict[str, object], reason: str, policy: Policies
) -> None:
    verdict = judge_challenge(good, policy(guardrails=guardrails))
    assert verdict.outcome is Outcome.ERROR
    assert finding(verdict, "guardrails").reason == reason


@pytest.mark.broken_gate(14)
def test_labels_of_one_class_only_are_an_error(policy: Policies, scored: Rows, challenge: Challenges) -> None:
    frame = scored(1, champion=1.0, candidate=0.5).assign(late=0.0)
    verdict = judge_challenge(challenge(frame, guardrails=()), policy(guardrails={}))
    assert verdict.outcome is Outcome.ERROR
    assert finding(verdict, "rows").reason == "All 4,200 labels of the hold-out are 0: one class only."


@pytest.mark.broken_gate(14)
@pytest.mark.parametrize("invalid", [float("nan"), float("inf"), 1.5])
def test_a_model_that_fails_on_a_few_rows_is_an_error_and_not_measured_on_the_others(
    invalid: float, policy: Policies, scored: Rows, challenge: Challenges
) -> None:
    frame = scored(1, champion=1.0, candidate=0.5)
    frame.loc[:2, "candidate"] = invalid
    verdict = judge_challenge(challenge(frame), policy())
    assert verdict.outcome is Outcome.ERROR
    assert "3 rows with an invalid prediction of candidate" in finding(verdict, "rows").reason


@pytest.mark.broken_gate(14)
def test_a_single_day_is_an_error_and_three_days_are_too_few(
    policy: Policies, scored: Rows, challenge: Challenges
) -> None:
    one = judge_challenge(challenge(scored(1, champion=1.0, candidate=0.5, days=1, rows=3_000)), policy())
    assert one.outcome is Outcome.ERROR
    assert finding(one, "hold-out size").reason == (
        "The hold-out has 1 day (3,000 rows), and the spread from one day to the next cannot be measured."
    )
    three = judge_challenge(challenge(scored(1, champion=1.0, candidate=0.5, days=3, rows=1_000)), policy())
    assert three.outcome is Outcome.INSUFFICIENT_EVIDENCE
    assert finding(three, "hold-out size").next_step.startswith("Wait for 11 more days of labels")


def test_equal_models_are_not_worse_and_not_better(policy: Policies, scored: Rows, challenge: Challenges) -> None:
    equal = scored(3, champion=0.5, candidate=0.5)
    equal["candidate"] = equal["champion"]
    same = policy(guardrails={"roc_auc": {"margin": 0.03}})
    assert judge_challenge(challenge(equal, mode="non_inferiority"), same).outcome is Outcome.PROMOTE
    verdict = judge_challenge(challenge(equal, mode="superiority"), same)
    assert verdict.outcome is Outcome.HOLD
    assert finding(verdict, "primary metric log_loss").outcome is Outcome.HOLD


def test_a_model_that_always_says_the_same_is_held_and_ranks_nothing(
    policy: Policies, scored: Rows, challenge: Challenges
) -> None:
    frame = scored(1, champion=0.5, candidate=0.5)
    frame["candidate"] = frame["late"].mean()
    verdict = judge_challenge(challenge(frame), policy())
    assert verdict.outcome is Outcome.HOLD
    assert {"primary metric log_loss", "guardrail roc_auc"} <= {f.rule for f in verdict.deciding}
    assert "roc_auc is 0.5000 for the candidate" in finding(verdict, "guardrail roc_auc").reason


def test_two_models_that_always_say_the_same_are_equal_and_neither_is_better(
    policy: Policies, scored: Rows, challenge: Challenges
) -> None:
    frame = scored(1, champion=0.5, candidate=0.5)
    frame["candidate"] = frame["champion"] = frame["late"].mean()
    assert judge_challenge(challenge(frame, mode="superiority"), policy()).outcome is Outcome.HOLD
    assert judge_challenge(challenge(frame, mode="non_inferiority"), policy()).outcome is Outcome.PROMOTE


def test_a_gain_beyond_belief_is_held_as_a_leak(good: ChallengeEvidence, policy: Policies) -> None:
    strict = policy(primary={"margin": 0.02, "suspicious_gain": 0.05})
    verdict = judge_challenge(good, strict)
    assert verdict.outcome is Outcome.HOLD
    assert finding(verdict, "suspicious gain").outcome is Outcome.HOLD
    assert judge_challenge(good, policy()).outcome is Outcome.PROMOTE


def test_too_short_a_hold_out_says_how_many_days_would_decide(
    policy: Policies, scored: Rows, challenge: Challenges
) -> None:
    frame = scored(5, champion=0.55, candidate=0.5, days=16, rows=60)
    fine = policy(primary={"margin": 0.005, "suspicious_gain": 0.3}, slices={"margin": 0.5, "minimum_rows": 100})
    verdict = judge_challenge(challenge(frame), fine)
    assert verdict.outcome is Outcome.INSUFFICIENT_EVIDENCE
    primary = finding(verdict, "primary metric log_loss")
    assert "It is neither shown to be better" in primary.reason
    assert " days decide it, with a chance of 80 %" in primary.reason
    assert "gatehouse plan --margin 0.005" in primary.next_step


def test_a_threshold_is_met_by_the_primary_metric_alone(policy: Policies, scored: Rows, challenge: Challenges) -> None:
    frame = scored(1, champion=1.0, candidate=0.5)
    fixed = policy(first="threshold", threshold=0.6)
    passing = challenge(frame, opponent=Contender(kind="threshold", threshold=0.6))
    assert judge_challenge(passing, fixed).outcome is Outcome.PROMOTE
    hard = policy(first="threshold", threshold=0.45)
    failing = challenge(frame, opponent=Contender(kind="threshold", threshold=0.45))
    assert judge_challenge(failing, hard).outcome is Outcome.HOLD
    other = judge_challenge(passing, hard)
    assert other.outcome is Outcome.ERROR
    assert finding(other, "contenders").reason == "The threshold is given as 0.6, and the policy says 0.45."


@pytest.mark.parametrize("kind", ["baseline", "champion"])
def test_only_a_champion_may_be_met_with_not_worse(
    kind: str, policy: Policies, scored: Rows, challenge: Challenges, champion: Contender
) -> None:
    version = "7" if kind == "champion" else None
    opponent = replace(champion, kind=kind, version=version)  # type: ignore[arg-type]
    frame = scored(1, champion=1.0, candidate=0.5).rename(columns={"champion": kind})
    evidence = challenge(frame, opponent=opponent, mode="non_inferiority")
    expected = Outcome.PROMOTE if kind == "champion" else Outcome.ERROR
    assert judge_challenge(evidence, policy()).outcome is expected


def test_every_hold_and_every_doubt_says_what_to_do_next(
    good: ChallengeEvidence, policy: Policies, scored: Rows, challenge: Challenges
) -> None:
    bad = [
        challenge(scored(1, champion=0.5, candidate=1.0)),
        challenge(scored(5, champion=0.55, candidate=0.5, days=16, rows=60)),
        replace(good, comparisons=()),
    ]
    strict = policy(stability={"negative_flips": 0.0, "score_shift": 0.001, "calibration_error": 0.001})
    for evidence in bad:
        for told in judge_challenge(evidence, strict).findings:
            assert told.reason.endswith(".")
            if not told.informative and told.outcome is not Outcome.PROMOTE:
                assert told.next_step.endswith("."), told


def test_the_verdict_of_the_record_is_the_verdict(good: ChallengeEvidence, policy: Policies) -> None:
    again = ChallengeEvidence.from_record(good.to_record())
    assert judge_challenge(again, policy()) == judge_challenge(good, policy())


def test_the_primary_finding_tells_the_whole_story(good: ChallengeEvidence, policy: Policies) -> None:
    told = finding(judge_challenge(good, policy()), "primary metric log_loss")
    assert told.reason == (
        "log_loss is 0.5464 for the candidate and 0.6092 for champion version 7: better by 0.0627 "
        "(91 % interval of the gain 0.0514 to 0.0741; 28 days, 4,200 rows). It is shown to be better "
        "(p = 0.0001, below 0.045)."
    )
    assert LOG_LOSS.name == good.primary_metric
