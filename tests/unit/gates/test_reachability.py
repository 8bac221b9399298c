from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gatehouse.gates.challenge import judge_challenge
from gatehouse.gates.evidence import ALL, ChallengeEvidence
from gatehouse.gates.policy import Mode, Policy
from gatehouse.gates.reachability import LEAST_CHANCE, Prospect, refuse_unreachable
from gatehouse.gates.synthetic import PRIMARY, REQUIRED, Truth, draw
from gatehouse.gates.verdict import Finding, Outcome, Verdict

Policies = Callable[..., Policy]
pytestmark = pytest.mark.broken_gate(18)


def earlier(policy: Policy, *, precision: float, held: int = 3) -> tuple[ChallengeEvidence, ...]:
    """Challenges of a champion that were held before, with so many margins per standard error everywhere."""
    truth, rng = Truth(gain=0.0, precision=precision), np.random.default_rng(1)
    return tuple(draw(policy, truth, mode="superiority", rng=rng) for _ in range(held))


def prospect(*, mode: Mode = "non_inferiority", units: int = 28, **changes: Any) -> Prospect:
    known = {"unit": "day", "primary_metric": PRIMARY, "required_slices": REQUIRED, **changes}
    return Prospect(mode=mode, units=units, **known)


def finding(verdict: Verdict, rule: str) -> Finding:
    (only,) = [f for f in verdict.findings if f.rule == rule]
    return only


def test_a_hold_out_smaller_than_the_policy_demands_can_never_be_decided(policy: Policies) -> None:
    verdict = refuse_unreachable(prospect(units=13), policy())
    assert verdict.outcome is Outcome.ERROR
    told = finding(verdict, "reachable: size")
    assert told.reason == (
        "The hold-out has 13 days, and the policy demands 14: every version would end as INSUFFICIENT_EVIDENCE, the "
        "best and the worst."
    )
    assert "Hold out at least 14 days" in told.next_step


def test_without_an_earlier_comparison_only_the_size_is_checked(policy: Policies) -> None:
    verdict = refuse_unreachable(prospect(), policy())
    assert verdict.outcome is Outcome.PROMOTE
    unknown = [f.rule for f in verdict.findings if f.informative]
    assert unknown == [f"reachable: PROMOTE by {PRIMARY}", "reachable: PROMOTE by roc_auc"] + [
        f"reachable: PROMOTE by {PRIMARY} in {s}" for s in REQUIRED
    ]


@pytest.mark.parametrize("mode", ["superiority", "non_inferiority"])
def test_a_sensible_policy_can_say_both(policy: Policies, mode: Mode) -> None:
    sensible = policy()
    verdict = refuse_unreachable(prospect(mode=mode, earlier=earlier(sensible, precision=5.0)), sensible)
    assert verdict.outcome is Outcome.PROMOTE, verdict.sentence()


def test_a_margin_too_narrow_for_the_spread_is_refused_with_the_days_it_would_take(policy: Policies) -> None:
    narrow = policy()
    verdict = refuse_unreachable(prospect(earlier=earlier(narrow, precision=0.3)), narrow)
    assert verdict.outcome is Outcome.ERROR
    told = finding(verdict, f"reachable: PROMOTE by {PRIMARY}")
    assert told.outcome is Outcome.ERROR
    assert "less than 20 % is a gate that cannot say yes" in told.reason
    assert "(hold_out_days in conf/training.yml), or widen primary.margin in conf/promotion.yml." in told.next_step


def test_one_slice_that_no_good_version_can_pass_is_refused_and_named(policy: Policies) -> None:
    good = policy()

    def roughened(steady: ChallengeEvidence, rough: ChallengeEvidence) -> ChallengeEvidence:
        (worse,) = rough.found(PRIMARY, "group=b")
        kept = tuple(c for c in steady.comparisons if (c.metric, c.slice) != (PRIMARY, "group=b"))
        return replace(steady, comparisons=(*kept, worse))

    known = tuple(map(roughened, earlier(good, precision=6.0), earlier(good, precision=0.2)))
    verdict = refuse_unreachable(prospect(earlier=known), good)
    assert [f.rule for f in verdict.deciding] == [f"reachable: PROMOTE by {PRIMARY} in group=b"]
    assert "widen slices.margin" in verdict.deciding[0].next_step


def test_a_required_slice_that_will_be_too_small_is_refused(policy: Policies) -> None:
    large = policy(slices={"margin": 0.06, "minimum_rows": 100_000})
    known = earlier(policy(), precision=6.0)
    verdict = refuse_unreachable(prospect(earlier=known), large)
    assert [f.rule for f in verdict.deciding] == [f"reachable: slice {s}" for s in REQUIRED]


def test_gains_that_could_be_shown_must_not_all_be_suspicious(policy: Policies) -> None:
    timid = policy(primary={"margin": 0.02, "suspicious_gain": 0.021}, guardrails={}, slices={"margin": 9.0})
    verdict = refuse_unreachable(prospect(mode="superiority", earlier=earlier(timid, precision=0.5)), timid)
    told = finding(verdict, f"reachable: PROMOTE by {PRIMARY}")
    assert told.outcome is Outcome.ERROR
    assert "raise primary.suspicious_gain" in told.next_step


def test_a_spread_in_which_bad_versions_are_never_turned_down_is_refused(policy: Policies) -> None:
    good = policy()
    verdict = refuse_unreachable(prospect(mode="superiority", earlier=earlier(good, precision=0.2)), good)
    told = finding(verdict, "reachable: HOLD")
    assert (told.informative, told.outcome) == (False, Outcome.ERROR)
    assert "bad versions would be put off, not turned down" in told.reason


def test_one_steady_challenge_among_rough_ones_shows_that_the_policy_can_say_yes(policy: Policies) -> None:
    good = policy()
    known = (*earlier(good, precision=0.2, held=4), *earlier(good, precision=6.0, held=1))
    assert refuse_unreachable(prospect(earlier=known), good).outcome is Outcome.PROMOTE


def test_two_challenges_are_too_few_to_refuse_by_and_only_inform(policy: Policies) -> None:
    good = policy()
    verdict = refuse_unreachable(prospect(earlier=earlier(good, precision=0.2, held=2)), good)
    assert verdict.outcome is Outcome.PROMOTE
    told = finding(verdict, f"reachable: PROMOTE by {PRIMARY}")
    assert (told.informative, told.outcome) == (True, Outcome.ERROR)


def test_how_much_a_model_differs_from_a_rule_of_thumb_says_nothing_about_two_models(policy: Policies) -> None:
    good = policy()
    known = tuple(
        replace(e, opponent=replace(e.opponent, kind="baseline", version=None))
        for e in earlier(good, precision=0.2, held=9)
    )
    verdict = refuse_unreachable(prospect(earlier=known), good)
    assert verdict.outcome is Outcome.PROMOTE
    assert finding(verdict, f"reachable: PROMOTE by {PRIMARY}").reason.endswith("so only the size was checked.")


@pytest.mark.parametrize(
    ("effect", "expected"),
    [(0.05, Outcome.PROMOTE), (0.02, Outcome.ERROR), (0.0, Outcome.ERROR), (-0.1, Outcome.ERROR)],
)
def test_a_margin_that_a_rule_of_thumb_would_pass_is_refused(
    policy: Policies, effect: float, expected: Outcome
) -> None:
    verdict = refuse_unreachable(prospect(effect=effect), policy())
    assert verdict.outcome is expected
    assert finding(verdict, "reachable: margin").outcome is expected


@pytest.mark.parametrize("precision", [1.0, 1.7, 2.5, 4.0])
def test_the_chance_that_is_promised_is_the_chance_there_is(policy: Policies, precision: float) -> None:
    """What is refused would indeed hardly ever have been promoted; what is let through is."""
    alone = policy(guardrails={}, slices={"margin": 9.0, "minimum_rows": 1}, hold_out={"reuse_budget": 1})
    once = earlier(alone, precision=precision, held=1)
    spread = prospect(earlier=once, required_slices=()).spread(PRIMARY, ALL)
    assert spread is not None
    rng = np.random.default_rng(5)
    truth = Truth(gain=0.0, precision=precision, exact=True, slices=())
    draws = 300

    def promoted() -> bool:
        evidence: ChallengeEvidence = draw(alone, truth, mode="non_inferiority", rng=rng)
        return judge_challenge(evidence, alone).outcome is Outcome.PROMOTE

    seen = sum(promoted() for _ in range(draws)) / draws
    exact = 0.02 / precision / spread.planning_error  # the one earlier comparison estimates the spread, with an error
    stated = spread.power(0.0, margin=0.02 / exact)
    assert seen == pytest.approx(stated, abs=0.08)
    assert (seen < LEAST_CHANCE) == (stated < LEAST_CHANCE)


def test_the_spread_shrinks_with_the_units_of_the_new_hold_out(policy: Policies) -> None:
    known = earlier(policy(), precision=2.0, held=1)
    now, later = (prospect(units=u, earlier=known).spread(PRIMARY, ALL) for u in (28, 112))
    assert now is not None
    assert later is not None
    assert later.planning_error == pytest.approx(now.planning_error / 2)
    assert later.units == 112
    assert later.degrees_of_freedom > now.degrees_of_freedom
