"""No leakage, on real flights: what was not known at as-of changes nothing, and what was known changes something.

Two weeks are taken in once as they were, once with everything that lies in the future of as-of changed or gone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from chispa import assert_df_equality

from flight_delays import PROJECT, sources
from gatehouse.gates.promotion import CHAMPION
from gatehouse.pipelines.dataset import build, pin
from gatehouse.pipelines.features import refresh
from gatehouse.pipelines.inference import infer
from gatehouse.pipelines.ingest import ingest
from gatehouse.pipelines.monitoring import monitor
from gatehouse.pipelines.training import Trained, train
from gatehouse.project import Extraction, Source, Table
from gatehouse.settings import OptionsFile

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from tests.integration.pipelines.conftest import Lakehouse, Open

pytestmark = pytest.mark.slow

AS_OF = "2013-02-05T15:10"  # in the middle of a day, when flights are in the air
BEFORE = "2013-02-03T20:00"
NOW = pd.Timestamp(AS_OF, tz="UTC")
Rows = Mapping[str, pd.DataFrame]


def as_it_was() -> Rows:
    """Two weeks of weather and of some carriers' flights, three days of which lie after as-of, and all aircraft."""
    first, last = NOW - pd.Timedelta(days=11), NOW + pd.Timedelta(days=3)
    found = {}
    for table, rows in (("flights", sources.flights()), ("weather", sources.weather()), ("planes", sources.planes())):
        frame = rows.to_pandas()
        moment = frame[PROJECT.tables[table].known_at]
        found[table] = frame if table == "planes" else frame[(moment > first) & (moment <= last)]
    found["flights"] = found["flights"][found["flights"]["carrier"].isin(["UA", "MQ", "9E"])]
    return found


def with_another_future(rows: Rows) -> Rows:
    """The same up to as-of. Of what comes later half is gone, and the rest is as different as it can be."""
    flights, weather = rows["flights"].astype({"flight_number": "int64"}), rows["weather"].copy()
    random = np.random.default_rng(7)

    in_the_air = (flights["scheduled_at"] <= NOW) & (flights["outcome_known_at"] > NOW)
    later = flights["scheduled_at"] > NOW
    assert in_the_air.sum() > 20
    assert later.sum() > 800
    open_outcome = in_the_air | later
    flights.loc[open_outcome, "arrival_delay_minutes"] = random.integers(-30, 600, open_outcome.sum()).astype(float)
    flights.loc[open_outcome, "departure_delay_minutes"] = 555.0
    flights.loc[open_outcome, "air_time_minutes"] = 1.0
    flights.loc[open_outcome, "outcome"] = "arrived"
    moments = NOW + pd.to_timedelta(random.integers(1, 5000, open_outcome.sum()), unit="min")
    flights.loc[open_outcome, "outcome_known_at"] = moments
    flights.loc[later, ["carrier", "destination", "tail_number"]] = ["UA", "LAX", "N14228"]
    flights.loc[later, "flight_number"] = np.arange(later.sum()) + 10_000
    never = in_the_air & (random.random(len(flights)) < 0.3)
    flights.loc[never, list(PROJECT.event_table.late)] = None
    flights.loc[never, "outcome_known_at"] = pd.NaT

    observed_later = weather["observed_at"] > NOW
    assert observed_later.sum() > 200
    numbers = weather.select_dtypes("number").columns
    weather.loc[observed_later, numbers] = 100.0

    gone = random.random(len(flights)) < 0.5
    missing = random.random(len(weather)) < 0.5
    return {**rows, "flights": flights[~(later & gone)], "weather": weather[~(observed_later & missing)]}


def with_one_landing_an_hour_later(rows: Rows) -> Rows:
    """A flight that had landed by as-of was an hour later than it is said to have been."""
    flights = rows["flights"].copy()
    known = (
        flights[flights["outcome_known_at"] <= NOW - pd.Timedelta(hours=2)].sort_values("outcome_known_at").index[-1]
    )
    flights.loc[known, "arrival_delay_minutes"] += 60.0
    flights.loc[known, "outcome_known_at"] += pd.Timedelta(hours=1)
    return {**rows, "flights": flights}


def delivering(rows: Rows) -> tuple[Source, ...]:
    """The project's sources, which deliver all of these rows whatever they are asked for, the future included."""

    def extract(name: str, table: Table) -> Callable[[Extraction], DataFrame]:
        kinds = {"string": pa.string(), "int": pa.int32(), "double": pa.float64()}
        schema = pa.schema([(c.name, kinds.get(c.type, pa.timestamp("us", tz="UTC"))) for c in table.columns])
        arrow = pa.Table.from_pandas(rows[name][list(table.names)], schema=schema, preserve_index=False)
        return lambda asked: asked.frame(arrow, table)

    return tuple(replace(s, extract=extract(s.table.name, s.table)) for s in PROJECT.sources)


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """A lakehouse in which every pipeline has run up to as-of."""

    lakehouse: Lakehouse
    trained: Trained
    model: str

    def data_set(self) -> DataFrame:
        """What training and evaluation read."""
        context = self.lakehouse.at(AS_OF)
        return build(context, pin(context), after=context.as_of - timedelta(days=11), until=context.as_of)


def run_everything(lakehouse: Lakehouse, *as_ofs: str) -> World:
    for as_of in as_ofs:
        ingest(lakehouse.at(as_of))
        refresh(lakehouse.at(as_of))
    context = lakehouse.at(AS_OF)
    trained = train(context, proposer="ada@example.org")
    context.registry.set_alias(context.model, CHAMPION, trained.version.version)
    infer(context)
    monitor(context)
    folder = context.registry.download(context.model, trained.version.version)
    return World(lakehouse=lakehouse, trained=trained, model=(folder / "model.lgb").read_text())


@pytest.fixture(scope="module")
def small(open_lakehouse: Open, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Rows], Lakehouse]:
    """The flights project on given rows, with a model that is trained in no time."""
    options = {"n_estimators": 15, "num_leaves": 7, "min_child_samples": 50}

    def make(name: str, rows: Rows) -> Lakehouse:
        lakehouse = open_lakehouse(tmp_path_factory.mktemp(name), "flights", sources=delivering(rows))
        settings = lakehouse.world.place.settings
        return lakehouse.configured(
            training=settings.training.model_copy(
                update={"hold_out_days": 3, "validation_days": 2, "minimum_rows": 1000}
            ),
            options=OptionsFile.model_validate({"candidates": [{"found_by": "test", "options": options}]}),
        )

    return make


@pytest.fixture(scope="module")
def reality(small: Callable[[str, Rows], Lakehouse]) -> World:
    return run_everything(small("reality", as_it_was()), AS_OF)


@pytest.fixture(scope="module")
def other_future(small: Callable[[str, Rows], Lakehouse]) -> World:
    """In two steps, so that what is done bit by bit is held to the same."""
    return run_everything(small("other_future", with_another_future(as_it_was())), BEFORE, AS_OF)


COMPARED = [*PROJECT.tables, "predictions"]


@pytest.mark.parametrize("table", COMPARED)
def test_no_row_of_any_table_depends_on_what_was_not_known(reality: World, other_future: World, table: str) -> None:
    expected = reality.lakehouse.frame(table).drop("probabilities")  # all null, and lists cannot be sorted

    found = other_future.lakehouse.frame(table).drop("probabilities")
    assert_df_equality(found, expected, ignore_row_order=True)
    assert expected.count() > 0


def test_no_feature_and_no_label_of_the_data_set_does(reality: World, other_future: World) -> None:
    expected = reality.data_set()

    assert_df_equality(other_future.data_set(), expected, ignore_row_order=True, ignore_nullable=True)
    assert 2_500 < expected.count() < 3_500


def test_no_model_and_no_measurement_does(reality: World, other_future: World) -> None:
    def measured(world: World) -> dict[tuple[object, ...], float]:
        columns = ("metric", "subject", "model_version", "unit_value", "rows", "value")
        rows = world.lakehouse.rows("monitoring_metrics", "prod", *columns)
        figures = {tuple(key): float("nan") if value is None else value for *key, value in rows}
        return {key: value for key, value in figures.items() if key[0] != "violations"}  # counted by run

    assert other_future.model == reality.model
    assert other_future.trained.rows == reality.trained.rows > 1_500
    assert other_future.trained.metrics == reality.trained.metrics
    assert other_future.trained.baseline_metrics == reality.trained.baseline_metrics
    # The order in which a sum is taken moves its last digit.
    assert measured(other_future) == pytest.approx(measured(reality), rel=1e-12, nan_ok=True)
    assert len(measured(reality)) > 100


def test_one_landing_that_was_known_changes_features_labels_and_metrics(
    reality: World, small: Callable[[str, Rows], Lakehouse]
) -> None:
    """The counterpart, without which the tests above would pass on tables of zeros."""
    before = reality.data_set().toPandas()
    figures = reality.lakehouse.rows("monitoring_metrics", "prod", "metric", "subject", "unit_value", "value")

    corrected = reality.lakehouse.declaring(sources=delivering(with_one_landing_an_hour_later(as_it_was())))
    ingest(corrected.at(AS_OF))
    refresh(corrected.at(AS_OF))
    monitor(corrected.at(AS_OF))
    after = replace(reality, lakehouse=corrected).data_set().toPandas()

    keys = list(PROJECT.event_table.primary_key)
    both = before.merge(after, on=keys, suffixes=("", "_after"))
    changed = {c for c in before.columns if c not in keys and not both[c].equals(both[f"{c}_after"])}
    assert {"label_known_at", "origin_recent_delay", "carrier_recent_delay"} <= changed
    assert changed <= {*PROJECT.features, "label_known_at", "late"}
    assert corrected.rows("monitoring_metrics", "prod", "metric", "subject", "unit_value", "value") != figures
