"""The Jobs API (2.0 to 2.2) over runs.py: definitions, starting, looking, repairing."""

from __future__ import annotations

import copy
import itertools
import time
from dataclasses import dataclass, field
from typing import Any

from tests.template.harness.workspace.errors import Refusal, invalid
from tests.template.harness.workspace.front import Front, Request
from tests.template.harness.workspace.permissions import Permissions
from tests.template.harness.workspace.registry import Model, Version
from tests.template.harness.workspace.run_states import BAD, shown
from tests.template.harness.workspace.runs import Attempt, Run, Runs

_KINDS = ("python_wheel_task", "condition_task")
_ids = itertools.count(501)


@dataclass(kw_only=True, eq=False)
class Job:
    creator: str
    settings: dict[str, Any]
    id: int = field(default_factory=lambda: next(_ids))
    created: int = field(default_factory=lambda: time.time_ns() // 1_000_000)

    @property
    def run_as(self) -> str:
        given = self.settings.get("run_as") or {}
        return str(given.get("service_principal_name") or given.get("user_name") or self.creator)


class Jobs:
    """`jobs` by id. `start` is what a schedule or the registry calls."""

    def __init__(self, runs: Runs, permissions: Permissions, url: str) -> None:
        self.runs, self._permissions, self._url = runs, permissions, url
        self.jobs: dict[int, Job] = {}
        self._tokens: dict[str, int] = {}

    def teach(self, front: Front) -> None:
        for method, path, handler in (
            ("POST", "create", self._create),
            ("GET", "get", self._get),
            ("GET", "list", self._list),
            ("POST", "reset", self._reset),
            ("POST", "update", self._update),
            ("POST", "delete", self._delete),
            ("POST", "run-now", self._run_now),
            ("POST", "runs/submit", self._submit),
            ("GET", "runs/get", self._get_run),
            ("GET", "runs/list", self._list_runs),
            ("GET", "runs/get-output", self._output),
            ("POST", "runs/cancel", self._cancel),
            ("POST", "runs/cancel-all", self._cancel_all),
            ("POST", "runs/repair", self._repair),
            ("POST", "runs/delete", self._delete_run),
        ):
            for version in ("2.0", "2.1", "2.2"):
                front.teach(method, f"/api/{version}/jobs/{path}", handler)

    # Jobs

    def _create(self, request: Request) -> Any:
        settings = request.json()
        settings.pop("access_control_list", None)
        _check(settings)
        job = Job(creator=request.caller, settings=settings)
        self.jobs[job.id] = job
        self._permissions.own("jobs", str(job.id), request.caller)
        return {"job_id": job.id}

    def _get(self, request: Request) -> Any:
        job = self._job(request.query["job_id"], request.caller, "CAN_VIEW")
        return {**_shown_job(job), "settings": _with_defaults(job.settings)}

    def _list(self, request: Request) -> Any:
        wanted = request.query.get("name", "").lower()
        seen = [j for j in self.jobs.values() if self._permissions.may(request.caller, "CAN_VIEW", "jobs", str(j.id))]
        found = [j for j in seen if wanted in ("", str(j.settings.get("name", "")).lower())]
        short = () if request.query.get("expand_tasks") == "true" else ("tasks", "environments", "job_clusters")
        start, size = int(request.query.get("page_token") or 0), int(request.query.get("limit") or 20)
        page = [
            {**_shown_job(j), "settings": {k: v for k, v in _with_defaults(j.settings).items() if k not in short}}
            for j in found[start : start + size]
        ]
        more = start + size < len(found)
        return {"jobs": page, "has_more": more, **({"next_page_token": str(start + size)} if more else {})}

    def _reset(self, request: Request) -> Any:
        asked = request.json()
        job = self._job(asked["job_id"], request.caller, "CAN_MANAGE")
        _check(asked["new_settings"])
        job.settings = asked["new_settings"]

    def _update(self, request: Request) -> Any:
        asked = request.json()
        job = self._job(asked["job_id"], request.caller, "CAN_MANAGE")
        settings = {**job.settings, **asked.get("new_settings", {})}
        for name in asked.get("fields_to_remove", []):
            settings.pop(name, None)
        _check(settings)
        job.settings = settings

    def _delete(self, request: Request) -> Any:
        job = self._job(request.json()["job_id"], request.caller, "CAN_MANAGE")
        for run in self._runs_of(job.id):
            self.runs.cancel(run)
        del self.jobs[job.id]

    # Starting

    def _run_now(self, request: Request) -> Any:
        asked = request.json()
        job = self._job(asked["job_id"], request.caller, "CAN_MANAGE_RUN")
        token = asked.get("idempotency_token")
        if token and token in self._tokens:
            return self._begun(self.runs.all[self._tokens[token]])
        settings = copy.deepcopy(job.settings)
        if asked.get("python_params"):
            for task in settings["tasks"]:
                if "python_wheel_task" in task:
                    task["python_wheel_task"] = {**task["python_wheel_task"], "parameters": asked["python_params"]}
        if asked.get("only"):
            settings["tasks"] = _only(settings["tasks"], set(asked["only"]))
        queue = (asked.get("queue") or settings.get("queue") or {}).get("enabled", False)
        run = self._started(job, settings, asked.get("job_parameters") or {}, request.caller, queue, "ONE_TIME")
        if token:
            self._tokens[token] = run.id
        return self._begun(run)

    def start(self, job_id: int | str, parameters: dict[str, str], *, trigger: str = "PERIODIC") -> Run:
        """As the scheduler does: with the rights of the job's owner. Raises Refusal if it cannot."""
        job = self._job(job_id)
        queue = (job.settings.get("queue") or {}).get("enabled", False)
        return self._started(job, copy.deepcopy(job.settings), parameters, job.creator, queue, trigger)

    def start_deployment(self, model: Model, version: Version, owner: str) -> str:
        """The deployment job of a model, for its new version, with the rights of the model's owner."""
        parameters = {"model_name": model.name, "model_version": str(version.number)}
        job = self._job(model.deployment_job_id, owner, "CAN_MANAGE_RUN")
        queue = (job.settings.get("queue") or {}).get("enabled", False)
        return str(self._started(job, copy.deepcopy(job.settings), parameters, owner, queue, "ONE_TIME").id)

    def check_deployment_job(self, job_id: str) -> None:
        """Refuses a job that cannot be a model's deployment job."""
        given = {parameter["name"] for parameter in self._job(job_id).settings.get("parameters") or []}
        if not {"model_name", "model_version"} <= given:
            raise invalid(f"Job {job_id} needs the job parameters model_name and model_version to deploy a model.")

    def _started(
        self, job: Job, settings: dict[str, Any], over: dict[str, str], caller: str, queue: bool, trigger: str
    ) -> Run:
        given = {p["name"]: str(p.get("default", "")) for p in settings.get("parameters") or []}
        if unknown := set(over) - set(given):
            raise invalid(f"Job {job.id} has no parameters {', '.join(sorted(unknown))}.")
        run = Run(
            job_id=job.id,
            settings=settings,
            parameters=given | over,
            overriding=over,
            trigger=trigger,
            creator=caller,
            run_as=job.run_as,
            number=1 + len(self._runs_of(job.id)),
        )
        self.runs.begin(run, at_most=settings.get("max_concurrent_runs", 1), queue=queue)
        return run

    def _begun(self, run: Run) -> dict[str, Any]:
        return {"run_id": run.id, "number_in_job": run.id}

    def _submit(self, request: Request) -> Any:
        settings = request.json()
        token = settings.pop("idempotency_token", None)
        if token and token in self._tokens:
            return {"run_id": self._tokens[token]}
        _check(settings)
        settings["name"] = settings.get("run_name", "Untitled")
        as_whom = settings.get("run_as") or {}
        run = Run(
            job_id=0,
            settings=settings,
            parameters={},
            overriding={},
            trigger="ONE_TIME",
            creator=request.caller,
            run_as=as_whom.get("service_principal_name") or as_whom.get("user_name") or request.caller,
            number=1,
        )
        self.runs.begin(run, at_most=1, queue=False)
        if token:
            self._tokens[token] = run.id
        return {"run_id": run.id}

    # Runs

    def _get_run(self, request: Request) -> Any:
        run, attempt = self._run(request.query["run_id"], request.caller, "CAN_VIEW")
        if attempt:
            return {**self._shown_attempt(run, attempt), "job_id": run.job_id, "job_run_id": run.id}
        shown_run = self._shown_run(run)
        if request.query.get("include_history") == "true":
            original = {"type": "ORIGINAL", "start_time": run.start, **shown(run.life, run.result, run.message)}
            shown_run["repair_history"] = [original, *run.repairs]
        return shown_run

    def _list_runs(self, request: Request) -> Any:
        query = request.query
        runs = [r for r in self.runs.all.values() if query.get("job_id", "0") in ("0", "", str(r.job_id))]
        runs = [r for r in runs if not r.job_id or self._allowed(r, request.caller, "CAN_VIEW")]
        if query.get("active_only") == "true":
            runs = [r for r in runs if not r.ended]
        if query.get("completed_only") == "true":
            runs = [r for r in runs if r.ended]
        runs.sort(key=lambda r: -r.id)
        start, size = int(query.get("page_token") or 0), int(query.get("limit") or 20)
        more = start + size < len(runs)
        page = [self._shown_run(run) for run in runs[start : start + size]]
        if query.get("expand_tasks") != "true":
            page = [{key: value for key, value in run.items() if key != "tasks"} for run in page]
        return {"runs": page, "has_more": more, **({"next_page_token": str(start + size)} if more else {})}

    def _output(self, request: Request) -> Any:
        run, attempt = self._run(request.query["run_id"], request.caller, "CAN_VIEW")
        if not attempt and len(run.tasks) > 1:
            raise invalid(
                "Retrieving the output of runs with multiple tasks is not supported. "
                "Please retrieve the output of each individual task run instead."
            )
        attempt = attempt or run.attempts[-1]
        outcome = attempt.outcome
        told = {"logs": outcome.logs, "error": outcome.error, "error_trace": outcome.error_trace}
        metadata = {**self._shown_attempt(run, attempt), "job_id": run.job_id}
        return {"metadata": metadata, "logs_truncated": False, **{k: v for k, v in told.items() if v}}

    def _cancel(self, request: Request) -> Any:
        run, _ = self._run(request.json()["run_id"], request.caller, "CAN_MANAGE_RUN")
        self.runs.cancel(run)

    def _cancel_all(self, request: Request) -> Any:
        job = self._job(request.json()["job_id"], request.caller, "CAN_MANAGE_RUN")
        for run in self._runs_of(job.id):
            self.runs.cancel(run)

    def _repair(self, request: Request) -> Any:
        asked = request.json()
        run, _ = self._run(asked["run_id"], request.caller, "CAN_MANAGE_RUN")
        last = run.repairs[-1]["id"] if run.repairs else None
        if asked.get("latest_repair_id") != last:
            raise invalid(f"latest_repair_id is {asked.get('latest_repair_id')}, but the last repair is {last}.")
        latest = run.latest()
        keys = set(asked.get("rerun_tasks") or [])
        if asked.get("rerun_all_failed_tasks"):
            keys |= {key for key, attempt in latest.items() if attempt.result in BAD}
        if unknown := keys - set(latest):
            raise invalid(f"Run {run.id} has no tasks {', '.join(sorted(unknown))}.")
        if asked.get("rerun_dependent_tasks") or asked.get("rerun_all_failed_tasks"):
            keys |= _downstream(run.tasks, keys)
        repair = self.runs.repair(run, keys, asked.get("job_parameters") or {})
        return {"repair_id": repair}

    def _delete_run(self, request: Request) -> Any:
        run, _ = self._run(request.json()["run_id"], request.caller, "CAN_MANAGE")
        if not run.ended:
            raise invalid(f"Run {run.id} is active and cannot be deleted.")
        del self.runs.all[run.id]

    def _shown_run(self, run: Run) -> dict[str, Any]:
        parameters = [
            {
                "name": p["name"],
                "default": p.get("default", ""),
                **({"value": run.parameters[p["name"]]} if p["name"] in run.overriding else {}),
            }
            for p in run.settings.get("parameters") or []
        ]
        return {
            "job_id": run.job_id,
            "run_id": run.id,
            "number_in_job": run.id,
            "original_attempt_run_id": run.id,
            "job_run_id": run.id,
            "run_name": run.settings.get("name", ""),
            "creator_user_name": run.creator,
            "run_type": "JOB_RUN" if run.job_id else "SUBMIT_RUN",
            "run_page_url": f"{self._url}/#job/{run.job_id}/run/{run.id}",
            "trigger": run.trigger,
            "format": "MULTI_TASK",
            "job_parameters": parameters,
            "tasks": [self._shown_attempt(run, attempt) for attempt in run.attempts],
            **_timed(run),
            **shown(run.life, run.result, run.message),
        }

    def _shown_attempt(self, run: Run, attempt: Attempt) -> dict[str, Any]:
        task = copy.deepcopy(attempt.task)
        if attempt.condition:
            task["condition_task"]["outcome"] = attempt.condition
        return {
            **task,
            "run_id": attempt.id,
            "attempt_number": attempt.number,
            "run_page_url": f"{self._url}/#job/{run.job_id}/run/{attempt.id}",
            **_timed(attempt),
            **shown(attempt.life, attempt.result, attempt.message),
        }

    # Looking up

    def _job(self, number: int | str, caller: str = "", level: str = "") -> Job:
        job = self.jobs.get(int(number))
        if job is None:
            raise Refusal(400, "INVALID_PARAMETER_VALUE", f"Job {number} does not exist.")
        if level:
            self._permissions.require(caller, level, "jobs", str(number))
        return job

    def _run(self, number: int | str, caller: str, level: str) -> tuple[Run, Attempt | None]:
        for run in self.runs.all.values():
            for attempt in [None, *run.attempts]:
                if int(number) == (attempt.id if attempt else run.id):
                    if not self._allowed(run, caller, level):
                        raise Refusal(403, "PERMISSION_DENIED", f"{caller} does not have {level} on run {number}.")
                    return run, attempt
        raise Refusal(400, "INVALID_PARAMETER_VALUE", f"Run {number} does not exist.")

    def _allowed(self, run: Run, caller: str, level: str) -> bool:
        mine = run.creator == caller and not run.job_id
        return mine or self._permissions.may(caller, level, "jobs", str(run.job_id))

    def _runs_of(self, job_id: int) -> list[Run]:
        return [run for run in self.runs.all.values() if run.job_id == job_id]


def _check(settings: dict[str, Any]) -> None:
    keys = [task["task_key"] for task in settings.get("tasks") or []]
    if len(set(keys)) < len(keys):
        raise invalid("Two tasks have the same task_key.")
    environments = {environment["environment_key"] for environment in settings.get("environments") or []}
    for task in settings.get("tasks") or []:
        if not any(kind in task for kind in _KINDS):
            raise Refusal(501, "NOT_IMPLEMENTED", f"The emulated workspace runs {' and '.join(_KINDS)} only: {task}")
        if unknown := {d["task_key"] for d in task.get("depends_on") or []} - set(keys):
            raise invalid(f"Task {task['task_key']} depends on {', '.join(sorted(unknown))}, which do not exist.")
        if task.get("environment_key") and task["environment_key"] not in environments:
            raise invalid(f"The environment {task['environment_key']} of task {task['task_key']} does not exist.")


def _only(tasks: list[dict[str, Any]], keys: set[str]) -> list[dict[str, Any]]:
    chosen = [copy.deepcopy(task) for task in tasks if task["task_key"] in keys]
    for task in chosen:
        task["depends_on"] = [d for d in task.get("depends_on") or [] if d["task_key"] in keys]
    return chosen


def _downstream(tasks: list[dict[str, Any]], keys: set[str]) -> set[str]:
    found = set(keys)
    while new := {t["task_key"] for t in tasks if {d["task_key"] for d in t.get("depends_on") or []} & found} - found:
        found |= new
    return found


def _shown_job(job: Job) -> dict[str, Any]:
    return {
        "job_id": job.id,
        "creator_user_name": job.creator,
        "run_as_user_name": job.run_as,
        "created_time": job.created,
    }


def _with_defaults(settings: dict[str, Any]) -> dict[str, Any]:
    """What the service adds when it is asked."""
    defaults = {"email_notifications": {}, "webhook_notifications": {}, "timeout_seconds": 0, "format": "MULTI_TASK"}
    full = {**defaults, "max_concurrent_runs": 1, **copy.deepcopy(settings)}
    for task in full.get("tasks") or []:
        for name, value in (("run_if", "ALL_SUCCESS"), ("email_notifications", {}), ("timeout_seconds", 0)):
            task.setdefault(name, value)
        if task.get("depends_on"):
            task["depends_on"].sort(key=lambda dependency: dependency["task_key"])
    return full


def _timed(what: Run | Attempt) -> dict[str, int]:
    end = what.end or 0
    spent = end - what.start if end else 0
    return {"start_time": what.start, "end_time": end, "execution_duration": spent, "run_duration": spent}
