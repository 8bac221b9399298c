"""Runs of jobs: what starts when, what becomes of it, repair and cancellation. A thread for each run under way."""

from __future__ import annotations

import itertools
import subprocess
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.template.harness.workspace.errors import Refusal, invalid
from tests.template.harness.workspace.references import resolved, times
from tests.template.harness.workspace.run_states import BAD, WORKLOAD_FAILED, decided, summed_up
from tests.template.harness.workspace.wheel_task import Outcome, Runtime, WheelTask

_ids = itertools.count(1001)


def now() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


@dataclass(kw_only=True, eq=False)
class Attempt:
    """One try of one task, with a run id of its own."""

    task: dict[str, Any]
    number: int
    id: int = field(default_factory=lambda: next(_ids))
    life: str = "BLOCKED"
    result: str = ""
    message: str = ""
    start: int = field(default_factory=now)
    end: int = 0
    outcome: Outcome = field(default_factory=lambda: Outcome(succeeded=False))
    condition: str = ""
    running: WheelTask | None = None

    @property
    def key(self) -> str:
        return str(self.task["task_key"])

    def finish(self, result: str, message: str = "") -> None:
        self.life, self.result, self.message, self.end = "TERMINATED", result, message, now()


@dataclass(kw_only=True, eq=False)
class Run:
    """A run of a job (or of none: `submit`), and every attempt of its tasks, the latest of each last."""

    job_id: int
    settings: dict[str, Any]
    parameters: dict[str, str]
    overriding: dict[str, str]
    trigger: str
    creator: str
    run_as: str
    number: int
    id: int = field(default_factory=lambda: next(_ids))
    life: str = "QUEUED"
    result: str = ""
    message: str = ""
    start: int = field(default_factory=now)
    end: int = 0
    attempts: list[Attempt] = field(default_factory=list)
    repairs: list[dict[str, Any]] = field(default_factory=list)
    cancelled: bool = False
    timed_out: bool = False

    @property
    def tasks(self) -> list[dict[str, Any]]:
        return list(self.settings.get("tasks") or [])

    @property
    def ended(self) -> bool:
        return self.life in ("TERMINATED", "SKIPPED", "INTERNAL_ERROR")

    def latest(self) -> dict[str, Attempt]:
        return {attempt.key: attempt for attempt in self.attempts}


class Runs:
    """`environment` gives the variables of a task that runs as an identity. `all` has every run by its id."""

    def __init__(
        self, folder: Path, files: Path, runtime: Runtime, environment: Callable[[str], dict[str, str]], grace: float
    ) -> None:
        self._folder, self._files, self.runtime = folder, files, runtime
        self._environment, self._grace = environment, grace
        self._change = threading.Condition()
        self.all: dict[int, Run] = {}
        self.crashes: list[str] = []  # of the emulator itself

    def begin(self, run: Run, *, at_most: int, queue: bool) -> None:
        """Starts the run, or queues or skips it if as many of its job are under way."""
        with self._change:
            self.all[run.id] = run
            run.attempts = [Attempt(task=task, number=0) for task in run.tasks]
            if self._active(run.job_id) < at_most or not run.job_id:
                self._start(run, {task["task_key"] for task in run.tasks})
            elif queue:
                run.message = "Queued because the maximum number of concurrent runs is reached."
            else:
                run.life, run.result, run.end = "SKIPPED", "MAXIMUM_CONCURRENT_RUNS_REACHED", now()
                run.message = "The run was skipped because the maximum number of concurrent runs is reached."
                for attempt in run.attempts:
                    attempt.finish("EXCLUDED")

    def repair(self, run: Run, keys: set[str], parameters: Mapping[str, str]) -> int:
        """Runs these tasks again. Raises Refusal while the run is under way."""
        with self._change:
            if not run.ended or run.life == "SKIPPED":
                raise invalid(f"Run {run.id} cannot be repaired: it is {run.life}.")
            if not keys:
                raise invalid("No task to repair was given.")
            run.parameters |= parameters
            numbers = {key: attempt.number for key, attempt in run.latest().items()}
            again = [Attempt(task=task, number=numbers[task["task_key"]] + 1) for task in run.tasks]
            run.attempts += [attempt for attempt in again if attempt.key in keys]
            number = next(_ids)
            tried = [attempt.id for attempt in again if attempt.key in keys]
            run.repairs.append({"type": "REPAIR", "id": number, "start_time": now(), "task_run_ids": tried})
            run.cancelled = run.timed_out = False
            self._start(run, keys)
            return number

    def cancel(self, run: Run) -> None:
        """Asks; the run ends as soon as its tasks have."""
        with self._change:
            if run.ended:
                return
            run.cancelled = True
            if run.life == "QUEUED":
                self._close(run, "CANCELED", "Run cancelled.")
            self._change.notify_all()

    def wait(self, run: Run, seconds: float) -> None:
        """Until it has ended. Raises TimeoutError."""
        with self._change:
            if not self._change.wait_for(lambda: run.ended, seconds):
                raise TimeoutError(f"run {run.id} is {run.life} after {seconds} s")

    def stop(self) -> None:
        """Everything, at once: the test is over."""
        self._grace = 0
        for run in list(self.all.values()):
            self.cancel(run)
        for run in list(self.all.values()):
            self.wait(run, 30)

    def _active(self, job_id: int) -> int:
        return sum(1 for r in self.all.values() if r.job_id == job_id and not r.ended and r.life != "QUEUED")

    def _start(self, run: Run, keys: set[str]) -> None:
        run.life, run.result, run.message, run.end = "RUNNING", "", "", 0
        threading.Thread(target=self._drive, args=(run, keys), daemon=True).start()

    def _drive(self, run: Run, keys: set[str]) -> None:
        """The run's own thread. Starts what may start, until everything has ended."""
        deadline = time.monotonic() + (run.settings.get("timeout_seconds") or float("inf"))
        with self._change:
            while True:
                for attempt in [a for a in run.latest().values() if a.key in keys and a.life == "BLOCKED"]:
                    self._settle(run, attempt)
                if all(attempt.life == "TERMINATED" for attempt in run.latest().values()):
                    break
                if time.monotonic() >= deadline:
                    run.timed_out = True
                left = deadline - time.monotonic()
                self._change.wait(0.05 if run.timed_out or run.cancelled else min(left, 5))
            results = {key: attempt.result for key, attempt in run.latest().items()}
            result = "CANCELED" if run.cancelled else "TIMEDOUT" if run.timed_out else summed_up(run.tasks, results)
            self._close(run, result, _said(run, result))
            self._next(run)

    def _settle(self, run: Run, attempt: Attempt) -> None:
        upstream = [dependency["task_key"] for dependency in attempt.task.get("depends_on") or []]
        latest = run.latest()
        if run.cancelled or run.timed_out:
            attempt.finish("CANCELED" if run.cancelled else "TIMEDOUT", "Run cancelled.")
        elif all(latest[key].life == "TERMINATED" for key in upstream):
            results = {key: latest[key].result for key in upstream}
            conditions = {key: latest[key].condition for key in upstream if latest[key].condition}
            verdict = decided(attempt.task, results, conditions)
            if verdict:
                attempt.finish(verdict, "An upstream task failed." if verdict in BAD else "Conditions were not met.")
            else:
                attempt.life, attempt.start = "PENDING", now()
                threading.Thread(target=self._try, args=(run, attempt), daemon=True).start()
        self._change.notify_all()

    def _close(self, run: Run, result: str, message: str) -> None:
        for attempt in run.attempts:
            if attempt.life != "TERMINATED":
                attempt.finish(result, message)
        run.life = "INTERNAL_ERROR" if result == "FAILED" else "TERMINATED"
        run.result, run.message, run.end = result, message, now()
        self._change.notify_all()

    def _next(self, run: Run) -> None:
        waiting = [r for r in self.all.values() if r.job_id == run.job_id and r.life == "QUEUED"]
        at_most = run.settings.get("max_concurrent_runs", 1)
        for other in waiting[: max(0, at_most - self._active(run.job_id))]:
            self._start(other, {task["task_key"] for task in other.tasks})

    def _try(self, run: Run, attempt: Attempt) -> None:
        """The task's own thread: its attempts one after the other."""
        while True:
            result, message = self._attempted(run, attempt)
            with self._change:
                most = attempt.task.get("max_retries", 0)
                again = result == "FAILED" or (result == "TIMEDOUT" and attempt.task.get("retry_on_timeout"))
                attempt.finish(result, message)
                if not again or run.cancelled or run.timed_out or 0 <= most <= attempt.number:
                    self._change.notify_all()
                    return
                pause = attempt.task.get("min_retry_interval_millis", 0) / 1000
                attempt = Attempt(task=attempt.task, number=attempt.number + 1, life="PENDING")
                run.attempts.append(attempt)
                self._change.wait_for(lambda: run.cancelled, pause)

    def _attempted(self, run: Run, attempt: Attempt) -> tuple[str, str]:
        try:
            with self._change:
                task = resolved(attempt.task, self._values(run, attempt))
                before = {key: a.outcome.values for key, a in run.latest().items()}
                attempt.life = "RUNNING"
                self._change.notify_all()
            if "condition_task" in task:
                attempt.condition = str(_holds(task["condition_task"])).lower()
                return "SUCCESS", ""
            attempt.running = WheelTask(self._folder / str(attempt.id), self._files, self.runtime)
            environment = self._environment(run.run_as)
            attempt.running.start(task, wheels_of(task, run.settings), environment, before)
            return self._followed(run, attempt, task.get("timeout_seconds") or float("inf"))
        except Refusal as refusal:
            attempt.outcome.error = refusal.message
            return "FAILED", refusal.message
        except Exception as error:  # noqa: BLE001 - the run ends, the test gets the error
            self.crashes.append(f"task {attempt.key} of run {run.id}: {error!r}\n{traceback.format_exc()}")
            return "FAILED", repr(error)

    def _followed(self, run: Run, attempt: Attempt, seconds: float) -> tuple[str, str]:
        """Waits for the process; ends it if it is cancelled or takes too long: SIGINT, and after a while SIGKILL."""
        assert attempt.running is not None
        began, asked, why = time.monotonic(), 0.0, ""
        while True:
            try:
                attempt.outcome = attempt.running.wait(0.05)
                break
            except subprocess.TimeoutExpired:
                late = time.monotonic() - began > seconds
                if not why and (run.cancelled or run.timed_out or late):
                    why, asked = "CANCELED" if run.cancelled else "TIMEDOUT", time.monotonic()
                    attempt.life = "TERMINATING"
                    attempt.running.interrupt()
                elif why and time.monotonic() - asked > self._grace:
                    attempt.running.kill()
        if why:
            return why, "Run cancelled." if why == "CANCELED" else "The run exceeded its timeout."
        return ("SUCCESS", "") if attempt.outcome.succeeded else ("FAILED", WORKLOAD_FAILED)

    def _values(self, run: Run, attempt: Attempt) -> dict[str, str]:
        values = {
            "job.id": str(run.job_id),
            "job.name": str(run.settings.get("name", "")),
            "job.run_id": str(run.id),
            "job.repair_count": str(len(run.repairs)),
            "job.trigger.type": run.trigger.lower(),
            "task.name": attempt.key,
            "task.run_id": str(attempt.id),
            "task.execution_count": str(attempt.number + 1),
            **times("job.start_time", run.start),
            **times("job.trigger.time", run.start),
            **{f"job.parameters.{name}": value for name, value in run.parameters.items()},
        }
        for key, other in run.latest().items():
            values |= {f"tasks.{key}.{name}": _text(value) for name, value in _told(other).items()}
        return values


def wheels_of(task: dict[str, Any], settings: dict[str, Any]) -> list[str]:
    """The wheels of a task: its libraries, or those of its environment. Everything else is taken to be installed."""
    named = [library["whl"] for library in task.get("libraries") or [] if "whl" in library]
    for environment in settings.get("environments") or []:
        if environment["environment_key"] == task.get("environment_key"):
            named += [d for d in environment.get("spec", {}).get("dependencies") or [] if d.endswith(".whl")]
    return named


def _told(attempt: Attempt) -> dict[str, Any]:
    values = {f"values.{key}": value for key, value in attempt.outcome.values.items()}
    return {"run_id": attempt.id, "result_state": attempt.result.lower(), **values}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _said(run: Run, result: str) -> str:
    if result == "CANCELED":
        return "Run cancelled."
    if result == "TIMEDOUT":
        return "The run exceeded its timeout."
    failed = [a for a in run.latest().values() if a.result in ("FAILED", "TIMEDOUT")]
    if result != "FAILED" or not failed:
        return ""
    followed = any(a.result == "UPSTREAM_FAILED" for a in run.latest().values())
    skipped = " This caused all downstream tasks to get skipped." if followed else ""
    return f"Task {failed[0].key} failed with message: {failed[0].message}.{skipped}"


def _holds(condition: dict[str, str]) -> bool:
    left, operator, right = condition["left"], condition["op"], condition["right"]
    if operator in ("EQUAL_TO", "NOT_EQUAL"):
        return (left == right) == (operator == "EQUAL_TO")
    try:
        difference = float(left) - float(right)
    except ValueError as error:
        raise invalid(f"{operator} compares numbers, not '{left}' and '{right}'.") from error
    holds = {
        "GREATER_THAN": difference > 0,
        "GREATER_THAN_OR_EQUAL": difference >= 0,
        "LESS_THAN": difference < 0,
        "LESS_THAN_OR_EQUAL": difference <= 0,
    }
    return holds[operator]
