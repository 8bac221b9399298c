"""What one person decided about a version, and whether it counts.

A decision is bound to a version, to the digest of its decision record and to the digest of its model files, so it is
void for anything else: another version, a retrained one, a changed file, a record made anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass as plain_dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic.dataclasses import dataclass

from gatehouse.gates.closed import CLOSED, Digest, Moment, Text, read, written
from gatehouse.gates.identity import SCHEDULE, Identity, people, same_person
from gatehouse.gates.policy import ManualCheck, Policy
from gatehouse.gates.record import DecisionRecord
from gatehouse.lakehouse.audit_chain import CLOCK_TOLERANCE

_EXCERPT = 200


class Decision(StrEnum):
    """What somebody says about a version."""

    APPROVE = "approve"
    REJECT = "reject"
    ANSWER = "answer"  # answers to manual checks alone, from somebody who need not be an approver
    BREAK_GLASS = "break_glass"  # promote it in an emergency, whatever the gates say


@dataclass(frozen=True, kw_only=True, slots=True, config=CLOSED)
class Answer:
    """What somebody answered to a manual check. It counts only in that person's own decision."""

    text: str
    by: Identity
    at: Moment


@dataclass(frozen=True, kw_only=True, slots=True, config=CLOSED)
class Witness:
    """The provider that asked for a decision, and what it says besides a name. Empty texts: it does not say."""

    provider: Text
    environment: Text
    environment_id: str
    """An environment that was deleted and made anew has another one."""
    protected: bool
    """False: nobody vouches for the name, because nobody was asked or let sign in."""
    run: str
    """Address of the run that waited."""
    comment: str
    also: tuple[str, ...]
    """Other names of the same person."""
    proposers: tuple[str, ...]
    """Whom the provider takes for proposers, besides those the record names."""


@dataclass(frozen=True, kw_only=True, slots=True, config=CLOSED)
class Approval:
    """One person's decision on one version: the refit's where there is one. `answers` are by id of the manual check."""

    version: Text
    record_digest: Digest
    files_digest: Digest
    approver: Identity
    decision: Decision
    reason: str
    at: Moment
    answers: Mapping[str, Answer]
    witness: Witness | None = None
    """None: the person said it themselves, by a command."""

    @property
    def names(self) -> frozenset[str]:
        """The person, by every name that is known of them."""
        return people([self.approver.name, *(self.witness.also if self.witness else ())])

    def to_record(self) -> dict[str, Any]:
        """For JSON."""
        content: dict[str, Any] = written(self)
        if self.witness is None:
            del content["witness"]
        return content

    @classmethod
    def from_record(cls, content: Mapping[str, Any]) -> Approval:
        """What `to_record` gave; DataError if it was damaged."""
        return read(cls, {"witness": None, **content}, named="The approval")


@plain_dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """Everything that decides whether a decision counts. `proposers` are persons, as `identity.people` names them."""

    record: DecisionRecord
    record_digest: str
    files_digest_now: str
    decisions: tuple[Approval, ...]
    policy: Policy
    now: datetime
    proposers: frozenset[str]

    @property
    def validity(self) -> timedelta:
        """How long a decision counts."""
        return timedelta(hours=self.policy.approval.valid_hours)

    def bound(self, *kinds: Decision) -> tuple[Approval, ...]:
        """Decisions of these kinds on exactly this record and these files."""
        return tuple(d for d in self.decisions if d.decision in kinds and _unbound(self, d) is None)


def counted_decisions(case: Case, kind: Decision) -> tuple[dict[str, Approval], list[str]]:
    """Decisions of this kind that count, one for each person, and why the others do not."""
    counted, refused = list[Approval](), list[str]()
    for decision in case.decisions:
        if decision.decision is not kind:
            continue
        if (objection := objection_to(case, decision)) is not None:
            refused.append(f"{decision.approver.name}'s {objection}.")
        else:
            counted.append(decision)
    return _by_person(counted), refused


def objection_to(case: Case, decision: Approval) -> str | None:
    """Why the decision does not count, as what follows "Anna's"; None: it does."""
    objection = _unbound(case, decision) or _untimely(case, decision.at) or _unentitled(case, decision)
    return objection or (None if decision.reason.strip() else "gives no reason")


def _by_person(decisions: Iterable[Approval]) -> dict[str, Approval]:
    """Each person's first. Who has one name in common with another is the same: an account, and an address of it."""
    groups: list[tuple[frozenset[str], Approval]] = []
    for decision in decisions:
        own = [group for group in groups if not group[0].isdisjoint(decision.names)]
        names, first = decision.names.union(*(names for names, _ in own)), own[0][1] if own else decision
        groups = [*(group for group in groups if group not in own), (names, first)]
    return {same_person(first.approver.name): first for _, first in groups}


def _unbound(case: Case, decision: Approval) -> str | None:
    promoted = case.record.promoted
    if decision.version != promoted.version:
        return f"is for version {decision.version}, and this is version {promoted.version}"
    if decision.record_digest != case.record_digest:
        return f"is for decision record {short(decision.record_digest)}, and this is {short(case.record_digest)}"
    if decision.files_digest != promoted.files_digest:
        return f"is for files {short(decision.files_digest)}, and these are {short(promoted.files_digest)}"
    return None


def _untimely(case: Case, at: datetime) -> str | None:
    if at < case.record.created_at - CLOCK_TOLERANCE:
        return f"is of {at_minute(at)}, before there was a decision record to read"
    if at > case.now + CLOCK_TOLERANCE:
        return f"is of {at_minute(at)}, which is still to come"
    if case.now >= at + case.validity:
        return f"is of {at_minute(at)} and expired after {case.policy.approval.valid_hours} hours"
    return None


def _unentitled(case: Case, decision: Approval) -> str | None:
    approval, person = case.policy.approval, same_person(decision.approver.name)
    if not people([decision.approver.name]) or person == SCHEDULE:
        return "is nobody's"
    if approval.approvers and decision.names.isdisjoint(people(approval.approvers)):
        return f"does not count: only {', '.join(a.strip() for a in approval.approvers)} may approve"
    return _own(case, decision)


def _own(case: Case, decision: Approval) -> str | None:
    if is_own(case, decision) and not case.policy.approval.allow_own:
        return "does not count: it comes from them, and nobody approves what they proposed"
    return None


def is_own(case: Case, decision: Approval) -> bool:
    """Whether the version comes from whoever decides, by any name that is known of them."""
    return not decision.names.isdisjoint(case.proposers)


def objection_to_answer(case: Case, check: ManualCheck, decision: Approval, answer: Answer) -> str | None:
    """Why the answer does not count; None: it does."""
    name = answer.by.name
    if same_person(name) != same_person(decision.approver.name):
        return f"An answer of {name} was handed in by {decision.approver.name}, and everybody answers for themselves."
    if not answer.text.strip():
        return f"{name} left the answer empty."
    if objection := _untimely(case, answer.at):
        return f"{name}'s answer {objection}."
    if check.by and same_person(name) not in people(check.by):
        return f"{name} is not among those who may answer."
    objection = _own(case, decision) if check.by else _unentitled(case, decision)
    return f"{name}'s answer {objection}." if objection else None


def excerpt(text: str) -> str:
    """Enough of a reason to know it by; the whole stands in the audit log."""
    line = " ".join(text.split())
    return line if len(line) <= _EXCERPT else line[: _EXCERPT - 1] + "…"


def short(digest: str) -> str:
    """Enough of a digest to know it by."""
    return digest[:12]


def at_minute(moment: datetime) -> str:
    """A moment as it stands in a sentence."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"
