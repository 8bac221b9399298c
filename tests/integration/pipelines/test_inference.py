"""Each event is predicted once, by the version that was champion then; what was predicted is never changed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from pyspark.sql import functions as F

from gatehouse.errors import DataError, NoChampion
from gatehouse.gates.promotion import CHAMPION
from gatehouse.pipelines import inference
from gatehouse.pipelines.decisions import JUDGED_TAG
from gatehouse.pipelines.features import refresh
from gatehouse.pipelines.inference import Scored, infer
from gatehouse.pipelines.ingest import ingest
from gatehouse.pipelines.monitoring import monitor
from gatehouse.pipelines.steps import run_pipeline
from gatehouse.pipelines.training import train

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import DataFrame
    from tests.integration.pipelines.conftest import Lakehouse

LOG = ("airport", "measured_at", "model_version", "predicted_at", "prediction")
DAYS = 62 * 3  # scoring_days of three airports


def up_to(lakehouse: Lakehouse, as_of: str) -> Scored:
    context = lakehouse.at(as_of)
    ingest(context)
    refresh(context)
    return infer(context)


@pytest.mark.broken_gate(23)
def test_the_same_run_again_adds_nothing_and_a_day_later_only_that_day(trained: Lakehouse) -> None:
    first = infer(trained.at("2013-10-01"))
    before, log = trained.versions(), trained.rows("predictions", "prod", *LOG)
    again = infer(trained.at("2013-10-01"))
    unchanged = trained.versions()
    later = up_to(trained, "2013-10-02")
    earlier = infer(trained.at("2013-09-15"))

    assert first == again == Scored(model_version="1", run_key="20131001T000000-v1", rows=DAYS)
    assert unchanged == before
    assert later == Scored(model_version="1", run_key="20131002T000000-v1", rows=3)
    assert earlier == Scored(model_version="1", run_key="20130915T000000-v1", rows=16 * 3)
    rows = trained.rows("predictions", "prod", *LOG)
    assert len(rows) == DAYS + 3 + 16 * 3
    assert set(log) < set(rows)


def test_a_run_that_scores_nothing_leaves_the_file_of_the_one_before(trained: Lakehouse, tmp_path: Path) -> None:
    file = tmp_path / "predictions.csv"
    first = run_pipeline(trained.at("2013-10-01"), "inference", destinations=[str(file)])
    written = file.read_bytes()
    second = run_pipeline(trained.at("2013-10-01T00:30"), "inference", destinations=[str(file)])

    assert (first.exported, second.exported) == ((str(file),), ())
    assert second.inference == Scored(model_version="1", run_key="20131001T003000-v1", rows=0)
    assert written.count(b"\n") == DAYS + 1
    assert file.read_bytes() == written


def test_what_is_derived_for_scoring_and_for_monitoring_sees_no_late_column(trained: Lakehouse) -> None:
    project, seen = trained.world.project, list[set[str]]()

    def derive(rows: DataFrame) -> DataFrame:
        seen.append(set(rows.columns))
        return project.events.derive(rows) if project.events.derive else rows

    watched = trained.declaring(events=replace(project.events, derive=derive))
    infer(watched.at("2013-10-01"))
    scoring = len(seen)
    monitor(watched.at("2013-10-01"))

    assert 0 < scoring < len(seen)
    assert [columns & {*project.event_table.late} for columns in seen] == [set()] * len(seen)


@pytest.mark.broken_gate(25)
def test_how_far_back_events_are_scored_and_watched_is_what_the_file_says(trained: Lakehouse) -> None:
    monitoring = trained.world.place.settings.monitoring.model_copy(update={"scoring_days": 5, "window_days": 2})
    short = trained.configured(monitoring=monitoring)

    scored, watched = infer(short.at("2013-10-01")).rows, monitor(short.at("2013-10-01")).predictions

    assert (scored, watched) == (5 * 3, 2 * 3)


@pytest.mark.broken_gate(23)
def test_a_new_champion_predicts_what_is_new_and_leaves_the_rest(trained: Lakehouse) -> None:
    infer(trained.at("2013-10-01"))
    log = set(trained.rows("predictions", "prod", *LOG))
    second = train(trained.at("2013-10-01"), proposer="ada@example.org", hold_out_days=0).version.version
    trained.at("2013-10-01").registry.set_alias("prod.temperature.temperature", CHAMPION, second)

    same_moment = infer(trained.at("2013-10-01"))
    next_day = up_to(trained, "2013-10-02")
    found = monitor(trained.at("2013-10-02"))

    assert (same_moment.rows, next_day.model_version, next_day.rows) == (0, "2", 3)
    assert log < set(trained.rows("predictions", "prod", *LOG))
    assert (found.predictions, found.labelled) == (28 * 3, 27 * 3)


def test_a_refit_is_compared_with_the_hold_out_of_the_version_it_was_made_of(trained: Lakehouse) -> None:
    context = trained.at("2013-10-01")
    judged = context.registry.get(context.model, "1")
    refit = train(context, proposer="ada@example.org", hold_out_days=0).version.version
    context.registry.set_alias(context.model, CHAMPION, refit)
    infer(context)

    def shortfall() -> list[float]:
        monitor(context)
        rows = trained.frame("monitoring_metrics").where("metric = 'accuracy_shortfall'").collect()
        return [row["value"] for row in rows if row["model_version"] == refit]

    assert shortfall() == []  # it has none of its own
    context.registry.set_tags(context.model, refit, {JUDGED_TAG: judged.version})
    assert judged.run_id is not None
    before = context.tracking.read_metrics(judged.run_id)["hold_out_rmse"]
    assert shortfall() == [pytest.approx(monitor(context).metrics["rmse"] - before)]


def test_predictions_stay_when_what_they_were_made_of_is_corrected(trained: Lakehouse) -> None:
    infer(trained.at("2013-10-01"))
    log, features = trained.rows("predictions", "prod", *LOG), trained.rows("recent_weather")

    (source,) = trained.world.project.sources
    warmer = replace(source, extract=lambda asked: source.extract(asked).withColumn("temperature", F.lit(20.0)))
    context = trained.declaring(sources=(warmer,)).at("2013-10-01")
    ingest(context)
    refresh(context)
    infer(context)

    assert trained.rows("recent_weather") != features
    assert trained.rows("predictions", "prod", *LOG) == log


def test_without_a_champion_nothing_is_predicted_or_written(trained: Lakehouse) -> None:
    context = trained.at("2013-10-01")
    context.registry.delete_alias(context.model, CHAMPION)
    before = trained.versions()

    with pytest.raises(NoChampion, match=r"prod\.temperature\.temperature has no champion"):
        infer(context)

    assert trained.versions() == before


def test_a_champion_that_needs_a_feature_which_is_gone_predicts_nothing(trained: Lakehouse) -> None:
    project = trained.world.project
    newer = trained.declaring(features=tuple(f for f in project.features if f != "dew_point"))

    with pytest.raises(DataError, match=r"Version 1 of prod\.temperature\.temperature needs dew_point, which is no"):
        infer(newer.at("2013-10-01"))

    assert trained.rows("predictions") == []


def test_a_champion_gets_its_features_in_its_own_order(trained: Lakehouse) -> None:
    infer(trained.at("2013-09-15"))
    turned = trained.declaring(features=tuple(reversed(trained.world.project.features)))

    infer(turned.at("2013-10-01"))

    in_order = [p for *_, p in trained.rows("predictions", "prod", "measured_at", "prediction")]
    assert all(-10 < p < 40 for p in in_order)  # degrees; columns mixed up would give hundreds


def test_a_run_that_was_killed_before_it_was_on_record_is_completed_without_scoring_twice(
    trained: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(inference, "record", killed)
        with pytest.raises(KeyboardInterrupt):
            infer(trained.at("2013-10-01"))

    assert infer(trained.at("2013-10-01")).rows == DAYS
    assert len(trained.rows("predictions")) == DAYS


def test_as_of_before_the_data_predicts_nothing(trained: Lakehouse) -> None:
    assert infer(trained.at("2012-06-01")).rows == 0
    assert trained.rows("predictions") == []


def test_monitoring_before_anything_was_predicted_says_so(trained: Lakehouse) -> None:
    found = monitor(trained.at("2013-10-01"))

    assert (found.predictions, found.labelled, found.metrics, found.drifted) == (0, 0, {}, ())
    assert {row[0] for row in trained.rows("monitoring_metrics", "prod", "metric")} == {"rows", "violations"}
