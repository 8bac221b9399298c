"""`gatehouse setup` as people and machines see it."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from tests.unit.setup.conftest import Town
from tests.unit.setup.servers import ACCOUNT, TOKEN

from gatehouse.cli import group, main

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
Setup = Callable[..., Any]


@pytest.fixture
def conf(town: Town) -> Path:
    """This repository's configuration, on Databricks."""
    folder = Path(shutil.copytree(ROOT / "conf", town.root / "conf"))
    file = yaml.safe_load((folder / "environments.yml").read_text())
    for name, environment in file["environments"].items():
        environment |= {"platform": "databricks", "catalog": name}
    (folder / "environments.yml").write_text(yaml.safe_dump(file))
    place = [{"host": town.workspace.url, "id": 42}]
    answers = {
        "account": {"host": town.account.url, "id": ACCOUNT},
        "workspaces": {"dev": place, "staging": place, "prod": place},
        "warehouse": "w1",
        "reviewers": ["anna"],
    }
    (folder / "setup.yml").write_text(yaml.safe_dump(answers))
    return folder


@pytest.fixture
def setup(town: Town, conf: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Setup:
    """`setup("--plan")`: exit code, standard output, standard error."""
    for name, value in town.environ.items():
        monkeypatch.setenv(name, value)
    for name in [name for name in os.environ if name.startswith("GATEHOUSE_")]:
        monkeypatch.delenv(name)

    def run(*options: str) -> tuple[object, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["--conf", str(conf), "setup", *options])
        said = capsys.readouterr()
        assert TOKEN not in said.out + said.err
        return ended.value.code, said.out, said.err

    return run


def test_a_plan_is_shown_by_administrators_and_changes_nothing(town: Town, setup: Setup) -> None:
    code, out, _ = setup("--plan")

    assert code == 0
    for line in (
        "Account (an account administrator of Databricks)",
        "+ create  group flight_delays-developers",
        "+ create  schema dev.flight_delays",
        ". wait    schema prod.flight_delays: Made by databricks bundle deploy --target prod.",
        "Repository (an administrator of the repository)",
        "+ create  branch rule tag v* of prod",
        ". wait    variables DATABRICKS_CLIENT_ID of prod: First: service principal flight_delays-prod.",
    ):
        assert line in out
    assert town.writes == []


def test_it_is_made_shown_and_undone(town: Town, setup: Setup, conf: Path) -> None:
    code, out, err = setup("--yes", "--json")
    made = json.loads(out)
    assert (code, made["counts"]["create"], made["counts"]["refuse"]) == (0, 0, 0)
    assert made["changes"] == made["counts"]["keep"]
    assert "create group flight_delays-developers" in err  # progress
    kept = json.loads((conf / "setup-record.json").read_text())["made"]
    assert len(kept) == made["changes"]

    code, out, _ = setup("--yes")
    assert code == 0
    assert "Done: 0. Now: " in out

    code, out, _ = setup("--undo", "--yes")
    assert code == 0
    assert f"Removed {len(kept)} of {len(kept)}." in out
    assert town.account.kept == {"Groups": {}, "ServicePrincipals": {}}
    assert json.loads((conf / "setup-record.json").read_text())["made"] == []
    assert setup("--undo", "--yes")[1].strip() == "Setup has made nothing here."


def test_without_an_answer_nothing_is_made(
    town: Town, setup: Setup, conf: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))

    with pytest.raises(click.Abort):
        group.main(["--conf", str(conf), "setup"], standalone_mode=False)

    assert "Do these " in capsys.readouterr().err
    assert town.writes == []


def test_each_part_may_be_done_by_hand(town: Town, setup: Setup, conf: Path) -> None:
    answers = yaml.safe_load((conf / "setup.yml").read_text())
    (conf / "setup.yml").write_text(yaml.safe_dump({**answers, "account": None}))

    code, out, _ = setup("--part", "account", "--by-hand")

    assert code == 0
    assert "? unknown group flight_delays-developers: Nobody said where it is administered" in out
    assert "databricks account groups create --display-name flight_delays-developers" in out
    assert "databricks account service-principals create --display-name flight_delays-prod" in out
    assert (
        "databricks account service-principal-federation-policy create PRINCIPAL_ID --json "
        """'{"oidc_policy": {"issuer": "https://token.actions.githubusercontent.com", """
        """"subject": "repo:octo@7/parcels@12:environment:prod"}}'"""
    ) in out
    assert "catalog" not in out


def test_what_is_somebody_elses_ends_with_5(town: Town, setup: Setup) -> None:
    town.account.kept["ServicePrincipals"]["17"] = {
        "id": "17",
        "displayName": "flight_delays-prod",
        "applicationId": "x",
    }

    code, out, err = setup("--plan")

    assert code == 5
    assert "x refuse  service principal flight_delays-prod: It exists, and setup did not make it" in out
    assert "are not setup's to settle" in err


@pytest.mark.parametrize("option", ["--plan", "--by-hand"])
def test_where_nothing_is_wanted_it_says_why_and_what_comes_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, option: str
) -> None:
    for name in [name for name in os.environ if name.startswith(("GITHUB_", "SYSTEM_", "GATEHOUSE_"))]:
        monkeypatch.delenv(name)
    conf = Path(shutil.copytree(ROOT / "conf", tmp_path / "conf"))

    def setup(*options: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["--conf", str(conf), "setup", option, *options])
        assert ended.value.code == 0
        return capsys.readouterr().out

    out = setup()
    assert "Plan: nothing." in out
    assert "no environment in conf/environments.yml has `platform: databricks`. Give it to" in out
    assert "`origin` is not on GitHub or Azure DevOps, and conf/setup.yml has no `source`. First: git remote add" in out
    assert len(json.loads(setup("--json"))["why"]) == 2
    assert "Repository" not in setup("--part", "account")

    (conf / "setup.yml").write_text("source: github\n")
    assert "Repository: no workflow in .github/workflows/ names an environment" in setup()


def test_the_shipped_configuration_asks_for_nothing_of_databricks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], town: Town
) -> None:
    for name, value in town.environ.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        main(["--conf", str(ROOT / "conf"), "setup", "--plan", "--json"])

    assert ended.value.code == 0
    assert {step["part"] for step in json.loads(capsys.readouterr().out)["steps"]} <= {"repository"}
