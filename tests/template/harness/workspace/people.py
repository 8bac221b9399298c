"""What tests of the workspace share: clients, a developer, a schema of the test's own, grants."""

from __future__ import annotations

import itertools

from databricks.sdk import WorkspaceClient
from databricks.sdk.service.catalog import PermissionsChange, Privilege
from tests.template.harness.workspace import ADMIN, Workspace

PEOPLE = "delays-developers"
DORA = "dora@example.com"
_names = (f"s{number}" for number in itertools.count())


def client_of(workspace: Workspace, identity: str = ADMIN) -> WorkspaceClient:
    """The SDK as this identity."""
    return WorkspaceClient(host=workspace.host, token=workspace.token_of(identity), auth_type="pat")


def new_schema(admin: WorkspaceClient) -> str:
    """A schema of the test's own, in the catalog dev."""
    if "dev" not in [catalog.name for catalog in admin.catalogs.list()]:
        admin.catalogs.create("dev")
    return str(admin.schemas.create(next(_names), "dev").full_name)


def grant(admin: WorkspaceClient, kind: str, name: str, who: str, *privileges: str) -> None:
    """As the API does it; `kind` of a registered model is function."""
    change = PermissionsChange(principal=who, add=[Privilege(privilege) for privilege in privileges])
    admin.grants.update(kind, name, changes=[change])


def let_in(admin: WorkspaceClient, schema: str, who: str = PEOPLE) -> None:
    """What everybody needs who is to see anything in the schema."""
    grant(admin, "catalog", "dev", who, "USE_CATALOG")
    grant(admin, "schema", schema, who, "USE_SCHEMA")
