"""Asks a provider what preflight judges. It reads, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from urllib.parse import quote

from gatehouse.ci import preflight, preflight_azure
from gatehouse.ci.answer import Answer
from gatehouse.ci.azure_approval import VERSION, find_environment
from gatehouse.ci.github_asked import merge_owners
from gatehouse.ci.github_merged import FOLDER, codeowners
from gatehouse.ci.http import Api
from gatehouse.ci.preflight import Line, Told, Wanted, read
from gatehouse.ci.remote import Remote
from gatehouse.errors import Unanswered


def provider_lines(remote: Remote, wanted: Wanted) -> Iterator[Line]:
    """Every line about the provider."""
    yield from _github(remote, wanted) if remote.kind == "github" else _azure(remote, wanted)


def _github(remote: Remote, wanted: Wanted) -> Iterator[Line]:
    api, web, home = remote.api, remote.web, f"/repos/{remote.repository}"
    repository = _told(api, home)
    yield from read(lambda: preflight.judge_github_repository(repository, web), "repository", web)
    if repository is None or isinstance(repository, Unanswered):
        return
    flows = _told(api, f"{home}/actions/workflows", per_page=100)
    yield from read(lambda: preflight.judge_github_workflows(flows, wanted, web), "workflows", web)
    owners = _owners(api, home, repository)
    if owners:
        asking = _told(api, f"{home}/actions/permissions/workflow")
        yield from read(lambda: preflight.judge_github_asking(asking, remote.repository), "asking by pull request", web)
    for name in (*wanted.environments, *wanted.approval):
        path = f"{home}/environments/{quote(name, safe='')}"
        place, policies = _told(api, path), _told(api, f"{path}/deployment-branch-policies")
        if name in wanted.approval:
            yield from read(
                partial(preflight.judge_github_approval, name, place, wanted, web, owners), f"environment {name}", web
            )
        yield from read(
            partial(preflight.judge_github_branches, name, place, policies, wanted, web), f"branches of {name}", web
        )
    branch = quote(wanted.branch, safe="")
    rules, known = _told(api, f"{home}/rules/branches/{branch}"), _told(api, f"{home}/branches/{branch}")
    yield from read(lambda: preflight.judge_github_rules(rules, known, wanted, web), f"branch {wanted.branch}", web)
    yield from read(lambda: preflight.judge_github_default(repository, wanted, web), "default branch", web)
    if wanted.guarded:
        releases = _told(api, f"{home}/rules/branches/{quote('release/x', safe='')}")
        yield from read(lambda: preflight.judge_github_releases(releases, wanted, web), "branches release/*", web)
    schedule = _told(api, f"{home}/actions/variables/GATEHOUSE_SCHEDULE")
    page = f"{web}/settings/variables/actions"
    yield from read(lambda: preflight.judge_schedule(schedule, page), "variable GATEHOUSE_SCHEDULE", page)
    subject = _told(api, f"{home}/actions/oidc/customization/sub") if wanted.real else None
    yield from read(lambda: preflight.judge_github_subject(subject, wanted, remote.repository), "identity", web)


def _owners(api: Api, home: str, repository: Answer) -> tuple[str, ...]:
    """Who decides by merging; nobody where that cannot be seen."""
    try:
        return merge_owners(f"{FOLDER}/0.json", codeowners(api, home, repository.text("default_branch")))
    except Unanswered:
        return ()


def _azure(remote: Remote, wanted: Wanted) -> Iterator[Line]:
    api, web = remote.api, remote.web
    pipelines = _told(api, "/_apis/build/definitions", **VERSION)
    yield from read(lambda: preflight_azure.judge_azure_pipelines(pipelines, wanted, web), "pipelines", web)
    for name in (*wanted.environments, *wanted.approval):
        place = _environment(api, name)
        yield from preflight_azure.judge_azure_environment(name, place, web)
        if place is None or isinstance(place, Unanswered):
            continue
        checks = _told(
            api,
            "/_apis/pipelines/checks/configurations",
            resourceType="environment",
            resourceId=place.identifier("id"),
            **{"$expand": "settings", "api-version": "7.1-preview.1"},
        )
        if name in wanted.approval:
            judge = partial(preflight_azure.judge_azure_approval, name, checks, wanted, web)
            yield from read(judge, f"approval of {name}", web)
        yield from read(partial(preflight_azure.judge_azure_lock, name, checks, web), f"lock of {name}", web)
    policies = _told(api, "/_apis/policy/configurations", **VERSION)
    yield from read(lambda: preflight_azure.judge_azure_policy(policies, wanted, web), f"branch {wanted.branch}", web)


def _environment(api: Api, name: str) -> Told:
    try:
        return find_environment(api, name)
    except Unanswered as error:
        return error


def _told(api: Api, path: str, /, **parameters: str | int) -> Told:
    try:
        return api.find(path, **parameters)
    except Unanswered as error:
        return error
