"""The metastore's side: catalogs, schemas, volumes, grants and governed tags, in the workspace of each environment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from gatehouse.errors import Refused, StateError, Unanswered
from gatehouse.setup import tags
from gatehouse.setup.desired import Identity, quoted, sql_grant
from gatehouse.setup.resources import Found, Kind, Made, NotYet, Resource, Step, Told
from gatehouse.setup.roles import CREATE_MODEL_VERSION, Securable
from gatehouse.setup.sdk import translated, workspace_client

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service.sql import StatementResponse

_REMEDY = "Sign in as a metastore administrator (databricks auth login), or hand the part over: --part metastore --plan"
_COMMENT = "Made by gatehouse setup."
_OF_TAGS = (Kind.TAG, Kind.ASSIGNMENT)


class MetastoreSide:
    """`hosts` are the workspaces to ask, by environment; each is signed in to when its first question is asked."""

    def __init__(self, hosts: Mapping[str, str]) -> None:
        self._hosts = hosts
        self._clients: dict[str, WorkspaceClient] = {}

    def identity(self, name: str) -> Identity | None:
        """The service principal of that display name, as a workspace knows it; None where none does, or several do."""
        import json

        for env in {host: env for env, host in self._hosts.items()}.values():
            client = self._client(env)
            with translated(f"Looking for service principal {name}", _REMEDY):
                listed = client.service_principals_v2.list(filter=f"displayName eq {json.dumps(name)}")
                found = [principal for principal in listed if principal.display_name == name]
            if len(found) == 1:
                return Identity(str(found[0].id), str(found[0].application_id))
        return None

    def look(self, resource: Resource) -> Told:
        """What is there of it."""
        from databricks.sdk.errors import NotFound

        client, at = self._client(resource.at["env"]), resource.at
        with translated(f"Looking at {resource.key}", _REMEDY):
            try:
                if resource.kind in _OF_TAGS:
                    return tags.look(client, resource)
                if resource.kind is Kind.CATALOG:
                    return Found(client.catalogs.get(resource.name).name or "")
                if resource.kind is Kind.SCHEMA:
                    return Found(client.schemas.get(resource.name).full_name or "")
                if resource.kind is Kind.VOLUME:
                    return Found(client.volumes.read(resource.name).full_name or "")
                if at.get("later") and not _exists(client, at):
                    return NotYet(f"{at['name']} is made by the first run; run gatehouse setup again after it.")
                held = _held(client, at) if resource.kind is Kind.GRANT else _held_by_sql(client, at)
                return Found(resource.key, {"privileges": held}) if held else None
            except NotFound:
                return None

    def make(self, step: Step) -> str:
        """Makes it; returns its identifier."""
        from databricks.sdk.service.catalog import VolumeType

        resource = step.resource
        if resource.kind in (Kind.GRANT, Kind.SQL_GRANT):
            self.change(step)
            return resource.key
        client, parts = self._client(resource.at["env"]), resource.name.split(".")
        with translated(f"Making {resource.key}", _REMEDY):
            if resource.kind in _OF_TAGS:
                return tags.make(client, step)
            if resource.kind is Kind.CATALOG:
                client.catalogs.create(parts[0], comment=_COMMENT)
            elif resource.kind is Kind.SCHEMA:
                client.schemas.create(parts[1], parts[0], comment=_COMMENT)
            else:
                client.volumes.create(parts[0], parts[1], parts[2], VolumeType.MANAGED, comment=_COMMENT)
        return resource.name

    def change(self, step: Step) -> None:
        """Brings and takes back privileges, and what tags may say; nothing else here differs in anything."""
        at = step.resource.at
        if step.resource.kind in _OF_TAGS:
            with translated(f"Changing {step.resource.key}", _REMEDY):
                tags.change(self._client(at["env"]), step)
            return
        self._regrant(step.resource.kind, at, step.add.get("privileges", ()), step.drop.get("privileges", ()))

    def remove(self, made: Made) -> None:
        """What setup made; Refused where it holds something by now."""
        from databricks.sdk.errors import NotFound

        client = self._client(made.at["env"])
        with translated(f"Removing {made.key}", _REMEDY):
            try:
                if made.kind in _OF_TAGS:
                    tags.remove(client, made)
                    return
                if made.kind in (Kind.GRANT, Kind.SQL_GRANT):
                    self._regrant(made.kind, made.at, (), made.added.get("privileges", ()))
                    return
                if held := _content(client, made):
                    raise Refused(
                        f"{made.key} is not empty: it holds {held}.",
                        why="Setup removes what it made, and never data.",
                        remedy=f"Move what it holds elsewhere, or keep it: {made.name} stays in the record.",
                    )
                if made.kind is Kind.CATALOG:
                    client.catalogs.delete(made.name)
                elif made.kind is Kind.SCHEMA:
                    client.schemas.delete(made.name)
                else:
                    client.volumes.delete(made.name)
            except NotFound:
                return

    def _regrant(self, kind: Kind, at: Mapping[str, str], add: Iterable[str], drop: Iterable[str]) -> None:
        from databricks.sdk.service.catalog import PermissionsChange, Privilege

        client, principal = self._client(at["env"]), at["principal"]
        with translated(f"Changing what {principal} may do on {at['name']}", _REMEDY):
            if kind is Kind.GRANT:
                change = PermissionsChange(
                    principal=principal,
                    add=[Privilege(p) for p in sorted(add)] or None,
                    remove=[Privilege(p) for p in sorted(drop)] or None,
                )
                client.grants.update(at["securable"], at["name"], changes=[change])
                return
            if CREATE_MODEL_VERSION in add:
                _run(client, at, sql_grant(at["securable"], at["name"], principal))
            if CREATE_MODEL_VERSION in drop:
                _run(client, at, sql_grant(at["securable"], at["name"], principal, revoke=True))

    def _client(self, env: str) -> WorkspaceClient:
        if env not in self._hosts:
            raise Unanswered(
                f"Nobody said in which workspace {env} lives.",
                why="Its catalog, schema and grants are seen from there.",
                remedy=f"Write it into conf/setup.yml: workspaces.{env}[0].host",
            )
        host = self._hosts[env]
        if host not in self._clients:
            self._clients[host] = workspace_client(host)
        return self._clients[host]


def _exists(client: WorkspaceClient, at: Mapping[str, str]) -> bool:
    from databricks.sdk.errors import NotFound

    if at["securable"] == Securable.TABLE:
        return bool(client.tables.exists(at["name"]).table_exists)
    try:
        return client.registered_models.get(at["name"]) is not None
    except NotFound:
        return False


def _held(client: WorkspaceClient, at: Mapping[str, str]) -> frozenset[str]:
    """Granted on the object itself: what is inherited could be lost with its parent's grant."""
    held: set[str] = set()
    token: str | None = None
    while True:
        answer = client.grants.get(at["securable"], at["name"], principal=at["principal"], page_token=token)
        for assignment in answer.privilege_assignments or []:
            if assignment.principal == at["principal"]:
                held |= {privilege.value for privilege in assignment.privileges or []}
        token = answer.next_page_token
        if not token:
            return frozenset(held)


def _held_by_sql(client: WorkspaceClient, at: Mapping[str, str]) -> frozenset[str]:
    statement = f"SHOW GRANTS {quoted(at['principal'], whole=True)} ON {at['securable'].upper()} {quoted(at['name'])}"
    answer = _run(client, at, statement)
    columns = answer.manifest.schema.columns if answer.manifest and answer.manifest.schema else None
    names = [str(column.name).casefold() for column in columns or []]
    rows = (answer.result.data_array if answer.result else None) or []
    if rows and "actiontype" not in names:
        raise Unanswered(
            f"SHOW GRANTS answered with the columns {', '.join(names) or 'none'}.",
            why="Which privileges there are stands under ActionType.",
            remedy="Give the grant by hand: gatehouse setup --part metastore --plan shows the statement.",
        )
    held = {str(row[names.index("actiontype")]).replace(" ", "_").upper() for row in rows}
    return frozenset(held & {CREATE_MODEL_VERSION})


def _run(client: WorkspaceClient, at: Mapping[str, str], statement: str) -> StatementResponse:
    from databricks.sdk.service.sql import ExecuteStatementRequestOnWaitTimeout, StatementState

    answer = client.statement_execution.execute_statement(
        statement,
        at["warehouse"],
        wait_timeout="50s",
        on_wait_timeout=ExecuteStatementRequestOnWaitTimeout.CANCEL,
    )
    state = answer.status.state if answer.status else None
    if state is not StatementState.SUCCEEDED:
        ended = state.value if state else "no state"
        error = answer.status.error.message if answer.status and answer.status.error else ""
        raise StateError(
            f"Warehouse {at['warehouse']} ended with {ended}: {statement}. {error or ''}",
            why="The grant has no other way than SQL.",
            remedy="Run the statement by hand, as the owner of the schema.",
        )
    return answer


def _content(client: WorkspaceClient, made: Made) -> str:
    """Something that it holds; empty: nothing."""
    from databricks.sdk.errors import NotFound

    parts = made.name.split(".")
    if made.kind is Kind.CATALOG:
        own = ("default", "information_schema")
        return next((f"schema {s.name}" for s in client.schemas.list(made.name) if s.name not in own), "")
    if made.kind is Kind.SCHEMA:
        things = [f"table {t.name}" for t in client.tables.list(parts[0], parts[1])]
        things += [f"volume {v.name}" for v in client.volumes.list(parts[0], parts[1])]
        things += [
            f"model {m.name}" for m in client.registered_models.list(catalog_name=parts[0], schema_name=parts[1])
        ]
        return next(iter(things), "")
    try:
        files = client.files.list_directory_contents("/Volumes/" + "/".join(parts))
        return next((f"file {f.name}" for f in files), "")
    except NotFound:
        return ""
