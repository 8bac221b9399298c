from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from gatehouse.gates.challenge import judge_challenge
from gatehouse.gates.evidence import ChallengeEvidence, Reading
from gatehouse.gates.policy import Policy
from gatehouse.gates.verdict import Finding, Outcome

Policies = Callable[..., Policy]
LIMITS = {"negative_flips": 0.1, "score_shift": 0.2, "calibration_error": 0.05}
RULES = {"negative_flips": "negative flips", "score_shift": "score shift", "calibration_error": "calibration"}
everywhere = pytest.mark.parametrize("name", list(RULES))


@pytest.fixture
def strict(policy: Policies) -> Policy:
    return policy(stability=LIMITS)


def judged(evidence: ChallengeEvidence, policy: Policy, name: str, reading: Reading) -> tuple[Outcome, Finding]:
    """The verdict on evidence that is calm but for one reading, and the finding about that one."""
    calm = replace(
        evidence.stability,
        negative_flips=Reading(value=0.0, rows=10),
        score_shift=Reading(value=0.0, rows=10),
        calibration_error=Reading(value=0.0, rows=10),
        opponent_calibration_error=Reading(value=0.01, rows=10),
    )
    shown = replace(evidence, stability=replace(calm, **{name: reading}))
    verdict = judge_challenge(shown, policy)
    (only,) = [f for f in verdict.findings if f.rule == RULES[name]]
    return verdict.outcome, only


@everywhere
def test_a_limit_is_kept_up_to_and_not_beyond(good: ChallengeEvidence, strict: Policy, name: str) -> None:
    outcome, found = judged(good, strict, name, Reading(value=LIMITS[name], rows=10))
    assert (outcome, found.outcome) == (Outcome.PROMOTE, Outcome.PROMOTE)
    outcome, found = judged(good, strict, name, Reading(value=LIMITS[name] + 0.001, rows=10))
    assert (outcome, found.outcome) == (Outcome.HOLD, Outcome.HOLD)
    assert "more than the limit of" in found.reason
    assert found.next_step


@everywhere
@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), -0.1])
def test_what_was_not_measured_is_an_error(
    good: ChallengeEvidence, strict: Policy, name: str, value: float | None
) -> None:
    outcome, found = judged(good, strict, name, Reading(value=value))
    assert (outcome, found.outcome) == (Outcome.ERROR, Outcome.ERROR)


@everywhere
def test_what_does_not_apply_is_only_said(good: ChallengeEvidence, strict: Policy, name: str) -> None:
    none = Reading(value=None, missing="Flips need a tolerance.", applies=False)
    outcome, found = judged(good, strict, name, none)
    assert outcome is Outcome.PROMOTE
    assert (found.informative, found.reason) == (True, "Does not apply: Flips need a tolerance.")


@pytest.mark.parametrize("name", ["negative_flips", "score_shift"])
def test_nobody_relies_on_the_scores_of_a_heuristic(good: ChallengeEvidence, strict: Policy, name: str) -> None:
    first = replace(good, opponent=replace(good.opponent, kind="baseline", version=None))
    outcome, found = judged(first, strict, name, Reading(value=0.9, rows=10))
    assert outcome is Outcome.PROMOTE
    assert found.informative


@pytest.mark.parametrize(
    ("kind", "champions", "expected"),
    [
        ("champion", 0.08, Outcome.PROMOTE),
        ("champion", 0.06, Outcome.HOLD),
        ("champion", 0.05, Outcome.HOLD),
        ("champion", float("nan"), Outcome.HOLD),
        ("baseline", 0.08, Outcome.HOLD),
    ],
)
def test_a_version_is_not_held_for_its_calibration_while_a_worse_calibrated_champion_serves(
    good: ChallengeEvidence, strict: Policy, kind: str, champions: float, expected: Outcome
) -> None:
    version = "7" if kind == "champion" else None
    evidence = replace(good, opponent=replace(good.opponent, kind=kind, version=version))  # type: ignore[arg-type]
    calm = Reading(value=0.0, rows=10)
    stability = replace(
        evidence.stability,
        negative_flips=calm,
        score_shift=calm,
        calibration_error=Reading(value=0.06, rows=10),
        opponent_calibration_error=Reading(value=champions, rows=10),
    )
    assert judge_challenge(replace(evidence, stability=stability), strict).outcome is expected
