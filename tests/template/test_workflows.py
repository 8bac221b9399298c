"""What linters cannot see: both providers and .ci/run do the same, and a red job cannot look green."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="bash is not part of Windows")

SECTIONS = [
    *("make lint", "make test", "make test-slow", "make test-template"),
    *("make test-pythons", "make test-jvm"),
]


class Loader(yaml.SafeLoader):
    """YAML 1.2, as both providers read it: `on` is a word and not True."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(?:true|false)$"), list("tf"))


def read(path: str) -> Any:
    return yaml.load((ROOT / path).read_text(encoding="utf-8"), Loader)  # noqa: S506 - a SafeLoader


@dataclass(frozen=True, slots=True)
class Job:
    command: str
    minutes: int
    machine: str


def github_jobs() -> dict[str, Any]:
    jobs: dict[str, Any] = read(".github/workflows/pull-request.yml")["jobs"]
    return jobs


def on_github() -> list[Job]:
    return [
        Job(step["run"], job["timeout-minutes"], job["runs-on"])
        for name, job in github_jobs().items()
        if name not in ("pass", "rehearsal")
        for step in job["steps"]
        if "run" in step
    ]


def on_azure() -> list[Job]:
    pipeline = read(".azure-pipelines/pull-request.yml")
    found = []
    for job in pipeline["jobs"]:
        if job["job"] == "rehearsal":
            continue
        for step in job["steps"]:
            template = read(f".azure-pipelines/{step['template']}")
            assert [parameter["name"] for parameter in template["parameters"]] == list(step["parameters"])
            commands = [inner["bash"] for inner in template["steps"] if "bash" in inner]
            assert commands == ["${{ parameters.command }}"]
            found.append(Job(step["parameters"]["command"], int(job["timeoutInMinutes"]), pipeline["pool"]["vmImage"]))
    return found


def run_ci(folder: Path, *, failing: str = "") -> tuple[int, list[str]]:
    """.ci/run with a `make` that writes down its target and fails with 7 at `failing`: exit code, what was called."""
    log = folder / "called"
    make = folder / "make"
    make.write_text(f'#!/bin/sh\necho "make $*" >> "{log}"\n[ "$*" != "{failing}" ] || exit 7\n', encoding="utf-8")
    make.chmod(0o755)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run([ROOT / ".ci/run"], env={**os.environ, "PATH": path}, cwd=folder, check=False)
    return ran.returncode, log.read_text(encoding="utf-8").splitlines()


def test_both_providers_run_the_same_commands_in_the_same_order_within_the_same_time() -> None:
    assert [job.command for job in on_github()] == SECTIONS
    assert on_azure() == on_github()


def test_ci_runs_them_too_in_the_same_order(tmp_path: Path) -> None:
    assert run_ci(tmp_path) == (0, SECTIONS)


@pytest.mark.parametrize("position", range(len(SECTIONS)))
def test_ci_stops_at_the_first_failure_and_passes_its_exit_code_on(tmp_path: Path, position: int) -> None:
    target = SECTIONS[position].removeprefix("make ")
    assert run_ci(tmp_path, failing=target) == (7, SECTIONS[: position + 1])


def test_the_required_job_waits_for_every_other_job_and_never_skips() -> None:
    jobs = github_jobs()
    required = jobs.pop("pass")
    assert required["needs"] == list(jobs)
    assert required["if"] == "always()"


@pytest.mark.parametrize(
    ("results", "passes"),
    [
        ("success success success success", True),
        ("success", True),
        ("success failure success success", False),
        ("success success cancelled success", False),
        ("skipped success success success", False),
        ("success success success skipped", False),
        ("", False),
    ],
)
def test_the_required_job_passes_only_if_every_job_succeeded(results: str, passes: bool) -> None:
    (step,) = github_jobs()["pass"]["steps"]
    assert step["env"] == {"RESULTS": "${{ join(needs.*.result, ' ') }}"}
    shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    ran = subprocess.run(shell, env={"PATH": os.environ["PATH"], "RESULTS": results}, check=False)
    assert (ran.returncode == 0) is passes


def test_a_pull_request_reaches_no_secret() -> None:
    for path in (".github/workflows/pull-request.yml", ".github/actions/setup/action.yml"):
        text = (ROOT / path).read_text(encoding="utf-8")
        assert [word for word in ("secrets.", "id-token", "pull_request_target", "environment:") if word in text] == []


def test_github_installs_the_uv_that_make_would() -> None:
    pinned = re.search(r"^UV_VERSION := (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    (step,) = read(".github/actions/setup/action.yml")["runs"]["steps"]
    assert pinned
    assert step["with"]["version"] == pinned.group(1)
