"""Releases on GitHub, executed: what tags leave in the lakehouse and the registry, whatever their logs say.

One repository lives through all chapters, as in life: each begins with what the one before left behind.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.template.harness.github_hub import GitHub
from tests.template.harness.github_story import Chapter, GitHubStory
from tests.template.harness.github_stubs import write_recorder
from tests.template.harness.standing import NOTHING
from tests.template.harness.use_case import make_forbidden, make_worse, undo, write_use_case

pytestmark = pytest.mark.skipif(os.name == "nt", reason="jobs run in bash on this machine")


@pytest.fixture(scope="module")
def chapters(tmp_path_factory: pytest.TempPathFactory, gatehouse: Path) -> Iterator[tuple[GitHub, dict[str, Chapter]]]:
    hub = GitHub(tmp_path_factory.mktemp("github"))
    tests = write_recorder(hub.folder / "recorders", "make", hub.folder / "called")  # they are not what is run here
    write_use_case(hub.work, hub.programs, gatehouse, make=tests)
    hub.protect("prod")
    hub.protect("prod-approval", "anna", "bert", prevent_self_review=False)
    told = {}
    with hub.open():
        story = GitHubStory(hub)
        hub.commit("carla", "Everything")
        told["proposed"] = story.propose()
        told["merged"] = story.merge("The idea")
        told["untested"] = story.tag("v0.9.0", "Nobody tested it", tested=False)
        story.reviewer("anna")
        told["own"] = story.cut("2026-11", told["merged"].commit)
        story.reviewer("bert", "Looks right.")
        told["good"] = story.tag("v1.0.1", "Begin again")
        make_worse(hub.work)
        told["worse"] = story.tag("v2.0.0", "Another idea")
        undo(hub.work)
        make_forbidden(hub.work)
        told["forbidden"] = story.tag("v3.0.0", "A stricter policy")
        told["monitored"] = story.dispatch("monitor")
        told["rolled back"] = story.dispatch("rollback", what="code", reason="It is too strict.")
        told["raced"] = story.raced("monitor")
        told |= {f"state {how}": story.with_state(how) for how in ("expired", "foreign", "tampered", "deleted")}
        yield hub, told


@pytest.fixture(scope="module")
def told(chapters: tuple[GitHub, dict[str, Chapter]]) -> dict[str, Chapter]:
    return chapters[1]


def test_a_pull_request_is_rehearsed_and_changes_nothing(chapters: tuple[GitHub, dict[str, Chapter]]) -> None:
    hub, told = chapters
    proposed = told["proposed"]
    assert proposed.finished.conclusion == "success", proposed.finished.ran.log
    assert proposed.after == NOTHING
    assert [artefact for artefact in hub.api.artifacts if artefact.run is proposed.finished.run] == []
    (comment,) = hub.api.issues[12].comments.values()
    assert "Rehearsal in staging passed" in comment


def test_a_push_to_main_is_rehearsed_and_its_code_becomes_live_in_staging(
    chapters: tuple[GitHub, dict[str, Chapter]],
) -> None:
    hub, told = chapters
    merged = told["merged"]
    assert merged.finished.conclusion == "success", merged.finished.ran.log
    assert merged.jobs == {"test-slow": "success", "rehearsal": "success", "deploy": "success"}
    assert merged.after == NOTHING  # of production
    assert hub.git("for-each-ref", "refs/gatehouse/state-staging") != ""


def test_a_tag_on_an_untested_commit_changes_nothing(told: dict[str, Chapter]) -> None:
    untested = told["untested"]
    assert untested.finished.conclusion == "failure"
    assert untested.after == NOTHING
    results = {"tested": "failure", "gates/candidate": "skipped", "gates/promote": "skipped", "release-pass": "failure"}
    assert results.items() <= untested.jobs.items()


def test_who_cut_a_release_does_not_approve_it_even_where_github_lets_them(told: dict[str, Chapter]) -> None:
    """Carla wrote it and a workflow started it: that Anna cut it is known from what the one run told the other."""
    own = told["own"]
    assert own.finished.run.ref == "refs/heads/release/2026-11"
    assert own.finished.conclusion == "failure"
    assert own.jobs["gates/promote"] == "failure"
    assert own.after.champion is None
    assert set(own.after.versions) == {"1"}
    assert "decision_approve" not in own.after.acts


@pytest.mark.broken_gate(4)
def test_a_tag_promotes_a_good_candidate_once_somebody_else_approved(told: dict[str, Chapter]) -> None:
    good = told["good"]
    assert good.finished.conclusion == "success", good.finished.ran.log
    assert good.waiting.champion is None
    assert good.after.champion in good.waiting.versions
    assert good.after.live == good.commit
    assert "bert" in good.after.actors


def test_with_the_tag_go_its_decision_record_and_its_model_card(chapters: tuple[GitHub, dict[str, Chapter]]) -> None:
    hub, told = chapters
    assert told["good"].jobs["publish"] == "success"
    (release,) = hub.api.releases
    assert release.tag == "v1.0.1"
    assert "SHA256SUMS" in release.files
    records = [json.loads(content) for name, content in release.files.items() if name.endswith(".json")]
    assert records
    assert {name.rsplit("/", 1)[-1] for name in hub.api.attested} == set(release.files)


@pytest.mark.broken_gate(2)
def test_a_tag_holds_a_worse_candidate_and_says_why_in_green(told: dict[str, Chapter]) -> None:
    worse, good = told["worse"], told["good"]
    assert worse.finished.conclusion == "success", worse.finished.ran.log
    assert worse.jobs["gates/promote"] == "skipped"
    assert worse.after.champion == good.after.champion
    assert len(worse.after.versions) == len(good.after.versions) + 1
    assert worse.waiting == NOTHING  # nobody was asked
    assert "HOLD" in worse.finished.ran.summary


def test_a_tag_rejects_a_candidate_that_does_not_comply(told: dict[str, Chapter]) -> None:
    forbidden, good = told["forbidden"], told["good"]
    assert forbidden.finished.conclusion == "success", forbidden.finished.ran.log
    assert forbidden.jobs["gates/promote"] == "skipped"
    assert forbidden.after.champion == good.after.champion
    assert forbidden.waiting == NOTHING
    assert "lightgbm" in forbidden.finished.ran.summary


@pytest.mark.broken_gate(10)
def test_code_of_a_held_release_is_live_with_the_old_champion(told: dict[str, Chapter]) -> None:
    assert told["worse"].after.live == told["worse"].commit


def test_each_run_moved_the_clock_by_a_step(told: dict[str, Chapter]) -> None:
    clocks = [told[name].after.clock[:10] for name in ("own", "good", "worse", "forbidden")]
    assert clocks == ["2013-07-01", "2013-08-01", "2013-09-01", "2013-10-02"]


def test_a_day_in_production_scores_and_moves_the_clock_but_no_alias(told: dict[str, Chapter]) -> None:
    monitored, before = told["monitored"], told["forbidden"]
    assert monitored.finished.conclusion == "success", monitored.finished.ran.log
    assert monitored.after.aliases == before.after.aliases
    assert monitored.after.clock[:10] == "2013-11-02"
    assert monitored.after.predictions > before.after.predictions


def test_a_rollback_of_code_makes_the_code_before_live_and_leaves_the_champion(told: dict[str, Chapter]) -> None:
    back = told["rolled back"]
    assert back.finished.conclusion == "success", back.finished.ran.log
    assert back.after.live == told["worse"].commit
    assert back.after.aliases == told["forbidden"].after.aliases
    assert back.after.acts[-1] == "code_rolled_back"


@pytest.mark.broken_gate(24)
def test_of_two_runs_at_once_the_one_that_was_overtaken_changes_nothing_and_says_so(told: dict[str, Chapter]) -> None:
    raced, before = told["raced"], told["rolled back"]
    assert raced.finished.conclusion == "failure"
    assert raced.after == before.after


def test_no_job_asked_for_more_than_its_token_may(chapters: tuple[GitHub, dict[str, Chapter]]) -> None:
    hub, _ = chapters
    assert hub.api.denied == []


@pytest.mark.parametrize("how", ["expired", "foreign", "tampered", "deleted"])
def test_a_state_that_is_lost_or_not_ours_stops_the_run_and_changes_nothing(told: dict[str, Chapter], how: str) -> None:
    lost, before = told[f"state {how}"], told["raced"]
    assert lost.finished.conclusion == "failure"
    assert lost.jobs["gates/candidate"] == "failure"
    assert ("gates/candidate", "gatehouse state restore --env prod", "failure") in lost.finished.ran.steps
    assert lost.after == before.after
