"""Artefacts and runs on GitHub: of ours and of nobody else's, as they were uploaded."""

from __future__ import annotations

import hashlib
import io
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.unit.ci.conftest import Interface
from tests.unit.ci.github_run import COMMIT, HOME, github

from gatehouse.ci.provider import Artefact
from gatehouse.errors import StateError

OURS, FORK = 1296269, 99


def listed(number: int, run: int, *, day: int = 1, head: int | None = OURS, **other: Any) -> dict[str, Any]:
    """An entry of `GET /actions/artifacts`."""
    return {
        "id": number,
        "name": "lakehouse-prod",
        "size_in_bytes": 453,
        "expired": False,
        "created_at": f"2026-11-{day:02}T10:00:00Z",
        "digest": f"sha256:{'a' * 64}",
        "workflow_run": {"id": run, "repository_id": OURS, "head_repository_id": head, "head_branch": "main"},
        **other,
    }


def finished(
    run: int, conclusion: str | None = "success", *, head: int = OURS, event: str = "schedule"
) -> dict[str, Any]:
    """`GET /actions/runs/{id}`."""
    return {
        "id": run,
        "head_sha": COMMIT,
        "head_branch": "main",
        "path": ".github/workflows/staging.yml",
        "event": event,
        "conclusion": conclusion,
        "html_url": f"https://github.com/octo/flights/actions/runs/{run}",
        "repository": {"id": OURS},
        "head_repository": {"id": head},
    }


def test_the_newest_of_our_successful_runs_comes_first(interface: Interface, tmp_path: Path) -> None:
    interface.on(
        f"GET {HOME}/actions/artifacts",
        {
            "total_count": 8,
            "artifacts": [
                listed(1, 11, day=1),
                listed(2, 12, day=2),
                listed(3, 13, day=3),
                listed(4, 14, day=4, head=FORK),
                listed(5, 15, day=5, head=None),
                listed(6, 16, day=6, workflow_run=None),
                listed(7, 17, day=7),
                listed(8, 77, day=8),
            ],
        },
    )
    interface.on(f"GET {HOME}/actions/runs/11", finished(11))
    interface.on(f"GET {HOME}/actions/runs/12", finished(12, "failure"))
    interface.on(f"GET {HOME}/actions/runs/13", finished(13, event="pull_request"))
    for fork in (14, 15, 16):  # green, too, and by what its artefact says not ours
        interface.on(f"GET {HOME}/actions/runs/{fork}", finished(fork))

    found = github(interface.address, tmp_path).artefacts("lakehouse-prod")

    assert [artefact.id for artefact in found] == ["8", "1"], "this run's own, and that of the green run"
    assert found[1] == Artefact(
        id="1",
        name="lakehouse-prod",
        digest=f"sha256:{'a' * 64}",
        run_id="11",
        created_at=datetime(2026, 11, 1, 10, tzinfo=UTC),
        expired=False,
        ours=True,
    )
    assert interface.asked[0].query == {"name": "lakehouse-prod", "per_page": "100"}


def test_no_artefact_is_no_error(interface: Interface, tmp_path: Path) -> None:
    interface.on(f"GET {HOME}/actions/artifacts", {"total_count": 0, "artifacts": []})

    assert github(interface.address, tmp_path).artefacts("lakehouse-prod") == ()


def test_one_artefact_is_found_by_its_number_whatever_became_of_its_run(interface: Interface, tmp_path: Path) -> None:
    interface.on(f"GET {HOME}/actions/artifacts/5", listed(5, 15, head=FORK, expired=True))

    ci = github(interface.address, tmp_path)

    assert [(a.ours, a.expired) for a in [ci.artefact("5")] if a] == [(False, True)]
    assert ci.artefact("6") is None
    assert ci.artefact("../7") is None


def packed(**files: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as target:
        for name, text in files.items():
            target.writestr(name.replace("_", "/"), text)
    return content.getvalue()


def artefact(content: bytes, **other: Any) -> Artefact:
    known: dict[str, Any] = {
        "id": "5",
        "name": "lakehouse-prod",
        "digest": f"sha256:{hashlib.sha256(content).hexdigest()}",
        "run_id": "11",
        "created_at": datetime(2026, 11, 1, tzinfo=UTC),
        "expired": False,
        "ours": True,
    }
    return Artefact(**{**known, **other})


def test_an_artefact_is_unpacked_as_it_was_uploaded(interface: Interface, tmp_path: Path) -> None:
    content = packed(a="1", b_c="2")
    interface.on(f"GET {HOME}/actions/artifacts/5/zip", status=302, Location=f"{interface.address}/store?sig=x")
    interface.on("GET /store", content)
    target = tmp_path / "state"

    github(interface.address, tmp_path).download(artefact(content), target)

    assert {p.relative_to(target).as_posix(): p.read_text() for p in target.rglob("*") if p.is_file()} == {
        "a": "1",
        "b/c": "2",
    }


def test_an_artefact_cannot_leave_its_folder(interface: Interface, tmp_path: Path) -> None:
    content = packed(**{".._.._out": "x"})
    interface.on(f"GET {HOME}/actions/artifacts/5/zip", content)

    github(interface.address, tmp_path).download(artefact(content), tmp_path / "a" / "b")

    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"digest": f"sha256:{'0' * 64}"}, "and GitHub's is sha256:000"),
        ({"digest": ""}, "and GitHub's is none"),
        ({"expired": True}, "is expired"),
        ({"ours": False}, "is not of this repository"),
    ],
)
def test_an_artefact_that_cannot_be_trusted_leaves_nothing(
    interface: Interface, tmp_path: Path, other: dict[str, Any], said: str
) -> None:
    content = packed(a="1")
    interface.on(f"GET {HOME}/actions/artifacts/5/zip", content)

    with pytest.raises(StateError, match=said):
        github(interface.address, tmp_path).download(artefact(content, **other), tmp_path / "state")
    assert not (tmp_path / "state").exists()


def test_an_artefact_that_is_no_archive_is_refused(interface: Interface, tmp_path: Path) -> None:
    interface.on(f"GET {HOME}/actions/artifacts/5/zip", b"no zip")

    with pytest.raises(StateError, match="Artefact 5 is no zip file"):
        github(interface.address, tmp_path).download(artefact(b"no zip"), tmp_path / "state")


@pytest.mark.parametrize(
    ("runs", "address"),
    [
        ([finished(9)], "https://github.com/octo/flights/actions/runs/9"),
        ([], None),
        ([finished(9, "failure")], None),
        ([{**finished(9), "head_sha": "0" * 40}], None),
        ([{**finished(9), "head_branch": "mine"}], None),
        ([finished(9, head=FORK)], None),
        ([finished(9, event="pull_request")], None),
        ([{**finished(9), "path": ".github/workflows/other.yml"}], None),
    ],
    ids=[
        "green",
        "none",
        "red",
        "another commit",
        "another branch",
        "a fork's",
        "a pull request's",
        "another workflow's",
    ],
)
def test_only_a_green_run_of_ours_on_this_very_commit_counts(
    interface: Interface, tmp_path: Path, runs: list[dict[str, Any]], address: str | None
) -> None:
    interface.on(f"GET {HOME}/actions/workflows/staging.yml/runs", {"total_count": len(runs), "workflow_runs": runs})

    assert github(interface.address, tmp_path).successful_run("staging", COMMIT, branch="main") == address
    assert interface.asked[0].query == {"head_sha": COMMIT, "status": "success", "per_page": "100"}
