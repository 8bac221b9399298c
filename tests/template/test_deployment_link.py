"""`driver: registry` in a workspace: the job that judges is linked, asked, taken off; tags that count are governed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from tests.template.harness.workspace import ADMIN, Workspace

from gatehouse.cli import main
from gatehouse.cli.judges import DeploymentJob, Judge, judge_of
from gatehouse.cli.world import place
from gatehouse.errors import AccessDenied, Refused, StateError, Unanswered
from gatehouse.lakehouse.deployment_link import link_job, linked_job

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parents[2] / "examples" / "temperature"
MODEL = "linked.temperature.temperature"


@pytest.fixture(scope="module")
def one_workspace(mlflow_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """One of its own: a tag that is governed once stays so for everybody."""
    with Workspace(tmp_path_factory.mktemp("databricks"), mlflow_database=mlflow_template, cancel_grace=1) as workspace:
        yield workspace


@pytest.fixture
def admin(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> WorkspaceClient:
    """An administrator, whom every command of this test runs as; the catalog is there."""
    for name, value in workspace.environ(ADMIN).items():
        monkeypatch.setenv(name, value)
    client = WorkspaceClient(host=workspace.host, token=workspace.token_of(ADMIN), auth_type="pat")
    if "linked" not in [catalog.name for catalog in client.catalogs.list()]:
        client.catalogs.create("linked")
        client.schemas.create("temperature", "linked")
    return client


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """The second use case, whose production lives in the workspace."""
    folder = Path(shutil.copytree(EXAMPLE, tmp_path / "repository", ignore=shutil.ignore_patterns("__pycache__")))
    (folder / "conf" / "environments.yml").write_text(
        "project: temperature:PROJECT\n"
        "environments:\n"
        "  prod: {catalog: linked, schema: temperature, platform: databricks, driver: registry, protected: true}\n",
        encoding="utf-8",
    )
    return folder / "conf"


@pytest.fixture
def judge(conf: Path, admin: WorkspaceClient) -> Judge:
    return judge_of(place({"conf": conf, "lakehouse": None}), "prod")


def gatehouse(conf: Path, *arguments: str) -> object:
    with pytest.raises(SystemExit) as ended:
        main(["--conf", str(conf), *arguments])
    return ended.value.code


def deploy(admin: WorkspaceClient) -> int:
    """The deployment job, tagged as the bundle tags it; its one task looks whether it was told of the model."""
    holds = {"op": "EQUAL_TO", "left": "{{job.parameters.model_name}}", "right": MODEL}
    tags = {"gatehouse_project": "temperature", "gatehouse_env": "prod", "gatehouse_job": "deployment"}
    settings = {
        "name": "temperature prod deployment",
        "tags": tags,
        "parameters": [{"name": name, "default": ""} for name in ("model_name", "model_version")],
        "tasks": [{"task_key": "evaluation", "condition_task": holds}],
    }
    made: Any = admin.api_client.do("POST", "/api/2.2/jobs/create", body=settings)
    return int(made["job_id"])


def test_the_job_is_linked_asked_again_and_unlinked(
    admin: WorkspaceClient, conf: Path, judge: Judge, capsys: pytest.CaptureFixture[str]
) -> None:
    where = place({"conf": conf, "lakehouse": None})
    assert isinstance(judge, DeploymentJob)
    assert judge.told_by_the_registry(where) is None
    with pytest.raises(StateError, match=f"No deployment job is linked to {MODEL}") as unlinked:
        judge.ask(MODEL, "1")
    assert unlinked.value.remedy == judge.commands()[0] == "gatehouse deployment-job link --env prod"
    assert gatehouse(conf, "deployment-job", "link", "--env", "prod") == 5, "there is no such job yet"

    job = deploy(admin)
    assert [gatehouse(conf, "deployment-job", "link", "--env", "prod") for _ in range(2)] == [0, 0]
    assert f"{MODEL} starts job {job} on each new version." in capsys.readouterr().out
    assert (linked_job(MODEL), judge.told_by_the_registry(where)) == (str(job), f"deployment job {job}")

    judge.ask(MODEL, "3")
    (run,) = admin.jobs.list_runs(job_id=job)
    asked = admin.jobs.get_run(run.run_id or 0).job_parameters or []
    assert {p.name: p.value for p in asked} == {"model_name": MODEL, "model_version": "3"}

    assert [gatehouse(conf, "deployment-job", "unlink", "--env", "prod") for _ in range(2)] == [0, 0]
    assert linked_job(MODEL) is None
    link_job(MODEL, None)
    assert linked_job(MODEL) is None
    admin.jobs.delete(job)


def test_the_judge_of_another_driver_is_not_linked(admin: WorkspaceClient, conf: Path) -> None:
    file = conf / "environments.yml"
    file.write_text(file.read_text(encoding="utf-8").replace("driver: registry, ", ""), encoding="utf-8")
    assert gatehouse(conf, "deployment-job", "link", "--env", "prod") == 3
    assert gatehouse(conf, "listen", "--env", "prod") == 3


def test_an_approval_counts_only_where_both_tags_are_governed(admin: WorkspaceClient, judge: Judge) -> None:
    from databricks.sdk.service.tags import TagPolicy, Value

    with pytest.raises(Refused, match="The tag approval is not governed"):
        judge.rights()
    admin.tag_policies.create_tag_policy(TagPolicy("approval", values=[Value("Approved"), Value("Rejected")]))
    with pytest.raises(Refused, match="The tag approval_record is not governed") as half:
        judge.rights()
    assert half.value.remedy.startswith("gatehouse setup --part metastore ")
    assert "databricks tag-policies create-tag-policy approval_record" in half.value.remedy
    admin.tag_policies.create_tag_policy(TagPolicy("approval_record"))

    rights = judge.rights()

    assert rights.protected
    assert rights.runs_as[0] == admin.current_user.me().user_name
    assert "only those can set whom its ASSIGN permission names" in rights.established_by


@pytest.mark.parametrize(
    ("status", "error"), [(401, AccessDenied), (403, AccessDenied), (400, Unanswered), (404, Refused)]
)
def test_an_approval_whose_tags_cannot_be_looked_at_is_none(
    status: int, error: type[Exception], workspace: Workspace, judge: Judge
) -> None:
    workspace.fail("GET", "tag-policies", status=status, times=1000)
    try:
        with pytest.raises(error):
            judge.rights()
    finally:
        workspace.heal()
