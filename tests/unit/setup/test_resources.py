"""From what is to what should be: nothing of anybody else's is taken, and nothing unseen is absent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gatehouse.errors import ConfigurationError
from gatehouse.setup.resources import Action, Existing, Found, Kind, Made, NotYet, Resource, Step, Told, Unseen, plan

GROUP = Resource(kind=Kind.GROUP, name="parcels-developers")
ROBOT = Resource(kind=Kind.SERVICE_PRINCIPAL, name="parcels-prod", existing=Existing.REFUSED)
GIVEN = Resource(kind=Kind.CATALOG, name="main", existing=Existing.GIVEN)
GRANT = Resource(kind=Kind.GRANT, name="on schema p.s to a", wants={"privileges": frozenset({"SELECT", "EXECUTE"})})
VALUE = Resource(kind=Kind.VARIABLES, name="HOST of prod", wants={"value": "a"}, existing=Existing.REFUSED)


def one(resource: Resource, told: Told, made: Made | None = None) -> Step:
    [step] = plan([resource], {resource.key: told}, {made.key: made} if made else {})
    return step


def made(resource: Resource, number: str = "1", **fields: Any) -> Made:
    return Made(kind=resource.kind, name=resource.name, at=resource.at, id=number, **fields)


@pytest.mark.parametrize(
    ("resource", "told", "by_us", "action"),
    [
        (GROUP, None, False, Action.CREATE),
        (GROUP, Found("1"), False, Action.KEEP),  # groups come from an identity provider as well
        (GROUP, Unseen("No right."), False, Action.UNKNOWN),
        (GROUP, NotYet("After a run."), False, Action.WAIT),
        (replace(GROUP, waits_for="a workspace"), None, False, Action.WAIT),
        (ROBOT, None, False, Action.CREATE),
        (ROBOT, Found("1"), True, Action.KEEP),
        (ROBOT, Found("1"), False, Action.REFUSE),
        (ROBOT, Found("2"), True, Action.REFUSE),  # ours is gone, and somebody took its name
        (GIVEN, Found("main"), False, Action.KEEP),
        (GIVEN, None, False, Action.REFUSE),
        (GIVEN, Unseen("No right."), False, Action.UNKNOWN),
        (VALUE, Found("HOST", {"value": "a"}), False, Action.KEEP),
        (VALUE, Found("HOST", {"value": "b"}), False, Action.REFUSE),
        (VALUE, Found("1", {"value": "b"}), True, Action.CHANGE),
    ],
)
def test_what_is_done(resource: Resource, told: Told, by_us: bool, action: Action) -> None:
    assert one(resource, told, made(resource) if by_us else None).action is action


def test_a_grant_brings_what_is_missing_and_tells_what_is_beyond_the_table() -> None:
    step = one(GRANT, Found("1", {"privileges": frozenset({"SELECT", "MODIFY"})}))

    assert step.action is Action.CHANGE
    assert step.add == {"privileges": {"EXECUTE"}}
    assert step.drop == {}
    assert step.drift == "privileges beyond the table: MODIFY"


def test_a_grant_takes_back_what_setup_once_gave_and_nothing_else() -> None:
    ours = made(GRANT, added={"privileges": ("SELECT", "MODIFY")})

    step = one(GRANT, Found("1", {"privileges": frozenset({"SELECT", "EXECUTE", "MODIFY", "APPLY_TAG"})}), ours)

    assert step.action is Action.CHANGE
    assert not step.add
    assert step.drop == {"privileges": frozenset({"MODIFY"})}
    assert step.drift == "privileges beyond the table: APPLY_TAG"


def test_a_grant_that_is_no_longer_in_the_table_is_taken_back() -> None:
    ours = made(GRANT, added={"privileges": ("SELECT",)})

    [step] = plan([], {GRANT.key: Found("1", {"privileges": frozenset({"SELECT", "EXECUTE"})})}, {ours.key: ours})

    assert step.action is Action.CHANGE
    assert step.drop == {"privileges": frozenset({"SELECT"})}


def test_other_things_that_are_no_longer_wanted_are_left() -> None:
    ours = made(GROUP)

    assert plan([], {GROUP.key: Found("1")}, {ours.key: ours}) == ()


def test_what_was_made_and_is_gone_is_made_again() -> None:
    step = one(GROUP, None, made(GROUP))

    assert (step.action, step.reason) == (Action.CREATE, "It was made once, and is gone.")


def test_what_was_being_made_when_setup_was_stopped_is_setups_own() -> None:
    assert one(ROBOT, Found("1"), made(ROBOT, "", begun=True)).action is Action.KEEP


def test_two_things_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"Two things have one name: group parcels-developers\."):
        plan([GROUP, GROUP], {}, {})
