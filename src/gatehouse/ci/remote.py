"""Which provider a checkout belongs to, when no CI runs: by the address of its git remote `origin`."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote, unquote

from gatehouse.ci.http import Api
from gatehouse.git import answer

_GITHUB = re.compile(r"(?:https://(?:[^@/]+@)?|(?:ssh://)?git@)github\.com[:/]([\w.-]+)/([\w.-]+?)(?:\.git)?/?")
_AZURE = (
    re.compile(r"https://(?:[^@/]+@)?dev\.azure\.com/([^/]+)/([^/]+)/_git/([^/]+)/?"),
    re.compile(r"git@ssh\.dev\.azure\.com:v3/([^/]+)/([^/]+)/([^/]+)/?"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Remote:
    """A repository at a provider, and its interface."""

    kind: Literal["github", "azure"]
    api: Api
    repository: str
    """`octo/flights` on GitHub, the repository's name on Azure DevOps."""
    web: str
    """Its page, without a slash at the end."""
    organisation: Api | None = None
    """Azure DevOps: the interface of the organisation, one level above the project's."""


def remote_of(environ: Mapping[str, str], folder: Path, *, wait: float = 1.0) -> Remote | None:
    """By the CI's variables, else by `origin`; None: neither GitHub nor Azure DevOps.

    Tokens: GITHUB_TOKEN or GH_TOKEN; SYSTEM_ACCESSTOKEN or AZURE_DEVOPS_EXT_PAT.
    """
    origin = answer(folder, "remote", "get-url", "origin")
    if repository := environ.get("GITHUB_REPOSITORY"):
        return _github(environ, repository, wait)
    if collection := environ.get("SYSTEM_COLLECTIONURI"):
        project = quote(environ.get("SYSTEM_TEAMPROJECT", ""), safe="")
        return _azure(environ, f"{collection.rstrip('/')}/{project}", environ.get("BUILD_REPOSITORY_NAME", ""), wait)
    if found := _GITHUB.fullmatch(origin):
        return _github(environ, f"{found[1]}/{found[2]}", wait)
    for pattern in _AZURE:
        if found := pattern.fullmatch(origin):
            return _azure(environ, f"https://dev.azure.com/{found[1]}/{found[2]}", unquote(found[3]), wait)
    return None


def origin_command(folder: Path) -> str:
    """The command by which `origin` becomes another, or the first."""
    verb = "set-url" if answer(folder, "remote", "get-url", "origin") else "add"
    return f"git remote {verb} origin ADDRESS"


def _github(environ: Mapping[str, str], repository: str, wait: float) -> Remote:
    token = environ.get("GITHUB_TOKEN") or environ.get("GH_TOKEN") or ""
    headers = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
    api = Api(
        environ.get("GITHUB_API_URL", "https://api.github.com"),
        provider="GitHub",
        headers={**headers, **({"Authorization": f"Bearer {token}"} if token else {})},
        remedy="export GH_TOKEN=$(gh auth token), and run it again.",
        wait=wait,
    )
    server = environ.get("GITHUB_SERVER_URL", "https://github.com")
    return Remote(kind="github", api=api, repository=repository, web=f"{server}/{repository}")


def _azure(environ: Mapping[str, str], base: str, repository: str, wait: float) -> Remote:
    token, personal = environ.get("SYSTEM_ACCESSTOKEN"), environ.get("AZURE_DEVOPS_EXT_PAT")
    basic = base64.b64encode(f":{personal}".encode()).decode() if personal else ""
    shown = {"Authorization": f"Bearer {token}"} if token else {"Authorization": f"Basic {basic}"} if basic else {}
    api, organisation = (
        Api(
            address,
            provider="Azure DevOps",
            headers={"Accept": "application/json", **shown},
            remedy="Set AZURE_DEVOPS_EXT_PAT to a token that may read builds, code and environments; run it again.",
            wait=wait,
        )
        for address in (base, base.rpartition("/")[0])
    )
    return Remote(kind="azure", api=api, repository=repository, web=base, organisation=organisation)
