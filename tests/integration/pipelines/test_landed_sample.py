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
from gatehouse.lakehouse.table_types import TableName
from gatehouse.pipelines.ingest import ingest
from gatehouse.pipelines.landing import land_sample
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
