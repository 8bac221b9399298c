"""What executed workflows share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.template.harness.github_hub import GitHub
from tests.template.harness.warm import warm_gatehouse


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
