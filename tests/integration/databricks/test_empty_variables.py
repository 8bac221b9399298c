"""A workflow without a workspace sets its variables to nothing: that is as if they were not set."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gatehouse.databricks.client import open_workspace
from gatehouse.errors import ConfigurationError

EMPTY = ("DATABRICKS_HOST", "DATABRICKS_CLIENT_ID", "DATABRICKS_AUTH_TYPE", "DATABRICKS_CLIENT_SECRET", "ENGINE")


def test_nobody_is_signed_in_and_the_error_names_the_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.delenv("DATABRICKS_CONFIG_PROFILE", raising=False)
    for name in EMPTY:
        monkeypatch.setenv(name, "")
    with pytest.raises(ConfigurationError, match="DATABRICKS_HOST is not set"):
        open_workspace()


@pytest.mark.slow
def test_the_embedded_lakehouse_works_as_without_them(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DATABRICKS_", "SPARK_"))}
    command = [sys.executable, "-m", "gatehouse", "--lakehouse", str(tmp_path / "lakehouse"), "status", "--env", "dev"]
    said = [
        subprocess.run(command, env=environment | more, capture_output=True, text=True, check=True).stdout
        for more in ({}, dict.fromkeys(EMPTY, ""))
    ]
    assert said[0] == said[1]
    assert "dev" in said[0]
