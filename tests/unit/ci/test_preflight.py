"""What a release still lacks, found in a provider's answers: fine, less safe, broken, or not to be seen."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.ci import azure_run
from tests.unit.ci.conftest import Interface
from tests.unit.ci.github_run import environment

from gatehouse.ci.preflight import Line, State, Wanted
from gatehouse.ci.preflight_ask import provider_lines
from gatehouse.ci.preflight_local import checkout_lines, named_environments, tool_lines, workflow_names
from gatehouse.ci.remote import Remote, remote_of

HOME = "/repos/octo/flights"
WEB = "https://github.com/octo/flights"
WANTED = Wanted(
    environments=("prod",),
    guarded=("prod",),
    approval=("prod-approval",),
    real=True,
    approvals=1,
    branch="main",
    workflows=("release", "staging"),
)
LOCAL = replace(WANTED, real=False)
POLICIES = [{"type": "branch", "name": "main"}, {"type": "branch", "name": "release/*"}, {"type": "tag", "name": "v*"}]
RULES = [
    {"type": "pull_request", "parameters": {"required_approving_review_count": 1}},
    {"type": "required_status_checks", "parameters": {"required_status_checks": [{"context": "pass"}]}},
]


def place(*reviewers: str, bypass: bool | None = False, **changed: Any) -> dict[str, Any]:
    """An environment that is set up well, but for what a test changes."""
    found = environment(*(("User", name) for name in reviewers))
    limited = {"protected_branches": False, "custom_branch_policies": True}
    known = {} if bypass is None else {"can_admins_bypass": bypass}
    return {**found, "deployment_branch_policy": limited, **known, **changed}


def github(interface: Interface, wanted: Wanted = WANTED, /, **changed: Any) -> list[Line]:
    """The lines about a repository that is set up well, but for what a test changes; a number is HTTP's."""
    told = {
        "": {"private": False, "default_branch": "main", "archived": False, "fork": False},
        "/actions/workflows": {
            "workflows": [
                {"path": f".github/workflows/{name}.yml", "state": "active"} for name in ("release", "staging", "x")
            ]
        },
        "/environments/prod": place(),
        "/environments/prod/deployment-branch-policies": {"branch_policies": POLICIES},
        "/environments/prod-approval": place("anna", "bert"),
        "/environments/prod-approval/deployment-branch-policies": {"branch_policies": POLICIES},
        "/rules/branches/main": RULES,
        "/rules/branches/release/x": [{"type": "creation"}],
        "/branches/main": {"name": "main", "protected": True},
        "/actions/variables/GATEHOUSE_SCHEDULE": {"name": "GATEHOUSE_SCHEDULE", "value": "1"},
        "/actions/oidc/customization/sub": {"use_default": True, "sub_claim_prefix": "repo:octo@1/flights@2"},
        **changed,
    }
    for path, content in told.items():
        if isinstance(content, int):
            interface.on(f"GET {HOME}{path}", {"message": "no"}, status=content)
        else:
            interface.on(f"GET {HOME}{path}", content)
    remote = remote_of(
        {"GITHUB_REPOSITORY": "octo/flights", "GITHUB_API_URL": interface.address}, Path("nowhere"), wait=0
    )
    assert remote is not None
    return list(provider_lines(remote, wanted))


def other_than_ok(lines: list[Line]) -> list[tuple[str, str]]:
    return [(line.state.value, line.about) for line in lines if line.state is not State.OK]


def test_a_repository_that_is_set_up_well_lacks_nothing(interface: Interface) -> None:
    lines = github(interface)

    assert other_than_ok(lines) == []
    assert [line.about for line in lines] == [
        "repository",
        "workflow release",
        "workflow staging",
        "branches of prod",
        "environment prod-approval",
        "branches of prod-approval",
        "branch main",
        "branch main",
        "default branch",
        "branches release/*",
        "variable GATEHOUSE_SCHEDULE",
        "identity",
    ]
    assert lines[-1].reason.endswith(
        "exactly: repo:octo@1/flights@2:environment:prod, repo:octo@1/flights@2:environment:prod-approval"
    )
    assert {asked.method for asked in interface.asked} == {"GET"}


APPROVAL, MAIN = "environment prod-approval", "branch main"


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"": 404}, [("problem", "repository")]),
        ({"": 401}, [("unknown", "repository")]),
        (
            {"": {"private": True, "default_branch": "main", "fork": True, "archived": True}},
            [("problem", "repository"), ("warning", "actions"), ("warning", "plan")],
        ),
        ({"/actions/workflows": {"workflows": []}}, [("problem", "workflow release"), ("problem", "workflow staging")]),
        (
            {
                "/actions/workflows": {
                    "workflows": [
                        {"path": ".github/workflows/release.yml", "state": "active"},
                        {"path": ".github/workflows/staging.yml", "state": "disabled_inactivity"},
                    ]
                }
            },
            [("problem", "workflow staging")],
        ),
        ({"/environments/prod-approval": 404}, [("problem", APPROVAL), ("problem", "branches of prod-approval")]),
        ({"/environments/prod-approval": place()}, [("problem", APPROVAL)]),
        ({"/environments/prod-approval": 403}, [("unknown", APPROVAL), ("unknown", "branches of prod-approval")]),
        ({"/environments/prod-approval": place("anna", bypass=True)}, [("warning", APPROVAL)]),
        ({"/environments/prod-approval": place("anna", bypass=None)}, [("warning", APPROVAL)]),
        ({"/environments/prod": place(deployment_branch_policy=None)}, [("problem", "branches of prod")]),
        (
            {"/environments/prod/deployment-branch-policies": {"branch_policies": POLICIES[:2]}},
            [("problem", "branches of prod")],
        ),
        ({"/environments/prod/deployment-branch-policies": 403}, [("unknown", "branches of prod")]),
        ({"/rules/branches/main": []}, [("unknown", MAIN)]),
        (
            {"/rules/branches/main": [], "/branches/main": {"name": "main", "protected": False}},
            [("problem", MAIN), ("problem", MAIN)],
        ),
        ({"/rules/branches/main": RULES[:1]}, [("problem", MAIN)]),
        ({"/rules/branches/main": 403}, [("unknown", MAIN)]),
        ({"/rules/branches/release/x": []}, [("warning", "branches release/*")]),
        ({"/rules/branches/release/x": 403}, [("unknown", "branches release/*")]),
        ({"": {"private": False, "default_branch": "trunk", "fork": False}}, [("warning", "default branch")]),
        ({"/rules/branches/main": {"surprise": 1}}, [("unknown", MAIN)]),
        ({"/actions/variables/GATEHOUSE_SCHEDULE": 404}, []),
        ({"/actions/variables/GATEHOUSE_SCHEDULE": 403}, [("unknown", "variable GATEHOUSE_SCHEDULE")]),
        ({"/actions/oidc/customization/sub": 403}, [("unknown", "identity")]),
        ({"/actions/oidc/customization/sub": {"use_default": True}}, [("unknown", "identity")]),
        (
            {"/actions/oidc/customization/sub": {"use_default": False, "sub_claim_prefix": "repo:octo@1/flights@2"}},
            [("unknown", "identity")],
        ),
    ],
)
def test_what_is_lacking_on_github_is_found(
    interface: Interface, changed: dict[str, Any], found: list[tuple[str, str]]
) -> None:
    lines = github(interface, **changed)

    assert other_than_ok(lines) == found
    assert all(line.remedy for line in lines if line.state is not State.OK)


@pytest.mark.parametrize(
    ("owners", "setting", "found"),
    [
        (b"/decisions/ @anna @bert\n", {"can_approve_pull_request_reviews": True}, []),
        (
            b"/decisions/ @anna\n",
            {"can_approve_pull_request_reviews": False},
            [("warning", "asking by pull request")],
        ),
        (b"/decisions/ @anna\n", 403, [("unknown", "asking by pull request")]),
        (b"/decisions/ @octo/risk\n", {"can_approve_pull_request_reviews": True}, [("problem", APPROVAL)]),
        (b"* @anna\n", {"can_approve_pull_request_reviews": True}, [("problem", APPROVAL)]),
        (403, {"can_approve_pull_request_reviews": True}, [("problem", APPROVAL)]),
    ],
)
def test_approval_by_merge_takes_accounts_in_codeowners_and_runs_that_may_ask(
    interface: Interface, owners: Any, setting: Any, found: list[tuple[str, str]]
) -> None:
    lines = github(
        interface,
        **{
            "/environments/prod-approval": place(),
            "/contents/CODEOWNERS": owners,
            "/actions/permissions/workflow": setting,
        },
    )

    assert other_than_ok(lines) == found


def test_who_may_review_their_own_is_a_warning(interface: Interface) -> None:
    lax = place("anna")
    lax["protection_rules"][1]["prevent_self_review"] = False

    lines = github(interface, WANTED, **{"/environments/prod-approval": lax})

    assert [line.reason for line in lines if line.state is State.WARNING] == [
        "GitHub lets people review what they started; Gatehouse refuses it then."
    ]


def test_github_cannot_ask_two(interface: Interface) -> None:
    lines = github(interface, replace(WANTED, approvals=2))

    assert [line.reason for line in lines if line.state is State.PROBLEM] == [
        "The policy wants 2 approvals, and GitHub goes on after the first."
    ]


def test_without_a_workspace_an_open_gate_is_a_warning_and_no_identity_is_needed(interface: Interface) -> None:
    open_gates = {"/environments/prod-approval": 404, "/environments/prod": 404, "/rules/branches/main": []}

    lines = github(interface, LOCAL, **open_gates, **{"/branches/main": {"name": "main", "protected": False}})

    assert {state for state, _ in other_than_ok(lines)} == {"warning"}
    assert lines[-1] == Line(
        about="identity",
        state=State.OK,
        reason="None is needed: every environment lives in the runner's own lakehouse.",
    )


def test_an_environment_for_tests_has_to_take_the_tested_branch_and_no_release(interface: Interface) -> None:
    only_main = {"/environments/prod/deployment-branch-policies": {"branch_policies": POLICIES[:1]}}
    every_branch = {"/environments/prod": place(deployment_branch_policy=None)}

    assert other_than_ok(github(interface, replace(WANTED, guarded=()), **only_main)) == []
    interface.answers.clear()
    assert other_than_ok(github(interface, replace(WANTED, guarded=()), **every_branch)) == [
        ("warning", "branches of prod")
    ]


def azure(interface: Interface, wanted: Wanted = WANTED, **changed: Any) -> list[Line]:
    """The lines about a project that is set up well, but for what a test changes."""
    lock = {"type": {"id": "x", "name": "ExclusiveLock"}, "settings": {}}
    validation = {
        "isEnabled": True,
        "isBlocking": True,
        "type": {"id": "0609B952-1397-4640-95EC-E00A01B2C241"},
        "settings": {"scope": [{"refName": "refs/heads/main", "matchKind": "exact"}]},
    }
    listed = azure_run.listed
    told = {
        "build/definitions": listed({"id": 1, "name": "Release"}, {"id": 2, "name": "staging"}),
        "pipelines/environments": listed(azure_run.place(), {**azure_run.place(), "id": 13, "name": "prod-approval"}),
        "pipelines/checks/configurations": listed(lock, azure_run.check("anna@x.y")),
        "policy/configurations": listed(validation),
        **changed,
    }
    for path, content in told.items():
        if isinstance(content, int):
            interface.on(f"GET {azure_run.HOME}/_apis/{path}", {"message": "no"}, status=content)
        else:
            interface.on(f"GET {azure_run.HOME}/_apis/{path}", content)
    variables = {"SYSTEM_COLLECTIONURI": f"{interface.address}/octo/", "SYSTEM_TEAMPROJECT": "the flights"}
    remote = remote_of(variables, Path("nowhere"), wait=0)
    assert remote is not None
    return list(provider_lines(remote, wanted))


def test_a_project_that_is_set_up_well_lacks_nothing(interface: Interface) -> None:
    lines = azure(interface)

    assert other_than_ok(lines) == []
    assert [line.about for line in lines] == [
        "pipeline release",
        "pipeline staging",
        "environment prod",
        "lock of prod",
        "environment prod-approval",
        "approval of prod-approval",
        "lock of prod-approval",
        "branch main",
    ]


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"build/definitions": azure_run.listed()}, [("problem", "pipeline release"), ("problem", "pipeline staging")]),
        ({"build/definitions": 403}, [("unknown", "pipelines")]),
        (
            {"pipelines/environments": azure_run.listed()},
            [("problem", "environment prod"), ("problem", "environment prod-approval")],
        ),
        (
            {"pipelines/environments": 403},
            [("unknown", "environment prod"), ("unknown", "environment prod-approval")],
        ),
        (
            {"pipelines/checks/configurations": azure_run.listed()},
            [
                ("warning", "lock of prod"),
                ("problem", "approval of prod-approval"),
                ("warning", "lock of prod-approval"),
            ],
        ),
        (
            {"pipelines/checks/configurations": azure_run.listed(azure_run.check("a@x.y", disabled=True))},
            [
                ("warning", "lock of prod"),
                ("problem", "approval of prod-approval"),
                ("warning", "lock of prod-approval"),
            ],
        ),
        (
            {"pipelines/checks/configurations": 403},
            [
                ("unknown", "lock of prod"),
                ("unknown", "approval of prod-approval"),
                ("unknown", "lock of prod-approval"),
            ],
        ),
        ({"policy/configurations": azure_run.listed()}, [("problem", "branch main")]),
        ({"policy/configurations": 403}, [("unknown", "branch main")]),
    ],
)
def test_what_is_lacking_on_azure_is_found(
    interface: Interface, changed: dict[str, Any], found: list[tuple[str, str]]
) -> None:
    lines = azure(interface, **changed)

    assert other_than_ok(lines) == found
    assert all(line.remedy for line in lines if line.state is not State.OK)


def test_a_check_that_goes_on_too_early_is_a_problem(interface: Interface) -> None:
    lines = azure(interface, replace(WANTED, approvals=2))

    assert other_than_ok(lines) == [("problem", "approval of prod-approval")]


@pytest.mark.parametrize(
    ("origin", "kind", "repository", "base"),
    [
        ("https://github.com/octo/flights.git", "github", "octo/flights", "https://api.github.com"),
        ("git@github.com:octo/flights", "github", "octo/flights", "https://api.github.com"),
        ("ssh://git@github.com/octo/my.flights.git", "github", "octo/my.flights", "https://api.github.com"),
        ("https://me@dev.azure.com/octo/the%20p/_git/f", "azure", "f", "https://dev.azure.com/octo/the%20p"),
        ("git@ssh.dev.azure.com:v3/octo/p/f", "azure", "f", "https://dev.azure.com/octo/p"),
    ],
)
def test_a_checkout_knows_its_provider_by_its_remote(
    tmp_path: Path, origin: str, kind: str, repository: str, base: str
) -> None:
    remote = cloned(tmp_path, origin)

    assert remote is not None
    assert (remote.kind, remote.repository, remote.api.base) == (kind, repository, base)


@pytest.mark.parametrize("origin", ["https://github.com.evil.example/octo/f", "https://gitlab.com/octo/f", "../f"])
def test_any_other_remote_is_asked_nothing(tmp_path: Path, origin: str) -> None:
    assert cloned(tmp_path, origin) is None


def cloned(folder: Path, origin: str) -> Remote | None:
    subprocess.run(["git", "-C", str(folder), "init", "-q"], check=True)
    subprocess.run(["git", "-C", str(folder), "remote", "add", "origin", origin], check=True)
    return remote_of({}, folder)


def test_environments_and_workflows_are_those_of_the_files(tmp_path: Path) -> None:
    files = tmp_path / ".github/workflows"
    (files / "templates").mkdir(parents=True)
    (files / "release.yml").write_text(
        "jobs:\n  a:\n    environment: prod # x\n  b:\n    environment: ${{ inputs.x }}\n"
    )
    (files / "templates/gates.yml").write_text("- environment: 'prod-approval'\n  env:\n    environments: 1\n")

    assert named_environments(tmp_path, ".github/workflows") == (("prod",), ("prod-approval",))
    assert workflow_names(tmp_path, ".github/workflows") == ("release",)


def test_a_checkout_that_is_what_its_commit_says_is_fine(tmp_path: Path) -> None:
    azure_run.committed(tmp_path, "a@x.y", "a@x.y")

    assert list(checkout_lines(tmp_path, known=True)) == [
        Line(about="checkout", state=State.OK, reason="It is what its last commit says.")
    ]


def test_a_folder_without_git_and_a_shallow_checkout_are_problems(tmp_path: Path) -> None:
    full, shallow = tmp_path / "full", tmp_path / "shallow"
    for folder in (full, tmp_path / "empty"):
        folder.mkdir()
    azure_run.committed(full, "a@x.y", "a@x.y")
    azure_run.committed(full, "a@x.y", "a@x.y")
    subprocess.run(["git", "clone", "-q", "--depth", "1", full.as_uri(), str(shallow)], check=True)

    assert other_than_ok(list(checkout_lines(tmp_path / "empty", known=True))) == [("problem", "checkout")]
    assert [line.remedy for line in checkout_lines(shallow, known=False)] == [
        "git fetch --unshallow",
        "",
        "git remote set-url origin ADDRESS",
    ]
    subprocess.run(["git", "-C", str(shallow), "remote", "remove", "origin"], check=True)
    assert [line.remedy for line in checkout_lines(shallow, known=False)][-1] == "git remote add origin ADDRESS"


def test_a_tool_that_is_missing_is_a_problem_where_it_is_needed() -> None:
    assert other_than_ok(list(tool_lines({"git": "/bin/git"}.get, real=False))) == []
    assert other_than_ok(list(tool_lines({"git": "/bin/git"}.get, real=True))) == [("problem", "tool databricks")]
