"""The example's raw files, landed: the tables are those of the installed files, to the last bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from flight_delays import PROJECT, files, sources
from gatehouse.errors import ConfigurationError, Refused
from gatehouse.lakehouse.table_types import TableName
from gatehouse.pipelines.ingest import ingest
from gatehouse.pipelines.landing import land_first_sample, land_sample
from gatehouse.progress import Silent
from gatehouse.project import Extraction

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession
    from tests.integration.pipelines.conftest import Lakehouse, Open

PLACE = ("prod", "flight_delays")
JANUARY = "2013-01-20"


def january(folder: Path) -> Mapping[str, Sequence[Path]]:
    found = files.sample(folder)
    return {**found, "flights": found["flights"][:1]}


def ingested(lakehouse: Lakehouse) -> dict[str, pd.DataFrame]:
    """Every source table after two runs, in the order of its key."""
    ingest(lakehouse.at("2013-01-12"))
    later = lakehouse.at(JANUARY)
    ingest(later)
    return {
        source.table.name: later.tables.read(later.own(source.table.name))
        .toPandas()
        .sort_values(list(source.table.primary_key), ignore_index=True)
        for source in PROJECT.sources
    }


def test_what_landed_makes_the_same_tables_as_the_installed_files(open_lakehouse: Open, tmp_path: Path) -> None:
    landed = open_lakehouse(tmp_path / "landed", "flights", sample=january)
    assert len(list(land_sample(landed.world.platform, PLACE, landed.world.project, Silent()))) == 3

    found = ingested(landed)

    for name, expected in ingested(open_lakehouse(tmp_path / "installed", "flights")).items():
        assert len(expected) > 1000
        pd.testing.assert_frame_equal(found[name], expected, check_exact=True)


def test_once_a_file_has_landed_the_installed_ones_are_not_read(open_lakehouse: Open, tmp_path: Path) -> None:
    lakehouse = open_lakehouse(tmp_path / "lakehouse", "flights")
    header, first, *_ = files.installed("planes.csv").read_text().splitlines(keepends=True)
    (tmp_path / "one.csv").write_text(header + first)
    lakehouse.world.platform.land(TableName(*PLACE, "planes"), tmp_path / "one.csv")

    inserted = {found.table: found.inserted for found in ingest(lakehouse.at("2013-01-02"))}

    assert inserted["planes"] == 1
    assert inserted["flights"] > 700  # of which none has landed


def test_spark_is_asked_only_for_what_a_request_can_need(
    open_lakehouse: Open, tmp_path: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = open_lakehouse(tmp_path / "lakehouse", "flights", sample=january).world.platform
    (tmp_path / "sample").mkdir()
    for file in january(tmp_path / "sample")["flights"]:
        platform.land(TableName(*PLACE, "flights"), file)
    made, collected = sources._flights, []

    def transform(raw: pd.DataFrame) -> pa.Table:
        collected.append(raw)
        return made(raw)

    monkeypatch.setattr(sources, "_flights", transform)
    landing = platform.landing(spark, TableName(*PLACE, "flights"))
    since, until = datetime(2013, 1, 19, 12, tzinfo=UTC), datetime(2013, 1, 20, tzinfo=UTC)
    request = Extraction(spark=spark, since=since, until=until, raw=Path(landing.folder), landing=landing)

    found = sources.extract_flights(request).toPandas()

    installed = sources.extract_flights(replace(request, landing=None)).toPandas()
    key = list(PROJECT.tables["flights"].primary_key)
    pd.testing.assert_frame_equal(
        found.sort_values(key, ignore_index=True), installed.sort_values(key, ignore_index=True), check_exact=True
    )
    assert 0 < len(found) < len(collected[0])
    assert since - timedelta(days=4) < collected[0]["time_hour"].min() < collected[0]["time_hour"].max() <= until


def test_a_sample_lands_by_itself_once_and_never_beside_other_files(open_lakehouse: Open, tmp_path: Path) -> None:
    written: list[Path] = []

    def sample(folder: Path) -> Mapping[str, Sequence[Path]]:
        made = [folder / f"{number}.csv" for number in (1, 2)]
        for path in made:
            path.write_text(path.name)
        written.extend(made)
        return {"daily_weather": made}

    lakehouse = open_lakehouse(tmp_path / "lakehouse", sample=sample)
    folder = tmp_path / "lakehouse" / "landing" / "daily_weather"
    folder.mkdir(parents=True)
    blocked = folder.parent / ".daily_weather.part"  # of the way on which a file gets there
    blocked.mkdir()
    with pytest.raises(OSError, match=r"daily_weather\.part"):
        land_first_sample(lakehouse.at(JANUARY))
    blocked.rmdir()
    (folder / "1.csv").write_text("1.csv")

    assert land_first_sample(lakehouse.at(JANUARY)) == 1  # it had begun, and ends it
    assert sorted(path.name for path in folder.iterdir()) == ["1.csv", "2.csv"]
    written.clear()
    assert land_first_sample(lakehouse.at(JANUARY)) is None
    assert written == []
    assert land_first_sample(lakehouse.at(JANUARY, "staging")) is None  # on a laptop they have one folder
    assert land_first_sample(lakehouse.at(JANUARY, "dev")) is None  # it reads the sources of prod


def test_a_sample_for_what_is_no_source_is_refused_and_other_files_are_left_alone(
    open_lakehouse: Open, tmp_path: Path
) -> None:
    file = tmp_path / "1.csv"
    file.write_text("1")
    platform = open_lakehouse(tmp_path / "lakehouse").world.platform

    def land(table: str) -> list[tuple[str, bool]]:
        project = open_lakehouse(tmp_path / "lakehouse", sample=lambda _: {table: [file]}).world.project
        return list(land_sample(platform, ("prod", "temperature"), project, Silent()))

    with pytest.raises(ConfigurationError, match="has files for recent_weather"):
        land("recent_weather")
    assert land("daily_weather") == [("daily_weather/1.csv", True)]
    file.write_text("2")
    with pytest.raises(Refused, match=r"Another file has landed as 1\.csv"):
        land("daily_weather")
