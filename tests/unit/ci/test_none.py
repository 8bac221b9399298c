"""Where there is no CI: the checkout speaks, and nobody is taken for an approver."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pytest

from gatehouse.ci import detect
from gatehouse.ci.provider import CiRun, Level, Subject
from gatehouse.errors import PlatformError, Refused


def test_a_laptop_is_no_ci(tmp_path: Path) -> None:
    assert detect({}, log=io.StringIO(), folder=tmp_path).name == "none"


def test_variables_that_are_set_to_no_are_not_a_ci(tmp_path: Path) -> None:
    environ = {"GITHUB_ACTIONS": "false", "TF_BUILD": "", "GITLAB_CI": "false", "JENKINS_URL": ""}

    assert detect(environ, log=io.StringIO(), folder=tmp_path).name == "none"


def test_the_checkout_says_which_commit_and_whose(tmp_path: Path) -> None:
    git = ["git", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "-q"], check=True)
    for key, value in {"user.name": "Carl", "user.email": "carl@example.org"}.items():
        subprocess.run([*git, "config", key, value], check=True)
    subprocess.run(
        [*git, "commit", "-q", "--allow-empty", "-m", "x", "--author", "Anna <anna@example.org>"], check=True
    )
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()

    assert detect({}, log=io.StringIO(), folder=tmp_path).run() == CiRun(
        id="",
        attempt=1,
        url="",
        event="",
        ref="",
        commit=commit,
        repository="",
        people=("anna@example.org", "carl@example.org"),
        visibility="unknown",
    )


def test_a_folder_without_git_has_no_commit_and_no_people(tmp_path: Path) -> None:
    run = detect({}, log=io.StringIO(), folder=tmp_path).run()

    assert (run.commit, run.people) == ("", ())


def test_what_is_told_to_nobody_is_told_to_nobody(tmp_path: Path) -> None:
    log = io.StringIO()
    ci = detect({}, log=log, folder=tmp_path)

    ci.summary("# Done")
    ci.annotate(Level.ERROR, "broken")
    ci.output("version", "7")
    with ci.group("Tests"):
        pass

    assert (log.getvalue(), list(tmp_path.iterdir())) == ("", [])


def test_nobody_approved_where_nobody_signs_in(tmp_path: Path) -> None:
    ci = detect({}, log=io.StringIO(), folder=tmp_path)

    with pytest.raises(Refused, match="No CI: nobody says who approved prod-approval") as caught:
        ci.approvals("prod-approval", Subject(version="7", digest="ab" * 32, env="prod"))

    assert caught.value.remedy.endswith("gatehouse approve 7 --env prod --reason ...")


def test_what_it_cannot_do_says_the_way_round(tmp_path: Path) -> None:
    ci = detect({}, log=io.StringIO(), folder=tmp_path)

    with pytest.raises(PlatformError, match="Without a CI nothing can tell whether staging was green on") as caught:
        ci.successful_run("staging", "0123456789abcdef", branch="main")

    assert "gatehouse rehearse --env staging" in caught.value.remedy
