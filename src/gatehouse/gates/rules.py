"""What a rule of the challenge is: a function from evidence and policy to findings, each of them a full sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gatehouse.gates.evidence import ChallengeEvidence
from gatehouse.gates.policy import Policy
from gatehouse.gates.verdict import Finding, Outcome

GATE = "challenge"

Rule = Callable[[ChallengeEvidence, Policy], Iterator[Finding]]


def finding(rule: str, outcome: Outcome, reason: str, *, next_step: str = "", informative: bool = False) -> Finding:
    """A finding of this gate."""
    return Finding(gate=GATE, rule=rule, outcome=outcome, reason=reason, next_step=next_step, informative=informative)
