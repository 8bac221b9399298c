"""What should be there, what is there, and the difference. Pure.

A resource is never taken from somebody else: what setup did not make it uses where that is harmless, and refuses
otherwise. What a token may not see is unknown, which is not the same as absent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from gatehouse.errors import ConfigurationError

Value = str | bool | frozenset[str]


class Part(StrEnum):
    """Who administers it."""

    ACCOUNT = "account"
    METASTORE = "metastore"
    REPOSITORY = "repository"


class Kind(StrEnum):
    """What it is, in the order in which things need each other."""

    GROUP = "group"
    SERVICE_PRINCIPAL = "service principal"
    ACCESS = "workspace access"
    POLICY = "federation policy"
    CATALOG = "catalog"
    SCHEMA = "schema"
    VOLUME = "volume"
    GRANT = "grant"
    SQL_GRANT = "grant by SQL"
    TAG = "governed tag"
    ASSIGNMENT = "right to assign"
    ENVIRONMENT = "environment"
    BRANCH = "branch rule"
    CHECK = "check"
    VARIABLES = "variables"


RIGHTS = (Kind.GRANT, Kind.SQL_GRANT, Kind.ASSIGNMENT)
"""What somebody is given on a thing. It is taken back member by member, also from what was there before."""


class Existing(StrEnum):
    """What is done with a thing of that name which setup did not make."""

    USED = "used"  # and brought to what is wanted
    GIVEN = "given"  # it has to be there: setup never makes it
    REFUSED = "refused"  # it may be somebody's


PART_OF: Mapping[Kind, Part] = {
    **dict.fromkeys((Kind.GROUP, Kind.SERVICE_PRINCIPAL, Kind.ACCESS, Kind.POLICY), Part.ACCOUNT),
    **dict.fromkeys((Kind.CATALOG, Kind.SCHEMA, Kind.VOLUME, Kind.GRANT, Kind.SQL_GRANT), Part.METASTORE),
    **dict.fromkeys((Kind.TAG, Kind.ASSIGNMENT), Part.METASTORE),
    **dict.fromkeys((Kind.ENVIRONMENT, Kind.BRANCH, Kind.CHECK, Kind.VARIABLES), Part.REPOSITORY),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Resource:
    """One thing that should be there.

    `at` says where, in the words of its interface. `wants` is compared with what is found: a set has to be contained,
    anything else equal. `waits_for` names what has to be there first and is not; empty: nothing. `needs` are the keys
    of others without which it is not made: a policy of somebody else's service principal would let them in. `made_by`
    is the command that makes it, where setup does not.
    """

    kind: Kind
    name: str
    at: Mapping[str, str] = field(default_factory=dict)
    wants: Mapping[str, Value] = field(default_factory=dict)
    existing: Existing = Existing.USED
    waits_for: str = ""
    needs: tuple[str, ...] = ()
    made_by: str = ""
    by_hand: str = ""

    @property
    def key(self) -> str:
        """Unique in a plan and in the record."""
        return f"{self.kind} {self.name}"

    @property
    def part(self) -> Part:
        """Who administers it."""
        return PART_OF[self.kind]


@dataclass(frozen=True, slots=True)
class Found:
    """What is there: its identifier, and what it says."""

    id: str
    has: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unseen:
    """Nobody can tell whether it is there. `reason` is a sentence, `remedy` a command or empty."""

    reason: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class NotYet:
    """It belongs to something that a first run makes."""

    reason: str


Told = Found | Unseen | NotYet | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """An entry of the record: what setup made, or was about to make when it was stopped.

    `added` are the members of sets (privileges, reviewers) that it brought, by the name of the set.
    """

    kind: Kind
    name: str
    at: Mapping[str, str]
    id: str = ""
    whole: bool = True
    added: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    begun: bool = False

    @property
    def key(self) -> str:
        """As `Resource.key`."""
        return f"{self.kind} {self.name}"


class Action(StrEnum):
    """What a step does."""

    CREATE = "create"
    CHANGE = "change"
    KEEP = "keep"
    WAIT = "wait"  # something else has to be there first
    UNKNOWN = "unknown"  # this token may not see it
    REFUSE = "refuse"  # it is somebody else's, or missing and not setup's to make


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One line of a plan. `add` and `drop` are members of sets to bring and take back; `drift` is told, not mended."""

    resource: Resource
    action: Action
    reason: str = ""
    found: Found | None = None
    add: Mapping[str, frozenset[str]] = field(default_factory=dict)
    drop: Mapping[str, frozenset[str]] = field(default_factory=dict)
    drift: str = ""


TAKEN_BACK = (Kind.GRANT, Kind.ASSIGNMENT)
"""Rights that a plan takes back once they are no longer wanted."""


def plan(wanted: Iterable[Resource], told: Mapping[str, Told], record: Mapping[str, Made]) -> tuple[Step, ...]:
    """The way from what is there to what should be, in the order of `wanted`; what is no longer wanted comes last.

    Of that, rights are taken back. A service principal stays, and is told: who removes an identity should know it.
    """
    steps: list[Step] = []
    barred: set[str] = set()
    for resource in wanted:
        step = _step(resource, told.get(resource.key), record.get(resource.key))
        if (lacks := [key for key in resource.needs if key in barred]) and step.action is not Action.REFUSE:
            step = Step(resource=resource, action=Action.WAIT, reason=f"First: {', '.join(lacks)}.")
        if step.action not in (Action.CREATE, Action.CHANGE, Action.KEEP):
            barred.add(resource.key)
        steps.append(step)
    keys = [step.resource.key for step in steps]
    if len(set(keys)) != len(keys):
        twice = sorted({key for key in keys if keys.count(key) > 1})
        raise ConfigurationError(
            f"Two things have one name: {', '.join(twice)}.",
            why="Each would undo the other.",
            remedy="Give environments names, catalogs and schemas of their own in conf/environments.yml.",
        )
    for key, made in record.items():
        found = told.get(key)
        if key in keys or found is None:  # nothing to take back
            continue
        if made.kind in TAKEN_BACK and made.added:
            gone = Resource(
                kind=made.kind, name=made.name, at=made.at, wants={name: frozenset() for name in made.added}
            )
            steps.append(_step(gone, found, made))
        elif made.kind is Kind.SERVICE_PRINCIPAL and isinstance(found, Found) and found.id == made.id:
            remedy = f"databricks account service-principals delete {made.id}"
            left = Resource(kind=made.kind, name=made.name, at=made.at, by_hand=remedy)
            drift = f"Setup made it, and nothing wants it any more. To remove it: {remedy}"
            steps.append(Step(resource=left, action=Action.KEEP, found=found, drift=drift))
    return tuple(steps)


def _step(resource: Resource, told: Told, made: Made | None) -> Step:
    if resource.waits_for:
        return Step(resource=resource, action=Action.WAIT, reason=f"First: {resource.waits_for}.")
    if isinstance(told, Unseen):
        return Step(resource=resource, action=Action.UNKNOWN, reason=told.reason)
    if isinstance(told, NotYet):
        return Step(resource=resource, action=Action.WAIT, reason=told.reason)
    if told is None:
        if resource.made_by:
            return Step(resource=resource, action=Action.WAIT, reason=f"Made by {resource.made_by}.")
        if resource.existing is Existing.GIVEN:
            reason = "conf/setup.yml says it is given, and it is not there, or this token may not see it."
            return Step(resource=resource, action=Action.REFUSE, reason=reason)
        again = "It was made once, and is gone." if made and not made.begun else ""
        return Step(resource=resource, action=Action.CREATE, reason=again, add=_sets(resource.wants))
    if resource.existing is Existing.REFUSED and made is None and not _same(resource, told):
        return Step(resource=resource, action=Action.REFUSE, reason=_taken(resource), found=told)
    if made and made.id and told.id and made.id != told.id and resource.existing is Existing.REFUSED:
        reason = f"What setup made ({made.id}) is gone, and another of that name ({told.id}) is there."
        return Step(resource=resource, action=Action.REFUSE, reason=reason, found=told)
    return _compared(resource, told, made)


def _compared(resource: Resource, found: Found, made: Made | None) -> Step:
    add, drop, drift, differs = {}, {}, [], []
    for name, wanted in resource.wants.items():
        has = found.has.get(name)
        if isinstance(wanted, frozenset):
            holds = has if isinstance(has, frozenset) else frozenset()
            brought = frozenset(made.added.get(name, ())) if made else frozenset()
            if wanted - holds:
                add[name] = wanted - holds
            if (brought - wanted) & holds:
                drop[name] = (brought - wanted) & holds
            if holds - wanted - brought:
                drift.append(f"{name} beyond the table: {', '.join(sorted(holds - wanted - brought))}")
        elif has != wanted:
            differs.append(f"{name} is {_shown(has)}, should be {_shown(wanted)}")
    said = [*differs, *(f"lacks {', '.join(sorted(s))}" for s in add.values())]
    said += [f"takes back {', '.join(sorted(s))}" for s in drop.values()]
    return Step(
        resource=resource,
        action=Action.CHANGE if said else Action.KEEP,
        reason="; ".join(said),
        found=found,
        add=add,
        drop=drop,
        drift="; ".join(drift),
    )


def _same(resource: Resource, found: Found) -> bool:
    """Whether it already is, to the letter, what is wanted: then nobody is harmed by using it."""
    return bool(resource.wants) and all(found.has.get(name) == wanted for name, wanted in resource.wants.items())


def _taken(resource: Resource) -> str:
    if resource.kind is Kind.CATALOG:
        return "It exists, and setup did not make it: name it under `given_catalogs` in conf/setup.yml to use it."
    if resource.kind is Kind.SERVICE_PRINCIPAL:
        return (
            "It exists, and setup did not make it: if it is yours, name it under `given_principals` in conf/setup.yml."
        )
    return "It exists with other content, and setup did not make it: remove it, or change it by hand."


def _sets(wants: Mapping[str, Value]) -> dict[str, frozenset[str]]:
    return {name: value for name, value in wants.items() if isinstance(value, frozenset)}


def _shown(value: Value | None) -> str:
    if value is None:
        return "not set"
    return ", ".join(sorted(value)) if isinstance(value, frozenset) else str(value)
