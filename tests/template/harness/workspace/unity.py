"""Unity Catalog around minilake's: who owns what, and who may.

A caller may do something if it is an administrator, owns the object or what it lies in, or holds the privilege (or
ALL_PRIVILEGES, or MANAGE) there or further up, itself or by a group, and USE_CATALOG and USE_SCHEMA on the way.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from tests.loopback import Reply
from tests.template.harness.workspace.children import Child
from tests.template.harness.workspace.errors import Refusal, denied
from tests.template.harness.workspace.front import Front, Request
from tests.template.harness.workspace.identities import Identities

_UC = "/api/2.1/unity-catalog"
_LEVELS = ("catalog", "schema")
_MAKES = {
    "catalogs": "CREATE_CATALOG",
    "schemas": "CREATE_SCHEMA",
    "volumes": "CREATE_VOLUME",
    "tables": "CREATE_TABLE",
}
_NOBODY = "minilake-user"  # as whom minilake knows every caller


class Unity:
    """`owners` maps a full name to a principal; models and their versions are in registry.py."""

    def __init__(self, lake: Child, identities: Identities) -> None:
        self._lake, self._identities = lake, identities
        self.owners: dict[str, str] = {}
        self.told: list[Callable[[str, bool], None]] = []  # of each schema that comes or goes

    def teach(self, front: Front) -> None:
        for kind in _MAKES:
            front.teach("POST", f"{_UC}/{kind}", self._make(kind))
            front.teach("GET PATCH DELETE", f"{_UC}/{kind}/{{name}}", self._existing(kind))
        front.teach("PATCH", f"{_UC}/permissions/{{kind}}/{{name}}", self._grant)

    def may(self, caller: str, privilege: str, kind: str, name: str) -> bool:
        """`kind` is catalog, schema, volume, table, or function (which is what grants call a registered model)."""
        if self._identities.is_admin(caller):
            return True
        whose = self._identities.principals_of(caller)
        parts = name.split(".")
        if any(self.owners.get(".".join(parts[:n])) in whose for n in range(1, len(parts) + 1)):
            return True
        held = self._held(whose, kind, name)
        if held & {"ALL_PRIVILEGES", "MANAGE"}:
            return True
        way = [f"USE_{level}".upper() for level in _LEVELS[: len(parts) - 1]]
        return {privilege, *way} <= held

    def require(self, caller: str, privilege: str, kind: str, name: str) -> None:
        if not self.may(caller, privilege, kind, name):
            raise denied(f"User does not have {privilege} on {kind.capitalize()} '{name}'.")

    def exists(self, kind: str, name: str) -> bool:
        """`kind` in the plural, as in the address."""
        return self._lake.call("GET", f"{_UC}/{kind}/{quote(name)}").status == 200

    def demand_schema(self, name: str) -> None:
        """Refuses in Unity Catalog's words unless catalog and schema are there."""
        catalog = name.partition(".")[0]
        if not self.exists("catalogs", catalog):
            raise Refusal(404, "CATALOG_DOES_NOT_EXIST", f"Catalog '{catalog}' does not exist.")
        if not self.exists("schemas", name):
            raise Refusal(404, "SCHEMA_DOES_NOT_EXIST", f"Schema '{name}' does not exist.")

    def _held(self, whose: set[str], kind: str, name: str) -> set[str]:
        address = f"{_UC}/effective-permissions/{kind}/{quote(name)}"
        assignments = _json(self._lake.call("GET", address)).get("privilege_assignments") or []
        return {p["privilege"] for a in assignments if a["principal"] in whose for p in a["privileges"]}

    def _make(self, kind: str) -> Callable[[Request], Reply]:
        def make(request: Request) -> Reply:
            body = request.json()
            above = [body[key] for key in ("catalog_name", "schema_name") if body.get(key)]
            parent = ".".join(above)
            if len(above) == 2:
                self.demand_schema(parent)
            elif above and not self.exists("catalogs", parent):
                raise Refusal(404, "CATALOG_DOES_NOT_EXIST", f"Catalog '{parent}' does not exist.")
            if above:
                self.require(request.caller, _MAKES[kind], _LEVELS[len(above) - 1], parent)
            elif not self._identities.is_admin(request.caller):
                raise denied(f"User does not have {_MAKES[kind]} on Metastore.")
            reply = self._lake.passed_on(request)
            if reply.status == 200:
                self.owners[".".join([*above, body["name"]])] = request.caller
                self._tell(kind, ".".join([*above, body["name"]]), there=True)
            return self._owned(reply)

        return make

    def _tell(self, kind: str, name: str, *, there: bool) -> None:
        for told in self.told if kind == "schemas" else ():
            told(name, there)

    def _existing(self, kind: str) -> Callable[[Request], Reply]:
        def answer(request: Request) -> Reply:
            name = request.parts["name"]
            if request.method != "GET":
                self.require(request.caller, "MANAGE", kind[:-1], name)
            reply = self._lake.passed_on(request)
            if reply.status == 200 and request.method == "PATCH" and "owner" in request.json():
                self.owners[name] = request.json()["owner"]
            if reply.status == 200 and request.method == "DELETE":
                self.owners.pop(name, None)
                self._tell(kind, name, there=False)
            return self._owned(reply)

        return answer

    def _owned(self, reply: Reply) -> Reply:
        given = _json(reply)
        if given.get("owner") != _NOBODY:
            return reply
        given["owner"] = self.owners.get(given.get("full_name") or given["name"], _NOBODY)
        return Reply(status=reply.status, json=given)

    def _grant(self, request: Request) -> Reply:
        kind, name = request.parts["kind"].rsplit(".", 1)[-1].lower(), request.parts["name"]
        self.require(request.caller, "MANAGE", kind, name)
        # ALL_PRIVILEGES is removed in the sense of "all that it had", as the bundle's grants count on.
        body = request.json()
        direct = _json(self._lake.call("GET", f"{_UC}/permissions/{kind}/{quote(name)}"))
        had = {a["principal"]: a["privileges"] for a in direct.get("privilege_assignments") or []}
        for change in body.get("changes") or []:
            if "ALL_PRIVILEGES" in (change.get("remove") or []):
                change["remove"] = [p for p in had.get(change["principal"], []) if p not in (change.get("add") or [])]
        headers = {"Content-Type": "application/json"}
        return self._lake.call(request.method, request.address, body=json.dumps(body).encode(), headers=headers)


def _json(reply: Reply) -> dict[str, Any]:
    given = json.loads(reply.content or b"{}")
    return given if isinstance(given, dict) else {}
