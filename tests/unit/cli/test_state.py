"""`gatehouse state` before anything is restored or packed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gatehouse.cli import main

ROOT = Path(__file__).parents[3]
Say = Callable[[str], tuple[object, str, str]]


@pytest.fixture
def say(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Say:
    """How a command ends, and what it says, in a clone of an empty repository with the shipped configuration."""
    for variable in ("GITHUB_ACTIONS", "TF_BUILD", "GITLAB_CI", "JENKINS_URL", "CI"):
        monkeypatch.delenv(variable, raising=False)
    subprocess.run(["git", "init", "--quiet", "--bare", str(tmp_path / "remote.git")], check=True)
    checkout = tmp_path / "checkout"
    subprocess.run(
        ["git", "clone", "--quiet", str(tmp_path / "remote.git"), str(checkout)], check=True, capture_output=True
    )
    shutil.copytree(ROOT / "conf", checkout / "conf")
    monkeypatch.chdir(checkout)

    def run(line: str) -> tuple[object, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(line.split())
        said = capsys.readouterr()
        return ended.value.code, said.out, said.err

    return run


def test_the_first_run_begins_anew_once(say: Say) -> None:
    assert say("state restore --env prod") == (0, "The state of prod begins anew.\n", "")

    code, _, err = say("state restore --env prod")
    assert code == 5
    assert "is not empty: there are state." in err


def test_what_was_not_packed_cannot_be_pointed_to(say: Say) -> None:
    assert say("state point --env prod --artefact 7")[0] == 5
    say("state restore --env prod")

    code, _, err = say("state point --env prod --artefact 7")

    assert code == 5
    assert "Next: gatehouse state pack --env prod" in err


def test_in_a_workspace_there_is_nothing_to_do(say: Say) -> None:
    environments = Path("conf/environments.yml")
    text = environments.read_text("utf-8")
    environments.write_text(
        text.replace("    protected: true", "    protected: true\n    platform: databricks"), "utf-8"
    )

    for line in ("state restore", "state pack", "state point --artefact 7"):
        assert say(f"{line} --env prod") == (
            0,
            "prod lives on databricks, which keeps its state: there is nothing to do.\n",
            "",
        )
    assert not Path(".lakehouse").exists()
