"""What gatehouse.databricks does to a workspace, done to the emulated one: real wheel tasks, real models served."""

from __future__ import annotations

import os
import platform
import signal
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.template.harness.workspace import Workspace as Emulated

from gatehouse.databricks.client import Workspace, open_workspace
from gatehouse.databricks.endpoint import Endpoint, InferenceTable
from gatehouse.databricks.once import Code, Compute, run_once
from gatehouse.databricks.runs import Job, find_job, run_job
from gatehouse.databricks.serving import Rows, Serving
from gatehouse.errors import AccessDenied, Interrupted, Refused, RunFailed
from gatehouse.progress import Silent

pytestmark = pytest.mark.slow

ANN = "ann@example.com"
MODEL = "prod.flights.delays"
TASK = """
import sys, time
from pathlib import Path
from gatehouse.databricks.outcome import write_failure, write_outcome
from gatehouse.errors import Refused

def main():
    arguments = sys.argv[1:]
    if arguments[0] == "--conf":
        print("conf:", sorted(file.name for file in Path(arguments[1]).iterdir()))
        arguments = arguments[2:]
    what, _, more = arguments[0].partition("=")
    if what == "refuse":
        print(write_failure(Refused("Version 7 is worse.", remedy="gatehouse why 7")))
        raise RuntimeError("exit code 10")
    if what == "wait":
        print("waiting", flush=True)
        while True:
            time.sleep(0.05)
    if what == "once-broken" and not Path(more).exists():
        Path(more).touch()
        raise ValueError("the first time it breaks")
    print(write_outcome(0, {"said": arguments[0]}))
"""


@pytest.fixture(scope="module")
def emulated(mlflow_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulated]:
    with Emulated(tmp_path_factory.mktemp("emulated"), mlflow_database=mlflow_template, cancel_grace=0.2) as workspace:
        workspace.add_user(ANN, "admins")
        yield workspace


@pytest.fixture
def workspace(emulated: Emulated, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    for name, value in emulated.environ(ANN).items():
        monkeypatch.setenv(name, value)
    return open_workspace()


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A distribution `tiny` whose gatehouse-task is TASK."""
    file = tmp_path / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("tiny.py", TASK)
        archive.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("tiny-1.0.dist-info/entry_points.txt", "[console_scripts]\ngatehouse-task = tiny:main\n")
        archive.writestr("tiny-1.0.dist-info/RECORD", "")
    return file


@pytest.fixture
def deploy(emulated: Emulated, workspace: Workspace, wheel: Path) -> Iterator[Callable[[str], Job]]:
    """Makes a job whose one task gets `what` as the first argument."""
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service.compute import Environment
    from databricks.sdk.service.jobs import (
        JobEnvironment,
        JobParameterDefinition,
        PythonWheelTask,
        QueueSettings,
        Task,
    )

    place = emulated.folder("/Workspace/Shared") / wheel.name
    place.write_bytes(wheel.read_bytes())
    made: list[int] = []

    def deployed(what: str) -> Job:
        spec = Environment(environment_version="5", dependencies=[f"/Workspace/Shared/{wheel.name}"])
        key = f"job{len(made)}"
        created = workspace.sdk.jobs.create(
            name=f"flights prod {key}",
            tags={"gatehouse_project": "flights", "gatehouse_env": "prod", "gatehouse_job": key},
            parameters=[JobParameterDefinition(name="what", default=what)],
            environments=[JobEnvironment(environment_key="default", spec=spec)],
            max_concurrent_runs=1,
            queue=QueueSettings(enabled=True),
            tasks=[
                Task(
                    task_key="work",
                    environment_key="default",
                    python_wheel_task=PythonWheelTask(
                        package_name="tiny", entry_point="gatehouse-task", parameters=["{{job.parameters.what}}"]
                    ),
                )
            ],
        )
        assert created.job_id is not None
        made.append(created.job_id)
        return find_job(workspace, project="flights", env="prod", key=key)

    yield deployed
    for job_id in made:
        again = WorkspaceClient(host=emulated.host, token=emulated.token_of(ANN))  # the first one may have expired
        again.jobs.cancel_all_runs(job_id=job_id)
        again.jobs.delete(job_id)


def runs_of(workspace: Workspace, job: Job) -> list[Any]:
    return list(workspace.sdk.jobs.list_runs(job_id=job.job_id))


def test_a_run_brings_back_what_its_task_says(workspace: Workspace, deploy: Callable[[str], Job]) -> None:
    told = Silent()
    result = run_job(workspace, deploy("well"), {"what": "better"}, progress=told)
    assert dict(result.values) == {"said": "better"}
    assert result.page.startswith(f"{workspace.host}/")
    assert "work: TERMINATED SUCCESS" in told.notes


def test_an_error_inside_is_the_same_error_outside(workspace: Workspace, deploy: Callable[[str], Job]) -> None:
    with pytest.raises(Refused, match="Version 7 is worse") as caught:
        run_job(workspace, deploy("refuse"), {}, progress=Silent())
    assert caught.value.remedy == "gatehouse why 7"


@pytest.mark.parametrize("after", [False, True])
def test_a_connection_lost_in_submitting_is_one_run(
    emulated: Emulated, workspace: Workspace, deploy: Callable[[str], Job], after: bool
) -> None:
    job = deploy("well")
    emulated.fail("POST", "/jobs/run-now", status=None, after=after)
    run_job(workspace, job, {}, progress=Silent())
    assert len(runs_of(workspace, job)) == 1


def test_whoever_is_stopped_stops_the_task_too(workspace: Workspace, deploy: Callable[[str], Job]) -> None:
    class Stopping(Silent):
        def note(self, text: str) -> None:
            if text.startswith("work: RUNNING"):
                os.kill(os.getpid(), signal.SIGTERM)

    job = deploy("wait")
    with pytest.raises(Interrupted, match="is cancelled"):
        run_job(workspace, job, {}, progress=Stopping())
    assert [run.state.result_state.value for run in runs_of(workspace, job)] == ["CANCELED"]


def test_a_run_that_somebody_else_cancels_is_no_success(workspace: Workspace, deploy: Callable[[str], Job]) -> None:
    class Meddling(Silent):
        def note(self, text: str) -> None:
            if text.startswith("work: RUNNING"):
                workspace.sdk.jobs.cancel_run(runs_of(workspace, job)[0].run_id)

    job = deploy("wait")
    with pytest.raises(RunFailed, match="was cancelled"):
        run_job(workspace, job, {}, progress=Meddling())


def test_a_failed_run_is_repaired_where_the_caller_wants_it(
    workspace: Workspace, deploy: Callable[[str], Job], tmp_path: Path
) -> None:
    job = deploy(f"once-broken={tmp_path / 'mark'}")
    with pytest.raises(RunFailed, match=r"(?s)task work failed.*the first time it breaks"):
        run_job(workspace, job, {}, progress=Silent())
    run_job(workspace, job, {}, progress=Silent(), repair=True)
    assert len(runs_of(workspace, job)) == 1


def test_a_second_run_of_a_job_that_runs_waits_in_the_queue(workspace: Workspace, deploy: Callable[[str], Job]) -> None:
    class Freeing(Silent):
        def note(self, text: str) -> None:
            super().note(text)
            if "QUEUED" in text:
                workspace.sdk.jobs.cancel_run(first)

    job, told = deploy("wait"), Freeing()
    first: int = workspace.sdk.jobs.run_now(job.job_id).bind()["run_id"]
    run_job(workspace, job, {"what": "well"}, progress=told)
    assert any("QUEUED" in note for note in told.notes)


def test_a_token_that_expires_while_a_run_goes_on(
    emulated: Emulated, workspace: Workspace, deploy: Callable[[str], Job]
) -> None:
    class Expiring(Silent):
        def note(self, text: str) -> None:
            if text.startswith("work: RUNNING"):
                emulated.expire(ANN)

    job = deploy("wait")
    with pytest.raises(AccessDenied, match=r"(?s)did not accept the credentials.*may still be going on"):
        run_job(workspace, job, {}, progress=Expiring())


def test_code_that_is_not_deployed_runs_once_and_is_gone(
    emulated: Emulated, workspace: Workspace, wheel: Path, tmp_path: Path
) -> None:
    (tmp_path / "conf").mkdir()
    for name in ("requirements.txt", "code.json", "conf/environments.yml"):
        (tmp_path / name).write_text("")
    code = Code(
        package="tiny",
        wheel=wheel,
        requirements=tmp_path / "requirements.txt",
        known=tmp_path / "code.json",
        conf=tmp_path / "conf",
    )
    result = run_once(workspace, "score", code, ["well"], Compute(), progress=Silent())
    assert dict(result.values) == {"said": "well"}
    assert "conf: ['environments.yml']" in result.tasks[0].logs
    assert list(emulated.folder(f"/Workspace/Users/{ANN}/.gatehouse").glob("*")) == []


# --- Serving --------------------------------------------------------------------------------------------------------


def write_model(folder: Path, number: float) -> Path:
    """A model that adds a number to `hour`; nothing is trained or pickled."""
    (folder / "code").mkdir(parents=True)
    (folder / "number.txt").write_text(str(number))
    (folder / "code" / f"adding_{int(number)}.py").write_text(
        "from pathlib import Path\n"
        "class Adding:\n"
        "    def __init__(self, number):\n"
        "        self.number = number\n"
        "    def predict(self, frame):\n"
        "        return frame['hour'] + self.number\n"
        "def _load_pyfunc(path):\n"
        "    return Adding(float(Path(path).read_text()))\n"
    )
    (folder / "MLmodel").write_text(
        "flavors:\n"
        "  python_function:\n"
        f"    loader_module: adding_{int(number)}\n"
        "    code: code\n"
        "    data: number.txt\n"
        f"    python_version: {platform.python_version()}\n"
        "signature:\n"
        """  inputs: '[{"type": "double", "name": "hour", "required": true}]'\n"""
        """  outputs: '[{"type": "double", "required": true}]'\n"""
    )
    return folder


def test_from_the_first_version_to_the_next_and_back(emulated: Emulated, workspace: Workspace, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    workspace.sdk.catalogs.create("prod")
    workspace.sdk.schemas.create("flights", "prod")
    client = MlflowClient(tracking_uri="databricks", registry_uri="databricks-uc")
    client.create_registered_model(MODEL)
    for number in (1, 2):
        client.create_model_version(MODEL, source=str(write_model(tmp_path / str(number), number)))
    endpoint = Endpoint(
        name="flights-prod",
        model=MODEL,
        project="flights",
        env="prod",
        inference_table=InferenceTable(catalog="prod", schema="flights", prefix="served"),
    )
    serving = Serving(workspace, endpoint, progress=Silent(), limit=120)
    hours = [[7.0], [22.0]]

    def rows(number: float) -> Rows:
        return Rows(columns=["hour"], data=hours, answers=[hour + number for (hour,) in hours])

    def asked() -> list[float]:
        answer: Any = workspace.sdk.serving_endpoints.query(
            "flights-prod", dataframe_records=[{"hour": hour} for (hour,) in hours]
        ).predictions
        return [number for row in answer for number in row.values()]

    assert dict(serving.serve("1", rows(1)).traffic) == {"1": 100}
    assert asked() == [8, 23]
    with pytest.raises(Refused, match="2 of them differ"):
        serving.serve("2", rows(1))
    assert asked() == [8, 23]
    assert dict(serving.serve("2", rows(2)).traffic) == {"1": 0, "2": 100}
    assert asked() == [9, 24]
    assert dict(serving.rollback("1").traffic) == {"1": 100, "2": 0}
    assert asked() == [8, 23]
    assert dict(serving.split("1", "2", 20, rows(2)).traffic) == {"1": 80, "2": 20}
