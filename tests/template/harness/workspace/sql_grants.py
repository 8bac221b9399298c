"""GRANT, REVOKE and SHOW GRANTS as statements for a warehouse: some only SQL can give. Others are minilake's."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any
from urllib.parse import quote

from tests.loopback import Reply
from tests.template.harness.workspace.children import Child
from tests.template.harness.workspace.front import Front, Request
from tests.template.harness.workspace.unity import Unity

_CHANGE = re.compile(
    r"(?P<verb>GRANT|REVOKE)\s+(?P<privileges>[\w ,]+?)\s+ON\s+(?P<kind>\w+)\s+(?P<name>\S+)"
    r"\s+(?:TO|FROM)\s+(?P<who>.+)",
    re.IGNORECASE,
)
_SHOW = re.compile(r"SHOW\s+GRANTS\s+(?P<who>\S+\s+)?ON\s+(?P<kind>\w+)\s+(?P<name>\S+)", re.IGNORECASE)
_KINDS = {"model": "function", "registered": "function"}
_COLUMNS = ("Principal", "ActionType", "ObjectType", "ObjectKey")


class SqlGrants:
    """The same grants as those of the API, by the same rights."""

    def __init__(self, lake: Child, unity: Unity) -> None:
        self._lake, self._unity = lake, unity

    def teach(self, front: Front) -> None:
        front.teach("POST", "/api/2.0/sql/statements", self._run)

    def _run(self, request: Request) -> Reply | dict[str, Any]:
        statement = request.json().get("statement", "").strip().rstrip(";")
        if found := _CHANGE.fullmatch(statement):
            return self._change(request, found)
        if found := _SHOW.fullmatch(statement):
            return self._show(found)
        return self._lake.passed_on(request)

    def _change(self, request: Request, found: re.Match[str]) -> dict[str, Any]:
        kind, name = _kind(found), _plain(found["name"])
        self._unity.require(request.caller, "MANAGE", kind, name)
        privileges = [one.strip().upper().replace(" ", "_") for one in found["privileges"].split(",")]
        change = {
            "principal": _plain(found["who"]),
            "add" if found["verb"].upper() == "GRANT" else "remove": privileges,
        }
        self._permissions("PATCH", kind, name, {"changes": [change]})
        return _succeeded([])

    def _show(self, found: re.Match[str]) -> dict[str, Any]:
        kind, name = _kind(found), _plain(found["name"])
        wanted = _plain((found["who"] or "").strip())
        given = self._permissions("GET", kind, name).get("privilege_assignments") or []
        return _succeeded(
            [
                [one["principal"], privilege.replace("_", " "), found["kind"].upper(), name]
                for one in given
                for privilege in one["privileges"]
                if wanted in ("", one["principal"])
            ]
        )

    def _permissions(self, method: str, kind: str, name: str, body: Any = None) -> dict[str, Any]:
        reply = self._lake.call(
            method,
            f"/api/2.1/unity-catalog/permissions/{kind}/{quote(name)}",
            body=b"" if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        assert reply.status == 200, reply
        return dict(json.loads(reply.content or b"{}"))


def _kind(found: re.Match[str]) -> str:
    kind = found["kind"].lower()
    return _KINDS.get(kind, kind)


def _plain(name: str) -> str:
    """Without the quotes around a name, or around each of its parts."""
    return name.strip().replace("`", "")


def _succeeded(rows: list[list[str]]) -> dict[str, Any]:
    columns = [{"name": name, "type_name": "STRING", "position": n} for n, name in enumerate(_COLUMNS)]
    return {
        "statement_id": str(uuid.uuid4()),
        "status": {"state": "SUCCEEDED"},
        "manifest": {"schema": {"column_count": len(columns), "columns": columns}, "total_row_count": len(rows)},
        "result": {"row_count": len(rows), "data_array": rows},
    }
