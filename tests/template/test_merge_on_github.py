"""An approval by merge on GitHub, executed: a private repository whose plan has no required reviewers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.template.harness.github_hub import GitHub
from tests.template.harness.github_pulls import Pull
from tests.template.harness.github_story import Chapter, GitHubStory
from tests.template.harness.use_case import write_use_case

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="jobs run in bash on this machine")]


@pytest.fixture(scope="module")
def chapters(tmp_path_factory: pytest.TempPathFactory, gatehouse: Path) -> Iterator[tuple[GitHub, dict[str, Chapter]]]:
    hub = GitHub(tmp_path_factory.mktemp("github"))
    write_use_case(hub.work, hub.programs, gatehouse)
    (hub.work / "CODEOWNERS").write_text("/decisions/ @bert @carla\n", encoding="utf-8")
    hub.protect("prod")
    hub.protect("prod-approval")
    hub.api.private = True
    with hub.open():
        story = GitHubStory(hub)
        told = {"asked": story.tag("v1.0.0", "Begin")}
        told["asked again"] = story.again(told["asked"], by="carla", failed_only=True)
        hub.api.pulls.merge(next(iter(hub.api.pulls.all)), hub.people["bert"])
        told["merged"] = story.again(told["asked again"], by="anna", failed_only=True)
        yield hub, told


@pytest.fixture(scope="module")
def told(chapters: tuple[GitHub, dict[str, Chapter]]) -> dict[str, Chapter]:
    return chapters[1]


def test_a_release_that_would_promote_asks_by_one_pull_request_and_promotes_nothing(
    chapters: tuple[GitHub, dict[str, Chapter]],
) -> None:
    hub, told = chapters
    for name in ("asked", "asked again"):
        assert {"gates/promote": "failure", "release-pass": "failure"}.items() <= told[name].jobs.items()
        assert (told[name].after.champion, set(told[name].after.versions)) == (None, {"1"})
        assert "It waits for pull request" in told[name].finished.ran.log
    (pull,) = hub.api.pulls.all.values()
    assert (pull.title, pull.author.login) == (
        "Approve version 1 of prod.temperature.temperature",
        "github-actions[bot]",
    )
    changed = hub.git("diff", "--name-status", pull.base_sha, pull.head_sha)
    assert changed == f"A\tdecisions/1-{_digest(told)}.json"
    assert hub.git("rev-parse", f"{pull.head_sha}^") == pull.base_sha


def test_the_pull_request_says_what_it_approves_and_why(chapters: tuple[GitHub, dict[str, Chapter]]) -> None:
    hub, told = chapters
    pull: Pull
    (pull,) = hub.api.pulls.all.values()
    assert _digest(told) in pull.body
    assert "PROMOTE" in pull.body
    assert "`bert`, `carla`" in pull.body


def test_who_merged_it_has_approved_it(told: dict[str, Chapter]) -> None:
    merged = told["merged"]
    assert merged.finished.conclusion == "success", merged.finished.ran.log
    assert merged.after.champion == "1"
    assert merged.after.acts.count("decision_approve") == 1
    assert "bert" in merged.after.actors


def test_no_job_asked_for_more_than_its_token_may(chapters: tuple[GitHub, dict[str, Chapter]]) -> None:
    hub, _ = chapters
    assert hub.api.denied == []


def _digest(told: dict[str, Chapter]) -> str:
    return told["asked"].after.versions["1"]["gatehouse_record"][:12]
