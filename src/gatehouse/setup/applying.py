"""Looks, plans, and makes one thing after the other; a record of what was made lets a plan continue and be undone."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from gatehouse.errors import AccessDenied, GatehouseError, PlatformError, Refused, StateError
from gatehouse.setup.record import Record
from gatehouse.setup.resources import (
    PART_OF,
    RIGHTS,
    TAKEN_BACK,
    Action,
    Found,
    Kind,
    Made,
    Part,
    Resource,
    Step,
    Told,
    Unseen,
    plan,
)


class Side(Protocol):
    """What one administrator's interface can do. Errors are ours."""

    def look(self, resource: Resource) -> Told:
        """What is there of it."""

    def make(self, step: Step) -> str:
        """Makes it; returns its identifier."""

    def change(self, step: Step) -> None:
        """Brings it to what is wanted."""

    def remove(self, made: Made) -> None:
        """What setup made; nothing happens if it is gone. Refused where it holds something."""


class Progress(Protocol):
    """As `gatehouse.progress.Progress`."""

    def step(self, text: str) -> AbstractContextManager[None]:
        """One line when it is done."""


@dataclass(frozen=True, slots=True)
class Left:
    """Something that `undo` did not remove, and why."""

    key: str
    reason: str


def look(resources: Iterable[Resource], sides: Mapping[Part, Side], record: Record) -> tuple[Step, ...]:
    """The plan, from what the sides say now. A part without a side is unknown, and done by hand."""
    wanted = tuple(resources)
    told: dict[str, Told] = {}
    blind: dict[tuple[Part, str], Unseen] = {}
    keys = {resource.key for resource in wanted}
    parts = {resource.part for resource in wanted}
    gone = [
        Resource(kind=made.kind, name=made.name, at=made.at)
        for key, made in record.entries.items()
        if made.kind in (*TAKEN_BACK, Kind.SERVICE_PRINCIPAL) and key not in keys and PART_OF[made.kind] in parts
    ]
    for resource in (*(r for r in wanted if not r.waits_for), *gone):
        place = (resource.part, resource.at.get("env", ""))
        answer = blind.get(place) or _told(resource, sides.get(resource.part))
        if isinstance(answer, _Blind):
            blind[place] = answer
        told[resource.key] = answer
    known = keys | {resource.key for resource in gone}
    return plan(wanted, told, {key: made for key, made in record.entries.items() if key in known})


class _Blind(Unseen):
    """Nobody is signed in, or nobody answers: nothing there needs to be asked again."""


def _told(resource: Resource, side: Side | None) -> Told:
    if side is None:
        return _Blind("Nobody said where it is administered: to be done by hand.")
    try:
        return side.look(resource)
    except (AccessDenied, PlatformError, StateError) as error:
        if isinstance(error, PlatformError) and getattr(error, "status", None) is None:
            return _Blind(error.what, error.remedy)
        return Unseen(error.what, error.remedy)


def apply(steps: Iterable[Step], sides: Mapping[Part, Side], record: Record, progress: Progress) -> int:
    """Creates and changes what the plan says, in its order; returns how much that was.

    Each step is recorded before and after. An error ends it there, with what was made so far in the record: the same
    command continues.
    """
    done = 0
    for step in steps:
        resource, known = step.resource, record.entries.get(step.resource.key)
        if step.action is Action.KEEP and known and known.begun and step.found:  # stopped right after making it
            record.complete(dataclasses.replace(known, id=step.found.id, begun=False))
        if step.action not in (Action.CREATE, Action.CHANGE):
            continue
        side = sides[resource.part]
        with progress.step(f"{step.action} {resource.key}"):
            record.begin(_entry(step, known.id if known else "", known))
            try:
                number = side.make(step) if step.action is Action.CREATE else _changed(side, step)
            except GatehouseError as error:
                if not isinstance(error, PlatformError):  # it was refused: nothing was made
                    _settle(record, resource.key, known)
                error.remedy = f"{error.remedy}\nThen run the same command again: it continues with {resource.key}."
                raise
            record.complete(_entry(step, number, known))
        done += 1
    return done


def _changed(side: Side, step: Step) -> str:
    side.change(step)
    return step.found.id if step.found else ""


def _settle(record: Record, key: str, known: Made | None) -> None:
    if known is None:
        record.forget(key)
    else:
        record.complete(known)


def _entry(step: Step, number: str, known: Made | None) -> Made:
    """What setup has brought by now: of sets the members that it added, and that are still wanted."""
    before = known.added if known else {}
    added = {}
    for name in {*before, *step.add}:
        members = (frozenset(before.get(name, ())) | step.add.get(name, frozenset())) - step.drop.get(name, frozenset())
        if members:
            added[name] = tuple(sorted(members))
    whole = known.whole if known else step.action is Action.CREATE
    kind, at = step.resource.kind, step.resource.at
    return Made(kind=kind, name=step.resource.name, at=at, id=number, whole=whole, added=added)


def undo(sides: Mapping[Part, Side], record: Record, parts: Iterable[Part], progress: Progress) -> tuple[Left, ...]:
    """Removes what the record says setup made, the last first; returns what stays, with the reason.

    What setup only changed (an environment that was there, to which it added reviewers) stays as it is. What is no
    longer the thing that setup made (another identifier under the same name), or holds data, stays too.
    """
    chosen = set(parts)
    left = []
    for key, made in reversed(list(record.entries.items())):
        part = PART_OF[made.kind]
        if part not in chosen:
            continue
        if not made.whole and made.kind not in RIGHTS:
            left.append(Left(key, "It was there before; setup only changed it."))
            continue
        if part not in sides:
            left.append(Left(key, "Nobody said where it is administered."))
            continue
        with progress.step(f"remove {key}"):
            try:
                if reason := _objection(sides[part], made):
                    left.append(Left(key, reason))
                    continue
                sides[part].remove(made)
            except Refused as error:
                left.append(Left(key, error.what))
                continue
            record.forget(key)
    return tuple(left)


def _objection(side: Side, made: Made) -> str:
    """Why it is not removed; empty: it is what setup made, or gone."""
    if made.begun and not made.id:
        told = side.look(Resource(kind=made.kind, name=made.name, at=made.at))
        return "" if told is None else "Setup was stopped while making it: whether it is setup's cannot be told."
    if made.kind not in (Kind.GROUP, Kind.SERVICE_PRINCIPAL, Kind.ENVIRONMENT, Kind.TAG):
        return ""
    told = side.look(Resource(kind=made.kind, name=made.name, at=made.at))
    if isinstance(told, Found) and told.id != made.id:
        return f"What setup made ({made.id}) is gone, and another of that name ({told.id}) is there."
    return ""
