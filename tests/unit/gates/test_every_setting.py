"""Each setting of conf/promotion.yml switches something: the same evidence, judged under two values, ends otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from gatehouse.gates.admissibility import choose_mode
from gatehouse.gates.approval import Answer, Approval, Decision, judge_approval
from gatehouse.gates.challenge import judge_challenge
from gatehouse.gates.compliance import ComplianceEvidence, judge_compliance
from gatehouse.gates.deployment import Rescored, judge_deployment
from gatehouse.gates.evidence import ChallengeEvidence, Reading
from gatehouse.gates.guards import guards_not_worse
from gatehouse.gates.identity import Identity, Strength
from gatehouse.gates.policy import Policy
from gatehouse.gates.primary import primary_good_enough
from gatehouse.gates.record import Candidate, DecisionRecord
from gatehouse.gates.refit import judge_refit
from gatehouse.gates.synthetic import swapped
from gatehouse.gates.verdict import Finding, Outcome, Verdict
from gatehouse.pipelines.compliance import load_test

pytestmark = pytest.mark.broken_gate(25)

NOON = datetime(2013, 7, 1, 12, tzinfo=UTC)
FILES = "d" * 64
OPEN = Outcome.PROMOTE

Judge = Callable[[Policy, ChallengeEvidence], object]


def challenge(policy: Policy, good: ChallengeEvidence) -> Outcome:
    return judge_challenge(good, policy).outcome


def worse_within_the_margin(policy: Policy, good: ChallengeEvidence) -> Outcome:
    (found,) = primary_good_enough(replace(swapped(good), mode="non_inferiority"), policy)
    return found.outcome


def worse_in_the_guardrail(policy: Policy, good: ChallengeEvidence) -> Outcome:
    return guard(policy, good, "guardrail roc_auc")


def worse_in_the_slices(policy: Policy, good: ChallengeEvidence) -> Outcome:
    return guard(policy, good, "required slice origin=JFK")


def guard(policy: Policy, good: ChallengeEvidence, rule: str) -> Outcome:
    """What one rule says of the two contenders exchanged, so that the worse one asks."""
    (found,) = [f for f in guards_not_worse(swapped(good), policy) if f.rule == rule]
    return found.outcome


def half_labelled(policy: Policy, good: ChallengeEvidence) -> Outcome:
    return judge_challenge(replace(good, hold_out=replace(good.hold_out, label_share=0.5)), policy).outcome


def judged_before(policy: Policy, good: ChallengeEvidence) -> Outcome:
    return judge_challenge(replace(good, hold_out=replace(good.hold_out, judged_before=5)), policy).outcome


def moved(policy: Policy, good: ChallengeEvidence) -> Outcome:
    """Every reading of stability is a quarter."""
    quarter = Reading(value=0.25, rows=good.hold_out.rows)
    stability = replace(good.stability, negative_flips=quarter, score_shift=quarter, calibration_error=quarter)
    return judge_challenge(replace(good, stability=stability), policy).outcome


def new_code(policy: Policy, _: ChallengeEvidence) -> Outcome:
    """The champion's predictions move by a quarter."""
    moved_far = Rescored(version="3", rows=2000, missing=0, mean_shift=0.25, largest_shift=0.5)
    return judge_deployment(moved_far, policy.deployment).outcome


def heuristic(policy: Policy, good: ChallengeEvidence) -> Outcome:
    baseline = replace(good.opponent, kind="baseline", version=None)
    return judge_challenge(replace(good, opponent=baseline), policy).outcome


def fixed_value(policy: Policy, good: ChallengeEvidence) -> Outcome:
    threshold = replace(good.opponent, kind="threshold", version=None, threshold=0.6, training=None)
    return judge_challenge(replace(good, opponent=threshold), policy).outcome


def mode_of_changed_code(policy: Policy, _: ChallengeEvidence) -> str:
    return choose_mode(policy, first=False, same_code=False)[0]


def mode_of_same_code(policy: Policy, _: ChallengeEvidence) -> str:
    return choose_mode(policy, first=False, same_code=True)[0]


def compliance(**differing: Any) -> Judge:
    """Of a version that is like any other, but for this."""

    def judge(policy: Policy, _: ChallengeEvidence) -> Outcome:
        return judge_compliance(replace(EXAMINED, **differing), policy.compliance).outcome

    return judge


def asked_of_the_process(policy: Policy, _: ChallengeEvidence) -> object:
    return load_test(policy.compliance)


def asked(**differing: float) -> dict[str, float]:
    """What the clean process is asked to do, by default but for this."""
    return {"requests": 200, "rate": 50.0, "startup_seconds": 120.0, **differing}


def refit(policy: Policy, _: ChallengeEvidence) -> Outcome:
    return judge_refit({"compliance": EXAMINED.to_record(), "score_shift": 0.25}, policy).outcome


def approval(who: str, *, hours: int = 1, answers: tuple[str, ...] = ()) -> Judge:
    """Somebody approves a version that Anna proposed, so many hours before now."""

    def judge(policy: Policy, _: ChallengeEvidence) -> Outcome:
        return approved(policy, who, hours, answers).outcome

    return judge


def answered(who: str) -> Judge:
    """The same, who answers the question of the snow as well."""
    return approval(who, answers=("snow",))


def question_put(policy: Policy, _: ChallengeEvidence) -> str:
    """The question that people read while nobody has answered it."""
    reason = next(f.reason for f in approved(policy, "bob@example.org", 1, ()).findings if f.rule == "check snow")
    return reason.removeprefix("Nobody who may has answered: ")


def approved(policy: Policy, who: str, hours: int, answers: tuple[str, ...]) -> Verdict:
    record = record_under(policy)
    given = decided(record, who, answers=answers)
    return judge_approval(record, FILES, [given], policy, NOON + timedelta(hours=hours), ())


def record_under(policy: Policy) -> DecisionRecord:
    return DecisionRecord.of(
        project="parcels",
        environment="prod",
        model="prod.main.parcels",
        candidate=Candidate(version="7", files_digest=FILES, lineage={}, proposer="anna@example.org", authors=()),
        opponent=None,
        policy=policy,
        compliance={},
        challenge=None,
        findings=(Finding(gate="challenge", rule="primary", outcome=OPEN, reason="Better by 0.01."),),
        refit=None,
        data_age_days=1.0,
        code_commit="4f2a",
        as_of=NOON,
        created_at=NOON,
    )


def decided(record: DecisionRecord, who: str, *, answers: tuple[str, ...]) -> Approval:
    person = Identity(name=who, established_by="--as", strength=Strength.CLAIMED)
    return Approval(
        version="7",
        record_digest=record.digest(),
        files_digest=FILES,
        approver=person,
        decision=Decision.APPROVE,
        reason="July looks right.",
        at=NOON,
        answers={check: Answer(text="yes", by=person, at=NOON) for check in answers},
    )


ANSWERED = {"error": None, "predictions": [0.25], "finite": True, "served_status": 200, "served_predictions": [0.25]}
EXAMINED = ComplianceEvidence(
    inputs={"temperature": "double"},
    outputs=1,
    forbidden=(),
    late=(),
    known=("temperature",),
    flavours=("python_function", "sklearn"),
    code_files=(),
    pickles=(),
    requirements=("scikit-learn==1.7.2",),
    missing_lineage=None,
    card_blanks=(),
    explained=True,
    megabytes=1.0,
    probe={
        "loaded": True,
        "load_error": None,
        "load_seconds": 1.0,
        "cases": dict.fromkeys(("ordinary", "single", "empty", "null", "unseen", "extreme"), ANSWERED),
        "startup_seconds": 0.1,
        "latencies": [10.0] * 19,
        "failures": 1,
        "memory_megabytes": 300.0,
    },
    probe_error=None,
)
CHECK = {"id": "snow", "question": "Has somebody looked at the snow days?"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Switch:
    """Under `one` value of a setting the judge says `then`, under the `other` something else."""

    one: Any
    then: object
    other: Any
    judge: Judge


SWITCHES: dict[str, Switch] = {
    "primary.changed_code": Switch(
        one="superiority", then="superiority", other="non_inferiority", judge=mode_of_changed_code
    ),
    "primary.same_code": Switch(
        one="superiority", then="superiority", other="non_inferiority", judge=mode_of_same_code
    ),
    "primary.margin": Switch(one=0.2, then=OPEN, other=0.02, judge=worse_within_the_margin),
    "primary.error_rate": Switch(one=0.05, then=OPEN, other=1e-12, judge=challenge),
    "primary.suspicious_gain": Switch(one=0.3, then=OPEN, other=0.03, judge=challenge),
    "guardrails": Switch(one={"roc_auc": {"margin": 0.03}}, then=OPEN, other={}, judge=challenge),
    "guardrails.roc_auc.margin": Switch(one=0.2, then=OPEN, other=0.01, judge=worse_in_the_guardrail),
    "slices.margin": Switch(one=0.4, then=OPEN, other=0.01, judge=worse_in_the_slices),
    "slices.minimum_rows": Switch(one=200, then=OPEN, other=2_000, judge=challenge),
    "hold_out.minimum_units": Switch(one=28, then=OPEN, other=29, judge=challenge),
    "hold_out.minimum_label_share": Switch(one=0.5, then=OPEN, other=0.6, judge=half_labelled),
    "hold_out.reuse_budget": Switch(one=6, then=OPEN, other=5, judge=judged_before),
    "stability.negative_flips": Switch(one=0.3, then=OPEN, other=0.2, judge=moved),
    "stability.score_shift": Switch(one=0.3, then=OPEN, other=0.2, judge=moved),
    "stability.calibration_error": Switch(one=0.3, then=OPEN, other=0.2, judge=moved),
    "deployment.score_shift": Switch(one=0.3, then=OPEN, other=0.2, judge=new_code),
    "compliance.allowed_flavours": Switch(one=["sklearn"], then=OPEN, other=["lightgbm"], judge=compliance()),
    "compliance.allow_code": Switch(one=True, then=OPEN, other=False, judge=compliance(code_files=("features.py",))),
    "compliance.maximum_megabytes": Switch(one=1.0, then=OPEN, other=0.9, judge=compliance()),
    "compliance.maximum_memory_megabytes": Switch(one=300.0, then=OPEN, other=299.0, judge=compliance()),
    "compliance.p95_milliseconds": Switch(one=10.0, then=OPEN, other=9.0, judge=compliance()),
    "compliance.maximum_error_share": Switch(one=0.06, then=OPEN, other=0.05, judge=compliance()),
    "compliance.requests": Switch(one=20, then=asked(requests=20), other=40, judge=asked_of_the_process),
    "compliance.request_rate": Switch(one=9.0, then=asked(rate=9.0), other=8.0, judge=asked_of_the_process),
    "compliance.startup_seconds": Switch(
        one=9.0, then=asked(startup_seconds=9.0), other=8.0, judge=asked_of_the_process
    ),
    "approval.number": Switch(one=1, then=OPEN, other=2, judge=approval("bob@example.org")),
    "approval.approvers": Switch(
        one=["bob@example.org"], then=OPEN, other=["carl@example.org"], judge=approval("bob@example.org")
    ),
    "approval.valid_hours": Switch(one=4, then=OPEN, other=3, judge=approval("bob@example.org", hours=3)),
    "approval.allow_own": Switch(one=True, then=OPEN, other=False, judge=approval("anna@example.org")),
    "approval.manual_checks": Switch(one=[], then=OPEN, other=[CHECK], judge=approval("bob@example.org")),
    "approval.manual_checks.id": Switch(one="snow", then=OPEN, other="rain", judge=answered("bob@example.org")),
    "approval.manual_checks.question": Switch(
        one="Is it July?", then="Is it July?", other="Is it June?", judge=question_put
    ),
    "approval.manual_checks.by": Switch(
        one=["bob@example.org"], then=OPEN, other=["carl@example.org"], judge=answered("bob@example.org")
    ),
    "first": Switch(one="baseline", then=OPEN, other="threshold", judge=heuristic),
    "threshold": Switch(one=0.6, then=OPEN, other=0.5, judge=fixed_value),
    "refit": Switch(one="none", then=OPEN, other="full", judge=approval("bob@example.org")),
    "refit_score_shift": Switch(one=0.3, then=OPEN, other=0.2, judge=refit),
}
"""By the name of the setting, of whose list or mapping the first entry is changed."""


def policy_with(setting: str, value: Any) -> Policy:
    """A policy under which everything above opens, but for one setting, and what that one needs to make sense."""
    content: dict[str, Any] = {
        "primary": {"margin": 0.02, "suspicious_gain": 0.3},
        "guardrails": {"roc_auc": {"margin": 0.03}},
        "slices": {"margin": 0.06, "minimum_rows": 200},
        "stability": {"negative_flips": 0.3, "score_shift": 0.3, "calibration_error": 0.3},
        "compliance": {"allowed_flavours": ["sklearn"], "maximum_error_share": 0.06},
        "approval": {},
        "hold_out": {},
        "deployment": {},
    }
    if setting.startswith("approval.manual_checks."):
        content["approval"] = {"manual_checks": [dict(CHECK)]}
    if setting == "threshold" or value == "threshold":
        content |= {"first": "threshold", "threshold": 0.6}
    *path, last = setting.split(".")
    place = content
    for name in path:
        place = place[name]
        place = place[0] if isinstance(place, list) else place
    place[last] = value
    return Policy.model_validate(content)


@pytest.mark.parametrize("setting", SWITCHES)
def test_a_setting_switches(setting: str, good: ChallengeEvidence) -> None:
    switch = SWITCHES[setting]

    assert switch.judge(policy_with(setting, switch.one), good) == switch.then
    assert switch.judge(policy_with(setting, switch.other), good) != switch.then


ELSEWHERE = {"deployment.rows"}
"""Switched in tests/integration/pipelines/test_deployment.py: it needs a log of predictions."""


def test_no_setting_is_left_out() -> None:
    assert set(SWITCHES) | ELSEWHERE == set(settings_of(Policy))


def settings_of(model: type[BaseModel], before: str = "") -> Iterator[str]:
    """The name of every setting; a list or mapping is one, and so are the settings of what is in it."""
    for name, field in model.model_fields.items():
        kinds = [field.annotation, *get_args(field.annotation)]
        inner = next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), None)
        if inner is None or inner is not field.annotation:
            yield f"{before}{name}"
        if inner is not None:
            key = "roc_auc." if name == "guardrails" else ""
            yield from settings_of(inner, f"{before}{name}.{key}")
