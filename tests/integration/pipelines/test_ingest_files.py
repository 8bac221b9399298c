"""A source whose rows arrive as files, through the same ingest as every other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatehouse.errors import ConfigurationError, Refused, SchemaBreak
from gatehouse.pipelines.ingest import Ingested, ingest
from gatehouse.pipelines.landing import land_first_sample, land_sample
from gatehouse.progress import Silent
from gatehouse.project import Extraction, Files

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from tests.integration.pipelines.conftest import Lakehouse, Open, Raw

TABLE = "daily_weather"
AS_OF = "2013-05-02"
HEADER = "airport,measured_at,temperature,dew_point,pressure,wind_speed,next_temperature,next_measured_at"


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """The folder of the lakehouse in which the files of this source land."""
    folder = tmp_path / "lakehouse" / "landing" / TABLE
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def filed(weather: Lakehouse, raw: Raw) -> Lakehouse:
    """The temperature project, whose weather arrives as files of CSV."""
    files = Files(format="csv", columns=raw.table.columns)

    def extract(asked: Extraction) -> DataFrame:
        return asked.landed(files).select(*raw.table.names)

    return weather.declaring(sources=(replace(weather.world.project.sources[0], extract=extract),))


def test_files_that_land_between_two_runs_are_what_is_new(filed: Lakehouse, inbox: Path) -> None:
    (inbox / "1.csv").write_text(f"{HEADER}\nJFK,2013-05-02T00:00:00Z,10.0,5,1001,3,,\n")
    assert ingest(filed.at("2013-05-02")) == (Ingested(table=TABLE, inserted=1),)
    (inbox / "2.csv").write_text(f"{HEADER}\nJFK,2013-05-03T00:00:00Z,11.0,5,1002,3,,\n")
    assert ingest(filed.at("2013-05-03")) == (Ingested(table=TABLE, inserted=1),)
    assert [row[0] for row in filed.rows(TABLE, "prod", "temperature")] == [10.0, 11.0]


def test_a_file_that_breaks_the_declaration_stops_the_run_before_it_writes(filed: Lakehouse, inbox: Path) -> None:
    (inbox / "1.csv").write_text(f"{HEADER}\nJFK,2013-05-02T00:00:00Z,10.0,5,1001,3,,\n")
    ingest(filed.at("2013-05-02"))
    before = filed.versions()
    (inbox / "2.csv").write_text(f"{HEADER}\nJFK,2013-05-03T00:00:00Z,warm,5,1002,3,,\n")
    with pytest.raises(SchemaBreak, match=r"temperature of .*2\.csv is declared double"):
        ingest(filed.at("2013-05-03"))
    assert filed.versions() == before


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
        land_first_sample(lakehouse.at(AS_OF))
    blocked.rmdir()
    (folder / "1.csv").write_text("1.csv")

    assert land_first_sample(lakehouse.at(AS_OF)) == 1  # it had begun, and ends it
    assert sorted(path.name for path in folder.iterdir()) == ["1.csv", "2.csv"]
    written.clear()
    assert land_first_sample(lakehouse.at(AS_OF)) is None
    assert written == []
    assert land_first_sample(lakehouse.at(AS_OF, "staging")) is None  # on a laptop they have one folder
    assert land_first_sample(lakehouse.at(AS_OF, "dev")) is None  # it reads the sources of prod


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
