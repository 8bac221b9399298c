"""Judge a decision record again: does its evidence, under its policy, still say what it says? Pure, offline."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import zip_longest
from typing import Any

from gatehouse.errors import DataError, GatehouseError
from gatehouse.gates.policy import Policy
from gatehouse.gates.record import DecisionRecord
from gatehouse.gates.verdict import Finding, Outcome, Verdict, joined

Judge = Callable[[Mapping[str, Any], Policy], Verdict]

COMPLIANCE, CHALLENGE, REFIT = "compliance", "challenge", "refit"

# What judges raise on evidence that is not what they wrote. Anything else is a defect, and is not hidden.
_UNREADABLE = (GatehouseError, LookupError, TypeError, ValueError, ArithmeticError)


@dataclass(frozen=True, kw_only=True, slots=True)
class Replay:
    """Whether a record says what its evidence says. `verdict` is what the evidence says; differences are sentences."""

    differences: tuple[str, ...]
    verdict: Verdict

    @property
    def same(self) -> bool:
        """No difference at all."""
        return not self.differences


def replay(record: DecisionRecord, judges: Mapping[str, Judge], *, digest: str | None = None) -> Replay:
    """Recompute findings and verdict from evidence and policy.

    `judges` has one for `compliance`, one for `challenge` and, if the record has a refit, one for `refit`, which gets
    the refit's evidence together with its `score_shift`. `digest` is the record's digest as it was kept elsewhere, in
    tags or the audit log: without it only the record's inner consistency is checked.
    """
    differences = [*_identity_differences(record, digest)]
    try:
        policy = record.policy.read()
    except DataError as error:
        return Replay(differences=(*differences, error.what), verdict=_impossible("?", error))
    differences += _policy_differences(record, policy)
    verdicts = {gate: _judged(gate, evidence, policy, judges) for gate, evidence in _evidence(record).items()}
    if record.challenge is None and verdicts[COMPLIANCE].opens:
        verdicts[CHALLENGE] = Verdict(
            (_error(CHALLENGE, "Compliance opens, and there is no evidence of a challenge."),)
        )
    verdict = joined(verdicts.values())
    differences += _finding_differences(record.judged.findings, verdict.findings)
    differences += _verdict_differences(record, verdict)
    return Replay(differences=tuple(differences), verdict=verdict)


def _evidence(record: DecisionRecord) -> dict[str, Mapping[str, Any]]:
    evidence = {COMPLIANCE: record.compliance}
    if record.challenge is not None:
        evidence[CHALLENGE] = record.challenge
    if record.refit is not None:
        evidence[REFIT] = {**record.refit.evidence, "score_shift": record.refit.score_shift}
    return evidence


def _judged(gate: str, evidence: Mapping[str, Any], policy: Policy, judges: Mapping[str, Judge]) -> Verdict:
    if gate not in judges:
        return Verdict((_error(gate, f"There is evidence for {gate}, and nobody to judge it."),))
    try:
        return judges[gate](evidence, policy)
    except _UNREADABLE as error:
        return _impossible(gate, error)


def _identity_differences(record: DecisionRecord, digest: str | None) -> Iterator[str]:
    if digest is not None and record.digest() != digest:
        yield f"The record's digest is {record.digest()}, and {digest} was kept elsewhere: it is another record."
    if record.challenge is None or record.opponent is None:
        return
    own, other = record.candidate, record.opponent
    mine = {"kind": "candidate", "version": own.version, "files_digest": own.files_digest}
    yield from _contender_differences(record.challenge, "candidate", mine)
    theirs = {"kind": other.kind, "version": other.version, "files_digest": other.files_digest}
    yield from _contender_differences(record.challenge, "opponent", {**theirs, "threshold": other.value})


def _contender_differences(challenge: Mapping[str, Any], role: str, expected: Mapping[str, object]) -> Iterator[str]:
    """Evidence that was gathered for somebody else proves nothing for this version."""
    measured = challenge.get(role)
    for name, value in expected.items():
        found = measured.get(name) if isinstance(measured, Mapping) else None
        if found != value:
            yield f"The {role}'s {name} is {value!r}, and what was measured is that of {found!r}."


def _policy_differences(record: DecisionRecord, policy: Policy) -> Iterator[str]:
    hours = policy.approval.valid_hours
    if record.expires_at != record.created_at + timedelta(hours=hours):
        yield f"It expires at {record.expires_at.isoformat()}, and the policy gives it {hours} hours from its making."
    if record.refit and policy.refit == "none":
        yield "It has a refit, and the policy wants none."
    first = record.opponent.kind if record.opponent else "champion"
    if first not in ("champion", policy.first):
        yield f"The opponent is the {first}, and the policy compares a first version with the {policy.first}."
    if record.opponent and record.opponent.kind == "threshold" and record.opponent.value != policy.threshold:
        yield f"The threshold is {record.opponent.value}, and the policy's is {policy.threshold}."


def _finding_differences(recorded: tuple[Finding, ...], again: tuple[Finding, ...]) -> Iterator[str]:
    if recorded != again and sorted(map(_said, recorded)) == sorted(map(_said, again)):
        yield "The findings stand in another order than the evidence gives them."
    for old, new in _paired(recorded, again):
        if old and new:
            if old != new:
                yield f"The record says: {_said(old)} Its evidence says: {_said(new)}"
        elif old:
            yield f"The record says: {_said(old)} Its evidence says nothing of that."
        elif new:
            yield f"{_said(new)} It is not in the record."


def _paired(
    recorded: tuple[Finding, ...], again: tuple[Finding, ...]
) -> Iterator[tuple[Finding | None, Finding | None]]:
    """What each rule found in the record and finds now: one that is there on one side only must not shift the rest."""
    rules = [(f.gate, f.rule) for f in (*recorded, *again)]
    for rule in dict.fromkeys(rules):
        yield from zip_longest(*([f for f in side if (f.gate, f.rule) == rule] for side in (recorded, again)))


def _verdict_differences(record: DecisionRecord, again: Verdict) -> Iterator[str]:
    if record.verdict is not record.judged.outcome:
        yield f"The recorded verdict is {record.verdict}, and the recorded findings make it {record.judged.outcome}."
    if record.verdict is not again.outcome:
        yield f"The recorded verdict is {record.verdict}, and the evidence makes it {again.outcome}."


def _said(finding: Finding) -> str:
    shown = " (informative)" if finding.informative else ""
    advice = f" {finding.next_step}" if finding.next_step else ""
    return f"{finding.gate}/{finding.rule}{shown} {finding.outcome}: {finding.reason}{advice}"


def _impossible(gate: str, error: Exception) -> Verdict:
    reason = error.what if isinstance(error, GatehouseError) else f"{type(error).__name__}: {error}"
    return Verdict((_error(gate, f"The evidence cannot be judged: {reason}"),))


def _error(gate: str, reason: str) -> Finding:
    return Finding(gate=gate, rule="replay", outcome=Outcome.ERROR, reason=reason)
