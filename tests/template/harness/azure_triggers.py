"""Which pipelines of Azure an event starts.

Source: MicrosoftDocs/azure-devops-docs, docs/pipelines/repos/{azure-repos-git,github}.md, build/triggers.md. Every file
in `.azure-pipelines/` is taken for a pipeline of its own; in Azure Repos pull requests start those that a branch policy
names, and `pr:` is ignored without a word.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tests.template.harness import NotUnderstood
from tests.template.harness.globs import matches_azure

_TRIGGER = {"branches", "tags", "paths", "batch"}
_SKIPS = ("[skip ci]", "[ci skip]", "***no_ci***", "skip-checks: true", "[skip azurepipelines]", "[skip azpipelines]")


def push_starts(document: Mapping[str, Any], ref: str, paths: Iterable[str] = ("a",), message: str = "") -> bool:
    """Whether the push of `refs/heads/..` or `refs/tags/..` starts a pipeline."""
    trigger = document.get("trigger", {"branches": {"include": ["*"]}})  # without the key every branch starts it
    if trigger == "none" or any(skip in message for skip in _SKIPS):
        return False
    if isinstance(trigger, list):
        trigger = {"branches": {"include": trigger}}
    _known(trigger, _TRIGGER)
    if ref.startswith("refs/tags/"):
        return "tags" in trigger and _selected(trigger["tags"], ref.removeprefix("refs/tags/"))
    if not ref.startswith("refs/heads/"):
        return False
    if "tags" in trigger and "branches" not in trigger:
        return False  # with tags alone branches no longer start it
    branch = ref.removeprefix("refs/heads/")
    if "branches" in trigger and not _selected(trigger["branches"], branch):
        return False
    return "paths" not in trigger or any(_selected(trigger["paths"], path) for path in paths)


def pull_request_starts(document: Mapping[str, Any], target: str, *, hosted_on: str, policy: bool) -> bool:
    """`hosted_on` is `azure` or `github`; `policy`: the branch policy of `target` names this pipeline."""
    if hosted_on == "azure":
        return policy
    pr = document.get("pr", {"branches": {"include": ["*"]}})
    if pr == "none":
        return False
    if isinstance(pr, list):
        pr = {"branches": {"include": pr}}
    _known(pr, {"branches", "paths", "autoCancel", "drafts"})
    return _selected(pr.get("branches", {"include": ["*"]}), target.removeprefix("refs/heads/"))


def schedules(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Its schedules: cron and branches."""
    found = document.get("schedules", [])
    for entry in found:
        _known(entry, {"cron", "displayName", "branches", "always", "batch"})
    return list(found)


def _selected(filters: Any, name: str) -> bool:
    if isinstance(filters, list):
        filters = {"include": filters}
    _known(filters, {"include", "exclude"})
    excluded = [_short(pattern) for pattern in filters.get("exclude", [])]
    included = [_short(pattern) for pattern in filters.get("include", ["*"])]
    return matches_azure(name, included) and not matches_azure(name, excluded)


def _short(pattern: str) -> str:
    return pattern.removeprefix("refs/heads/").removeprefix("refs/tags/")


def _known(found: Any, known: set[str]) -> None:
    if not isinstance(found, Mapping) or set(found) - known:
        raise NotUnderstood(f"the trigger {found!r}")
