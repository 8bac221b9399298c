"""A release branch: made once, on the commit that is asked for, and the release started for the person who cut it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.ci.azure_run import HOME as AZURE
from tests.unit.ci.azure_run import REPOSITORY, azure
from tests.unit.ci.conftest import Interface
from tests.unit.ci.github_run import HOME, github

from gatehouse.ci.branches import release_branch
from gatehouse.errors import PlatformError, StateError, Unanswered, UsageError

COMMIT = "e" * 40
"""Another than that of the run which cuts."""


def test_on_github_the_branch_is_made_and_the_release_is_started_by_name(interface: Interface, tmp_path: Path) -> None:
    interface.on(f"POST {HOME}/git/refs", {"ref": "refs/heads/release/1"}, status=201)
    interface.on(f"POST {HOME}/actions/workflows/release.yml/dispatches", status=204)

    address = github(interface.address, tmp_path).cut("release/1", commit=COMMIT, start="release", proposer="dora")

    assert address == "https://github.com/octo/flights/tree/release/1"
    assert [asked.body for asked in interface.to("POST")] == [
        {"ref": "refs/heads/release/1", "sha": COMMIT},
        {"ref": "release/1", "inputs": {"proposer": "dora"}},
    ]


@pytest.mark.parametrize("sha", [COMMIT, "f" * 40])
def test_a_branch_that_is_there_already_has_to_be_on_the_same_commit(
    interface: Interface, tmp_path: Path, sha: str
) -> None:
    interface.on(f"POST {HOME}/git/refs", {"message": "Reference already exists"}, status=422)
    interface.on(f"GET {HOME}/git/ref/heads/release/1", {"object": {"sha": sha}})
    interface.on(f"POST {HOME}/actions/workflows/release.yml/dispatches", status=204)
    ci = github(interface.address, tmp_path)

    if sha == COMMIT:
        ci.cut("release/1", commit=COMMIT, start="release", proposer="dora")
        assert len(interface.to("POST")) == 2
    else:
        with pytest.raises(StateError, match="exists already, on commit ffffffffffff, not on"):
            ci.cut("release/1", commit=COMMIT, start="release", proposer="dora")
        assert len(interface.to("POST")) == 1


@pytest.mark.parametrize("status", [403, 422, 500])
def test_a_branch_that_is_not_made_starts_nothing(interface: Interface, tmp_path: Path, status: int) -> None:
    interface.on(f"POST {HOME}/git/refs", {"message": "no"}, status=status)

    with pytest.raises(Unanswered):
        github(interface.address, tmp_path).cut("release/1", commit=COMMIT, start="release", proposer="dora")

    assert [asked.path for asked in interface.to("POST")] == [f"{HOME}/git/refs"]


@pytest.mark.parametrize(
    ("success", "said"), [(True, None), (False, "did not make release/1: createBranchPermissionRequired")]
)
def test_on_azure_the_branch_starts_its_release_by_itself(
    interface: Interface, tmp_path: Path, success: bool, said: str | None
) -> None:
    ci = azure(interface.address, tmp_path)
    path = f"{AZURE}/_apis/git/repositories/{REPOSITORY}/refs"
    interface.on(f"GET {path}", {"value": []})
    interface.on(f"POST {path}", {"value": [{"success": success, "updateStatus": "createBranchPermissionRequired"}]})

    if said is None:
        assert ci.cut("release/1", commit=COMMIT, start="release", proposer="dora").endswith("?version=GBrelease/1")
    else:
        with pytest.raises(PlatformError, match=said):
            ci.cut("release/1", commit=COMMIT, start="release", proposer="dora")

    (sent,) = interface.to("POST")
    assert sent.body == [{"name": "refs/heads/release/1", "oldObjectId": "0" * 40, "newObjectId": COMMIT}]


@pytest.mark.parametrize("name", ["", "a b", "../main", "x..y", "-x", "a/b", "x.lock", "x.", "ü", "x" * 65, "$(id)"])
def test_a_name_that_is_no_branch_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name of a release"):
        release_branch(name)


def test_a_name_becomes_a_release_branch() -> None:
    assert release_branch("2026-11") == "release/2026-11"
