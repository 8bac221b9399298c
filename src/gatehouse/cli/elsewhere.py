"""Commands on an environment whose pipelines run as jobs of a workspace: started there, followed here, told as here."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from gatehouse.ci.job import SUMMARY
from gatehouse.errors import Refused, StateError

if TYPE_CHECKING:
    from gatehouse.cli.world import Place

JOBS_OF_PIPELINE = {
    "ingest": ("features",),
    "features": ("features",),
    "training": ("training",),
    "inference": ("inference",),
    "monitoring": ("monitoring",),
    "mirror": ("mirror",),
    "daily": ("features", "inference", "monitoring"),
    "all": ("features", "training", "inference", "monitoring"),
}
"""Which jobs of the bundle a pipeline of `gatehouse run` means. The job `features` ingests first."""


def in_jobs(where: Place, env: str) -> bool:
    """Whether the environment's pipelines run in jobs, and not in this process."""
    return where.platform(env).in_jobs


def run_jobs(
    where: Place, env: str, keys: Sequence[str], parameters: Mapping[str, str], *, as_json: bool
) -> dict[str, str]:
    """Run jobs of the bundle one after the other; returns what their tasks handed over, and tells the CI.

    `parameters` with an empty text were not given. What a run of the CI has started is not started again by the same
    command of that run: it is followed. Raises as `gatehouse.databricks.runs.run_job` does.
    """
    from gatehouse.cli.display import TerminalProgress, echo_json
    from gatehouse.cli.telling import provider_of, tell
    from gatehouse.cli.world import load_project
    from gatehouse.databricks.client import open_workspace
    from gatehouse.databricks.outcome import MARK
    from gatehouse.databricks.runs import find_job, run_job, token_of

    given = {name: text for name, text in parameters.items() if text}
    run = provider_of(where.settings.root).run()
    workspace, progress = open_workspace(), TerminalProgress()
    project = load_project(where.settings).name
    values: dict[str, str] = {}
    pages: dict[str, str] = {}
    for key in keys:
        job = find_job(workspace, project=project, env=env, key=key)
        known = {name: text for name, text in given.items() if len(keys) == 1 or name in job.parameters}
        token = token_of(run.id, str(run.attempt), job.name, json.dumps(known, sort_keys=True)) if run.id else ""
        with progress.step(f"run the job {job.name}"):
            result = run_job(workspace, job, known, progress=progress, token=token)
        pages[key] = result.page
        values |= result.values
        if not as_json:
            for task in result.tasks:
                click.echo("\n".join(line for line in task.logs.splitlines() if not line.startswith(f"{MARK} ")))
    tell(where.settings.root, values.pop(SUMMARY, ""), values)
    if as_json:
        echo_json({"environment": env, "pages": pages, **values})
    return values


def beside_jobs(where: Place, env: str, platform: str | None) -> Place:
    """The place as `--platform` wants it: a pipeline in this process, on tables that may be a workspace's.

    Raises:
        Refused: the environment is protected, so that its pipelines run in its own jobs alone.
    """
    from dataclasses import replace

    if platform is None:
        return where
    if platform == "databricks" and where.settings.environment(env).protected:
        raise Refused(
            f"{env} is protected: its pipelines run in its own jobs.",
            why="A run from somebody's machine has that person's code and rights.",
            remedy=f"gatehouse run PIPELINE --env {env}    (or --env dev --platform databricks)",
        )
    file = where.settings.environments
    moved = {name: e.model_copy(update={"platform": platform}) for name, e in file.environments.items()}
    environments = file.model_copy(update={"environments": moved})
    return replace(where, settings=where.settings.model_copy(update={"environments": environments}))


def run_this_code(where: Place, env: str, arguments: Sequence[str]) -> dict[str, str]:
    """Run a command with the code of this checkout, which is not deployed, in the environment's workspace.

    Returns what it handed over. Its compute is that of the deployed jobs, serverless where none is deployed yet.
    """
    from gatehouse.cli.display import TerminalProgress
    from gatehouse.cli.world import load_project
    from gatehouse.code_version import CODE_FILE
    from gatehouse.databricks.build import build, source_of
    from gatehouse.databricks.client import open_workspace
    from gatehouse.databricks.once import Code, Compute, compute_of, run_once
    from gatehouse.databricks.runs import find_job

    root, workspace, progress = where.settings.root, open_workspace(), TerminalProgress()
    project = load_project(where.settings).name
    with progress.step("build this checkout's wheel"):
        build(root)
    (wheel,) = (root / "dist").glob("*.whl")
    try:
        compute = compute_of(workspace, find_job(workspace, project=project, env=env, key="features"))
    except StateError:
        compute = Compute()
    package = tomllib.loads((source_of(root) / "pyproject.toml").read_text(encoding="utf-8"))["project"]["name"]
    code = Code(
        package=package,
        wheel=wheel,
        requirements=root / "dist" / "requirements.txt",
        conf=where.settings.conf,
        known=root / CODE_FILE,
    )
    result = run_once(workspace, f"{project} {env} {arguments[0]}", code, arguments, compute, progress=progress)
    return dict(result.values)
