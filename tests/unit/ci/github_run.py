"""A run of GitHub Actions as its tests see it: variables, and payloads of the shapes that GitHub's interface has."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from gatehouse.ci.github import GitHub

COMMIT = "c0ffee" + "0" * 34
HOME = "/repos/octo/flights"
TOKEN = "ghs_notASecretOnlyInTests"  # noqa: S105


def github(address: str, folder: Path, *, attempt: int = 1, visibility: str = "public", **variables: str) -> GitHub:
    """The provider in run 77 of octo/flights, dispatched by `dora`."""
    event = folder / "event.json"
    event.write_text(
        json.dumps({"sender": {"login": "dora"}, "repository": {"visibility": visibility}, "inputs": None})
    )
    environ = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_API_URL": address,
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": "octo/flights",
        "GITHUB_RUN_ID": "77",
        "GITHUB_RUN_ATTEMPT": str(attempt),
        "GITHUB_EVENT_NAME": "workflow_dispatch",
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_REF": "refs/heads/release/1",
        "GITHUB_SHA": COMMIT,
        "GITHUB_ACTOR": "dora",
        "GITHUB_TRIGGERING_ACTOR": "dora",
        "GITHUB_TOKEN": TOKEN,
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
        "GITHUB_OUTPUT": str(folder / "output"),
    }
    return GitHub({**environ, **variables}, log=io.StringIO(), wait=0)


def user(login: str, kind: str = "User") -> dict[str, Any]:
    return {"login": login, "id": sum(map(ord, login)), "type": kind, "site_admin": False}


def environment(
    *reviewers: tuple[str, str], number: int = 161088068, created_at: str = "2026-07-01T09:00:00Z"
) -> dict[str, Any]:
    """`GET /environments/prod`, with `("User", login)` and `("Team", slug)` as required reviewers."""
    rules: list[dict[str, Any]] = [{"id": 3736, "node_id": "x", "type": "wait_timer", "wait_timer": 0}]
    if reviewers:
        rules.append(
            {
                "id": 3755,
                "node_id": "y",
                "type": "required_reviewers",
                "prevent_self_review": True,
                "reviewers": [
                    {"type": kind, "reviewer": user(name) if kind == "User" else {"id": 1, "slug": name, "name": name}}
                    for kind, name in reviewers
                ],
            }
        )
    return {
        "id": number,
        "node_id": "z",
        "name": "prod",
        "html_url": "https://github.com/octo/flights/deployments/activity_log?environments_filter=prod",
        "created_at": created_at,
        "updated_at": created_at,
        "protection_rules": rules,
        "deployment_branch_policy": None,
    }


def review(
    login: str, state: str = "approved", comment: str = "", *, number: int = 161088068, kind: str = "User"
) -> dict[str, Any]:
    """An entry of `GET /actions/runs/77/approvals`."""
    return {
        "state": state,
        "comment": comment,
        "environments": [{"id": number, "name": "prod", "created_at": "2026-07-01T09:00:00Z"}],
        "user": user(login, kind),
    }


def attempt(starter: str = "dora", *, created_at: str = "2026-11-20T10:00:00Z") -> dict[str, Any]:
    """`GET /actions/runs/77/attempts/1`: the actor stays, who started it again is the triggering actor."""
    return {
        "id": 77,
        "created_at": created_at,
        "run_started_at": created_at,
        "actor": user("dora"),
        "triggering_actor": user(starter),
    }
