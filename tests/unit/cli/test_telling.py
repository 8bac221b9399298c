"""Commands in a CI: errors reach the page of the run, results later steps, and nothing that is printed is obeyed."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.ci.conftest import (
    Interface,
    interface,  # noqa: F401 - a fixture
)
from tests.unit.ci.github_run import COMMIT, HOME

from gatehouse.ci.commands import github_inert
from gatehouse.cli import main
from gatehouse.cli.telling import InertLog, tell

ROOT = Path(__file__).parents[3]


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A step of a workflow in a checkout of this repository; the folder of what it writes."""
    told = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_API_URL": "http://127.0.0.1:9",
        "GITHUB_REPOSITORY": "octo/flights",
        "GITHUB_RUN_ID": "77",
        "GITHUB_RUN_ATTEMPT": "1",
        "GITHUB_SHA": COMMIT,
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(ROOT)
    return tmp_path


def gatehouse(*arguments: str) -> object:
    with pytest.raises(SystemExit) as ended:
        main([*arguments])
    return ended.value.code


def test_an_error_stands_on_the_page_of_the_run_and_obeys_nobody(
    github: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = gatehouse("status", "--env", "x\n::add-mask::y\n##[error]<img> @octocat")

    said = capsys.readouterr().err
    assert code == 3
    assert [line for line in said.splitlines() if line.startswith("::")] == [
        "::error::There is no environment 'x\\n::add-mask::y\\n##[error]<img> @octocat'."
    ]
    summary = (github / "summary.md").read_text()
    assert summary.startswith("### ⚠️ There is no environment")
    assert "<img>" not in summary
    assert "@octocat" not in summary
    assert "**Next:** Choose from: dev, staging, prod" in summary


def test_outside_a_ci_nothing_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tell(tmp_path, "# Done", {"version": "7"})

    assert (capsys.readouterr().err, list(tmp_path.iterdir())) == ("", [])


def test_a_summary_and_outputs_are_told(github: Path) -> None:
    tell(ROOT, "# Done", {"version": "7", "verdict": "hold"})

    assert (github / "summary.md").read_text() == "# Done\n\n"
    assert [line for line in (github / "output").read_text().splitlines() if "gatehouse_" not in line] == ["7", "hold"]


def test_a_line_that_comes_in_pieces_is_made_inert_as_a_whole() -> None:
    target = io.StringIO()
    log = InertLog(target, github_inert)

    for piece in ("fine\n:", ":err", "or::x\n", "tail ##", "[group]"):
        log.write(piece)
        log.flush()
    before = target.getvalue()
    log.finish()

    assert before == "fine\n: :error::x\n"
    assert target.getvalue() == "fine\n: :error::x\ntail # #[group]"


@pytest.mark.parametrize("into_file", [False, True])
def test_standard_output_stays_as_it_is_only_where_no_ci_reads_it(github: Path, into_file: bool) -> None:
    program = "from gatehouse.cli import telling\nwith telling.inert_log():\n    print('::error::x')"
    file = github / "out"
    with file.open("w") as out:
        done = subprocess.run(
            [sys.executable, "-c", program],
            stdout=out if into_file else subprocess.PIPE,
            env={**os.environ},
            check=True,
        )

    assert (file.read_bytes() if into_file else done.stdout) == (b"::error::x\n" if into_file else b": :error::x\n")


@pytest.mark.usefixtures("github")
def test_a_command_that_asks_nothing_loads_no_client_in_a_ci_either() -> None:
    program = (
        "import sys\nfrom gatehouse.cli import main\ntry:\n    main(['--help'])\n"
        "except SystemExit:\n    print('requests' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "False"


def staging(*runs: dict[str, object]) -> dict[str, object]:
    return {"total_count": len(runs), "workflow_runs": list(runs)}


GREEN: dict[str, object] = {
    "head_sha": COMMIT,
    "head_branch": "main",
    "conclusion": "success",
    "path": ".github/workflows/staging.yml",
    "event": "push",
    "html_url": "https://github.com/octo/flights/actions/runs/9",
    "repository": {"id": 1},
    "head_repository": {"id": 1},
}


@pytest.mark.usefixtures("github")
def test_a_commit_that_was_green_in_staging_is_told_with_its_run(
    interface: Interface,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GITHUB_API_URL", interface.address)
    interface.on(f"GET {HOME}/actions/workflows/staging.yml/runs", staging(GREEN))

    assert gatehouse("tested", "--env", "staging", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "commit": COMMIT,
        "workflow": "staging",
        "run": "https://github.com/octo/flights/actions/runs/9",
    }


@pytest.mark.usefixtures("github")
def test_any_other_commit_is_refused(
    interface: Interface,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GITHUB_API_URL", interface.address)
    interface.on(f"GET {HOME}/actions/workflows/staging.yml/runs", staging(GREEN))

    assert gatehouse("tested", "--env", "staging", "--commit", "d" * 40) == 10
    assert "There is no green run of staging on commit dddddddddddd" in capsys.readouterr().err


def test_on_a_laptop_nobody_knows_whether_it_was_tested(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)

    assert gatehouse("tested", "--env", "staging") == 11
    assert "Next: Run the tests of staging on this commit yourself: gatehouse rehearse" in capsys.readouterr().err


def test_a_fork_is_told_that_it_may_not_comment_and_that_is_no_error(
    github: Path,
    interface: Interface,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GITHUB_API_URL", interface.address)
    interface.on(f"GET {HOME}/issues/5/comments", {"message": "no"}, status=403)
    (github / "told.md").write_text("# Checks")

    assert gatehouse("comment", "--pull-request", "5", str(github / "told.md")) == 0
    assert "this run may only read" in capsys.readouterr().out
    assert gatehouse("comment", "--pull-request", "5", str(github / "nothing.md")) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("approve 7 --from-ci --reason fine", "--from-ci leaves no room for --reason, --as or --answer."),
        ("approve 7 --from-ci --as anna", "--from-ci leaves no room for --reason, --as or --answer."),
        ("approve 7 --ci-environment prod --reason x", "--ci-environment belongs to --from-ci."),
        ("approve 7", "An approval needs a --reason."),
    ],
)
def test_an_approval_comes_from_a_person_or_from_the_ci(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: str, said: str
) -> None:
    monkeypatch.chdir(ROOT)

    assert gatehouse(*arguments.split()) == 2
    assert said in capsys.readouterr().err
