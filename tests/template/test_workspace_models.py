"""The emulated workspace as MLflow sees it: runs, artefacts, and the registry of Unity Catalog."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from databricks.sdk import WorkspaceClient
from tests.template.harness.workspace import ADMIN, Workspace
from tests.template.harness.workspace.people import DORA, PEOPLE, client_of, grant, let_in, new_schema

from gatehouse.lakehouse.mlflow_globals import import_mlflow, pointed_at

if TYPE_CHECKING:
    from mlflow import MlflowClient


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
        # Not fewer levels than three: MLflow completes those with the catalog of a Spark session that is open here.
        ("INVALID_PARAMETER_VALUE", "catalog.schema.model", lambda: registry.create_registered_model(f"{model}.more")),
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
    let_in(admin, model.rpartition(".")[0], "delays-approvers")
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
