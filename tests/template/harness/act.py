"""One run of act: rendered workflow in, results of jobs and steps out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.template.harness import NotUnderstood
from tests.template.harness.github_inline import BELOW
from tests.template.harness.github_render import MACHINE

ACT = Path(sys.executable).with_name("act.exe" if os.name == "nt" else "act")


@dataclass(kw_only=True, slots=True)
class Ran:
    """What became of a run."""

    code: int = 0
    jobs: dict[str, str] = field(default_factory=dict)
    """`success`, `failure`, or `skipped` by job; of a called workflow `caller/job`; of a matrix the worst."""
    steps: list[tuple[str, str, str]] = field(default_factory=list)
    """Job, name or command, result: in the order in which they ended."""
    outputs: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    """What steps with an id said, by job and id."""
    summary: str = ""
    log: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What act is given."""

    checkout: Path
    workflow: Path
    event: str
    payload: Mapping[str, Any]
    actor: str
    environment: Mapping[str, str]
    variables: Mapping[str, str]
    secrets: Mapping[str, str]
    actions: Mapping[str, Path]
    """Folder of each third-party action, by `owner/name@sha`."""
    path: str
    work: Path
    """Its own, for what act writes."""
    jobs: tuple[str, ...]
    """All there are, in case act skips one without a word."""
    cancel: Callable[[str], bool] | None = None
    """Says of each line that is printed whether somebody presses `Cancel workflow` now."""


def run_act(request: Request, *, seconds: float = 600) -> Ran:
    """Executes the workflow on this machine."""
    event = request.work / "event.json"
    event.write_text(json.dumps(request.payload), encoding="utf-8")
    command = [str(ACT), request.event, "-C", str(request.checkout), "-W", str(request.workflow), "-e", str(event)]
    command += ["-P", f"{MACHINE}=-self-hosted", "--no-cache-server", "--json", "-a", request.actor, "--rm"]
    command += ["--action-cache-path", str(request.work / "cache"), "--env-file", os.devnull]
    for option, pairs in (
        ("--env", request.environment),
        ("--var", request.variables),
        ("-s", request.secrets),
        ("--local-repository", {action: str(folder) for action, folder in request.actions.items()}),
    ):
        for name, value in pairs.items():
            command += [option, f"{name}={value}"]
    clean = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR", "SYSTEMROOT") if name in os.environ}
    with (request.work / "stderr").open("w+", encoding="utf-8") as errors:
        process = subprocess.Popen(
            command,
            env={**clean, "PATH": request.path},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            encoding="utf-8",
            start_new_session=os.name != "nt",
        )
        try:
            ran = _followed(process, request)
            ran.code = process.wait(seconds)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        errors.seek(0)
        ran.log += errors.read()
    if not ran.jobs and (ran.code != 0 or "Could not find any stages" in ran.log):  # else all were skipped
        raise NotUnderstood(f"act ran nothing of {request.workflow.name}: {ran.log}")
    for job in request.jobs:
        ran.jobs.setdefault(job, "skipped")
    return ran


def _followed(process: subprocess.Popen[str], request: Request) -> Ran:
    ran = Ran()
    assert process.stdout
    cancelled = False
    for text in process.stdout:
        line = json.loads(text)
        job = _job_of(line)
        if line.get("raw_output") and not cancelled and request.cancel and request.cancel(line["msg"]):
            cancelled = True
            process.send_signal(signal.SIGINT)
        _take(line, job, ran)
    return ran


def _take(line: dict[str, Any], job: str, ran: Ran) -> None:
    if line.get("command") == "summary":
        ran.summary += line["content"]
    elif line.get("command") == "set-output" and len(line["stepID"]) == 1:
        ran.outputs.setdefault(job, {}).setdefault(line["stepID"][0], {})[line["name"]] = line["arg"]
    elif line.get("raw_output"):
        ran.log += f"[{job}] {line['msg']}"
    elif "jobResult" in line:
        worst = ran.jobs.get(job) == "failure"
        ran.jobs[job] = "failure" if worst else line["jobResult"]
    elif "stepResult" in line and line.get("stage") == "Main":
        ran.steps.append((job, line["step"], line["stepResult"]))
    elif line["level"] == "error" or "step" not in line:
        ran.log += f"[{job}] {line['msg'].rstrip()}\n"


def _job_of(line: Mapping[str, Any]) -> str:
    """`gates/candidate` for the job `candidate` of the workflow that the job `gates` calls."""
    return str(line.get("jobID", "")).replace(BELOW, "/")
