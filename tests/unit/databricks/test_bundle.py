"""The bundle is deployed by the command line, for the principal that deploys."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gatehouse.databricks.bundle import VARIABLE, deploy_bundle
from gatehouse.errors import PlatformError
from gatehouse.progress import Silent

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-in is a shell script")


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands in for the command line; what it was called with is in `called`."""
    program = tmp_path / "databricks"
    script = (
        '#!/bin/sh\necho "$* for ${BUNDLE_VAR_service_principal-nobody}" > called\necho broken\n[ "$3$4" != "-tbad" ]\n'
    )
    program.write_text(script, encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv(VARIABLE, str(program))
    for name in ("DATABRICKS_CLIENT_ID", "BUNDLE_VAR_service_principal"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "called"


@pytest.mark.parametrize(
    ("variables", "who"),
    [
        ({}, "nobody"),
        ({"DATABRICKS_CLIENT_ID": ""}, "nobody"),
        ({"DATABRICKS_CLIENT_ID": "robot"}, "robot"),
        ({"DATABRICKS_CLIENT_ID": "robot", "BUNDLE_VAR_service_principal": "other"}, "other"),
    ],
)
def test_the_jobs_run_as_who_deploys_unless_somebody_says_otherwise(
    cli: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], who: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    deploy_bundle(cli.parent, "prod", Silent())
    assert cli.read_text(encoding="utf-8") == f"bundle deploy -t prod for {who}\n"


def test_from_any_branch_where_that_is_wanted(cli: Path) -> None:
    deploy_bundle(cli.parent, "prod", Silent(), any_branch=True)
    assert cli.read_text(encoding="utf-8") == "bundle deploy -t prod --force for nobody\n"


def test_a_deployment_that_fails_is_told_with_what_it_said(cli: Path) -> None:
    with pytest.raises(PlatformError, match="bundle deploy -t bad ended with 1:\nbroken"):
        deploy_bundle(cli.parent, "bad", Silent())
