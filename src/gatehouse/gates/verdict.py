"""What a gate concludes. Pure data: deciding never acts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """How a rule, or a whole gate, turned out. Only PROMOTE opens."""

    PROMOTE = "PROMOTE"
    HOLD = "HOLD"  # measured, and not good enough
    INSUFFICIENT_EVIDENCE = "INSUFFICIENT_EVIDENCE"  # measured, and cannot tell yet
    ERROR = "ERROR"  # could not be measured


_SEVERITY = (Outcome.PROMOTE, Outcome.INSUFFICIENT_EVIDENCE, Outcome.HOLD, Outcome.ERROR)


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What one rule found. `reason` is a sentence with the numbers that decided, `next_step` what to do about it.

    Informative findings are shown and recorded, and never decide.
    """

    gate: str
    rule: str
    outcome: Outcome
    reason: str
    next_step: str = ""
    informative: bool = False

    def to_record(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "gate": self.gate,
            "rule": self.rule,
            "outcome": self.outcome.value,
            "reason": self.reason,
            "next_step": self.next_step,
            "informative": self.informative,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Finding:
        """What `to_record` gave; ValueError or KeyError if it was damaged."""
        return cls(
            gate=str(record["gate"]),
            rule=str(record["rule"]),
            outcome=Outcome(record["outcome"]),
            reason=str(record["reason"]),
            next_step=str(record["next_step"]),
            informative=bool(record["informative"]),
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """All findings of a gate or of several."""

    findings: tuple[Finding, ...]

    @property
    def outcome(self) -> Outcome:
        """The most severe deciding finding; none at all is an ERROR, not a pass."""
        deciding = [f.outcome for f in self.findings if not f.informative]
        return max(deciding, key=_SEVERITY.index, default=Outcome.ERROR)

    @property
    def opens(self) -> bool:
        """Whether the gate opens."""
        return self.outcome is Outcome.PROMOTE

    @property
    def deciding(self) -> tuple[Finding, ...]:
        """The findings that made the outcome what it is."""
        return tuple(f for f in self.findings if not f.informative and f.outcome is self.outcome)

    def sentence(self) -> str:
        """The outcome and its reasons in one line."""
        if not self.findings:
            return f"{self.outcome}: nothing was checked."
        return f"{self.outcome}: " + " ".join(f.reason for f in self.deciding)

    def brief(self) -> str:
        """The outcome with its first reason, and the rules that say the same."""
        first, *others = self.deciding or (None,)
        if first is None or not others:
            return self.sentence()
        return f"{self.outcome}: {first.reason} The same outcome: {', '.join(f.rule for f in others)}."


def joined(verdicts: Iterable[Verdict]) -> Verdict:
    """Several gates as one: all must open. A gate without findings counts as an ERROR."""
    findings: list[Finding] = []
    for verdict in verdicts:
        if not any(not f.informative for f in verdict.findings):
            findings.append(Finding(gate="?", rule="empty", outcome=Outcome.ERROR, reason="A gate checked nothing."))
        findings += verdict.findings
    return Verdict(tuple(findings))
