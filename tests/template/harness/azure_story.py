"""What a repository on Azure DevOps lives through, told in chapters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.template.harness.azure_hub import AzureDevOps, Waiting
from tests.template.harness.azure_state import Answer, Build, Person
from tests.template.harness.standing import NOTHING, Standing
from tests.template.harness.story import Story


@dataclass(frozen=True, slots=True)
class Chapter:
    """One event."""

    commit: str
    build: Build
    after: Standing
    waiting: Standing = NOTHING
    """While a person was asked."""


@dataclass
class AzureStory(Story):
    """Tells the chapters on one repository."""

    project: AzureDevOps

    def git(self, *arguments: str) -> str:
        return self.project.repository.git(*arguments)

    @property
    def seen(self) -> Path:
        return self.project.folder / "seen"

    def artefacts(self) -> Mapping[str, bytes]:
        return {f"{found.build.id}/{found.name}": found.content for found in self.project.api.artifacts}

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
        return Chapter(commit, build, self.standing(), self.waiting())

    def queue(self, pipeline: str, by: str = "anna", **parameters: str) -> Chapter:
        """Somebody presses `Run pipeline` on main."""
        self.asked.clear()
        (build,) = self.project.queue(by, pipeline, **parameters)
        return Chapter(build.sha, build, self.standing(), self.waiting())

    def merge(self, message: str) -> Chapter:
        """Carla pushes to main."""
        (build,) = self.project.push("carla", message=message)
        return Chapter(build.sha, build, self.standing())

    def cut(self, name: str) -> tuple[Chapter, Chapter]:
        """Anna cuts a release from main; the pipeline that cuts, and the release that its push starts."""
        self.asked.clear()
        cut, release = self.project.queue("anna", "cut-release", name=name)
        after = self.standing()
        return Chapter(cut.sha, cut, after), Chapter(release.sha, release, after, self.waiting())
