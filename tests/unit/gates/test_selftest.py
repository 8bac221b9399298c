from __future__ import annotations

from collections.abc import Callable

import pytest

from gatehouse.gates import selftest as module
from gatehouse.gates.policy import Policy
from gatehouse.gates.selftest import Check, selftest
from gatehouse.gates.verdict import Finding, Outcome, Verdict

pytestmark = pytest.mark.slow

Policies = Callable[..., Policy]


def failed(checks: tuple[Check, ...]) -> list[str]:
    return [f"{c.name}: expected {c.expected}, observed {c.observed}" for c in checks if not c.passed]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"guardrails": {}, "stability": {"negative_flips": 0.0, "score_shift": 0.001, "calibration_error": 0.001}},
        {"hold_out": {"minimum_units": 60, "minimum_label_share": 0.0, "reuse_budget": 1}},
        {"hold_out": {"minimum_units": 4}, "slices": {"margin": 0.001, "minimum_rows": 1}},
        {"primary": {"margin": 2.0, "suspicious_gain": 40.0, "error_rate": 0.01, "changed_code": "non_inferiority"}},
    ],
)
def test_the_gate_keeps_its_word_with_any_policy(policy: Policies, changes: dict[str, object]) -> None:
    checks = selftest(policy(**changes), draws=60)
    assert failed(checks) == []
    assert len(checks) > 30
    assert all(c.name and c.expected and c.observed for c in checks)


def test_the_same_seed_gives_the_same_checks(policy: Policies) -> None:
    assert selftest(policy(), seed=7, draws=20) == selftest(policy(), seed=7, draws=20)


def test_a_judge_that_always_promotes_is_found_out(policy: Policies, monkeypatch: pytest.MonkeyPatch) -> None:
    yes = Verdict((Finding(gate="challenge", rule="any", outcome=Outcome.PROMOTE, reason="Yes."),))
    monkeypatch.setattr(module, "judge_challenge", lambda *_: yes)
    names = {c.name for c in selftest(policy(), draws=30) if not c.passed}
    assert {"a worse version", "no comparison at all", "a required slice is absent"} <= names
    assert "non-inferiority: a version worse by the margin is promoted" in names


def test_a_ceiling_too_near_the_margin_is_found_out(policy: Policies) -> None:
    near = policy(primary={"margin": 0.02, "suspicious_gain": 0.0201})
    names = {c.name for c in selftest(near, draws=100) if not c.passed}
    assert "superiority: a version better by the margin is held" in names
