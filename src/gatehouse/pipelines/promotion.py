"""Who becomes champion: an approved version, or on the way back the last one that works.

promote    the record, its approvals and the files as they are now; then the alias moves
rehearse   without gates, in an environment that is thrown away
rollback   to the last approved version that works
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gatehouse.errors import DataError, Refused, RegistryUnavailable, StateError, StorageError
from gatehouse.gates.approval import Decision
from gatehouse.gates.identity import Identity
from gatehouse.gates.promotion import CHAMPION, Gatekeeper, Kind, Live, Move, Settled
from gatehouse.gates.record import DecisionRecord
from gatehouse.gates.replay import replay
from gatehouse.pipelines.approval import approval_verdict, decisions
from gatehouse.pipelines.context import Context
from gatehouse.pipelines.decisions import find
from gatehouse.pipelines.judges import judges
from gatehouse.pipelines.pages import publish
from gatehouse.pipelines.smoke import ServedTest, SmokeTest

if TYPE_CHECKING:
    from gatehouse.lakehouse.registry import Version


def gatekeeper(context: Context) -> Gatekeeper:
    """Who moves this environment's aliases."""
    return Gatekeeper(context.registry, context.audit, context.model, store=context.store, smoke=ServedTest(context))


def promote(
    context: Context, version: Version, *, actor: Identity, break_glass: bool = False, reason: str = ""
) -> Settled:
    """Make an approved version the champion.

    One that is champion already stays it; if it became so past the gates, that it has gone through them is entered.

    Raises:
        Refused: a gate or a person said no, or has not said yes; the reasons are in the message. Or the champion is
            one that nobody promoted: what was compared with it, or with nobody in its place, proves nothing.
        AliasMoved: the champion is not the one that it was compared with.
    """
    keeper = gatekeeper(context)
    keeper.settle()
    record = find(context, version)
    promoted, holder = record.promoted.version, _champion(context)
    if holder == promoted or not break_glass:
        _refuse_moved_outside(keeper)
    if holder == promoted and (break_glass or not _past_the_gates(keeper)):
        return Settled(version=promoted, champion=promoted)
    _refuse_replayed_otherwise(record)
    _refuse_unapproved(context, record, break_glass=break_glass)
    judged_against = record.opponent.version if record.opponent else None
    move = Move(
        kind=Kind.BREAK_GLASS if break_glass else Kind.PROMOTION,
        to=promoted,
        expected=holder if break_glass or holder == promoted else judged_against,
        record=record.digest(),
        reason=reason or "The gates opened, and it was approved.",
        actor=actor,
    )
    with context.progress.step(f"promote version {promoted}, and try it"):
        # Once more inside: somebody may have rejected it while this process waited for its turn.
        settled = keeper.move(move, check=lambda: _refuse_unapproved(context, record, break_glass=break_glass))
    publish(context, [promoted, holder], approval_verdict)
    return settled


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
    holder = _champion(context)
    if holder == version.version:
        return Settled(version=version.version, champion=version.version)
    move = Move(
        kind=Kind.REHEARSAL,
        to=version.version,
        expected=holder,
        record=None,
        reason="A rehearsal.",
        actor=actor,
    )
    with context.progress.step(f"rehearse the promotion of version {version.version}"):
        return keeper.move(move)


def rollback(
    context: Context, *, actor: Identity, reason: str, dry_run: bool
) -> tuple[str, tuple[str, ...], Settled | None]:
    """Go back to the last approved version that works; returns it, who was passed over and why, and how it went.

    One that was interrupted is finished, and then goes no further: whoever asks again means the same step.
    """
    keeper = gatekeeper(context)
    finished = keeper.settle()
    if finished and finished.moved and not dry_run and (way := keeper.history())[-1].kind is Kind.ROLLBACK:
        publish(context, [finished.version, way[-2].version], approval_verdict)
        return finished.version, (), finished
    holder = _champion(context)
    with context.progress.step("find the last approved version that works"):
        target, skipped = keeper.rollback_target(passes=_still_stands(context))
    if dry_run:
        return target.version, skipped, None
    move = Move(
        kind=Kind.ROLLBACK, to=target.version, expected=holder, record=target.record, reason=reason, actor=actor
    )
    with context.progress.step(f"go back to version {target.version}, and try it"):
        settled = keeper.move(move)
    publish(context, [target.version, holder], approval_verdict)
    return target.version, skipped, settled


def _champion(context: Context) -> str | None:
    holder = context.registry.by_alias(context.model, CHAMPION)
    return holder.version if holder else None


def _past_the_gates(keeper: Gatekeeper) -> bool:
    """Whether the present champion got there without them."""
    history = keeper.history()
    return bool(history) and history[-1].kind in (Kind.BREAK_GLASS, Kind.REHEARSAL)


def _refuse_moved_outside(keeper: Gatekeeper) -> None:
    outside = keeper.moved_outside()
    if outside is not None:
        raise Refused(
            outside,
            why="Who holds it was let through by nobody, and a comparison with it says nothing about who was.",
            remedy="gatehouse rollback --reason ...   puts the last approved version back."
            if keeper.history()
            else f"Nobody was ever promoted: take the alias {CHAMPION} away in the registry; then gatehouse release",
        )


def _refuse_unapproved(context: Context, record: DecisionRecord, *, break_glass: bool) -> None:
    promoted, verdict = record.promoted.version, approval_verdict(context, record, break_glass=break_glass)
    if not verdict.opens:
        raise Refused(
            f"Version {promoted} may not be promoted. " + " ".join(f.reason for f in verdict.deciding),
            why="A version becomes the champion when the gates opened and people who may have approved it.",
            remedy=next((f.next_step for f in verdict.deciding if f.next_step), f"gatehouse why {promoted}"),
        )


def _refuse_replayed_otherwise(record: DecisionRecord) -> None:
    """The verdict is computed once more from the evidence: a record that was edited does not promote."""
    again = replay(record, judges())
    if not again.same:
        raise Refused(
            f"The decision record does not say what its evidence says: {again.differences[0]}",
            why="Somebody changed the record, or this code judges otherwise than the one that made it.",
            remedy="Judge the version again: gatehouse release",
        )


def _still_stands(context: Context) -> Callable[[Live], str | None]:
    """Whether it is what was approved, nobody has rejected it since, and it works. What is wrong, or None."""
    smoke = SmokeTest(context)
    rejected = {d.version: d.approver.name for d in decisions(context) if d.decision is Decision.REJECT}

    def test(live: Live) -> str | None:
        if live.version in rejected:
            return f"{rejected[live.version]} rejected it"
        try:
            record = find(context, context.registry.get(context.model, live.version), digest=live.record)
            digest = context.registry.digest(context.model, live.version)
        except RegistryUnavailable:
            raise
        except (StateError, DataError, StorageError) as error:
            return error.what
        if digest != record.promoted.files_digest:
            return "its files are not those that were approved"
        return smoke(live.version)

    return test
