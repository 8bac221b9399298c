"""How far a run is, and whether it ended well. Pure: the SDK's answers in, words and errors out; runs.py asks.

Only SUCCESS is a success. The platform gives a state twice (`state` is the older form), both have to say so; a state
that the SDK does not know arrives as None, and is a failure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatehouse.databricks.outcome import Outcome, error_of
from gatehouse.errors import AccessDenied, Busy, GatehouseError, RunFailed

if TYPE_CHECKING:
    from databricks.sdk.service.jobs import BaseRun, Run, RunTask

_OVER = {"TERMINATED", "SKIPPED", "INTERNAL_ERROR"}
_FULL = {
    "MAXIMUM_CONCURRENT_RUNS_REACHED",
    "MAX_CONCURRENT_RUNS_EXCEEDED",
    "MAX_JOB_QUEUE_SIZE_EXCEEDED",
    "MAX_SPARK_CONTEXTS_EXCEEDED",
    "WORKSPACE_RUN_LIMIT_EXCEEDED",
    "CLUSTER_REQUEST_LIMIT_EXCEEDED",
    "BUDGET_POLICY_LIMIT_EXCEEDED",
}
_SAYING = {
    "CANCELED": "was cancelled",
    "USER_CANCELED": "was cancelled by somebody",
    "TIMEDOUT": "ran out of its time",
    "SKIPPED": "was skipped",
    "SUCCESS_WITH_FAILURES": "ended with tasks that failed",
    "INTERNAL_ERROR": "broke down in the platform",
    "CLOUD_FAILURE": "broke down at the cloud's provider",
    "FAILED": "failed",
    "MAXIMUM_CONCURRENT_RUNS_REACHED": "was skipped, as many run already",
    "DISABLED": "was skipped, being disabled",
    "EXCLUDED": "was skipped, its condition not being met",
    "UPSTREAM_FAILED": "was skipped, after another's failure",
    "UPSTREAM_CANCELED": "was skipped, after another was cancelled",
    "RUN_EXECUTION_ERROR": "failed",
}
_NOT_TRIED = {"UPSTREAM_FAILED", "UPSTREAM_CANCELED", "EXCLUDED", "DISABLED", "SKIPPED"}
_TRACE_LINES = 8
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """Where a run or a task stands, in the platform's words; `result` and `code` are empty until it is over."""

    life: str
    result: str = ""
    code: str = ""
    message: str = ""
    over: bool = False
    well: bool = False

    def __str__(self) -> str:
        return " ".join(dict.fromkeys(word for word in (self.life, self.result, self.code) if word))

    @property
    def words(self) -> set[str]:
        """All that tells how it ended."""
        return {self.result, self.code} - {""}


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskResult:
    """One task of a run that is over."""

    key: str
    standing: Standing
    page: str
    outcome: Outcome | None = None
    error: str = ""
    """The platform's message and the first lines of the trace."""
    logs: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunResult:
    """A run that ended well."""

    run_id: int
    name: str
    page: str
    tasks: tuple[TaskResult, ...] = field(default=())

    @property
    def values(self) -> Mapping[str, str]:
        """What its tasks handed over; of two tasks that give the same name, the later one."""
        return {k: v for task in self.tasks if task.outcome for k, v in task.outcome.outputs.items()}


def standing_of(run: BaseRun | Run | RunTask) -> Standing:
    """From both forms of the state."""
    old, new = run.state, run.status
    life = (old.life_cycle_state if old else None) or (new.state if new else None)
    details = new.termination_details if new else None
    # Without any life that is known, the end is what tells that it is over.
    over = life.value in _OVER if life else bool(run.end_time)
    result = old.result_state.value if old and old.result_state else ""
    code = details.code.value if details and details.code else ""
    said = ([result] if old else []) + ([code] if details else [])
    message = (details and details.message) or (old and old.state_message) or (old and old.queue_reason)
    if not message and new and new.queue_details:
        message = new.queue_details.message
    return Standing(
        life=life.value if life else "UNKNOWN",
        result=result if over else "",
        code=code if over else "",
        message=plain(message or ""),
        over=over,
        well=over and life is not None and life.value == "TERMINATED" and set(said) == {"SUCCESS"},
    )


def failure_of(where: str, run: Standing, tasks: Sequence[TaskResult]) -> GatehouseError | None:
    """The error of a run that is over; None only if the platform and every task say that it went well.

    `where` names run and page.
    """
    for task in tasks:
        if task.outcome and task.outcome.code:
            return error_of(task.outcome, where=f"task {task.key} of {where}: {task.page}", said=task.error)
    if run.well:
        return None
    culprit = next((t for t in tasks if not t.standing.well and not t.standing.words & _NOT_TRIED), None)
    what = f"{where} {_said(run)}"
    if culprit:
        what += f"; its task {culprit.key} {_said(culprit.standing)} ({culprit.page})"
        what += f":\n{culprit.error}" if culprit.error else ""
    words = run.words | (culprit.standing.words if culprit else set())
    if words & _FULL or (run.life == "SKIPPED" and not run.words):
        return Busy(what, why="The workspace runs as many as it may; nothing of it ran.", remedy="Run it again later.")
    if "UNAUTHORIZED_ERROR" in words:
        return AccessDenied(what, remedy="gatehouse setup --plan shows which grants are missing.")
    return RunFailed(
        what,
        why="Only a run that the platform calls a success counts; nothing that waits for it goes on.",
        remedy="Read its log on the page above; when the cause is gone, run the same command again.",
    )


def first_lines(message: str, trace: str) -> str:
    """An error message with the beginning of its trace, and nothing in it that moves a terminal's cursor."""
    lines = [*plain(message).splitlines()[:_TRACE_LINES], *plain(trace).splitlines()[:_TRACE_LINES]]
    return "\n".join(f"    {line}" for line in lines if line.strip())


def plain(text: str) -> str:
    """Without escapes and control characters; lines stay."""
    return _ESCAPES.sub("", text).strip()


def _said(standing: Standing) -> str:
    known = [_SAYING[word] for word in (standing.result, standing.code, standing.life) if word in _SAYING]
    words = known[0] if known else f"ended in a state that this version does not know ({standing})"
    if known and standing.code not in ("", "RUN_EXECUTION_ERROR", *_SAYING):
        words += f" ({standing.code})"
    return f"{words}: {standing.message}" if standing.message else words
