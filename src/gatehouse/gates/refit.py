"""May the refit stand for the version that was judged? Pure: evidence in, verdict out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gatehouse.gates.compliance import ComplianceEvidence, judge_compliance
from gatehouse.gates.policy import Policy
from gatehouse.gates.verdict import Finding, Outcome, Verdict

GATE = "refit"


def judge_refit(evidence: Mapping[str, Any], policy: Policy) -> Verdict:
    """The refit must be as compliant as what was judged, and predict nearly the same.

    `evidence` holds `compliance`, its own evidence, and `score_shift`, the mean absolute difference of its predictions
    from the judged version's on the hold-out. How well it predicts is not asked: it has seen the hold-out.
    """
    own = judge_compliance(ComplianceEvidence.from_record(evidence["compliance"]), policy.compliance)
    findings = [replace(f, gate=GATE) for f in own.findings]
    return Verdict((*findings, _shift(float(evidence["score_shift"]), policy.refit_score_shift)))


def _shift(shift: float, limit: float) -> Finding:
    if not math.isfinite(shift):
        return Finding(gate=GATE, rule="score_shift", outcome=Outcome.ERROR, reason=f"Its score shift is {shift}.")
    if shift <= limit:
        reason = f"Its predictions differ by {shift:.4f} on average from those that were judged; {limit:g} are allowed."
        return Finding(gate=GATE, rule="score_shift", outcome=Outcome.PROMOTE, reason=reason)
    return Finding(
        gate=GATE,
        rule="score_shift",
        outcome=Outcome.HOLD,
        reason=f"Its predictions differ by {shift:.4f} on average from those that were judged, more than {limit:g}.",
        next_step="Look at what the newest data change, or promote without a refit (refit: none).",
    )
