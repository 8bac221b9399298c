"""Azure DevOps on loopback, as far as setup asks it: environments, checks, variable groups, its number."""

from __future__ import annotations

import base64
from typing import Any

from tests.loopback import Call, Loopback, Reply
from tests.unit.setup.servers import TOKEN

ORGANISATION = "9f1e0a52-0000-4000-8000-00000000000a"
PROJECT = "/octo/flight%20parcels"
NOT_FOUND = Reply(status=404, json={"message": "Not there."})


class Azure(Loopback):
    """The project `flight parcels` of the organisation `octo`; a personal token."""

    def __init__(self) -> None:
        super().__init__()
        self.environments: dict[int, str] = {}
        self.checks: dict[int, dict[str, Any]] = {}
        self.groups: dict[int, dict[str, Any]] = {}
        self.writes: list[str] = []
        self.number: str | None = ORGANISATION
        self._numbers = iter(range(1, 999))
        self.teach("GET", "/octo/_apis/connectionData", lambda _: {"instanceId": self.number})
        self.teach("GET", f"/octo/_apis/projects{PROJECT.removeprefix('/octo')}", lambda _: {"id": "p-1"})
        environments = f"{PROJECT}/_apis/distributedtask/environments"
        self.teach("GET", f"{PROJECT}/_apis/pipelines/environments", self._listed)
        self.teach("POST", environments, self._environment)
        self.teach("DELETE", f"{environments}/{{id}}", lambda call: self._remove(self.environments, call))
        checks = f"{PROJECT}/_apis/pipelines/checks/configurations"
        self.teach("GET", checks, self._checks)
        self.teach("POST", checks, self._check)
        self.teach("PATCH", f"{checks}/{{id}}", self._change)
        self.teach("DELETE", f"{checks}/{{id}}", lambda call: self._remove(self.checks, call))
        groups = "/octo/_apis/distributedtask/variablegroups"
        self.teach("GET", f"{PROJECT}/_apis/distributedtask/variablegroups", self._groups)
        self.teach("POST", groups, self._group)
        self.teach("PUT", f"{groups}/{{id}}", self._group)
        self.teach("DELETE", f"{groups}/{{id}}", lambda call: self._remove(self.groups, call))

    def answer(self, call: Call) -> Reply:
        """Sends whoever has no token to a page to sign in, as Azure DevOps does."""
        if call.headers.get("authorization") != "Basic " + base64.b64encode(f":{TOKEN}".encode()).decode():
            return Reply(status=401, json={"message": "Sign in."})
        if call.method != "GET":
            self.writes.append(f"{call.method} {call.path}")
        return super().answer(call)

    def _listed(self, call: Call) -> Any:
        return {
            "value": [{"id": n, "name": name} for n, name in self.environments.items() if call.query["name"] in name]
        }

    def _environment(self, call: Call) -> Any:
        number = next(self._numbers)
        self.environments[number] = call.json()["name"]
        return {"id": number, **call.json()}

    def _checks(self, call: Call) -> Any:
        wanted = call.query["resourceId"]
        found = [c for c in self.checks.values() if c["resource"]["id"] == wanted]
        return {"value": found if call.query.get("$expand") == "settings" else [{**c, "settings": None} for c in found]}

    def _check(self, call: Call) -> Any:
        body = call.json()
        if int(body["resource"]["id"]) not in self.environments or "settings" not in body:
            return Reply(status=400, json={"message": "No such resource."})
        number = next(self._numbers)
        self.checks[number] = {**body, "id": number, "type": {**body["type"], "id": body["type"]["id"].upper()}}
        return self.checks[number]

    def _change(self, call: Call) -> Any:
        self.checks[int(call.parts["id"])] |= call.json()
        return self.checks[int(call.parts["id"])]

    def _groups(self, call: Call) -> Any:
        return {"value": [g for g in self.groups.values() if g["name"] == call.query["groupName"]]}

    def _group(self, call: Call) -> Any:
        body = call.json()
        [reference] = body["variableGroupProjectReferences"]
        if reference["projectReference"] != {"id": "p-1", "name": "flight parcels"} or body["type"] != "Vsts":
            return Reply(status=400, json={"message": "No such project."})
        number = int(call.parts["id"]) if "id" in call.parts else next(self._numbers)
        self.groups[number] = {**body, "id": number}
        return self.groups[number]

    def _remove(self, kept: dict[int, Any], call: Call) -> Reply:
        return Reply(status=204) if kept.pop(int(call.parts["id"]), None) else NOT_FOUND
