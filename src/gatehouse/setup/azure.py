"""The repository's side on Azure DevOps: environments with their checks, and a variable group for each."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import unquote

from gatehouse.ci.answer import Answer
from gatehouse.ci.azure_approval import APPROVAL_CHECK, VERSION, find_environment
from gatehouse.ci.http import Api
from gatehouse.errors import StateError, Unanswered
from gatehouse.setup.resources import Found, Kind, Made, Resource, Step, Told

LOCK_CHECK = "2ef31ad6-baa0-403a-8b45-2cbc9b4e5563"
"""The identifier of the type of check that lets one run in at a time."""
_CHECKS: Final = "/_apis/pipelines/checks/configurations"
_PREVIEW: Final = "7.1-preview.1"
_WAITS = 43200
"""Minutes that an approval waits: 30 days, the longest Azure DevOps allows."""


class AzureSide:
    """`api` is the project's interface, `organisation` the one above it: variable groups are made there."""

    def __init__(self, api: Api, organisation: Api) -> None:
        self._api = api
        self._organisation = organisation
        self._project = api.base.rpartition("/")[2]

    def look(self, resource: Resource) -> Told:
        """What is there of it."""
        if resource.kind is Kind.ENVIRONMENT:
            place = find_environment(self._api, resource.name)
            return Found(place.identifier("id")) if place else None
        if resource.kind is Kind.VARIABLES:
            return self._group(resource.at["group"])
        place = find_environment(self._api, resource.at["environment"])
        check = self._check(place, resource.at["type"]) if place else None
        if check is None:
            return None
        if resource.at["type"] == "lock":
            return Found(check.identifier("id"))
        asked = frozenset(approver.identifier("id") for approver in check.items("settings", "approvers"))
        own = check.maybe("settings", "requesterCannotBeApprover")
        has: dict[str, str | bool | frozenset[str]] = {
            "approvers": asked,
            "requester cannot approve": bool(own and own.flag()),
        }
        return Found(check.identifier("id"), has)

    def make(self, step: Step) -> str:
        """Makes it; returns its identifier."""
        resource = step.resource
        if resource.kind is Kind.ENVIRONMENT:
            body: Any = {"name": resource.name, "description": "Made by gatehouse setup."}
            path = "/_apis/distributedtask/environments?api-version=7.1"
            return self._api.send("POST", path, body).identifier("id")
        if resource.kind is Kind.VARIABLES:
            path = "/_apis/distributedtask/variablegroups?api-version=7.1"
            return self._organisation.send("POST", path, self._variables(resource, {})).identifier("id")
        return self._api.send("POST", f"{_CHECKS}?api-version={_PREVIEW}", self._wanted(step, None)).identifier("id")

    def change(self, step: Step) -> None:
        """Brings it to what is wanted; what else is there (approvers, variables) stays."""
        resource, number = step.resource, step.found.id if step.found else ""
        if resource.kind is Kind.VARIABLES:
            path = f"/_apis/distributedtask/variablegroups/{number}?api-version=7.1"
            has = dict(step.found.has) if step.found else {}
            self._organisation.send("PUT", path, self._variables(resource, {k: str(v) for k, v in has.items()}))
            return
        place = find_environment(self._api, resource.at["environment"])
        check = self._check(place, resource.at["type"]) if place else None
        self._api.send("PATCH", f"{_CHECKS}/{number}?api-version={_PREVIEW}", self._wanted(step, check))

    def remove(self, made: Made) -> None:
        """What setup made; nothing happens if it is gone."""
        path = {
            Kind.ENVIRONMENT: f"/_apis/distributedtask/environments/{made.id}?api-version=7.1",
            Kind.CHECK: f"{_CHECKS}/{made.id}?api-version={_PREVIEW}",
        }.get(made.kind)
        try:
            if path:
                self._api.send("DELETE", path, None)
            else:
                group = f"/_apis/distributedtask/variablegroups/{made.id}"
                self._organisation.send("DELETE", f"{group}?projectIds={self._project_id()}&api-version=7.1", None)
        except Unanswered as error:
            if error.status != 404:
                raise

    def _check(self, place: Answer, kind: str) -> Answer | None:
        wanted = APPROVAL_CHECK if kind == "approval" else LOCK_CHECK
        parameters = {"api-version": _PREVIEW, "$expand": "settings", "resourceType": "environment"}
        listed = self._api.get(_CHECKS, resourceId=place.identifier("id"), **parameters)
        return next((c for c in listed.items("value") if c.text("type", "id").casefold() == wanted), None)

    def _wanted(self, step: Step, check: Answer | None) -> dict[str, Any]:
        at = step.resource.at
        place = find_environment(self._api, at["environment"])
        if place is None:
            raise StateError(
                f"There is no environment {at['environment']}.",
                why="Its checks belong to it.",
                remedy="gatehouse setup --part repository",
            )
        body: dict[str, Any] = {
            "type": {"id": LOCK_CHECK, "name": "ExclusiveLock"},
            "settings": {},
            "resource": {"type": "environment", "id": place.identifier("id"), "name": at["environment"]},
            "timeout": _WAITS,
        }
        if at["type"] == "approval":
            settings = dict(check.at("settings").content) if check else {"minRequiredApprovers": 1, "executionOrder": 1}
            kept = [approver.identifier("id") for approver in check.items("settings", "approvers")] if check else []
            asked = [*kept, *sorted(step.add.get("approvers", ()))]
            settings |= {"approvers": [{"id": one} for one in asked], "requesterCannotBeApprover": True}
            body |= {"type": {"id": APPROVAL_CHECK, "name": "Approval"}, "settings": settings}
        if check is not None:
            body["id"] = check.number("id")
        return body

    def _group(self, name: str) -> Told:
        listed = self._api.get("/_apis/distributedtask/variablegroups", groupName=name, **VERSION)
        for group in listed.items("value"):
            if group.text("name") == name:
                held = group.at("variables").content
                values = {k: str(v.get("value") or "") for k, v in held.items() if isinstance(v, dict)}
                return Found(group.identifier("id"), values)
        return None

    def _variables(self, resource: Resource, has: dict[str, str]) -> dict[str, Any]:
        name = resource.at["group"]
        values = {**has, **{k: str(v) for k, v in resource.wants.items()}}
        reference = {"name": name, "projectReference": {"id": self._project_id(), "name": unquote(self._project)}}
        return {
            "name": name,
            "description": "Made by gatehouse setup.",
            "type": "Vsts",
            "variables": {k: {"value": v} for k, v in values.items()},
            "variableGroupProjectReferences": [reference],
        }

    def _project_id(self) -> str:
        return self._organisation.get(f"/_apis/projects/{self._project}", **VERSION).identifier("id")
