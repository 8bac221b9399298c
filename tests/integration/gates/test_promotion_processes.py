"""Twenty processes that all want to promote, each a version of its own: one does, and the others learn who did."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gatehouse.gates.identity import Identity, Strength
from gatehouse.gates.promotion import CHAMPION, PREVIOUS, Gatekeeper, Kind, Move
from gatehouse.lakehouse.audit import AuditLog
from gatehouse.lakehouse.session import Engine
from gatehouse.lakehouse.store import FolderStore
from gatehouse.lakehouse.tables import DeltaTables, TableName

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from gatehouse.lakehouse.registry_mlflow import MlflowRegistry
    from gatehouse.lakehouse.tracking import Tracking

pytestmark = pytest.mark.slow

PROCESSES = 20
MODEL = "prod.main.delays"

# Forked before an engine or a database is open: each child opens its own, without paying for the imports again.
FORKS = """
import json, os, sys
from datetime import UTC, datetime
from pathlib import Path
os.environ["SPARK_CONNECT_MODE_ENABLED"] = "1"
import pyspark.sql.connect.functions, pyspark.sql.connect.session
from gatehouse.errors import AliasMoved
from gatehouse.gates.identity import Identity, Strength
from gatehouse.gates.promotion import Gatekeeper, Kind, Move
from gatehouse.lakehouse.audit import AuditLog
from gatehouse.lakehouse.mlflow_globals import import_mlflow
from gatehouse.lakehouse.session import Engine, open_session
from gatehouse.lakehouse.store import FolderStore
from gatehouse.lakehouse.tables import DeltaTables, TableName
from gatehouse.lakehouse.tracking import open_tracking
import_mlflow()
import mlflow.store.model_registry.sqlalchemy_store, mlflow.store.tracking.sqlalchemy_store

root, model, processes = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])

def promote(child):
    tables = DeltaTables(open_session(Engine.SAIL, catalogs=["prod"]), Engine.SAIL, root, writable=[("prod", "main")])
    store = FolderStore(root)
    audit = AuditLog(tables, TableName("prod", "main", "audit_log"), store=store, clock=lambda: datetime.now(UTC))
    registry = open_tracking(root, experiment="prod.main.delays").registry(writable=[("prod", "main")])
    keeper = Gatekeeper(registry, audit, model, store=store, smoke=lambda version: None)
    actor = Identity(name=f"process {child}", established_by="its number", strength=Strength.CLAIMED)
    version = str(child + 2)
    try:
        keeper.move(Move(kind=Kind.PROMOTION, to=version, expected="1", record=None, reason="mine", actor=actor))
        told = {"child": child, "won": True}
    except AliasMoved as moved:
        told = {"child": child, "won": False, "holder": moved.holder, "what": moved.what}
    os.write(1, (json.dumps(told) + "\\n").encode())  # at once: they share this pipe

for child in range(processes):
    if os.fork() == 0:
        try:
            promote(child)
        finally:
            os._exit(0)
for _ in range(processes):
    os.wait()
"""


@pytest.mark.engine("sail")
@pytest.mark.broken_gate(24)
def test_of_twenty_processes_one_promotes_and_the_others_are_told_who_did(
    spark: SparkSession, engine: Engine, tracking: Tracking, make_model: Callable[[float], Path]
) -> None:
    registry = tracking.registry(writable=[("prod", "main")])
    files = make_model(0.5).as_uri()
    for _ in range(PROCESSES + 1):
        registry.register(MODEL, source=files, run_id=None, tags={})
    audit = open_log(spark, engine, tracking.root)
    keeper = Gatekeeper(registry, audit, MODEL, store=FolderStore(tracking.root), smoke=lambda _: None)
    anna = Identity(name="anna@example.org", established_by="--as", strength=Strength.CLAIMED)
    keeper.move(Move(kind=Kind.PROMOTION, to="1", expected=None, record=None, reason="first", actor=anna))

    told = twenty(tracking.root)

    (winner,) = [one["child"] for one in told if one["won"]]
    version = str(winner + 2)
    assert sorted(one["child"] for one in told) == list(range(PROCESSES))
    assert {one["holder"] for one in told if not one["won"]} == {version}
    assert all(
        f"is version {version}, promoted by process {winner} at " in one["what"] for one in told if not one["won"]
    )
    assert (held(registry, CHAMPION), held(registry, PREVIOUS)) == (version, "1")
    assert [(e.action, e.version) for e in audit.entries()] == [
        ("move_begun", "1"),
        ("move_done", "1"),
        ("move_begun", version),
        ("move_done", version),
    ]
    assert audit.verify().problems == ()
    assert keeper.settle() is None
    assert keeper.moved_outside() is None


def twenty(root: Path) -> list[dict[str, Any]]:
    script = root.parent / "forks.py"  # a file: pyspark takes a program without one for its own doctests
    script.write_text(FORKS)
    ran = subprocess.run(
        [sys.executable, str(script), str(root), MODEL, str(PROCESSES)],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return [json.loads(line) for line in ran.stdout.splitlines()]


def held(registry: MlflowRegistry, alias: str) -> str | None:
    holder = registry.by_alias(MODEL, alias)
    return holder.version if holder else None


def open_log(spark: SparkSession, engine: Engine, root: Path) -> AuditLog:
    tables = DeltaTables(spark, engine, root, writable=[("prod", "main")])
    return AuditLog(
        tables, TableName("prod", "main", "audit_log"), store=FolderStore(root), clock=lambda: datetime.now(UTC)
    )
