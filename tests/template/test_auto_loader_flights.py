"""The example's raw files through Auto Loader: the rows are those of the installed files, to the last bit."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from tests.template.harness.spark.server import SparkServer
from tests.template.harness.spark.sessions import session
from tests.template.test_auto_loader import loader

from flight_delays import PROJECT, files
from gatehouse.lakehouse.table_types import TableName
from gatehouse.lakehouse.unity_tables import UnityTables
from gatehouse.project import Extraction, Source

pytestmark = pytest.mark.slow
UNTIL = datetime(2013, 1, 4, tzinfo=UTC)


def first_days(file: Path) -> Iterator[str]:
    """The header, and the lines that do not end with a later hour: the JVM of the tests takes long for a month."""
    with file.open(encoding="utf-8") as lines:
        yield next(lines)
        yield from (line for line in lines if not "2013-01-05" < line.rpartition(",")[2] < "2014")


@pytest.mark.parametrize("source", PROJECT.sources, ids=lambda source: source.table.name)
def test_what_auto_loader_took_in_makes_the_rows_of_the_installed_files(
    spark_server: SparkServer, tmp_path: Path, source: Source
) -> None:
    name = TableName("dev", "landed", source.table.name)
    place = spark_server.volumes / name.catalog / name.schema
    inbox = place / "landing" / name.table
    with session(spark_server.remote) as spark:
        spark.sql(f"CREATE SCHEMA {name.catalog}.{name.schema}")
        try:
            inbox.mkdir(parents=True)
            file = files.sample(tmp_path)[name.table][0]
            (inbox / file.name).write_text("".join(first_days(file)), encoding="utf-8")
            landing = loader(spark, inbox, name)
            request = Extraction(spark=spark, since=None, until=UNTIL, raw=Path(landing.folder), landing=landing)
            found, installed = (
                source.extract(replace(request, landing=each))
                .toPandas()
                .sort_values(list(source.table.primary_key), ignore_index=True)
                for each in (landing, None)
            )
            assert len(installed) > 150
            pd.testing.assert_frame_equal(found, installed, check_exact=True)
            assert UnityTables(spark, writable=()).exists(replace(name, table=f"{name.table}_landed"))
        finally:
            spark.sql(f"DROP SCHEMA {name.catalog}.{name.schema} CASCADE")
            shutil.rmtree(place, ignore_errors=True)
