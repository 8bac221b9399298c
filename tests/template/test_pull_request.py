"""What a pull request starts, executed on both providers; its commands write down that they were called."""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from pathlib import Path

import pytest
from tests.template.harness.azure_graph import azure_graph
from tests.template.harness.azure_hub import AzureDevOps
from tests.template.harness.github_graph import github_graph
from tests.template.harness.github_hub import GitHub
from tests.template.harness.github_stubs import write_make, write_recorder
from tests.template.harness.graph import Graph
from tests.template.harness.yaml_files import ROOT

pytestmark = pytest.mark.skipif(os.name == "nt", reason="jobs run in bash on this machine")

COMMANDS = ["make lint", "make test-jvm-tables", "gatehouse rehearse --env staging --schema pr_12"]


def recorded(folder: Path, programs: Path, failing: str, beside: str = "") -> Path:
    """Puts `make` and `gatehouse` in front that only write down how they were called; the file they write to."""
    log = folder / "calls"
    log.touch()
    gatehouse = write_recorder(folder / "recorders", "gatehouse", log, failing=failing, beside=beside)
    make = write_recorder(folder / "recorders", "make", log, failing=failing)
    write_make(programs, gatehouse, recorder=make)
    return log


def by_job(log: Path) -> dict[str, list[str]]:
    """What each job called, in its order."""
    found = defaultdict(list)
    for line in log.read_text(encoding="utf-8").splitlines():
        job, _, command = line.partition(": ")
        found[job.replace("-", "_")].append(command)
    return dict(found)


def planned(graph: Graph) -> dict[str, list[str]]:
    """What the files say, without what is no program of ours."""
    made = {}
    for name, node in graph["pull-request"].items():
        texts = [command.text for command in node.commands if command.kind == "run"]
        calls = [text.replace('"', "") for text in texts if text.startswith(("make ", "gatehouse "))]
        if calls:
            made[name] = calls
    return made


def spelled(plan: dict[str, list[str]]) -> dict[str, list[str]]:
    """With the number of the pull request."""
    names = ("$NUMBER", "${SYSTEM_PULLREQUEST_PULLREQUESTID:-$BUILD_BUILDID}", "$SYSTEM_PULLREQUEST_PULLREQUESTID")
    number = dict.fromkeys(names, "12")
    for old, new in number.items():
        plan = {job: [call.replace(old, new) for call in calls] for job, calls in plan.items()}
    return plan


@pytest.mark.parametrize("failing", ["", *COMMANDS])
def test_on_github_every_command_runs_in_its_order_and_one_that_fails_makes_the_required_job_red(
    tmp_path: Path, failing: str
) -> None:
    with GitHub(tmp_path).open() as hub:
        log = recorded(tmp_path, hub.programs, failing)
        shutil.copytree(ROOT / ".github", hub.work / ".github")
        hub.commit("anna", "Workflows")
        (finished,) = hub.pull_request("bert", 12)

    plan, calls = spelled(planned(github_graph())), by_job(log)
    failed = [job for job, commands in plan.items() if failing in commands]
    assert calls == plan if not failed or failing.startswith("gatehouse") else set(calls) == set(plan)
    results = {job.replace("-", "_"): result for job, result in finished.ran.jobs.items()}
    expected = {job: "failure" if job in failed else "success" for job in plan} | {"workspace": "skipped"}
    assert results == expected | {"pass": "failure" if failing else "success"}
    assert finished.conclusion == ("failure" if failing else "success")


@pytest.mark.parametrize("failing", ["", *COMMANDS])
def test_on_azure_every_command_runs_in_its_order_and_one_that_fails_makes_the_run_red(
    tmp_path: Path, failing: str
) -> None:
    with AzureDevOps(tmp_path).open() as project:
        log = recorded(tmp_path, project.programs, failing)
        shutil.copytree(ROOT / ".azure-pipelines", project.work / ".azure-pipelines")
        project.commit("anna", "Pipelines")
        (build,) = project.pull_request("bert", 12)

    plan, calls = spelled(planned(azure_graph())), by_job(log)
    failed = [job for job, commands in plan.items() if failing in commands]
    assert calls == plan
    assert build.jobs == {job: "Failed" if job in failed else "Succeeded" for job in plan}
    assert build.result == ("failed" if failing else "succeeded")


def test_a_pull_request_starts_nothing_else(tmp_path: Path) -> None:
    with GitHub(tmp_path / "github").open() as hub:
        recorded(tmp_path, hub.programs, "")
        shutil.copytree(ROOT / ".github", hub.work / ".github")
        hub.commit("anna", "Workflows")
        assert [finished.run.workflow for finished in hub.pull_request("bert", 12, fork=True)] == ["pull-request.yml"]
        assert hub.git("for-each-ref", "--format=%(refname)", "refs/gatehouse", "refs/tags") == ""
        assert (hub.api.issues[12].comments, hub.api.releases, hub.api.environments) == ({}, [], {})


def test_the_comment_is_tried_for_branches_of_the_repository_and_not_for_forks(tmp_path: Path) -> None:
    with GitHub(tmp_path).open() as hub:
        log = recorded(tmp_path, hub.programs, "")
        shutil.copytree(ROOT / ".github", hub.work / ".github")
        hub.commit("anna", "Workflows")
        hub.pull_request("anna", 12)
        hub.pull_request("bert", 13, head="theirs", fork=True)
    comments = [line for line in log.read_text("utf-8").splitlines() if "gatehouse comment" in line]
    assert comments == ["rehearsal: gatehouse comment --pull-request 12 .lakehouse/report/rehearsal.md"]


WHO = " by ${DATABRICKS_AUTH_TYPE:-nobody} $DATABRICKS_CLIENT_ID at ${DATABRICKS_HOST:-home} with ${ENGINE:-sail}"
SOMEBODY = {"DATABRICKS_HOST": "https://staging.example", "DATABRICKS_CLIENT_ID": "pull-requests"}


def in_the_workspace(log: Path, *jobs: str) -> list[str]:
    return [line for line in log.read_text("utf-8").splitlines() if line.split(": gatehouse")[0] in jobs]


def test_on_github_a_branch_of_ours_is_rehearsed_in_the_workspace_too_and_a_forks_is_not(tmp_path: Path) -> None:
    with GitHub(tmp_path, variables={"GATEHOUSE_WORKSPACE": "yes", **SOMEBODY}).open() as hub:
        log = recorded(tmp_path, hub.programs, "", WHO)
        shutil.copytree(ROOT / ".github", hub.work / ".github")
        hub.commit("anna", "Workflows")
        hub.protect("pull-request")
        (ours,) = hub.pull_request("anna", 12)
        (theirs,) = hub.pull_request("bert", 13, head="theirs", fork=True)
        closed = [run for finished in (ours, theirs) for run in hub.close("anna", finished)]

    who = " by github-oidc pull-requests at https://staging.example with databricks"
    assert [line for line in in_the_workspace(log, "workspace", "sweep") if "gatehouse" in line] == [
        f"workspace: gatehouse sweep --env staging{who}",
        f"workspace: gatehouse rehearse --env staging --schema pr_12{who}",
        f"sweep: gatehouse sweep --env staging --schema pr_12{who}",
    ]
    assert {line.partition(" by ")[2] for line in in_the_workspace(log, "rehearsal")} == {"nobody  at home with sail"}
    assert [run.ran.jobs["workspace"] for run in (ours, theirs)] == ["success", "skipped"]
    assert [run.ran.jobs["pass"] for run in (ours, theirs)] == ["success", "success"]
    assert [(run.run.workflow, run.ran.jobs["sweep"]) for run in closed] == [
        ("pull-request-closed.yml", "success"),
        ("pull-request-closed.yml", "skipped"),
    ]


def test_on_github_a_rehearsal_that_fails_in_the_workspace_fails_the_required_job(tmp_path: Path) -> None:
    with GitHub(tmp_path, variables={"GATEHOUSE_WORKSPACE": "yes"}).open() as hub:
        recorded(tmp_path, hub.programs, "gatehouse sweep --env staging")
        shutil.copytree(ROOT / ".github", hub.work / ".github")
        hub.commit("anna", "Workflows")
        hub.protect("pull-request")
        (finished,) = hub.pull_request("anna", 12)
    assert {"workspace": "failure", "rehearsal": "success", "pass": "failure"}.items() <= finished.ran.jobs.items()


def test_on_azure_a_branch_of_ours_is_rehearsed_in_the_workspace_too_and_a_forks_is_not(tmp_path: Path) -> None:
    groups = {"gatehouse-pull-request": SOMEBODY}
    project = AzureDevOps(tmp_path, committed={"GATEHOUSE_WORKSPACE": "on"}, groups=groups)
    with project.open():
        log = recorded(tmp_path, project.programs, "", f"{WHO} ${{SYSTEM_ACCESSTOKEN:+with the token}}")
        shutil.copytree(ROOT / ".azure-pipelines", project.work / ".azure-pipelines")
        project.commit("anna", "Pipelines")
        project.protect("pull-request")
        (ours,) = project.pull_request("anna", 12)
        (theirs,) = project.pull_request("bert", 13, head="theirs", fork=True)

    who = " by azure-devops-oidc pull-requests at https://staging.example with databricks with the token"
    assert [line for line in in_the_workspace(log, "workspace") if "gatehouse" in line] == [
        f"workspace: gatehouse sweep --env staging{who}",
        f"workspace: gatehouse rehearse --env staging --schema pr_12{who}",
    ]
    assert {line.partition(" by ")[2] for line in in_the_workspace(log, "rehearsal")} == {"nobody  at home with sail "}
    assert [build.jobs["workspace"] for build in (ours, theirs)] == ["Succeeded", "Skipped"]
    assert [build.result for build in (ours, theirs)] == ["succeeded", "succeeded"]
