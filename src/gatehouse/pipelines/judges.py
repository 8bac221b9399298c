"""Who judges which evidence, in a release and in a replay alike. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gatehouse.gates.challenge import judge_challenge
from gatehouse.gates.compliance import ComplianceEvidence, judge_compliance
from gatehouse.gates.evidence import ChallengeEvidence
from gatehouse.gates.policy import Policy
from gatehouse.gates.refit import judge_refit
from gatehouse.gates.replay import Judge
from gatehouse.gates.verdict import Verdict


def judges() -> dict[str, Judge]:
    """One judge per gate."""

    def compliance(evidence: Mapping[str, Any], policy: Policy) -> Verdict:
        return judge_compliance(ComplianceEvidence.from_record(evidence), policy.compliance)

    def challenge(evidence: Mapping[str, Any], policy: Policy) -> Verdict:
        return judge_challenge(ChallengeEvidence.from_record(evidence), policy)

    return {"compliance": compliance, "challenge": challenge, "refit": judge_refit}
