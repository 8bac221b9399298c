"""Whose tokens may act as which service principal, asked from the provider: the form of GitHub's has changed."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote

from gatehouse.ci.http import Api
from gatehouse.errors import Unanswered
from gatehouse.setup.desired import Subject
from gatehouse.setup.resources import Unseen

GITHUB_ISSUER = "https://token.actions.githubusercontent.com"
AZURE_ISSUER = "https://vstoken.dev.azure.com"
AZURE_AUDIENCE = "api://AzureADTokenExchange"


def github_subjects(
    api: Api, repository: str, environments: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[Subject, ...] | Unseen]:
    """By service principal; `environments` are the names of its environments on GitHub.

    The prefix is what GitHub says that it signs. Where it says nothing, or where claims were chosen by hand, nobody
    could tell, and a policy with another subject would let nobody in, or somebody else.
    """
    remedy = f"gh api repos/{repository}/actions/oidc/customization/sub"
    try:
        told = api.get(f"/repos/{repository}/actions/oidc/customization/sub")
        chosen = told.maybe("use_default")
        if chosen is not None and not chosen.flag():
            keys = told.maybe("include_claim_keys")
            named = ", ".join(key.text() for key in keys.items()) if keys else "the organisation's"
            reason = f"GitHub's default subject, for this repository chose claims of its own ({named})"
            return dict.fromkeys(environments, Unseen(reason, f"{remedy} --method PUT -F use_default=true"))
        prefix = told.maybe_text("sub_claim_prefix")
    except Unanswered as error:
        return dict.fromkeys(environments, Unseen(f"the subject that GitHub signs: {error.what}", remedy))
    if not prefix:
        reason = "the subject that GitHub signs, which this server does not tell"
        return dict.fromkeys(environments, Unseen(reason, remedy))
    return {
        principal: tuple(
            Subject(name=f"{env}-github", issuer=GITHUB_ISSUER, subject=f"{prefix}:environment:{env}") for env in names
        )
        for principal, names in environments.items()
    }


def azure_subjects(
    organisation: Api, project: str, pipelines: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[Subject, ...] | Unseen]:
    """By service principal; `pipelines` are the names of those that act as it: Azure's subject names no environment."""
    try:
        told = organisation.get("/_apis/connectionData")
        identifier = told.identifier("instanceId")
    except Unanswered as error:
        reason = f"the number of the organisation: {error.what}"
        return dict.fromkeys(pipelines, Unseen(reason, f"{organisation.base}/_apis/connectionData"))
    name = unquote(organisation.base.rpartition("/")[2])
    found: dict[str, tuple[Subject, ...] | Unseen] = {}
    for principal, names in pipelines.items():
        if not names:
            reason = f"which pipelines act as {principal}, as `pipelines` in conf/setup.yml"
            found[principal] = Unseen(reason)
            continue
        found[principal] = tuple(
            Subject(
                name=f"{pipeline}-azure",
                issuer=f"{AZURE_ISSUER}/{identifier}",
                subject=f"p://{name}/{unquote(project)}/{pipeline}",
                audiences=frozenset({AZURE_AUDIENCE}),
            )
            for pipeline in names
        )
    return found
