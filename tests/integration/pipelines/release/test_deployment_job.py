"""The deployment job's steps: repeated, overtaken or half-approved, they promote only what a person let through."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gatehouse.errors import PlatformError, Refused
from gatehouse.gates.approval import Decision
from gatehouse.gates.promotion import CHALLENGER, CHAMPION, PREVIOUS
from gatehouse.gates.verdict import Outcome
from gatehouse.lakehouse.embedded import Embedded
from gatehouse.lakehouse.online import Asked, Wanted
from gatehouse.lakehouse.registry_rules import APPROVAL_RECORD_TAG, APPROVAL_TAG
from gatehouse.pipelines.judging import Passed, TagRights, as_trained, confirm_approval, evaluate, put_live, tags_of
from gatehouse.settings import Environment, Serving, load

if TYPE_CHECKING:
    from tests.integration.pipelines.conftest import Command
    from tests.integration.pipelines.release.conftest import Road

pytestmark = pytest.mark.slow

PROPOSER, ANNA, BERT, JOB = "ada@example.org", "anna@example.org", "bert@example.org", "flights-prod"


def rights() -> TagRights:
    return TagRights(protected=True, established_by="the governed tag `approval`", runs_as=(JOB,))


def tag(road: Road, number: str, said: str, name: str = ANNA, *, record: str | None = None) -> None:
    context = road.context()
    digits = road.record(number).digest()[:12] if record is None else record
    context.registry.set_tags(context.model, number, {APPROVAL_RECORD_TAG: f"{digits} {name}", APPROVAL_TAG: said})


def evaluation(road: Road, number: str, answered: Callable[[Any], Any]) -> Passed:
    return evaluate(road.context(), road.version(number), answered(road.record("1").compliance["probe"]))


def approval(road: Road, number: str, asked: Callable[[], TagRights] = rights) -> Passed:
    return confirm_approval(road.context(), road.version(number), asked)


def deployment(road: Road, number: str, asked: Callable[[], TagRights] = rights) -> Passed:
    return put_live(road.context(), road.version(number), asked)


def ungoverned() -> TagRights:
    raise Refused("The tag approval is not governed.")


def refusal(step: Callable[..., Passed], *arguments: Any) -> str:
    with pytest.raises(Refused) as raised:
        step(*arguments)
    return raised.value.what


def test_a_version_goes_through_the_three_steps_and_again_through_them_without_effect(
    road: Road, answered: Callable[[Any], Any]
) -> None:
    first = evaluation(road, "2", answered)
    assert first.judged is not None
    assert (first.judged.reused, first.judged.verdict.outcome) == (True, Outcome.PROMOTE)
    assert "waits for approval" in refusal(approval, road, "2")
    assert refusal(deployment, road, "2") == "Nobody has approved version 2."

    tag(road, "2", "approved")
    assert "approved by anna@example.org" in approval(road, "2").said
    assert deployment(road, "2").said == "Version 2 is the champion of prod.temperature.temperature."
    assert road.aliases() == {CHAMPION: "2", PREVIOUS: "1", CHALLENGER: None}

    said = road.said()
    again = evaluation(road, "2", answered)
    assert again.judged is not None
    assert again.judged.live
    assert approval(road, "2").said == "Version 2 is the champion already."
    deployment(road, "2")
    assert road.said() == said


def test_an_approval_that_was_entered_is_not_enough_where_anybody_may_set_the_tags(road: Road) -> None:
    road.decide("2", ANNA)
    tag(road, "2", "approved")

    assert refusal(approval, road, "2", ungoverned) == refusal(deployment, road, "2", ungoverned)
    assert road.aliases()[CHAMPION] == "1"


def test_what_the_gates_hold_says_that_there_is_nothing_to_approve(road: Road, answered: Callable[[Any], Any]) -> None:
    judged = evaluation(road, "3", answered).judged
    assert judged is not None
    assert judged.verdict.outcome is Outcome.HOLD
    tag(road, "3", "approved")
    assert "There is nothing to approve: the gates did not let version 3 through." in refusal(approval, road, "3")
    assert road.aliases()[CHAMPION] == "1"


def test_a_tag_that_says_less_than_who_and_what_approves_nothing(road: Road) -> None:
    said = road.said()
    for word, record, name, reason in (
        ("approved", "", "", "no tag says by whom"),
        ("Approved", "", ANNA, "no tag says by whom"),
        ("approved", "0" * 12, ANNA, "on decision record 000000000000, and this is"),
        ("yes", None, ANNA, "waits for approval"),
        ("rejected", None, ANNA, "was rejected"),
        ("approved", None, PROPOSER, "nobody approves what they proposed"),
        ("approved", None, PROPOSER.upper(), "nobody approves what they proposed"),
        ("approved", None, JOB, "as whom this job runs"),
        ("approved", None, "schedule", "cannot be the name of a person"),
    ):
        tag(road, "2", word, name, record=record)
        assert reason in refusal(approval, road, "2")
        assert refusal(deployment, road, "2") == "Nobody has approved version 2."
    assert road.said() == said


@pytest.mark.parametrize(
    ("said", "record", "reason"),
    [
        ("Rejected", None, "Version 2 was rejected"),
        ("", None, "waits for approval"),
        ("Approved", "0" * 12, "on decision record 000000000000"),
    ],
)
def test_an_approval_that_was_taken_back_before_the_deployment_promotes_nothing(
    road: Road, said: str, record: str | None, reason: str
) -> None:
    tag(road, "2", "approved")
    approval(road, "2")
    tag(road, "2", said, record=record)

    assert reason in refusal(deployment, road, "2")
    assert road.aliases()[CHAMPION] == "1"

    tag(road, "2", "approved")
    assert deployment(road, "2").settled is not None
    tag(road, "2", "Rejected")
    assert deployment(road, "2").said == "Version 2 is the champion of prod.temperature.temperature."


def test_a_promotion_by_hand_asks_the_tags_too_where_the_registry_judges(
    road: Road, command: Command, tmp_path: Path
) -> None:
    world = road.lakehouse.world
    root = shutil.copytree(world.place.settings.root, tmp_path / "there", ignore=shutil.ignore_patterns("__pycache__"))
    file = root / "conf" / "environments.yml"
    file.write_text(file.read_text(encoding="utf-8").rstrip() + "\n    driver: registry\n", encoding="utf-8")
    there = replace(road.lakehouse, world=replace(world, place=replace(world.place, settings=load(root / "conf"))))
    road.decide("2", ANNA)

    ended = command(there, "promote 2 --env prod --as anna@example.org")

    assert (ended.code, "Version 2 waits for approval: it has no tag `approval`" in ended.err) == (10, True), ended.err
    assert road.aliases()[CHAMPION] == "1"


def test_the_log_says_how_the_name_was_found_and_that_it_is_no_more_than_claimed(road: Road) -> None:
    tag(road, "2", "approved")
    approval(road, "2")
    approval(road, "2")
    entered = [e for e in road.context().audit.entries() if (e.action, e.version) == ("decision_approve", "2")]
    assert [(e.actor, e.actor_source) for e in entered] == [(ANNA, "the governed tag `approval` (claimed)")]
    assert entered[0].details["witness"]["protected"] is True


def test_who_has_approved_by_command_is_not_entered_twice(road: Road) -> None:
    context = road.context()
    road.decide("2", ANNA)
    tag(road, "2", "approved")
    approval(road, "2")
    assert road.said().count(("decision_approve", "2")) == 1
    assert context.registry.get(context.model, "2").tags[APPROVAL_TAG] == "approved"


def test_where_anybody_may_set_the_tag_nobody_is_taken_at_their_word(road: Road) -> None:
    def open_to_all() -> TagRights:
        raise Refused("The tag approval is not governed.")

    tag(road, "2", "approved")
    with pytest.raises(Refused, match="is not governed"):
        approval(road, "2", open_to_all)
    assert ("decision_approve", "2") not in road.said()


def test_an_approval_is_void_when_the_record_is_made_anew(road: Road) -> None:
    tag(road, "2", "approved")
    stricter = road.policy(primary={"margin": 0.4})
    before = road.record("2").digest()
    stricter.judge("2")
    assert road.record("2").digest() != before
    assert f"on decision record {before[:12]}, and this is" in refusal(approval, stricter, "2")


def test_a_refit_ends_at_once_and_the_version_it_was_made_of_decides(
    road: Road, answered: Callable[[Any], Any]
) -> None:
    refitting = road.policy(refit="full", refit_score_shift=1.0)
    refitting.judge("2")
    said = road.said()

    for passed in (evaluation(refitting, "4", answered), approval(refitting, "4"), deployment(refitting, "4")):
        assert passed.said == "Version 4 is the refit of version 2, whose record and approval stand for both."
    assert road.said() == said

    tag(refitting, "2", "approved")
    approval(refitting, "2")
    settled = deployment(refitting, "2").settled
    assert settled is not None
    assert settled.champion == "4"
    assert deployment(refitting, "4").settled is None


def test_a_run_for_a_version_that_was_champion_before_changes_nothing(
    road: Road, answered: Callable[[Any], Any]
) -> None:
    tag(road, "2", "approved")
    approval(road, "2")
    deployment(road, "2")
    said = road.said()

    over = "Version 1 was champion before version 2: what was decided then is over."
    assert evaluation(road, "1", answered).said == approval(road, "1").said == deployment(road, "1").said == over
    assert road.said() == said

    road.rollback()
    over = "Version 2 was champion before version 1: what was decided then is over."
    assert deployment(road, "2").said == approval(road, "2").said == over
    assert road.aliases()[CHAMPION] == "1"


class Answering:
    """An endpoint that notes whom it serves; it refuses the versions in `broken`."""

    def __init__(self, broken: set[str]) -> None:
        self.broken, self.served = broken, list[tuple[str, int]]()

    def serve(self, version: str, asked: Asked) -> str:
        if version in self.broken:
            raise PlatformError(f"Version {version} did not become ready.")
        self.served.append((version, len(asked.answers)))
        return "https://workspace/serving-endpoints/little/invocations"

    def split(self, champion: str, challenger: str, percent: int, asked: Asked) -> str:
        raise AssertionError("nobody asked for a split")


class WithEndpoint(Embedded):
    """The laptop's platform with an endpoint."""

    def __init__(self, root: Path, endpoint: Answering) -> None:
        super().__init__(root)
        self.endpoint = endpoint

    def online(self, model: str, place: Any, wanted: Wanted | None, progress: Any) -> Any:
        assert wanted == Wanted(
            name="little", project="temperature", env="prod", workload_size="Small", scale_to_zero=True
        )
        return self.endpoint


def test_a_version_that_its_endpoint_cannot_serve_does_not_become_champion(road: Road) -> None:
    endpoint, context = Answering({"2"}), road.context()
    served = road.under(
        platform=WithEndpoint(context.root, endpoint),
        environment=context.environment.model_copy(update={"serving": Serving(name="little")}),
    )
    tag(road, "2", "approved")
    approval(road, "2")
    with pytest.raises(Refused, match=r"Version 2 was put back.*Version 2 did not become ready"):
        deployment(served, "2")
    assert (road.aliases()[CHAMPION], endpoint.served) == ("1", [])

    endpoint.broken.clear()
    deployment(served, "2")
    assert (road.aliases()[CHAMPION], endpoint.served) == ("2", [("2", 20)])
    served.rollback()
    assert (road.aliases()[CHAMPION], endpoint.served[1:]) == ("1", [("1", 20)])


def test_a_version_is_judged_as_of_the_moment_it_was_trained_at(road: Road) -> None:
    assert as_trained(road.context("2014-01-01"), road.version("2")).as_of.isoformat() == "2013-12-01T00:00:00+00:00"

    now = road.under(environment=Environment(catalog="prod", clock="now"))
    assert as_trained(now.context("2013-11-01"), road.version("2")).as_of.isoformat() == "2013-11-01T00:00:00+00:00"

    context = road.context("2014-01-01")
    context.registry.set_tags(context.model, "2", {"gatehouse_as_of": "yesterday"})
    assert as_trained(context, road.version("2")) == context


def test_what_a_command_decides_is_what_the_tags_say(road: Road) -> None:
    from gatehouse.pipelines.approval import decisions

    digits = road.record("2").digest()[:12]
    road.decide("2", ANNA)
    road.decide("2", BERT, decision=Decision.REJECT)
    approved, rejected = [d for d in decisions(road.context()) if d.version == "2"]
    assert tags_of(approved) == {APPROVAL_RECORD_TAG: f"{digits} {ANNA}", APPROVAL_TAG: "Approved"}
    assert tags_of(rejected) == {APPROVAL_RECORD_TAG: f"{digits} {BERT}", APPROVAL_TAG: "Rejected"}
