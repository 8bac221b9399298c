"""A trial of a workspace: what differs is told, what needs it is not reached, and everything goes again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from tests.integration.databricks.loopback import Loopback

from gatehouse.databricks.bundle import VARIABLE
from gatehouse.databricks.client import Workspace
from gatehouse.databricks.smoke import PROMISES, Outcome, Trial, try_workspace
from gatehouse.errors import Refused
from gatehouse.progress import Silent

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-in for the command line is a shell script")


class Home:
    """Schemas in memory; `twice`: it makes one that is there already. No volume: the files' promise differs."""

    def __init__(self, *, twice: bool = False) -> None:
        self.schemas: set[tuple[str, str]] = set()
        self.dropped: list[tuple[str, str]] = []
        self.twice = twice
        self.store: Any = None

    def has_schema(self, place: tuple[str, str]) -> bool:
        return place in self.schemas

    def make_schema(self, place: tuple[str, str]) -> None:
        if place in self.schemas and not self.twice:
            raise Refused("It is there.", remedy="Another name.")
        self.schemas.add(place)

    def drop_schema(self, place: tuple[str, str]) -> None:
        self.schemas.remove(place)
        self.dropped.append(place)


@pytest.fixture
def called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the command line was called with; it refuses to validate."""
    program = tmp_path / "databricks"
    script = '#!/bin/sh\necho "$*" >> called\necho "Warning: unknown field: x"\n[ "$2" != validate ]\n'
    program.write_text(script, encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv(VARIABLE, str(program))
    return tmp_path / "called"


def trial(workspace: Workspace, home: Home, root: Path) -> Trial:
    return Trial(
        workspace=workspace,
        home=home,
        registry=None,  # type: ignore[arg-type]  # never reached here
        root=root,
        project="little",
        target="dev",
        place=("workspace", "smoke_1"),
        volume="workspace.smoke_1.gatehouse",
        as_of="",
        build=lambda _: None,
        forget=lambda: pytest.fail("no run was started"),
        progress=Silent(),
    )


def test_what_differs_is_told_and_what_needs_it_is_not_reached_and_all_goes_again(
    workspace: Workspace, server: Loopback, called: Path
) -> None:
    server.on("GET", "/api/2.0/preview/scim/v2/Me", lambda _: {"userName": "ada@example.org"})
    home = Home(twice=True)
    seen = try_workspace(trial(workspace, home, called.parent))

    assert [one.about for one in seen] == [promise.about for promise in PROMISES]
    found = {one.about: (one.outcome, one.said) for one in seen}
    assert found["identity"] == (Outcome.KEPT, "")
    assert found["schema"] == (Outcome.BROKEN, "It could be made twice.")
    assert found["files"] == (Outcome.UNSEEN, "It needs: schema.")
    assert found["validate"] == (Outcome.BROKEN, "Warning: unknown field: x")
    assert found["deploy"] == (Outcome.UNSEEN, "It needs: validate, files.")
    assert {found[name][0] for name in ("plan", "features", "training", "read back", "destroy", "drop")} == {
        Outcome.UNSEEN
    }
    assert called.read_text(encoding="utf-8").splitlines() == [
        "bundle validate --strict -t dev",
        "bundle destroy -t dev --auto-approve",
    ]
    assert (home.schemas, home.dropped) == (set(), [("workspace", "smoke_1")])
