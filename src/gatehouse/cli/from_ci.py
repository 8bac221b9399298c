"""The approvals of a CI's own gate, entered as decisions of the people behind them."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from gatehouse.errors import PlatformError, Refused

if TYPE_CHECKING:
    from gatehouse.ci.provider import Approved, Provider
    from gatehouse.gates.approval import Approval
    from gatehouse.gates.policy import ApprovalRule
    from gatehouse.gates.record import DecisionRecord
    from gatehouse.gates.verdict import Verdict
    from gatehouse.lakehouse.registry import Version
    from gatehouse.pipelines.context import Context


def approve_from_ci(
    context: Context, version: Version, provider: Provider, environment: str
) -> tuple[list[Approval], Verdict]:
    """Enters each approval that counts, and returns them with where the version stands.

    `environment` is the provider's, whose reviewers are asked.

    Raises:
        Refused: nobody approved, nobody who may, or it cannot be told.
    """
    from gatehouse.ci.provider import Subject
    from gatehouse.cli.telling import decision_summary
    from gatehouse.pipelines.decisions import find

    record = find(context, version)
    subject = Subject(
        version=record.promoted.version,
        digest=record.digest(),
        model=context.model,
        record=record.to_json(),
        about=decision_summary(context, version.version),
        env=context.name,
    )
    try:
        asked = provider.approvals(environment, subject)
    except Refused as error:
        raise _still_entered(context, record, error) from error
    authors = (record.candidate.proposer, *record.candidate.authors)
    proposers, unlinked = _proposers(provider, authors)
    entered: list[Approval] = []
    standing: Verdict | None = None
    refused: Refused | None = None
    for approved in asked:
        try:
            by_hand = f"gatehouse approve {version.version} --env {context.name} --reason '...'"
            person = by_all_names(approved, context.policy.approval, unlinked, by_hand, provider.linking)
            approval, standing = _enter(context, version, provider, environment, person, proposers)
            entered.append(approval)
        except Refused as error:  # another person's may count
            refused = refused or error
    if standing is None:
        assert refused is not None  # noqa: S101 - a provider names somebody or refuses
        raise refused
    return entered, standing


def _still_entered(context: Context, record: DecisionRecord, error: Refused) -> Refused:
    """The refusal, with what an earlier attempt of the run has entered: a log forgets nothing by itself."""
    from gatehouse.gates.approval import Decision
    from gatehouse.pipelines.approval import decisions

    entered = [
        d.approver.name
        for d in decisions(context)
        if d.decision is Decision.APPROVE and d.record_digest == record.digest()
    ]
    if not entered:
        return error
    number = record.promoted.version
    return Refused(
        f"{error.what} Before that, {', '.join(dict.fromkeys(entered))} approved it, which still stands.",
        why=error.why,
        remedy=f"{error.remedy} To take it back: gatehouse reject {number} --env {context.name} --reason '...'",
    )


def answers_in(comment: str, checks: Collection[str]) -> dict[str, str]:
    """Answers to manual checks out of a review's comment: lines that begin with `check-id:` or `check-id=`."""
    found = {}
    for line in comment.splitlines():
        for mark in (":", "="):
            check, sign, text = line.partition(mark)
            if sign and check.strip() in checks and text.strip():
                found[check.strip()] = text.strip()
    return found


def _enter(
    context: Context,
    version: Version,
    provider: Provider,
    environment: str,
    approved: Approved,
    proposers: tuple[str, ...],
) -> tuple[Approval, Verdict]:
    from gatehouse.gates.approval import Decision
    from gatehouse.gates.consent import Witness
    from gatehouse.gates.identity import provider_identity
    from gatehouse.pipelines.approval import decide

    run = provider.run()
    at = f" at {approved.at:%Y-%m-%d %H:%M} UTC" if approved.at else ""
    said = approved.comment.strip() or "(without a comment)"
    return decide(
        context,
        version,
        Decision.APPROVE,
        actor=provider_identity(approved.who, approved.established_by + at, proven=approved.protected),
        reason=said if approved.protected else f"Nobody vouches for it: {approved.established_by}. {said}",
        answers=answers_in(approved.comment, {c.id for c in context.policy.approval.manual_checks}),
        witness=Witness(
            provider=provider.name,
            environment=environment,
            environment_id=approved.environment_id,
            protected=approved.protected,
            run=run.url,
            comment=approved.comment,
            also=approved.also,
            proposers=proposers,
        ),
    )


def by_all_names(
    approved: Approved, rule: ApprovalRule, unlinked: tuple[str, ...], by_hand: str, linking: str = ""
) -> Approved:
    """The approval, with the addresses that the policy has for its account.

    `unlinked` are addresses of authors behind which any account may be; `by_hand` is the command that asks no CI, and
    `linking` the provider's way to have an address known.

    Raises:
        Refused: it may be an author's own, and nothing tells.
    """
    from dataclasses import replace

    from gatehouse.gates.identity import addresses_of

    who = approved.who
    declared = addresses_of(who, rule.approvers)
    if unlinked and not declared and approved.protected and not rule.allow_own:
        raise Refused(
            f"Whether {who} approves what is their own cannot be told: "
            f"no account is known for {', '.join(unlinked)}, who had a hand in it.",
            why="Authors are known by address and approvers by account, and nobody approves what they proposed. Of "
            "another approver it could be told as little.",
            remedy=f"{linking + ' Or write' if linking else 'Write'} '@{who.removeprefix('@')} <ADDRESS>' under "
            "approval.approvers in conf/promotion.yml, with every address they commit by, and release again "
            f"(docs/gates.md has more ways). By hand: {by_hand}",
        )
    return replace(approved, also=tuple(dict.fromkeys((*approved.also, *declared))))


def _proposers(provider: Provider, authors: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Everybody it comes from, by every name that is known; and the addresses behind which any account may be."""
    try:
        itself = provider.proposers()
        known = tuple(dict.fromkeys((*itself, *authors)))
        return tuple(dict.fromkeys((*itself, *provider.accounts(known)))), provider.unlinked(known)
    except PlatformError as error:
        raise Refused(
            f"Who proposed it cannot be told. {error.what}",
            why="Nobody approves what they proposed, so the proposers have to be known.",
            remedy=error.remedy,
        ) from error
