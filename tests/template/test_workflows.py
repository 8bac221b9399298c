"""What linters cannot see: both providers and .ci/run do the same, and a red job cannot look green."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.template.harness.azure_graph import azure_graph
from tests.template.harness.github_graph import github_graph
from tests.template.harness.yaml_files import ROOT, read

pytestmark = pytest.mark.skipif(os.name == "nt", reason="bash is not part of Windows")

SECTIONS = [
    "make lint",
    "make test",
    "make test-template",
    "make test-python-3.11",
    "make test-python-3.13",
    "make test-jvm-unit",
    "make test-jvm-tables",
]
"""Pull requests have a machine for each."""
ON_ONE_MACHINE = ["make lint", "make test", "make test-template", "make test-jvm"]
"""What fits into twenty minutes of two cores."""
BEFORE_A_RELEASE = ["make test-slow"]
"""What is too slow for each pull request: a commit that did not pass it cannot be released."""


GRAPHS = {"github": github_graph(), "azure": azure_graph()}


def step_of_pass(workflow: str) -> dict[str, Any]:
    """The one step of the job that says whether all went well."""
    jobs = read(f".github/workflows/{workflow}.yml")["jobs"]
    (step,) = next(job for name, job in jobs.items() if name.endswith("pass"))["steps"]
    found: dict[str, Any] = step
    return found


def passes(step: dict[str, Any], results: str, **more: str) -> bool:
    """What its script says of these results, in the order of `needs`."""
    shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    each = dict(zip(("TESTED", "GATES", "PUBLISH"), results.split(), strict=False))
    environ = {"PATH": os.environ["PATH"], "RESULTS": results, **each, **more}
    return subprocess.run(shell, env=environ, check=False).returncode == 0


def run_ci(folder: Path, *, failing: str = "") -> tuple[int, list[str]]:
    """.ci/run with a `make` that writes down its target and fails with 7 at `failing`: exit code, what was called."""
    log = folder / "called"
    make = folder / "make"
    make.write_text(f'#!/bin/sh\necho "make $*" >> "{log}"\n[ "$*" != "{failing}" ] || exit 7\n', encoding="utf-8")
    make.chmod(0o755)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run([ROOT / ".ci/run"], env={**os.environ, "PATH": path}, cwd=folder, check=False)
    return ran.returncode, log.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("provider", GRAPHS)
def test_each_section_is_a_job_of_a_pull_request_and_the_slow_one_of_staging(provider: str) -> None:
    """That they are equal, limited in time and reach no secret: test_workflow_graph.py proves it for all workflows."""
    found = [
        [
            command.text
            for node in GRAPHS[provider][workflow].values()
            for command in node.commands
            if command.text.startswith("make ") and command.text != "make install"
        ]
        for workflow in ("pull-request", "staging")
    ]
    assert found == [SECTIONS, BEFORE_A_RELEASE]


def test_ci_runs_what_fits_on_one_machine_in_the_same_order(tmp_path: Path) -> None:
    assert run_ci(tmp_path) == (0, ON_ONE_MACHINE)


@pytest.mark.parametrize("position", range(len(ON_ONE_MACHINE)))
def test_ci_stops_at_the_first_failure_and_passes_its_exit_code_on(tmp_path: Path, position: int) -> None:
    target = ON_ONE_MACHINE[position].removeprefix("make ")
    assert run_ci(tmp_path, failing=target) == (7, ON_ONE_MACHINE[: position + 1])


@pytest.mark.parametrize(
    ("results", "workspace", "green"),
    [
        ("success success success success", "success", True),
        ("success", "success", True),
        ("success failure success success", "success", False),
        ("success success cancelled success", "success", False),
        ("skipped success success success", "success", False),
        ("success success success skipped", "success", False),
        ("success success success skipped", "skipped", True),  # without a workspace, and for forks
        ("skipped success success success", "skipped", True),  # in whatever order they come
        ("skipped success success skipped", "skipped", False),
        ("success failure success skipped", "skipped", False),
        ("success success success failure", "failure", False),
        ("success success success cancelled", "cancelled", False),
        ("", "success", False),
    ],
)
def test_a_pull_request_passes_only_if_every_job_succeeded(results: str, workspace: str, green: bool) -> None:
    step = step_of_pass("pull-request")
    assert step["env"] == {
        "RESULTS": "${{ join(needs.*.result, ' ') }}",
        "SKIPPED": "${{ needs.workspace.result == 'skipped' && 'success' || 'skipped' }}",
    }
    assert passes(step, results, SKIPPED="success" if workspace == "skipped" else "skipped") is green


@pytest.mark.parametrize(
    ("results", "green"),
    [
        ("success success success", True),
        ("success success skipped", True),  # held back, or no tag: there is nothing to publish
        ("success success failure", False),
        ("success failure skipped", False),
        ("failure skipped skipped", False),
        ("success skipped skipped", False),
        ("success cancelled skipped", False),
        ("skipped success success", False),
        ("", False),
    ],
)
def test_a_release_passes_only_if_nothing_failed(results: str, green: bool) -> None:
    step = step_of_pass("release")
    assert read(".github/workflows/release.yml")["jobs"]["release-pass"]["needs"] == ["tested", "gates", "publish"]
    assert list(step["env"].items()) == [
        (name.upper(), f"${{{{ needs.{name}.result }}}}") for name in ("tested", "gates", "publish")
    ]
    assert passes(step, results) is green


def test_github_installs_the_uv_that_make_would() -> None:
    pinned = re.search(r"^UV_VERSION := (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    (step,) = read(".github/actions/setup/action.yml")["runs"]["steps"]
    assert pinned
    assert step["with"]["version"] == pinned.group(1)
