from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from flight_delays import PROJECT
from gatehouse.gates.policy import Policy
from gatehouse.gates.reachability import Prospect, refuse_unreachable
from gatehouse.gates.selftest import selftest
from gatehouse.gates.verdict import Outcome

SHIPPED = Path(__file__).parents[3] / "conf" / "promotion.yml"


@pytest.fixture(scope="module")
def shipped() -> Policy:
    return Policy.model_validate(yaml.safe_load(SHIPPED.read_text(encoding="utf-8")))


def test_the_shipped_policy_names_the_guardrails_of_the_project(shipped: Policy) -> None:
    assert set(shipped.guardrails) == {m.name for m in PROJECT.guardrail_metrics}


@pytest.mark.slow
def test_the_gate_keeps_its_word_with_the_shipped_policy(shipped: Policy) -> None:
    assert [c for c in selftest(shipped) if not c.passed] == []


def test_the_shipped_policy_can_be_satisfied_by_the_shipped_hold_out(shipped: Policy) -> None:
    training = yaml.safe_load((SHIPPED.parent / "training.yml").read_text(encoding="utf-8"))
    prospect = Prospect(
        mode="non_inferiority",
        unit=PROJECT.unit.name,
        units=training["hold_out_days"],
        primary_metric=PROJECT.primary_metric.name,
        required_slices=tuple(f"{s.name}={v}" for s in PROJECT.slices if s.required for v in s.values),
        effect=0.0545,  # the least that a model gained over the rule of thumb in April, May, June and July 2013
    )
    assert refuse_unreachable(prospect, shipped).outcome is Outcome.PROMOTE
