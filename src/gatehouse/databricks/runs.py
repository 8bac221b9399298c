"""Runs of the bundle's jobs: found by their tags, started once, followed to their end, cancelled with their caller.

A submission carries a token, so that one that had to be repeated (or was interrupted before its answer arrived) is one
run. Nothing is repaired unless the caller wants it: a repair runs the failed tasks with the code that is deployed now,
and keeps what the others wrote with the code of then. `run_job(.., repair=True)` is for a caller who knows that both
are the same: it goes on with the job's last run if that failed with the same parameters, and starts one otherwise.
"""

from __future__ import annotations

import hashlib
import signal
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatehouse.databricks.client import Workspace
from gatehouse.databricks.outcome import MARK, read_outcome
from gatehouse.databricks.states import RunResult, TaskResult, failure_of, first_lines, plain, standing_of
from gatehouse.errors import GatehouseError, Interrupted, RunFailed, StateError, Unanswered
from gatehouse.progress import Progress

if TYPE_CHECKING:
    from databricks.sdk.service.jobs import BaseJob, Run, RunTask

TAGS = ("gatehouse_project", "gatehouse_env", "gatehouse_job")
LIMIT = 6 * 3600.0
"""Seconds; the jobs have time limits of their own, shorter ones."""
_PAUSE = 10.0
_UNTIL_CANCELLED = 5.0
_LAST_LINES = 30
"""Of the log of a task that failed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A deployed job of the bundle. `parameters` are its job parameters with their defaults."""

    job_id: int
    name: str
    env: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def token_of(*parts: str) -> str:
    """The token of a submission that is the same one whoever repeats it: the CI's run, its attempt, the command."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def find_job(workspace: Workspace, *, project: str, env: str, key: str) -> Job:
    """The job that the bundle deployed for an environment.

    In development mode several people have one each, with names that begin with `[dev somebody] `: then it is the
    caller's own.

    Raises:
        StateError: There is none, or more than one.
    """
    jobs = workspace.sdk.jobs
    wanted = dict(zip(TAGS, (project, env, key), strict=True))
    name = f"{project} {env} {key}"

    def tagged(only: str | None) -> list[BaseJob]:
        found = workspace.ask(f"looking for the job {name}", lambda: list(jobs.list(name=only, limit=100)))
        return [job for job in found if job.settings and wanted.items() <= (job.settings.tags or {}).items()]

    found = tagged(name) or tagged(None)
    if len(found) > 1 and all(_name(job).startswith("[dev ") for job in found):
        me = workspace.ask("reading who this is", lambda: workspace.sdk.current_user.me().user_name)
        found = [job for job in found if job.creator_user_name == me]
    if len(found) != 1 or found[0].job_id is None:
        several = ": " + ", ".join(f"{_name(job)} ({job.job_id})" for job in found) if found else ""
        raise StateError(
            f"{workspace.host} has {len(found) or 'no'} jobs for {name}{several}.",
            why="A run has to be one of the code that the bundle deployed, and of no other.",
            remedy=("Delete those that the bundle did not deploy, then: " if found else "")
            + f"databricks bundle deploy -t {env}",
        )
    job_id = found[0].job_id
    settings = workspace.ask(f"reading the job {name}", lambda: jobs.get(job_id)).settings
    declared = (settings.parameters if settings else None) or []
    return Job(job_id=job_id, name=_name(found[0]), env=env, parameters={p.name: p.default or "" for p in declared})


def run_job(
    workspace: Workspace,
    job: Job,
    parameters: Mapping[str, str],
    *,
    progress: Progress,
    token: str = "",
    limit: float = LIMIT,
    repair: bool = False,
) -> RunResult:
    """Starts a run and stays with it.

    Args:
        workspace: Where the job is.
        job: As `find_job` found it.
        parameters: Job parameters; those not given have the job's defaults.
        progress: Told of every state of every task, and of the run's page.
        token: Of `token_of`; without one, every call starts a run.
        limit: Seconds after which the run is cancelled.
        repair: Go on with the last run if it failed with the same parameters. See the top of this module.

    Raises:
        GatehouseError: Of the class that a task ended with, where it was one of ours.
        RunFailed: Failed otherwise, was cancelled, skipped, deleted or timed out; names run, task and page.
        Busy: The workspace had no room for it.
        Interrupted: Ctrl-C or SIGTERM here; the run was cancelled.
    """
    if unknown := sorted(set(parameters) - set(job.parameters)):
        raise StateError(
            f"The job {job.name} has no parameter {', '.join(unknown)}.",
            why="What is deployed is of another version than this command; the run would go without it.",
            remedy=f"databricks bundle deploy -t {job.env}",
        )
    if repair and (failed := _last_failed(workspace, job, parameters)):
        repaired = failed
        return attend(
            workspace,
            job.name,
            lambda: _repair(workspace, job, repaired),
            progress=progress,
            limit=limit,
            run_id=repaired,
        )
    from databricks.sdk.service.jobs import QueueSettings

    once = token or uuid.uuid4().hex

    def start() -> tuple[int, int | None]:
        try:
            answer = workspace.ask(
                f"starting the job {job.name}",
                lambda: workspace.sdk.jobs.run_now(
                    job.job_id,
                    job_parameters=dict(parameters),
                    idempotency_token=once,
                    queue=QueueSettings(enabled=True),
                ).bind()["run_id"],
            )
        except Unanswered as error:
            if error.status != 404:
                raise
            raise StateError(
                f"The job {job.name} ({job.job_id}) is gone: {error.what}",
                why="It was deleted after it was found.",
                remedy=f"databricks bundle deploy -t {job.env}",
            ) from None
        return int(answer), None

    return attend(workspace, job.name, start, progress=progress, limit=limit)


def attend(
    workspace: Workspace,
    name: str,
    start: Callable[[], tuple[int, int | None]],
    *,
    progress: Progress,
    limit: float = LIMIT,
    run_id: int | None = None,
) -> RunResult:
    """Starts something, follows it, and cancels it where its caller is stopped.

    Args:
        workspace: Where it runs.
        name: In words.
        start: Gives the run and, for a repair, the repair's id. Where nothing but its answer can tell which run has to
            be cancelled, it is called a second time, and starts none then.
        progress: As of `run_job`.
        limit: As of `run_job`.
        run_id: Where that is known before.
    """
    with _terminated_as_interrupted():
        try:
            with progress.step(f"{name} on Databricks"):
                run_id, repair = start()
                return _follow(workspace, name, run_id, repair, progress=progress, limit=limit)
        except KeyboardInterrupt:
            raise _cancelled(workspace, name, run_id, start) from None


def _follow(
    workspace: Workspace, name: str, run_id: int, repair: int | None, *, progress: Progress, limit: float
) -> RunResult:
    clock = workspace.clock
    end, pause, page = clock.time() + limit, 1.0, ""
    known: dict[str, str] = {}
    while True:
        run = _read(workspace, name, run_id, page, repair)
        if not page:
            page = run.run_page_url or f"{workspace.host}/jobs/runs/{run_id}"
            progress.note(f"run {run_id}: {page}")
        tasks = _latest(run)
        for key, now in [(name, standing_of(run)), *((task.task_key, standing_of(task)) for task in tasks)]:
            told = f"{key}: {now}" + (f" ({now.message.splitlines()[0]})" if now.message else "")
            if known.get(key) != told:
                progress.note(told)
            known[key] = told
        if standing_of(run).over and _is_repaired(run, repair):
            return _result(workspace, name, run, page, tasks, progress)
        if clock.time() >= end:
            try:  # nobody waits for it any more, so nothing of it may still happen
                _cancel(workspace, run_id)
                what = "was cancelled"
            except GatehouseError as error:
                what = f"could not be cancelled ({error.what})"
            raise RunFailed(
                f"Run {run_id} of {name} did not end within {limit:.0f} seconds, and {what}: {page}",
                why="Nothing that waits for it goes on.",
                remedy="Look at the page for what took so long; then run the same command again.",
            )
        clock.sleep(pause)
        pause = min(pause + 1, _PAUSE)


def _read(workspace: Workspace, name: str, run_id: int, page: str, repair: int | None) -> Run:
    where = f"run {run_id} of {name}" + (f" ({page})" if page else "")
    history = None if repair is None else True
    try:
        return workspace.ask(f"following {where}", lambda: workspace.sdk.jobs.get_run(run_id, include_history=history))
    except GatehouseError as error:
        if isinstance(error, Unanswered) and error.status == 404:
            raise RunFailed(
                f"R{where[1:]} is gone: it, or its job, was deleted while it ran.",
                why="How it ended cannot be known any more, and not knowing is never a success.",
                remedy="databricks bundle deploy, then run the same command again.",
            ) from None
        error.what += f"\nThe run may still be going on: {page or f'{workspace.host}/jobs/runs/{run_id}'}"
        raise


def _result(
    workspace: Workspace, name: str, run: Run, page: str, tasks: list[RunTask], progress: Progress
) -> RunResult:
    results = tuple(_task(workspace, task, page) for task in tasks)
    error = failure_of(f"Run {run.run_id} of {name}", standing_of(run), results)
    if error is None:
        return RunResult(run_id=run.run_id or 0, name=name, page=page, tasks=results)
    for task in results:
        if not task.standing.well:
            lines = [line for line in task.logs.splitlines() if not line.startswith(MARK)]
            for line in lines[-_LAST_LINES:]:
                progress.note(f"{task.key} | {line}")
    if page not in error.what:
        error.what += f"\n{page}"
    raise error


def _task(workspace: Workspace, task: RunTask, page: str) -> TaskResult:
    standing = standing_of(task)
    page = task.run_page_url or page
    says_nothing = task.condition_task or task.for_each_task or task.run_job_task or standing.life == "SKIPPED"
    if task.run_id is None or says_nothing or not standing.over:
        return TaskResult(key=task.task_key, standing=standing, page=page)
    run_id = task.run_id
    try:
        output = workspace.ask(
            f"reading the output of {task.task_key} ({page})", lambda: workspace.sdk.jobs.get_run_output(run_id)
        )
    except GatehouseError as error:
        if standing.well:  # it may have said that it did not go well
            raise
        return TaskResult(key=task.task_key, standing=standing, page=page, error=first_lines(error.what, ""))
    return TaskResult(
        key=task.task_key,
        standing=standing,
        page=page,
        outcome=read_outcome(output.logs or ""),
        error=first_lines(output.error or "", output.error_trace or ""),
        logs=plain(output.logs or ""),
    )


def _latest(run: Run) -> list[RunTask]:
    """Each task once, as its last attempt has it."""
    latest: dict[str, RunTask] = {}
    for task in sorted(run.tasks or [], key=lambda task: (task.attempt_number or 0, task.start_time or 0)):
        latest[task.task_key] = task
    return [latest[key] for key in dict.fromkeys(task.task_key for task in run.tasks or [])]


# --- Stopping -------------------------------------------------------------------------------------------------------


def _cancelled(
    workspace: Workspace, name: str, run_id: int | None, start: Callable[[], tuple[int, int | None]]
) -> Interrupted:
    """What is to be said after the first Ctrl-C; a second one leaves at once."""
    again = "The same command starts it again."
    try:
        if run_id is None:  # it may have started: its token tells which it is
            run_id, _ = start()
        state = _cancel(workspace, run_id)
    except (KeyboardInterrupt, GatehouseError) as error:
        run = f"run {run_id} of {name}" if run_id else f"a run of {name}"
        said = f": {error.what}" if isinstance(error, GatehouseError) else "."
        return Interrupted(
            f"Stopped; {run} was not seen to be cancelled{said}",
            why="It may still be going on in the workspace.",
            remedy=f"Look at {workspace.host}/jobs/runs{f'/{run_id}' if run_id else ''}, and cancel it there.",
        )
    return Interrupted(f"Stopped; run {run_id} of {name} {state}: {workspace.host}/jobs/runs/{run_id}", remedy=again)


def _cancel(workspace: Workspace, run_id: int) -> str:
    """What became of it some seconds later, in words."""
    workspace.ask(f"cancelling run {run_id}", lambda: workspace.sdk.jobs.cancel_run(run_id))
    end = workspace.clock.time() + _UNTIL_CANCELLED
    while workspace.clock.time() < end:
        run = workspace.ask(f"reading run {run_id}", lambda: workspace.sdk.jobs.get_run(run_id))
        standing = standing_of(run)
        if standing.over:
            return "is cancelled" if "CANCELED" in standing.words else f"had ended before ({standing})"
        workspace.clock.sleep(1.0)
    return "is being cancelled"


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM is a Ctrl-C inside: a CI that is cancelled sends one. Only the main thread is sent any."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


# --- Repairing ------------------------------------------------------------------------------------------------------


def _last_failed(workspace: Workspace, job: Job, parameters: Mapping[str, str]) -> int | None:
    """The job's last run, if it is over, did not end well, and had the same parameters."""
    jobs = workspace.sdk.jobs
    runs = workspace.ask(
        f"looking for the last run of {job.name}", lambda: next(iter(jobs.list_runs(job_id=job.job_id, limit=1)), None)
    )
    if runs is None or runs.run_id is None:
        return None
    run_id = runs.run_id
    run = workspace.ask(f"reading run {run_id} of {job.name}", lambda: jobs.get_run(run_id))
    standing = standing_of(run)
    had = {p.name: (p.default if p.value is None else p.value) or "" for p in run.job_parameters or [] if p.name}
    same = {**job.parameters, **had} == {**job.parameters, **parameters}
    return run_id if standing.over and not standing.well and same else None


def _repair(workspace: Workspace, job: Job, run_id: int) -> tuple[int, int | None]:
    """Runs the failed tasks again; a repair that went through although its answer was lost is found in the history."""
    jobs = workspace.sdk.jobs
    before = _last_repair(workspace, run_id)
    try:
        answer = workspace.ask(
            f"repairing run {run_id} of {job.name}",
            lambda: jobs.repair_run(run_id, rerun_all_failed_tasks=True, latest_repair_id=before).response,
            again=False,
        )
    except Unanswered:
        now = _last_repair(workspace, run_id)
        if now in (None, before):
            raise
        return run_id, now
    return run_id, int(answer.repair_id)  # type: ignore[attr-defined] # Wait's type is not the SDK's best


def _last_repair(workspace: Workspace, run_id: int) -> int | None:
    run = workspace.ask(f"reading run {run_id}", lambda: workspace.sdk.jobs.get_run(run_id, include_history=True))
    return next(reversed(_repairs(run)), None)


def _repairs(run: Run) -> list[int]:
    """Ids, oldest first."""
    return [item.id for item in run.repair_history or [] if item.id and item.type and item.type.value == "REPAIR"]


def _is_repaired(run: Run, repair: int | None) -> bool:
    """False while the answer is still the one of before the repair."""
    return repair is None or repair in _repairs(run)


def _name(job: BaseJob) -> str:
    return (job.settings.name if job.settings else None) or ""
