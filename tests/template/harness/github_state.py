"""What GitHub knows about a repository, in memory, in the words and shapes of its interface."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

OWNER, NAME = "octo", "flights"
REPOSITORY_ID = 4711


@dataclass(frozen=True, slots=True)
class Person:
    """An account. `email` is what their commits carry."""

    login: str
    id: int
    email: str
    kind: str = "User"

    @property
    def addresses(self) -> set[str]:
        """By which GitHub knows their commits."""
        noreply = f"{self.login}@users.noreply.github.com"
        return {address.casefold() for address in (self.email, noreply, f"{self.id}+{noreply}")}

    def json(self) -> dict[str, Any]:
        """As in every answer."""
        return {"login": self.login, "id": self.id, "type": self.kind}


def now() -> str:
    """As GitHub writes moments."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


ROBOT = Person("github-actions[bot]", 41898282, "41898282+github-actions[bot]@users.noreply.github.com", "Bot")
WEB_FLOW = Person("web-flow", 19864447, "noreply@github.com")
"""GitHub itself, as the committer of what is done on its pages."""


def people(*logins: str) -> dict[str, Person]:
    """Accounts with an address each, and the workflows' own."""
    made = {login: Person(login, 100 + number, f"{login}@example.org") for number, login in enumerate(logins)}
    return made | {ROBOT.login: ROBOT}


@dataclass(kw_only=True, slots=True)
class Environment:
    """A deployment environment; without reviewers it protects nothing."""

    id: int
    name: str
    reviewers: tuple[Person, ...] = ()
    prevent_self_review: bool = True
    can_admins_bypass: bool | None = False
    branch_policies: tuple[str, ...] | None = None
    """Patterns of branches, and of tags as `tag:v*`; None: any ref."""

    def json(self) -> dict[str, Any]:
        """`GET /environments/{name}`."""
        rules: list[dict[str, Any]] = []
        if self.reviewers:
            reviewers = [{"type": "User", "reviewer": person.json()} for person in self.reviewers]
            rules.append(
                {
                    "id": self.id * 10,
                    "type": "required_reviewers",
                    "prevent_self_review": self.prevent_self_review,
                    "reviewers": reviewers,
                }
            )
        if self.branch_policies is not None:
            rules.append({"id": self.id * 10 + 1, "type": "branch_policy"})
        policy = {"protected_branches": False, "custom_branch_policies": True}
        about = {
            "id": self.id,
            "name": self.name,
            "protection_rules": rules,
            "deployment_branch_policy": None if self.branch_policies is None else policy,
            "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z",
        }
        if self.can_admins_bypass is not None:
            about["can_admins_bypass"] = self.can_admins_bypass
        return about


@dataclass(frozen=True, kw_only=True, slots=True)
class Review:
    """What a reviewer said about one environment of one run."""

    environment: str
    by: Person
    comment: str = ""
    state: str = "approved"


@dataclass(kw_only=True, slots=True)
class Run:
    """A workflow run. `permissions` and `secret tokens` are per job, see `github_hub`."""

    id: int
    workflow: str
    """File name."""
    event: str
    ref: str
    sha: str
    actor: Person
    triggering_actor: Person
    attempt: int = 1
    status: str = "queued"
    conclusion: str | None = None
    created_at: str = field(default_factory=now)
    from_fork: bool = False
    inputs: Mapping[str, Any] = field(default_factory=dict)
    reviews: list[Review] = field(default_factory=list)
    waiting_for: str | None = None
    """The environment that nobody approved."""
    permissions: dict[str, dict[str, str]] = field(default_factory=dict)
    """Of each job's token, by job."""

    @property
    def branch(self) -> str:
        """Short name of branch or tag."""
        return self.ref.split("/", 2)[2]

    def json(self, url: str, commit: Mapping[str, Any]) -> dict[str, Any]:
        """`GET /actions/runs/{id}`."""
        head = REPOSITORY_ID + 1 if self.from_fork else REPOSITORY_ID
        owner = "stranger" if self.from_fork else OWNER
        return {
            "id": self.id,
            "name": self.workflow.removesuffix(".yml"),
            "path": f".github/workflows/{self.workflow}",
            "event": self.event,
            "status": self.status,
            "conclusion": self.conclusion,
            "head_branch": self.branch,
            "head_sha": self.sha,
            "run_attempt": self.attempt,
            "run_number": self.id,
            "html_url": f"{url}/{OWNER}/{NAME}/actions/runs/{self.id}",
            "url": f"{url}/repos/{OWNER}/{NAME}/actions/runs/{self.id}",
            "actor": self.actor.json(),
            "triggering_actor": self.triggering_actor.json(),
            "created_at": self.created_at,
            "updated_at": self.created_at,
            "run_started_at": self.created_at,
            "head_commit": dict(commit),
            "repository": {"id": REPOSITORY_ID, "full_name": f"{OWNER}/{NAME}", "private": False},
            "head_repository": {"id": head, "full_name": f"{owner}/{NAME}", "private": False},
            "pull_requests": [],
        }


@dataclass(kw_only=True, slots=True)
class Artifact:
    """A zip that a run left behind."""

    id: int
    name: str
    content: bytes
    run: Run
    created_at: str = field(default_factory=now)
    expired: bool = False

    @property
    def digest(self) -> str:
        """Of the zip."""
        return "sha256:" + hashlib.sha256(self.content).hexdigest()

    def json(self, url: str) -> dict[str, Any]:
        """An entry of `GET /actions/artifacts`."""
        return {
            "id": self.id,
            "name": self.name,
            "size_in_bytes": len(self.content),
            "archive_download_url": f"{url}/repos/{OWNER}/{NAME}/actions/artifacts/{self.id}/zip",
            "url": f"{url}/repos/{OWNER}/{NAME}/actions/artifacts/{self.id}",
            "expired": self.expired,
            "created_at": self.created_at,
            "expires_at": "2027-02-19T10:00:00Z",
            "digest": self.digest,
            "workflow_run": {
                "id": self.run.id,
                "repository_id": REPOSITORY_ID,
                "head_repository_id": REPOSITORY_ID + 1 if self.run.from_fork else REPOSITORY_ID,
                "head_branch": self.run.branch,
                "head_sha": self.run.sha,
            },
        }


@dataclass(kw_only=True, slots=True)
class Issue:
    """An issue, or the conversation of a pull request."""

    number: int
    title: str
    body: str
    labels: tuple[str, ...] = ()
    state: str = "open"
    comments: dict[int, str] = field(default_factory=dict)
    """By id, in their order."""
    author: Person = ROBOT

    def json(self, url: str) -> dict[str, Any]:
        """An entry of `GET /issues`."""
        return {
            "number": self.number,
            "id": 9000 + self.number,
            "title": self.title,
            "body": self.body,
            "labels": [{"name": label} for label in self.labels],
            "state": self.state,
            "user": self.author.json(),
            "html_url": f"{url}/{OWNER}/{NAME}/issues/{self.number}",
            "url": f"{url}/repos/{OWNER}/{NAME}/issues/{self.number}",
        }


@dataclass(kw_only=True, slots=True)
class Release:
    """A release and its files, by name."""

    id: int
    tag: str
    title: str = ""
    body: str = ""
    draft: bool = False
    files: dict[str, bytes] = field(default_factory=dict)
