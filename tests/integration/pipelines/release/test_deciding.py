"""People on real records: who may let a version through, for how long, and what they cannot do for each other."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from gatehouse.code_version import CodeVersion
from gatehouse.errors import Refused
from gatehouse.gates.approval import Decision
from gatehouse.gates.promotion import CHAMPION, Kind
from gatehouse.lakehouse.lineage import Lineage
from gatehouse.pipelines.approval import decisions
from gatehouse.pipelines.promotion import gatekeeper

if TYPE_CHECKING:
    from tests.integration.pipelines.release.conftest import Road

pytestmark = pytest.mark.slow

PROPOSER, ANNA, BERT, CARA = "ada@example.org", "anna@example.org", "bert@example.org", "cara@example.org"


def champion(road: Road) -> str | None:
    return road.aliases()[CHAMPION]


def kinds(road: Road) -> list[Kind]:
    return [x.kind for x in gatekeeper(road.context()).history()]


@pytest.mark.broken_gate(4)
def test_whoever_proposed_it_cannot_approve_it_and_it_is_not_promoted(road: Road) -> None:
    before = road.said()

    for name in (PROPOSER, "Ada <ADA@example.org>", "schedule"):
        with pytest.raises(Refused, match=r"The approval of version 2 by .* does not count"):
            road.decide("2", name)
    with pytest.raises(Refused, match="0 of 1 approvals needed"):
        road.promote("2", PROPOSER)

    assert road.said() == before
    assert champion(road) == "1"


@pytest.mark.broken_gate(4)
def test_whoever_wrote_the_commit_cannot_approve_what_a_schedule_proposed(road: Road) -> None:
    context = road.context()
    scheduled = {**road.version("2").tags, "gatehouse_proposer": "schedule"}
    context.registry.set_tags(context.model, "2", {"gatehouse_proposer": "schedule"})
    wrote = {f"gatehouse_{field.name}": scheduled[f"gatehouse_{field.name}"] for field in fields(Lineage)}
    context.tracking.write_text(str(road.version("2").run_id), "lineage.json", json.dumps(wrote))
    code = CodeVersion(commit="unknown to git", author=CARA, training_digest=context.code.training_digest)
    written = road.under(code=code).policy(primary={"margin": 0.6})
    assert written.judge("2").record.candidate.authors == (CARA,)

    with pytest.raises(Refused, match="nobody approves what they proposed"):
        written.decide("2", CARA)
    assert written.decide("2", ANNA).opens


def test_an_approval_lets_exactly_this_version_through(road: Road) -> None:
    assert road.decide("2", ANNA).opens
    assert road.promote("2").champion == "2"

    given = decisions(road.context())[-1]
    record = road.record("2")
    assert (given.version, given.record_digest, given.files_digest, given.decision) == (
        "2",
        record.digest(),
        record.candidate.files_digest,
        Decision.APPROVE,
    )


@pytest.mark.broken_gate(6)
def test_an_approval_of_another_version_that_was_copied_into_the_log_opens_nothing(road: Road) -> None:
    given = decisions(road.context())[0]
    assert given.version == "1"
    road.context().audit.append(
        action="decision_approve",
        actor=ANNA,
        actor_source="--as (claimed)",
        model=road.context().model,
        version="2",
        details=replace(given, version="2").to_record(),
    )

    with pytest.raises(Refused, match="is for decision record"):
        road.promote("2")


def test_an_approval_counts_within_its_time_and_the_machine_s_clock_has_to_agree(road: Road) -> None:
    record = road.record("2")
    road.decide("2", ANNA)

    with pytest.raises(Refused, match=r"does not count\. The decision expired"):
        road.later(record.expires_at).decide("2", BERT)
    with pytest.raises(Refused, match="The decision expired at"):
        road.later(record.expires_at).promote("2")
    with pytest.raises(Refused, match="The clock says"):
        road.later(record.created_at - timedelta(days=1)).promote("2")
    assert champion(road) == "1"


def test_a_rejection_outweighs_every_approval(road: Road) -> None:
    road.decide("2", ANNA)
    road.decide("2", BERT, decision=Decision.REJECT, reason="it is cold in December")

    with pytest.raises(Refused, match=r"bert@example\.org .* rejected it at .*: it is cold in December"):
        road.promote("2")
    assert champion(road) == "1"


def test_a_manual_check_that_nobody_answered_blocks_and_an_answer_opens(road: Road) -> None:
    question = {"id": "rollout", "question": "Who watches the first night?", "by": [BERT]}
    checked = road.policy(approval={"manual_checks": [question]})
    checked.judge("2")

    checked.decide("2", ANNA, rollout="I do")  # she may not answer it
    with pytest.raises(Refused, match=r"Nobody who may has answered: Who watches the first night\?"):
        checked.promote("2")
    with pytest.raises(Refused, match="There is no manual check weather"):
        checked.decide("2", ANNA, weather="fine")
    assert checked.decide("2", BERT, decision=Decision.ANSWER, rollout="Bert does").opens


def test_as_many_have_to_approve_as_the_policy_says(road: Road) -> None:
    two = road.policy(approval={"number": 2})
    two.judge("2")

    assert not two.decide("2", ANNA, reason="Anna's own words: it's better").opens
    assert not two.decide("2", "Anna <ANNA@example.org>").opens  # she is one person
    with pytest.raises(Refused, match="1 of 2 approvals needed"):
        two.promote("2")
    assert two.decide("2", BERT).opens


def test_a_reason_of_ten_thousand_characters_in_any_script_is_kept_whole(road: Road) -> None:
    reason = "Verspätungen ✈ 遅延 " * 600

    road.decide("2", ANNA, reason=reason)

    assert decisions(road.context())[-1].reason == reason
    assert road.context().audit.verify().ok


# Breaking the glass


def test_in_an_emergency_two_people_promote_past_the_gates_and_it_shows(road: Road) -> None:
    road.judge("3")
    road.decide("3", ANNA, decision=Decision.BREAK_GLASS, reason="the champion predicts snow in July")
    with pytest.raises(Refused, match="Breaking the glass takes two different people"):
        road.promote("3", break_glass=True, reason="the champion predicts snow in July")
    road.decide("3", BERT, decision=Decision.BREAK_GLASS, reason="I saw it too")

    assert road.promote("3", BERT, break_glass=True, reason="I saw it too").champion == "3"

    assert kinds(road) == [Kind.PROMOTION, Kind.BREAK_GLASS]
    begun = next(e for e in reversed(road.context().audit.entries()) if e.action == "move_begun")
    assert (begun.actor, begun.details["kind"], begun.details["reason"]) == (BERT, "break_glass", "I saw it too")


def test_who_proposed_it_does_not_break_the_glass_for_it(road: Road) -> None:
    for who in (ANNA, PROPOSER):
        road.decide("2", who, decision=Decision.BREAK_GLASS, reason="urgent")

    with pytest.raises(Refused, match="takes two different people who may approve, and 1 decided so"):
        road.promote("2", break_glass=True, reason="urgent")
    assert champion(road) == "1"


def test_what_broke_the_glass_shows_so_until_it_is_promoted_through_the_gates(road: Road) -> None:
    for who in (ANNA, BERT):
        road.decide("2", who, decision=Decision.BREAK_GLASS, reason="urgent")
    road.promote("2", break_glass=True, reason="urgent")
    with pytest.raises(Refused, match="0 of 1 approvals needed"):
        road.promote("2")

    road.decide("2", ANNA)

    assert road.promote("2").champion == "2"
    assert kinds(road) == [Kind.PROMOTION, Kind.BREAK_GLASS, Kind.PROMOTION]


def test_changed_files_are_not_promoted_in_an_emergency_either(road: Road) -> None:
    for who in (ANNA, BERT):
        road.decide("2", who, decision=Decision.BREAK_GLASS, reason="urgent")
    (road.files("2") / "note.txt").write_text("changed")

    with pytest.raises(Refused, match="they were changed since"):
        road.promote("2", break_glass=True, reason="urgent")
