"""The report on a real lakehouse: tables and registry are written by hand, so that every figure is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gatehouse.cli.world import open_world, place
from gatehouse.errors import GatehouseError
from gatehouse.lakehouse.lineage import Lineage
from gatehouse.pipelines.alerting import alert
from gatehouse.pipelines.reporting import HISTORY, read, write_report
from gatehouse.pipelines.standing import standing
from gatehouse.pipelines.tables import EXPECTATIONS, METRICS, RUNS, predictions_table
from gatehouse.progress import Silent
from gatehouse.project import Table
from gatehouse.reports.readings import Checked, Completed, Measurement, Readings, Registered, Scored

if TYPE_CHECKING:
    from gatehouse.pipelines.context import Context

pytestmark = pytest.mark.slow

CONF = Path(__file__).parents[3] / "conf"
MAY = datetime(2013, 5, 1, tzinfo=UTC)
JUNE = datetime(2013, 6, 1, tzinfo=UTC)
FINISHED = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
LINEAGE = Lineage(
    project="flight_delays",
    environment="prod",
    proposer="ada",
    as_of=datetime(2013, 4, 1, tzinfo=UTC),
    train_start=datetime(2013, 1, 1, tzinfo=UTC),
    train_end=datetime(2013, 3, 4, tzinfo=UTC),
    hold_out_end=datetime(2013, 4, 1, tzinfo=UTC),
    code_commit="0123456789abcdef",
    code_digest="c0de",
    configuration_digest="c0nf",
    data_versions={"prod.flight_delays.flights": 7},
    options={"num_leaves": 31},
    seed=2013,
    training_key="key",
)

Contexts = Callable[[str], "Context"]


@pytest.fixture
def contexts(mlflow_root: Path) -> Iterator[Contexts]:
    """The example's environments on 1 May 2013, in one lakehouse that is still empty."""
    with ExitStack() as stack:
        world = stack.enter_context(open_world(place({"conf": CONF, "lakehouse": mlflow_root}), "prod"))
        yield lambda name: world.context(name, MAY, Silent())


def write(context: Context, table: Table, *rows: tuple[Any, ...]) -> None:
    context.tables.create(context.own(table.name), table)
    context.tables.append(context.own(table.name), context.frame(list(rows), table.name))


def write_run(context: Context, pipeline: str, target: str, as_of: datetime, rows: int) -> None:
    write(context, RUNS, (pipeline, target, as_of, None, rows, 2, 1, None, 7, "{}", "0123456789abcdef", FINISHED))


def write_predictions(context: Context, *units: tuple[str, datetime]) -> None:
    """One row for each unit and moment of prediction, by version 1."""
    from pyspark.sql import functions as F

    table = predictions_table(context.project)
    context.tables.create(context.own(table.name), table)
    rows = context.spark.createDataFrame(
        [(f"{n}", unit, at) for n, (unit, at) in enumerate(units)],
        "run_key string, unit string, predicted_at timestamp",
    )
    known = {
        "run_key": F.col("run_key"),
        "unit": F.col("unit"),
        "predicted_at": F.col("predicted_at"),
        "event_time": F.col("predicted_at"),
        "model_version": F.lit("1"),
    }
    other = {"timestamp": F.col("predicted_at"), "array<double>": F.lit(None)}
    columns = [known.get(c.name, other.get(c.type, F.lit(1))).cast(c.type).alias(c.name) for c in table.columns]
    context.tables.append(context.own(table.name), rows.select(*columns))


def register(context: Context, files: Path) -> None:
    """Version 1, the champion, with a run that measured it and explains it."""
    with context.tracking.run("training", tags={}) as run:
        run.log_metrics({"hold_out_log_loss": 0.46, "baseline_log_loss": 0.53, "validation_log_loss": 0.4})
        run.log_dict({"mean_absolute_contribution": {"temperature": 0.5}}, "importances.json")
    context.registry.register(
        context.model, source=str(files), run_id=run.run_id, tags=LINEAGE.to_tags(), description="# Card"
    )
    context.registry.set_alias(context.model, "champion", "1")


def test_an_environment_is_read_as_its_tables_and_registry_say_and_no_later_than_as_of(
    contexts: Contexts, make_model: Callable[[float], Path]
) -> None:
    prod = contexts("prod")
    week = MAY - timedelta(days=7)
    for as_of, value in ((MAY, 0.5), (JUNE, 0.9)):
        write(prod, METRICS, (as_of, week, as_of, "log_loss", "late", "1", "", value, 100))
        write(prod, EXPECTATIONS, ("flights", "origin_is_served", as_of, "warn", 100, 3))
        write_run(prod, "ingest", "flights", as_of, 100)
    write(prod, METRICS, (MAY, week, MAY, "roc_auc", "late", "1", "2013-04-30", None, 0))
    write(prod, METRICS, (MAY - HISTORY, week, MAY, "log_loss", "late", "1", "", 0.1, 100))
    write_run(prod, "ingest", "flights", week, 40)
    write_run(prod, "features", "aircraft", MAY, 30)
    write_predictions(prod, ("2013-04-30", MAY), ("2013-04-30", MAY), ("2013-05-31", JUNE))
    register(prod, make_model(0.25))

    found = read(prod)

    measured = Measurement(
        as_of=MAY,
        window_start=week,
        window_end=MAY,
        metric="log_loss",
        subject="late",
        version="1",
        unit="",
        value=0.5,
        rows=100,
    )
    completed = Completed(
        pipeline="ingest",
        target="flights",
        as_of=MAY,
        rows=100,
        updated=2,
        quarantined=1,
        version=7,
        code="0123456789abcdef",
        finished_at=FINISHED,
    )
    assert replace(found, measurements=tuple(sorted(found.measurements, key=lambda m: m.metric))) == Readings(
        environment="prod",
        sources_in="prod",
        catalog="prod",
        schema="flight_delays",
        as_of=MAY,
        written_at=found.written_at,
        since=MAY - HISTORY,
        measurements=(measured, replace(measured, metric="roc_auc", unit="2013-04-30", value=None, rows=0)),
        completed=(completed, replace(completed, pipeline="features", target="aircraft", rows=30)),
        checked=(
            Checked(
                table="flights",
                expectation="origin_is_served",
                as_of=MAY,
                action="warn",
                rows_checked=100,
                violations=3,
            ),
        ),
        scored=(Scored(unit="2013-04-30", version="1", rows=2),),
        versions=(
            Registered(
                version="1",
                aliases=("champion",),
                created_at=found.versions[0].created_at,
                lineage=LINEAGE,
                card="# Card",
                hold_out={"log_loss": 0.46},
                baseline={"log_loss": 0.53},
                importances={"temperature": 0.5},
            ),
        ),
    )


def test_sources_and_their_expectations_are_those_of_the_environment_that_ingests_them(contexts: Contexts) -> None:
    prod, dev = contexts("prod"), contexts("dev")
    write_run(prod, "ingest", "flights", MAY, 100)
    write_run(prod, "features", "aircraft", MAY, 100)
    write(prod, EXPECTATIONS, ("flights", "origin_is_served", MAY, "warn", 100, 0))
    write_run(dev, "features", "aircraft", MAY, 25)

    found = read(dev)

    assert [(c.pipeline, c.target, c.rows) for c in found.completed] == [
        ("ingest", "flights", 100),
        ("features", "aircraft", 25),
    ]
    assert [c.expectation for c in found.checked] == ["origin_is_served"]


@pytest.mark.parametrize("run_id", [None, "0" * 32])
def test_a_champion_without_a_run_or_whose_run_is_gone_has_no_metrics_and_no_explanation(
    contexts: Contexts, make_model: Callable[[float], Path], run_id: str | None
) -> None:
    prod = contexts("prod")
    prod.registry.register(prod.model, source=str(make_model(0.25)), run_id=run_id, tags={}, description="")
    prod.registry.set_alias(prod.model, "champion", "1")

    (version,) = read(prod).versions

    assert (version.lineage, version.hold_out, version.baseline, version.importances) == (None, {}, {}, {})


def test_status_and_alert_say_that_the_champion_has_become_worse(
    contexts: Contexts, make_model: Callable[[float], Path]
) -> None:
    prod = contexts("prod")
    week = MAY - timedelta(days=7)
    for name, value in (("accuracy_shortfall", 0.07), ("accuracy_usual", 0.04), ("accuracy_units", 20.0)):
        write(prod, METRICS, (MAY, week, MAY, name, "log_loss", "1", "", value, 100))
    register(prod, make_model(0.25))

    def said(**thresholds: float) -> tuple[list[str], list[str]]:
        monitoring = prod.settings.monitoring.model_copy(update=thresholds)
        context = replace(prod, settings=prod.settings.model_copy(update={"monitoring": monitoring}))
        told = alert(context, None, run="").causes
        warned = [w for w in standing(context).warnings if "hold-out" in w]
        return warned, [fact for cause in told if cause.key == "accuracy" for fact in cause.facts]

    warned, facts = said(accuracy_alert=0.05)
    assert warned == facts
    assert warned[0].startswith("Version 1: log_loss is 0.0700 nats worse than on the hold-out")
    assert said(accuracy_alert=0.08) == said(accuracy_alert=0.05, accuracy_units=21) == ([], [])


def test_status_has_the_figures_of_the_champion_though_another_version_scored_in_the_same_window(
    contexts: Contexts, make_model: Callable[[float], Path]
) -> None:
    prod = contexts("prod")
    for version, value in (("1", 0.4), ("2", 0.5)):
        write(prod, METRICS, (MAY, MAY - timedelta(days=7), MAY, "log_loss", "late", version, "", value, 100))
    register(prod, make_model(0.25))

    found = standing(prod)

    assert (found.champion, found.metrics, found.measured_at) == ("1", {"log_loss": 0.4}, MAY)


def test_the_report_is_an_overview_and_a_page_for_each_environment_that_has_data(contexts: Contexts) -> None:
    prod, dev = contexts("prod"), contexts("dev")
    write_run(prod, "ingest", "flights", MAY, 100)
    write_run(dev, "training", "dev.flight_delays.flight_delays", MAY - timedelta(days=30), 25)

    index = write_report(prod)

    assert index == prod.root / "report" / "index.html"
    assert sorted(p.name for p in index.parent.iterdir()) == ["dev.html", "index.html", "prod.html"]
    overview, page = index.read_text("utf-8"), (index.parent / "dev.html").read_text("utf-8")
    assert [f'<a href="{name}.html">' in overview for name in ("dev", "staging", "prod")] == [True, False, True]
    assert "As known at <strong>1 April 2013</strong>" in page


def test_an_environment_that_has_no_data_still_gets_its_own_page(contexts: Contexts) -> None:
    index = write_report(contexts("staging"))

    assert sorted(p.name for p in index.parent.iterdir()) == ["index.html", "staging.html"]
    assert "gatehouse run ingest --env staging --as-of 2013-05-01" in (index.parent / "staging.html").read_text("utf-8")


def test_damage_in_another_environment_is_told_and_keeps_nobody_from_their_own_page(contexts: Contexts) -> None:
    prod, staging = contexts("prod"), contexts("staging")
    write_run(prod, "ingest", "flights", MAY, 100)
    write_run(staging, "ingest", "flights", MAY, 100)
    log = staging.root / "tables" / "staging" / "flight_delays" / RUNS.name / "_delta_log"
    for commit in log.glob("*.json"):
        commit.write_text("{", encoding="utf-8")

    index = write_report(prod)

    assert sorted(p.name for p in index.parent.iterdir()) == ["index.html", "prod.html"]
    assert f"staging.flight_delays.{RUNS.name}" in index.read_text("utf-8")
    with pytest.raises(GatehouseError):
        write_report(staging)
