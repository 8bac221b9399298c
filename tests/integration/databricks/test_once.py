"""Code that is not deployed yet runs once, on the deployed job's compute, and leaves nothing behind."""

from __future__ import annotations

import base64
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.integration.databricks.jobs_api import JobsApi, frame, task
from tests.integration.databricks.loopback import Answer, Asked, Loopback, refused

from gatehouse.databricks.client import Workspace
from gatehouse.databricks.once import Code, Compute, compute_of, run_once
from gatehouse.databricks.outcome import write_failure, write_outcome
from gatehouse.databricks.runs import Job, find_job
from gatehouse.errors import AccessDenied, ConfigurationError, Interrupted, Refused, RunFailed
from gatehouse.progress import Silent

SUBMIT = "POST /api/2.2/jobs/runs/submit"
DELETE = "POST /api/2.0/workspace/delete"
FOLDER = "/Workspace/Users/alice@example.org/.gatehouse/t0k"
WELL = [frame("RUNNING"), frame("TERMINATED", "SUCCESS", task("once", "TERMINATED", "SUCCESS", run_id=1))]
SERVERLESS = Compute(environment={"environment_version": "5"}, budget_policy_id="b1")
CLUSTER = {"spark_version": "18.0.x-cpu-ml-scala2.13", "node_type_id": "m5.large", "num_workers": 1}


class Folders:
    """Workspace files, as the calls leave them."""

    def __init__(self, server: Loopback) -> None:
        self.files: dict[str, bytes] = {}
        self.folders: set[str] = set()
        self.seen: dict[str, bytes] = {}
        server.on("POST", "/api/2.0/workspace/mkdirs", self._mkdirs)
        server.on("POST", "/api/2.0/workspace/import", self._import)
        server.on("POST", "/api/2.0/workspace/delete", self._delete)

    def _mkdirs(self, asked: Asked) -> Any:
        self.folders.add(asked["path"])
        return {}

    def _import(self, asked: Asked) -> Any:
        path = asked["path"]
        assert (asked["format"], asked["overwrite"]) == ("AUTO", True)
        assert path.rpartition("/")[0] in self.folders
        self.files[path] = self.seen[path] = base64.b64decode(asked["content"])
        return {}

    def _delete(self, asked: Asked) -> Any:
        assert asked["recursive"] is True
        self.files = {path: content for path, content in self.files.items() if not path.startswith(asked["path"] + "/")}
        return {}


@pytest.fixture
def folders(server: Loopback) -> Folders:
    return Folders(server)


@pytest.fixture
def code(tmp_path: Path) -> Code:
    for name, content in {
        "gatehouse-0.2-py3-none-any.whl": "wheel",
        "requirements.txt": "numpy==2.1",
        "code.json": "{}",
        "conf/gates/promotion.yml": "a: 1",
        "conf/environments.yml": "b: 2",
        "conf/.secret": "not a configuration file",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    return Code(
        wheel=tmp_path / "gatehouse-0.2-py3-none-any.whl",
        requirements=tmp_path / "requirements.txt",
        known=tmp_path / "code.json",
        conf=tmp_path / "conf",
    )


def score(workspace: Workspace, code: Code, compute: Compute = SERVERLESS, progress: Silent | None = None) -> Any:
    arguments = ["release", "--env", "prod"]
    return run_once(workspace, "score", code, arguments, compute, progress=progress or Silent(), token="t0k")  # noqa: S106


def test_it_uploads_runs_and_removes(
    workspace: Workspace, jobs: JobsApi, folders: Folders, server: Loopback, code: Code
) -> None:
    jobs.script, jobs.outputs = WELL, {1: {"logs": write_outcome(0, {"score": "0.1"})}}
    assert dict(score(workspace, code).values) == {"score": "0.1"}
    assert folders.files == {}
    assert folders.seen == {
        f"{FOLDER}/gatehouse-0.2-py3-none-any.whl": b"wheel",
        f"{FOLDER}/requirements.txt": b"numpy==2.1",
        f"{FOLDER}/code.json": b"{}",
        f"{FOLDER}/conf/environments.yml": b"b: 2",
        f"{FOLDER}/conf/gates/promotion.yml": b"a: 1",
    }
    sent = server.to(SUBMIT)[0].body
    dependencies = [f"-r {FOLDER}/requirements.txt", f"{FOLDER}/gatehouse-0.2-py3-none-any.whl"]
    assert sent == {
        "run_name": "score",
        "idempotency_token": "t0k",
        "budget_policy_id": "b1",
        "queue": {"enabled": True},
        "timeout_seconds": 21600,
        "tasks": [
            {
                "task_key": "once",
                "environment_key": "once",
                "python_wheel_task": {
                    "package_name": "gatehouse",
                    "entry_point": "gatehouse-task",
                    "parameters": ["--conf", f"{FOLDER}/conf", "release", "--env", "prod"],
                },
            }
        ],
        "environments": [
            {"environment_key": "once", "spec": {"environment_version": "5", "dependencies": dependencies}}
        ],
    }


def test_on_a_cluster_the_libraries_are_the_clusters(
    workspace: Workspace, jobs: JobsApi, folders: Folders, server: Loopback, code: Code
) -> None:
    jobs.script = WELL
    score(workspace, code, Compute(cluster=CLUSTER))
    sent = server.to(SUBMIT)[0].body
    assert "environments" not in sent
    assert sent["tasks"][0]["new_cluster"] == CLUSTER
    assert sent["tasks"][0]["libraries"] == [
        {"requirements": f"{FOLDER}/requirements.txt"},
        {"whl": f"{FOLDER}/gatehouse-0.2-py3-none-any.whl"},
    ]


def test_a_submission_whose_answer_was_lost_is_one_run(
    workspace: Workspace, jobs: JobsApi, folders: Folders, server: Loopback, code: Code
) -> None:
    jobs.script = WELL
    server.fail(SUBMIT, Answer(drop="after"))
    assert score(workspace, code).run_id == 700
    assert list(jobs.runs) == [700]


def test_the_folder_goes_whatever_happens(workspace: Workspace, jobs: JobsApi, folders: Folders, code: Code) -> None:
    jobs.script = [frame("TERMINATED", "FAILED", task("once", "TERMINATED", "FAILED", run_id=1))]
    with pytest.raises(RunFailed):
        score(workspace, code)
    jobs.outputs = {1: {"logs": write_failure(Refused("no"))}}
    with pytest.raises(Refused):
        score(workspace, code)
    assert (len(folders.seen), folders.files) == (5, {})


@pytest.mark.usefixtures("pressed")
def test_stopping_cancels_the_run_and_removes_the_folder(
    workspace: Workspace, jobs: JobsApi, folders: Folders, code: Code
) -> None:
    class Stopping(Silent):
        def note(self, text: str) -> None:
            if text == "score: RUNNING":
                os.kill(os.getpid(), signal.SIGTERM)

    jobs.script = WELL
    with pytest.raises(Interrupted, match="run 700 of score is cancelled"):
        score(workspace, code, progress=Stopping())
    assert (jobs.cancelled, folders.files) == ([700], {})


def test_an_upload_that_is_not_permitted_starts_nothing(
    workspace: Workspace, jobs: JobsApi, folders: Folders, server: Loopback, code: Code
) -> None:
    server.fail("POST /api/2.0/workspace/import", refused(403, "PERMISSION_DENIED", "read only"))
    with pytest.raises(AccessDenied, match=f"uploading {FOLDER}/gatehouse-0.2"):
        score(workspace, code)
    assert (jobs.runs, server.count(DELETE)) == ({}, 1)


def test_a_folder_that_stays_is_told_and_changes_no_result(
    workspace: Workspace, jobs: JobsApi, folders: Folders, server: Loopback, code: Code
) -> None:
    jobs.script, told = WELL, Silent()
    server.fail(DELETE, refused(403, "PERMISSION_DENIED", "read only"))
    assert score(workspace, code, progress=told).run_id == 700
    assert told.notes[-1].startswith(f"{FOLDER} stays: ")


@pytest.fixture
def job(workspace: Workspace, jobs: JobsApi) -> Job:
    jobs.deploy("release")
    return find_job(workspace, project="flights", env="prod", key="release")


def test_the_compute_is_that_of_the_deployed_job(workspace: Workspace, jobs: JobsApi, job: Job) -> None:
    spec = {"environment_version": "5", "dependencies": ["/old.whl"]}
    jobs.deploy("release", environments=[{"environment_key": "default", "spec": spec}], budget_policy_id="b1")
    assert compute_of(workspace, job) == SERVERLESS
    jobs.deploy("release", job_clusters=[{"job_cluster_key": "main", "new_cluster": CLUSTER}])
    assert compute_of(workspace, job) == Compute(cluster=CLUSTER)


def test_a_job_without_any_compute_of_its_own_is_no_model(workspace: Workspace, job: Job) -> None:
    with pytest.raises(ConfigurationError, match="0 job clusters and 0 environments"):
        compute_of(workspace, job)
