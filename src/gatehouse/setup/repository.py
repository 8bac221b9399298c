"""What the repository's provider should have: environments, who approves in them, from where they are reached."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gatehouse.settings import EnvironmentsFile
from gatehouse.setup import roles
from gatehouse.setup.answers import SetupFile
from gatehouse.setup.resources import Existing, Kind, Resource

if TYPE_CHECKING:
    from gatehouse.setup.desired import Known

GUARDED = ("branch release/*", "tag v*")
"""From where, beside the tested branch, a release reaches a protected environment."""


def repository(file: EnvironmentsFile, answers: SetupFile, known: Known) -> Iterator[Resource]:
    """Nothing where the provider is neither GitHub nor Azure DevOps."""
    names = (*known.provider_environments, *known.approving)
    if known.provider == "github":
        for name in names:
            yield from _github(name, file, answers, known)
    elif known.provider == "azure":
        for name in names:
            yield from _azure(name, file, answers, known)


def _github(name: str, file: EnvironmentsFile, answers: SetupFile, known: Known) -> Iterator[Resource]:
    asks = name in known.approving
    reviewers = frozenset(answers.reviewers) if asks else frozenset[str]()
    path = f"repos/{known.repository}/environments/{name}"
    anywhere = name == roles.PULL_REQUEST  # its refs are refs/pull/N/merge
    wants: dict[str, str | bool | frozenset[str]] = {} if anywhere else {"custom branches": True}
    limit = None if anywhere else {"protected_branches": False, "custom_branch_policies": True}
    body: dict[str, object] = {"deployment_branch_policy": limit}
    if asks:
        wants |= {"reviewers": reviewers, "prevents self-review": True}
        body |= {
            "prevent_self_review": True,
            "reviewers": [{"type": "User", "id": f"ID of {r}"} for r in answers.reviewers],
        }
    waits = "" if reviewers or not asks else "who approves, as `reviewers` in conf/setup.yml"
    page = f"echo {shlex.quote(json.dumps(body))} | gh api --method PUT {path} --input -"
    yield Resource(kind=Kind.ENVIRONMENT, name=name, wants=wants, waits_for=waits, by_hand=page)
    environment = file.environments.get(name.removesuffix(roles.APPROVAL))
    guarded = asks or (environment is not None and environment.protected)
    rules = () if anywhere else (f"branch {file.staging_branch}", *(GUARDED if guarded else ()))
    for rule in rules:
        kind, _, pattern = rule.partition(" ")
        fields = shlex.join(["-f", f"name={pattern}", "-f", f"type={kind}"])
        yield Resource(
            kind=Kind.BRANCH,
            name=f"{rule} of {name}",
            at={"environment": name, "type": kind, "pattern": pattern},
            needs=(f"{Kind.ENVIRONMENT} {name}",),
            waits_for=waits,
            by_hand=f"gh api --method POST {path}/deployment-branch-policies {fields}",
        )
    for variable, value, missing in _variables(name, file, answers, known):
        yield Resource(
            kind=Kind.VARIABLES,
            name=f"{variable} of {name}",
            at={"environment": name, "variable": variable},
            needs=(f"{Kind.ENVIRONMENT} {name}",),
            wants={"value": value},
            existing=Existing.REFUSED,
            waits_for=waits or missing,
            by_hand=shlex.join(["gh", "variable", "set", variable, "--env", name, "--body", value or "VALUE"]),
        )


def _variables(name: str, file: EnvironmentsFile, answers: SetupFile, known: Known) -> Iterator[tuple[str, str, str]]:
    """Name, value and what is missing, for an environment that lives in a workspace."""
    rehearses = name == roles.PULL_REQUEST
    env = (roles.rehearsed(file) or "") if rehearses else name.removesuffix(roles.APPROVAL)
    environment = file.environments.get(env)
    if environment is None or environment.platform != "databricks":
        return
    workspaces = answers.workspaces.get(env, ())
    host = workspaces[0].host.rstrip("/") if workspaces else ""
    yield "DATABRICKS_HOST", host, "" if host else f"its workspace, as `workspaces` in conf/setup.yml ({env})"
    who = roles.acts_as(known.project, name)
    identity = known.identities.get(who)
    client = identity.application if identity else ""
    yield "DATABRICKS_CLIENT_ID", client, "" if client else f"{Kind.SERVICE_PRINCIPAL} {who}"


def _azure(name: str, file: EnvironmentsFile, answers: SetupFile, known: Known) -> Iterator[Resource]:
    page = "Pipelines > Environments"
    yield Resource(kind=Kind.ENVIRONMENT, name=name, by_hand=f"{page} > New environment: {name}")
    if name in known.approving:
        yield Resource(
            kind=Kind.CHECK,
            name=f"approval of {name}",
            at={"environment": name, "type": "approval"},
            needs=(f"{Kind.ENVIRONMENT} {name}",),
            wants={"approvers": frozenset(answers.reviewers), "requester cannot approve": True},
            waits_for="" if answers.reviewers else "who approves, as `reviewers` in conf/setup.yml",
            by_hand=f"{page} > {name} > Approvals and checks > Approvals",
        )
    yield Resource(
        kind=Kind.CHECK,
        name=f"lock of {name}",
        at={"environment": name, "type": "lock"},
        needs=(f"{Kind.ENVIRONMENT} {name}",),
        by_hand=f"{page} > {name} > Approvals and checks > Exclusive lock",
    )
    variables = tuple(_variables(name, file, answers, known))
    if variables:
        missing = next((lacks for _, _, lacks in variables if lacks), "")
        group = f"gatehouse-{name}"
        words = ["az", "pipelines", "variable-group", "create", "--name", group, "--variables"]
        yield Resource(
            kind=Kind.VARIABLES,
            name=group,
            at={"group": group},
            wants={variable: value for variable, value, _ in variables},
            existing=Existing.REFUSED,
            waits_for=missing,
            by_hand=shlex.join([*words, *(f"{variable}={value}" for variable, value, _ in variables)]),
        )
