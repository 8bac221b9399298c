"""Auto Loader gives a source what the folder on a laptop gives it, and takes each file in once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.template.harness.spark.server import SparkServer, spark_server_or_skip
from tests.template.harness.spark.sessions import session
from tests.unit.lakehouse import test_landing as contract
from tests.unit.lakehouse.test_landing import COLUMNS, CSV, HEADER, land

from gatehouse.errors import TableMismatch
from gatehouse.lakehouse.auto_loader import AutoLoader
from gatehouse.lakehouse.table_types import TableName
from gatehouse.lakehouse.unity_tables import UnityTables
from gatehouse.project import Column, Files

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# A JVM of its own and what it takes to warm up: too long for a pull request.
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SOURCE, LANDED = TableName("dev", "files", "readings"), TableName("dev", "files", "readings_landed")
FOLDERS_ONLY = {
    "test_files_that_could_not_land_alike_everywhere_cannot_be_declared",
    "test_an_extraction_that_was_not_told_where_files_land_says_so",
    "test_a_file_that_is_none_is_refused",  # there it is the engine's error
}
CONTRACT = {name: test for name, test in vars(contract).items() if name.startswith("test_")}
assert CONTRACT.keys() >= FOLDERS_ONLY
globals().update({name: test for name, test in CONTRACT.items() if name not in FOLDERS_ONLY})


@pytest.fixture(scope="session")
def spark(spark_server: SparkServer) -> Iterator[SparkSession]:
    with session(spark_server.remote) as opened:
        yield opened


@pytest.fixture
def inbox(spark_server: SparkServer, spark: SparkSession) -> Iterator[Path]:
    """The source's folder in the volume, where nothing has landed and nothing was loaded; the schema goes again."""
    spark.sql(f"CREATE SCHEMA {SOURCE.catalog}.{SOURCE.schema}")
    place = spark_server.volumes / SOURCE.catalog / SOURCE.schema
    shutil.rmtree(place, ignore_errors=True)
    inbox = place / "landing" / SOURCE.table
    inbox.mkdir(parents=True)
    yield inbox
    spark.sql(f"DROP SCHEMA {SOURCE.catalog}.{SOURCE.schema} CASCADE")


def loader(spark: SparkSession, inbox: Path, source: TableName = SOURCE, *, files_at_once: int = 1000) -> AutoLoader:
    """As a workspace's platform makes it, which asks the Files API whether there are files."""
    volumes = f"/Volumes/{source.catalog}/{source.schema}"
    return AutoLoader(
        spark,
        source,
        folder=f"{volumes}/landing/{source.table}",
        checkpoints=f"{volumes}/gatehouse/checkpoints",
        has_files=lambda: any(inbox.iterdir()),
        files_at_once=files_at_once,
    )


@pytest.fixture
def landing(spark: SparkSession, inbox: Path) -> AutoLoader:
    return loader(spark, inbox)


def test_a_file_is_loaded_once_and_what_is_loaded_stays(spark: SparkSession, inbox: Path, landing: AutoLoader) -> None:
    land(inbox, "a.csv", HEADER + "1;;;0.5\n")
    assert landing.rows(CSV).count() == 1
    version = UnityTables(spark, writable=[]).version(LANDED)
    assert landing.rows(CSV).count() == 1
    assert UnityTables(spark, writable=[]).version(LANDED) == version
    (inbox / "a.csv").unlink()
    assert not landing.empty
    land(inbox, "b.csv", HEADER + "2;;;0.5\n")
    assert [found.sensor for found in loader(spark, inbox).rows(CSV).orderBy("sensor").collect()] == [1, 2]


def test_a_table_that_is_made_anew_gets_everything_that_landed(
    spark: SparkSession, inbox: Path, landing: AutoLoader
) -> None:
    land(inbox, "a.csv", HEADER + "1;;;0.5\n")
    assert landing.rows(CSV).count() == 1
    spark.sql(f"DROP TABLE {LANDED}")
    land(inbox, "b.csv", HEADER + "2;;;0.5\n")
    assert landing.rows(CSV).count() == 2


def test_a_column_that_is_declared_with_another_type_than_it_landed_with_is_refused(
    inbox: Path, landing: AutoLoader
) -> None:
    land(inbox, "a.csv", HEADER + "1;;;0.5\n")
    assert landing.rows(CSV).count() == 1
    other = Files(
        format="csv", columns=(*COLUMNS[:3], Column(name="value", type="boolean", description="-")), separator=";"
    )
    land(inbox, "b.csv", HEADER + "2;;;true\n")
    with pytest.raises(TableMismatch, match=r"dev\.files\.readings_landed has a column of another type"):
        landing.rows(other)


LOADER = """
import sys
from pathlib import Path
from pyspark.sql import SparkSession
from tests.template.test_auto_loader import loader
from tests.unit.lakehouse.test_landing import CSV

spark = SparkSession.builder.remote(sys.argv[1]).create()
spark.sql("CREATE SCHEMA dev.files")
loader(spark, Path(sys.argv[2]), files_at_once=1).rows(CSV)
"""


def test_a_server_that_is_killed_while_it_loads_loses_no_row_and_doubles_none(tmp_path: Path) -> None:
    spark_server_or_skip()
    files, volumes = 40, tmp_path / "volumes"
    inbox = volumes / "dev" / "files" / "landing" / "readings"
    inbox.mkdir(parents=True)
    for number in range(files):
        land(inbox, f"{number}.csv", HEADER + f"{number};;;0.5\n")
    program = tmp_path / "load.py"
    program.write_text(LOADER, encoding="utf-8")
    table = tmp_path / "first" / "warehouse" / "dev__files.db" / "readings_landed"
    with (
        SparkServer(["dev"], folder=tmp_path / "first", volumes=volumes) as first,
        subprocess.Popen(
            [sys.executable, program, first.remote, inbox], env={**os.environ, "PYTHONPATH": str(ROOT)}
        ) as loading,
    ):
        while len(list((table / "_delta_log").glob("*.json"))) < 4:
            assert loading.poll() is None, "loaded everything, or failed, before it could be killed"
            threading.Event().wait(0.02)
        first.kill()
        loading.kill()  # its client would ask for the lost server for minutes
    with (
        SparkServer(["dev"], folder=tmp_path / "second", volumes=volumes) as second,
        session(second.remote) as spark,
    ):
        spark.sql("CREATE SCHEMA dev.files")
        spark.sql(f"CREATE TABLE dev.files.readings_landed USING DELTA LOCATION '{table}'")
        assert 0 < spark.table("dev.files.readings_landed").count() < files
        loaded = loader(spark, inbox).rows(CSV)
        assert sorted(found.sensor for found in loaded.collect()) == list(range(files))
