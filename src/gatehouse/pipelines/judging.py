"""The three steps of a deployment job, each repeatable: whoever judges new versions by the registry's word runs them.

evaluation   compliance and challenge, and a refit where the policy says so: the decision record
approval     has a person who may, and who made no part of it, said yes to exactly this record
deployment   the alias, a smoke test, and the endpoint where there is one

A refit is registered as a version too, so the registry starts these steps for it: it is known by its record, and every
step of it ends at once. So does every step of a version that was champion once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gatehouse.errors import DataError, Refused, RegistryUnavailable, StateError, StorageError, UsageError
from gatehouse.gates.approval import Decision
from gatehouse.gates.consent import Witness
from gatehouse.gates.identity import Identity, people, provider_identity, same_person
from gatehouse.gates.promotion import Kind
from gatehouse.gates.tagged import APPROVED, DIGITS, REJECTED, Tagged
from gatehouse.gates.verdict import Outcome
from gatehouse.lakehouse.lineage import PREFIX
from gatehouse.lakehouse.registry_rules import APPROVAL_TAG
from gatehouse.pipelines.approval import approval_verdict, decide, decisions
from gatehouse.pipelines.context import Context
from gatehouse.pipelines.decisions import JUDGED_TAG, find
from gatehouse.pipelines.promotion import gatekeeper, promote
from gatehouse.pipelines.release import Judged, judge

if TYPE_CHECKING:
    from gatehouse.gates.approval import Approval
    from gatehouse.gates.promotion import Settled
    from gatehouse.gates.record import DecisionRecord
    from gatehouse.lakehouse.registry import Version
    from gatehouse.pipelines.clean_process import CleanProcess


@dataclass(frozen=True, kw_only=True, slots=True)
class TagRights:
    """Who may set the tags of an approval. `established_by` is a sentence's end, for the record.

    `protected`: only those whom somebody has named. `runs_as` are the identities that the job itself has.
    """

    protected: bool
    established_by: str
    runs_as: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Passed:
    """A step that had something to do, or the sentence that says why there was nothing."""

    said: str
    judged: Judged | None = None
    settled: Settled | None = None


def as_trained(context: Context, version: Version) -> Context:
    """The moment that the version was trained at: with it, the judge sees what `gatehouse release` would have seen.

    Under a clock that shows now, no moment is later than that.
    """
    try:
        then = datetime.fromisoformat(version.tags.get(f"{PREFIX}as_of", "")).astimezone(UTC)
    except ValueError:
        return context
    return replace(context, as_of=min(then, context.as_of) if context.environment.clock == "now" else then)


def evaluate(context: Context, version: Version, process: CleanProcess | None = None) -> Passed:
    """Judge a version; not a second time where its record holds, where it is a refit, or was champion before."""
    if over := _over(context, version):
        return Passed(said=over)
    judged = judge(context, version, process)
    return Passed(said=judged.record.judged.sentence(), judged=judged)


def confirm_approval(context: Context, version: Version, rights_of: Callable[[], TagRights]) -> Passed:
    """Nothing more than a sentence, if a person's approval counts. `rights_of` knows who may set the tags.

    Raises:
        Refused: the gates did not open, nobody has approved, or what they said does not count; with the next step.
    """
    if over := _over(context, version):
        return Passed(said=over)
    record = find(context, version)
    number, digest = record.promoted.version, record.digest()
    if record.verdict is not Outcome.PROMOTE:
        raise Refused(
            f"There is nothing to approve: the gates did not let version {number} through. {record.judged.sentence()}",
            why="Only PROMOTE opens, and no approval can replace it.",
            remedy=f"gatehouse why {number} --env {context.name}",
        )
    if _through_the_gates(context, number):
        return Passed(said=f"Version {number} is the champion already.")
    rights, tagged = rights_of(), Tagged.of(version.tags)
    _refuse_untagged(context, version, tagged, digest)
    if same_person(tagged.name) in people(rights.runs_as):
        raise Refused(
            f"Version {number} was approved by {tagged.name}, as whom this job runs.",
            why="Whoever runs the job would let everything through by itself.",
            remedy=_how(context, version),
        )
    if not _entered(context, record, tagged.name):
        _enter(context, version, record, tagged, rights)
    verdict = approval_verdict(context, record)
    if not verdict.opens:
        raise Refused(
            f"Version {number} may not be promoted. " + " ".join(f.reason for f in verdict.deciding),
            why="What counts is what the policy asks for, not that somebody has set a tag.",
            remedy=next((f.next_step for f in verdict.deciding if f.next_step), _how(context, version)),
        )
    return Passed(said=f"Version {number} is approved by {tagged.name}: {rights.established_by}.")


def put_live(context: Context, version: Version, rights_of: Callable[[], TagRights]) -> Passed:
    """Make an approved version the champion, in the name of who approved it.

    Raises:
        Refused: a gate or a person did not let it through, or took back that they did, or it was put back because it
            does not work.
        AliasMoved: the champion is not the one that it was compared with.
    """
    if over := _over(context, version):
        return Passed(said=over)
    record = find(context, version)
    actor = _approver(context, record)
    refuse_withdrawn(context, version, rights_of)
    settled = promote(context, version, actor=actor)
    if not settled.moved:
        raise Refused(
            f"Version {settled.version} was put back. {settled.undone}",
            why=f"The champion is {settled.champion or 'nobody'}, as before.",
            remedy="Mend the version, or train a new one.",
        )
    return Passed(said=f"Version {settled.version} is the champion of {context.model}.", settled=settled)


def refuse_withdrawn(context: Context, version: Version, rights_of: Callable[[], TagRights]) -> None:
    """Where the registry judges, an approval stands as long as the tags say so: whoever changes them takes it back.

    Raises:
        Refused: the tags say no, or nothing, or are about another record, whatever was entered before; or `rights_of`
            cannot say who may set them.
    """
    record = find(context, version)
    if not _through_the_gates(context, record.promoted.version):
        judged = context.registry.get(context.model, version.tags.get(JUDGED_TAG, version.version))
        _refuse_untagged(context, judged, Tagged.of(judged.tags), record.digest())
        rights_of()


def tags_of(approval: Approval) -> dict[str, str]:
    """The tags that say what a person decided, for whoever waits for them."""
    decision = APPROVED if approval.decision is Decision.APPROVE else REJECTED
    digits = approval.record_digest[:DIGITS]
    return Tagged(decision=decision, digits=digits, name=approval.approver.name).to_tags()


def _over(context: Context, version: Version) -> str | None:
    """Why there is nothing to be done for a version, if there is not."""
    try:
        record = find(context, version)
    except RegistryUnavailable:
        raise
    except (StateError, DataError, StorageError):
        record = None  # a judgement makes a new one; the other steps find out for themselves
    judged = version.tags.get(JUDGED_TAG, version.version)
    if record is not None and judged != version.version and record.promoted.version == version.version:
        return f"Version {version.version} is the refit of version {judged}, whose record and approval stand for both."
    live = record.promoted.version if record else version.version
    champions = [entry.version for entry in gatekeeper(context).history()]
    if live in champions and live != champions[-1]:
        return f"Version {live} was champion before version {champions[-1]}: what was decided then is over."
    return None


def _through_the_gates(context: Context, number: str) -> bool:
    """Whether it is champion, and became so by an approval, not past it."""
    history = gatekeeper(context).history()
    return bool(history) and history[-1].version == number and history[-1].kind in (Kind.PROMOTION, Kind.ROLLBACK)


def _refuse_untagged(context: Context, version: Version, tagged: Tagged, digest: str) -> None:
    number, digits = version.version, digest[:DIGITS]
    if tagged.approves(digest):
        return
    if tagged.decision == REJECTED:
        said = f"Version {number} was rejected: its tag `{APPROVAL_TAG}` says so."
    elif tagged.decision != APPROVED:
        said = f"Version {number} waits for approval: it has no tag `{APPROVAL_TAG}` that says {APPROVED}."
    elif not tagged.digits or not tagged.name:
        said = f"Version {number} is tagged {APPROVED}, and no tag says by whom, and after reading which record."
    else:
        said = (
            f"Version {number} was approved by {tagged.name} on decision record {tagged.digits}, and this is {digits}."
        )
    raise Refused(
        said,
        why=f"An approval is a person's, and for one decision record: {digits}.",
        remedy=_how(context, version),
    )


def _how(context: Context, version: Version) -> str:
    return (
        f"gatehouse approve {version.version} --env {context.name} --reason '...'    (somebody who did not propose it)"
    )


def _entered(context: Context, record: DecisionRecord, name: str) -> bool:
    """Whether this person's approval of this record stands in the audit log: `gatehouse approve` enters it at once."""
    digest, person = record.digest(), same_person(name)
    return any(
        d.decision is Decision.APPROVE and d.record_digest == digest and same_person(d.approver.name) == person
        for d in decisions(context)
    )


def _enter(context: Context, version: Version, record: DecisionRecord, tagged: Tagged, rights: TagRights) -> None:
    """What the tags say, as a decision. The name is never more than claimed: no registry tells who set a tag."""
    try:
        person = provider_identity(tagged.name, rights.established_by, proven=False)
    except UsageError as error:
        raise Refused(error.what, why=error.why, remedy=_how(context, version)) from error
    decide(
        context,
        version,
        Decision.APPROVE,
        actor=person,
        reason=f"The tag `{APPROVAL_TAG}` was set for record {record.digest()[:DIGITS]}.",
        answers={},
        witness=Witness(
            provider="registry",
            environment=f"the tag {APPROVAL_TAG}",
            environment_id="",
            protected=rights.protected,
            run="",
            comment="",
            also=(),
            proposers=_unknown_to(record, rights.runs_as),
        ),
    )


def _unknown_to(record: DecisionRecord, names: Collection[str]) -> tuple[str, ...]:
    known = people((record.candidate.proposer, *record.candidate.authors))
    return tuple(name for name in names if same_person(name) not in known)


def _approver(context: Context, record: DecisionRecord) -> Identity:
    """In whose name it is promoted: the last who approved this record."""
    digest = record.digest()
    found = [d.approver for d in decisions(context) if d.decision is Decision.APPROVE and d.record_digest == digest]
    if not found:
        raise Refused(
            f"Nobody has approved version {record.promoted.version}.",
            why="A version becomes the champion when the gates opened and people who may have approved it.",
            remedy=f"gatehouse approve {record.promoted.version} --env {context.name} --reason '...'",
        )
    return found[-1]
