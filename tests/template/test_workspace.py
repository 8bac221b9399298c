"""The emulated workspace as databricks-sdk sees it: identities, Unity Catalog, files, what bundles make, faults."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import requests
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import (
    AlreadyExists,
    InternalError,
    InvalidParameterValue,
    NotFound,
    NotImplemented,
    PermissionDenied,
    Unauthenticated,
)
from databricks.sdk.service.catalog import PermissionsChange, Privilege, VolumeType
from databricks.sdk.service.dashboards import Dashboard
from databricks.sdk.service.iam import Patch, PatchOp, PatchSchema
from tests.template.harness import NotUnderstood
from tests.template.harness.workspace import ADMIN, Workspace
from tests.template.harness.workspace.people import DORA, PEOPLE, client_of, grant, let_in, new_schema


@pytest.fixture
def admin(workspace: Workspace) -> WorkspaceClient:
    return client_of(workspace)


@pytest.fixture
def dora(workspace: Workspace) -> WorkspaceClient:
    """A developer who holds nothing yet."""
    workspace.add_user(DORA, PEOPLE)
    return client_of(workspace, DORA)


@pytest.fixture
def schema(admin: WorkspaceClient) -> str:
    return new_schema(admin)


# Identities


def test_a_token_is_an_identity(workspace: Workspace) -> None:
    principal = workspace.add_service_principal("delays-prod")
    assert client_of(workspace).current_user.me().user_name == ADMIN
    assert client_of(workspace, "delays-prod").current_user.me().user_name == principal


def test_an_unknown_token_is_forbidden_and_an_expired_one_not_authenticated(workspace: Workspace) -> None:
    workspace.add_user("eve@example.com")
    with pytest.raises(PermissionDenied, match="Invalid access token"):
        WorkspaceClient(host=workspace.host, token="made-up", auth_type="pat").current_user.me()  # noqa: S106
    eve = client_of(workspace, "eve@example.com")
    workspace.expire("eve@example.com")
    with pytest.raises(Unauthenticated, match="expired"):
        eve.current_user.me()
    assert client_of(workspace, "eve@example.com").current_user.me().user_name == "eve@example.com"


def test_a_group_counts_from_the_moment_that_somebody_is_in_it(
    workspace: Workspace, admin: WorkspaceClient, schema: str
) -> None:
    workspace.add_user("fay@example.com")
    fay = client_of(workspace, "fay@example.com")
    group = admin.groups.create(display_name="delays-late")
    grant(admin, "catalog", "dev", "delays-late", "USE_CATALOG", "CREATE_SCHEMA")
    with pytest.raises(PermissionDenied):
        fay.schemas.create(f"{schema[4:]}_of_fay", "dev")
    member = Patch(op=PatchOp.ADD, path="members", value=[{"value": fay.current_user.me().id}])
    admin.groups.patch(
        str(group.id), operations=[member], schemas=[PatchSchema.URN_IETF_PARAMS_SCIM_API_MESSAGES_2_0_PATCH_OP]
    )
    assert fay.schemas.create(f"{schema[4:]}_of_fay", "dev").owner == "fay@example.com"


# Unity Catalog and files


def test_whoever_makes_a_schema_owns_it_and_needs_the_right_to(
    admin: WorkspaceClient, dora: WorkspaceClient, schema: str
) -> None:
    with pytest.raises(PermissionDenied, match="CREATE_SCHEMA"):
        dora.schemas.create(f"{schema[4:]}_of_dora", "dev")
    grant(admin, "catalog", "dev", PEOPLE, "USE_CATALOG", "CREATE_SCHEMA")
    assert dora.schemas.create(f"{schema[4:]}_of_dora", "dev").owner == DORA
    with pytest.raises(PermissionDenied):
        dora.schemas.delete(schema)


def test_files_of_a_volume_are_read_and_written_by_who_may(
    admin: WorkspaceClient, dora: WorkspaceClient, schema: str
) -> None:
    admin.volumes.create("dev", schema[4:], "landing", VolumeType.MANAGED)
    path = f"/Volumes/{schema.replace('.', '/')}/landing/flights/1.csv"
    admin.files.upload(path, io.BytesIO(b"carrier\nUA\n"))
    with pytest.raises(PermissionDenied):
        dora.files.download(path)
    let_in(admin, schema)
    grant(admin, "volume", f"{schema}.landing", PEOPLE, "READ_VOLUME")
    contents = dora.files.download(path).contents
    assert contents
    assert contents.read() == b"carrier\nUA\n"
    with pytest.raises(PermissionDenied, match="WRITE_VOLUME"):
        dora.files.upload(path, io.BytesIO(b""), overwrite=True)
    with pytest.raises(AlreadyExists):
        admin.files.upload(path, io.BytesIO(b""))
    admin.files.upload(path, io.BytesIO(b"carrier\n"), overwrite=True)
    assert [entry.name for entry in admin.files.list_directory_contents(path.rpartition("/")[0])] == ["1.csv"]
    with pytest.raises(NotFound, match=r"Volume .* does not exist"):
        admin.files.upload(path.replace("landing", "nowhere"), io.BytesIO(b""))


def test_a_bundle_s_grants_replace_those_before(admin: WorkspaceClient, schema: str) -> None:
    grant(admin, "schema", schema, PEOPLE, "USE_SCHEMA", "SELECT")
    change = PermissionsChange(principal=PEOPLE, add=[Privilege.USE_SCHEMA], remove=[Privilege.ALL_PRIVILEGES])
    admin.grants.update("schema", schema, changes=[change])
    assert [(a.principal, a.privileges) for a in admin.grants.get("schema", schema).privilege_assignments or []] == [
        (PEOPLE, [Privilege.USE_SCHEMA])
    ]


def test_grants_that_only_sql_can_give(admin: WorkspaceClient, dora: WorkspaceClient, schema: str) -> None:
    def run(client: WorkspaceClient, statement: str) -> list[list[str]]:
        answer = client.statement_execution.execute_statement(statement, "any")
        return (answer.result and answer.result.data_array) or []

    with pytest.raises(PermissionDenied):
        run(dora, f"GRANT CREATE MODEL VERSION ON SCHEMA {schema} TO `{PEOPLE}`")
    run(admin, f"GRANT CREATE MODEL VERSION ON SCHEMA `dev`.`{schema[4:]}` TO `{PEOPLE}`")
    shown = run(admin, f"SHOW GRANTS `{PEOPLE}` ON SCHEMA {schema}")
    assert shown == [[PEOPLE, "CREATE MODEL VERSION", "SCHEMA", schema]]
    run(admin, f"REVOKE CREATE MODEL VERSION ON SCHEMA {schema} FROM `{PEOPLE}`")
    assert run(admin, f"SHOW GRANTS `{PEOPLE}` ON SCHEMA {schema}") == []


def test_whoever_keeps_schemas_too_is_told_of_each(workspace: Workspace, admin: WorkspaceClient, schema: str) -> None:
    told: list[tuple[str, bool]] = []
    workspace.on_schema(lambda name, there: told.append((name, there)))
    admin.schemas.create(f"{schema[4:]}_told", "dev")
    admin.schemas.delete(f"{schema}_told")
    assert told == [(f"{schema}_told", True), (f"{schema}_told", False)]


# What a bundle also makes


def test_dashboards_alerts_and_monitors_are_kept(admin: WorkspaceClient, schema: str) -> None:
    made = admin.lakeview.create(Dashboard(display_name="Overview", serialized_dashboard='{"pages": [{"name": "p"}]}'))
    assert made.dashboard_id
    with pytest.raises(NotFound):
        admin.lakeview.get_published(made.dashboard_id)
    admin.lakeview.publish(made.dashboard_id)
    assert admin.lakeview.get_published(made.dashboard_id).display_name == "Overview"
    with pytest.raises(NotFound, match="/Nowhere"):
        admin.lakeview.create(Dashboard(display_name="Overview", parent_path="/Nowhere"))
    changed = admin.lakeview.update(made.dashboard_id, Dashboard(display_name="All"))
    assert (changed.path, changed.etag != made.etag) == (f"/Users/{ADMIN}/Overview.lvdash.json", True)

    body = {"display_name": "drift", "query_text": "SELECT 1"}
    alert: Any = admin.api_client.do("POST", "/api/2.0/alerts", body=body)
    admin.api_client.do("PATCH", f"/api/2.0/alerts/{alert['id']}", body={"query_text": "SELECT 2"})
    kept: Any = admin.api_client.do("GET", f"/api/2.0/alerts/{alert['id']}")
    assert (kept["display_name"], kept["query_text"], kept["owner_user_name"]) == ("drift", "SELECT 2", ADMIN)

    monitor = f"/api/2.1/unity-catalog/tables/{schema}.predictions/monitor"
    admin.api_client.do("POST", monitor, body={"assets_dir": "/Shared", "output_schema_name": schema, "snapshot": {}})
    assert admin.quality_monitors.get(f"{schema}.predictions").output_schema_name == schema
    with pytest.raises(NotFound):
        admin.quality_monitors.get(f"{schema}.flights")


# Faults, and what is not known


def test_faults_strike_as_often_as_they_were_asked_to(workspace: Workspace, admin: WorkspaceClient) -> None:
    me = "/api/2.0/preview/scim/v2/Me"
    workspace.fail("GET", "scim/v2/Me", status=429, headers={"Retry-After": "0"}, times=2)
    before = workspace.calls.count(f"GET {me}")
    assert admin.current_user.me().user_name == ADMIN  # the SDK tries again
    assert workspace.calls.count(f"GET {me}") - before == 3
    workspace.fail("*", "scim/v2/Me", status=400)
    with pytest.raises(InvalidParameterValue):
        admin.current_user.me()
    assert admin.current_user.me().user_name == ADMIN


@pytest.mark.parametrize(("after", "made"), [(False, False), (True, True)])
def test_a_dropped_connection_may_come_before_or_after_the_deed(
    workspace: Workspace, admin: WorkspaceClient, schema: str, after: bool, made: bool
) -> None:
    workspace.fail("POST", "unity-catalog/schemas", status=None, after=after)
    name = f"{schema[4:]}_made"
    with pytest.raises(requests.ConnectionError):
        requests.post(
            f"{workspace.host}/api/2.1/unity-catalog/schemas",
            json={"name": name, "catalog_name": "dev"},
            headers={"Authorization": f"Bearer {workspace.token_of(ADMIN)}"},
            timeout=30,
        )
    assert (f"dev.{name}" in [s.full_name for s in admin.schemas.list("dev")]) is made


def test_an_error_of_the_service_is_seen_as_such(workspace: Workspace, admin: WorkspaceClient) -> None:
    workspace.fail("GET", "catalogs", status=500)
    with pytest.raises(InternalError, match="fault that the test asked for"):
        list(admin.catalogs.list())


def test_a_call_that_nobody_knows_is_remembered(one_workspace: Workspace) -> None:
    with pytest.raises(NotImplemented, match="does not know GET"):
        client_of(one_workspace).api_client.do("GET", "/api/2.0/genie/spaces")
    assert one_workspace.surprises() == ["GET /api/2.0/genie/spaces b''"]
    assert one_workspace.surprises() == []


@pytest.mark.slow
def test_at_the_end_of_a_workspace_unknown_calls_are_an_error(tmp_path: Path, mlflow_template: Path) -> None:
    with pytest.raises(NotUnderstood, match="genie"), Workspace(tmp_path, mlflow_database=mlflow_template) as one:
        one.unknown_calls.append("GET /api/2.0/genie")
    assert [path.name for path in tmp_path.iterdir()] == ["workspace"]
