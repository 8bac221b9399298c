"""Jobs and runs as `/api/2.2/jobs` has them: each run moves on by one frame of its script with every look at it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.integration.databricks.loopback import Answer, Asked, Loopback, refused

Json = dict[str, Any]
LIFE_OF = {"SKIPPED": "TERMINATED", "INTERNAL_ERROR": "TERMINATED"}
CODE_OF = {"FAILED": "RUN_EXECUTION_ERROR", "CANCELED": "USER_CANCELED", "TIMEDOUT": "CANCELED"}


def state(life: str, result: str = "", *, code: str = "", message: str = "") -> Json:
    """Both forms of a state."""
    details = {"code": code or CODE_OF.get(result, result), "message": message}
    return {
        "state": {"life_cycle_state": life, "state_message": message} | ({"result_state": result} if result else {}),
        "status": {"state": LIFE_OF.get(life, life)} | ({"termination_details": details} if details["code"] else {}),
    }


def task(key: str, life: str, result: str = "", **more: Any) -> Json:
    """A task of a run; `run_id` is where its output is asked for."""
    said = {name: more.pop(name) for name in ("code", "message") if name in more}
    return {"task_key": key, "python_wheel_task": {"package_name": "gatehouse", "entry_point": "gatehouse-task"}} | (
        state(life, result, **said) | more
    )


def frame(life: str, result: str = "", *tasks: Json, **said: Any) -> Json:
    """A run as one look at it finds it."""
    return state(life, result, **said) | {"tasks": list(tasks)}


@dataclass(slots=True)
class Run:
    job_id: int
    frames: list[Json]
    parameters: Json = field(default_factory=dict)
    repairs: list[int] = field(default_factory=list)
    after_repair: list[Json] = field(default_factory=list)
    stale: int = 0
    """Looks after a repair that still find the run as it was before."""


class JobsApi:
    """`script` is what the next run will go through; `outputs` are those of tasks, by their run_id."""

    def __init__(self, server: Loopback) -> None:
        self.jobs: dict[int, Json] = {}
        self.runs: dict[int, Run] = {}
        self.tokens: dict[str, int] = {}
        self.outputs: dict[int, Json] = {}
        self.script: list[Json] = []
        self.after_repair: list[Json] = []
        self.cancelled: list[int] = []
        self._server = server
        for method, path, handler in (
            ("GET", "list", self._list),
            ("GET", "get", self._get),
            ("POST", "run-now", self._run_now),
            ("POST", "runs/submit", self._submit),
            ("GET", "runs/list", self._list_runs),
            ("GET", "runs/get", self._get_run),
            ("GET", "runs/get-output", self._output),
            ("POST", "runs/cancel", self._cancel),
            ("POST", "runs/repair", self._repair),
        ):
            server.on(method, f"/api/2.2/jobs/{path}", handler)
        server.on("GET", "/api/2.0/preview/scim/v2/Me", lambda _: {"userName": "alice@example.org"})

    def deploy(self, key: str, *, job_id: int = 11, env: str = "prod", by: str = "", **settings: Any) -> int:
        """A job as the bundle makes it."""
        tags = {"gatehouse_project": "flights", "gatehouse_env": env, "gatehouse_job": key}
        name = (f"[dev {by.split('@', maxsplit=1)[0]}] " if by else "") + f"flights {env} {key}"
        parameters = [{"name": "as_of", "default": ""}, {"name": "seed", "default": "2013"}]
        self.jobs[job_id] = {
            "job_id": job_id,
            "creator_user_name": by or "robot",
            "settings": {"name": name, "tags": tags, "parameters": parameters} | settings,
        }
        return job_id

    def _list(self, asked: Asked) -> Json:
        name = asked.query.get("name")
        return {"jobs": [job for job in self.jobs.values() if name in (None, job["settings"]["name"])]}

    def _get(self, asked: Asked) -> Any:
        return self.jobs.get(int(asked.query["job_id"])) or _missing(f"Job {asked.query['job_id']} does not exist.")

    def _run_now(self, asked: Asked) -> Any:
        if asked["job_id"] not in self.jobs:
            return _missing(f"Job {asked['job_id']} does not exist.")
        return self._started(asked["job_id"], asked["idempotency_token"], asked["job_parameters"])

    def _submit(self, asked: Asked) -> Any:
        return self._started(0, asked["idempotency_token"], {})

    def _started(self, job_id: int, token: str, parameters: Json) -> Json:
        assert len(token) <= 64
        if token not in self.tokens:
            run_id = self.tokens[token] = 700 + len(self.runs)
            self.runs[run_id] = Run(job_id, list(self.script), parameters, after_repair=list(self.after_repair))
        return {"run_id": self.tokens[token], "number_in_job": self.tokens[token]}

    def _list_runs(self, asked: Asked) -> Json:
        mine = [run_id for run_id, run in self.runs.items() if run.job_id == int(asked.query["job_id"])]
        return {"runs": [self._shown(run_id) for run_id in sorted(mine, reverse=True)][: int(asked.query["limit"])]}

    def _get_run(self, asked: Asked) -> Any:
        run_id = int(asked.query["run_id"])
        if run_id not in self.runs:
            return _missing(f"Run {run_id} does not exist.")
        shown = self._shown(run_id)
        if len(self.runs[run_id].frames) > 1:
            self.runs[run_id].frames.pop(0)
        return shown

    def _shown(self, run_id: int) -> Json:
        run = self.runs[run_id]
        declared = self.jobs[run.job_id]["settings"]["parameters"] if run.job_id in self.jobs else []
        history = [{"type": "ORIGINAL"}, *({"type": "REPAIR", "id": repair} for repair in run.repairs)]
        given = [p | ({"value": run.parameters[p["name"]]} if p["name"] in run.parameters else {}) for p in declared]
        page = f"{self._server.address}/jobs/{run.job_id}/runs/{run_id}"
        return {
            "run_id": run_id,
            "job_id": run.job_id,
            "run_page_url": page,
            "job_parameters": given,
            "repair_history": history,
        } | run.frames[0]

    def _output(self, asked: Asked) -> Any:
        return self.outputs.get(int(asked.query["run_id"]), {"logs": ""})

    def _cancel(self, asked: Asked) -> Json:
        self.cancelled.append(asked["run_id"])
        self.runs[asked["run_id"]].frames = [
            frame("TERMINATING"),
            frame("TERMINATED", "CANCELED", message="Run cancelled."),
        ]
        return {}

    def _repair(self, asked: Asked) -> Any:
        run = self.runs[asked["run_id"]]
        if asked.body.get("latest_repair_id") != (run.repairs[-1] if run.repairs else None):
            return refused(400, "INVALID_PARAMETER_VALUE", "latest_repair_id is not the latest")
        before = {name: self._shown(asked["run_id"])[name] for name in ("state", "status", "tasks", "repair_history")}
        run.repairs.append(9000 + len(run.repairs))
        run.frames = [before] * run.stale + run.after_repair
        return {"repair_id": run.repairs[-1]}


def _missing(message: str) -> Answer:
    return refused(400, "INVALID_PARAMETER_VALUE", message)
