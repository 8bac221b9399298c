"""A source whose rows arrive as files, through the same ingest as every other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gatehouse.errors import SchemaBreak
from gatehouse.pipelines.ingest import Ingested, ingest
from gatehouse.project import Extraction, Files

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import DataFrame
    from tests.integration.pipelines.conftest import Lakehouse, Raw

TABLE = "daily_weather"
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
