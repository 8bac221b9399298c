"""Defects that were found in workflows elsewhere, put into a copy of ours: what is proven about them then fails."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.template.harness.yaml_files import ROOT

pytestmark = pytest.mark.slow

PROOFS = ("tests/template/test_workflow_graph.py", "tests/template/test_workflow_safety.py")
RELEASE, GATES = ".github/workflows/release.yml", ".github/workflows/gates.yml"
PULL_REQUEST, STAGING = ".github/workflows/pull-request.yml", ".github/workflows/staging.yml"


@dataclass(frozen=True, kw_only=True, slots=True)
class Mutation:
    """In `files`, what the pattern `old` finds becomes `new`: a defect of this entry. `caught_by` must then fail."""

    entry: int
    files: tuple[str, ...]
    old: str
    new: str
    caught_by: str


MUTATIONS = {
    "a job waits for an event that nothing sends": Mutation(
        entry=9,
        files=(".github/workflows/monitor.yml",),
        old=r"if: github\.event_name != 'schedule'.*",
        new="if: github.event_name == 'release'",
        caught_by="test_every_job_on_github_is_reachable_by_a_trigger",
    ),
    "nothing starts a pipeline": Mutation(
        entry=9,
        files=(".azure-pipelines/staging.yml",),
        old=r"include: \[main\]",
        new="include: [production]",
        caught_by="test_every_pipeline_on_azure_has_a_way_to_start",
    ),
    "with tags alone branches no longer start a release": Mutation(
        entry=9,
        files=(".azure-pipelines/release.yml",),
        old=r'  branches:\n    include: \["release/\*"\].*\n',
        new="",
        caught_by="test_a_push_starts_the_same_workflows_on_both_providers",
    ),
    "production does not wait for the test": Mutation(
        entry=10,
        files=(RELEASE,),
        old=r"    needs: tested\n",
        new="",
        caught_by="test_every_job_that_follows_a_gate_waits_for_all_gates_of_its_workflow",
    ),
    "whatever the verdict, the next job promotes": Mutation(
        entry=10,
        files=(GATES,),
        old=r"    if: needs\.candidate\.outputs\.verdict.*\n",
        new="",
        caught_by="test_a_promotion_depends_on_every_gate",
    ),
    "nobody is asked before a promotion": Mutation(
        entry=10,
        files=(".azure-pipelines/templates/gates.yml",),
        old=r"environment: prod-approval.*",
        new="environment: prod",
        caught_by="test_a_promotion_depends_on_every_gate",
    ),
    "a command is given a flag that it lacks": Mutation(
        entry=11,
        files=(GATES, ".azure-pipelines/templates/gates.yml"),
        old="clock --env prod --advance",
        new="clock --env prod --forward",
        caught_by="test_every_command_line_parses_against_the_command_line_interface",
    ),
    "the staging test is an echo": Mutation(
        entry=12,
        files=(STAGING,),
        old=r"run: exec gatehouse rehearse.*",
        new="run: echo tested",
        caught_by="test_no_step_is_a_bare_echo_and_none_swallows_a_failure",
    ),
    "a failure is swallowed": Mutation(
        entry=12,
        files=(".azure-pipelines/release.yml",),
        old="gatehouse tested --env staging",
        new="gatehouse tested --env staging || true",
        caught_by="test_no_step_is_a_bare_echo_and_none_swallows_a_failure",
    ),
    "a failure is forgiven": Mutation(
        entry=12,
        files=(STAGING,),
        old=r"      - run: gatehouse sweep",
        new="      - continue-on-error: true\n        run: gatehouse sweep",
        caught_by="test_on_github_no_failure_is_forgiven",
    ),
    "a script on azure goes on after a failure": Mutation(
        entry=13,
        files=(".azure-pipelines/staging.yml",),
        old=r"bash: gatehouse state restore --env staging",
        new="bash: gatehouse state restore --env staging; gatehouse status --env staging",
        caught_by="test_a_step_with_several_commands_or_a_pipe_fails_fast",
    ),
    "a pull request deploys to an environment": Mutation(
        entry=22,
        files=(PULL_REQUEST,),
        old=r"    name: rehearsal\n",
        new="    name: rehearsal\n    environment: prod\n",
        caught_by="test_no_secret_environment_or_identity_is_reachable_from_outside_on_github",
    ),
    "a pull request gets an identity": Mutation(
        entry=22,
        files=(PULL_REQUEST,),
        old="pull-requests: write",
        new="id-token: write",
        caught_by="test_no_secret_environment_or_identity_is_reachable_from_outside_on_github",
    ),
    "a fork's pull request reaches the workspace": Mutation(
        entry=22,
        files=(PULL_REQUEST,),
        old=r" && github\.event\.pull_request\.head\.repo\.full_name == github\.repository\n    runs-on",
        new="\n    runs-on",
        caught_by="test_no_secret_environment_or_identity_is_reachable_from_outside_on_github",
    ),
    "closing a fork's pull request reaches the workspace": Mutation(
        entry=22,
        files=(".github/workflows/pull-request-closed.yml",),
        old=r" == github\.repository",
        new=" != ''",
        caught_by="test_no_secret_environment_or_identity_is_reachable_from_outside_on_github",
    ),
    "a pull request is production in the workspace": Mutation(
        entry=22,
        files=(PULL_REQUEST,),
        old="environment: pull-request",
        new="environment: prod",
        caught_by="test_from_a_branch_of_ours_one_identity_is_reachable_by_the_jobs_of_pull_requests_alone",
    ),
    "a second job of a pull request gets the identity": Mutation(
        entry=22,
        files=(PULL_REQUEST,),
        old=r"    permissions:\n      contents: read\n      pull-requests: write",
        new="    permissions:\n      contents: read\n      id-token: write",
        caught_by="test_from_a_branch_of_ours_one_identity_is_reachable_by_the_jobs_of_pull_requests_alone",
    ),
    "a pull request works in staging itself": Mutation(
        entry=22,
        files=(PULL_REQUEST,),
        old='gatehouse rehearse --env staging --schema "pr_.NUMBER"',
        new="gatehouse deploy --env staging",
        caught_by="test_from_a_branch_of_ours_one_identity_is_reachable_by_the_jobs_of_pull_requests_alone",
    ),
    "a pull request on azure is staging in the workspace": Mutation(
        entry=22,
        files=(".azure-pipelines/pull-request.yml",),
        old="env: pull-request",
        new="env: staging",
        caught_by="test_no_secret_environment_or_identity_is_reachable_from_a_pull_request_on_azure",
    ),
    "a release deploys with another identity": Mutation(
        entry=22,
        files=(".azure-pipelines/templates/gates.yml",),
        old="env: prod-approval\n",
        new="env: prod\n",
        caught_by="test_who_acts_in_an_environment_is_its_identity_and_nobody_else_is_one_on_azure",
    ),
    "what strangers wrote runs with our rights": Mutation(
        entry=22,
        files=(PULL_REQUEST,),
        old="  pull_request:\n",
        new="  pull_request:\n  pull_request_target:\n",
        caught_by="test_no_workflow_runs_with_rights_on_what_strangers_wrote",
    ),
    "a pull request on azure is handed the token": Mutation(
        entry=22,
        files=(".azure-pipelines/pull-request.yml",),
        old=r"        displayName: gatehouse rehearse",
        new="        env:\n          SYSTEM_ACCESSTOKEN: $(System.AccessToken)",
        caught_by="test_no_secret_environment_or_identity_is_reachable_from_a_pull_request_on_azure",
    ),
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the proofs read, and they themselves."""
    folder = tmp_path_factory.mktemp("copy")
    ignored = shutil.ignore_patterns("__pycache__")
    for name in (".github", ".azure-pipelines", "tests/template/harness"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in ("pyproject.toml", "tests/loopback.py", *PROOFS):
        shutil.copy(ROOT / name, folder / name)
    return folder


def proofs_that_fail(folder: Path, *arguments: str) -> set[str]:
    """Names of tests, without their parameters."""
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--no-header", *PROOFS, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode in (0, 1), ran.stdout + ran.stderr
    return set(re.findall(r"^FAILED .*?::(\w+)", ran.stdout, re.MULTILINE))


def test_without_a_defect_all_proofs_hold(copy: Path) -> None:
    assert proofs_that_fail(copy) == set()


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_defect_that_was_found_elsewhere_is_caught(copy: Path, name: str) -> None:
    mutation = MUTATIONS[name]
    before = {file: (copy / file).read_text(encoding="utf-8") for file in mutation.files}
    try:
        for file, text in before.items():
            changed = re.sub(mutation.old, mutation.new, text)
            assert changed != text, f"{file} has no {mutation.old!r} any more"
            (copy / file).write_text(changed, encoding="utf-8")
        assert mutation.caught_by in proofs_that_fail(copy, "-k", mutation.caught_by)
    finally:
        for file, text in before.items():
            (copy / file).write_text(text, encoding="utf-8")
