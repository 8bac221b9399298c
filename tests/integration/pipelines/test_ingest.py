"""What a source delivers and what becomes of it. A day is known when it is over, the next one's warmth a day later."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from gatehouse.errors import ExpectationFailed, SchemaBreak, TableMismatch
from gatehouse.pipelines.ingest import Ingested, ingest
from gatehouse.project import Action, Column, Expectation

if TYPE_CHECKING:
    from tests.integration.pipelines.conftest import Lakehouse, Raw

TABLE = "daily_weather"


def may(day: int) -> datetime:
    return datetime(2013, 5, day, tzinfo=UTC)


def known(lakehouse: Lakehouse) -> list[tuple[Any, ...]]:
    """(airport, day of May that was measured, its temperature, the next one's) of every stored row."""
    rows = lakehouse.rows(TABLE, "prod", "airport", "measured_at", "temperature", "next_temperature")
    return [(airport, (at - timedelta(days=1)).day, now, following) for airport, at, now, following in rows]


def counts(lakehouse: Lakehouse) -> list[tuple[Any, ...]]:
    """(expectation, day of as-of, rows that were looked at, violations)."""
    columns = ("expectation", "as_of", "rows_checked", "violations")
    return [
        (name, as_of.day, *numbers) for name, as_of, *numbers in lakehouse.rows("expectation_results", "prod", *columns)
    ]


def set_aside(lakehouse: Lakehouse) -> list[tuple[Any, ...]]:
    columns = ("airport", "temperature", "violated", "quarantined_at")
    return [(*row, at.day) for *row, at in lakehouse.rows(f"{TABLE}_quarantine", "prod", *columns)]


def test_what_is_not_known_at_as_of_is_left_out_rows_and_late_columns_alike(weather: Lakehouse, raw: Raw) -> None:
    raw.put(1, 10.0, next_temperature=11.0)
    raw.put(2, 11.0, next_temperature=12.0)
    raw.put(3, 12.0, next_temperature=13.0)

    (found,) = ingest(weather.at("2013-05-03"))

    assert found == Ingested(table=TABLE, inserted=2)
    assert known(weather) == [("JFK", 1, 10.0, 11.0), ("JFK", 2, 11.0, None)]


def test_the_next_run_asks_for_what_is_new_and_what_may_be_late_and_fills_in_outcomes(
    weather: Lakehouse, raw: Raw
) -> None:
    raw.put(1, 10.0, next_temperature=11.0)
    raw.put(2, 11.0, next_temperature=12.0)
    raw.put(3, 12.0, next_temperature=13.0)
    ingest(weather.at("2013-05-03"))

    (found,) = ingest(weather.at("2013-05-04"))

    asked = [(a.since, a.until) for a in raw.asked]
    assert asked == [
        (None, may(3)),
        (may(1), may(4)),
    ]
    assert found == Ingested(table=TABLE, inserted=1, updated=1)
    assert known(weather) == [("JFK", 1, 10.0, 11.0), ("JFK", 2, 11.0, 12.0), ("JFK", 3, 12.0, None)]


def test_the_same_command_again_writes_nothing_at_all(weather: Lakehouse, raw: Raw) -> None:
    raw.put(1, 10.0)
    raw.put(2, 999.0)
    ingest(weather.at("2013-05-03"))
    before, counted = weather.versions(), counts(weather)

    (found,) = ingest(weather.at("2013-05-03"))

    assert found == Ingested(table=TABLE)
    assert (weather.versions(), counts(weather)) == (before, counted)


def test_late_and_corrected_rows_are_merged_and_others_stay(weather: Lakehouse, raw: Raw) -> None:
    raw.put(1, 10.0)
    raw.put(3, 12.0)
    ingest(weather.at("2013-05-04"))

    raw.put(1, 10.5)
    raw.put(2, 11.0)
    raw.put(4, 13.0)
    (found,) = ingest(weather.at("2013-05-05"))

    assert found == Ingested(table=TABLE, inserted=2, updated=1)
    assert known(weather) == [
        ("JFK", 1, 10.5, None),
        ("JFK", 2, 11.0, None),
        ("JFK", 3, 12.0, None),
        ("JFK", 4, 13.0, None),
    ]


def test_a_row_that_the_source_no_longer_delivers_stays(weather: Lakehouse, raw: Raw) -> None:
    raw.put(1, 10.0)
    ingest(weather.at("2013-05-02"))

    raw.rows.clear()
    raw.put(2, 11.0)
    ingest(weather.at("2013-05-03"))

    assert [row[1] for row in known(weather)] == [1, 2]


def test_an_earlier_as_of_leaves_the_table_as_it_is(weather: Lakehouse, raw: Raw) -> None:
    raw.put(1, 10.0)
    raw.put(2, 11.0)
    ingest(weather.at("2013-05-03"))
    before = weather.versions()

    raw.put(1, 50.0)
    context = weather.at("2013-05-02")
    (found,) = ingest(context)

    assert found == Ingested(table=TABLE)
    assert weather.versions() == before
    assert context.progress.notes == [  # type: ignore[attr-defined]
        f"{TABLE} is known up to 2013-05-03 00:00, later than as-of: left as it is."
    ]


def test_a_moment_between_two_runs_is_told_what_it_will_not_see(weather: Lakehouse, raw: Raw) -> None:
    for day in (1, 2, 3):
        raw.put(day, 10.0 + day)
    for day in (2, 5):
        ingest(weather.at(f"2013-05-0{day}"))

    context = weather.at("2013-05-04")
    ingest(context)

    assert context.progress.notes[-1] == (  # type: ignore[attr-defined]
        f"{TABLE} is known up to 2013-05-05 00:00, later than as-of: left as it is. Nothing was taken in as of "
        "2013-05-04 00:00: what is computed as of then reads the table as it stood on 2013-05-02 00:00, without what "
        "became known in between. Go on from 2013-05-05, or begin anew (gatehouse reset)."
    )


def test_a_day_without_rows_is_a_day_that_was_looked_at(weather: Lakehouse, raw: Raw) -> None:
    (found,) = ingest(weather.at("2013-05-02"))

    assert found == Ingested(table=TABLE)
    assert known(weather) == []
    assert counts(weather) == [("temperature_on_earth", 2, 0, 0)]
    raw.put(1, 10.0)
    assert ingest(weather.at("2013-05-02")) == (Ingested(table=TABLE, inserted=1),)
    assert ingest(weather.at("2013-05-03")) == (Ingested(table=TABLE),)
    assert counts(weather) == [("temperature_on_earth", 2, 1, 0), ("temperature_on_earth", 3, 0, 0)]


def test_as_of_before_the_data_leaves_an_empty_table_that_fills_later(weather: Lakehouse, raw: Raw) -> None:
    raw.put(10, 10.0)

    assert ingest(weather.at("2013-05-01")) == (Ingested(table=TABLE),)
    assert ingest(weather.at("2013-05-11")) == (Ingested(table=TABLE, inserted=1),)


def test_impossible_values_are_set_aside_and_counted_once(weather: Lakehouse, raw: Raw) -> None:
    raw.put(1, 10.0)
    raw.put(2, 999.0)
    raw.put(2, None, airport="LGA")

    first = ingest(weather.at("2013-05-03"))
    raw.put(3, -273.0)
    second = ingest(weather.at("2013-05-04"))
    third = ingest(weather.at("2013-05-05"))

    assert first == (Ingested(table=TABLE, inserted=2, quarantined=1, violations=1),)
    assert second == (Ingested(table=TABLE, quarantined=1, violations=1),)
    assert third == (Ingested(table=TABLE),)
    assert [row[:3] for row in known(weather)] == [("JFK", 1, 10.0), ("LGA", 2, None)]
    assert set_aside(weather) == [
        ("JFK", -273.0, "temperature_on_earth", 4),
        ("JFK", 999.0, "temperature_on_earth", 3),
    ]
    assert counts(weather) == [
        ("temperature_on_earth", 3, 3, 1),
        ("temperature_on_earth", 4, 1, 1),
        ("temperature_on_earth", 5, 0, 0),
    ]


def test_a_bad_row_that_is_mended_comes_in(weather: Lakehouse, raw: Raw) -> None:
    raw.put(1, 999.0)
    ingest(weather.at("2013-05-02"))

    raw.put(1, 9.99)
    (found,) = ingest(weather.at("2013-05-03"))

    assert found == Ingested(table=TABLE, inserted=1)
    assert [row[:3] for row in known(weather)] == [("JFK", 1, 9.99)]


def test_a_good_row_that_turns_impossible_is_set_aside_and_the_good_one_stays(weather: Lakehouse, raw: Raw) -> None:
    raw.put(1, 10.0)
    ingest(weather.at("2013-05-02"))

    raw.put(1, 999.0)
    (found,) = ingest(weather.at("2013-05-03"))

    assert found == Ingested(table=TABLE, quarantined=1, violations=1)
    assert [row[:3] for row in known(weather)] == [("JFK", 1, 10.0)]


def test_a_rule_that_was_wrong_lets_rows_in_once_it_is_mended(weather: Lakehouse, raw: Raw) -> None:
    raw.put(1, 70.0)
    ingest(weather.at("2013-05-02"))

    warmer = replace(weather.world.project.sources[0].table.expectations[0], condition="temperature BETWEEN -90 AND 80")
    (found,) = ingest(declaring(weather, expectations=(warmer,)).at("2013-05-03"))

    assert found == Ingested(table=TABLE, inserted=1)


def test_a_warning_is_counted_and_its_rows_are_kept(weather: Lakehouse, raw: Raw) -> None:
    raw.put(1, 10.0)
    raw.put(2, None)
    warning = Expectation(
        name="measured", condition="temperature IS NOT NULL", action=Action.WARN, reason="Sensors fail."
    )

    (found,) = ingest(declaring(weather, expectations=(warning,)).at("2013-05-03"))

    assert found == Ingested(table=TABLE, inserted=2, violations=1)
    assert counts(weather) == [("measured", 3, 2, 1)]


def test_a_failing_expectation_writes_nothing(weather: Lakehouse, raw: Raw) -> None:
    raw.put(1, 10.0)
    ingest(weather.at("2013-05-02"))
    before = weather.versions()

    raw.put(2, None)
    fail = Expectation(name="measured", condition="temperature IS NOT NULL", action=Action.FAIL, reason="No sensor.")
    with pytest.raises(ExpectationFailed, match="1 of 1 rows"):
        ingest(declaring(weather, expectations=(fail,)).at("2013-05-03"))

    assert weather.versions() == before


def test_copies_count_as_one_and_contradictions_are_set_aside(weather: Lakehouse, raw: Raw) -> None:
    raw.put(1, 10.0)
    raw.put(1, 10.0, again=True)
    raw.put(2, 11.0)
    raw.put(2, 12.0, again=True)
    raw.put(3, 13.0, airport=None)

    first = ingest(weather.at("2013-05-04"))
    second = ingest(weather.at("2013-05-05"))

    assert first == (Ingested(table=TABLE, inserted=1, quarantined=3),)
    assert second == (Ingested(table=TABLE),)
    assert [row[:3] for row in known(weather)] == [("JFK", 1, 10.0)]
    assert set_aside(weather) == [
        (None, 13.0, "null_key", 4),
        ("JFK", 11.0, "duplicate_key", 4),
        ("JFK", 12.0, "duplicate_key", 4),
    ]


def test_a_row_without_its_moment_or_a_value_that_is_never_null_is_set_aside(weather: Lakehouse, raw: Raw) -> None:
    raw.put(1, 10.0)
    raw.put(2, 11.0, pressure=None)
    raw.put(3, 12.0, measured_at=None)
    columns = weather.world.project.sources[0].table.columns
    strict = declaring(
        weather, columns=tuple(replace(c, nullable=False) if c.name == "pressure" else c for c in columns)
    )

    first = ingest(strict.at("2013-05-04"))
    second = ingest(strict.at("2013-05-05"))

    assert first == (Ingested(table=TABLE, inserted=1, quarantined=2, violations=1),)
    assert second == (Ingested(table=TABLE),)
    assert set_aside(weather) == [
        ("JFK", 11.0, "pressure_is_given", 4),
        ("JFK", 12.0, "no_moment", 4),
    ]


def test_a_new_column_of_the_source_is_recorded_once_and_left_out(weather: Lakehouse, raw: Raw) -> None:
    from pyspark.sql import functions as F

    raw.put(1, 10.0)
    ingest(weather.at("2013-05-02"))

    raw.reshape = lambda frame: frame.withColumn("humidity", F.lit(0.5))
    raw.put(2, 11.0)
    (found,) = ingest(weather.at("2013-05-03"))
    before = weather.versions()
    ingest(weather.at("2013-05-04"))

    assert found == Ingested(table=TABLE, inserted=1, new_columns=("humidity",))
    assert weather.rows("schema_changes") == [(TABLE, "humidity", may(3), "double")]
    assert weather.versions()["schema_changes"] == before["schema_changes"]


@pytest.mark.parametrize(
    ("reshape", "said"),
    [
        (lambda frame: frame.drop("pressure"), "pressure: missing"),
        (
            lambda frame: frame.withColumn("pressure", frame["pressure"].cast("string")),
            "pressure: declared double, arrived string",
        ),
        (lambda frame: frame.withColumnRenamed("airport", "Airport"), "airport: missing"),
    ],
)
def test_a_breaking_change_of_the_source_is_refused_and_writes_nothing(
    weather: Lakehouse, raw: Raw, reshape: Any, said: str
) -> None:
    raw.put(1, 10.0)
    ingest(weather.at("2013-05-02"))
    before = weather.versions()

    raw.put(2, 11.0)
    raw.reshape = reshape
    with pytest.raises(SchemaBreak, match=said):
        ingest(weather.at("2013-05-03"))

    assert weather.versions() == before


def declaring(lakehouse: Lakehouse, **differing: Any) -> Lakehouse:
    """With the source's table declared in other words."""
    source = lakehouse.world.project.sources[0]
    return lakehouse.declaring(sources=(replace(source, table=replace(source.table, **differing)),))


def test_a_column_that_is_declared_later_is_null_in_old_rows_until_they_are_delivered_again(
    weather: Lakehouse, raw: Raw
) -> None:
    from pyspark.sql import functions as F

    raw.put(1, 10.0)
    raw.put(2, 11.0)
    ingest(weather.at("2013-05-03"))

    raw.rows.pop(0)
    raw.reshape = lambda frame: frame.withColumn("humidity", F.lit(0.5))
    raw.put(3, 12.0)
    humidity = Column(name="humidity", type="double", description="Mean over the day.")
    table = weather.world.project.sources[0].table
    newer = declaring(weather, columns=(*table.columns, humidity))
    (found,) = ingest(newer.at("2013-05-04"))

    assert found == Ingested(table=TABLE, inserted=1, updated=1)
    assert newer.rows(TABLE, "prod", "temperature", "humidity") == [(10.0, None), (11.0, 0.5), (12.0, 0.5)]


def test_a_table_of_another_type_is_refused_as_it_is(weather: Lakehouse, raw: Raw) -> None:
    raw.put(1, 10.0)
    ingest(weather.at("2013-05-02"))
    before = weather.versions()

    table = weather.world.project.sources[0].table
    as_text = tuple(replace(c, type="bigint") if c.name == "pressure" else c for c in table.columns)
    raw.reshape = lambda frame: frame.withColumn("pressure", frame["pressure"].cast("bigint"))
    with pytest.raises(TableMismatch, match="pressure is declared bigint and stored as double"):
        ingest(declaring(weather, columns=as_text).at("2013-05-03"))

    assert weather.versions() == before


def test_an_environment_keeps_its_share_of_the_events_and_its_stretch_of_time(weather: Lakehouse, raw: Raw) -> None:
    for number in range(1, 29):
        raw.put(number, float(number))
    part = weather.environment("staging", history_days=10, data_fraction=0.5)

    ingest(part.at("2013-05-29", "staging"))
    ingest(part.at("2013-05-29", "prod"))

    kept = {row[0] for row in part.rows(TABLE, "staging", "temperature")}
    assert len(part.rows(TABLE, "prod")) == 28
    assert kept < {float(n) for n in range(19, 29)}
    assert 2 <= len(kept) <= 8
    assert raw.asked[0].since == may(19)


def test_an_environment_that_reads_anothers_sources_has_nothing_to_ingest(weather: Lakehouse, raw: Raw) -> None:
    raw.put(1, 10.0)
    context = weather.at("2013-05-02", "dev")

    assert ingest(context) == ()
    assert weather.versions("dev") == {}
    assert raw.asked == []


def test_what_a_run_did_is_on_record(weather: Lakehouse, raw: Raw) -> None:
    raw.put(1, 10.0)
    raw.put(2, 999.0)
    ingest(weather.at("2013-05-03"))
    raw.put(1, 10.5)
    raw.put(3, 12.0)
    ingest(weather.at("2013-05-04"))

    columns = ("pipeline", "target", "as_of", "since", "rows", "updated", "quarantined", "changed_from", "version")
    assert weather.rows("pipeline_runs", "prod", *columns) == [
        ("ingest", TABLE, may(3), None, 1, 0, 1, may(2), 1),
        ("ingest", TABLE, may(4), may(1), 1, 1, 0, may(2), 2),
    ]
