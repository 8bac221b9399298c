"""What Azure DevOps knows about a project, in memory."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

COLLECTION, PROJECT, REPOSITORY = "octo", "Flights", "flights"


def now() -> str:
    """As Azure DevOps writes moments: seven digits of a second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")


def identifier(*parts: object) -> str:
    """The same for the same parts."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(map(str, parts))))


@dataclass(frozen=True, slots=True)
class Person:
    """An account."""

    login: str

    @property
    def email(self) -> str:
        """What their commits carry, and their unique name."""
        return f"{self.login}@example.org"

    def json(self) -> dict[str, Any]:
        """An IdentityRef."""
        return {
            "id": identifier("person", self.login),
            "displayName": self.login.capitalize(),
            "uniqueName": self.email,
            "descriptor": f"aad.{identifier('person', self.login)}",
        }


@dataclass(kw_only=True, slots=True)
class Environment:
    """An environment; without approvers it asks nobody."""

    id: int
    name: str
    approvers: tuple[Person, ...] = ()
    requester_cannot_approve: bool = True
    disabled: bool = False
    created_at: str = "2026-01-01T00:00:00.0000000Z"

    def check(self) -> dict[str, Any]:
        """Its approval, as `checks/configurations` lists it."""
        return {
            "id": self.id * 10,
            "type": {"id": "8C6F20A7-A545-4486-9777-F762FAFE0D4D", "name": "Approval"},
            "resource": {"type": "environment", "id": str(self.id), "name": self.name},
            "isDisabled": self.disabled,
            "timeout": 43200,
            "settings": {
                "approvers": [person.json() for person in self.approvers],
                "requesterCannotBeApprover": self.requester_cannot_approve,
                "minRequiredApprovers": 1,
                "executionOrder": "anyOrder",
                "blockedApprovers": [],
                "instructions": "",
            },
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What an approver said."""

    by: Person
    comment: str = ""
    status: str = "approved"


@dataclass(kw_only=True, slots=True)
class Approval:
    """One wait of one stage before one environment."""

    id: str
    environment: Environment
    status: str = "pending"
    answer: Answer | None = None
    created_at: str = field(default_factory=now)

    def json(self, *, expanded: bool) -> dict[str, Any]:
        """`GET /pipelines/approvals/{id}`; without `$expand=steps` they are not told."""
        steps = []
        if self.answer and expanded:
            steps.append(
                {
                    "assignedApprover": self.environment.approvers[0].json(),
                    "actualApprover": self.answer.by.json(),
                    "status": self.answer.status,
                    "comment": self.answer.comment,
                    "lastModifiedOn": now(),
                    "order": 1,
                }
            )
        return {
            "id": self.id,
            "status": self.status,
            "steps": steps,
            "minRequiredApprovers": 1,
            "executionOrder": "anyOrder",
            "blockedApprovers": [],
            "createdOn": self.created_at,
            "instructions": "",
        }


@dataclass(kw_only=True, slots=True)
class Build:
    """One run of one pipeline."""

    id: int
    pipeline: str
    """File name without its ending: the definition's name."""
    reason: str
    """`IndividualCI`, `PullRequest`, `Manual`, `Schedule`."""
    ref: str
    sha: str
    requested_for: Person
    parameters: Mapping[str, Any] = field(default_factory=dict)
    attempt: int = 1
    status: str = "inProgress"
    result: str | None = None
    waiting_for: str | None = None
    from_fork: bool = False
    pull_request: int | None = None
    created_at: str = field(default_factory=now)
    timeline: list[dict[str, Any]] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    stages: dict[str, str] = field(default_factory=dict)
    """Result by stage."""
    jobs: dict[str, str] = field(default_factory=dict)
    """Result by `Stage.job`, or by `job` in a pipeline without stages."""
    steps: list[tuple[str, str, str]] = field(default_factory=list)
    """Job, label, result, in the order in which they ended."""
    summary: str = ""
    log: str = ""

    def json(self, url: str, definition: int) -> dict[str, Any]:
        """`GET /build/builds/{id}`."""
        return {
            "id": self.id,
            "buildNumber": str(self.id),
            "status": self.status,
            "result": self.result,
            "reason": self.reason[0].lower() + self.reason[1:],
            "sourceBranch": self.ref,
            "sourceVersion": self.sha,
            "definition": {"id": definition, "name": self.pipeline},
            "requestedFor": self.requested_for.json(),
            "requestedBy": self.requested_for.json(),
            "queueTime": self.created_at,
            "startTime": self.created_at,
            "finishTime": self.created_at,
            "repository": {"id": identifier("repository"), "type": "TfsGit", "name": REPOSITORY},
            "triggerInfo": {"pr.isFork": "True"} if self.from_fork else {},
            "_links": {"web": {"href": f"{url}/{COLLECTION}/{PROJECT}/_build/results?buildId={self.id}"}},
            "url": f"{url}/{COLLECTION}/{PROJECT}/_apis/build/Builds/{self.id}",
        }


@dataclass(kw_only=True, slots=True)
class Artifact:
    """A zip that a build published."""

    name: str
    content: bytes
    build: Build
