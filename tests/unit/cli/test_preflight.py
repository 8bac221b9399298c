"""`gatehouse preflight` as people and machines see it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tests.unit.ci.conftest import (
    Interface,
    interface,  # noqa: F401 - a fixture
)

from gatehouse.cli import main

ROOT = Path(__file__).parents[3]


def gatehouse(*arguments: str) -> object:
    with pytest.raises(SystemExit) as ended:
        main([*arguments])
    return ended.value.code


@pytest.fixture
def asked(interface: Interface, monkeypatch: pytest.MonkeyPatch) -> Interface:  # noqa: F811
    """This checkout, as if it belonged to octo/flights."""
    for name in [name for name in os.environ if name.startswith(("GITHUB_", "SYSTEM_", "GATEHOUSE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GITHUB_API_URL", interface.address)
    monkeypatch.setenv("GITHUB_REPOSITORY", "octo/flights")
    monkeypatch.setenv("GITHUB_TOKEN", "s3cret")
    monkeypatch.chdir(ROOT)
    return interface


def test_a_repository_that_is_not_there_is_a_problem_with_its_remedy(
    asked: Interface, capsys: pytest.CaptureFixture[str]
) -> None:
    code = gatehouse("preflight", "--json")

    said = capsys.readouterr()
    assert code == 5
    assert "Error: " in said.err
    assert "repository." in said.err
    assert {line["about"]: line["state"] for line in json.loads(said.out)["lines"]}["repository"] == "problem"
    assert "s3cret" not in said.out + said.err
    assert asked.asked[0].headers["authorization"] == "Bearer s3cret"


def test_what_may_not_be_seen_is_unknown_and_no_problem(asked: Interface, capsys: pytest.CaptureFixture[str]) -> None:
    asked.on("GET /repos/octo/flights", {"message": "Bad credentials"}, status=401)

    code = gatehouse("preflight")

    said = " ".join(capsys.readouterr().out.split())
    assert "? unknown repository" in said
    assert "This token may not see it, or GitHub answered 401: Bad credentials" in said
    assert "Next: export GH_TOKEN=$(gh auth token)" in said
    assert code in (0, 5), "a shallow checkout, as a CI's, is a problem of its own"
