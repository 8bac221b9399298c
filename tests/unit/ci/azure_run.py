"""A build of Azure DevOps as its tests see it: variables, and payloads of the shapes that its interface has."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path
from typing import Any

from gatehouse.ci.azure import Azure

HOME = "/octo/the flights"
REPOSITORY = "5a1e0000-0000-0000-0000-000000000001"
TOKEN = "notASecretOnlyInTests"  # noqa: S105
ENVIRONMENT = 12


def azure(
    address: str, folder: Path, *, commit: str = "c" * 40, log: io.StringIO | None = None, **changed: str
) -> Azure:
    """The provider in build 77, stage promote, of the project `the flights`."""
    environ = {
        "TF_BUILD": "True",
        "SYSTEM_COLLECTIONURI": f"{address}/octo/",
        "SYSTEM_TEAMPROJECT": "the flights",
        "SYSTEM_STAGENAME": "promote",
        "SYSTEM_STAGEATTEMPT": "1",
        "SYSTEM_ACCESSTOKEN": TOKEN,
        "BUILD_BUILDID": "77",
        "BUILD_REASON": "Manual",
        "BUILD_SOURCEBRANCH": "refs/heads/release/1",
        "BUILD_SOURCEVERSION": commit,
        "BUILD_REPOSITORY_ID": REPOSITORY,
        "BUILD_REQUESTEDFOREMAIL": "dora@example.org",
        "BUILD_REQUESTEDFORID": "id-dora@example.org",
        "BUILD_QUEUEDBYID": "id-dora@example.org",
        "AGENT_TEMPDIRECTORY": str(folder),
    }
    return Azure({**environ, **changed}, log=log or io.StringIO(), folder=folder, wait=0)


def person(name: str) -> dict[str, Any]:
    return {"id": f"id-{name}", "displayName": name.partition("@")[0], "uniqueName": name, "descriptor": f"aad.{name}"}


def listed(*values: dict[str, Any]) -> dict[str, Any]:
    return {"count": len(values), "value": list(values)}


def place(created: str = "2026-07-01T09:00:00.1234567Z") -> dict[str, Any]:
    """An environment."""
    return {"id": ENVIRONMENT, "name": "prod", "description": "", "createdOn": created, "createdBy": person("root@x.y")}


def check(*approvers: str, disabled: bool = False) -> dict[str, Any]:
    """The approval check of an environment."""
    return {
        "id": 3,
        "type": {"id": "8C6F20A7-A545-4486-9777-F762FAFE0D4D", "name": "Approval"},
        "isDisabled": disabled,
        "timeout": 43200,
        "settings": {
            "approvers": [{"id": f"id-{name}", "displayName": name} for name in approvers],
            "executionOrder": 1,
            "minRequiredApprovers": 1,
            "requesterCannotBeApprover": True,
            "blockedApprovers": [],
        },
    }


def stage(
    identifier: str = "promote", *, attempt: int = 1, approvals: tuple[str, ...] = ("ap-1",)
) -> list[dict[str, Any]]:
    """Records of a timeline: the stage, its checkpoint, its approvals, and what else stands there."""
    number, point = f"{identifier}-{attempt}", f"{identifier}-{attempt}-point"
    return [
        {"id": number, "parentId": None, "type": "Stage", "identifier": identifier, "name": "x", "attempt": attempt},
        {"id": point, "parentId": number, "type": "Checkpoint", "identifier": "Checkpoint", "attempt": attempt},
        *(
            {"id": name, "parentId": point, "type": "Checkpoint.Approval", "identifier": "A", "attempt": attempt}
            for name in approvals
        ),
        {"id": f"{number}-job", "parentId": number, "type": "Phase", "identifier": "promote", "attempt": attempt},
    ]


def step(
    assigned: str = "anna@example.org", actual: str | None = None, *, status: str = "approved", comment: str = ""
) -> dict[str, Any]:
    """A step of an approval."""
    return {
        "assignedApprover": person(assigned),
        "actualApprover": person(actual or assigned) if status in ("approved", "rejected") else None,
        "status": status,
        "comment": comment,
        "lastModifiedOn": "2026-11-20T12:00:00.1234567Z",
        "order": 1,
    }


def approval(*steps: dict[str, Any], status: str = "approved") -> dict[str, Any]:
    """`GET /_apis/pipelines/approvals/{id}?$expand=steps`"""
    return {
        "id": "ap-1",
        "steps": list(steps),
        "status": status,
        "createdOn": "2026-11-20T11:00:00Z",
        "executionOrder": "anyOrder",
        "minRequiredApprovers": 1,
        "blockedApprovers": [],
    }


def build(number: int = 77, *, reason: str = "manual", commit: str = "c" * 40, **other: Any) -> dict[str, Any]:
    """`GET /_apis/build/builds/{id}`"""
    return {
        "id": number,
        "reason": reason,
        "result": "succeeded",
        "sourceVersion": commit,
        "sourceBranch": "refs/heads/main",
        "queueTime": "2026-11-20T10:00:00.7654321Z",
        "finishTime": f"2026-11-20T11:00:{number % 60:02}Z",
        "requestedFor": person("dora@example.org"),
        "requestedBy": person("rita@example.org"),
        "repository": {"id": REPOSITORY, "type": "TfsGit", "name": "flights"},
        "_links": {"web": {"href": f"https://dev.azure.com/octo/flights/_build/results?buildId={number}"}},
        **other,
    }


def committed(folder: Path, author: str, committer: str) -> str:
    """A commit in a checkout; its identifier."""
    git = ["git", "-C", str(folder)]
    subprocess.run([*git, "init", "-q"], check=True)
    told = ["-c", "user.name=x", "-c", f"user.email={committer}"]
    made = ["commit", "-q", "--allow-empty", "-m", "x", "--author", f"x <{author}>"]
    subprocess.run([*git, *told, *made], check=True)
    return subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
