"""The emulated workspace as databricks-sdk and MLflow see it: identities, Unity Catalog, files, models, faults."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from tests.template.harness import NotUnderstood
from tests.template.harness.workspace import ADMIN, Workspace

from gatehouse.lakehouse.mlflow_globals import import_mlflow, pointed_at

if TYPE_CHECKING:
    from mlflow import MlflowClient

PEOPLE = "delays-developers"
DORA = "dora@example.com"
_names = (f"s{number}" for number in itertools.count())


def client_of(workspace: Workspace, identity: str = ADMIN) -> WorkspaceClient:
    return WorkspaceClient(host=workspace.host, token=workspace.token_of(identity), auth_type="pat")


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
    """A schema of the test's own, in the catalog dev."""
    if "dev" not in [catalog.name for catalog in admin.catalogs.list()]:
        admin.catalogs.create("dev")
    return str(admin.schemas.create(next(_names), "dev").full_name)


def grant(admin: WorkspaceClient, kind: str, name: str, who: str, *privileges: str) -> None:
    change = PermissionsChange(principal=who, add=[Privilege(privilege) for privilege in privileges])
    admin.grants.update(kind, name, changes=[change])


def let_in(admin: WorkspaceClient, schema: str, *privileges: str) -> None:
    grant(admin, "catalog", "dev", PEOPLE, "USE_CATALOG")
    grant(admin, "schema", schema, PEOPLE, "USE_SCHEMA", *privileges)


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


# MLflow


@pytest.fixture
def mlflow(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """MLflow's functions, pointed at the workspace as an administrator."""
    become(monkeypatch, workspace, ADMIN)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    module = import_mlflow()
    with pointed_at("databricks", "databricks-uc"):
        yield module


@pytest.fixture
def registry(mlflow: Any) -> MlflowClient:
    client: MlflowClient = mlflow.MlflowClient(tracking_uri="databricks", registry_uri="databricks-uc")
    return client


def become(monkeypatch: pytest.MonkeyPatch, workspace: Workspace, identity: str) -> None:
    for name, value in workspace.environ(identity).items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def make_signed(make_model: Callable[[float], Path]) -> Callable[[float], Path]:
    """Models with a signature, which Unity Catalog demands."""

    def make(number: float) -> Path:
        folder = make_model(number)
        column = '[{"type": "double", "name": "x", "required": true}]'
        with (folder / "MLmodel").open("a", encoding="utf-8") as file:
            file.write(f"signature:\n  inputs: '{column}'\n  outputs: '{column}'\n")
        (folder / "requirements.txt").write_text("mlflow\n")
        return folder

    return make


@pytest.fixture
def model(registry: MlflowClient, schema: str, make_signed: Callable[[float], Path]) -> str:
    """A registered model with one version, which predicts 0.25."""
    name = f"{schema}.delays"
    registry.create_registered_model(name)
    registry.create_model_version(name, str(make_signed(0.25)), tags={"commit": "abc"})
    return name


def test_runs_and_their_artefacts_are_logged_and_read(mlflow: Any, workspace: Workspace) -> None:
    experiment = mlflow.create_experiment("/Shared/dev.main.runs")
    with mlflow.start_run(experiment_id=experiment) as run:
        mlflow.log_metric("log_loss", 0.5)
        mlflow.log_text("Promote.", "reports/decision.md")
    found = mlflow.MlflowClient().search_runs([experiment], "metrics.log_loss < 1")
    assert [r.info.run_id for r in found] == [run.info.run_id]
    assert found[0].info.artifact_uri == f"dbfs:/databricks/mlflow-tracking/{experiment}/{run.info.run_id}/artifacts"
    assert mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/reports/decision.md") == "Promote."
    assert [a.path for a in mlflow.MlflowClient().list_artifacts(run.info.run_id)] == ["reports"]
    (stored,) = workspace.folder("/WorkspaceInternal/Mlflow").rglob("decision.md")
    assert stored.read_text() == "Promote."


def test_experiments_are_objects_of_the_workspace(mlflow: Any) -> None:
    for name, reason in (("flights", "absolute path"), ("/Nowhere/flights", "Parent directory /Nowhere")):
        with pytest.raises(mlflow.MlflowException, match=reason):
            mlflow.create_experiment(name)


def test_a_logged_model_becomes_a_version_that_loads_by_its_alias(
    mlflow: Any, registry: MlflowClient, schema: str, make_signed: Callable[[float], Path]
) -> None:
    import pandas as pd

    experiment = mlflow.create_experiment(f"/Shared/{schema}.models")
    logged = registry.create_logged_model(experiment, name="delays")
    assert logged.artifact_location.endswith(f"/{experiment}/logged_models/{logged.model_id}/artifacts")
    registry.log_model_artifacts(logged.model_id, str(make_signed(0.75)))
    registry.finalize_logged_model(logged.model_id, "READY")
    version = mlflow.register_model(f"models:/{logged.model_id}", f"{schema}.delays")
    assert (version.version, version.status, version.model_id) == ("1", "READY", logged.model_id)
    registry.set_registered_model_alias(f"{schema}.delays", "champion", "1")
    loaded = mlflow.pyfunc.load_model(f"models:/{schema}.delays@champion")
    assert loaded.predict(pd.DataFrame({"x": [1.0, 2.0]})) == [0.75, 0.75]


def test_versions_tags_and_aliases(registry: MlflowClient, model: str, make_signed: Callable[[float], Path]) -> None:
    registry.create_model_version(model, str(make_signed(0.5)))
    registry.set_registered_model_alias(model, "champion", "1")
    registry.set_model_version_tag(model, "1", "gates", "passed")
    champion = registry.get_model_version_by_alias(model, "champion")
    assert (champion.version, champion.tags, champion.aliases) == (
        "1",
        {"commit": "abc", "gates": "passed"},
        ["champion"],
    )
    assert [v.version for v in registry.search_model_versions(f"name='{model}'")] == ["2", "1"]
    registry.set_registered_model_alias(model, "champion", "2")
    assert registry.get_registered_model(model).aliases == {"champion": "2"}
    registry.delete_registered_model_alias(model, "champion")
    registry.delete_model_version(model, "2")
    assert [v.version for v in registry.search_model_versions(f"name='{model}'")] == ["1"]


def test_the_registry_refuses_in_unity_catalog_s_codes(mlflow: Any, registry: MlflowClient, model: str) -> None:
    schema = model.rpartition(".")[0]
    refused: list[tuple[str, str, Callable[[], object]]] = [
        ("RESOURCE_DOES_NOT_EXIST", "Alias 'nobody'", lambda: registry.get_model_version_by_alias(model, "nobody")),
        ("RESOURCE_DOES_NOT_EXIST", "Version 9", lambda: registry.get_model_version(model, "9")),
        ("RESOURCE_DOES_NOT_EXIST", "nothing", lambda: registry.get_registered_model(f"{schema}.nothing")),
        ("SCHEMA_DOES_NOT_EXIST", "dev.gone", lambda: registry.create_registered_model("dev.gone.delays")),
        ("CATALOG_DOES_NOT_EXIST", "gone", lambda: registry.create_registered_model("gone.main.delays")),
        ("RESOURCE_ALREADY_EXISTS", "already exists", lambda: registry.create_registered_model(model)),
        ("INVALID_PARAMETER_VALUE", "Tag key", lambda: registry.set_model_version_tag(model, "1", "a.b", "c")),
        ("INVALID_PARAMETER_VALUE", "1000", lambda: registry.set_model_version_tag(model, "1", "a", "c" * 1001)),
        ("INVALID_PARAMETER_VALUE", "searched", lambda: registry.search_model_versions("run_id='1'")),
        ("INVALID_PARAMETER_VALUE", "catalog.schema.model", lambda: registry.create_registered_model("delays")),
    ]
    for code, message, call in refused:
        with pytest.raises(mlflow.MlflowException, match=message) as caught:
            call()
        assert str(caught.value).startswith(code)


def test_models_are_seen_by_the_sdk_under_its_names(admin: WorkspaceClient, registry: MlflowClient, model: str) -> None:
    admin.registered_models.set_alias(model, "champion", 1)
    assert registry.get_model_version_by_alias(model, "champion").version == "1"
    seen = admin.registered_models.get(model, include_aliases=True)
    assert (seen.owner, [(a.alias_name, a.version_num) for a in seen.aliases or []]) == (ADMIN, [("champion", 1)])
    assert [v.version for v in admin.model_versions.list(model)] == [1]
    assert model in [
        m.full_name for m in admin.registered_models.list(catalog_name="dev", schema_name=model.split(".")[1])
    ]


def test_only_who_holds_the_right_reads_a_model_or_makes_a_version(
    mlflow: Any,
    registry: MlflowClient,
    model: str,
    admin: WorkspaceClient,
    dora: WorkspaceClient,
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    make_signed: Callable[[float], Path],
) -> None:
    become(monkeypatch, workspace, DORA)
    with pytest.raises(mlflow.MlflowException, match="EXECUTE"):
        registry.get_registered_model(model)
    let_in(admin, model.rpartition(".")[0])
    grant(admin, "function", model, PEOPLE, "EXECUTE")
    assert registry.get_registered_model(model).name == model
    with pytest.raises(mlflow.MlflowException, match="CREATE_MODEL_VERSION"):
        registry.create_model_version(model, str(make_signed(0.5)))
    with pytest.raises(mlflow.MlflowException, match="MANAGE"):
        registry.set_registered_model_alias(model, "champion", "1")


def test_a_governed_tag_is_set_by_its_assigners_only_the_owner_not_among_them(
    mlflow: Any,
    registry: MlflowClient,
    model: str,
    workspace: Workspace,
    admin: WorkspaceClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workspace.add_user("ann@example.com", "delays-approvers")
    grant(admin, "catalog", "dev", "delays-approvers", "USE_CATALOG")
    grant(admin, "schema", model.rpartition(".")[0], "delays-approvers", "USE_SCHEMA")
    grant(admin, "function", model, "delays-approvers", "EXECUTE", "APPLY_TAG")
    workspace.govern("approval_delays", values={"Approved", "Rejected"}, assigned_by={"delays-approvers"})
    with pytest.raises(mlflow.MlflowException, match="ASSIGN"):
        registry.set_model_version_tag(model, "1", "approval_delays", "Approved")
    become(monkeypatch, workspace, "ann@example.com")
    with pytest.raises(mlflow.MlflowException, match="not an allowed value"):
        registry.set_model_version_tag(model, "1", "approval_delays", "Perhaps")
    registry.set_model_version_tag(model, "1", "approval_delays", "Approved")
    assert registry.get_model_version(model, "1").tags["approval_delays"] == "Approved"


def test_a_linked_deployment_job_starts_for_each_new_version(
    mlflow: Any,
    registry: MlflowClient,
    model: str,
    admin: WorkspaceClient,
    workspace: Workspace,
    make_signed: Callable[[float], Path],
) -> None:
    holds = {"op": "EQUAL_TO", "left": "{{job.parameters.model_name}}", "right": model}
    settings: dict[str, Any] = {"name": "deployment", "tasks": [{"task_key": "evaluation", "condition_task": holds}]}
    other: Any = admin.api_client.do("POST", "/api/2.2/jobs/create", body=settings)
    with pytest.raises(mlflow.MlflowException, match="model_name and model_version"):
        registry.update_registered_model(model, deployment_job_id=str(other["job_id"]))
    settings["parameters"] = [{"name": name, "default": ""} for name in ("model_name", "model_version")]
    job: Any = admin.api_client.do("POST", "/api/2.2/jobs/create", body=settings)
    registry.update_registered_model(model, deployment_job_id=str(job["job_id"]))
    assert registry.get_registered_model(model).deployment_job_id == str(job["job_id"])
    registry.create_model_version(model, str(make_signed(0.5)))
    (run,) = admin.jobs.list_runs(job_id=job["job_id"])
    workspace.runs.wait(workspace.runs.all[run.run_id or 0], 30)
    ended = admin.jobs.get_run(run.run_id or 0)
    assert {p.name: p.value for p in ended.job_parameters or []} == {"model_name": model, "model_version": "2"}
    assert ended.tasks
    assert ended.tasks[0].condition_task
    assert ended.tasks[0].condition_task.outcome == "true"
    state = registry.get_model_version(model, "2").deployment_job_state
    assert state
    assert state.run_id == str(run.run_id)


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


def test_at_the_end_of_a_workspace_unknown_calls_are_an_error(tmp_path: Path, mlflow_template: Path) -> None:
    with pytest.raises(NotUnderstood, match="genie"), Workspace(tmp_path, mlflow_database=mlflow_template) as one:
        one.unknown_calls.append("GET /api/2.0/genie")
    assert [path.name for path in tmp_path.iterdir()] == ["workspace"]
