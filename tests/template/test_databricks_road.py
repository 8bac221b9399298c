"""From training to a promoted champion, its endpoint, and back, in a workspace: bundle, jobs, the same commands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from databricks.sdk.errors import OperationFailed
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from tests.template.harness.databricks_cli import databricks_cli
from tests.template.harness.road import APPROVER, Road, road
from tests.template.harness.runtime_python import RUNTIME, runtime_python
from tests.template.harness.spark.server import spark_server_or_skip
from tests.template.harness.spark.sessions import session

if TYPE_CHECKING:
    from databricks.sdk.service.jobs import Run, RunTask

pytestmark = pytest.mark.slow

MODEL = "prod.little.little"
SPRING, AUTUMN = "2013-08-01", "2013-12-01"


@pytest.fixture
def ready(tmp_path: Path, mlflow_template: Path) -> Iterator[Road]:
    databricks_cli()
    spark_server_or_skip()
    with road(tmp_path, mlflow_template) as found:
        yield found


def test_a_candidate_becomes_the_champion_of_a_workspace_and_goes_back(ready: Road) -> None:
    ready.configure("    protected: true\n", "    protected: true\n    serving: {name: little}\n")

    first = ready.gatehouse("deploy", "--ref", "v1.0.0")
    assert "is live in prod. There is no champion to compare with." in first
    assert "The project's sample of raw files has landed for its sources, 1 in number." in first
    plan = ready.cli("bundle", "plan", "-t", "prod", "--force")
    assert "0 to add, 0 to change, 0 to delete" in plan

    judged = ready.said("release", "--as-of", SPRING)
    assert (judged["verdict"], judged["version"]) == ("promote", "1")
    if runtime_python() is not None:
        trained = ready.workspace.folder("/Models/prod/little/little/1") / "python_env.yaml"
        assert f"python: {RUNTIME['python']}." in trained.read_text("utf-8")
    assert "may not be promoted" in ready.gatehouse("promote", "1", code=10)
    approve = ("approve", "1", "--reason", "The first one.")
    assert "--as names 'bob@example.org'" in ready.gatehouse(
        *approve, "--as", "bob@example.org", identity=APPROVER, code=10
    )
    assert "is a service principal" in ready.gatehouse(*approve, code=10)
    said = ready.gatehouse(*approve, identity=APPROVER)
    assert f"approved by {APPROVER} (proven, by the sign-in to {ready.workspace.host})" in " ".join(said.split())
    ready.gatehouse("promote", "1")
    assert champion(ready) == "1"
    assert shares(ready) == {"1": 100}

    scored = ready.gatehouse("run", "daily", "--as-of", "2013-09-15")
    assert "run the job little prod monitoring" in scored
    assert taken_in(ready) == (("daily_weather.csv",), len(sample(ready).splitlines()) - 1)

    again = ready.said("release", "--as-of", AUTUMN)
    assert (again["verdict"], again["version"]) == ("promote", "2")
    ready.gatehouse("approve", "2", "--reason", "It knows the summer.", identity=APPROVER)
    ready.gatehouse("promote", "2")
    assert champion(ready) == "2"
    assert shares(ready) == {"1": 0, "2": 100}

    ready.gatehouse("rollback", "--reason", "It predicts snow.")
    assert champion(ready) == "1"
    assert shares(ready) == {"1": 100, "2": 0}

    assert "unbroken" in ready.gatehouse("audit", "verify")


def test_the_registry_drives_too_and_waits_for_a_governed_tag(ready: Road) -> None:
    ready.configure("    protected: true\n", "    protected: true\n    driver: registry\n")
    ready.workspace.govern("approval", values={"Approved", "Rejected"}, assigned_by={APPROVER})
    ready.workspace.govern("approval_record", values=set(), assigned_by={APPROVER})
    ready.gatehouse("deploy", "--ref", "v1.0.0")
    ready.gatehouse("deployment-job", "link")

    judged = ready.said("release", "--as-of", SPRING)
    assert (judged["verdict"], judged["version"], judged["driver"]) == ("promote", "1", "registry")
    run = last_run(ready)
    assert {task.task_key: result(task) for task in run.tasks or []} == {
        "evaluation": "SUCCESS",
        "approval": "FAILED",
        "deployment": "UPSTREAM_FAILED",
    }
    assert "waits for approval" in ready.sdk(APPROVER).jobs.get_run_output(task_run(run, "approval")).as_dict()["logs"]

    for tag, value in (("approval_record", f"{judged['record'][:12]} {APPROVER}"), ("approval", "Approved")):
        with (
            pytest.raises(MlflowException, match="PERMISSION_DENIED"),
            mlflow_as(ready, ready.principals["prod"]) as owner,
        ):
            owner.set_model_version_tag(MODEL, "1", tag, value)
        with mlflow_as(ready, APPROVER) as approver:
            approver.set_model_version_tag(MODEL, "1", tag, value)
    assert run.run_id is not None
    ready.sdk(APPROVER).jobs.repair_run_and_wait(run.run_id, rerun_all_failed_tasks=True)

    assert champion(ready) == "1"
    assert APPROVER in ready.gatehouse("audit", "show")


def test_a_pull_request_is_rehearsed_in_a_schema_of_its_own(ready: Road) -> None:
    ready.gatehouse("deploy", env="staging")

    said = ready.gatehouse("rehearse", "--schema", "pr_7", "--as-of", AUTUMN, env="staging")

    assert "rollback" in said
    workspace = ready.sdk(ready.principals["staging"])
    assert {schema.name for schema in workspace.schemas.list("staging")} == {"default", "little"}
    for kept in ("rehearsals", "checkpoints"):  # which schemas are rehearsals', and how far these read what landed
        assert list(workspace.files.list_directory_contents(f"/Volumes/staging/little/rehearsals/{kept}")) == []


@contextmanager
def mlflow_as(ready: Road, identity: str) -> Iterator[MlflowClient]:
    with pytest.MonkeyPatch.context() as patched:
        for name, value in ready.workspace.environ(identity).items():
            patched.setenv(name, value)
        yield MlflowClient(tracking_uri="databricks", registry_uri="databricks-uc")


def champion(ready: Road) -> str:
    with mlflow_as(ready, ready.principals["prod"]) as client:
        return str(client.get_model_version_by_alias(MODEL, "champion").version)


def sample(ready: Road) -> str:
    return (ready.project / "src" / "little" / "daily_weather.csv").read_text(encoding="utf-8")


def taken_in(ready: Road) -> tuple[tuple[str, ...], int]:
    """The files that Auto Loader took in for production, and how many rows of them."""
    with session(ready.spark.remote) as spark:
        rows = spark.table("prod.little.daily_weather_landed").select("_file").collect()
    return tuple(sorted({row[0].rpartition("/")[2] for row in rows})), len(rows)


def last_run(ready: Road) -> Run:
    """Of the deployment job, when it has ended."""
    jobs = ready.sdk(APPROVER).jobs
    (job,) = jobs.list(name="little prod deployment")
    newest = next(iter(jobs.list_runs(job_id=job.job_id)))
    assert newest.run_id is not None
    with suppress(OperationFailed):
        jobs.wait_get_run_job_terminated_or_skipped(newest.run_id)
    return jobs.get_run(newest.run_id)


def task_run(run: Run, key: str) -> int:
    return next(task.run_id for task in run.tasks or [] if task.task_key == key and task.run_id)


def result(task: RunTask) -> str:
    return str(task.state.result_state.value) if task.state and task.state.result_state else "?"


def shares(ready: Road) -> dict[str, int]:
    """Percent of the requests that each version of the endpoint answers."""
    config = ready.sdk(ready.principals["prod"]).serving_endpoints.get("little").as_dict()["config"]
    versions = {entity["name"]: str(entity["entity_version"]) for entity in config["served_entities"]}
    routes = config["traffic_config"]["routes"]
    return {versions[r.get("served_entity_name") or r["served_model_name"]]: r["traffic_percentage"] for r in routes}
