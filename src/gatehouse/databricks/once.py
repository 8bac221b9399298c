"""A run of code that is not deployed yet: a wheel in a throw-away folder, run once, and the folder removed.

A release scores the champion with the new code before that code becomes the active one. The compute is that of the
deployed job, so that nothing but the code differs.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatehouse.databricks.client import Workspace
from gatehouse.databricks.runs import LIMIT, Job, attend
from gatehouse.databricks.states import RunResult
from gatehouse.errors import ConfigurationError, GatehouseError, Unanswered
from gatehouse.progress import Progress

if TYPE_CHECKING:
    from databricks.sdk.service.jobs import SubmitTask

ENTRY_POINT = "gatehouse-task"
_KEY = "once"


@dataclass(frozen=True, kw_only=True, slots=True)
class Compute:
    """What it runs on, as the Jobs API describes it: a cluster made for it, or an environment where that is empty."""

    cluster: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=lambda: {"environment_version": "5"})
    budget_policy_id: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Code:
    """What is run, from this machine's disk: what `python -m gatehouse.databricks.build` made, and conf/."""

    wheel: Path
    requirements: Path
    known: Path
    """code.json"""
    conf: Path
    package: str = "gatehouse"
    """The wheel's distribution."""


def compute_of(workspace: Workspace, job: Job) -> Compute:
    """That of a deployed job.

    Raises:
        ConfigurationError: It has several clusters or environments, or none.
    """
    settings = workspace.ask(f"reading the job {job.name}", lambda: workspace.sdk.jobs.get(job.job_id)).settings
    clusters = (settings.job_clusters if settings else None) or []
    environments = (settings.environments if settings else None) or []
    if settings is None or len(clusters) + len(environments) != 1:
        raise ConfigurationError(
            f"The job {job.name} has {len(clusters)} job clusters and {len(environments)} environments; one of both is"
            " wanted.",
            why="A run of other code is to differ from the job in its code only.",
            remedy=f"databricks bundle deploy -t {job.env}",
        )
    if clusters:
        cluster = clusters[0].new_cluster
        return Compute(cluster=cluster.as_dict() if cluster else {})
    spec = environments[0].spec
    given = {name: value for name, value in (spec.as_dict() if spec else {}).items() if name != "dependencies"}
    return Compute(environment=given, budget_policy_id=settings.budget_policy_id or "")


def run_once(
    workspace: Workspace,
    name: str,
    code: Code,
    arguments: Sequence[str],
    compute: Compute,
    *,
    progress: Progress,
    token: str = "",
    limit: float = LIMIT,
) -> RunResult:
    """Uploads the code, runs it once as `gatehouse --conf CONF ARGUMENTS`, and removes it, however it ended.

    Raises as `run_job` does.
    """
    from databricks.sdk.service.jobs import QueueSettings

    once = token or uuid.uuid4().hex
    with _uploaded(workspace, code, once, progress) as folder:
        task, environments = _task(code, folder, arguments, compute)

        def start() -> tuple[int, int | None]:
            answer = workspace.ask(
                f"starting {name}",
                lambda: workspace.sdk.jobs.submit(
                    run_name=name,
                    tasks=[task],
                    environments=environments or None,
                    budget_policy_id=compute.budget_policy_id or None,
                    idempotency_token=once,
                    queue=QueueSettings(enabled=True),
                    timeout_seconds=int(limit),
                ).bind()["run_id"],
            )
            return int(answer), None

        return attend(workspace, name, start, progress=progress, limit=limit)


def _task(code: Code, folder: str, arguments: Sequence[str], compute: Compute) -> tuple[SubmitTask, list[Any]]:
    from databricks.sdk.service.compute import ClusterSpec, Environment, Library
    from databricks.sdk.service.jobs import JobEnvironment, PythonWheelTask, SubmitTask

    wheel, requirements = f"{folder}/{code.wheel.name}", f"{folder}/requirements.txt"
    parameters = ["--conf", f"{folder}/conf", *arguments]
    what = PythonWheelTask(package_name=code.package, entry_point=ENTRY_POINT, parameters=parameters)
    if compute.cluster:
        return SubmitTask(
            task_key=_KEY,
            python_wheel_task=what,
            new_cluster=ClusterSpec.from_dict(dict(compute.cluster)),
            libraries=[Library(requirements=requirements), Library(whl=wheel)],
        ), []
    spec = Environment.from_dict({**compute.environment, "dependencies": [f"-r {requirements}", wheel]})
    return SubmitTask(task_key=_KEY, python_wheel_task=what, environment_key=_KEY), [
        JobEnvironment(environment_key=_KEY, spec=spec)
    ]


@contextmanager
def _uploaded(workspace: Workspace, code: Code, token: str, progress: Progress) -> Iterator[str]:
    """A folder of the caller's own with the code in it, and nobody else's."""
    sdk = workspace.sdk
    me = workspace.ask("reading who this is", lambda: sdk.current_user.me().user_name)
    folder = f"/Workspace/Users/{me}/.gatehouse/{token}"
    files = {code.wheel: code.wheel.name, code.requirements: "requirements.txt", code.known: "code.json"}
    files |= {file: f"conf/{file.relative_to(code.conf).as_posix()}" for file in sorted(code.conf.rglob("*.yml"))}
    try:
        with progress.step(f"upload {code.wheel.name} to {folder}"):
            for file, place in files.items():
                _upload(workspace, file, f"{folder}/{place}")
        yield folder
    finally:
        _removed(workspace, folder, progress)


def _upload(workspace: Workspace, file: Path, path: str) -> None:
    from databricks.sdk.service.workspace import ImportFormat

    content, parent = base64.b64encode(file.read_bytes()).decode(), path.rpartition("/")[0]
    workspace.ask(f"making {parent}", lambda: workspace.sdk.workspace.mkdirs(parent))
    workspace.ask(
        f"uploading {path}",
        lambda: workspace.sdk.workspace.import_(path, content=content, format=ImportFormat.AUTO, overwrite=True),
    )


def _removed(workspace: Workspace, folder: str, progress: Progress) -> None:
    """What cannot be removed is told, and hides nothing else that went wrong."""
    try:
        workspace.ask(f"removing {folder}", lambda: workspace.sdk.workspace.delete(folder, recursive=True))
    except GatehouseError as error:
        if not (isinstance(error, Unanswered) and error.status == 404):
            progress.note(f"{folder} stays: {error.what}. databricks workspace delete {folder} --recursive")
