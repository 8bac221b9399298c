"""Who is champion: the one module that moves aliases.

Every move is entered in the audit log before it is made and after it is settled. A process that is killed in between
leaves an unsettled entry; the next command settles it: finished if the alias has moved and the version works, undone
otherwise. So there is never a champion that the log does not explain.

    begun    entered   what is about to move, from whom to whom, by which decision
    moved              previous_champion first, then champion, only if the expected version still holds it
    tried              the smoke test of what is now live
    done     entered   or `undone`, with the reason, after the aliases were put back
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gatehouse.errors import AliasMoved, GatehouseError, Refused, RegistryUnavailable, StateError
from gatehouse.gates.identity import Identity
from gatehouse.lakehouse.audit import AuditLog, Entry
from gatehouse.lakehouse.registry import ModelRegistry
from gatehouse.lakehouse.store import Store

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous_champion"
MOVE_BEGUN, MOVE_DONE, MOVE_UNDONE = "move_begun", "move_done", "move_undone"


class Kind(StrEnum):
    """Why the alias moves."""

    PROMOTION = "promotion"
    BREAK_GLASS = "break_glass"
    ROLLBACK = "rollback"
    REHEARSAL = "rehearsal"  # in an environment that is thrown away: no gate was asked


@dataclass(frozen=True, kw_only=True, slots=True)
class Move:
    """One move of the champion alias. `expected` holds it before (None: nobody); `record` is the decision's digest."""

    kind: Kind
    to: str
    expected: str | None
    record: str | None
    reason: str
    actor: Identity


@dataclass(frozen=True, kw_only=True, slots=True)
class Settled:
    """How a move ended. `undone` says why it was put back; None: the version is champion."""

    version: str
    champion: str | None
    undone: str | None = None

    @property
    def moved(self) -> bool:
        """Whether the version is live now."""
        return self.undone is None


@dataclass(frozen=True, kw_only=True, slots=True)
class Live:
    """A version that was made champion, with the entry of the log that settled it."""

    version: str
    kind: Kind
    entry: Entry
    record: str | None


class Gatekeeper:
    """Moves the aliases of one model. `smoke` tries a version for real and says what is wrong, None if nothing is."""

    def __init__(
        self,
        registry: ModelRegistry,
        audit: AuditLog,
        model: str,
        *,
        store: Store,
        smoke: Callable[[str], str | None],
        lock_timeout: float = 120,
    ) -> None:
        self._registry = registry
        self._audit = audit
        self._model = model
        self._store = store
        self._smoke = smoke
        self._lock_timeout = lock_timeout

    def move(self, move: Move, *, check: Callable[[], None] = lambda: None) -> Settled:
        """Make a version champion if `expected` still is; on a failed smoke test everything is put back.

        `check` raises Refused if something that was entered in the log before this move forbids it.

        Raises:
            AliasMoved: somebody else became champion in between; the message says who, and by whose hand.
            Refused: the audit log does not verify, or `check` said so.
        """
        with self._alone():
            self._refuse_broken_log()
            self._settle()
            self._refuse_moved(move)
            previous = self._holder(PREVIOUS)
            begun = self._enter(
                MOVE_BEGUN,
                move.to,
                actor=move.actor,
                details={
                    "kind": move.kind.value,
                    "from": move.expected,
                    "to": move.to,
                    "previous": previous,
                    "record": move.record,
                    "reason": move.reason,
                },
            )
            try:
                check()  # the entry is there: whatever is said from here on comes after the move, in the log as well
            except Refused as refused:
                self._undone(begun, refused.what)
                raise
            try:
                self._move_aliases(begun.details)
            except AliasMoved:  # another hand, which does not wait for our lock
                self._settle()
                raise
            return self._try(begun)

    def settle(self) -> Settled | None:
        """Finish or undo a move that was interrupted; None if there is none. Refused if the log does not verify."""
        with self._alone():
            if self._unsettled() is not None:
                self._refuse_broken_log()
            return self._settle()

    def history(self) -> tuple[Live, ...]:
        """Every version that was made champion, oldest first, with the moves that were undone left out."""
        entries = self._entries()
        begun = {e.seq: e for e in entries if e.action == MOVE_BEGUN}
        found = []
        for entry in (e for e in entries if e.action == MOVE_DONE):
            start = begun.get(int(entry.details["begun"]))
            if start is not None:
                kind, record = Kind(start.details["kind"]), start.details["record"]
                found.append(Live(version=str(start.details["to"]), kind=kind, entry=entry, record=record))
        return tuple(found)

    def moved_outside(self) -> str | None:
        """What the registry says that the log does not explain: an alias moved by another hand; None if they agree."""
        history, unsettled = self.history(), self._unsettled()
        explained = history[-1].version if history else None
        holder = self._holder(CHAMPION)
        if holder == explained or (unsettled and holder in (unsettled.details["from"], unsettled.details["to"])):
            return None
        return (
            f"{self._model}: the registry's champion is {_named(holder)}, and by the audit log it is "
            f"{_named(explained)}: the alias was moved by another hand."
        )

    def rollback_target(self, *, passes: Callable[[Live], str | None]) -> tuple[Live, tuple[str, ...]]:
        """The last version that was live before, went through the gates, and works; and why others were passed over.

        What was rolled back from is no target: a second rollback goes further back, not forward again.

        Raises:
            StateError: there is none.
        """
        holder = self._holder(CHAMPION)
        before = self._way_back()
        skipped: list[str] = []
        tried = {holder}
        for live in reversed(before[:-1] if before and before[-1].version == holder else before):
            if live.version in tried:
                continue
            if live.kind in (Kind.BREAK_GLASS, Kind.REHEARSAL):
                skipped.append(f"version {live.version} was promoted past the gates ({live.kind})")
                continue
            tried.add(live.version)
            if (wrong := passes(live)) is None:
                return live, tuple(skipped)
            skipped.append(f"version {live.version}: {wrong}")
        raise StateError(
            f"There is no earlier champion of {self._model} to go back to{_because(skipped)}.",
            why="A rollback goes to a version that was approved and was live, never to a guess.",
            remedy="Promote a version through the gates: gatehouse release",
        )

    def _way_back(self) -> list[Live]:
        """The champions that led to the present one, oldest first, without those that were rolled back from."""
        way: list[Live] = []
        for live in self.history():
            if live.kind is Kind.ROLLBACK and any(earlier.version == live.version for earlier in way):
                while way[-1].version != live.version:
                    way.pop()
            else:
                way.append(live)
        return way

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self._store.alone(f"{self._model}.aliases", timeout=self._lock_timeout):
            yield

    def _refuse_broken_log(self) -> None:
        verification = self._audit.verify()
        if not verification.ok:
            raise Refused(
                f"The audit log of {self._model} does not verify: {verification.problems[0]}",
                why="Who approved what stands there, and somebody has changed it.",
                remedy="gatehouse audit verify   shows all of it. Restore the log before anything is promoted.",
            )

    def _refuse_moved(self, move: Move) -> None:
        holder = self._holder(CHAMPION)
        if holder == move.expected:
            return
        history = self.history()
        last = history[-1] if history else None
        by = (
            f", promoted by {last.entry.actor} at {last.entry.at:%Y-%m-%d %H:%M}"
            if last and last.version == holder
            else ""
        )
        raise AliasMoved(
            f"The champion of {self._model} is {_named(holder)}{by}; version {move.to} was judged against "
            f"{_named(move.expected)}.",
            holder=holder,
            why="A comparison with a champion that is gone says nothing about the one that is there.",
            remedy="gatehouse release   judges it against the present champion.",
        )

    def _move_aliases(self, details: Mapping[str, Any]) -> None:
        if details["from"] == details["to"]:
            return  # it was champion past the gates, and has gone through them since: nothing but the log changes
        if details["from"] is not None:
            self._registry.set_alias(self._model, PREVIOUS, details["from"])
        self._registry.compare_and_set_alias(
            self._model, CHAMPION, expected=details["from"], version=str(details["to"])
        )

    def _settle(self) -> Settled | None:
        begun = self._unsettled()
        if begun is None:
            return None
        holder = self._holder(CHAMPION)
        if holder == begun.details["to"]:
            return self._try(begun)
        self._put_back(begun)
        if holder == begun.details["from"]:
            return self._undone(begun, "It was interrupted before the alias moved, or when it had been put back.")
        return self._undone(begun, f"It was interrupted, and {_named(holder)} was made champion by another hand.")

    def _try(self, begun: Entry) -> Settled:
        """The version is live: does it work? Whatever the answer, the move is settled."""
        version = str(begun.details["to"])
        try:
            wrong = self._smoke(version)
        except RegistryUnavailable:
            raise  # nobody can tell, nor move anything: the next command settles it
        except GatehouseError as error:
            wrong = error.what
        if wrong is not None:
            self._put_back(begun)
            return self._undone(begun, f"The smoke test failed: {wrong}")
        if self._holder(CHALLENGER) == version:
            self._registry.delete_alias(self._model, CHALLENGER)
        self._enter(MOVE_DONE, version, begun=begun, details={"begun": begun.seq})
        return Settled(version=version, champion=version)

    def _put_back(self, begun: Entry) -> None:
        """First the champion, then the one before: interrupted in between, it is simply done again."""
        if self._holder(CHAMPION) == begun.details["to"]:  # else another hand was faster, and is not overruled
            self._restore(CHAMPION, begun.details["from"])
        self._restore(PREVIOUS, begun.details["previous"])

    def _restore(self, alias: str, version: str | None) -> None:
        if version is None:
            self._registry.delete_alias(self._model, alias)
        else:
            self._registry.set_alias(self._model, alias, version)

    def _undone(self, begun: Entry, reason: str) -> Settled:
        version = str(begun.details["to"])
        self._enter(MOVE_UNDONE, version, begun=begun, details={"begun": begun.seq, "reason": reason})
        return Settled(version=version, champion=self._holder(CHAMPION), undone=reason)

    def _unsettled(self) -> Entry | None:
        entries = self._entries()
        settled = {int(e.details["begun"]) for e in entries if e.action in (MOVE_DONE, MOVE_UNDONE)}
        open_moves = [e for e in entries if e.action == MOVE_BEGUN and e.seq not in settled]
        return open_moves[-1] if open_moves else None

    def _entries(self) -> list[Entry]:
        return [e for e in self._audit.entries() if e.model == self._model]

    def _enter(
        self,
        action: str,
        version: str,
        *,
        details: dict[str, Any],
        actor: Identity | None = None,
        begun: Entry | None = None,
    ) -> Entry:
        """The end of a move is entered for the one who began it, and once, whoever settles it."""
        source = f"{actor.established_by} ({actor.strength})" if actor else begun.actor_source if begun else ""
        return self._audit.append(
            action=action,
            actor=actor.name if actor else begun.actor if begun else "",
            actor_source=source,
            model=self._model,
            version=version,
            details=details,
            key=f"{action}:{begun.seq}" if begun else None,
        )

    def _holder(self, alias: str) -> str | None:
        found = self._registry.by_alias(self._model, alias)
        return found.version if found else None


def _named(version: str | None) -> str:
    return f"version {version}" if version else "nobody"


def _because(reasons: list[str]) -> str:
    return f" ({'; '.join(reasons)})" if reasons else ""
