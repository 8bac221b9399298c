"""A branch on a commit, and the workflow that is to run on it."""

from __future__ import annotations

from urllib.parse import quote

from gatehouse.ci.branches import taken
from gatehouse.ci.http import Api
from gatehouse.ci.provider import CiRun
from gatehouse.errors import Unanswered


def cut(api: Api, run: CiRun, branch: str, *, commit: str, start: str, proposer: str) -> str:
    """What a run's own token pushes starts nothing, so the workflow is started by name, for the person who cut."""
    home = f"/repos/{run.repository}"
    try:
        api.send("POST", f"{home}/git/refs", {"ref": f"refs/heads/{branch}", "sha": commit})
    except Unanswered as error:
        there = api.find(f"{home}/git/ref/heads/{quote(branch)}") if error.status == 422 else None
        if there is None:
            raise
        if there.text("object", "sha") != commit:
            raise taken(branch, there.text("object", "sha"), commit) from None
    body = {"ref": branch, "inputs": {"proposer": proposer}}
    api.send("POST", f"{home}/actions/workflows/{start}.yml/dispatches", body)
    return f"{run.url.partition('/actions/')[0]}/tree/{branch}"
