"""Feature tables follow their sources: what is new is added, what changed is computed anew, nothing else is touched."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from chispa import assert_approx_df_equality

from gatehouse.errors import DataError, TableNotFound
from gatehouse.pipelines import ingest as ingesting
from gatehouse.pipelines.features import Refreshed, refresh
from gatehouse.pipelines.ingest import ingest
from gatehouse.project import Action, Column, Expectation, FeatureTable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.pipelines.conftest import Lakehouse, Raw

pytestmark = pytest.mark.slow

TABLE = "recent_weather"
INSTANT = timedelta(microseconds=1)


def may(day: int) -> datetime:
    return datetime(2013, 5, day, tzinfo=UTC)


def up_to(lakehouse: Lakehouse, as_of: str) -> Refreshed:
    """Ingest and refresh; what became of the one feature table."""
    context = lakehouse.at(as_of)
    ingest(context)
    (found,) = refresh(context)
    return found


def means(lakehouse: Lakehouse) -> list[tuple[Any, ...]]:
    """(day of May on which it is known, mean of three days) of every feature row."""
    rows = lakehouse.rows(TABLE, "prod", "known_at", "mean_temperature_3d")
    return [(known_at.day, mean) for known_at, mean in rows]


@pytest.fixture
def five_days(weather: Lakehouse, raw: Raw) -> Lakehouse:
    """The first five days of May, 2 to 10 degrees, taken in and computed."""
    for day in range(1, 6):
        raw.put(day, 2.0 * day)
    assert up_to(weather, "2013-05-06") == Refreshed(table=TABLE, rows=5, since=may(2) - INSTANT)
    assert means(weather) == [(2, 2.0), (3, 3.0), (4, 4.0), (5, 6.0), (6, 8.0)]
    return weather


def test_days_one_by_one_give_the_tables_that_all_at_once_give(
    open_lakehouse: Callable[..., Lakehouse], tmp_path: Path
) -> None:
    daily, at_once = open_lakehouse(tmp_path / "daily"), open_lakehouse(tmp_path / "at_once")

    for as_of in ("2013-02-01", "2013-02-02", "2013-02-03T12:00", "2013-02-05", "2013-02-06"):
        up_to(daily, as_of)
    up_to(at_once, "2013-02-06")

    for table in ("daily_weather", TABLE):
        one_by_one, together = daily.frame(table), at_once.frame(table)
        # Sail's running means take leaving values off again, so their last digits depend on where they began.
        assert_approx_df_equality(one_by_one, together, 1e-9, ignore_row_order=True)
        assert together.count() == 108


def test_the_same_command_again_computes_and_writes_nothing(five_days: Lakehouse) -> None:
    before = five_days.versions()

    assert refresh(five_days.at("2013-05-06")) == (Refreshed(table=TABLE, rows=0, since=None),)
    assert refresh(five_days.at("2013-05-04")) == (Refreshed(table=TABLE, rows=0, since=None),)
    assert five_days.versions() == before


def test_a_new_day_computes_that_day(five_days: Lakehouse, raw: Raw) -> None:
    raw.put(6, 12.0)

    assert up_to(five_days, "2013-05-07") == Refreshed(table=TABLE, rows=1, since=may(6))
    assert means(five_days)[-1] == (7, 10.0)


def test_a_corrected_row_computes_anew_from_the_moment_it_was_known(five_days: Lakehouse, raw: Raw) -> None:
    raw.put(4, 14.0)
    raw.put(6, 12.0)

    assert up_to(five_days, "2013-05-07") == Refreshed(table=TABLE, rows=3, since=may(5) - INSTANT)
    assert means(five_days) == [(2, 2.0), (3, 3.0), (4, 4.0), (5, 8.0), (6, 10.0), (7, 12.0)]


def test_a_late_row_computes_anew_from_the_moment_it_was_known(weather: Lakehouse, raw: Raw) -> None:
    raw.put(1, 10.0)
    raw.put(3, 30.0)
    up_to(weather, "2013-05-04")

    raw.put(2, 50.0)

    assert up_to(weather, "2013-05-05") == Refreshed(table=TABLE, rows=2, since=may(3) - INSTANT)
    assert means(weather) == [(2, 10.0), (3, 30.0), (4, 30.0)]


def test_a_correction_that_came_in_at_the_same_as_of_is_not_missed(five_days: Lakehouse, raw: Raw) -> None:
    raw.put(2, 16.0)
    assert up_to(five_days, "2013-05-06") == Refreshed(table=TABLE, rows=4, since=may(3) - INSTANT)
    assert means(five_days) == [(2, 2.0), (3, 9.0), (4, 8.0), (5, 10.0), (6, 8.0)]


def test_a_correction_is_not_forgotten_when_a_second_run_at_the_same_as_of_brings_more(
    five_days: Lakehouse, raw: Raw
) -> None:
    raw.put(2, 16.0)
    ingest(five_days.at("2013-05-07"))
    raw.put(6, 12.0)
    ingest(five_days.at("2013-05-07"))

    (found,) = refresh(five_days.at("2013-05-07"))

    assert found == Refreshed(table=TABLE, rows=5, since=may(3) - INSTANT)


def test_a_correction_is_not_forgotten_when_its_run_was_killed_before_it_was_on_record(
    five_days: Lakehouse, raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    raw.put(2, 16.0)
    with monkeypatch.context() as patched:
        patched.setattr(ingesting, "record", killed)
        with pytest.raises(KeyboardInterrupt):
            ingest(five_days.at("2013-05-07"))
    ingest(five_days.at("2013-05-07"))

    (found,) = refresh(five_days.at("2013-05-07"))

    assert found == Refreshed(table=TABLE, rows=4, since=may(3) - INSTANT)


def test_an_outcome_that_arrives_matters_from_then_on(five_days: Lakehouse, raw: Raw) -> None:
    raw.put(1, 2.0, next_temperature=4.0)

    assert up_to(five_days, "2013-05-06") == Refreshed(table=TABLE, rows=4, since=may(3) - INSTANT)


def test_what_changed_later_than_as_of_does_not_matter_yet(five_days: Lakehouse, raw: Raw) -> None:
    raw.put(7, 14.0)
    ingest(five_days.at("2013-05-08"))
    before = five_days.versions()

    assert refresh(five_days.at("2013-05-06")) == (Refreshed(table=TABLE, rows=0, since=None),)
    assert five_days.versions() == before
    assert refresh(five_days.at("2013-05-08")) == (Refreshed(table=TABLE, rows=1, since=may(6)),)


def test_a_source_whose_log_says_nothing_is_computed_anew_throughout(five_days: Lakehouse, raw: Raw) -> None:
    context = five_days.at("2013-05-06")
    name = context.own("daily_weather")
    stored = context.tables.read(name)
    context.tables.append(name, stored.limit(1).selectExpr("'LGA' AS airport", *stored.columns[1:]))

    (found,) = refresh(context)

    assert found == Refreshed(table=TABLE, rows=6, since=may(2) - INSTANT)


def test_no_rows_yet_is_nothing_to_compute_until_there_are_some(weather: Lakehouse, raw: Raw) -> None:
    assert up_to(weather, "2013-05-02") == Refreshed(table=TABLE, rows=0, since=None)

    raw.put(1, 10.0)

    assert up_to(weather, "2013-05-02") == Refreshed(table=TABLE, rows=1, since=may(2) - INSTANT)


def _with_a_column(old: FeatureTable) -> FeatureTable:
    from pyspark.sql import functions as F

    doubled = Column(name="doubled", type="double", description="Twice the mean.")
    return replace(
        old,
        table=replace(old.table, columns=(*old.table.columns, doubled)),
        compute=lambda inputs, window: old.compute(inputs, window).withColumn(
            "doubled", F.col("mean_temperature_3d") * 2
        ),
    )


def test_a_table_that_gains_a_column_is_computed_anew_throughout(five_days: Lakehouse) -> None:
    (old,) = five_days.world.project.feature_tables
    lakehouse = five_days.declaring(feature_tables=(_with_a_column(old),))

    (found,) = refresh(lakehouse.at("2013-05-06"))

    assert found == Refreshed(table=TABLE, rows=5, since=may(2) - INSTANT)
    assert lakehouse.rows(TABLE, "prod", "doubled") == [(4.0,), (6.0,), (8.0,), (12.0,), (16.0,)]


def test_rows_that_violate_an_expectation_are_set_aside_once_and_counted(five_days: Lakehouse, raw: Raw) -> None:
    (old,) = five_days.world.project.feature_tables
    mild = Expectation(
        name="mild", condition="mean_temperature_3d < 7", action=Action.QUARANTINE, reason="It is never that warm."
    )
    strict: FeatureTable = replace(old, table=replace(old.table, name="mild_weather", expectations=(mild,)))
    lakehouse = five_days.declaring(feature_tables=(strict,))

    (found,) = refresh(lakehouse.at("2013-05-06"))
    raw.put(1, 3.0)  # so that everything is computed anew
    ingest(lakehouse.at("2013-05-06"))
    (again,) = refresh(lakehouse.at("2013-05-06"))

    assert (found.rows, again.rows) == (4, 4)
    aside = lakehouse.rows("mild_weather_quarantine", "prod", "known_at", "mean_temperature_3d", "violated")
    assert [(at.day, round(mean, 6), violated) for at, mean, violated in aside] == [(6, 8.0, "mild")]
    counted = lakehouse.rows("expectation_results", "prod", "table_name", "expectation", "rows_checked", "violations")
    assert ("mild_weather", "mild", 5, 1) in counted


def test_two_rows_of_one_key_are_refused_and_nothing_is_written(five_days: Lakehouse) -> None:
    (old,) = five_days.world.project.feature_tables
    twice: FeatureTable = replace(
        old,
        table=replace(old.table, name="twice"),
        compute=lambda inputs, window: old.compute(inputs, window).unionByName(old.compute(inputs, window)),
    )
    lakehouse = five_days.declaring(feature_tables=(twice,))

    with pytest.raises(DataError, match=r"10 rows for twice have 5 keys \(airport, known_at\)"):
        refresh(lakehouse.at("2013-05-06"))

    assert lakehouse.rows("twice", "prod", "known_at") == []


def test_an_environment_computes_its_own_features_of_anothers_sources(five_days: Lakehouse) -> None:
    before = five_days.versions("prod")

    (found,) = refresh(five_days.at("2013-05-04", "dev"))

    assert found == Refreshed(table=TABLE, rows=3, since=may(2) - INSTANT)
    assert five_days.rows(TABLE, "dev", "mean_temperature_3d") == [(2.0,), (3.0,), (4.0,)]
    assert five_days.versions("prod") == before


def test_a_source_that_was_never_ingested_is_named_with_the_command_that_does_it(weather: Lakehouse) -> None:
    with pytest.raises(TableNotFound, match=r"prod\.temperature\.daily_weather, which recent_weather is") as error:
        refresh(weather.at("2013-05-06", "dev"))

    assert error.value.remedy == "gatehouse run ingest --env prod"
