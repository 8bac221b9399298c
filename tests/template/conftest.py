"""What executed workflows share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.template.harness.github_hub import GitHub
from tests.template.harness.spark.server import SparkServer, spark_server_or_skip
from tests.template.harness.warm import warm_gatehouse
from tests.template.harness.workspace import Workspace


@pytest.fixture(scope="session")
def gatehouse() -> Iterator[Path]:
    """The command that workflows call, with its libraries loaded: one process for each call all the same."""
    with warm_gatehouse() as program:
        yield program


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[GitHub]:
    """An empty repository on GitHub."""
    with GitHub(tmp_path).open() as hub:
        yield hub


@pytest.fixture(scope="session")
def spark_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkServer]:
    """Spark that knows three-level names; `closed` is a catalog that only the user `owner` may write."""
    spark_server_or_skip()
    catalogs = ("dev", "staging", "prod", "closed")
    folder = tmp_path_factory.mktemp("spark")
    with SparkServer(catalogs, folder=folder, writers={"closed": ["owner"]}) as server:
        yield server


@pytest.fixture(scope="session")
def one_workspace(mlflow_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A Databricks workspace for the whole run: it takes seconds to start."""
    with Workspace(tmp_path_factory.mktemp("databricks"), mlflow_database=mlflow_template, cancel_grace=1) as workspace:
        yield workspace


@pytest.fixture
def workspace(one_workspace: Workspace) -> Iterator[Workspace]:
    """That workspace, and what others have left there; a call that it does not know fails the test that made it."""
    yield one_workspace
    assert one_workspace.surprises() == []
