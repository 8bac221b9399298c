"""Releases on Azure DevOps, executed: the same tags as on GitHub, and what they leave behind."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.template.harness.azure_hub import AzureDevOps, Waiting
from tests.template.harness.azure_state import Answer, Build, Person
from tests.template.harness.standing import NOTHING, Standing, standing
from tests.template.harness.use_case import make_forbidden, make_worse, undo, write_use_case
from tests.template.harness.zipped import names

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="jobs run in bash on this machine")]

POINTER = "refs/gatehouse/state-prod"


@dataclass(frozen=True, slots=True)
class Chapter:
    """One tag."""

    commit: str
    build: Build
    after: Standing
    waiting: Standing = NOTHING
    """While a person was asked."""


@dataclass
class Story:
    """Tells the chapters on one repository."""

    project: AzureDevOps
    asked: list[Standing] = field(default_factory=list)

    def standing(self) -> Standing:
        """What the pointer leads to now."""
        git = self.project.repository.git
        if not git("for-each-ref", POINTER):
            return NOTHING
        pointer = git("show", f"{POINTER}:state.json")
        place = self.project.folder / "seen" / json.loads(pointer)["artefact"].replace("/", "-")
        artefacts = {f"{found.build.id}/{found.name}": found.content for found in self.project.api.artifacts}
        return standing(pointer, artefacts.__getitem__, place, "prod.temperature")

    def approver(self, login: str, comment: str = "") -> None:
        """Who answers, from now on."""

        def answer(_: Waiting) -> Answer:
            self.asked.append(self.standing())
            return Answer(by=Person(login), comment=comment)

        self.project.approver = answer

    def tag(self, name: str, message: str, *, tested: bool = True) -> Chapter:
        """Anna commits what is in the working copy, and tags it."""
        commit = self.project.commit("anna", message)
        if tested:
            self.project.green("staging", commit, "anna")
        self.asked.clear()
        (build,) = self.project.tag("anna", name)
        return Chapter(commit, build, self.standing(), self.asked[0] if self.asked else NOTHING)


@pytest.fixture(scope="module")
def chapters(
    tmp_path_factory: pytest.TempPathFactory, gatehouse: Path
) -> Iterator[tuple[AzureDevOps, dict[str, Chapter]]]:
    project = AzureDevOps(tmp_path_factory.mktemp("azure"))
    write_use_case(project.work, project.programs, gatehouse)
    for name in ("prod", "staging"):
        project.protect(name)
    project.protect("prod-approval", "anna", "bert", requester_cannot_approve=False)
    told = {}
    with project.open():
        story = Story(project)
        told["untested"] = story.tag("v0.9.0", "Nobody tested it", tested=False)
        story.approver("anna")
        told["own"] = story.tag("v1.0.0", "Begin")
        story.approver("bert", "Looks right.")
        told["good"] = story.tag("v1.0.1", "Begin again")
        make_worse(project.work)
        told["worse"] = story.tag("v2.0.0", "Another idea")
        undo(project.work)
        make_forbidden(project.work)
        told["forbidden"] = story.tag("v3.0.0", "A stricter policy")
        yield project, told


@pytest.fixture(scope="module")
def told(chapters: tuple[AzureDevOps, dict[str, Chapter]]) -> dict[str, Chapter]:
    return chapters[1]


def test_a_tag_on_an_untested_commit_changes_nothing(told: dict[str, Chapter]) -> None:
    untested = told["untested"]
    assert untested.build.result == "failed"
    assert untested.build.stages == {"tested": "Failed", "candidate": "Skipped", "promote": "Skipped"}
    assert untested.after == NOTHING


def test_who_proposed_a_release_does_not_approve_it_even_where_azure_lets_them(told: dict[str, Chapter]) -> None:
    own = told["own"]
    assert own.build.stages == {"tested": "Succeeded", "candidate": "Succeeded", "promote": "Failed"}, own.build.log
    assert own.after.champion is None
    assert set(own.after.versions) == {"1"}


@pytest.mark.broken_gate(4)
def test_a_tag_promotes_a_good_candidate_once_somebody_else_approved(told: dict[str, Chapter]) -> None:
    good = told["good"]
    assert good.build.result == "succeeded", good.build.log
    assert good.waiting.champion is None
    assert good.after.champion in good.waiting.versions
    assert good.after.live == good.commit
    assert any("bert@example.org" in actor for actor in good.after.actors)


def test_the_decision_record_and_the_model_card_stay_with_the_run(
    chapters: tuple[AzureDevOps, dict[str, Chapter]],
) -> None:
    project, told = chapters
    (decision,) = [found for found in project.api.artifacts if found.name == "decision-1"]
    assert decision.build is told["good"].build
    assert "SHA256SUMS" in names(decision.content)


@pytest.mark.broken_gate(2)
def test_a_tag_holds_a_worse_candidate_and_says_why_in_green(told: dict[str, Chapter]) -> None:
    worse, good = told["worse"], told["good"]
    assert worse.build.result == "succeeded", worse.build.log
    assert worse.build.stages == {"tested": "Succeeded", "candidate": "Succeeded", "promote": "Skipped"}
    assert worse.after.champion == good.after.champion
    assert len(worse.after.versions) == len(good.after.versions) + 1
    assert worse.waiting == NOTHING  # nobody was asked
    assert "HOLD" in worse.build.summary


def test_a_tag_rejects_a_candidate_that_does_not_comply(told: dict[str, Chapter]) -> None:
    forbidden, good = told["forbidden"], told["good"]
    assert forbidden.build.result == "succeeded", forbidden.build.log
    assert forbidden.build.stages["promote"] == "Skipped"
    assert forbidden.after.champion == good.after.champion
    assert "lightgbm" in forbidden.build.summary


def test_code_of_a_held_release_is_live_with_the_old_champion(told: dict[str, Chapter]) -> None:
    assert told["worse"].after.live == told["worse"].commit


def test_each_run_moved_the_clock_by_a_step(told: dict[str, Chapter]) -> None:
    clocks = [told[name].after.clock[:10] for name in ("own", "good", "worse", "forbidden")]
    assert clocks == ["2013-07-01", "2013-08-01", "2013-09-01", "2013-10-02"]
