"""The first use case through the pipelines: trained on January to March, it predicts May better than its baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from flight_delays import PROJECT, sources
from gatehouse.evaluation.point import value
from gatehouse.gates.promotion import CHAMPION
from gatehouse.pipelines.features import refresh
from gatehouse.pipelines.inference import Scored, infer
from gatehouse.pipelines.ingest import Ingested, ingest
from gatehouse.pipelines.monitoring import Monitored, monitor
from gatehouse.pipelines.quality import expectations_of
from gatehouse.pipelines.training import Trained, train
from gatehouse.settings import OptionsFile

if TYPE_CHECKING:
    from tests.integration.pipelines.conftest import Lakehouse, Open

pytestmark = pytest.mark.slow

APRIL, JUNE = "2013-04-01", "2013-06-01"


@dataclass(frozen=True, kw_only=True, slots=True)
class Spring:
    """Production after training at the start of April, and scoring May when it was over."""

    lakehouse: Lakehouse
    trained: Trained
    ingested: tuple[Ingested, ...]
    scored: Scored
    monitored: Monitored


@pytest.fixture(scope="module")
def spring(open_lakehouse: Open, tmp_path_factory: pytest.TempPathFactory) -> Spring:
    lakehouse = open_lakehouse(tmp_path_factory.mktemp("flights"), "flights")
    monitoring = lakehouse.world.place.settings.monitoring
    options = {"n_estimators": 80, "learning_rate": 0.1}
    lakehouse = lakehouse.configured(
        options=OptionsFile.model_validate({"candidates": [{"found_by": "test", "options": options}]}),
        monitoring=monitoring.model_copy(update={"scoring_days": 31, "window_days": 31}),
    )
    context = lakehouse.at(APRIL)
    ingest(context)
    refresh(context)
    trained = train(context, proposer="ada@example.org", hold_out_days=0)
    context.registry.set_alias(context.model, CHAMPION, trained.version.version)
    later = lakehouse.at(JUNE)
    ingested = ingest(later)
    refresh(later)
    return Spring(
        lakehouse=lakehouse, trained=trained, ingested=ingested, scored=infer(later), monitored=monitor(later)
    )


def test_the_hold_out_log_loss_in_may_beats_the_baselines(spring: Spring) -> None:
    assert PROJECT.events.derive is not None
    frame = spring.lakehouse.frame("flights")
    flights = PROJECT.events.derive(frame).selectExpr("*", f"{PROJECT.label.expression} AS late").toPandas()
    known = flights[(flights["outcome_known_at"] <= pd.Timestamp(APRIL)) & flights["late"].notna()]
    may = flights[(flights["scheduled_at"] > pd.Timestamp("2013-05-01")) & flights["late"].notna()]
    rule = PROJECT.baseline.fit(known, known["late"])

    by_rule = {m.name: value(m, may["late"].to_numpy(), rule.predict(may)) for m in PROJECT.metrics}

    assert (len(known), len(may)) == (spring.trained.rows, spring.monitored.labelled)
    assert by_rule["log_loss"] == pytest.approx(0.506, abs=0.001)
    assert spring.monitored.metrics["log_loss"] < 0.47  # 0.458 when this was written
    assert spring.monitored.metrics["roc_auc"] > by_rule["roc_auc"] + 0.05
    assert spring.monitored.metrics["brier"] < by_rule["brier"]


def test_every_flight_is_predicted_once_also_those_that_never_left(spring: Spring) -> None:
    log = spring.lakehouse.frame("predictions").toPandas()
    flights = spring.lakehouse.frame("flights").toPandas()
    may = flights[flights["scheduled_at"] > pd.Timestamp("2013-05-01")]
    keys = list(PROJECT.event_table.primary_key)

    assert spring.scored.rows == len(log) == len(may)
    assert len(log.merge(may, on=keys)) == len(may)
    assert log["prediction"].between(0, 1).all()
    cancelled = log.merge(may[may["outcome"] == "cancelled"], on=keys)
    assert len(cancelled) > 400
    assert spring.monitored.labelled < spring.monitored.predictions == len(log)


def test_what_arrives_late_is_merged_and_what_is_impossible_is_set_aside(spring: Spring) -> None:
    counted = spring.lakehouse.rows("expectation_results", "prod", "as_of", "expectation", "rows_checked", "violations")
    (aside,) = spring.lakehouse.rows("weather_quarantine", "prod", "wind_speed_mph", "violated")

    raw = sources.flights().to_pandas()
    april = pd.Timestamp(APRIL, tz="UTC")
    in_the_air = ((raw["scheduled_at"] <= april) & (raw["outcome_known_at"] > april)).sum()
    flights, weather, planes = spring.ingested
    assert (flights.table, flights.inserted, flights.quarantined) == ("flights", 57_129, 0)
    assert flights.updated == in_the_air
    assert (weather.table, planes) == ("weather", Ingested(table="planes"))
    assert aside == (pytest.approx(1048.36, abs=0.01), "wind_speed_is_possible")
    assert len(counted) == 2 * sum(len(expectations_of(s.table)) for s in PROJECT.sources)
    zero = [name for _, name, rows, violations in counted if rows > 50_000 and violations == 0]
    assert "origin_is_served" in zero
