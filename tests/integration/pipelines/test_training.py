"""Which rows a model is made of, which options, and when it is the version that is there already."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from pyspark.sql import functions as F

from gatehouse.errors import DataError, TableNotFound
from gatehouse.pipelines.compliance import ordinary_rows
from gatehouse.pipelines.dataset import EVENT_TIME, LABEL_KNOWN_AT, build, outcomes, pin
from gatehouse.pipelines.features import refresh
from gatehouse.pipelines.ingest import ingest
from gatehouse.pipelines.training import train
from gatehouse.pipelines.windows import windows
from gatehouse.project import Estimator, FittedModel, Options, Trial
from gatehouse.settings import OptionsFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.integration.pipelines.conftest import Lakehouse, Open

AS_OF = "2013-10-01"
DAY = pd.Timedelta(days=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Watched:
    """The project's own estimator; keeps how many rows it was fitted on, and with what."""

    own: Estimator
    fits: list[tuple[int, Options]] = field(default_factory=list, compare=False)

    @property
    def requirements(self) -> Sequence[str]:
        return self.own.requirements

    def search_space(self, trial: Trial) -> Options:
        return self.own.search_space(trial)

    def fit(self, features: pd.DataFrame, label: pd.Series[Any], options: Options, *, seed: int) -> FittedModel:
        self.fits.append((len(features), options))
        return self.own.fit(features, label, options, seed=seed)


@pytest.fixture(scope="module")
def ready(trained_once: Lakehouse, open_lakehouse: Open, tmp_path_factory: pytest.TempPathFactory) -> Lakehouse:
    """Nine months of three airports, with features; the tests train different versions of it."""
    folder = tmp_path_factory.mktemp("training") / "lakehouse"
    return open_lakehouse(Path(shutil.copytree(trained_once.world.place.root, folder)))


@pytest.fixture
def watched(ready: Lakehouse) -> tuple[Lakehouse, list[tuple[int, Options]]]:
    estimator = Watched(own=ready.world.project.estimator)
    return ready.declaring(estimator=estimator), estimator.fits


def events(ready: Lakehouse, after: str, until: str, *, known_by: str) -> int:
    """How many events of (after, until] have a label that was known by then."""
    rows = ready.frame("daily_weather").toPandas()
    inside = (rows["measured_at"] > after) & (rows["measured_at"] <= until)
    return int((inside & rows["next_temperature"].notna() & (rows["next_measured_at"] <= known_by)).sum())


def number(lakehouse: Lakehouse, **differing: Any) -> tuple[str, bool]:
    found = train(replace(lakehouse.at(AS_OF), **differing), proposer="ada@example.org")
    return found.version.version, found.reused


def test_events_are_counted_without_features_as_they_are_built_with_them(ready: Lakehouse) -> None:
    context = ready.at(AS_OF)
    keys = list(context.project.event_table.primary_key)
    columns = [*keys, EVENT_TIME, context.project.label.name, LABEL_KNOWN_AT]
    stretch = windows(context.as_of, context.settings.training)
    both = [
        rows(context, pin(context), after=stretch.train_end, until=context.as_of).select(columns).orderBy(keys)
        for rows in (build, outcomes)
    ]
    built, counted = (rows.toPandas() for rows in both)
    assert len(built) > 0
    pd.testing.assert_frame_equal(built, counted)


def test_a_model_is_asked_about_the_newest_of_all_events_of_the_hold_out(ready: Lakehouse) -> None:
    context = ready.at(AS_OF)
    stretch = windows(context.as_of, context.settings.training)
    frame = build(context, pin(context), after=stretch.train_end, until=context.as_of)
    newest = frame.orderBy(*(F.col(k).desc() for k in (EVENT_TIME, *context.project.event_table.primary_key)))
    expected = newest.limit(50).select(*context.project.features).toPandas()
    assert len(expected) == 50
    pd.testing.assert_frame_equal(ordinary_rows(context), expected)


def configured(lakehouse: Lakehouse, **differing: Any) -> Lakehouse:
    training = lakehouse.world.place.settings.training
    return lakehouse.configured(training=training.model_copy(update=differing))


@pytest.mark.broken_gate(7)
def test_what_decides_the_model_makes_a_version_and_nothing_else_does(ready: Lakehouse) -> None:
    code = ready.at(AS_OF).code
    monitoring = ready.world.place.settings.monitoring.model_copy(update={"window_days": 14})

    first, _ = number(ready)
    again = [
        number(ready),
        number(ready.configured(monitoring=monitoring)),
        number(ready, code=replace(code, commit="b" * 40)),
    ]
    others = [
        number(configured(ready, seed=7)),
        number(configured(ready, hold_out_days=28)),
        number(ready.configured(options=reviewed({"alpha": 2.0}))),
        number(ready, code=replace(code, training_digest="e" * 64)),
    ]

    assert again == [(first, True)] * 3
    assert [made for _, made in others] == [False] * 4
    assert len({first, *(version for version, _ in others)}) == 5
    assert number(ready) == (first, True)


def reviewed(*options: Options) -> OptionsFile:
    return OptionsFile.model_validate({"candidates": [{"found_by": "ada", "options": dict(o)} for o in options]})


def test_a_model_is_fitted_on_what_was_known_when_training_ended_and_judged_on_what_came_after(
    ready: Lakehouse, watched: tuple[Lakehouse, list[tuple[int, Options]]]
) -> None:
    lakehouse, fits = watched

    found = train(configured(lakehouse, seed=2).at(AS_OF), proposer="ada@example.org")

    known = events(ready, "2013-01-01", "2013-08-06", known_by="2013-08-06")
    assert fits == [(known, {"alpha": 1.0})]
    assert found.rows == known == 648  # 216 days: of the 217 that were over, the last was not yet followed by another
    assert set(found.metrics) == set(found.baseline_metrics) == {"rmse", "mae"}
    assert found.metrics["rmse"] < found.baseline_metrics["rmse"]


def test_without_a_hold_out_a_model_is_fitted_on_all_that_is_known_and_not_judged(
    ready: Lakehouse, watched: tuple[Lakehouse, list[tuple[int, Options]]]
) -> None:
    lakehouse, fits = watched

    found = train(configured(lakehouse, seed=3).at(AS_OF), proposer="ada@example.org", hold_out_days=0)

    assert fits == [(events(ready, "2013-01-01", AS_OF, known_by=AS_OF), {"alpha": 1.0})]
    assert (found.metrics, found.baseline_metrics) == ({}, {})


def test_production_chooses_among_the_reviewed_options_by_the_last_days_of_training(
    ready: Lakehouse, watched: tuple[Lakehouse, list[tuple[int, Options]]]
) -> None:
    lakehouse, fits = watched
    options = [{"alpha": 1e6}, {"alpha": 1.0}]

    found = train(lakehouse.configured(options=reviewed(*options)).at(AS_OF), proposer="ada@example.org")

    inner = events(ready, "2013-01-01", "2013-07-09", known_by="2013-07-09")
    assert [rows for rows, _ in fits] == [inner, inner, found.rows]
    assert [used for _, used in fits] == [*options, {"alpha": 1.0}]
    assert found.version.tags["gatehouse_options"] == '{"alpha": 1.0}'


def test_a_share_of_the_events_is_a_share_of_the_training_rows(ready: Lakehouse) -> None:
    part = ready.environment("part", sources_from="prod", data_fraction=0.25)
    refresh(part.at(AS_OF, "part"))

    found = train(part.at(AS_OF, "part"), proposer="ada@example.org")

    assert 120 < found.rows < 200
    assert part.versions("prod") == ready.versions("prod")


@pytest.mark.parametrize(
    ("settings", "as_of", "said"),
    [
        ({"minimum_rows": 5000}, AS_OF, r"648 labelled rows up to 2013-08-06, fewer than minimum_rows \(5,000\)"),
        ({}, "2013-01-20", r"0 labelled rows up to 2012-11-25"),
        ({"validation_days": 400, "seed": 4}, AS_OF, "leave 0 rows to fit on and 648 to choose by"),
    ],
)
def test_too_little_data_is_refused_and_registers_nothing(
    ready: Lakehouse, settings: dict[str, Any], as_of: str, said: str
) -> None:
    before = ready.at(AS_OF).registry.versions("prod.temperature.temperature")
    two = ready.configured(options=reviewed({"alpha": 1.0}, {"alpha": 3.0}))

    with pytest.raises(DataError, match=said):
        train(configured(two, **settings).at(as_of), proposer="ada@example.org")

    assert ready.at(AS_OF).registry.versions("prod.temperature.temperature") == before


def test_what_was_not_computed_is_named_with_the_command_that_does_it(ready: Lakehouse) -> None:
    with pytest.raises(TableNotFound, match=r"staging\.temperature\.daily_weather does not exist") as error:
        train(ready.at(AS_OF, "staging"), proposer="ada@example.org")
    assert error.value.remedy == "gatehouse run ingest --env staging --as-of 2013-10-01"

    with pytest.raises(TableNotFound, match=r"dev\.temperature\.recent_weather does not exist") as error:
        train(ready.at(AS_OF, "dev"), proposer="ada@example.org")
    assert error.value.remedy == "gatehouse run features --env dev --as-of 2013-10-01"


def test_a_fit_that_fails_registers_nothing_and_its_run_says_so(ready: Lakehouse) -> None:
    @dataclass(frozen=True)
    class Broken(Watched):
        def fit(self, *_: Any, **__: Any) -> FittedModel:
            raise ArithmeticError("did not converge")

    context = ready.declaring(estimator=Broken(own=ready.world.project.estimator)).at(AS_OF)
    broken = replace(context, code=replace(context.code, training_digest="f" * 64))
    before = context.registry.versions(context.model)

    with pytest.raises(ArithmeticError, match="did not converge"):
        train(broken, proposer="ada@example.org")

    assert context.registry.versions(context.model) == before
    (last, *_) = context.tracking.client.search_runs([context.tracking.experiment_id], max_results=1)
    assert last.info.status == "FAILED"


def test_a_later_look_at_the_same_moment_reads_the_same_rows_and_finds_the_same_version(ready: Lakehouse) -> None:
    first, _ = number(ready)

    later = ready.at("2013-10-05")
    ingest(later)
    refresh(later)

    assert number(ready) == (first, True)
    assert ready.versions()["daily_weather"] == 2
