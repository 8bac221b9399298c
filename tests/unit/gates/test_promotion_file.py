from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from flight_delays import PROJECT
from gatehouse.errors import ConfigurationError
from gatehouse.gates.policy import Policy
from gatehouse.gates.reachability import Prospect, refuse_unreachable
from gatehouse.gates.selftest import selftest
from gatehouse.gates.verdict import Outcome
from gatehouse.settings import read_file

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


CHECK = {"id": "snow", "question": "Has somebody looked at the snow days?"}


@pytest.mark.parametrize(
    ("contradiction", "said"),
    [
        ({"first": "threshold"}, "`threshold` belongs to `first: threshold`, which needs it"),
        ({"threshold": 0.5}, "`threshold` belongs to `first: threshold`, which needs it"),
        (
            {"primary": {"margin": 0.2, "suspicious_gain": 0.2}},
            "primary.suspicious_gain must exceed primary.margin, or ordinary gains would be held",
        ),
        ({"approval": {"manual_checks": [CHECK, CHECK]}}, "two manual checks have one id"),
        (
            {"approval": {"number": 2, "approvers": ["anna@example.org", "anna@example.org"]}},
            "approval.number is 2, and only 1 may approve",
        ),
    ],
)
def test_a_policy_with_a_contradiction_is_refused_by_a_sentence_that_names_it(
    tmp_path: Path, contradiction: dict[str, Any], said: str
) -> None:
    content = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    file = tmp_path / "promotion.yml"
    file.write_text(yaml.safe_dump({**content, **contradiction}), encoding="utf-8")

    with pytest.raises(ConfigurationError) as refused:
        read_file(file, Policy)

    assert said in refused.value.what
    assert "gatehouse schema promotion" in refused.value.remedy
