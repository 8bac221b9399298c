"""States of runs and of tasks, and what follows from them. Pure; names and texts as the Jobs API documents them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FAILED = frozenset({"FAILED", "TIMEDOUT", "UPSTREAM_FAILED"})
CANCELED = frozenset({"CANCELED", "UPSTREAM_CANCELED"})
BAD = FAILED | CANCELED
WORKLOAD_FAILED = "Workload failed, see run output for details"
_CODES = {
    "SUCCESS": ("SUCCESS", "SUCCESS"),
    "SUCCESS_WITH_FAILURES": ("SUCCESS", "SUCCESS"),
    "FAILED": ("RUN_EXECUTION_ERROR", "CLIENT_ERROR"),
    "TIMEDOUT": ("RUN_EXECUTION_TIMEOUT", "CLIENT_ERROR"),  # not in the documentation's table; the emulator's word
    "CANCELED": ("USER_CANCELED", "SUCCESS"),
    "UPSTREAM_FAILED": ("UPSTREAM_FAILED", "SUCCESS"),
    "UPSTREAM_CANCELED": ("UPSTREAM_CANCELED", "SUCCESS"),
    "EXCLUDED": ("SKIPPED", "SUCCESS"),
    "MAXIMUM_CONCURRENT_RUNS_REACHED": ("MAX_CONCURRENT_RUNS_EXCEEDED", "CLIENT_ERROR"),
}


def decided(task: Mapping[str, Any], results: Mapping[str, str], outcomes: Mapping[str, str]) -> str | None:
    """What becomes of a task all of whose upstream tasks have ended: None if it runs, else its result.

    `results` has the result of each task, `outcomes` "true" or "false" of each condition task.
    """
    upstream = task.get("depends_on") or []
    if not upstream:
        return None
    if any("outcome" in d and outcomes.get(d["task_key"], d["outcome"]) != d["outcome"] for d in upstream):
        return "EXCLUDED"
    ends = [results[d["task_key"]] for d in upstream]
    if set(ends) == {"EXCLUDED"}:
        return "EXCLUDED"
    bad, good = BAD & set(ends), "SUCCESS" in ends
    rule = task.get("run_if") or "ALL_SUCCESS"
    runs = {
        "ALL_SUCCESS": not bad,
        "NONE_FAILED": not bad,
        "AT_LEAST_ONE_SUCCESS": good,
        "ALL_DONE": True,
        "AT_LEAST_ONE_FAILED": bool(bad),
        "ALL_FAILED": all(end in BAD for end in ends),
    }[rule]
    if runs:
        return None
    if rule in ("AT_LEAST_ONE_FAILED", "ALL_FAILED"):
        return "EXCLUDED"
    return "UPSTREAM_FAILED" if bad & FAILED else "UPSTREAM_CANCELED"


def summed_up(tasks: list[dict[str, Any]], results: Mapping[str, str]) -> str:
    """The result of a job's run: its leaves decide."""
    inner = {d["task_key"] for task in tasks for d in task.get("depends_on") or []}
    leaves = {results[task["task_key"]] for task in tasks if task["task_key"] not in inner}
    if leaves & BAD:
        return "FAILED" if (leaves | set(results.values())) & FAILED else "CANCELED"
    return "SUCCESS_WITH_FAILURES" if set(results.values()) & BAD else "SUCCESS"


def shown(life: str, result: str, message: str) -> dict[str, Any]:
    """`state` and `status` of the API, from the life cycle state, the result once there is one, and the message."""
    ended = life in ("TERMINATED", "SKIPPED", "INTERNAL_ERROR")
    state: dict[str, Any] = {"life_cycle_state": life, "state_message": message, "user_cancelled_or_timedout": False}
    state["user_cancelled_or_timedout"] = result in ("CANCELED", "TIMEDOUT")
    status: dict[str, Any] = {"state": "TERMINATED" if ended else life}
    if life == "QUEUED":
        status["queue_details"] = {"code": "MAX_CONCURRENT_RUNS_REACHED", "message": message}
    if ended:
        state["result_state"] = result
        code, kind = _CODES[result]
        status["termination_details"] = {"code": code, "type": kind, "message": message}
    return {"state": state, "status": status}
