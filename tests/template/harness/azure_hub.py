"""A project on Azure DevOps, as a test sees it: people push, tag and queue, pipelines run, something is left behind."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.template.harness.azure_api import AzureApi
from tests.template.harness.azure_model import Stage, pipeline
from tests.template.harness.azure_run import Execution
from tests.template.harness.azure_scope import Scope
from tests.template.harness.azure_state import (
    COLLECTION,
    PROJECT,
    REPOSITORY,
    Answer,
    Approval,
    Build,
    Environment,
    Person,
    identifier,
)
from tests.template.harness.azure_steps import Agent
from tests.template.harness.azure_tasks import Artifacts
from tests.template.harness.azure_templates import Expansion
from tests.template.harness.azure_triggers import pull_request_starts, push_starts, schedules
from tests.template.harness.github_stubs import PROGRAM, write_programs
from tests.template.harness.repository import Author, Repository
from tests.template.harness.yaml_files import parse

FOLDER = ".azure-pipelines"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A stage waits before an environment."""

    build: Build
    stage: str
    environment: str


def nobody(_: Waiting) -> Answer | None:
    """Does not answer."""
    return None


@dataclass
class AzureDevOps:
    """Everything under `folder`. Use it as `with project.open():`. Each pipeline is called as its file."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)
    """Set on every pipeline in the web interface."""
    committed: dict[str, str] = field(default_factory=dict)
    """Variables to which the files give another value than ours do."""
    secrets: dict[str, str] = field(default_factory=dict)
    """Likewise; a fork's pull request gets none."""
    groups: dict[str, dict[str, str]] = field(default_factory=dict)
    machine: dict[str, str] = field(default_factory=dict)
    """Environment of every agent, beside what Azure sets."""
    approver: Callable[[Waiting], Answer | None] = nobody
    hosted_on: str = "azure"
    """Where the repository is: `azure` or `github`."""
    build_validation: tuple[str, ...] = ("pull-request",)
    """Pipelines that the branch policy of main names."""

    def __post_init__(self) -> None:
        self.repository = Repository(self.folder / "origin" / f"{REPOSITORY}.git", self.folder / "work")
        self.api = AzureApi(self.folder / "origin", self.repository.git)
        self.programs = self.folder / "programs"
        write_programs(self.programs, ["uv"])

    @property
    def work(self) -> Path:
        """The working copy."""
        return self.repository.work

    @contextmanager
    def open(self) -> Iterator[AzureDevOps]:
        """Serves; at the end, a call that the loopback server did not know fails the test."""
        with self.api.server.running():
            yield self

    def protect(self, name: str, *approvers: str, **rules: Any) -> Environment:
        """Makes an environment with these approvers."""
        made = Environment(id=self.api.number(), name=name, approvers=tuple(map(Person, approvers)), **rules)
        self.api.environments[name] = made
        return made

    def commit(self, by: str, message: str = "Change", *, branch: str = "main") -> str:
        """Commits what is in `work`, and pushes it without an event; the commit."""
        return self.repository.commit(_author(by), message, branch)

    def push(self, by: str, branch: str = "main", *, message: str = "Change") -> list[Build]:
        """Commits what is in `work`, pushes it, and runs what that starts."""
        sha = self.commit(by, message, branch=branch)
        return self._pushed(f"refs/heads/{branch}", sha, by, message)

    def green(self, pipeline_name: str, commit: str, by: str) -> Build:
        """A build that passed on a commit, without being run."""
        build = self._new_build(pipeline_name, "IndividualCI", "refs/heads/main", commit, by)
        build.status, build.result = "completed", "succeeded"
        return build

    def tag(self, by: str, name: str, commit: str | None = None) -> list[Build]:
        """Pushes a tag, on the newest commit of main unless another is named."""
        sha = commit or self.repository.head()
        self.repository.git("update-ref", f"refs/tags/{name}", sha)
        return self._pushed(f"refs/tags/{name}", sha, by, "")

    def _pushed(self, ref: str, sha: str, by: str, message: str) -> list[Build]:
        found = self._pipelines(sha)
        started = [name for name, document in found.items() if push_starts(document, ref, message=message)]
        return self._all(started, "IndividualCI", ref, sha, by)

    def pull_request(self, by: str, number: int = 1, *, head: str = "topic", fork: bool = False) -> list[Build]:
        """Opens a pull request from what is in `work` to main."""
        sha = self.repository.commit(_author(by), "Proposal", head)
        merge = self.repository.merged(number, sha, _author(by))
        started = [
            name
            for name, document in self._pipelines(merge).items()
            if pull_request_starts(
                document, "refs/heads/main", hosted_on=self.hosted_on, policy=name in self.build_validation
            )
        ]
        return self._all(started, "PullRequest", f"refs/pull/{number}/merge", merge, by, fork=fork, number=number)

    def queue(self, by: str, pipeline_name: str, ref: str = "refs/heads/main", **parameters: Any) -> list[Build]:
        """Presses `Run pipeline`."""
        return self._all([pipeline_name], "Manual", ref, self.repository.head(ref), by, parameters=parameters)

    def schedule(self, cron: str, by: str) -> list[Build]:
        """The hour has come for what main's files say; `by` is whose pipelines they are."""
        sha = self.repository.head()
        started = [
            name
            for name, document in self._pipelines(sha).items()
            if cron in [entry["cron"] for entry in schedules(document)]
        ]
        return self._all(started, "Schedule", "refs/heads/main", sha, by)

    def again(self, build: Build, *, failed_only: bool = False) -> Build:
        """Runs all stages of a build once more, or those that did not succeed."""
        build.attempt += 1
        build.waiting_for = None
        build.jobs.clear()
        done = [name for name, result in build.stages.items() if result == "Succeeded"] if failed_only else []
        build.stages.clear()
        self._executed(build, {name: self._told[build.id][name] for name in done})
        return build

    def _all(
        self,
        names: list[str],
        reason: str,
        ref: str,
        sha: str,
        by: str,
        *,
        fork: bool = False,
        number: int | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> list[Build]:
        done = []
        for name in sorted(names):
            build = self._new_build(name, reason, ref, sha, by)
            build.from_fork, build.pull_request, build.parameters = fork, number, parameters or {}
            self._executed(build)
            done.append(build)
        while self.api.pushed:
            made, commit = self.api.pushed.pop(0)
            done += self._pushed(made, commit, "build service", "")
        while self.api.queued:
            named, full, given = self.api.queued.pop(0)
            done += self.queue("build service", named, full, **given)
        return done

    def _new_build(self, name: str, reason: str, ref: str, sha: str, by: str) -> Build:
        self.api.definition(name)
        build = Build(id=self.api.number(), pipeline=name, reason=reason, ref=ref, sha=sha, requested_for=Person(by))
        self.api.builds[build.id] = build
        return build

    def _pipelines(self, sha: str) -> dict[str, Any]:
        listed = self.repository.git("ls-tree", "--name-only", sha, f"{FOLDER}/").splitlines()
        found = {Path(name).stem: name for name in listed if name.endswith(".yml")}
        for name in found:
            self.api.definition(name)
        return {name: parse(self.repository.git("show", f"{sha}:{path}")) for name, path in found.items()}

    _told: dict[int, dict[str, dict[str, dict[str, Any]]]] = field(default_factory=dict)
    """Results and outputs of each job, by build and stage."""

    def _executed(self, build: Build, done: Mapping[str, dict[str, dict[str, Any]]] = MappingProxyType({})) -> None:
        place = self.folder / "builds" / f"{build.id}-{build.attempt}"
        files = place / "files"
        self.repository.clone(files, build.sha, build.ref, "nowhere")
        scope = self._scope(build)
        early = {scope.names[key]: value for key, value in scope.values.items() if "." in key}
        expansion = Expansion(root=files, variables=early, committed=self.committed)
        expanded = expansion.pipeline(f"{FOLDER}/{build.pipeline}.yml", build.parameters)
        artifacts = Artifacts(everything=self.api.artifacts, build=build, builds=self.api.builds)

        def agent(job: str, variables: Scope) -> Agent:
            return Agent(
                build=build,
                job=job,
                folder=place / job,
                scope=variables,
                artifacts=artifacts,
                clone=lambda folder, depth: self.repository.clone(
                    folder, build.sha, build.ref, f"{self._base}/_git/{REPOSITORY}", depth=depth
                ),
                path=self._path(),
                machine={
                    **self.machine,
                    "GIT_TERMINAL_PROMPT": "0",
                    "GIT_CONFIG_GLOBAL": os.devnull,
                    "HARNESS_PYTHON": sys.executable,
                    "HARNESS_PROGRAM": str(PROGRAM),
                },
            )

        execution = Execution(
            build=build,
            pipeline=pipeline(expanded),
            scope=scope,
            groups=self.groups,
            agent=agent,
            opened=lambda stage, environment: self._opened(build, stage, environment),
            done=done,
        )
        for stage in execution.pipeline.stages:
            self._record(build, "Stage", stage.name, None)
        result = execution.run()
        self._told[build.id] = execution.told
        build.status = "completed"
        build.result = {"Succeeded": "succeeded", "Failed": "failed", "SucceededWithIssues": "partiallySucceeded"}[
            result
        ]

    def _record(self, build: Build, kind: str, name: str, parent: str | None, number: str = "") -> str:
        made = number or identifier(build.id, build.attempt, kind, name)
        build.timeline.append(
            {"id": made, "parentId": parent, "type": kind, "name": name, "identifier": name, "attempt": build.attempt}
        )
        return made

    def _opened(self, build: Build, stage: Stage, name: str) -> bool:
        environment = self.api.environments.get(name)
        if environment is None:
            build.log += f"Environment {name} could not be found. It does not exist or has not been authorized.\n"
            return False
        point = self._record(build, "Checkpoint", stage.name, identifier(build.id, build.attempt, "Stage", stage.name))
        if not environment.approvers or environment.disabled:
            return True
        approval = Approval(
            id=identifier(build.id, build.attempt, "approval", stage.name, name), environment=environment
        )
        self.api.approvals[approval.id] = approval
        self._record(build, "Checkpoint.Approval", name, point, approval.id)
        answer = self.approver(Waiting(build, stage.name, name))
        if answer is None:
            build.waiting_for = name
            return False
        assert answer.by in environment.approvers, f"{answer.by.login} is no approver of {name}"
        own = environment.requester_cannot_approve and answer.by == build.requested_for
        assert not own, f"{answer.by.login} approves their own run"
        approval.answer, approval.status = answer, answer.status
        return answer.status == "approved"

    @property
    def _base(self) -> str:
        return f"{self.api.url}/{COLLECTION}/{PROJECT}"

    def _scope(self, build: Build) -> Scope:
        person = build.requested_for
        scope = Scope()
        for name, value in {
            "Build.BuildId": str(build.id),
            "Build.BuildNumber": str(build.id),
            "Build.DefinitionName": build.pipeline,
            "Build.Reason": build.reason,
            "Build.SourceBranch": build.ref,
            "Build.SourceBranchName": build.ref.rsplit("/", 1)[-1],
            "Build.SourceVersion": build.sha,
            "Build.RequestedFor": person.login,
            "Build.RequestedForEmail": person.email,
            "Build.RequestedForId": str(person.json()["id"]),
            "Build.QueuedBy": person.login,
            "Build.QueuedById": str(person.json()["id"]),
            "Build.Repository.Id": identifier("repository"),
            "Build.Repository.Name": REPOSITORY,
            "Build.Repository.Provider": "TfsGit" if self.hosted_on == "azure" else "GitHub",
            "Build.Repository.Uri": f"{self._base}/_git/{REPOSITORY}",
            "System.CollectionUri": f"{self.api.url}/{COLLECTION}/",
            "System.TeamFoundationCollectionUri": f"{self.api.url}/{COLLECTION}/",
            "System.TeamProject": PROJECT,
            "System.DefinitionId": str(self.api.definition(build.pipeline)),
            "System.DefinitionName": build.pipeline,
            "Agent.OS": "Linux",
            "Agent.ToolsDirectory": str(self.folder / "tools"),
            **({"System.PullRequest.PullRequestId": str(build.pull_request)} if build.pull_request else {}),
            **({"System.PullRequest.IsFork": str(build.from_fork)} if build.pull_request else {}),
            **self.variables,
        }.items():
            scope.set(name, value)
        scope.set("System.AccessToken", self.api.token(build), secret=True)
        for name, value in ({} if build.from_fork else self.secrets).items():
            scope.set(name, value, secret=True)
        return scope

    def _path(self) -> str:
        """Our programs first; not the folder of this very Python, which no hosted machine has."""
        here = str(Path(sys.executable).parent)
        return os.pathsep.join(
            [str(self.programs), *(part for part in os.environ["PATH"].split(os.pathsep) if part != here)]
        )


def _author(login: str) -> Author:
    return Author(login, Person(login).email)
