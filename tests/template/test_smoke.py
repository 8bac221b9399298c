"""The emulated workspace keeps every promise that a real one is tried for: so a real one is tried for these."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.template.harness.databricks_cli import databricks_cli
from tests.template.harness.road import Road, road
from tests.template.harness.spark.server import spark_server_or_skip
from tests.template.harness.workspace import ADMIN

pytestmark = pytest.mark.slow


@pytest.fixture
def ready(tmp_path: Path, mlflow_template: Path) -> Iterator[Road]:
    databricks_cli()
    spark_server_or_skip()
    with road(tmp_path, mlflow_template) as found:
        yield found


def test_the_emulated_workspace_keeps_every_promise(ready: Road) -> None:
    command = (sys.executable, "-m", "gatehouse", "smoke", "--catalog", "dev", "--as-of", "2013-08-01", "--json")
    code, printed = ready._run(*command, identity=ADMIN, check=False)
    assert "promises" in printed, printed
    told = json.loads(printed[printed.index("{\n") : printed.rindex("}") + 1])
    assert [(one["about"], one["said"]) for one in told["promises"] if one["outcome"] != "as promised"] == []
    assert code == 0
