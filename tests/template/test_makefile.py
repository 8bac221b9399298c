"""The Makefile on machines that lack something: it says what, and never calls a failure a success."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="make and bash are not part of Windows")


# Answers what the Makefile asks uv before it runs anything; what it runs then ends with UV_RUN_EXITS.
UV = """#!/bin/sh
case "$1 $2" in
  "cache dir") echo /cache ;;
  "python find") [ -n "$UV_FINDS" ] && echo "$UV_FINDS" ;;
  *) echo "uv $*"; exit "$UV_RUN_EXITS" ;;
esac
"""


def make(folder: Path, *arguments: str, java: bool = False, finds: str = "", exits: int = 0) -> tuple[int, str]:
    """Run make with a uv and a java of our own in front of the real ones: exit code, what was printed."""
    jdk = f"#!/bin/sh\nexit {0 if java else 1}\n"
    for name, script in {"uv": UV, "java": jdk, "javac": jdk}.items():
        (folder / name).write_text(script, encoding="utf-8")
        (folder / name).chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    environment |= {
        "PATH": f"{folder}{os.pathsep}{environment['PATH']}",
        "UV_FINDS": finds,
        "UV_RUN_EXITS": str(exits),
    }
    ran = subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return ran.returncode, ran.stdout


def test_without_a_python_that_fits_it_says_which_to_install(tmp_path: Path) -> None:
    code, printed = make(tmp_path, "demo", "PYTHON=")
    assert code != 0
    assert "needs Python 3.11, 3.12 or 3.13" in printed
    assert "uv run" not in printed


def test_without_java_the_jvm_engine_is_skipped_aloud(tmp_path: Path) -> None:
    assert make(tmp_path, "test-jvm") == (
        0,
        "Engine jvm: SKIPPED, it needs Java 17 or 21, and no java runs here.\n",
    )


@pytest.mark.parametrize(
    ("target", "folders"),
    [
        ("test-jvm", "tests/unit tests/integration/lakehouse"),
        ("test-jvm-unit", "tests/unit"),
        ("test-jvm-tables", "tests/integration/lakehouse"),
    ],
)
def test_with_java_the_tests_run_on_the_jvm_engine_alone(tmp_path: Path, target: str, folders: str) -> None:
    assert make(tmp_path, target, java=True) == (
        0,
        "uv run --locked --no-default-groups --group dev --group jvm "
        f"pytest -n auto --dist loadfile -m spark and not slow --engine jvm {folders}\n",
    )


@pytest.mark.parametrize("target", ["test-template", "test-slow"])
def test_the_emulated_workspace_has_its_spark_before_its_tests_begin(tmp_path: Path, target: str) -> None:
    code, printed = make(tmp_path, target, java=True)
    assert (code, printed.splitlines()[0]) == (
        0,
        "uv sync --quiet --locked --no-default-groups --group dev --group jvm",
    )


def test_a_python_that_is_not_here_is_skipped_aloud(tmp_path: Path) -> None:
    code, printed = make(tmp_path, "test-pythons")
    assert code == 0
    assert sorted(line.split(": ")[1] for line in printed.splitlines()) == [
        "SKIPPED, not found on this machine.",
        "SKIPPED, not found on this machine.",
        "what make test runs on.",
    ]


@pytest.mark.parametrize("target", ["demo", "test", "test-slow", "test-template", "test-jvm", "test-pythons", "lint"])
@pytest.mark.parametrize("code", [1, 5])
def test_what_fails_below_fails_the_target_and_so_does_running_no_test(tmp_path: Path, target: str, code: int) -> None:
    assert make(tmp_path, target, java=True, finds="/somewhere/python3", exits=code)[0] != 0


@pytest.mark.parametrize(
    ("target", "runs"),
    [
        ("test", ["pytest -n auto --dist loadfile -m not slow tests/unit tests/integration"]),
        ("test-slow", ["pytest -n auto --dist loadfile -m slow tests/unit tests/integration tests/template"]),
        ("test-template", ["pytest -n auto --dist loadfile -m not slow tests/template"]),
    ],
)
def test_every_test_runs_under_one_target(tmp_path: Path, target: str, runs: list[str]) -> None:
    assert make(tmp_path, target) == (0, "".join(f"uv run --locked {line}\n" for line in runs))
