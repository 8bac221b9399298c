"""Did people who may decide it let this version through? Pure: record and decisions in, verdict out.

Decisions that do not count (`consent`) do no harm, and the verdict says why they do not. Changed files, a clock that
went back and not knowing who proposed are ERRORs: then nobody can tell what was decided, when, or by whom.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from gatehouse.gates.consent import (
    Answer,
    Approval,
    Case,
    Decision,
    at_minute,
    counted_decisions,
    excerpt,
    is_own,
    objection_to,
    objection_to_answer,
    short,
)
from gatehouse.gates.identity import SCHEDULE, people
from gatehouse.gates.policy import ManualCheck, Policy
from gatehouse.gates.record import DecisionRecord
from gatehouse.gates.verdict import Finding, Outcome, Verdict
from gatehouse.lakehouse.audit_chain import CLOCK_TOLERANCE

__all__ = ["GATE", "UNBREAKABLE", "Answer", "Approval", "Decision", "judge_approval", "judge_break_glass", "objection"]

GATE = "approval"

UNBREAKABLE = ("files", "clock", "proposer")
"""Rules that two people in an emergency cannot set aside either: without them nobody knows who decided on what."""


def judge_approval(
    record: DecisionRecord,
    files_digest_now: str,
    approvals: Sequence[Approval],
    policy: Policy,
    now: datetime,
    proposers: Collection[str],
) -> Verdict:
    """May the record's version be promoted now, as far as people are concerned?

    `files_digest_now` is the digest of the files that would be promoted, taken just now; `policy` is the one in force
    now. `proposers` are added to those the record names.
    """
    case = _case(record, files_digest_now, approvals, policy, now, proposers)
    return Verdict(
        (
            *_record_findings(case),
            *_clock_findings(case),
            *_proposer_findings(case),
            *_rejection_findings(case),
            *_number_findings(case),
            *(f for check in policy.approval.manual_checks for f in _check_findings(case, check)),
        )
    )


def judge_break_glass(
    record: DecisionRecord,
    files_digest_now: str,
    approvals: Sequence[Approval],
    policy: Policy,
    now: datetime,
    proposers: Collection[str],
) -> Verdict:
    """May the version be promoted in an emergency, against what the gates say?

    Two different people must have decided `break_glass` on exactly this record and these files, both of whom may
    approve. What they set aside is listed, informatively; UNBREAKABLE rules stand.
    """
    case = _case(record, files_digest_now, approvals, policy, now, proposers)
    ordinary = judge_approval(record, files_digest_now, approvals, policy, now, proposers)
    listed = (f if f.rule in UNBREAKABLE else replace(f, informative=True) for f in ordinary.findings)
    counted, refused = counted_decisions(case, Decision.BREAK_GLASS)
    reasons = _joined(f"{d.approver}: {excerpt(d.reason)}" for d in counted.values())
    if len(counted) >= 2:
        decided = _finding("break_glass", Outcome.PROMOTE, f"The glass was broken by {len(counted)} people. {reasons}")
    else:
        decided = _finding(
            "break_glass",
            Outcome.HOLD,
            f"Breaking the glass takes two different people who may approve, and {len(counted)} decided so. "
            + _joined((reasons, *refused)),
            "Have a second person give their reason: gatehouse promote --break-glass --reason ...",
        )
    return Verdict((*listed, decided, *_own_findings(case, counted.values())))


def objection(
    record: DecisionRecord, files_digest_now: str, decision: Approval, policy: Policy, now: datetime
) -> str | None:
    """Why a person's decision would not count, whatever others decide, as a sentence about it; None: it counts."""
    found = objection_to(_case(record, files_digest_now, [decision], policy, now, ()), decision)
    if found is None:
        return None
    clause = found.removeprefix("does not count: ")
    clause = clause if clause != found else f"it {found}"
    return f"{clause[0].upper()}{clause[1:]}."


def _case(
    record: DecisionRecord,
    files_digest_now: str,
    approvals: Sequence[Approval],
    policy: Policy,
    now: datetime,
    proposers: Collection[str],
) -> Case:
    digest = record.digest()
    told = (d.witness.proposers for d in approvals if d.witness and d.record_digest == digest)
    known = (
        record.candidate.proposer,
        *record.candidate.authors,
        *proposers,
        *(name for names in told for name in names),
    )
    return Case(
        record=record,
        record_digest=digest,
        files_digest_now=files_digest_now,
        decisions=tuple(approvals),
        policy=policy,
        now=now,
        proposers=people(known),
    )


def _record_findings(case: Case) -> Iterator[Finding]:
    record, promoted = case.record, case.record.promoted
    again = "Judge it again: gatehouse release"
    if record.verdict is not record.judged.outcome:
        reason = f"The record's verdict is {record.verdict}, and its findings make it {record.judged.outcome}."
        yield _finding("verdict", Outcome.ERROR, reason, again)
    elif record.verdict is not Outcome.PROMOTE:
        reason = f"The gates did not open for version {promoted.version}. {record.judged.brief()}"
        yield _finding("verdict", record.verdict, reason, f"See gatehouse why {promoted.version}")
    else:
        yield _finding("verdict", Outcome.PROMOTE, f"The gates opened for version {promoted.version}.")
    if case.policy.digest() != record.policy.digest:
        yield _finding("policy", Outcome.HOLD, "The policy has changed since it was judged.", again)
    else:
        yield _finding("policy", Outcome.PROMOTE, "The policy is the one it was judged by.")
    if case.policy.refit == "full" and record.refit is None:
        yield _finding("refit", Outcome.HOLD, "The policy wants a refit on all data, and there is none yet.", again)
    if case.files_digest_now != promoted.files_digest:
        reason = (
            f"The files of version {promoted.version} have the digest {short(case.files_digest_now)}, and those that "
            f"were judged had {short(promoted.files_digest)}: they were changed since."
        )
        yield _finding("files", Outcome.ERROR, reason, "Train a new version, and find out who changed this one.")
    else:
        yield _finding(
            "files", Outcome.PROMOTE, f"The files are those that were judged, {short(case.files_digest_now)}."
        )


def _clock_findings(case: Case) -> Iterator[Finding]:
    record, expires_at = case.record, min(case.record.expires_at, case.record.created_at + case.validity)
    decided = [(d.at, f"{d.approver.name} decided") for d in case.bound(*Decision)]
    latest, event = max([(record.created_at, "the record was made"), *decided])
    if case.now < latest - CLOCK_TOLERANCE:
        reason = f"The clock says {at_minute(case.now)}, and {event} at {at_minute(latest)}: one of the two is wrong."
        yield _finding("clock", Outcome.ERROR, reason, "Set the clock of this machine; then run the command again.")
    else:
        yield _finding("clock", Outcome.PROMOTE, f"It is {at_minute(case.now)}, after everything that was decided.")
    if case.now >= expires_at:
        reason = f"The decision expired at {at_minute(expires_at)}; it is {at_minute(case.now)}."
        yield _finding("expiry", Outcome.HOLD, reason, "Judge it again on newer data: gatehouse release")
    else:
        yield _finding("expiry", Outcome.PROMOTE, f"The decision stands until {at_minute(expires_at)}.")


def _proposer_findings(case: Case) -> Iterator[Finding]:
    persons = sorted(case.proposers - {SCHEDULE})
    if not persons and not case.policy.approval.allow_own:
        reason = (
            "Nobody is known to have proposed it or to have written its commits, so anybody could approve their own."
        )
        advice = "Train from a git checkout whose commits have authors."
        yield _finding("proposer", Outcome.ERROR, reason, advice)
    else:
        yield _finding("proposer", Outcome.PROMOTE, f"It comes from {_joined(persons, ', ') or SCHEDULE}.")


def _rejection_findings(case: Case) -> Iterator[Finding]:
    ours = {case.record.promoted.version, case.record_digest, case.files_digest_now}
    for d in case.decisions:
        if d.decision is Decision.REJECT and not ours.isdisjoint((d.version, d.record_digest, d.files_digest)):
            reason = f"{d.approver} rejected it at {at_minute(d.at)}: {excerpt(d.reason)}"
            yield _finding("rejection", Outcome.HOLD, reason, "Mend what they name, and train a new version.")


def _number_findings(case: Case) -> Iterator[Finding]:
    counted, refused = counted_decisions(case, Decision.APPROVE)
    wanted = case.policy.approval.number
    names = _joined((f"{d.approver}: {excerpt(d.reason)}" for d in counted.values()), " ")
    if len(counted) >= wanted:
        yield _finding("approvals", Outcome.PROMOTE, f"Approved by {len(counted)}, of {wanted} needed. {names}")
        for reason in refused:
            yield _finding("void", Outcome.HOLD, reason, informative=True)
    else:
        reason = f"{len(counted)} of {wanted} approvals needed. {_joined((names, *refused))}"
        who = _joined(case.policy.approval.approvers, ", ") or "Anybody but those it comes from"
        advice = f"{who} can approve it: gatehouse approve {case.record.promoted.version} --reason ..."
        yield _finding("approvals", Outcome.HOLD, reason.strip(), advice)
    yield from _own_findings(case, counted.values())


def _own_findings(case: Case, counted: Collection[Approval]) -> Iterator[Finding]:
    for d in counted:
        if is_own(case, d):
            reason = f"{d.approver.name} decided on what they proposed themselves, which approval.allow_own permits."
            yield _finding("own", Outcome.PROMOTE, reason)
        if d.witness and not d.witness.protected:
            reason = f"{d.witness.environment} is unprotected: nobody vouches for {d.approver}."
            yield _finding("unprotected", Outcome.PROMOTE, reason)


def _check_findings(case: Case, check: ManualCheck) -> Iterator[Finding]:
    refused = []
    for d in case.bound(Decision.APPROVE, Decision.ANSWER):
        if (answer := d.answers.get(check.id)) is None:
            continue
        objection = objection_to_answer(case, check, d, answer)
        if objection is None:
            said = f"{check.question} {answer.by}: {excerpt(answer.text)}"
            yield _finding(f"check {check.id}", Outcome.PROMOTE, said)
            if is_own(case, d):
                own = f"{d.approver.name} answered for what they proposed themselves, which approval.allow_own permits."
                yield _finding("own", Outcome.PROMOTE, own)
            return
        refused.append(objection)
    reason = f"Nobody who may has answered: {check.question} {_joined(refused)}".strip()
    who = _joined(check.by or case.policy.approval.approvers, ", ") or "Anybody but those it comes from"
    yield _finding(f"check {check.id}", Outcome.HOLD, reason, f"{who} can answer it.")


def _finding(rule: str, outcome: Outcome, reason: str, next_step: str = "", *, informative: bool = False) -> Finding:
    return Finding(gate=GATE, rule=rule, outcome=outcome, reason=reason, next_step=next_step, informative=informative)


def _joined(texts: Iterable[str], between: str = " ") -> str:
    return between.join(text for text in texts if text)
