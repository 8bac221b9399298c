"""A Databricks account, a workspace, GitHub and Azure DevOps on loopback, as far as setup asks them.

The workspace is minilake, a process of its own: Unity Catalog, grants, SCIM, files. In front of it stands what refuses
tokens, and the SQL interface, of which it answers SHOW GRANTS, GRANT and REVOKE. The account's routes are those of the
documented interface: SCIM, permission assignments, federation policies; tag policies and rule sets
likewise, in the workspace. Whatever else is asked is an error.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import requests
from tests.loopback import Call, Loopback, Reply

ACCOUNT = "11111111-2222-3333-4444-555555555555"
TOKEN = "s3cret"  # noqa: S105 - of a server that lives as long as a test
READER = "r3ader"
NOT_FOUND = Reply(status=404, json={"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "Not there."})


class Guarded(Loopback):
    """Takes two tokens: one that may everything, one that may only look. `fails` names calls to refuse once each."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []
        self.fails: dict[str, Reply] = {}
        self.before: Callable[[Call], None] = lambda _: None

    def answer(self, call: Call) -> Reply:
        """401 and 403 as documented."""
        if call.path.startswith("/.well-known"):
            return Reply(json={})
        token = call.headers.get("authorization", "").removeprefix("Bearer ").removeprefix("token ")
        if token not in (TOKEN, READER):
            return Reply(status=401, json={"error_code": "UNAUTHENTICATED", "message": "Bad credentials"})
        asks = call.method == "GET" or b"SHOW GRANTS" in call.body
        if not asks and token == READER:
            return Reply(status=403, json={"error_code": "PERMISSION_DENIED", "message": "You may only look."})
        self.before(call)
        for pattern in [p for p in self.fails if re.fullmatch(p, f"{call.method} {call.path}")]:
            return self.fails.pop(pattern)
        if not asks:
            self.writes.append(f"{call.method} {call.path}")
        return super().answer(call)


class Account(Guarded):
    """Groups, service principals, who is assigned to a workspace, federation policies."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, dict[str, dict[str, Any]]] = {"Groups": {}, "ServicePrincipals": {}}
        self.assigned: dict[tuple[str, str], list[str]] = {}
        self.policies: dict[str, dict[str, dict[str, Any]]] = {}
        self._numbers = iter(range(4001, 9999))
        base = f"/api/2.0/accounts/{ACCOUNT}"
        for kind in self.kept:
            self.teach("GET", f"{base}/scim/v2/{kind}", partial(self._list, kind))
            self.teach("POST", f"{base}/scim/v2/{kind}", partial(self._make, kind))
            self.teach("DELETE", f"{base}/scim/v2/{kind}/{{id}}", partial(self._remove, kind))
        access = f"{base}/workspaces/{{workspace}}/permissionassignments"
        self.teach("GET", access, self._assignments)
        self.teach("PUT", f"{access}/principals/{{id}}", self._assign)
        self.teach("DELETE", f"{access}/principals/{{id}}", self._unassign)
        policies = f"{base}/servicePrincipals/{{id}}/federationPolicies"
        self.teach("GET", policies, lambda call: {"policies": list(self.policies.get(call.parts["id"], {}).values())})
        self.teach("POST", policies, self._make_policy)
        self.teach("PATCH", f"{policies}/{{policy}}", self._change_policy)
        self.teach("DELETE", f"{policies}/{{policy}}", self._remove_policy)

    def named(self, kind: str) -> dict[str, str]:
        """Numbers by names."""
        return {entry["displayName"]: number for number, entry in self.kept[kind].items()}

    def _list(self, kind: str, call: Call) -> Any:
        asked = re.fullmatch(r'displayName eq "(.+)"', call.query["filter"])
        found = [e for e in self.kept[kind].values() if asked and e["displayName"] == asked[1]]
        return {"Resources": found[int(call.query["startIndex"]) - 1 :], "totalResults": len(found)}

    def _make(self, kind: str, call: Call) -> Reply:
        body, number = call.json(), str(next(self._numbers))
        if kind == "Groups" and body["displayName"] in self.named(kind):
            return Reply(status=409, json={"error_code": "RESOURCE_ALREADY_EXISTS", "message": "It exists."})
        made = {"id": number, "displayName": body["displayName"]}
        if kind == "ServicePrincipals":
            made["applicationId"] = str(uuid.uuid5(uuid.NAMESPACE_OID, number))
        self.kept[kind][number] = made
        return Reply(status=201, json=made)

    def _remove(self, kind: str, call: Call) -> Reply:
        return Reply(status=204) if self.kept[kind].pop(call.parts["id"], None) else NOT_FOUND

    def _assignments(self, call: Call) -> Any:
        found = [
            {"principal": {"principal_id": int(principal)}, "permissions": permissions}
            for (workspace, principal), permissions in self.assigned.items()
            if workspace == call.parts["workspace"]
        ]
        return {"permission_assignments": found}

    def _assign(self, call: Call) -> Any:
        known = {number for entries in self.kept.values() for number in entries}
        if call.parts["id"] not in known:
            return NOT_FOUND
        self.assigned[call.parts["workspace"], call.parts["id"]] = call.json()["permissions"]
        return {"principal": {"principal_id": int(call.parts["id"])}, "permissions": call.json()["permissions"]}

    def _unassign(self, call: Call) -> Any:
        return {} if self.assigned.pop((call.parts["workspace"], call.parts["id"]), None) else NOT_FOUND

    def _make_policy(self, call: Call) -> Reply:
        own, number = self.policies.setdefault(call.parts["id"], {}), call.query["policy_id"]
        if not re.fullmatch(r"[a-z0-9/-]+", number) or len(own) >= 20:
            return Reply(status=400, json={"error_code": "INVALID_PARAMETER_VALUE", "message": "policy_id"})
        if number in own:
            return Reply(status=409, json={"error_code": "ALREADY_EXISTS", "message": "It exists."})
        own[number] = {**call.json(), "policy_id": number, "service_principal_id": int(call.parts["id"])}
        return Reply(json=own[number])

    def _change_policy(self, call: Call) -> Any:
        kept = self.policies[call.parts["id"]][call.parts["policy"]]
        kept.update(call.json())
        return kept

    def _remove_policy(self, call: Call) -> Any:
        return {} if self.policies.get(call.parts["id"], {}).pop(call.parts["policy"], None) else NOT_FOUND


def _rules_of(tag: dict[str, Any]) -> str:
    return f"accounts/{ACCOUNT}/tagPolicies/{tag['id']}/ruleSets/default"


class Workspace(Guarded):
    """minilake, behind a door. `by_sql` are the privileges that SQL gave: (object, principal)."""

    def __init__(self, lake: str) -> None:
        super().__init__()
        self._lake = lake
        self._line = requests.Session()
        self.by_sql: dict[tuple[str, str], set[str]] = {}
        self.statements: list[str] = []
        self.made: set[str] = set()
        """Models that a run has made; tables are minilake's."""
        self.tags: dict[str, dict[str, Any]] = {}
        self.rules: dict[str, dict[str, Any]] = {}
        tags = "/api/2.1/tag-policies"
        self.teach("POST", tags, self._govern)
        self.teach("GET", f"{tags}/{{tag}}", lambda call: self.tags.get(call.parts["tag"], NOT_FOUND))
        self.teach("PATCH", f"{tags}/{{tag}}", self._change_tag)
        self.teach("DELETE", f"{tags}/{{tag}}", self._ungovern)
        rules = "/api/2.0/preview/accounts/access-control/rule-sets"
        self.teach("GET", rules, lambda call: self.rules.get(call.query["name"], NOT_FOUND))
        self.teach("PUT", rules, self._rule)
        self.teach("POST", "/api/2.0/sql/statements", self._sql)
        self.teach("GET", "/api/2.1/unity-catalog/models/{name}", self._model)
        self.teach("GET", "/api/2.1/unity-catalog/models", lambda _: {"registered_models": []})
        self.teach("*", "/api/{rest...}", self.forward)

    def forward(self, call: Call) -> Reply:
        """As it came."""
        query = {name: value for name, value in call.query.items() if name}
        answer = self._line.request(
            call.method, f"{self._lake}{call.path}", params=query, data=call.body, timeout=30,
            headers={"Content-Type": call.headers.get("content-type", "application/json")},
        )  # fmt: skip
        if answer.status_code == 501:
            self.surprises.append(f"minilake: {call.method} {call.path}")
        return Reply(status=answer.status_code, content=answer.content)

    def _model(self, call: Call) -> Any:
        return {"full_name": call.parts["name"]} if call.parts["name"] in self.made else NOT_FOUND

    def assigners(self, tag: str) -> set[str]:
        """Who may assign a governed tag."""
        rules = self.rules[_rules_of(self.tags[tag])]["grant_rules"]
        return {p for rule in rules if rule["role"] == "roles/tagPolicy.assigner" for p in rule["principals"]}

    def _govern(self, call: Call) -> Reply:
        """Its maker may manage it."""
        body = call.json()
        if body["tag_key"] in self.tags:
            return Reply(status=409, json={"error_code": "ALREADY_EXISTS", "message": "It exists."})
        made = self.tags[body["tag_key"]] = {**body, "id": str(uuid.uuid4())}
        manages = {"role": "roles/tagPolicy.manager", "principals": ["users/admin@example.org"]}
        name = _rules_of(made)
        self.rules[name] = {"name": name, "etag": "1", "grant_rules": [manages]}
        return Reply(json=made)

    def _change_tag(self, call: Call) -> Any:
        if call.query["update_mask"] != "values":
            return Reply(status=400, json={"error_code": "INVALID_PARAMETER_VALUE", "message": "update_mask"})
        self.tags[call.parts["tag"]]["values"] = call.json().get("values", [])
        return self.tags[call.parts["tag"]]

    def _ungovern(self, call: Call) -> Any:
        gone = self.tags.pop(call.parts["tag"], None)
        return {} if gone and self.rules.pop(_rules_of(gone)) else NOT_FOUND

    def _rule(self, call: Call) -> Any:
        """All of them at once, and only by whoever has read the newest ones."""
        name, asked = call.json()["name"], call.json()["rule_set"]
        if asked["etag"] != self.rules[name]["etag"]:
            return Reply(status=409, json={"error_code": "RESOURCE_CONFLICT", "message": "Stale etag."})
        rules = asked.get("grant_rules", [])
        self.rules[name] = {"name": name, "etag": str(int(asked["etag"]) + 1), "grant_rules": rules}
        return self.rules[name]

    def _sql(self, call: Call) -> Reply:
        body = call.json()
        statement = body["statement"]
        self.statements.append(statement)
        if body["warehouse_id"] != "w1":
            return Reply(status=404, json={"error_code": "NOT_FOUND", "message": "No such warehouse."})
        shown = re.fullmatch(r"SHOW GRANTS (`[^`]+`) ON SCHEMA (`[^`]+`\.`[^`]+`)", statement)
        given = re.fullmatch(
            r"(GRANT|REVOKE) (CREATE MODEL VERSION) ON SCHEMA (`[^`]+`\.`[^`]+`) (?:TO|FROM) (`[^`]+`)", statement
        )
        rows: list[list[str]] = []
        if shown:
            rows = [[shown[1], p, "SCHEMA", shown[2]] for p in sorted(self.by_sql.get((shown[2], shown[1]), ()))]
        elif given:
            held = self.by_sql.setdefault((given[3], given[4]), set())
            (held.add if given[1] == "GRANT" else held.discard)(given[2])
        else:
            error = {"error_code": "BAD_REQUEST", "message": "PARSE_SYNTAX_ERROR"}
            return Reply(json={"statement_id": "1", "status": {"state": "FAILED", "error": error}})
        columns = [{"name": name} for name in ("Principal", "ActionType", "ObjectType", "ObjectKey")]
        manifest = {"schema": {"columns": columns}}
        result = {"data_array": rows}
        status = {"state": "SUCCEEDED"}
        return Reply(json={"statement_id": "1", "status": status, "manifest": manifest, "result": result})


@contextmanager
def minilake(folder: Path) -> Iterator[str]:
    """Its address. Only the services that need nothing of the network."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environ = {
        **os.environ,
        "MINILAKE_DATA_DIR": str(folder),
        "MINILAKE_SERVICES": "unity_catalog,grants,scim,identity,files",
    }
    words = [sys.executable, "-c", "from minilake.cli import main; main()", "--port", str(port)]
    process = subprocess.Popen(words, env=environ, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                requests.get(f"{address}/api/2.0/preview/scim/v2/Me", timeout=5)
                break
            except requests.ConnectionError:
                assert process.poll() is None, "minilake did not start"
                time.sleep(0.05)  # until its socket is open
        yield address
    finally:
        process.terminate()
        process.wait()


class GitHub(Guarded):
    """A repository's environments with their rules and variables, accounts and teams, and the subject of its tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.environments: dict[str, dict[str, Any]] = {}
        self.rules: dict[str, dict[str, dict[str, Any]]] = {}
        self.variables: dict[str, dict[str, str]] = {}
        self.subject: dict[str, Any] = {
            "use_default": True,
            "use_immutable_subject": False,
            "sub_claim_prefix": "repo:octo@7/parcels@12",
        }
        self.private = False
        self._numbers = iter(range(1, 999))
        home = "/repos/octo/parcels"
        self.teach("GET", f"{home}/actions/oidc/customization/sub", lambda _: self.subject)
        self.teach("GET", "/users/{login}", self._user)
        self.teach("GET", "/orgs/octo/teams/{slug}", lambda call: {"id": 77, "slug": call.parts["slug"]})
        place = f"{home}/environments/{{name}}"
        self.teach("GET", place, lambda call: self.environments.get(call.parts["name"], NOT_FOUND))
        self.teach("PUT", place, self._put)
        self.teach("DELETE", place, self._delete)
        rules = f"{place}/deployment-branch-policies"
        self.teach(
            "GET", rules, lambda call: {"branch_policies": list(self.rules.get(call.parts["name"], {}).values())}
        )
        self.teach("POST", rules, self._rule)
        self.teach("DELETE", f"{rules}/{{id}}", self._no_rule)
        self.teach("GET", f"{place}/variables/{{variable}}", self._variable)
        self.teach("POST", f"{place}/variables", self._set)
        self.teach("PATCH", f"{place}/variables/{{variable}}", self._set)
        self.teach("DELETE", f"{place}/variables/{{variable}}", self._unset)

    def _user(self, call: Call) -> Any:
        known = {"anna": 1001, "ben": 1002}
        return (
            {"login": call.parts["login"], "id": known[call.parts["login"]]}
            if call.parts["login"] in known
            else NOT_FOUND
        )

    def _put(self, call: Call) -> Any:
        name, body = call.parts["name"], call.json()
        if body.get("reviewers") and self.private:
            why = "Failed to create the environment protection rule. Please ensure the billing plan supports it."
            return Reply(status=422, json={"message": why})
        names = {1001: {"login": "anna"}, 1002: {"login": "ben"}}
        team = {"slug": "owners", "html_url": "https://github.com/orgs/octo/teams/owners"}
        rules: list[dict[str, Any]] = [{"id": 1, "type": "branch_policy"}]
        if body.get("wait_timer"):
            rules.append({"id": 2, "type": "wait_timer", "wait_timer": body["wait_timer"]})
        if body.get("reviewers"):
            asked = [
                {"type": r["type"], "reviewer": {"id": r["id"], **(names[r["id"]] if r["type"] == "User" else team)}}
                for r in body["reviewers"]
            ]
            own = body.get("prevent_self_review", False)
            rules.append({"id": 3, "type": "required_reviewers", "prevent_self_review": own, "reviewers": asked})
        number = self.environments.get(name, {}).get("id") or next(self._numbers)
        limit = body["deployment_branch_policy"]
        made = {"id": number, "name": name, "protection_rules": rules, "deployment_branch_policy": limit}
        self.environments[name] = made
        return made

    def _delete(self, call: Call) -> Reply:
        return Reply(status=204) if self.environments.pop(call.parts["name"], None) else NOT_FOUND

    def _rule(self, call: Call) -> Any:
        if call.parts["name"] not in self.environments:
            return NOT_FOUND
        made = {"id": next(self._numbers), **call.json()}
        self.rules.setdefault(call.parts["name"], {})[str(made["id"])] = made
        return made

    def _no_rule(self, call: Call) -> Reply:
        return Reply(status=204) if self.rules.get(call.parts["name"], {}).pop(call.parts["id"], None) else NOT_FOUND

    def _variable(self, call: Call) -> Any:
        value = self.variables.get(call.parts["name"], {}).get(call.parts["variable"])
        return NOT_FOUND if value is None else {"name": call.parts["variable"], "value": value}

    def _set(self, call: Call) -> Reply:
        if call.parts["name"] not in self.environments:
            return NOT_FOUND
        body = call.json()
        self.variables.setdefault(call.parts["name"], {})[body["name"]] = body["value"]
        return Reply(status=201 if call.method == "POST" else 204, json={})

    def _unset(self, call: Call) -> Reply:
        gone = self.variables.get(call.parts["name"], {}).pop(call.parts["variable"], None)
        return Reply(status=204) if gone is not None else NOT_FOUND
