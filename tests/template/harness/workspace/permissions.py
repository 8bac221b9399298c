"""Who may what with jobs, experiments, endpoints and other objects of the workspace (`/api/2.0/permissions`).

Whoever makes an object owns it. Enforced for jobs, runs and serving endpoints, and for giving rights to
these, dashboards and alerts; kept and shown for the rest.
"""

from __future__ import annotations

from typing import Any

from tests.template.harness.workspace.errors import denied, invalid
from tests.template.harness.workspace.front import Front, Request
from tests.template.harness.workspace.identities import ADMINS, Identities

_ORDER = {
    "jobs": ("CAN_VIEW", "CAN_MANAGE_RUN", "CAN_MANAGE", "IS_OWNER"),
    "serving-endpoints": ("CAN_VIEW", "CAN_QUERY", "CAN_MANAGE"),
    "experiments": ("CAN_READ", "CAN_EDIT", "CAN_MANAGE"),
    "sql/warehouses": ("CAN_VIEW", "CAN_MONITOR", "CAN_USE", "CAN_MANAGE", "IS_OWNER"),
    "dashboards": ("CAN_READ", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE"),
    "alertsv2": ("CAN_READ", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE"),
    "directories": ("CAN_READ", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE"),
    "registered-models": ("CAN_READ", "CAN_EDIT", "CAN_MANAGE"),
}
_ENFORCED = ("jobs", "serving-endpoints", "dashboards", "alertsv2")
_PRINCIPALS = ("user_name", "group_name", "service_principal_name")
Levels = dict[tuple[str, str], str]  # (kind of principal, principal) to level


class Permissions:
    """Levels as the documentation orders them: a higher one includes those below."""

    def __init__(self, identities: Identities) -> None:
        self._identities = identities
        self._given: dict[tuple[str, str], Levels] = {}

    def teach(self, front: Front) -> None:
        for kind in _ORDER:
            front.teach("GET PUT PATCH", f"/api/2.0/permissions/{kind}/{{id}}", self._answer(kind))

    def own(self, kind: str, number: str, caller: str) -> None:
        """The caller has made it."""
        principal = "user_name" if "@" in caller else "service_principal_name"
        self._given[kind, number] = {(principal, caller): _ORDER[kind][-1]}

    def may(self, caller: str, level: str, kind: str, number: str) -> bool:
        if self._identities.is_admin(caller):
            return True
        whose, order = self._identities.principals_of(caller), _ORDER[kind]
        given = self._given.get((kind, number), {})
        return any(who in whose and order.index(held) >= order.index(level) for (_, who), held in given.items())

    def require(self, caller: str, level: str, kind: str, number: str) -> None:
        if not self.may(caller, level, kind, number):
            raise denied(f"{caller} does not have {level} permissions on {kind} {number}.")

    def _answer(self, kind: str) -> Any:
        def answer(request: Request) -> Any:
            number = request.parts["id"]
            if request.method != "GET":
                if kind in _ENFORCED:
                    self.require(request.caller, "CAN_MANAGE", kind, number)
                new = {_principal(entry): entry["permission_level"] for entry in request.json()["access_control_list"]}
                if wrong := set(new.values()) - set(_ORDER[kind]):
                    raise invalid(f"{', '.join(sorted(wrong))} is no permission level of {kind}.")
                levels = new if request.method == "PUT" else {**self._given.get((kind, number), {}), **new}
                if kind == "jobs" and list(levels.values()).count("IS_OWNER") != 1:
                    raise invalid("The job must have exactly one owner.")
                self._given[kind, number] = levels
            return self._shown(kind, number)

        return answer

    def _shown(self, kind: str, number: str) -> dict[str, Any]:
        entries = [
            {principal: who, "all_permissions": [{"permission_level": level, "inherited": False}]}
            for (principal, who), level in self._given.get((kind, number), {}).items()
        ]
        above = {"permission_level": "CAN_MANAGE", "inherited": True, "inherited_from_object": [f"/{kind}/"]}
        entries.append({"group_name": ADMINS, "all_permissions": [above]})
        return {"object_id": f"/{kind}/{number}", "object_type": kind.rstrip("s"), "access_control_list": entries}


def _principal(entry: dict[str, str]) -> tuple[str, str]:
    for kind in _PRINCIPALS:
        if entry.get(kind):
            return kind, entry[kind]
    raise invalid("An entry of the access control list needs a principal.")
