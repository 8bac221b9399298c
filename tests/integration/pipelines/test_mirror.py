"""The mirror: a sample without anything sensitive, for those who may not see the tables themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from gatehouse.errors import AccessDenied, ConfigurationError
from gatehouse.lakehouse.embedded import Embedded
from gatehouse.lakehouse.table_types import TableName
from gatehouse.pipelines.features import refresh
from gatehouse.pipelines.ingest import ingest
from gatehouse.pipelines.mirror import mirror
from gatehouse.pipelines.reset import reset_environment
from gatehouse.progress import Silent

if TYPE_CHECKING:
    from tests.integration.pipelines.conftest import Lakehouse, Raw

AS_OF = "2013-06-01"
HASHED = "substr(sha2(airport, 256), 1, 12)"


def with_reader(lakehouse: Lakehouse, **values: Any) -> Lakehouse:
    """The lakehouse with an environment `dev` that reads the mirror of prod."""
    return lakehouse.environment("dev", **{"sources_from": "prod", "source": "mirror", **values})


def declaring(lakehouse: Lakehouse, **masks: str | None) -> Lakehouse:
    """The lakehouse with these columns of the weather sensitive, and masked so."""
    [source] = lakehouse.world.project.sources
    columns = tuple(
        replace(c, sensitive=True, mask=masks[c.name]) if c.name in masks else c for c in source.table.columns
    )
    return lakehouse.declaring(sources=(replace(source, table=replace(source.table, columns=columns)),))


def copied(lakehouse: Lakehouse, *columns: str) -> list[tuple[Any, ...]]:
    context = lakehouse.at(AS_OF)
    name = TableName(*context.environment.mirror, context.project.events.table)
    return sorted(tuple(row) for row in context.tables.read(name).select(*columns).collect())


@pytest.fixture
def filled(weather: Lakehouse, raw: Raw) -> Lakehouse:
    """Twenty days at JFK and ten at LGA, in prod."""
    for day in range(1, 21):
        raw.put(day, 10.0 + day)
    for day in range(1, 11):
        raw.put(day, 30.0 + day, airport="LGA")
    ingest(weather.at(AS_OF))
    return with_reader(weather)


def test_no_sensitive_value_is_in_the_mirror(filled: Lakehouse) -> None:
    masked = declaring(filled, airport=HASHED, pressure=None, dew_point="round(dew_point / 10)")

    [result] = mirror(masked.at(AS_OF))

    assert result.inserted == 30
    rows = copied(masked, "airport", "temperature", "pressure", "dew_point")
    assert {row[0] for row in rows}.isdisjoint({"JFK", "LGA"})
    assert len({row[0] for row in rows}) == 2  # equal values have equal masks
    assert {row[2] for row in rows} == {None}
    assert {row[3] for row in rows} == {1.0}  # half up: 5 / 10
    assert sorted(row[1] for row in rows) == sorted([10.0 + d for d in range(1, 21)] + [30.0 + d for d in range(1, 11)])


def test_every_table_of_the_mirror_is_free_of_it_also_its_files_and_history(filled: Lakehouse) -> None:
    masked = declaring(filled, airport=HASHED)

    mirror(masked.at(AS_OF))

    context = masked.at(AS_OF)
    catalog, schema = context.environment.mirror
    folder = context.root / "tables" / catalog / schema
    assert {name.table for name in context.tables.names(catalog, schema)} >= {"daily_weather", "pipeline_runs"}
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    assert [path.name for path in files if b"JFK" in path.read_bytes() or b"LGA" in path.read_bytes()] == []


def test_a_second_run_changes_nothing_and_a_later_one_brings_what_is_new(filled: Lakehouse, raw: Raw) -> None:
    masked = declaring(filled, airport=HASHED)
    mirror(masked.at(AS_OF))

    assert [(r.inserted, r.updated) for r in mirror(masked.at(AS_OF))] == [(0, 0)]
    raw.put(25, 19.0)
    raw.put(3, 14.5)
    ingest(masked.at("2013-06-02"))
    assert [(r.inserted, r.updated) for r in mirror(masked.at("2013-06-02"))] == [(1, 1)]


def test_the_sample_is_by_hash_of_the_key(filled: Lakehouse) -> None:
    half = with_reader(declaring(filled, airport=HASHED), data_fraction=0.5)

    mirror(half.at(AS_OF))
    first = copied(half, "airport", "measured_at")

    assert 0 < len(first) < 30
    half.at(AS_OF).tables.drop_schema(*half.at(AS_OF).environment.mirror)
    mirror(half.at(AS_OF))
    assert copied(half, "airport", "measured_at") == first
    read = half.at(AS_OF, "dev")
    whole = read.tables.read(read.source("daily_weather")).count()
    assert whole == len(first)


def test_the_reader_reads_the_mirror_and_nothing_else(filled: Lakehouse) -> None:
    masked = declaring(filled, airport=HASHED)
    mirror(masked.at(AS_OF))

    dev = masked.at(AS_OF, "dev")

    assert str(dev.source("daily_weather")) == "prod.temperature_mirror.daily_weather"
    assert str(dev.source("expectation_results")) == "prod.temperature.expectation_results"
    refresh(dev)
    table = masked.world.project.feature_tables[0].table.name
    airports = {row[0] for row in dev.tables.read(dev.own(table)).select("airport").distinct().collect()}
    assert airports
    assert airports.isdisjoint({"JFK", "LGA"})


def test_the_reader_cannot_write_the_mirror(filled: Lakehouse) -> None:
    mirror(filled.at(AS_OF))
    dev = filled.at(AS_OF, "dev")

    with pytest.raises(AccessDenied):
        dev.tables.append(dev.source("daily_weather"), dev.tables.read(dev.source("daily_weather")))


def test_other_masks_leave_no_history_of_what_was_shown_before(filled: Lakehouse) -> None:
    mirror(filled.at(AS_OF))
    assert ("JFK",) in copied(filled, "airport")
    masked = declaring(filled, airport=HASHED)

    [result] = mirror(masked.at(AS_OF))

    assert result.inserted == 30
    context = masked.at(AS_OF)
    name = TableName(*context.environment.mirror, "daily_weather")
    for version in range(1, context.tables.version(name) + 1):
        shown = {row[0] for row in context.tables.read(name, version=version).select("airport").collect()}
        assert shown.isdisjoint({"JFK", "LGA"})


def test_a_mirror_for_nobody_is_not_written(weather: Lakehouse) -> None:
    with pytest.raises(ConfigurationError, match="No environment reads a mirror of prod"):
        mirror(weather.at(AS_OF))


def test_a_mask_that_cannot_be_computed_is_said_before_anything_is_written(filled: Lakehouse) -> None:
    masked = declaring(filled, airport="sha2(nothing, 256)")

    with pytest.raises(ConfigurationError, match="A mask of table daily_weather cannot be computed"):
        mirror(masked.at(AS_OF))
    context = masked.at(AS_OF)
    assert context.tables.names(*context.environment.mirror) == ()


def test_a_moment_is_not_masked(filled: Lakehouse) -> None:
    masked = declaring(filled, measured_at="date_trunc('year', measured_at)")

    with pytest.raises(ConfigurationError, match="says when a row became known"):
        mirror(masked.at(AS_OF))


def test_a_reset_takes_the_mirror_with_it_where_somebody_reads_one(filled: Lakehouse) -> None:
    mirror(filled.at(AS_OF))
    context = filled.at(AS_OF)
    place = context.environment.mirror
    environments = context.settings.environments
    assert (environments.is_mirrored("prod"), environments.is_mirrored("dev")) == (True, False)

    reset_environment(Embedded(context.root), environments.environments["dev"], Silent())
    assert context.tables.names(*place) != ()
    reset_environment(Embedded(context.root), context.environment, Silent(), mirrored=True)

    assert filled.at(AS_OF).tables.names(*place) == ()
    assert filled.at(AS_OF).tables.names(*context.environment.place) == ()
