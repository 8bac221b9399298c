"""The emulated workspace runs jobs as Databricks documents it; driven by the SDK."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import InvalidParameterValue, PermissionDenied, ResourceDoesNotExist
from databricks.sdk.service.iam import AccessControlRequest, PermissionLevel
from databricks.sdk.service.workspace import ImportFormat
from tests.template.harness.workspace import Workspace
from tests.template.harness.workspace.tiny_wheel import make_wheel

if TYPE_CHECKING:
    from databricks.sdk.service.jobs import Run

WHEEL = "/Workspace/Shared/wheels/tiny-1.0-py3-none-any.whl"
ENVIRONMENTS = [{"environment_key": "default", "spec": {"environment_version": "5", "dependencies": [WHEEL, "numpy"]}}]
Start = Callable[..., "Run"]


@pytest.fixture(scope="module")
def client(one_workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> WorkspaceClient:
    client = client_of(one_workspace, "admin@example.com")
    client.workspace.mkdirs("/Workspace/Shared/wheels")
    content = make_wheel(tmp_path_factory.mktemp("wheel")).read_bytes()
    client.workspace.upload(WHEEL, content, format=ImportFormat.AUTO)
    return client


def client_of(workspace: Workspace, identity: str) -> WorkspaceClient:
    return WorkspaceClient(host=workspace.host, token=workspace.token_of(identity), auth_type="pat")


@pytest.fixture
def make_job(client: WorkspaceClient, workspace: Workspace) -> Callable[..., int]:
    def make(*tasks: dict[str, Any], **settings: Any) -> int:
        body = {"name": "tiny", "tasks": list(tasks), "environments": ENVIRONMENTS, **settings}
        made: Any = client.api_client.do("POST", "/api/2.2/jobs/create", body=body)
        return int(made["job_id"])

    return make


@pytest.fixture
def finished(make_job: Callable[..., int], client: WorkspaceClient, workspace: Workspace) -> Start:
    """Makes a job, runs it to its end, gives the run."""

    def finish(*tasks: dict[str, Any], over: dict[str, str] | None = None, **settings: Any) -> Run:
        started = client.jobs.run_now(make_job(*tasks, **settings), job_parameters=over)
        return ended(workspace, client, started.run_id)

    return finish


def ended(workspace: Workspace, client: WorkspaceClient, run_id: int) -> Run:
    workspace.runs.wait(workspace.runs.all[run_id], 60)
    return client.jobs.get_run(run_id)


def task(key: str, *parameters: str, after: str = "", **more: Any) -> dict[str, Any]:
    wheel = {"package_name": "tiny", "entry_point": "tiny-task", "parameters": list(parameters)}
    upstream = {"depends_on": [{"task_key": one} for one in after.split()]} if after else {}
    return {"task_key": key, "python_wheel_task": wheel, "environment_key": "default", **upstream, **more}


def logs(client: WorkspaceClient, run: Run, key: str) -> str:
    (attempt, *_) = [t for t in reversed(run.tasks or []) if t.task_key == key]
    assert attempt.run_id
    return client.jobs.get_run_output(attempt.run_id).logs or ""


def results(run: Run) -> dict[str, str]:
    return {
        str(t.task_key): t.state.result_state.value if t.state and t.state.result_state else "" for t in run.tasks or []
    }


def outcome(run: Run) -> tuple[str, str, str]:
    state = run.state
    assert state
    assert state.life_cycle_state
    assert state.result_state
    return state.life_cycle_state.value, state.result_state.value, state.state_message or ""


class Pipe:
    """A task that waits: `started` returns once it runs, `let_go` lets it end."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        os.mkfifo(self.path)
        os.mkfifo(f"{self.path}.runs")

    def started(self) -> None:
        Path(f"{self.path}.runs").read_bytes()

    def let_go(self) -> None:
        Path(self.path).write_bytes(b"")


@pytest.fixture
def pipes(tmp_path: Path) -> Callable[[], Pipe]:
    made: list[Pipe] = []

    def make() -> Pipe:
        made.append(Pipe(tmp_path / f"pipe{len(made)}"))
        return made[-1]

    return make


def test_a_wheel_task_runs_its_entry_point_with_the_parameters_of_the_job(
    finished: Start, client: WorkspaceClient
) -> None:
    parameters = [{"name": "as_of", "default": "2013-06-01"}, {"name": "env", "default": "dev"}]
    say = task("features", "say", "{{job.parameters.as_of}} in {{job.parameters.env}}: {{task.name}}, {{job.name}}")
    run = finished(say, parameters=parameters, over={"as_of": "2013-07-01"})
    assert outcome(run) == ("TERMINATED", "SUCCESS", "")
    assert logs(client, run, "features") == "2013-07-01 in dev: features, tiny\n"
    assert {p.name: (p.default, p.value) for p in run.job_parameters or []} == {
        "as_of": ("2013-06-01", "2013-07-01"),
        "env": ("dev", None),
    }


def test_a_task_sees_the_runtime_and_a_token_of_whom_the_job_runs_as(
    finished: Start, client: WorkspaceClient, workspace: Workspace
) -> None:
    principal = workspace.add_service_principal("tiny-prod")
    run = finished(task("where", "where"), run_as={"service_principal_name": principal})
    assert json.loads(logs(client, run, "where")) == {
        "DATABRICKS_RUNTIME_VERSION": "client.5.0",
        "DATABRICKS_HOST": workspace.host,
        "DATABRICKS_TOKEN": workspace.token_of(principal),
        "EXTRA": None,
        "here": [],
    }


def test_a_path_of_the_workspace_can_be_read_by_the_task(finished: Start, client: WorkspaceClient) -> None:
    client.workspace.upload("/Shared/note.txt", b"hello", format=ImportFormat.AUTO, overwrite=True)
    run = finished(task("read", "read", "/Workspace/Shared/note.txt"))
    assert logs(client, run, "read") == "hello\n"


def test_an_exception_fails_the_task_and_all_below_it(finished: Start, client: WorkspaceClient) -> None:
    run = finished(
        task("ingest", "fail"),
        task("features", "say", "never", after="ingest"),
        task("clean", "say", "always", after="features", run_if="ALL_DONE"),
        task("other", "say", "alone"),
        task("train", "say", "never", after="features"),
    )
    reason = "Task ingest failed with message: Workload failed, see run output for details."
    assert outcome(run) == ("INTERNAL_ERROR", "FAILED", f"{reason} This caused all downstream tasks to get skipped.")
    assert results(run) == {
        "ingest": "FAILED",
        "features": "UPSTREAM_FAILED",
        "clean": "SUCCESS",
        "other": "SUCCESS",
        "train": "UPSTREAM_FAILED",
    }
    assert run.tasks
    output = client.jobs.get_run_output(run.tasks[0].run_id or 0)
    assert output.error == "ValueError: the flights are gone"
    assert output.error_trace
    assert "in main" in output.error_trace


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        (("exit", "0"), "SystemExit: 0"),
        (("exit", "3"), "SystemExit: 3"),
        (("die",), "The Python process exited with exit code -9."),
    ],
)
def test_leaving_the_process_fails_the_task(
    finished: Start, client: WorkspaceClient, parameters: tuple[str, ...], error: str
) -> None:
    run = finished(task("leave", *parameters))
    assert results(run) == {"leave": "FAILED"}
    assert client.jobs.get_run_output(run.run_id or 0).error == error


def test_a_job_whose_leaves_succeed_succeeds_with_failures(finished: Start) -> None:
    run = finished(task("first", "fail"), task("last", "say", "done", after="first", run_if="AT_LEAST_ONE_FAILED"))
    assert outcome(run)[:2] == ("TERMINATED", "SUCCESS_WITH_FAILURES")


@pytest.mark.slow
def test_task_values_reach_later_tasks_and_decide_conditions(finished: Start, client: WorkspaceClient) -> None:
    holds = {"op": "EQUAL_TO", "left": "{{tasks.gates.values.verdict}}", "right": "promote"}
    run = finished(
        task("gates", "set", "verdict", '"promote"'),
        task("read", "get", "gates", "verdict", after="gates"),
        {"task_key": "promoted", "condition_task": holds, "depends_on": [{"task_key": "gates"}]},
        {**task("deploy", "say", "deployed"), "depends_on": [{"task_key": "promoted", "outcome": "true"}]},
        {**task("hold", "say", "held"), "depends_on": [{"task_key": "promoted", "outcome": "false"}]},
    )
    assert outcome(run)[:2] == ("TERMINATED", "SUCCESS")
    assert results(run) == {
        "gates": "SUCCESS",
        "read": "SUCCESS",
        "promoted": "SUCCESS",
        "deploy": "SUCCESS",
        "hold": "EXCLUDED",
    }
    assert logs(client, run, "read") == "promote\n"


def test_a_reference_that_means_nothing_fails_the_task(finished: Start, client: WorkspaceClient) -> None:
    run = finished(task("say", "say", "{{job.parameters.nope}}"))
    assert "{{job.parameters.nope}} means nothing" in (client.jobs.get_run_output(run.run_id or 0).error or "")


def test_a_wheel_that_is_not_there_fails_the_task(finished: Start, client: WorkspaceClient) -> None:
    gone = [{"environment_key": "default", "spec": {"dependencies": ["/Workspace/Shared/gone.whl"]}}]
    run = finished(task("say", "say"), environments=gone)
    error = client.jobs.get_run_output(run.run_id or 0).error
    assert error == "Library installation failed: /Workspace/Shared/gone.whl does not exist."


def test_a_failed_task_is_tried_again_as_often_as_it_may(finished: Start, tmp_path: Path) -> None:
    run = finished(task("flaky", "once", str(tmp_path / "mark"), max_retries=2))
    assert outcome(run)[:2] == ("TERMINATED", "SUCCESS")
    assert [
        (t.attempt_number, t.state.result_state.value) for t in run.tasks or [] if t.state and t.state.result_state
    ] == [
        (0, "FAILED"),
        (1, "SUCCESS"),
    ]


def test_a_second_run_waits_in_the_queue_or_is_skipped_without_one(
    make_job: Callable[..., int], client: WorkspaceClient, workspace: Workspace, pipes: Callable[[], Pipe]
) -> None:
    for queue, life, result in ((True, "QUEUED", None), (False, "SKIPPED", "MAXIMUM_CONCURRENT_RUNS_REACHED")):
        pipe = pipes()
        parameters = [{"name": "what", "default": "say"}]
        job = make_job(
            task("wait", "{{job.parameters.what}}", pipe.path), queue={"enabled": queue}, parameters=parameters
        )
        first = client.jobs.run_now(job, job_parameters={"what": "wait"}).run_id
        pipe.started()
        second = client.jobs.run_now(job).run_id
        state = client.jobs.get_run(second).state
        assert state
        assert state.life_cycle_state
        assert (state.life_cycle_state.value, state.result_state and state.result_state.value) == (life, result)
        pipe.let_go()
        assert outcome(ended(workspace, client, first))[1] == "SUCCESS"
        if queue:
            assert outcome(ended(workspace, client, second))[1] == "SUCCESS"


def test_cancelling_interrupts_what_runs_and_skips_the_rest(
    make_job: Callable[..., int], client: WorkspaceClient, workspace: Workspace, pipes: Callable[[], Pipe]
) -> None:
    pipe, stubborn = pipes(), pipes()
    job = make_job(
        task("wait", "wait", pipe.path),
        task("stubborn", "wait", stubborn.path, "stubborn"),
        task("after", "say", "never", after="wait"),
    )
    run_id = client.jobs.run_now(job).run_id
    pipe.started()
    stubborn.started()
    client.jobs.cancel_run(run_id)
    run = ended(workspace, client, run_id)
    assert outcome(run) == ("TERMINATED", "CANCELED", "Run cancelled.")
    assert results(run) == {"wait": "CANCELED", "stubborn": "CANCELED", "after": "CANCELED"}
    assert logs(client, run, "wait").startswith("interrupted\n")


@pytest.mark.parametrize("whose", ["task", "job"])
def test_what_takes_too_long_is_ended(finished: Start, pipes: Callable[[], Pipe], whose: str) -> None:
    limit: dict[str, Any] = {"timeout_seconds": 1}
    waiting = {**task("wait", "wait", pipes().path), **(limit if whose == "task" else {})}
    run = finished(waiting, **(limit if whose == "job" else {}))
    assert results(run) == {"wait": "TIMEDOUT"}
    assert outcome(run)[1] == ("FAILED" if whose == "task" else "TIMEDOUT")


def test_repair_runs_the_failed_tasks_again_and_what_follows(
    finished: Start, client: WorkspaceClient, workspace: Workspace, tmp_path: Path
) -> None:
    run = finished(
        task("first", "say", "once"),
        task("approval", "once", str(tmp_path / "mark"), after="first"),
        task("deployment", "say", "deployed", after="approval"),
    )
    assert outcome(run)[1] == "FAILED"
    run_id = run.run_id or 0
    repaired: Any = client.jobs.repair_run(run_id, rerun_all_failed_tasks=True, rerun_dependent_tasks=True)
    run = ended(workspace, client, run_id)
    assert outcome(run) == ("TERMINATED", "SUCCESS", "")
    assert [(t.task_key, t.attempt_number) for t in run.tasks or []] == [
        ("first", 0),
        ("approval", 0),
        ("deployment", 0),
        ("approval", 1),
        ("deployment", 1),
    ]
    with pytest.raises(InvalidParameterValue, match="latest_repair_id"):
        client.jobs.repair_run(run_id, rerun_tasks=["first"])
    client.jobs.repair_run(run_id, rerun_tasks=["first"], latest_repair_id=repaired.response.repair_id)
    assert outcome(ended(workspace, client, run_id))[1] == "SUCCESS"


def test_the_same_idempotency_token_starts_one_run(make_job: Callable[..., int], client: WorkspaceClient) -> None:
    job = make_job(task("say", "say"))
    runs = {client.jobs.run_now(job, idempotency_token=f"once-{job}").run_id for _ in range(2)}
    assert len(runs) == 1
    assert len(list(client.jobs.list_runs(job_id=job))) == 1


def test_a_run_can_be_submitted_without_a_job(client: WorkspaceClient, workspace: Workspace) -> None:
    body = {"run_name": "once", "tasks": [task("say", "say", "submitted")], "environments": ENVIRONMENTS}
    answer: Any = client.api_client.do("POST", "/api/2.2/jobs/runs/submit", body=body)
    run = ended(workspace, client, answer["run_id"])
    assert run.run_type
    assert (run.run_name, run.run_type.value, outcome(run)[1]) == ("once", "SUBMIT_RUN", "SUCCESS")
    assert client.jobs.get_run_output(run.run_id or 0).logs == "submitted\n"


def test_what_a_job_was_given_comes_back_with_the_service_s_defaults(
    make_job: Callable[..., int], client: WorkspaceClient
) -> None:
    job = make_job(task("b", "say", after="a"), task("a", "say"), tags={"gatehouse_job": "features"})
    settings = client.jobs.get(job).settings
    assert settings
    assert settings.tags == {"gatehouse_job": "features"}
    assert (settings.max_concurrent_runs, settings.timeout_seconds) == (1, 0)
    assert [t.task_key for t in settings.tasks or []] == ["b", "a"]
    assert job in [j.job_id for j in client.jobs.list(name="tiny")]
    client.jobs.delete(job)
    with pytest.raises(ResourceDoesNotExist):
        client.jobs.get(job)


def test_only_who_may_manage_runs_starts_cancels_and_repairs(
    make_job: Callable[..., int], client: WorkspaceClient, workspace: Workspace
) -> None:
    workspace.add_user("dora@example.com", "tiny-developers")
    dora, job = client_of(workspace, "dora@example.com"), make_job(task("say", "say"))
    with pytest.raises(PermissionDenied):
        dora.jobs.get(job)
    owner = AccessControlRequest(user_name="admin@example.com", permission_level=PermissionLevel.IS_OWNER)
    for level in (PermissionLevel.CAN_VIEW, PermissionLevel.CAN_MANAGE_RUN):
        group = AccessControlRequest(group_name="tiny-developers", permission_level=level)
        client.permissions.set("jobs", str(job), access_control_list=[owner, group])
        assert dora.jobs.get(job).job_id == job
        if level is PermissionLevel.CAN_VIEW:
            with pytest.raises(PermissionDenied, match="CAN_MANAGE_RUN"):
                dora.jobs.run_now(job)
    assert outcome(ended(workspace, client, dora.jobs.run_now(job).run_id))[1] == "SUCCESS"


def test_settings_that_contradict_themselves_are_refused(make_job: Callable[..., int]) -> None:
    with pytest.raises(InvalidParameterValue, match="depends on nobody, which do not exist"):
        make_job(task("a", "say", after="nobody"))
    with pytest.raises(InvalidParameterValue, match="environment other"):
        make_job(task("a", "say", environment_key="other"))


def test_unknown_job_parameters_are_refused(make_job: Callable[..., int], client: WorkspaceClient) -> None:
    with pytest.raises(InvalidParameterValue, match="has no parameters nope"):
        client.jobs.run_now(make_job(task("a", "say")), job_parameters={"nope": "1"})
