"""The gate of a CI as an approval: the person it asked, or a refusal; and never somebody who proposed the version."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.pipelines.release.conftest import BERT, PROPOSER

from gatehouse.ci.provider import Approved, CiRun, Subject
from gatehouse.ci.unable import Unable
from gatehouse.cli.from_ci import approve_from_ci
from gatehouse.errors import Refused, Unanswered
from gatehouse.gates.approval import Approval, Decision
from gatehouse.gates.identity import Strength
from gatehouse.gates.promotion import CHAMPION
from gatehouse.gates.verdict import Verdict
from gatehouse.pipelines.approval import decisions

if TYPE_CHECKING:
    from tests.integration.pipelines.release.conftest import Road

pytestmark = pytest.mark.slow

RUN = CiRun(
    id="77",
    attempt=1,
    url="https://ci/77",
    event="push",
    ref="refs/tags/v2",
    commit="c" * 40,
    repository="octo/flights",
    people=("dora",),
    visibility="public",
)


def approved(who: str = "anna", **changed: Any) -> Approved:
    given = Approved(
        who=who,
        also=(),
        established_by=f"the review of {who}",
        protected=True,
        at=datetime(2026, 11, 20, 12, tzinfo=UTC),
        comment="Looks right.",
        environment_id="1",
    )
    return replace(given, **changed)


@dataclass
class Ci(Unable):
    """A CI that answers what a test says."""

    answers: tuple[Approved, ...] = (approved(),)
    also_known: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, Subject]] = field(default_factory=list)
    name = "github"

    def run(self) -> CiRun:
        return RUN

    def proposers(self) -> tuple[str, ...]:
        return (*RUN.people, "will@example.org")

    def approvals(self, environment: str, subject: Subject) -> tuple[Approved, ...]:
        self.asked.append((environment, subject))
        return self.answers

    def accounts(self, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(self.also_known[name] for name in names if name in self.also_known)


class Speechless(Ci):
    def proposers(self) -> tuple[str, ...]:
        raise Unanswered("GitHub answered 403", status=403, remedy="Give it the right.")


def approve(road: Road, ci: Ci, environment: str = "prod-approval") -> tuple[list[Approval], Verdict]:
    return approve_from_ci(road.context(), road.version("2"), ci, environment)


def test_the_person_whom_the_ci_asked_is_entered_with_what_it_said(road: Road) -> None:
    ci = Ci()

    (approval,), standing = approve(road, ci)

    ((environment, subject),) = ci.asked
    record = road.record("2")
    assert (environment, subject.version, subject.digest, subject.model) == (
        "prod-approval",
        "2",
        record.digest(),
        "prod.temperature.temperature",
    )
    assert subject.record == record.to_json()
    assert "PROMOTE" in subject.about
    assert str(approval.approver) == "anna (proven, by the review of anna at 2026-11-20 12:00 UTC)"
    assert approval.reason == "Looks right."
    assert approval.witness is not None
    assert approval.witness.proposers == ("dora", "will@example.org")
    assert standing.opens
    assert decisions(road.context())[-1] == approval
    assert road.promote("2").moved


def test_what_the_ci_does_not_say_any_more_still_stands_until_it_is_rejected(road: Road) -> None:
    class Closed(Ci):
        def approvals(self, environment: str, subject: Subject) -> tuple[Approved, ...]:
            raise Refused(f"{environment} was closed for {subject.version}.", remedy="Ask again.")

    with pytest.raises(Refused) as nobody:
        approve(road, Closed())
    assert (nobody.value.what, nobody.value.remedy) == ("prod-approval was closed for 2.", "Ask again.")
    approve(road, Ci())

    with pytest.raises(Refused, match="Before that, anna approved it, which still stands") as refused:
        approve(road, Closed())

    assert "gatehouse reject 2 --env prod" in refused.value.remedy
    road.decide("2", BERT, decision=Decision.REJECT, reason="It was taken back.")
    with pytest.raises(Refused, match="It was taken back"):
        road.promote("2")
    with pytest.raises(Refused, match="It was taken back"):
        approve(road, Ci())
    assert road.aliases()[CHAMPION] == "1"


@pytest.mark.parametrize(
    "given",
    [
        {"who": "dora"},
        {"who": "Will@example.org"},
        {"who": "will", "also": ("will@example.org",)},
        {"who": "ada-on-github"},
        {"who": PROPOSER},
    ],
    ids=["who started the run", "who wrote the commit", "by another name", "by their account", "whom the record names"],
)
def test_nobody_approves_in_a_ci_what_they_proposed(road: Road, given: dict[str, Any]) -> None:
    before = road.said()

    with pytest.raises(Refused, match="nobody approves what they proposed"):
        approve(road, Ci(answers=(approved(**given),), also_known={PROPOSER: "ada-on-github"}))
    assert road.said() == before


def test_of_two_who_approved_the_one_who_may_counts(road: Road) -> None:
    entered, standing = approve(road, Ci(answers=(approved("dora"), approved("anna"))))

    assert ([a.approver.name for a in entered], standing.opens) == (["anna"], True)


def test_a_team_of_one_is_let_through_by_the_policy_and_the_verdict_says_so(road: Road) -> None:
    alone = road.policy(approval={"allow_own": True})
    alone.judge("2")

    _, standing = approve(alone, Ci(answers=(approved("dora"),)))

    assert standing.opens
    assert "dora decided on what they proposed themselves" in next(
        f.reason for f in standing.findings if f.rule == "own"
    )


NOBODY = approved("unprotected", protected=False, at=None, comment="")


def test_on_the_local_platform_an_unprotected_environment_is_entered_as_what_it_is(road: Road) -> None:
    (approval,), standing = approve(road, Ci(answers=(NOBODY,)))

    assert approval.approver.strength is Strength.CLAIMED
    assert approval.reason.startswith("Nobody vouches for it")
    assert "prod-approval is unprotected" in next(f.reason for f in standing.findings if f.rule == "unprotected")
    assert standing.opens


def test_on_another_platform_an_unprotected_environment_is_refused(road: Road) -> None:
    environment = road.context().environment.model_copy(update={"platform": "databricks"})

    with pytest.raises(Refused, match="is unprotected, and prod lives on databricks") as caught:
        approve(road.under(environment=environment), Ci(answers=(NOBODY,)))
    assert "gatehouse preflight" in caught.value.remedy


def test_an_environment_that_lost_its_protection_is_refused(road: Road) -> None:
    approve(road, Ci())

    with pytest.raises(Refused, match="asked people when version 2 was approved, and asks nobody now"):
        approve(road, Ci(answers=(replace(NOBODY, environment_id="2"),)))
    assert approve(road, Ci(answers=(NOBODY,)), "another")[1].opens


def test_an_environment_that_was_made_anew_is_told(road: Road) -> None:
    approve(road, Ci())

    (approval,), _ = approve(road, Ci(answers=(approved("bert", environment_id="2"),)))

    assert "not the one of version 2 (id 1): it was made anew since" in approval.approver.established_by


def test_answers_to_manual_checks_stand_in_the_comment(road: Road) -> None:
    check = {"id": "fair", "question": "Is it fair to all airports?"}
    asking = road.policy(approval={"manual_checks": [check]})
    asking.judge("2")
    said = approved(comment="Fine.\nfair: yes, to all\nother: ignored")

    (approval,), standing = approve(asking, Ci(answers=(said,)))

    assert {name: answer.text for name, answer in approval.answers.items()} == {"fair": "yes, to all"}
    assert standing.opens


def test_proposers_who_cannot_be_told_could_be_the_approver(road: Road) -> None:
    with pytest.raises(Refused, match=r"Who proposed it cannot be told\. GitHub answered 403") as caught:
        approve(road, Speechless())
    assert caught.value.remedy == "Give it the right."
