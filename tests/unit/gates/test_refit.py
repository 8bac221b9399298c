"""A refit stands for what was judged if it is as compliant and predicts nearly the same."""

from __future__ import annotations

from typing import Any

import pytest

from gatehouse.errors import EvaluationError
from gatehouse.gates.compliance import ComplianceEvidence
from gatehouse.gates.policy import ComplianceRule, Policy, PrimaryRule, SliceRule
from gatehouse.gates.refit import judge_refit
from gatehouse.gates.verdict import Outcome

POLICY = Policy(
    primary=PrimaryRule(margin=0.01, suspicious_gain=0.2),
    slices=SliceRule(margin=0.02),
    compliance=ComplianceRule(allowed_flavours=("lightgbm",)),
    refit="full",
    refit_score_shift=0.05,
)
SAID = {"error": None, "predictions": [0.5], "finite": True, "served_status": 200, "served_predictions": [0.5]}
COMPLIANT = ComplianceEvidence(
    inputs={"hour": "double"},
    outputs=1,
    forbidden=(),
    late=("delay",),
    known=("hour",),
    flavours=("lightgbm", "python_function"),
    code_files=(),
    pickles=(),
    requirements=("lightgbm==4.7.0",),
    missing_lineage=None,
    card_blanks=(),
    explained=True,
    megabytes=0.1,
    probe={
        "loaded": True,
        "load_error": None,
        "load_seconds": 0.1,
        "cases": dict.fromkeys(("ordinary", "single", "empty", "null", "unseen", "extreme"), SAID),
        "startup_seconds": 0.1,
        "latencies": [1.0],
        "failures": 0,
        "memory_megabytes": 200.0,
    },
    probe_error=None,
).to_record()


def evidence(*, score_shift: float = 0.01, **differing: Any) -> dict[str, Any]:
    return {"compliance": {**COMPLIANT, **differing}, "score_shift": score_shift}


def test_a_compliant_refit_that_predicts_nearly_the_same_passes() -> None:
    verdict = judge_refit(evidence(), POLICY)

    assert verdict.opens
    assert {f.gate for f in verdict.findings} == {"refit"}
    assert len(verdict.findings) == 19
    assert verdict.findings[-1].reason == (
        "Its predictions differ by 0.0100 on average from those that were judged; 0.05 are allowed."
    )


def test_a_refit_that_predicts_something_else_is_held() -> None:
    verdict = judge_refit(evidence(score_shift=0.0501), POLICY)

    assert [(f.rule, f.outcome, f.reason) for f in verdict.deciding] == [
        (
            "score_shift",
            Outcome.HOLD,
            "Its predictions differ by 0.0501 on average from those that were judged, more than 0.05.",
        )
    ]
    assert verdict.deciding[0].next_step != ""


def test_the_bound_itself_is_allowed() -> None:
    assert judge_refit(evidence(score_shift=0.05), POLICY).opens


@pytest.mark.parametrize("shift", [float("nan"), float("inf")])
def test_a_score_shift_that_is_no_number_is_an_error(shift: float) -> None:
    verdict = judge_refit(evidence(score_shift=shift), POLICY)

    assert [(f.rule, f.outcome) for f in verdict.deciding] == [("score_shift", Outcome.ERROR)]


def test_a_refit_that_is_not_compliant_is_held_in_its_own_name() -> None:
    verdict = judge_refit(evidence(late=("delay", "hour")), POLICY)

    assert [(f.gate, f.rule, f.outcome) for f in verdict.deciding] == [("refit", "columns", Outcome.HOLD)]


def test_a_refit_that_could_not_be_examined_is_an_error() -> None:
    verdict = judge_refit(evidence(probe=None, probe_error="it took longer than 10 s"), POLICY)

    assert verdict.outcome is Outcome.ERROR


def test_evidence_that_was_changed_cannot_be_judged() -> None:
    with pytest.raises(EvaluationError, match="cannot be read"):
        judge_refit(evidence(megabytes="small"), POLICY)
