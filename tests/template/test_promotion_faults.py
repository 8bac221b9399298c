"""A workspace that fails while a champion is made: retries or a clear error, and nobody is champion by accident."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count, product
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from mlflow.utils.rest_utils import get_workspace_client
from tests.template.harness.workspace import ADMIN, Workspace
from tests.template.harness.workspace.people import client_of, new_schema

from gatehouse.errors import AccessDenied, Busy, GatehouseError, RegistryUnavailable, RunFailed, Unanswered
from gatehouse.gates.identity import Identity, Strength
from gatehouse.gates.promotion import CHAMPION, PREVIOUS, Gatekeeper, Kind, Move
from gatehouse.lakehouse.audit import AuditLog
from gatehouse.lakehouse.registry_mlflow import MlflowRegistry
from gatehouse.lakehouse.session import Engine
from gatehouse.lakehouse.store import FolderStore
from gatehouse.lakehouse.tables import DeltaTables, TableName

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.slow

NOON = datetime(2013, 7, 1, 12, tzinfo=UTC)
ANNA = Identity(name="anna@example.org", established_by="--as", strength=Strength.CLAIMED)
LASTING = 10_000
"""Times: as long as the command goes on."""
FAULTS = {"throttled": 429, "broken": 500, "overloaded": 503, "dropped": None, "expired": 401, "forbidden": 403}
WHERE = {
    "asking who is champion": ("GET", "champion"),
    "keeping the one before": ("POST", '"previous_champion"'),
    "moving the alias": ("POST", '"champion"'),
}
"""Calls about aliases: their method, and the words that tell them apart."""
ALIASES = "registered-models/alias"

EVERYWHERE = [*product(("broken", "dropped"), WHERE), *((fault, "moving the alias") for fault in FAULTS)]

Smoke = Callable[[str], str | None]


def works(_: str) -> None:
    """A smoke test that finds nothing."""


def move(to: str, expected: str | None) -> Move:
    return Move(kind=Kind.PROMOTION, to=to, expected=expected, record="r" * 64, reason="July", actor=ANNA)


class Plot:
    """A model of Unity Catalog with two versions, the first of which is champion; its log lies here."""

    def __init__(self, workspace: Workspace, tables: DeltaTables, root: Path, model: str) -> None:
        self.workspace, self.model = workspace, model
        catalog, schema, _ = model.split(".")
        self._store, seconds = FolderStore(root), count()
        self.registry = MlflowRegistry("databricks", "databricks-uc", root=root, writable=[(catalog, schema)])
        self.audit = AuditLog(
            tables,
            TableName(catalog, schema, "audit_log"),
            store=self._store,
            clock=lambda: NOON + timedelta(seconds=next(seconds)),
        )

    def keeper(self, smoke: Smoke = works) -> Gatekeeper:
        return Gatekeeper(self.registry, self.audit, self.model, store=self._store, smoke=smoke)

    def champion(self) -> str | None:
        found = self.registry.by_alias(self.model, CHAMPION)
        return found.version if found else None

    def ended(self) -> list[tuple[str, str | None]]:
        return [(entry.action, entry.version) for entry in self.audit.entries() if entry.action != "move_begun"]


@pytest.fixture
def plot(
    workspace: Workspace,
    spark: SparkSession,
    engine: Engine,
    tmp_path: Path,
    make_model: Callable[[float], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Plot]:
    for name, value in workspace.environ(ADMIN).items():
        monkeypatch.setenv(name, value)
    patient(monkeypatch, 1)  # minutes otherwise: what is tried is what comes after all of MLflow's own retries
    catalog, schema = new_schema(client_of(workspace)).split(".")
    tables = DeltaTables(spark, engine, tmp_path / "lakehouse", writable=[(catalog, schema)])
    plot = Plot(workspace, tables, tmp_path / "lakehouse", f"{catalog}.{schema}.delays")
    for number in (0.25, 0.75):
        folder = make_model(number)
        column = '[{"type": "double", "name": "x", "required": true}]'
        with (folder / "MLmodel").open("a", encoding="utf-8") as file:
            file.write(f"signature:\n  inputs: '{column}'\n  outputs: '{column}'\n")
        plot.registry.register(plot.model, source=str(folder), run_id=None, tags={})
    assert plot.keeper().move(move("1", None)).moved
    yield plot
    workspace.heal()
    get_workspace_client.cache_clear()


def patient(monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    """For how long MLflow asks again what was throttled or dropped; it keeps its clients, so they are made anew."""
    monkeypatch.setenv("MLFLOW_DATABRICKS_ENDPOINT_HTTP_RETRY_TIMEOUT", str(seconds))
    get_workspace_client.cache_clear()


@pytest.mark.parametrize(("fault", "where"), sorted(set(EVERYWHERE)))
def test_what_cannot_be_asked_or_moved_promotes_nobody(plot: Plot, fault: str, where: str) -> None:
    method, about = WHERE[where]
    plot.workspace.fail(method, ALIASES, status=FAULTS[fault], times=LASTING, about=about)
    with pytest.raises((RegistryUnavailable, AccessDenied)):
        plot.keeper().move(move("2", "1"))

    plot.workspace.heal()
    plot.keeper().settle()
    assert plot.champion() == "1"
    assert ("move_done", "2") not in plot.ended()
    assert plot.keeper().moved_outside() is None
    assert plot.keeper().move(move("2", "1")).moved
    assert plot.champion() == "2"


@pytest.mark.parametrize("fault", ["throttled", "overloaded", "dropped"])
def test_what_passes_is_tried_again_and_the_move_is_made_once(
    plot: Plot, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient(monkeypatch, 60)
    for method, about in WHERE.values():
        plot.workspace.fail(method, ALIASES, status=FAULTS[fault], about=about)
    assert plot.keeper().move(move("2", "1")).moved
    assert (plot.champion(), plot.ended()) == ("2", [("move_done", "1"), ("move_done", "2")])


@pytest.mark.parametrize(("smoke", "champion"), [(works, "2"), (lambda _: "it predicts snow", "1")])
def test_a_move_whose_answer_is_lost_is_tried_before_it_counts(plot: Plot, smoke: Smoke, champion: str) -> None:
    plot.workspace.fail("POST", ALIASES, status=None, times=LASTING, after=True, about='"champion"')
    with pytest.raises(RegistryUnavailable):
        plot.keeper(smoke).move(move("2", "1"))
    assert plot.ended() == [("move_done", "1")]

    plot.workspace.heal()
    plot.keeper(smoke).settle()
    assert plot.champion() == champion
    assert plot.ended()[1:] == [("move_done" if champion == "2" else "move_undone", "2")]


@pytest.mark.parametrize("fault", ["broken", "dropped", "expired"])
def test_a_version_that_does_not_work_is_put_back_as_soon_as_that_can_be_done(plot: Plot, fault: str) -> None:
    def breaks(_: str) -> str:
        plot.workspace.fail("*", ALIASES, status=FAULTS[fault], times=LASTING)
        return "it predicts snow"

    with pytest.raises((RegistryUnavailable, AccessDenied)):
        plot.keeper(breaks).move(move("2", "1"))
    assert ("move_done", "2") not in plot.ended()

    plot.workspace.heal()
    plot.keeper(lambda _: "it predicts snow").settle()
    assert plot.champion() == "1"
    assert plot.ended()[1:] == [("move_undone", "2")]


@pytest.mark.parametrize(
    "error",
    [
        Unanswered("No answer.", status=None),
        AccessDenied("The token has expired."),
        Busy("A quota is used up."),
        RunFailed("The endpoint failed."),
    ],
)
def test_an_endpoint_that_could_not_be_brought_up_to_date_keeps_its_champion(plot: Plot, error: GatehouseError) -> None:
    def unserved(_: str) -> str | None:
        raise error

    settled = plot.keeper(unserved).move(move("2", "1"))
    assert (settled.moved, settled.undone) == (False, f"The smoke test failed: {error.what}")
    assert plot.champion() == "1"
    holder = plot.registry.by_alias(plot.model, PREVIOUS)
    assert holder is None
