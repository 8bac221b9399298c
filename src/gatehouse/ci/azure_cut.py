"""A branch on a commit. Azure's triggers see it as any other push, so the pipeline need not be started."""

from __future__ import annotations

from gatehouse.ci.azure_approval import VERSION
from gatehouse.ci.branches import taken
from gatehouse.ci.http import Api
from gatehouse.ci.provider import CiRun
from gatehouse.errors import PlatformError

_NOTHING = "0" * 40


def cut(api: Api, run: CiRun, branch: str, *, commit: str) -> str:
    """Of a repository in Azure Repos; elsewhere the build service has nothing to push with."""
    home = f"/_apis/git/repositories/{run.repository}"
    there = api.get(f"{home}/refs", filter=f"heads/{branch}", **VERSION).items("value")
    for found in there:
        if found.text("name") == f"refs/heads/{branch}":
            if found.text("objectId") != commit:
                raise taken(branch, found.text("objectId"), commit)
            return f"{api.base}/_git/{run.repository}?version=GB{branch}"
    change = {"name": f"refs/heads/{branch}", "oldObjectId": _NOTHING, "newObjectId": commit}
    (made,) = api.send("POST", f"{home}/refs?api-version=7.1", [change]).items("value")
    if not made.flag("success"):
        raise PlatformError(
            f"Azure DevOps did not make {branch}: {made.maybe_text('updateStatus') or 'it does not say why'}.",
            why="A release runs on a branch of its own.",
            remedy="Give the build service the right to create branches under release/, and run it again.",
        )
    return f"{api.base}/_git/{run.repository}?version=GB{branch}"
