"""The real Databricks CLI. Users and hosted runners have a released one; `make databricks-cli` builds it where there is
a Go. Commands are run with nothing of this machine's settings: no profile, no token, no other address than the given.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
VARIABLE = "GATEHOUSE_DATABRICKS_CLI"
ANYBODY = "anybody"
"""A token for where nobody asks who it is."""


@cache
def databricks_cli() -> Path:
    """The program; without one the test is skipped, and under CI it fails."""
    built = sorted(ROOT.glob(".tools/databricks-*/databricks"))
    places = [os.environ.get(VARIABLE), shutil.which("databricks"), *map(str, built)]
    for place in filter(None, places):
        if _knows_bundles(place):
            return Path(place).absolute()
    missing = f"The Databricks CLI was not found: set {VARIABLE}, put it on PATH, or run `make databricks-cli`."
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)


def _knows_bundles(program: str) -> bool:
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=60)
    except OSError:
        return False
    return done.stdout.startswith("Databricks CLI")


def run_cli(
    *arguments: str, at: Path, host: str, token: str = ANYBODY, check: bool = True, **environment: str
) -> subprocess.CompletedProcess[str]:
    """One command in a folder, against one address; without `check` it may fail. Variables may be given."""
    kept = {name: os.environ[name] for name in ("HOME",) if name in os.environ}
    kept["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # the bundle calls Python
    with TemporaryDirectory() as scratch:  # it leaves behind what it asked Python
        done = subprocess.run(
            [str(databricks_cli()), *arguments],
            cwd=at,
            env=kept
            | {
                "TMPDIR": scratch,
                "DATABRICKS_HOST": host,
                "DATABRICKS_TOKEN": token,
                "DATABRICKS_CONFIG_FILE": os.devnull,
                "DATABRICKS_CACHE_ENABLED": "false",
                "DATABRICKS_CLI_DISABLE_UPDATE_CHECK": "true",
                **environment,
            },
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            timeout=300,
        )
    assert not check or done.returncode == 0, f"databricks {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
    return done


def cli_json(*arguments: str, at: Path, host: str, token: str = ANYBODY, **environment: str) -> dict[str, Any]:
    """The answer of a command that prints JSON."""
    done = run_cli(*arguments, "--output", "json", at=at, host=host, token=token, check=True, **environment)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
