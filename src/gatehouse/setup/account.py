"""The account's side: groups, service principals, who may enter a workspace, whose tokens may act as whom."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from gatehouse.errors import StateError
from gatehouse.setup.desired import Identity
from gatehouse.setup.resources import Found, Kind, Made, Resource, Step, Told
from gatehouse.setup.sdk import account_client, translated

if TYPE_CHECKING:
    from databricks.sdk import AccountClient
    from databricks.sdk.service.oauth2 import FederationPolicy

_REMEDY = "Sign in as an account administrator (databricks auth login), or hand the part over: --part account --plan"


class AccountSide:
    """Signs in when the first question is asked."""

    def __init__(self, host: str, account: str) -> None:
        self._host = host
        self._account = account
        self._identities: dict[str, Identity] = {}

    @cached_property
    def _client(self) -> AccountClient:
        return account_client(self._host, self._account)

    def identity(self, name: str) -> Identity | None:
        """The service principal of that display name, remembered once it is there; StateError if several have it."""
        if name in self._identities:
            return self._identities[name]
        with translated(f"Looking for service principal {name}", _REMEDY):
            found = [
                sp for sp in self._client.service_principals_v2.list(filter=_named(name)) if sp.display_name == name
            ]
        if len(found) > 1:
            raise StateError(
                f"{len(found)} service principals are called {name}.",
                why="Tokens of the CI would act as one of them, and nobody could say which.",
                remedy="Rename or remove all but one in the account console.",
            )
        if found:
            self._identities[name] = Identity(str(found[0].id), str(found[0].application_id))
        return self._identities.get(name)

    def look(self, resource: Resource) -> Told:
        """What is there of it."""
        with translated(f"Looking at {resource.key}", _REMEDY):
            if resource.kind is Kind.GROUP:
                group = self._group(resource.name)
                return Found(group) if group else None
            if resource.kind is Kind.SERVICE_PRINCIPAL:
                identity = self.identity(resource.name)
                return Found(identity.id, {"application": identity.application}) if identity else None
            if resource.kind is Kind.ACCESS:
                return self._access(resource.at)
            return self._policy(resource)

    def make(self, step: Step) -> str:
        """Makes it; returns its identifier."""
        from databricks.sdk.service.iam import WorkspacePermission

        resource = step.resource
        with translated(f"Making {resource.key}", _REMEDY):
            if resource.kind is Kind.GROUP:
                return str(self._client.groups_v2.create(display_name=resource.name).id)
            if resource.kind is Kind.SERVICE_PRINCIPAL:
                created = self._client.service_principals_v2.create(display_name=resource.name, active=True)
                return str(created.id)
            if resource.kind is Kind.ACCESS:
                principal = self._principal(resource.at)
                self._client.workspace_assignment.update(
                    int(resource.at["workspace"]), int(principal), permissions=[WorkspacePermission.USER]
                )
                return principal
            identity = self._expected(resource.at["principal"])
            self._client.service_principal_federation_policy.create(
                int(identity.id), _policy(resource), policy_id=resource.at["policy"]
            )
            return resource.at["policy"]

    def change(self, step: Step) -> None:
        """Only access and policies differ in anything."""
        resource = step.resource
        if resource.kind is Kind.ACCESS:
            self.make(step)
            return
        with translated(f"Changing {resource.key}", _REMEDY):
            identity = self._expected(resource.at["principal"])
            self._client.service_principal_federation_policy.update(
                int(identity.id), resource.at["policy"], _policy(resource)
            )

    def remove(self, made: Made) -> None:
        """What setup made; nothing happens if it is gone."""
        from databricks.sdk.errors import NotFound

        with translated(f"Removing {made.key}", _REMEDY):
            try:
                if made.kind is Kind.GROUP:
                    self._client.groups_v2.delete(made.id)
                elif made.kind is Kind.SERVICE_PRINCIPAL:
                    self._identities.pop(made.name, None)
                    self._client.service_principals_v2.delete(made.id)
                elif made.kind is Kind.ACCESS:
                    self._client.workspace_assignment.delete(int(made.at["workspace"]), int(made.id))
                elif identity := self.identity(made.at["principal"]):
                    self._client.service_principal_federation_policy.delete(int(identity.id), made.at["policy"])
            except NotFound:
                return

    def _group(self, name: str) -> str:
        groups = self._client.groups_v2.list(filter=_named(name))
        return next((str(group.id) for group in groups if group.display_name == name), "")

    def _principal(self, at: Mapping[str, str]) -> str:
        if not at["group"]:
            return self._expected(at["principal"]).id
        if group := self._group(at["principal"]):
            return group
        raise StateError(
            f"There is no group {at['principal']}.",
            why="It is to be let into a workspace.",
            remedy="gatehouse setup --part account",
        )

    def _expected(self, name: str) -> Identity:
        if identity := self.identity(name):
            return identity
        raise StateError(
            f"There is no service principal {name}.",
            why="Somebody removed it in the meantime.",
            remedy="gatehouse setup --part account",
        )

    def _access(self, at: Mapping[str, str]) -> Told:
        principal = self._group(at["principal"]) if at["group"] else getattr(self.identity(at["principal"]), "id", "")
        if not principal:
            return None
        for assignment in self._client.workspace_assignment.list(int(at["workspace"])):
            if assignment.principal and str(assignment.principal.principal_id) == principal:
                held = {p.value for p in assignment.permissions or []}
                return Found(principal, {"permissions": frozenset(held | ({"USER"} if "ADMIN" in held else set()))})
        return None

    def _policy(self, resource: Resource) -> Told:
        """By its identifier; else one that says the same under another."""
        identity = self.identity(resource.at["principal"])
        if identity is None:
            return None
        policies = list(self._client.service_principal_federation_policy.list(int(identity.id)))
        told = [(policy.policy_id or "", _has(policy)) for policy in policies]
        named = [Found(number, has) for number, has in told if number == resource.at["policy"]]
        same = [Found(number, has) for number, has in told if has == dict(resource.wants)]
        return next(iter((*named, *same)), None)


def _named(name: str) -> str:
    return f"displayName eq {json.dumps(name)}"


def _has(policy: FederationPolicy) -> dict[str, str]:
    oidc = policy.oidc_policy
    if oidc is None:
        return {}
    audiences = ", ".join(sorted(oidc.audiences or []))
    return {"issuer": oidc.issuer or "", "subject": oidc.subject or "", "audiences": audiences}


def _policy(resource: Resource) -> FederationPolicy:
    from databricks.sdk.service.oauth2 import FederationPolicy, OidcFederationPolicy

    wants = resource.wants
    audiences = str(wants["audiences"]).split(", ") if wants["audiences"] else None
    oidc = OidcFederationPolicy(issuer=str(wants["issuer"]), subject=str(wants["subject"]), audiences=audiences)
    return FederationPolicy(oidc_policy=oidc, description="Made by gatehouse setup.")
