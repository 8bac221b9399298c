"""An environment writes its own schema and models and nobody else's, whatever its catalog is called."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from gatehouse.errors import AccessDenied
from gatehouse.lakehouse.registry_mlflow import MlflowRegistry
from gatehouse.lakehouse.table_port import Tables
from gatehouse.lakehouse.table_types import Equals, TableName
from gatehouse.lakehouse.tables import DeltaTables
from gatehouse.pipelines.features import refresh
from gatehouse.pipelines.inference import infer
from gatehouse.pipelines.ingest import ingest
from gatehouse.pipelines.monitoring import monitor
from gatehouse.pipelines.training import train
from gatehouse.settings import EnvironmentsFile

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from tests.integration.pipelines.conftest import Lakehouse

    from gatehouse.lakehouse.registry import ModelRegistry

pytestmark = pytest.mark.slow

MODEL = "prod.temperature.temperature"

TABLE_WRITES: dict[str, Callable[[Tables, TableName, Any, DataFrame], object]] = {
    "create": lambda port, name, table, rows: port.create(name, table),
    "append_only": lambda port, name, table, rows: port.append_only(name),
    "append": lambda port, name, table, rows: port.append(name, rows),
    "insert": lambda port, name, table, rows: port.insert(name, rows, keys=table.primary_key),
    "merge": lambda port, name, table, rows: port.merge(name, rows, keys=table.primary_key),
    "replace": lambda port, name, table, rows: port.replace(name, rows, where=Equals("airport", "JFK")),
    "drop_schema": lambda port, name, table, rows: port.drop_schema(name.catalog, name.schema),
}
TABLE_READS = {"exists", "names", "schemas", "read", "version", "history", "declaration", "expose"}

MODEL_WRITES: dict[str, Callable[[ModelRegistry], object]] = {
    "register": lambda r: r.register(MODEL, source=r.get(MODEL, "1").source, run_id=None, tags={}),
    "set_alias": lambda r: r.set_alias(MODEL, "challenger", "1"),
    "delete_alias": lambda r: r.delete_alias(MODEL, "champion"),
    "compare_and_set_alias": lambda r: r.compare_and_set_alias(MODEL, "champion", expected="1", version="1"),
    "set_tags": lambda r: r.set_tags(MODEL, "1", {"approved": "yes"}),
    "set_description": lambda r: r.set_description(MODEL, "1", "Approved."),
    "copy": lambda r: r.copy(MODEL, "1", to=MODEL),
    "delete": lambda r: r.delete(MODEL),
    "delete_models": lambda r: r.delete_models("prod", "temperature"),
}
MODEL_READS = {"get", "versions", "by_alias", "download", "digest", "load"}


def public(port: type) -> set[str]:
    return {name for name, found in vars(port).items() if callable(found) and not name.startswith("_")}


def test_every_method_of_the_ports_is_known_to_read_or_to_write() -> None:
    assert public(Tables) == {*TABLE_WRITES, *TABLE_READS}
    assert public(DeltaTables) == public(Tables)
    assert public(MlflowRegistry) == {*MODEL_WRITES, *MODEL_READS}


@pytest.mark.parametrize("env", ["dev", "staging"])
@pytest.mark.parametrize("write", TABLE_WRITES)
def test_a_session_of_another_environment_cannot_write_a_table_of_production(
    trained_once: Lakehouse, env: str, write: str
) -> None:
    context = trained_once.at("2013-10-01", env)
    (table,) = (s.table for s in context.project.sources)
    name = TableName("prod", "temperature", table.name)
    rows = context.tables.read(name).limit(1)
    before = trained_once.versions("prod")

    with pytest.raises(AccessDenied, match=r"this session may not write to prod\.temperature"):
        TABLE_WRITES[write](context.tables, name, table, rows)

    assert rows.count() == 1  # reading is what it may
    assert trained_once.versions("prod") == before


@pytest.mark.parametrize("env", ["dev", "staging"])
@pytest.mark.parametrize("write", MODEL_WRITES)
def test_nor_change_a_model_of_production(trained_once: Lakehouse, env: str, write: str) -> None:
    registry = trained_once.at("2013-10-01", env).registry
    before = registry.versions(MODEL)

    with pytest.raises(AccessDenied, match="prod"):
        MODEL_WRITES[write](registry)

    assert registry.versions(MODEL) == before
    assert before[0].aliases == ("champion",)


def test_production_writes_neither_dev_nor_staging(trained_once: Lakehouse) -> None:
    context = trained_once.at("2013-10-01")
    rows = context.tables.read(context.own("daily_weather")).limit(1)

    for catalog in ("dev", "staging"):
        with pytest.raises(AccessDenied, match=f"may not write to {catalog}"):
            context.tables.append(TableName(catalog, "temperature", "daily_weather"), rows)


def test_dev_computes_and_trains_on_what_it_may_only_read(trained: Lakehouse) -> None:
    before = trained.versions("prod")
    dev = trained.at("2013-10-01", "dev")

    assert ingest(dev) == ()
    refresh(dev)
    found = train(dev, proposer="ada@example.org")

    assert found.version.model == "dev.temperature.temperature"
    assert trained.versions("prod") == before
    assert set(trained.versions("dev")) == {"recent_weather", "pipeline_runs"}


def test_an_environments_catalog_and_schema_may_have_any_names(trained: Lakehouse) -> None:
    named = EnvironmentsFile.model_validate(
        {
            "project": "temperature:PROJECT",
            "environments": {
                "prod": {"catalog": "Corp_EU_1", "schema": "_ml"},
                "trial": {"catalog": "Corp_EU_1", "schema": "trial", "sources_from": "prod"},
            },
        }
    )
    lakehouse = trained.configured(environments=named)
    prod, trial = lakehouse.at("2013-10-01"), lakehouse.at("2013-10-01", "trial")

    ingest(prod)
    for context in (prod, trial):
        refresh(context)
        version = train(context, proposer="ada@example.org").version
        context.registry.set_alias(context.model, "champion", version.version)
        infer(context)
        monitor(context)

    assert (prod.model, trial.model) == ("Corp_EU_1._ml.temperature", "Corp_EU_1.trial.temperature")
    assert len(lakehouse.rows("predictions", "prod")) == len(lakehouse.rows("predictions", "trial")) == 186
    assert "daily_weather" in lakehouse.versions("prod")
    assert "daily_weather" not in lakehouse.versions("trial")
    with pytest.raises(AccessDenied):
        trial.tables.drop_schema("Corp_EU_1", "_ml")
