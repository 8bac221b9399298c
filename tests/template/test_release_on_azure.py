"""What happens on Azure DevOps, executed: the same events as on GitHub, and what they leave in lakehouse and registry.

One repository lives through all chapters, as in life: each begins with what the one before left behind.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.template.harness.azure_hub import AzureDevOps
from tests.template.harness.azure_story import AzureStory, Chapter
from tests.template.harness.github_stubs import write_recorder
from tests.template.harness.standing import NOTHING
from tests.template.harness.use_case import make_forbidden, make_worse, undo, write_use_case
from tests.template.harness.zipped import names

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="jobs run in bash on this machine")]


@pytest.fixture(scope="module")
def chapters(
    tmp_path_factory: pytest.TempPathFactory, gatehouse: Path
) -> Iterator[tuple[AzureDevOps, dict[str, Chapter]]]:
    project = AzureDevOps(tmp_path_factory.mktemp("azure"))
    tests = write_recorder(project.folder / "recorders", "make", project.folder / "called")  # they are not run here
    write_use_case(project.work, project.programs, gatehouse, make=tests)
    for name in ("prod", "staging"):
        project.protect(name)
    project.protect("prod-approval", "anna", "bert", requester_cannot_approve=False)
    told = {}
    with project.open():
        story = AzureStory(project)
        told["merged"] = story.merge("The idea")
        story.approver("anna")
        told["cut"], told["own"] = story.cut("2026-11")
        told["untested"] = story.tag("v0.9.0", "Nobody tested it", tested=False)
        told["cut untested"] = story.queue("cut-release", name="2026-12")
        story.approver("bert", "Looks right.")
        told["good"] = story.tag("v1.0.1", "Begin again")
        told["retrained"] = story.queue("retrain")
        make_worse(project.work)
        told["worse"] = story.tag("v2.0.0", "Another idea")
        undo(project.work)
        make_forbidden(project.work)
        told["forbidden"] = story.tag("v3.0.0", "A stricter policy")
        told["monitored"] = story.queue("monitor")
        told["rolled back"] = story.queue("rollback", what="code", reason="It is too strict.")
        told["model back"] = story.queue("rollback", what="model", reason="The one before was better.")
        yield project, told


@pytest.fixture(scope="module")
def told(chapters: tuple[AzureDevOps, dict[str, Chapter]]) -> dict[str, Chapter]:
    return chapters[1]


def test_a_push_to_main_is_rehearsed_and_its_code_becomes_live_in_staging(
    chapters: tuple[AzureDevOps, dict[str, Chapter]],
) -> None:
    project, told = chapters
    merged = told["merged"]
    assert merged.build.pipeline == "staging"
    assert merged.build.stages == {"test_slow": "Succeeded", "rehearsal": "Succeeded", "deploy": "Succeeded"}, (
        merged.build.log
    )
    assert merged.after == NOTHING  # of production
    assert project.repository.git("for-each-ref", "refs/gatehouse/state-staging") != ""
    assert "make test-slow" in (project.folder / "called").read_text("utf-8")


def test_a_release_is_cut_from_the_commit_that_staging_saw_green_and_started_by_the_push(
    chapters: tuple[AzureDevOps, dict[str, Chapter]],
) -> None:
    project, told = chapters
    assert told["cut"].build.result == "succeeded", told["cut"].build.log
    release = told["own"].build
    assert (release.pipeline, release.ref, release.sha) == (
        "release",
        "refs/heads/release/2026-11",
        told["merged"].commit,
    )
    assert release.requested_for.login == "build service"
    assert project.repository.head("refs/heads/release/2026-11") == told["merged"].commit


def test_no_release_is_cut_from_a_commit_that_nobody_tested(chapters: tuple[AzureDevOps, dict[str, Chapter]]) -> None:
    project, told = chapters
    refused, before = told["cut untested"], told["untested"]
    assert refused.build.result == "failed"
    assert "There is no green run of staging on commit" in refused.build.log
    assert project.repository.git("for-each-ref", "refs/heads/release/2026-12") == ""
    assert refused.after == before.after


def test_a_tag_on_an_untested_commit_changes_nothing(told: dict[str, Chapter]) -> None:
    untested = told["untested"]
    assert untested.build.result == "failed"
    assert untested.build.stages == {"tested": "Failed", "candidate": "Skipped", "promote": "Skipped"}
    assert untested.after == told["own"].after


def test_who_cut_a_release_does_not_approve_it_even_where_azure_lets_them(told: dict[str, Chapter]) -> None:
    """Carla wrote it and the build service started it: that Anna cut it is known from the build that pushed it."""
    own = told["own"]
    assert own.build.stages == {"tested": "Succeeded", "candidate": "Succeeded", "promote": "Failed"}, own.build.log
    assert own.after.champion is None
    assert set(own.after.versions) == {"1"}
    assert "decision_approve" not in own.after.acts


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


def test_a_retraining_asks_the_same_gates_by_the_live_code_and_deploys_none(told: dict[str, Chapter]) -> None:
    before, retrained = told["good"].after, told["retrained"]
    assert retrained.build.result == "succeeded", retrained.build.log
    assert retrained.after.live == before.live == told["good"].commit
    assert set(retrained.after.versions) - set(before.versions) == {str(len(before.versions) + 1)}
    promoted = retrained.after.champion != before.champion
    assert retrained.build.stages == {"candidate": "Succeeded", "promote": "Succeeded" if promoted else "Skipped"}
    assert (retrained.waiting.champion == before.champion) is promoted


@pytest.mark.broken_gate(2)
def test_a_tag_holds_a_worse_candidate_and_says_why_in_green(told: dict[str, Chapter]) -> None:
    worse, good = told["worse"], told["retrained"]
    assert worse.build.result == "succeeded", worse.build.log
    assert worse.build.stages == {"tested": "Succeeded", "candidate": "Succeeded", "promote": "Skipped"}
    assert worse.after.champion == good.after.champion
    assert len(worse.after.versions) == len(good.after.versions) + 1
    assert worse.waiting == NOTHING  # nobody was asked
    assert "HOLD" in worse.build.summary


def test_a_tag_rejects_a_candidate_that_does_not_comply(told: dict[str, Chapter]) -> None:
    forbidden, good = told["forbidden"], told["retrained"]
    assert forbidden.build.result == "succeeded", forbidden.build.log
    assert forbidden.build.stages["promote"] == "Skipped"
    assert forbidden.after.champion == good.after.champion
    assert "lightgbm" in forbidden.build.summary


def test_code_of_a_held_release_is_live_with_the_old_champion(told: dict[str, Chapter]) -> None:
    assert told["worse"].after.live == told["worse"].commit


def test_each_run_moved_the_clock_by_a_step(told: dict[str, Chapter]) -> None:
    clocks = [told[name].after.clock[:10] for name in ("own", "good", "retrained", "worse", "forbidden")]
    assert clocks == ["2013-07-01", "2013-08-01", "2013-09-01", "2013-10-02", "2013-11-02"]


def test_a_day_in_production_scores_and_moves_the_clock_but_no_alias(told: dict[str, Chapter]) -> None:
    monitored, before = told["monitored"], told["forbidden"]
    assert monitored.build.result == "succeeded", monitored.build.log
    assert monitored.after.aliases == before.after.aliases
    assert monitored.after.versions.keys() == before.after.versions.keys()
    assert monitored.after.clock[:10] == "2013-12-03"
    assert monitored.after.predictions > before.after.predictions


def test_a_rollback_of_code_makes_the_code_before_live_and_leaves_the_champion(told: dict[str, Chapter]) -> None:
    back = told["rolled back"]
    assert back.build.result == "succeeded", back.build.log
    assert back.waiting.live == told["forbidden"].commit
    assert back.after.live == told["worse"].commit
    assert back.after.aliases == told["forbidden"].after.aliases
    assert back.after.acts[-1] == "code_rolled_back"


def test_a_rollback_of_the_first_champion_says_that_there_is_none_before_and_changes_nothing(
    told: dict[str, Chapter],
) -> None:
    back, before = told["model back"], told["rolled back"]
    assert back.build.result == "failed"
    assert "There is no earlier champion of prod.temperature.temperature to go back to." in back.build.log
    assert back.after == before.after
