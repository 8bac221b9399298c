"""A real lakehouse, packed and restored elsewhere, goes on as if nothing had happened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatehouse.errors import Busy
from gatehouse.pipelines.features import refresh
from gatehouse.pipelines.inference import infer
from gatehouse.pipelines.ingest import ingest
from gatehouse.state.archive import Scope, at_rest, pack, unpack

if TYPE_CHECKING:
    from tests.integration.pipelines.conftest import Lakehouse, Open

pytestmark = pytest.mark.slow

PROD = Scope(environment="prod", places=("prod.temperature",))
LATER = "2013-10-15"


def test_the_champion_its_tables_and_the_log_go_with_it(
    trained: Lakehouse, open_lakehouse: Open, tmp_path: Path
) -> None:
    context = trained.at(LATER)
    context.audit.append(action="code_deployed", actor="ada", actor_source="the test", details={})
    before = trained.versions()
    archive, root = tmp_path / "dist" / "state.tar.gz", tmp_path / "runner" / ".lakehouse"
    with at_rest(context.root, PROD):
        sha256 = pack(context.root, PROD, archive)

    unpack(archive, root, PROD, sha256=sha256)

    there = open_lakehouse(root).at(LATER)
    assert open_lakehouse(root).versions() == before
    champion = there.registry.by_alias(there.model, "champion")
    assert champion is not None
    assert there.registry.digest(there.model, champion.version) == context.registry.digest(context.model, "1")
    assert there.audit.verify().ok
    ingest(there)
    refresh(there)
    assert infer(there).rows == 186
    assert not trained.at(LATER).tables.exists(trained.at(LATER).own("predictions"))


def test_nothing_is_packed_while_a_pipeline_runs(trained: Lakehouse) -> None:
    context = trained.at(LATER)

    for pipeline in ("ingest", "release", "deploy"):
        with (
            context.alone(pipeline),
            pytest.raises(Busy, match=rf"the lock prod\.temperature\.{pipeline} is held"),
            at_rest(context.root, PROD),
        ):
            pass
