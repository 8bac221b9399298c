"""Who asks. A token is an identity: a user by e-mail address, or a service principal by its application id."""

from __future__ import annotations

import json
import secrets
import uuid
from typing import Any
from urllib.parse import quote

from tests.template.harness.workspace.children import Child
from tests.template.harness.workspace.errors import Refusal
from tests.template.harness.workspace.front import WORKSPACE_ID, Front, Request

ADMIN = "admin@example.com"
ADMINS = "admins"
_SCIM = "/api/2.0/preview/scim/v2"


class Identities:
    """Users, groups, service principals are minilake's (SCIM); tokens are ours. Members of `admins` may everything."""

    def __init__(self, lake: Child) -> None:
        self._lake = lake
        self._tokens: dict[str, str] = {}
        self._expired: set[str] = set()
        self._names: dict[str, set[str]] = {}  # of principals_of, until somebody changes users or groups

    def teach(self, front: Front) -> None:
        front.teach("GET", f"{_SCIM}/Me", lambda request: self._me(request.caller))
        front.teach("GET", "/.well-known/databricks-config", lambda _: _configuration(front.url))

    def add_user(self, email: str, *groups: str) -> str:
        """The e-mail address again (the user may exist): by it grants and permissions know the user."""
        return self._add("Users", {"userName": email, "displayName": email.partition("@")[0]}, email, groups)

    def add_service_principal(self, name: str, *groups: str) -> str:
        """The application id, the same for the same name: by it grants and permissions know the service principal."""
        application = str(uuid.uuid5(uuid.NAMESPACE_DNS, name))
        return self._add("ServicePrincipals", {"displayName": name, "applicationId": application}, application, groups)

    def add_group(self, name: str) -> str:
        """The id of the group, which may exist."""
        return str(self._found("Groups", name, "displayName").get("id") or self._post("Groups", {"displayName": name}))

    def token_of(self, identity: str) -> str:
        """A token of a user, of a service principal (application id or display name)."""
        principal = self._principal(identity)
        for known, of in self._tokens.items():
            if of == principal and known not in self._expired:
                return known
        token = f"dapi{secrets.token_hex(16)}"
        self._tokens[token] = principal
        return token

    def expire(self, identity: str) -> None:
        """Its token; the next one that is asked for is another."""
        self._expired.add(self.token_of(identity))

    def identify(self, request: Request) -> str:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not token:
            raise Refusal(401, "UNAUTHENTICATED", "Credential was not sent or was of an unsupported type for this API.")
        if token in self._expired:
            raise Refusal(401, "UNAUTHENTICATED", "Access token has expired.")
        if token not in self._tokens:
            raise Refusal(403, "PERMISSION_DENIED", "Invalid access token.")
        return self._tokens[token]

    def principals_of(self, caller: str) -> set[str]:
        """The names under which grants may speak of the caller: its own, and those of its groups."""
        if caller not in self._names:
            self._names[caller] = self._named(caller)
        return self._names[caller]

    def forget(self, request: Request) -> None:
        """Users, groups or their members may be others after this call."""
        if request.method != "GET" and "/scim/" in request.path:
            self._names.clear()

    def _named(self, caller: str) -> set[str]:
        ids = {entry["id"] for kind, name in _KINDS for entry in self._all(kind) if entry.get(name) == caller}
        groups = [g for g in self._all("Groups") if ids & {m["value"] for m in g.get("members") or []}]
        return {caller, "account users", "users", *(group["displayName"] for group in groups)}

    def is_admin(self, caller: str) -> bool:
        return caller == ADMIN or ADMINS in self.principals_of(caller)

    def _principal(self, identity: str) -> str:
        if identity == ADMIN:
            return ADMIN
        for kind, name in _KINDS:
            for entry in self._all(kind):
                if identity in (entry.get(name), entry.get("displayName")):
                    return str(entry[name])
        raise KeyError(f"{identity} is nobody in this workspace")

    def _me(self, caller: str) -> dict[str, Any]:
        for kind, name in _KINDS:
            for entry in self._all(kind):
                if entry.get(name) == caller:
                    me = {**entry, "userName": caller, "active": True}
                    return me
        raise Refusal(404, "RESOURCE_DOES_NOT_EXIST", f"{caller} was deleted.")

    def _add(self, kind: str, body: dict[str, Any], principal: str, groups: tuple[str, ...]) -> str:
        attribute = dict(_KINDS)[kind]
        new = self._found(kind, body[attribute], attribute).get("id") or self._post(kind, body)
        for group in groups:
            operation = {"op": "add", "path": "members", "value": [{"value": new}]}
            found = self._found("Groups", group, "displayName")
            if not found.get("members"):
                operation["op"] = "replace"
            self._lake_json("PATCH", f"Groups/{found.get('id') or self.add_group(group)}", {"Operations": [operation]})
        return principal

    def _post(self, kind: str, body: dict[str, Any]) -> str:
        return str(self._lake_json("POST", kind, body)["id"])

    def _found(self, kind: str, name: str, attribute: str) -> dict[str, Any]:
        wanted = quote(f'{attribute} eq "{name}"')
        given = self._lake_json("GET", f"{kind}?filter={wanted}")
        return dict((given.get("Resources") or [{}])[0])

    def _all(self, kind: str) -> list[dict[str, Any]]:
        return list(self._lake_json("GET", kind).get("Resources") or [])

    def _lake_json(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        if method != "GET":
            self._names.clear()
        sent = b"" if body is None else json.dumps(body).encode()
        reply = self._lake.call(method, f"{_SCIM}/{path}", body=sent, headers={"Content-Type": "application/json"})
        given = json.loads(reply.content or b"{}")
        if reply.status >= 400:
            raise Refusal(reply.status, given.get("error_code", "UNKNOWN"), given.get("message", str(given)))
        return dict(given)


_KINDS = (("Users", "userName"), ("ServicePrincipals", "applicationId"))


def _configuration(url: str) -> dict[str, str]:
    return {"oidc_endpoint": f"{url}/oidc", "workspace_id": WORKSPACE_ID, "cloud": "AWS"}
