"""What people decide about a judged version: entered in the audit log, bound to the record and the files they saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from gatehouse.errors import Refused
from gatehouse.gates.approval import GATE, Answer, Approval, Decision, judge_approval, judge_break_glass, objection
from gatehouse.gates.consent import Witness, at_minute, excerpt
from gatehouse.gates.identity import Identity
from gatehouse.gates.promotion import MOVE_BEGUN, MOVE_DONE, Kind
from gatehouse.gates.record import DecisionRecord
from gatehouse.gates.verdict import Finding, Outcome, Verdict
from gatehouse.pipelines.context import Context
from gatehouse.pipelines.decisions import JUDGED, find
from gatehouse.pipelines.pages import publish

if TYPE_CHECKING:
    from gatehouse.lakehouse.audit import Entry
    from gatehouse.lakehouse.registry import Version

_ACTIONS = tuple(f"decision_{d.value}" for d in Decision)


def decide(
    context: Context,
    version: Version,
    decision: Decision,
    *,
    actor: Identity,
    reason: str,
    answers: Mapping[str, str],
    witness: Witness | None = None,
) -> tuple[Approval, Verdict]:
    """Enter a person's decision, bound to record and files; returns it with where the approval stands after it.

    `witness` is the provider that asked for it, if one did.

    Raises:
        Refused: it would count for nothing, and why: the person proposed the version, the record expired, ...
    """
    record = find(context, version)
    _refuse_unknown_checks(context, answers)
    if witness is not None:
        actor = _vouched_for(context, actor, witness)
    at = context.now
    approval = Approval(
        version=record.promoted.version,
        record_digest=record.digest(),
        files_digest=_files_digest(context, record),
        approver=actor,
        decision=decision,
        reason=reason,
        at=at,
        answers={i: Answer(text=text, by=actor, at=at) for i, text in answers.items()},
        witness=witness,
    )
    if decision is Decision.APPROVE:
        _refuse_void(context, record, approval)
    context.audit.append(
        action=f"decision_{decision.value}",
        actor=actor.name,
        actor_source=f"{actor.established_by} ({actor.strength})",
        model=context.model,
        version=approval.version,
        details=approval.to_record(),
    )
    publish(context, [approval.version], approval_verdict)
    return approval, approval_verdict(context, record)


def decisions(context: Context) -> tuple[Approval, ...]:
    """Everything that was ever decided about versions of this model, as it stands in the audit log."""
    return tuple(decision for _, decision in _decided(context.audit.entries(), context.model))


def approval_verdict(context: Context, record: DecisionRecord, *, break_glass: bool = False) -> Verdict:
    """What people's decisions amount to, now, for the files as they are now.

    Whoever rolled a version back has the last word on what was decided before, rejections apart: it may come back, but
    not by an approval from before that.
    """
    entries = context.audit.entries()
    back = _rolled_back(entries, context.model, record.promoted.version)
    decided = [(seq, _carried_over(entries, record, d)) for seq, d in _decided(entries, context.model)]
    standing = [d for seq, d in decided if back is None or seq > back.seq or d.decision is Decision.REJECT]
    judge_people = judge_break_glass if break_glass else judge_approval
    verdict = judge_people(record, _files_digest(context, record), standing, context.policy, context.now, ())
    if back is None:
        return verdict
    told = Finding(
        gate=GATE,
        rule="rollback",
        outcome=Outcome.HOLD,
        reason=f"{back.actor} rolled it back at {at_minute(back.at)}, and no decision from before that counts: "
        f"{excerpt(str(back.details['reason']))}",
        informative=verdict.opens,
    )
    return Verdict((*verdict.findings, told))


def _decided(entries: Sequence[Entry], model: str) -> list[tuple[int, Approval]]:
    """Decisions, oldest first, with the number of their entry."""
    return [(e.seq, Approval.from_record(e.details)) for e in entries if e.model == model and e.action in _ACTIONS]


def _carried_over(entries: Sequence[Entry], record: DecisionRecord, decision: Approval) -> Approval:
    """A rejection is of the candidate, whichever refit of it was to be promoted when somebody said so."""
    judged = (e for e in entries if e.model == record.model and e.action == JUDGED)
    its_own = {e.details["record"] for e in judged if e.details["judged"] == record.candidate.version}
    rejected = decision.decision is Decision.REJECT and decision.record_digest in its_own
    return replace(decision, record_digest=record.digest()) if rejected else decision


def _rolled_back(entries: Sequence[Entry], model: str, version: str) -> Entry | None:
    """The last rollback from a version, as it was begun; None: there was none, or it was undone."""
    moves = [e for e in entries if e.model == model]
    done = {e.details["begun"] for e in moves if e.action == MOVE_DONE}
    backs = (e for e in reversed(moves) if e.action == MOVE_BEGUN and e.details["kind"] == Kind.ROLLBACK)
    return next((e for e in backs if e.details["from"] == version and e.seq in done), None)


def _files_digest(context: Context, record: DecisionRecord) -> str:
    return context.registry.digest(context.model, record.promoted.version)


def _refuse_unknown_checks(context: Context, answers: Mapping[str, str]) -> None:
    known = {c.id for c in context.policy.approval.manual_checks}
    unknown = sorted(set(answers) - known)
    if unknown:
        raise Refused(
            f"There is no manual check {', '.join(unknown)}.",
            why="An answer to a question that nobody asked would look like one that counts.",
            remedy=f"Answer: {', '.join(sorted(known)) or 'the policy has no manual checks'}.",
        )


def _vouched_for(context: Context, actor: Identity, witness: Witness) -> Identity:
    """The person, with what has become of the provider's environment since it was last asked."""
    if not witness.protected and context.environment.platform != "local":
        raise Refused(
            f"{witness.environment} is unprotected, and {context.name} lives on {context.environment.platform}.",
            why="Whoever can start the run would promote what they like.",
            remedy=f"Give {witness.environment} required reviewers; gatehouse preflight tells how.",
        )
    last = next((d for d in reversed(decisions(context)) if d.witness and _same_place(d.witness, witness)), None)
    if last is None or last.witness is None:
        return actor
    if last.witness.protected and not witness.protected:
        raise Refused(
            f"{witness.environment} asked people when version {last.version} was approved, and asks nobody now.",
            why="Somebody took its reviewers away, or deleted it, after which a run makes it anew without any.",
            remedy=f"Give {witness.environment} its required reviewers again, and start a new run.",
        )
    before, now = last.witness.environment_id, witness.environment_id
    if before and now and before != now:
        note = f"which is not the one of version {last.version} (id {before}): it was made anew since"
        return replace(actor, established_by=f"{actor.established_by}, {note}")
    return actor


def _same_place(one: Witness, other: Witness) -> bool:
    return (one.provider, one.environment) == (other.provider, other.environment)


def _refuse_void(context: Context, record: DecisionRecord, approval: Approval) -> None:
    """An approval that could not count is refused at once, not when somebody tries to promote."""
    policy, now = context.policy, context.now
    entries = context.audit.entries()
    rejections = [  # outweigh it, whoever else may come
        _carried_over(entries, record, d) for _, d in _decided(entries, context.model) if d.decision is Decision.REJECT
    ]
    lone = judge_approval(record, approval.files_digest, [*rejections, approval], policy, now, ())
    of_others = ("approvals", *(f"check {c.id}" for c in policy.approval.manual_checks))  # they may still come
    void = [f for f in lone.findings if f.outcome is not Outcome.PROMOTE and f.rule not in of_others]
    own = objection(record, approval.files_digest, approval, policy, now)
    if not void and own is None:
        return
    raise Refused(
        f"The approval of version {approval.version} by {approval.approver.name} does not count. "
        + " ".join([*(f.reason for f in void), *([own] if own else [])]),
        why="Nobody approves what they proposed, nor what the gates held, nor what has changed since.",
        remedy=next((f.next_step for f in void if f.next_step), f"gatehouse why {approval.version}"),
    )
