"""On the road and back: what becomes champion, what is put back, where a rollback leads, and what stays of each."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from gatehouse.errors import AliasMoved, Refused, StateError
from gatehouse.gates.approval import Decision
from gatehouse.gates.promotion import CHALLENGER, CHAMPION, PREVIOUS, Gatekeeper, Kind, Settled
from gatehouse.gates.verdict import Outcome
from gatehouse.lakehouse.audit import AuditLog
from gatehouse.pipelines.inference import infer
from gatehouse.pipelines.promotion import gatekeeper

if TYPE_CHECKING:
    from tests.integration.pipelines.release.conftest import Road

    from gatehouse.lakehouse.audit import Entry

pytestmark = pytest.mark.slow

ANNA, BERT = "anna@example.org", "bert@example.org"


def promoted(road: Road) -> None:
    """Version 2 is champion, version 1 was."""
    road.decide("2", ANNA)
    assert road.promote("2").moved


def test_a_promotion_keeps_the_champion_before_and_is_entered(road: Road) -> None:
    promoted(road)

    assert road.aliases() == {CHAMPION: "2", PREVIOUS: "1", CHALLENGER: None}
    assert road.said()[-3:] == [("decision_approve", "2"), ("move_begun", "2"), ("move_done", "2")]
    history = gatekeeper(road.context()).history()
    assert [(x.version, x.record) for x in history] == [(v, road.record(v).digest()) for v in ("1", "2")]


def test_the_same_promotion_again_does_nothing(road: Road) -> None:
    promoted(road)
    before = road.said()

    assert road.promote("2").champion == "2"
    assert road.said() == before


@pytest.mark.broken_gate(21)
def test_a_version_that_does_not_work_here_is_put_back_by_default(road: Road) -> None:
    road.decide("2", ANNA)
    project = road.context().project
    fewer = replace(project, features=tuple(f for f in project.features if f != "dew_point"))

    settled = road.under(project=fewer).promote("2")

    assert settled.undone == (
        "The smoke test failed: Version 2 of prod.temperature.temperature needs dew_point, which is no longer declared."
    )
    assert road.aliases() == {CHAMPION: "1", PREVIOUS: None, CHALLENGER: "2"}


@pytest.mark.broken_gate(21)
def test_a_version_is_not_called_working_where_there_is_nothing_to_try_it_on(road: Road) -> None:
    road.decide("2", ANNA)

    settled = road.promote("2", as_of="2014-12-01")

    assert settled.undone is not None
    assert "there is no event before 2014-12-01 to try it on" in settled.undone
    assert road.aliases()[CHAMPION] == "1"


# The way back


@pytest.mark.broken_gate(19)
def test_a_rollback_goes_to_the_last_approved_version_and_not_to_the_number_before(road: Road) -> None:
    promoted(road)

    target, skipped, settled = road.rollback()

    assert (target, skipped, settled and settled.champion) == ("1", (), "1")
    assert road.aliases() == {CHAMPION: "1", PREVIOUS: "2", CHALLENGER: None}
    begun = road.context().audit.entries()[-2]
    assert (begun.details["kind"], begun.details["record"]) == ("rollback", road.record("1").digest())


def test_a_rollback_that_was_killed_is_finished_by_the_same_command_and_goes_no_further(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    promoted(road)
    append = AuditLog.append

    def dying(log: AuditLog, *, action: str, **entry: Any) -> Entry:
        if action == "move_done":
            raise Killed
        return append(log, action=action, **entry)

    monkeypatch.setattr(AuditLog, "append", dying)
    with pytest.raises(Killed):
        road.rollback()
    monkeypatch.undo()

    assert road.rollback() == ("1", (), Settled(version="1", champion="1"))
    assert road.aliases() == {CHAMPION: "1", PREVIOUS: "2", CHALLENGER: None}
    assert road.said()[-2:] == [("move_begun", "1"), ("move_done", "1")]


class Killed(BaseException):
    """Stands for kill -9."""


@pytest.mark.broken_gate(21)
def test_a_dry_run_says_where_it_would_lead_and_changes_nothing(road: Road) -> None:
    promoted(road)
    before = (road.said(), road.aliases(), road.lakehouse.versions())

    assert road.rollback(dry_run=True) == ("1", (), None)
    assert (road.said(), road.aliases(), road.lakehouse.versions()) == before


@pytest.mark.broken_gate(19)
def test_there_is_no_way_back_from_the_first_champion(road: Road) -> None:
    with pytest.raises(StateError, match="There is no earlier champion"):
        road.rollback()


@pytest.mark.broken_gate(19)
@pytest.mark.parametrize("damage", ["changed", "gone", "rejected", "no record"])
def test_a_version_that_is_not_what_was_approved_any_more_is_passed_over_with_the_reason(
    road: Road, damage: str
) -> None:
    promoted(road)
    files = road.files("1")
    if damage == "changed":
        (files / "note.txt").write_text("harmless, and not what was approved")
    elif damage == "gone":
        files.rename(files.with_name("elsewhere"))
    elif damage == "rejected":
        road.decide("1", BERT, decision=Decision.REJECT, reason="it drifts")
    else:
        for record in road.lakehouse.world.place.root.rglob(f"{road.record('1').digest()}.json"):
            record.unlink()

    with pytest.raises(StateError) as none:
        road.rollback()

    assert PASSED_OVER[damage] in none.value.what
    assert road.aliases()[CHAMPION] == "2"


PASSED_OVER = {
    "changed": "version 1: its files are not those that were approved",
    "gone": "version 1: The files of version 1 of prod.temperature.temperature are gone",
    "rejected": "version 1: bert@example.org rejected it",
    "no record": "version 1: The decision record of version 1 is missing",
}


def test_a_rollback_leads_away_from_what_broke_the_glass_and_never_to_it(road: Road) -> None:
    for who in (ANNA, BERT):
        road.decide("2", who, decision=Decision.BREAK_GLASS, reason="urgent")
    road.promote("2", break_glass=True, reason="urgent")

    assert road.rollback()[0] == "1"
    assert [x.kind for x in gatekeeper(road.context()).history()] == [
        Kind.PROMOTION,
        Kind.BREAK_GLASS,
        Kind.ROLLBACK,
    ]
    with pytest.raises(StateError, match="no earlier champion"):
        road.rollback()


def test_what_was_rolled_back_comes_back_by_a_new_approval_alone(road: Road) -> None:
    promoted(road)
    road.rollback(BERT, reason="it drifts")

    with pytest.raises(Refused, match=r"0 of 1 approvals needed.*bert@example.org rolled it back at .*: it drifts"):
        road.promote("2")
    assert road.aliases()[CHAMPION] == "1"
    assert road.decide("2", ANNA).opens
    assert road.promote("2").moved
    assert road.aliases()[CHAMPION] == "2"


def test_a_rejected_version_does_not_come_back_as_its_refit(road: Road) -> None:
    road.decide("2", BERT, decision=Decision.REJECT, reason="it snows in July")
    refitting = road.policy(refit="full", refit_score_shift=1.0)
    assert refitting.judge("2").record.promoted.version == "4"

    for act in (refitting.decide, refitting.promote):
        with pytest.raises(Refused, match=r"bert@example.org .*rejected it at .*: it snows in July"):
            act("2", ANNA)


def test_a_rejection_that_comes_while_a_promotion_waits_for_its_turn_is_heard(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    road.decide("2", ANNA)
    move = Gatekeeper.move

    def overtaken(*given: Any, **named: Any) -> Settled:
        road.decide("2", BERT, decision=Decision.REJECT, reason="it snows in July")
        return move(*given, **named)

    monkeypatch.setattr(Gatekeeper, "move", overtaken)

    with pytest.raises(Refused, match=r"bert@example.org .*rejected it at .*: it snows in July"):
        road.promote("2")
    assert road.aliases()[CHAMPION] == "1"
    assert road.said()[-1] == ("move_undone", "2")


# Another hand


def test_an_alias_that_was_moved_outside_is_found_and_does_not_count_as_promoted(road: Road) -> None:
    road.decide("2", ANNA)
    context = road.context()
    context.registry.set_alias(context.model, CHAMPION, "2")

    assert gatekeeper(context).moved_outside() == (
        "prod.temperature.temperature: the registry's champion is version 2, and by the audit log it is version 1: "
        "the alias was moved by another hand."
    )
    with pytest.raises(Refused, match="moved by another hand"):
        road.promote("2")
    assert road.rollback()[0] == "1"
    assert gatekeeper(context).moved_outside() is None


def test_a_comparison_with_whom_another_hand_made_champion_promotes_nothing(road: Road) -> None:
    """Version 3 is 3 degrees too warm, and easier to beat than version 1."""
    context = road.context()
    context.registry.set_alias(context.model, CHAMPION, "3")
    assert road.judge("2").record.verdict is Outcome.PROMOTE
    road.decide("2", ANNA)

    with pytest.raises(Refused, match="moved by another hand"):
        road.promote("2")
    assert road.rollback()[0] == "1"
    with pytest.raises(AliasMoved):
        road.promote("2")


def test_an_alias_that_another_hand_deleted_makes_no_first_release(road: Road) -> None:
    """The baseline is easier to beat than version 1, but this is another look at version 2, which spends less."""
    context = road.context()
    context.registry.delete_alias(context.model, CHAMPION)
    assert road.judge("2").record.verdict is Outcome.INSUFFICIENT_EVIDENCE

    with pytest.raises(Refused):
        road.promote("2")
    assert road.aliases()[CHAMPION] is None
    assert road.rollback()[0] == "1"


def test_another_hand_after_a_broken_glass_does_not_get_round_the_comparison(road: Road) -> None:
    road.judge("3")
    for who in (ANNA, BERT):
        road.decide("3", who, decision=Decision.BREAK_GLASS, reason="urgent")
    road.promote("3", break_glass=True, reason="urgent")
    road.decide("2", ANNA)
    with pytest.raises(AliasMoved):
        road.promote("2")
    context = road.context()
    context.registry.set_alias(context.model, CHAMPION, "2")

    with pytest.raises(Refused, match="moved by another hand"):
        road.promote("2")


# What is left of it


@pytest.mark.broken_gate(23)
def test_predictions_are_added_by_run_and_version_and_the_same_run_again_adds_none(road: Road) -> None:
    first = infer(road.context("2013-10-01"))
    kept = road.lakehouse.rows("predictions")
    promoted(road)

    second = infer(road.context())
    again = infer(road.context())

    rows = road.lakehouse.rows("predictions", "prod", "run_key", "model_version")
    assert Counter(rows) == {
        (first.run_key, "1"): first.rows,
        (second.run_key, "2"): second.rows,
    }
    assert (first.run_key, second.run_key) == ("20131001T000000-v1", "20131201T000000-v2")
    assert first.rows > 0
    assert second.rows > 0
    assert again.rows == second.rows
    assert set(kept) <= set(road.lakehouse.rows("predictions"))
