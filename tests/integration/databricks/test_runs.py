"""Runs of jobs in a workspace: one run for one wish, followed to an end that is known, or an error that says where."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest
from tests.integration.databricks.conftest import Hours
from tests.integration.databricks.jobs_api import JobsApi, Json, frame, task
from tests.integration.databricks.loopback import Answer, Loopback, refused

from gatehouse.databricks.client import Workspace
from gatehouse.databricks.outcome import write_failure, write_outcome
from gatehouse.databricks.runs import Job, find_job, run_job, token_of
from gatehouse.errors import (
    AccessDenied,
    Busy,
    GatehouseError,
    Interrupted,
    Refused,
    RunFailed,
    StateError,
    Unanswered,
)
from gatehouse.progress import Silent

RUN_NOW = "POST /api/2.2/jobs/run-now"
GET_RUN = "GET /api/2.2/jobs/runs/get"
OUTPUT = "GET /api/2.2/jobs/runs/get-output"
PAGE = "/jobs/11/runs/700"

WELL = [
    frame("QUEUED", message="the job runs already"),
    frame("RUNNING", "", task("ingest", "RUNNING", run_id=1), task("training", "BLOCKED", run_id=2)),
    frame("RUNNING", "", task("ingest", "TERMINATED", "SUCCESS", run_id=1), task("training", "RUNNING", run_id=2)),
    frame(
        "TERMINATED",
        "SUCCESS",
        task("ingest", "TERMINATED", "SUCCESS", run_id=1),
        task("training", "TERMINATED", "SUCCESS", run_id=2),
    ),
]


def badly(*tasks: Json, result: str = "FAILED", **said: Any) -> list[Json]:
    return [frame("TERMINATED", result, *tasks, **said)]


@pytest.fixture
def release(workspace: Workspace, jobs: JobsApi) -> Job:
    jobs.deploy("release")
    jobs.script = list(WELL)
    return find_job(workspace, project="flights", env="prod", key="release")


@pytest.fixture
def run(workspace: Workspace, release: Job) -> Callable[..., Any]:
    def ran(progress: Silent | None = None, **options: Any) -> Any:
        return run_job(workspace, release, options.pop("given", {}), progress=progress or Silent(), **options)

    return ran


# --- Finding --------------------------------------------------------------------------------------------------------


def test_a_job_is_found_by_its_tags(workspace: Workspace, jobs: JobsApi) -> None:
    jobs.deploy("training", job_id=10)
    jobs.deploy("release", job_id=11)
    jobs.deploy("release", job_id=12, env="staging")
    assert find_job(workspace, project="flights", env="prod", key="release") == Job(
        job_id=11, name="flights prod release", env="prod", parameters={"as_of": "", "seed": "2013"}
    )


def test_a_job_that_only_has_the_name_is_not_the_bundles(workspace: Workspace, jobs: JobsApi) -> None:
    jobs.deploy("release", tags={})
    with pytest.raises(StateError, match="no jobs for flights prod release") as caught:
        find_job(workspace, project="flights", env="prod", key="release")
    assert caught.value.remedy == "databricks bundle deploy -t prod"


def test_two_jobs_of_one_name_are_one_too_many(workspace: Workspace, jobs: JobsApi) -> None:
    jobs.deploy("release", job_id=11)
    jobs.deploy("release", job_id=12)
    with pytest.raises(StateError, match=r"2 jobs .*release \(11\), flights prod release \(12\)"):
        find_job(workspace, project="flights", env="prod", key="release")


def test_in_development_everybody_has_their_own(workspace: Workspace, jobs: JobsApi) -> None:
    jobs.deploy("release", job_id=11, env="dev", by="bob@example.org")
    jobs.deploy("release", job_id=12, env="dev", by="alice@example.org")
    job = find_job(workspace, project="flights", env="dev", key="release")
    assert (job.job_id, job.name) == (12, "[dev alice] flights dev release")


def test_two_of_my_own_are_one_too_many(workspace: Workspace, jobs: JobsApi) -> None:
    for job_id in (11, 12):
        jobs.deploy("release", job_id=job_id, env="dev", by="alice@example.org")
    with pytest.raises(StateError, match="2 jobs"):
        find_job(workspace, project="flights", env="dev", key="release")


# --- A run that goes well -------------------------------------------------------------------------------------------


def test_a_run_is_followed_to_its_end_and_brings_back_what_its_tasks_say(
    run: Callable[..., Any], jobs: JobsApi, server: Loopback
) -> None:
    jobs.outputs = {
        1: {"logs": f"rows: 5\n{write_outcome(0, {'rows': '5'})}\n"},
        2: {"logs": write_outcome(0, {"version": "7"})},
    }
    told = Silent()
    result = run(told, given={"as_of": "2013-07-01"})
    assert (result.run_id, result.name, result.page) == (700, "flights prod release", server.address + PAGE)
    assert dict(result.values) == {"rows": "5", "version": "7"}
    assert [(t.key, t.standing.well) for t in result.tasks] == [("ingest", True), ("training", True)]
    assert result.tasks[0].logs.startswith("rows: 5\n")
    assert told.notes == [
        f"run 700: {server.address}{PAGE}",
        "flights prod release: QUEUED (the job runs already)",
        "flights prod release: RUNNING",
        "ingest: RUNNING",
        "training: BLOCKED",
        "ingest: TERMINATED SUCCESS",
        "training: RUNNING",
        "flights prod release: TERMINATED SUCCESS",
        "training: TERMINATED SUCCESS",
    ]
    sent = server.to(RUN_NOW)[0].body
    assert sent.pop("idempotency_token")
    assert sent == {"job_id": 11, "job_parameters": {"as_of": "2013-07-01"}, "queue": {"enabled": True}}


def test_a_task_that_was_tried_again_counts_as_its_last_attempt(run: Callable[..., Any], jobs: JobsApi) -> None:
    jobs.outputs = {1: {"logs": write_failure(Busy("locked"))}, 2: {"logs": write_outcome(0, {"rows": "5"})}}
    jobs.script = [
        frame(
            "TERMINATED",
            "SUCCESS",
            task("ingest", "TERMINATED", "SUCCESS", run_id=2, attempt_number=1),
            task("ingest", "TERMINATED", "FAILED", run_id=1, attempt_number=0),
        )
    ]
    assert dict(run().values) == {"rows": "5"}


def test_the_pauses_grow_to_ten_seconds(run: Callable[..., Any], jobs: JobsApi, hours: Hours) -> None:
    jobs.script = [*[frame("RUNNING")] * 12, *WELL[-1:]]
    run()
    assert hours.slept == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 10]


def test_an_unknown_parameter_is_not_dropped_in_silence(run: Callable[..., Any], server: Loopback) -> None:
    with pytest.raises(StateError, match="has no parameter asof") as caught:
        run(given={"asof": "2013-07-01"})
    assert caught.value.remedy == "databricks bundle deploy -t prod"
    assert server.count(RUN_NOW) == 0


# --- One wish, one run ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        Answer(drop="before"),
        Answer(drop="after"),
        refused(429, "RESOURCE_EXHAUSTED", "slow down", Retry_After="2"),
        refused(500, "INTERNAL_ERROR", "oops"),
        refused(503, "TEMPORARILY_UNAVAILABLE", "oops"),
        Answer(content=b"<html>oops</html>"),
        Answer(content={"number_in_job": 3}),
    ],
)
def test_a_submission_that_has_to_be_repeated_is_one_run(
    run: Callable[..., Any], jobs: JobsApi, server: Loopback, fault: Answer
) -> None:
    server.fail(RUN_NOW, fault)
    assert run().run_id == 700
    assert list(jobs.runs) == [700]
    assert len({asked["idempotency_token"] for asked in server.to(RUN_NOW)}) == 1
    assert server.count(RUN_NOW) == 2


def test_the_same_token_is_the_same_run_and_every_other_call_one_of_its_own(
    run: Callable[..., Any], jobs: JobsApi
) -> None:
    token = token_of("github", "17", "1", "release")
    assert len(token) == 64
    assert token != token_of("github", "17", "11", "release")
    assert [run(token=token).run_id, run(token=token).run_id, run().run_id, run().run_id] == [700, 700, 701, 702]


def test_a_job_that_was_deleted_before_it_started(run: Callable[..., Any], jobs: JobsApi) -> None:
    jobs.jobs.clear()
    with pytest.raises(StateError, match=r"flights prod release \(11\) is gone") as caught:
        run()
    assert caught.value.remedy == "databricks bundle deploy -t prod"


def test_a_quota_that_is_used_up(run: Callable[..., Any], jobs: JobsApi, server: Loopback) -> None:
    server.fail(RUN_NOW, refused(400, "QUOTA_EXCEEDED", "The quota for the number of jobs has been reached."))
    with pytest.raises(Busy, match="no room for starting the job flights prod release: The quota"):
        run()
    assert jobs.runs == {}


def test_no_right_to_start_it(run: Callable[..., Any], server: Loopback) -> None:
    server.fail(RUN_NOW, refused(403, "PERMISSION_DENIED", "needs CAN_MANAGE_RUN"))
    with pytest.raises(AccessDenied, match="does not permit starting the job flights prod release"):
        run()


# --- A run that does not ---------------------------------------------------------------------------------------------


def test_an_error_of_ours_inside_is_the_same_error_here(run: Callable[..., Any], jobs: JobsApi) -> None:
    jobs.script = badly(
        task("training", "TERMINATED", "FAILED", run_id=2, run_page_url="https://w/task"),
        task("promotion", "TERMINATED", "UPSTREAM_FAILED"),
    )
    inside = Refused("Version 7 is worse.", why="It loses 0.02.", remedy="gatehouse why 7")
    jobs.outputs = {2: {"logs": f"judging\n{write_failure(inside)}\nTraceback ...", "error": "Refused: Version 7"}}
    with pytest.raises(Refused) as caught:
        run()
    assert "Version 7 is worse. (task training of Run 700 of flights prod release: https://w/task)" in str(caught.value)
    assert (caught.value.why, caught.value.remedy, caught.value.exit_code) == (inside.why, inside.remedy, 10)


def test_a_task_that_failed_shows_the_end_of_its_log(run: Callable[..., Any], jobs: JobsApi) -> None:
    jobs.script = badly(
        task("ingest", "TERMINATED", "SUCCESS", run_id=1), task("training", "TERMINATED", "FAILED", run_id=2)
    )
    lines = [f"line {n}" for n in range(40)]
    jobs.outputs = {1: {"logs": "all is well"}, 2: {"logs": "\n".join([*lines, write_failure(Refused("no"))])}}
    told = Silent()
    with pytest.raises(Refused):
        run(told)
    assert [note for note in told.notes if " | " in note] == [f"training | line {n}" for n in range(10, 40)]


def test_an_error_of_somebody_else_comes_with_the_beginning_of_its_trace(
    run: Callable[..., Any], jobs: JobsApi, server: Loopback
) -> None:
    jobs.script = badly(task("ingest", "TERMINATED", "FAILED", run_id=1), message="Workload failed")
    trace = "\n".join(f"\x1b[31mline {n}\x1b[0m" for n in range(40))
    jobs.outputs = {1: {"logs": "no mark", "error": "ValueError: bad\x07", "error_trace": trace}}
    with pytest.raises(RunFailed) as caught:
        run()
    shown = str(caught.value)
    assert shown.startswith(
        "Run 700 of flights prod release failed: Workload failed; its task ingest failed"
        f" ({server.address}{PAGE}):\n    ValueError: bad\n    line 0\n"
    )
    assert "line 7\n" in shown
    assert "line 8" not in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    ("end", "kind", "said"),
    [
        (frame("TERMINATED", "CANCELED", message="cancelled by bob"), RunFailed, "was cancelled.*: cancelled by bob"),
        (frame("TERMINATED", "TIMEDOUT"), RunFailed, "ran out of its time"),
        (frame("INTERNAL_ERROR", code="DRIVER_ERROR"), RunFailed, r"broke down in the platform \(DRIVER_ERROR\)"),
        (frame("INTERNAL_ERROR", code="INTERNAL_ERROR"), RunFailed, "broke down in the platform"),
        (frame("SKIPPED", code="SKIPPED"), RunFailed, "was skipped"),
        (frame("SKIPPED"), Busy, "was skipped"),
        (frame("SKIPPED", code="MAX_CONCURRENT_RUNS_EXCEEDED"), Busy, "MAX_CONCURRENT_RUNS_EXCEEDED"),
        (frame("TERMINATED", "MAXIMUM_CONCURRENT_RUNS_REACHED"), Busy, "as many run already"),
        (frame("INTERNAL_ERROR", code="WORKSPACE_RUN_LIMIT_EXCEEDED"), Busy, "WORKSPACE_RUN_LIMIT_EXCEEDED"),
        (frame("TERMINATED", "FAILED", code="UNAUTHORIZED_ERROR"), AccessDenied, r"failed \(UNAUTHORIZED_ERROR\)"),
        (frame("TERMINATED", "SUCCESS_WITH_FAILURES"), RunFailed, "ended with tasks that failed"),
        (frame("TERMINATED", "SPLENDID"), RunFailed, "a state that this version does not know"),
        (frame("TERMINATED", "SUCCESS", code="SPLENDID"), RunFailed, "a state that this version does not know"),
        (frame("TERMINATED", "SPLENDID", code="SUCCESS"), RunFailed, "a state that this version does not know"),
        (frame("TERMINATED"), RunFailed, "a state that this version does not know"),
        (frame("VANISHED") | {"end_time": 1}, RunFailed, "a state that this version does not know"),
        (frame("SKIPPED", "SUCCESS"), RunFailed, "skipped"),
    ],
)
def test_no_end_but_a_success_is_a_success(
    run: Callable[..., Any], jobs: JobsApi, server: Loopback, end: Json, kind: type[GatehouseError], said: str
) -> None:
    jobs.script = [frame("RUNNING"), end]
    with pytest.raises(kind, match=f"(?s)Run 700 of flights prod release .*{said}.*{re.escape(PAGE)}") as caught:
        run()
    assert type(caught.value) is kind


def test_a_success_of_the_platform_with_a_failure_of_ours_is_a_failure(run: Callable[..., Any], jobs: JobsApi) -> None:
    jobs.outputs = {2: {"logs": write_failure(Refused("no"))}}
    with pytest.raises(Refused, match="task training"):
        run()


def test_a_success_whose_output_nobody_can_read_is_not_known_to_be_one(
    run: Callable[..., Any], server: Loopback
) -> None:
    server.fail(OUTPUT, *[refused(500, "INTERNAL_ERROR", "oops")] * 5)
    with pytest.raises(Unanswered, match="while reading the output of ingest"):
        run()


def test_a_task_that_broke_down_inside_the_platform_names_it(run: Callable[..., Any], jobs: JobsApi) -> None:
    jobs.script = badly(
        task("ingest", "INTERNAL_ERROR", run_id=1, code="LIBRARY_INSTALLATION_ERROR", message="no such wheel")
    )
    with pytest.raises(RunFailed, match=r"ingest broke down in the platform \(LIBRARY_INSTALLATION_ERROR\): no such"):
        run()


# --- While it is followed -------------------------------------------------------------------------------------------


def test_a_moments_silence_does_not_lose_the_run(run: Callable[..., Any], server: Loopback) -> None:
    server.fail(
        GET_RUN,
        refused(429, "LATER", "slow down", Retry_After="3"),
        refused(500, "INTERNAL_ERROR", "oops"),
        Answer(drop="before"),
        Answer(content=b"<html>login</html>"),
        Answer(content=["not", "a", "run"]),
    )
    assert run().run_id == 700


def test_a_token_that_expires_on_the_way_leaves_the_page_of_the_run(
    workspace: Workspace, release: Job, server: Loopback
) -> None:
    class Expiring(Silent):
        def note(self, text: str) -> None:
            if text.startswith("ingest"):
                server.fail(GET_RUN, refused(401, "UNAUTHENTICATED", "token expired"))

    with pytest.raises(AccessDenied, match=f"(?s)credentials.*may still be going on: .*{PAGE}"):
        run_job(workspace, release, {}, progress=Expiring())


def test_a_run_that_is_deleted_under_us(workspace: Workspace, release: Job, jobs: JobsApi) -> None:
    class Deleting(Silent):
        def note(self, text: str) -> None:
            if text.startswith("ingest"):
                jobs.runs.clear()

    with pytest.raises(RunFailed, match=rf"Run 700 of flights prod release \(.*{PAGE}\) is gone"):
        run_job(workspace, release, {}, progress=Deleting())


def test_an_answer_without_any_state_is_waited_with_until_the_time_is_over(
    run: Callable[..., Any], jobs: JobsApi, hours: Hours
) -> None:
    jobs.script = [{}]
    start = hours.now
    with pytest.raises(RunFailed, match=f"did not end within 600 seconds, and was cancelled: .*{PAGE}"):
        run(limit=600)
    assert jobs.cancelled == [700]
    assert 600 <= hours.now - start < 620


def test_a_run_that_takes_too_long_and_cannot_be_cancelled_is_a_failure_all_the_same(
    run: Callable[..., Any], jobs: JobsApi, server: Loopback
) -> None:
    jobs.script = [frame("RUNNING")]
    server.fail("POST /api/2.2/jobs/runs/cancel", refused(403, "PERMISSION_DENIED", "not yours"))
    with pytest.raises(RunFailed, match=r"within 60 seconds, and could not be cancelled \(.*not yours"):
        run(limit=60)


# --- Stopping -------------------------------------------------------------------------------------------------------


class Stopping(Silent):
    """Sends this process a signal as soon as a line begins like that."""

    def __init__(self, line: str, number: int) -> None:
        super().__init__()
        self._line, self._number = line, number

    def note(self, text: str) -> None:
        if text.startswith(self._line):
            os.kill(os.getpid(), self._number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures("pressed")
def test_whoever_is_stopped_cancels_the_run(workspace: Workspace, release: Job, jobs: JobsApi, number: int) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted, match=r"run 700 of flights prod release is cancelled: .*/jobs/runs/700") as caught:
        run_job(workspace, release, {}, progress=Stopping("ingest", number))
    assert jobs.cancelled == [700]
    assert caught.value.exit_code == 130
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.usefixtures("pressed")
def test_whoever_is_stopped_before_the_answer_came_cancels_the_run_that_it_started(
    workspace: Workspace, release: Job, jobs: JobsApi, server: Loopback, hours: Hours, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.fail(RUN_NOW, Answer(drop="after"))

    def stopped(seconds: float) -> None:
        monkeypatch.undo()
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(hours, "sleep", stopped)
    with pytest.raises(Interrupted, match="run 700 of flights prod release is cancelled"):
        run_job(workspace, release, {}, progress=Silent())
    assert (list(jobs.runs), jobs.cancelled) == ([700], [700])


@pytest.mark.usefixtures("pressed")
def test_a_second_time_leaves_at_once(
    workspace: Workspace, release: Job, hours: Hours, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hours, "sleep", lambda seconds: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(Interrupted, match=r"run 700 .* was not seen to be cancelled") as caught:
        run_job(workspace, release, {}, progress=Silent())
    assert caught.value.remedy.endswith("/jobs/runs/700, and cancel it there.")


@pytest.mark.usefixtures("pressed")
def test_a_run_that_cannot_be_cancelled_is_said_to_go_on(workspace: Workspace, release: Job, server: Loopback) -> None:
    server.fail("POST /api/2.2/jobs/runs/cancel", refused(403, "PERMISSION_DENIED", "not yours"))
    with pytest.raises(Interrupted, match=r"not seen to be cancelled: .*not yours"):
        run_job(workspace, release, {}, progress=Stopping("ingest", signal.SIGINT))


@pytest.mark.usefixtures("pressed")
def test_a_run_that_ended_before_it_could_be_cancelled_is_not_called_cancelled(
    workspace: Workspace, release: Job, jobs: JobsApi, server: Loopback
) -> None:
    def too_late(asked: Any) -> Json:
        jobs.runs[700].frames = WELL[-1:]
        return {}

    server.on("POST", "/api/2.2/jobs/runs/cancel", too_late, first=True)
    with pytest.raises(Interrupted, match=r"run 700 of flights prod release had ended before \(TERMINATED SUCCESS\)"):
        run_job(workspace, release, {}, progress=Stopping("ingest", signal.SIGINT))


def test_a_thread_is_sent_no_signals_and_runs_as_well(run: Callable[..., Any]) -> None:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(run()))
    thread.start()
    thread.join()
    assert [result.run_id for result in results] == [700]


# --- Repairing ------------------------------------------------------------------------------------------------------


@pytest.fixture
def failed(run: Callable[..., Any], jobs: JobsApi) -> None:
    """The job's last run failed, with as_of 2013-07-01."""
    jobs.script = badly(task("training", "TERMINATED", "FAILED", run_id=2))
    jobs.after_repair = [frame("RUNNING"), *WELL[-1:]]
    with pytest.raises(RunFailed):
        run(given={"as_of": "2013-07-01"})
    jobs.script = list(WELL)


@pytest.mark.usefixtures("failed")
def test_the_last_run_is_repaired_where_the_caller_wants_it(
    run: Callable[..., Any], jobs: JobsApi, server: Loopback
) -> None:
    assert run(given={"as_of": "2013-07-01"}, repair=True).run_id == 700
    assert list(jobs.runs) == [700]
    assert server.to("POST /api/2.2/jobs/runs/repair")[0].body == {"run_id": 700, "rerun_all_failed_tasks": True}


@pytest.mark.usefixtures("failed")
def test_the_failure_of_before_is_not_taken_for_the_repairs_own(run: Callable[..., Any], jobs: JobsApi) -> None:
    jobs.runs[700].stale = 2
    assert run(given={"as_of": "2013-07-01"}, repair=True).run_id == 700


@pytest.mark.usefixtures("failed")
def test_nothing_is_repaired_that_nobody_asked_for(run: Callable[..., Any]) -> None:
    assert run(given={"as_of": "2013-07-01"}).run_id == 701


@pytest.mark.usefixtures("failed")
def test_a_run_with_other_parameters_is_another_run(run: Callable[..., Any]) -> None:
    assert run(given={"as_of": "2013-07-08"}, repair=True).run_id == 701


def test_a_run_that_went_well_is_not_repaired(run: Callable[..., Any]) -> None:
    assert [run().run_id, run(repair=True).run_id] == [700, 701]


@pytest.mark.usefixtures("failed")
def test_a_repair_whose_answer_was_lost_is_found_and_followed(
    run: Callable[..., Any], jobs: JobsApi, server: Loopback
) -> None:
    server.fail("POST /api/2.2/jobs/runs/repair", Answer(drop="after"))
    assert run(given={"as_of": "2013-07-01"}, repair=True).run_id == 700
    assert jobs.runs[700].repairs == [9000]


@pytest.mark.usefixtures("failed")
def test_a_repair_that_fails_is_repaired_again(run: Callable[..., Any], jobs: JobsApi) -> None:
    jobs.runs[700].after_repair = badly(task("training", "TERMINATED", "FAILED", run_id=2))
    with pytest.raises(RunFailed):
        run(given={"as_of": "2013-07-01"}, repair=True)
    jobs.runs[700].after_repair = WELL[-1:]
    assert run(given={"as_of": "2013-07-01"}, repair=True).run_id == 700
    assert jobs.runs[700].repairs == [9000, 9001]


@pytest.mark.usefixtures("failed")
def test_a_repair_that_is_refused_starts_nothing_else(run: Callable[..., Any], jobs: JobsApi, server: Loopback) -> None:
    server.fail("POST /api/2.2/jobs/runs/repair", refused(400, "INVALID_STATE", "the job was changed"))
    with pytest.raises(Unanswered, match="refused repairing run 700 of flights prod release: the job was changed"):
        run(given={"as_of": "2013-07-01"}, repair=True)
    assert list(jobs.runs) == [700]
