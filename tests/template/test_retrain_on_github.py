"""A retraining on GitHub, executed with real commands, and what a history that was rewritten does to a release."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.template.harness.github_hub import GitHub
from tests.template.harness.github_story import Chapter, GitHubStory
from tests.template.harness.use_case import write_use_case

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="jobs run in bash on this machine")]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, gatehouse: Path) -> Iterator[dict[str, Chapter]]:
    hub = GitHub(tmp_path_factory.mktemp("github"))
    write_use_case(hub.work, hub.programs, gatehouse)
    hub.protect("prod")
    hub.protect("prod-approval", "bert")
    with hub.open():
        story = GitHubStory(hub)
        story.reviewer("bert", "Looks right.")
        found = {"released": story.tag("v1.0.0", "Begin"), "retrained": story.dispatch("retrain")}
        hub.git("update-ref", "refs/heads/release/2026-11", found["released"].commit)
        (found["rewritten"],) = story.rewrite("release/2026-11", drop="v1.0.0")
        hub.git("update-ref", "refs/heads/main", found["rewritten"].commit)
        found["lost"] = story.dispatch("retrain")
        yield found


def test_a_retraining_asks_the_same_gates_by_the_live_code_and_deploys_none(told: dict[str, Chapter]) -> None:
    before, after = told["released"].after, told["retrained"]
    assert after.finished.conclusion == "success", after.finished.ran.log
    assert after.after.live == before.live == told["released"].commit
    assert set(after.after.versions) - set(before.versions) == {str(len(before.versions) + 1)}
    assert after.after.clock[:10] == "2013-08-01"
    verdict = after.finished.ran.outputs["gates/candidate"]["release"]["verdict"]
    promoted = after.after.champion != before.champion
    assert (verdict == "promote") is promoted
    assert after.jobs["gates/promote"] == ("success" if promoted else "skipped")


def test_a_release_branch_that_was_pushed_by_force_is_an_untested_commit(told: dict[str, Chapter]) -> None:
    rewritten = told["rewritten"]
    assert rewritten.finished.conclusion == "failure"
    assert rewritten.jobs["tested"] == "failure"
    assert "There is no green run of staging on commit" in rewritten.finished.ran.log
    assert rewritten.after == told["retrained"].after


def test_live_code_that_no_branch_has_any_more_stops_the_run_and_says_how_to_get_it(told: dict[str, Chapter]) -> None:
    lost, live = told["lost"], told["released"].commit
    assert lost.finished.conclusion == "failure"
    assert ("gates/candidate", "gatehouse live --env prod --checkout", "failure") in lost.finished.ran.steps
    assert f"git fetch origin {live}" in lost.finished.ran.log
    assert lost.after == told["retrained"].after
