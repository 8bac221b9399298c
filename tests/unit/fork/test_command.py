"""`gatehouse rename` on a checkout: what it refuses, what it lists, what it leaves."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gatehouse.cli import main

Rename = Callable[..., tuple[object, str, str]]


@pytest.fixture
def checkout(committed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small template, committed, as the current folder."""
    root = shutil.copytree(committed, tmp_path / "template", symlinks=True)
    monkeypatch.chdir(root)
    return Path(root)


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout


@pytest.fixture
def rename(capsys: pytest.CaptureFixture[str]) -> Rename:
    """Exit code, output, errors."""

    def run(*arguments: str) -> tuple[object, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["rename", *arguments])
        said = capsys.readouterr()
        return ended.value.code, said.out, said.err

    return run


def test_a_checkout_becomes_the_project(checkout: Path, rename: Rename) -> None:
    code, out, err = rename("zebra_counts", "--ci", "azure", "--environments", "prod=ml", "--staging-branch", "develop")

    assert (code, err) == (0, "")
    assert out.startswith("3 files moved, ")
    assert "Next: uv sync && make format lint test" in out
    assert (checkout / "src/zebra_counts/project.py").read_text() == 'PROJECT = "zebra_counts"\n'
    assert "catalog: ml " in (checkout / "conf/environments.yml").read_text()
    assert "- develop" in (checkout / ".azure-pipelines/staging.yml").read_text()
    assert not (checkout / ".github").exists()
    assert not (checkout / "src/flight_delays").exists()


def test_it_works_from_any_folder_of_the_checkout(
    checkout: Path, rename: Rename, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(checkout / "conf")

    assert rename("zebra_counts")[0] == 0
    assert (checkout / "src/zebra_counts").is_dir()


def test_a_dry_run_lists_each_file_and_changes_none(checkout: Path, rename: Rename) -> None:
    code, out, _ = rename("zebra_counts", "--dry-run")

    assert code == 0
    assert "move    src/flight_delays/project.py -> src/zebra_counts/project.py\n" in out
    assert "change  pyproject.toml\n" in out
    assert "remove  bench/README.md\n" in out
    assert out.endswith("Nothing was changed.\n")
    assert git("status", "--porcelain") == ""


@pytest.mark.parametrize("dirty", ["README.md", "new.txt"])
def test_work_that_is_not_committed_is_not_mixed_in(checkout: Path, rename: Rename, dirty: str) -> None:
    (checkout / dirty).write_text("mine")

    code, out, err = rename("zebra_counts")

    assert (code, out) == (5, "")
    assert f"1 files differ from the last commit, {dirty} for one." in err
    assert (checkout / "src/flight_delays").is_dir()
    assert rename("zebra_counts", "--dry-run")[0] == 0


def test_a_file_that_git_ignores_is_not_overwritten(checkout: Path, rename: Rename) -> None:
    (checkout / ".git/info/exclude").write_text("src/zebra_counts/\n")
    (checkout / "src/zebra_counts").mkdir()
    (checkout / "src/zebra_counts/project.py").write_text("mine")

    code, _, err = rename("zebra_counts")

    assert code == 5
    assert "src/zebra_counts/project.py is in the way." in err
    assert git("status", "--porcelain") == ""


def test_outside_a_checkout_it_says_how_to_make_one(
    tmp_path: Path, rename: Rename, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    code, _, err = rename("zebra_counts")

    assert code == 5
    assert "is not inside a git checkout." in err
    assert "Next: git init && git add --all" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("", "Name either the project or, with --add, a second use case."),
        ("a_model --add b_model", "Name either the project or, with --add, a second use case."),
        ("--add b_model --ci azure", "--ci is not for --add."),
        ("--add b_model --remove-example", "--remove-example is not for --add."),
        ("a_model --environments prod", "--environments has 'prod', where"),
        ("a_model --environments prod=a,prod=b", "--environments has 'prod=b', where"),
        ("a_model --environments production=a", "There is no environment 'production'"),
        ("a_model --ci travis", "There is no CI provider 'travis'."),
        ("import", "'import' cannot be the name of a project: it is a keyword of Python."),
        ("gatehouse", "'gatehouse' cannot be the name of a project: the template itself uses it."),
        ("pytest", "'pytest' cannot be the name of a project: a package of that name exists already."),
    ],
)
def test_a_wrong_command_line_changes_nothing(checkout: Path, rename: Rename, arguments: str, said: str) -> None:
    code, out, err = rename(*arguments.split())

    assert (code, out) == (2, "")
    assert said in err
    assert "\nNext: " in err
    assert git("status", "--porcelain") == ""


def test_a_second_time_it_is_refused(checkout: Path, rename: Rename) -> None:
    rename("zebra_counts")
    git("add", "--all")
    git("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "commit", "--quiet", "--message", "renamed")

    code, _, err = rename("horse_counts")

    assert code == 5
    assert "renamed already, to zebra_counts" in err
    assert git("status", "--porcelain") == ""


def test_a_second_use_case_comes_beside_the_first(checkout: Path, rename: Rename) -> None:
    code, out, _ = rename("--add", "bus_delays")

    assert (code, out.splitlines()[0]) == (0, "0 files moved, 1 changed, 6 added, 0 removed.")
    assert sorted(git("ls-files", "--others", "--exclude-standard").splitlines()) == [
        "projects/bus_delays/conf/environments.yml",
        "projects/bus_delays/conf/promotion.yml",
        "src/bus_delays/__init__.py",
        "src/bus_delays/days.csv",
        "src/bus_delays/project.py",
        "tests/unit/bus_delays/test_use_case.py",
    ]
    assert (checkout / "tests/unit/bus_delays/test_use_case.py").read_text() == (
        'CONF = Path(__file__).parents[3] / "projects" / "bus_delays" / "conf"\n'
    )
    assert '"src/flight_delays", "src/bus_delays"]' in (checkout / "pyproject.toml").read_text()
