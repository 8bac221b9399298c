"""What a repository on GitHub lives through, told in chapters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.template.harness.github_hub import Finished, GitHub
from tests.template.harness.github_runner import Waiting
from tests.template.harness.github_state import ROBOT, Artifact, Review, Run
from tests.template.harness.standing import NOTHING, Standing
from tests.template.harness.story import POINTER, Story


@dataclass(frozen=True, slots=True)
class Chapter:
    """One tag."""

    commit: str
    finished: Finished
    after: Standing
    waiting: Standing = NOTHING
    """While a person was asked."""

    @property
    def jobs(self) -> dict[str, str]:
        return self.finished.ran.jobs


@dataclass
class GitHubStory(Story):
    """Tells the chapters on one repository."""

    hub: GitHub

    def git(self, *arguments: str) -> str:
        return self.hub.git(*arguments)

    @property
    def seen(self) -> Path:
        return self.hub.folder / "seen"

    def artefacts(self) -> Mapping[str, bytes]:
        return {str(artifact.id): artifact.content for artifact in self.hub.api.artifacts}

    def reviewer(self, login: str, comment: str = "") -> None:
        """Who answers, from now on."""

        def answer(waiting: Waiting) -> Review:
            self.asked.append(self.standing())
            return Review(environment=waiting.environment, by=self.hub.people[login], comment=comment)

        self.hub.reviewer = answer

    def tag(self, name: str, message: str, *, tested: bool = True) -> Chapter:
        """Anna commits what is in the working copy, and tags it."""
        commit = self.hub.commit("anna", message)
        if tested:
            self.hub.green("staging.yml", commit, "anna")
        self.asked.clear()
        (finished,) = self.hub.tag("anna", name)
        return Chapter(commit, finished, self.standing(), self.waiting())

    def again(self, chapter: Chapter, by: str, *, failed_only: bool = False) -> Chapter:
        """Somebody runs it, or its failed jobs, again."""
        finished = self.hub.again(chapter.finished, by, failed_only=failed_only)
        return Chapter(chapter.commit, finished, self.standing())

    def dispatch(self, workflow: str, **inputs: str) -> Chapter:
        """Anna presses `Run workflow` on main."""
        (finished,) = self.hub.dispatch("anna", f"{workflow}.yml", **inputs)
        return Chapter(finished.run.sha, finished, self.standing())

    def raced(self, workflow: str) -> Chapter:
        """Another run moves the pointer while this one uploads what it made of the state before."""
        git, keep = self.hub.git, self.hub.api.keep

        def overtaken(run: Run, name: str, content: bytes) -> Artifact:
            other = git("commit-tree", f"{POINTER}^{{tree}}", "-p", POINTER, "-m", "Another run", by=ROBOT)
            git("update-ref", POINTER, other)
            return keep(run, name, content)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.hub.api, "keep", overtaken)
            return self.dispatch(workflow)

    def with_state(self, how: str) -> Chapter:
        """One more tag, while something is wrong with the artefact that the pointer names."""
        number = json.loads(self.hub.git("show", f"{POINTER}:state.json"))["artefact"]
        kept = list(self.hub.api.artifacts)
        (artefact,) = [found for found in kept if str(found.id) == number]
        bad = copy(artefact)
        self.hub.api.artifacts[kept.index(artefact)] = bad
        if how == "expired":
            bad.expired = True
        elif how == "foreign":
            bad.run = copy(bad.run)
            bad.run.from_fork = True
        elif how == "tampered":
            bad.content = kept[0].content  # the state of an earlier run
        else:
            self.hub.api.artifacts.remove(bad)
        try:
            commit = self.hub.commit("anna", f"While the state is {how}")
            self.hub.green("staging.yml", commit, "anna")
            (finished,) = self.hub.tag("anna", f"v9.{len(how)}.0")
        finally:
            self.hub.api.artifacts[:] = kept
        return Chapter(commit, finished, self.standing())

    def rewrite(self, branch: str, *, drop: str = "") -> list[Chapter]:
        """Anna amends the newest commit and pushes it by force; a tag that held the old one goes too."""
        self.hub.git(
            "commit", "--quiet", "--amend", "-m", "In other words", at=self.hub.work, by=self.hub.people["anna"]
        )
        if drop:
            self.hub.git("update-ref", "-d", f"refs/tags/{drop}")
        started = self.hub.push("anna", branch, message="In other words")
        return [Chapter(finished.run.sha, finished, self.standing()) for finished in started]

    def propose(self) -> Chapter:
        """Carla opens a pull request."""
        (finished,) = self.hub.pull_request("carla", 12)
        return Chapter(finished.run.sha, finished, self.standing())

    def merge(self, message: str) -> Chapter:
        """Carla pushes to main."""
        (finished,) = self.hub.push("carla", message=message)
        return Chapter(finished.run.sha, finished, self.standing())

    def cut(self, name: str, commit: str) -> Chapter:
        """Anna cuts a release from a commit of Carla's, whose run the workflow's own token starts."""
        self.hub.git("update-ref", "refs/heads/main", commit)
        self.asked.clear()
        cut, finished = self.hub.dispatch("anna", "cut-release.yml", name=name)
        assert (cut.conclusion, finished.run.actor.login) == ("success", "github-actions[bot]"), cut.ran.log
        return Chapter(commit, finished, self.standing(), self.asked[0])
