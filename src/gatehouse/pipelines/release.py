"""From training to a request for approval, and from an approval to the champion.

    judge      compliance, challenge and, if the policy says so, a refit; all of it in one decision record
    decide     what a person says about the record, entered in the audit log
    promote    the record, its approvals and the files as they are now; then the alias moves
    rollback   to the last approved version that works

`judge` is resumable: a record that still holds for the version is used again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gatehouse.errors import Refused, StateError
from gatehouse.evaluation.stability import score_shift
from gatehouse.evaluation.statistics import SliceKey, collect
from gatehouse.gates.approval import Answer, Approval, Decision, judge_approval, judge_break_glass
from gatehouse.gates.challenge import judge_challenge
from gatehouse.gates.compliance import judge_compliance
from gatehouse.gates.identity import Identity
from gatehouse.gates.promotion import CHALLENGER, CHAMPION, Gatekeeper, Kind, Move, Settled
from gatehouse.gates.record import Candidate, DecisionRecord, Opponent, Refit
from gatehouse.gates.refit import judge_refit
from gatehouse.gates.replay import replay
from gatehouse.gates.verdict import Finding, Outcome, Verdict
from gatehouse.lakehouse.lineage import Lineage
from gatehouse.pipelines.challenge import Challenged, challenge, predict_with
from gatehouse.pipelines.clean_process import CleanProcess
from gatehouse.pipelines.compliance import examine
from gatehouse.pipelines.context import Context
from gatehouse.pipelines.dataset import UNIT
from gatehouse.pipelines.decisions import OWN_TAGS, RECORD_TAG, find, keep
from gatehouse.pipelines.hold_out import hold_out
from gatehouse.pipelines.judges import judges
from gatehouse.pipelines.prospect import refuse_undecidable
from gatehouse.pipelines.scoring import score_beside
from gatehouse.pipelines.smoke import smoke_test
from gatehouse.pipelines.training import train_again

if TYPE_CHECKING:
    from gatehouse.lakehouse.registry import Version

_DECISIONS = tuple(f"decision_{d.value}" for d in Decision)


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """A version with its decision record. `reused`: it was judged before, and nothing has changed since."""

    record: DecisionRecord
    digest: str
    reused: bool

    @property
    def verdict(self) -> Verdict:
        """All findings."""
        return self.record.judged


def judge(context: Context, candidate: Version, process: CleanProcess | None = None) -> Judged:
    """Put a version through compliance and challenge, and write down what was found.

    `process` is one that was started early, to spare the seconds in which it imports.
    """
    with context.alone("release"):
        gatekeeper(context).settle()
        champion = context.registry.by_alias(context.model, CHAMPION)
        if champion is not None and champion.version == candidate.version:
            raise StateError(
                f"Version {candidate.version} is the champion already.",
                why="It cannot be compared with itself.",
                remedy="Nothing is to be done: the same code, data and configuration train the same version.",
            )
        if (known := _still_valid(context, candidate, champion)) is not None:
            context.progress.note(f"Version {candidate.version} was judged on exactly this: the record holds.")
            return Judged(record=known, digest=known.digest(), reused=True)
        context.registry.set_alias(context.model, CHALLENGER, candidate.version)
        with process or CleanProcess() as ready:
            record = _judge(context, candidate, champion, ready)
        keep(context, record)
        digest = record.digest()
        context.audit.append(
            action="judged",
            actor=record.candidate.proposer,
            actor_source="proposer of the version",
            model=context.model,
            version=record.promoted.version,
            details={"record": digest, "verdict": record.verdict.value, "judged": candidate.version},
            key=f"judged:{digest}",
        )
    return Judged(record=record, digest=digest, reused=False)


def _judge(context: Context, candidate: Version, champion: Version | None, process: CleanProcess) -> DecisionRecord:
    policy = context.policy
    with context.progress.step(f"examine version {candidate.version} in a clean process"):
        compliance = examine(context, candidate, process)
    verdict = judge_compliance(compliance, policy.compliance)
    findings = verdict.findings
    met: Challenged | None = None
    if verdict.opens:
        against = f"version {champion.version}" if champion else f"the {policy.first}"
        with context.progress.step(f"compare version {candidate.version} with {against} on the hold-out"):
            met = challenge(context, candidate, champion, policy)
        refuse_undecidable(context, met.evidence, policy)
        findings = (*findings, *judge_challenge(met.evidence, policy).findings)
    lineage = Lineage.from_tags(candidate.tags, candidate.version)
    refit = None
    promoted = lineage
    if Verdict(findings).outcome is Outcome.PROMOTE and policy.refit == "full":
        refit, promoted = _refit(context, candidate, lineage)
    return DecisionRecord.of(
        project=context.project.name,
        environment=context.name,
        model=context.model,
        candidate=Candidate(
            version=candidate.version,
            files_digest=context.registry.digest(context.model, candidate.version),
            lineage=_plain(candidate.tags),
            proposer=lineage.proposer,
            authors=(context.code.author,) if context.code.author != "unknown" else (),
        ),
        opponent=_opponent(context, met, champion) if met else None,
        policy=policy,
        compliance=compliance.to_record(),
        challenge=met.evidence.to_record() if met else None,
        findings=findings,
        refit=refit,
        data_age_days=max(0.0, (context.as_of - promoted.train_end).total_seconds() / 86_400),
        code_commit=context.code.commit,
        as_of=context.as_of,
        created_at=context.now,
    )


def _opponent(context: Context, met: Challenged, champion: Version | None) -> Opponent:
    contender = met.evidence.opponent
    return Opponent(
        kind=contender.kind,  # type: ignore[arg-type]
        version=contender.version,
        files_digest=context.registry.digest(context.model, champion.version) if champion else None,
        value=contender.threshold,
    )


def _plain(tags: Mapping[str, str]) -> dict[str, str]:
    """The lineage as the version carries it; what the gates themselves wrote there is left out."""
    return {k: v for k, v in tags.items() if k.startswith("gatehouse_") and k not in OWN_TAGS}


def _refit(context: Context, judged: Version, lineage: Lineage) -> tuple[Refit, Lineage]:
    """The judged recipe on all data up to as-of: examined like any version, and compared with the judged one."""
    policy = context.policy
    with CleanProcess() as process:
        version = train_again(context, lineage).version
        with context.progress.step(f"examine the refit, version {version.version}"):
            compliance = examine(context, version, process)
            shift = _shift(context, judged, version, lineage)
    evidence: dict[str, Any] = {"compliance": compliance.to_record()}
    refit = Refit(
        version=version.version,
        files_digest=context.registry.digest(context.model, version.version),
        score_shift=shift,
        evidence=evidence,
        findings=judge_refit({**evidence, "score_shift": shift}, policy).findings,
    )
    return refit, Lineage.from_tags(version.tags, version.version)


def _shift(context: Context, judged: Version, refit: Version, lineage: Lineage) -> float:
    """Mean absolute difference of the two versions' predictions on the judged one's hold-out."""
    project = context.project
    rows = hold_out(context, [lineage]).frame.select(*project.features, UNIT, project.label.name)
    both = {"judged": predict_with(context, judged), "refit": predict_with(context, refit)}
    statistics = collect(
        score_beside(rows, both, project.task),
        unit=UNIT,
        label=project.label.name,
        predictions={name: name for name in both},
        slices=[],
        metrics=[project.primary_metric],
        task=project.task,
        classes=len(project.classes),
    )
    return score_shift(statistics, SliceKey(), old="judged", new="refit").mean_absolute


def _still_valid(context: Context, candidate: Version, champion: Version | None) -> DecisionRecord | None:
    """The version's record, if it would be made of the same things today."""
    try:
        record = find(context, candidate)
    except StateError:
        return None
    opponent = champion.version if champion else None
    same = (
        record.candidate.version == candidate.version
        and record.verdict in (Outcome.PROMOTE, Outcome.HOLD)
        and record.policy.digest == context.policy.digest()
        and record.as_of == context.as_of
        and (record.opponent.version if record.opponent else opponent) == opponent
        and record.candidate.files_digest == context.registry.digest(context.model, candidate.version)
        and context.now < record.expires_at
    )
    return record if same else None


def gatekeeper(context: Context) -> Gatekeeper:
    """Who moves this environment's aliases."""
    return Gatekeeper(context.registry, context.audit, context.model, root=context.root, smoke=smoke_test(context))


def decisions(context: Context) -> tuple[Approval, ...]:
    """Everything that was ever decided about versions of this model, as it stands in the audit log."""
    entries = (e for e in context.audit.entries() if e.model == context.model and e.action in _DECISIONS)
    return tuple(Approval.from_record(e.details) for e in entries)


def decide(
    context: Context,
    version: Version,
    decision: Decision,
    *,
    actor: Identity,
    reason: str,
    answers: Mapping[str, str],
) -> tuple[Approval, Verdict]:
    """Enter a person's decision, bound to record and files; returns it with where the approval stands after it.

    Raises:
        Refused: it would count for nothing, and why: the person proposed the version, the record expired, ...
    """
    record = find(context, version)
    _refuse_unknown_checks(context, answers)
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
    return approval, approval_verdict(context, record)


def approval_verdict(context: Context, record: DecisionRecord, *, break_glass: bool = False) -> Verdict:
    """What people's decisions amount to, now, for the files as they are now."""
    judge_people = judge_break_glass if break_glass else judge_approval
    return judge_people(record, _files_digest(context, record), decisions(context), context.policy, context.now, ())


def promote(
    context: Context, version: Version, *, actor: Identity, break_glass: bool = False, reason: str = ""
) -> Settled:
    """Make an approved version the champion.

    Raises:
        Refused: a gate or a person said no, or has not said yes; the reasons are in the message.
        AliasMoved: the champion is not the one that it was compared with.
    """
    record = find(context, version)
    keeper = gatekeeper(context)
    keeper.settle()
    promoted = record.promoted.version
    holder = context.registry.by_alias(context.model, CHAMPION)
    if holder is not None and holder.version == promoted:
        return Settled(version=promoted, champion=promoted)
    _refuse_replayed_otherwise(record)
    verdict = approval_verdict(context, record, break_glass=break_glass)
    if not verdict.opens:
        raise Refused(
            f"Version {promoted} may not be promoted. " + " ".join(f.reason for f in verdict.deciding),
            why="A version becomes the champion when the gates opened and people who may have approved it.",
            remedy=next((f.next_step for f in verdict.deciding if f.next_step), f"gatehouse why {promoted}"),
        )
    expected = record.opponent.version if record.opponent else (holder.version if holder else None)
    if break_glass:
        expected = holder.version if holder else None
    move = Move(
        kind=Kind.BREAK_GLASS if break_glass else Kind.PROMOTION,
        to=promoted,
        expected=expected,
        record=record.digest(),
        reason=reason or record.judged.sentence(),
        actor=actor,
    )
    with context.progress.step(f"promote version {promoted}, and try it"):
        return keeper.move(move)


def rehearse(context: Context, version: Version, *, actor: Identity) -> Settled:
    """Make a version champion of an environment that is thrown away, so that what comes after it can be run.

    Raises:
        Refused: the environment is protected: there a version goes through the gates.
    """
    if context.environment.protected:
        raise Refused(
            f"{context.name} is protected, and a rehearsal asks no gate.",
            why="Its champion is what production predicts with.",
            remedy=f"gatehouse release --env {context.name}",
        )
    keeper = gatekeeper(context)
    keeper.settle()
    holder = context.registry.by_alias(context.model, CHAMPION)
    if holder is not None and holder.version == version.version:
        return Settled(version=version.version, champion=version.version)
    move = Move(
        kind=Kind.REHEARSAL,
        to=version.version,
        expected=holder.version if holder else None,
        record=None,
        reason="A rehearsal.",
        actor=actor,
    )
    with context.progress.step(f"rehearse the promotion of version {version.version}"):
        return keeper.move(move)


def rollback(
    context: Context, *, actor: Identity, reason: str, dry_run: bool
) -> tuple[str, tuple[str, ...], Settled | None]:
    """Go back to the last approved version that works; returns it, who was passed over and why, and how it went."""
    keeper = gatekeeper(context)
    keeper.settle()
    holder = context.registry.by_alias(context.model, CHAMPION)
    with context.progress.step("find the last approved version that works"):
        target, skipped = keeper.rollback_target(passes=smoke_test(context))
    if dry_run:
        return target, skipped, None
    move = Move(
        kind=Kind.ROLLBACK,
        to=target,
        expected=holder.version if holder else None,
        record=context.registry.get(context.model, target).tags.get(RECORD_TAG),
        reason=reason,
        actor=actor,
    )
    with context.progress.step(f"go back to version {target}, and try it"):
        return target, skipped, keeper.move(move)


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


def _refuse_void(context: Context, record: DecisionRecord, approval: Approval) -> None:
    """An approval that could not count is refused at once, not when somebody tries to promote."""
    lone = judge_approval(record, approval.files_digest, [approval], context.policy, context.now, ())
    void = [
        f for f in lone.findings if f.outcome is not Outcome.PROMOTE and f.rule not in ("approvals", *_checks(context))
    ]
    own = [f for f in lone.findings if f.rule == "approvals" and f.outcome is not Outcome.PROMOTE and "'s " in f.reason]
    for finding in (*void, *own):
        raise Refused(
            f"The approval of version {approval.version} by {approval.approver.name} does not count. {finding.reason}",
            why="Nobody approves what they proposed, nor what the gates held, nor what has changed since.",
            remedy=finding.next_step or f"gatehouse why {approval.version}",
        )


def _checks(context: Context) -> tuple[str, ...]:
    return tuple(f"check {c.id}" for c in context.policy.approval.manual_checks)


def _refuse_replayed_otherwise(record: DecisionRecord) -> None:
    """The verdict is computed once more from the evidence: a record that was edited does not promote."""
    again = replay(record, judges())
    if not again.same:
        raise Refused(
            f"The decision record does not say what its evidence says: {again.differences[0]}",
            why="Somebody changed the record, or this code judges otherwise than the one that made it.",
            remedy="Judge the version again: gatehouse release",
        )


def findings_of(verdict: Verdict) -> tuple[Finding, ...]:
    """Deciding findings first, then the others, informative ones last."""
    return tuple(sorted(verdict.findings, key=lambda f: (f not in verdict.deciding, f.informative)))
