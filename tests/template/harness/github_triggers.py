"""Which workflows an event starts on GitHub. act ignores every filter, so this decides what it is given.

Sources: github/docs, content/actions/reference/workflows-and-actions/: workflow-syntax.md,
events-that-trigger-workflows.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.template.harness import NotUnderstood
from tests.template.harness.globs import matches

_FILTERS = {
    "push": {"branches", "branches-ignore", "tags", "tags-ignore", "paths", "paths-ignore"},
    "pull_request": {"types", "branches", "branches-ignore", "paths", "paths-ignore"},
    "merge_group": {"types", "branches", "branches-ignore"},
    "workflow_dispatch": {"inputs"},
    "workflow_call": {"inputs", "outputs", "secrets"},
}
_DEFAULT_TYPES = {
    "pull_request": ("opened", "synchronize", "reopened"),
    "merge_group": ("checks_requested",),
}
_SKIPS = ("[skip ci]", "[ci skip]", "[no ci]", "[skip actions]", "[actions skip]")
_EXEMPT = {"workflow_dispatch", "repository_dispatch"}
"""What a workflow's own token may start."""

Workflow = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Something that happened to a repository."""

    name: str
    ref: str = ""
    """Full name: of what was pushed, of the base of a pull request, of where a dispatch runs."""
    paths: tuple[str, ...] = ("some/file",)
    """What changed."""
    action: str = ""
    """`opened`, ...; the first default when empty."""
    message: str = ""
    """Of the head commit."""
    workflow: str = ""
    """File name that a dispatch names."""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    cron: str = ""
    by_workflow_token: bool = False
    """Made with GITHUB_TOKEN, which starts nothing but dispatches."""
    tags_at_once: int = 1


def triggers(workflow: Workflow) -> dict[str, Any]:
    """The `on` of a workflow as a mapping from event to filters."""
    on = workflow["on"]
    if isinstance(on, str):
        return {on: None}
    if isinstance(on, list):
        return dict.fromkeys(on)
    return dict(on)


def started(workflows: Mapping[str, Workflow], event: Event) -> list[str]:
    """File names of the workflows that the event starts, sorted."""
    if event.by_workflow_token and event.name not in _EXEMPT:
        return []
    if event.name in ("push", "pull_request") and any(skip in event.message for skip in _SKIPS):
        return []
    if event.name == "push" and event.ref.startswith("refs/tags/") and event.tags_at_once > 3:
        return []
    return [name for name in sorted(workflows) if starts(workflows[name], event, name)]


def starts(workflow: Workflow, event: Event, name: str = "") -> bool:
    """Whether this workflow, in the file `name`, is started."""
    on = triggers(workflow)
    for known, filters in on.items():
        _check(known, filters)
    if event.name not in on:
        return False
    filters = on[event.name] or {}
    if event.name == "push":
        return _push(filters, event)
    if event.name in ("pull_request", "merge_group"):
        return _typed(filters, event)
    if event.name == "workflow_dispatch":
        return event.workflow == name
    if event.name == "schedule":
        return event.cron in [entry["cron"] for entry in on["schedule"]]
    raise NotUnderstood(f"the event {event.name!r}")


def dispatch_inputs(workflow: Workflow, given: Mapping[str, Any]) -> dict[str, Any]:
    """What the run sees as inputs; what GitHub answers with 422 is a ValueError."""
    declared = (triggers(workflow)["workflow_dispatch"] or {}).get("inputs") or {}
    unknown = set(given) - set(declared)
    if unknown:
        raise ValueError(f"Unexpected inputs provided: {sorted(unknown)}")
    found: dict[str, Any] = {}
    for name, about in declared.items():
        kind = about.get("type", "string")
        if kind not in ("string", "boolean", "choice", "number", "environment"):
            raise NotUnderstood(f"an input of type {kind!r}")
        value = given.get(name, about.get("default", False if kind == "boolean" else ""))
        if about.get("required") and value in ("", None):
            raise ValueError(f"Required input '{name}' not provided")
        if kind == "choice" and value not in about["options"]:
            raise ValueError(f"Provided value '{value}' for input '{name}' not in the list of allowed values")
        if kind == "boolean" and value not in (True, False, "true", "false"):
            raise ValueError(f"Provided value '{value}' for input '{name}' is not a boolean")
        found[name] = value
    return found


def _check(name: str, filters: Any) -> None:
    if name == "schedule":
        if not filters or any(set(entry) - {"cron", "timezone"} for entry in filters):
            raise NotUnderstood(f"the schedule {filters!r}")
        return
    if name not in _FILTERS:
        raise NotUnderstood(f"the event {name!r}")
    unknown = set(filters or {}) - _FILTERS[name]
    if unknown:
        raise NotUnderstood(f"the filters {sorted(unknown)} of {name}")
    for kind in ("branches", "tags", "paths"):
        if {kind, f"{kind}-ignore"} <= set(filters or {}):
            raise NotUnderstood(f"{name} with both {kind} and {kind}-ignore, which GitHub refuses")
        patterns = (filters or {}).get(kind, ["x"])
        if not isinstance(patterns, list) or all(pattern.startswith("!") for pattern in patterns):
            raise NotUnderstood(f"{kind} of {name}: a list with one positive pattern at least")


def _push(filters: Mapping[str, Any], event: Event) -> bool:
    if event.ref.startswith("refs/heads/"):
        mine, other = "branches", "tags"
    elif event.ref.startswith("refs/tags/"):
        mine, other = "tags", "branches"
    else:
        return False  # refs of other kinds (refs/gatehouse/..) make no push event
    short = event.ref.split("/", 2)[2]
    speaks_of_mine = mine in filters or f"{mine}-ignore" in filters
    if not speaks_of_mine and (other in filters or f"{other}-ignore" in filters):
        return False  # with tags alone no branch starts it, and the other way round
    if not _selected(filters, mine, [short]):
        return False
    return mine == "tags" or _selected(filters, "paths", event.paths)  # paths are not looked at for tags


def _typed(filters: Mapping[str, Any], event: Event) -> bool:
    types = filters.get("types", _DEFAULT_TYPES[event.name])
    if (event.action or _DEFAULT_TYPES[event.name][0]) not in types:
        return False
    base = event.ref.removeprefix("refs/heads/")
    return _selected(filters, "branches", [base]) and _selected(filters, "paths", event.paths)


def _selected(filters: Mapping[str, Any], kind: str, names: tuple[str, ...] | list[str]) -> bool:
    if kind in filters:
        return any(matches(name, filters[kind]) for name in names)
    if f"{kind}-ignore" in filters:
        return any(not matches(name, filters[f"{kind}-ignore"]) for name in names)
    return True
