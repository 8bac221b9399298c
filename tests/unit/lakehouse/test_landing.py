"""What a source gets of the raw files that landed for it: on a laptop here, from Auto Loader in tests/template."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from gatehouse.errors import ConfigurationError, SchemaBreak
from gatehouse.lakehouse.landing import FolderLanding
from gatehouse.project import Column, Extraction, Files, Landing

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

COLUMNS = (
    Column(name="sensor", type="bigint", description="-", nullable=False),
    Column(name="at", type="timestamp", description="-"),
    Column(name="day", type="date", description="-"),
    Column(name="value", type="double", description="-"),
)
CSV = Files(format="csv", columns=COLUMNS, separator=";", missing="NA")
PARQUET = Files(format="parquet", columns=COLUMNS)
HEADER = "sensor;at;day;value\n"


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """Folder in which files land."""
    folder = tmp_path / "readings"
    folder.mkdir()
    return folder


@pytest.fixture
def landing(spark: SparkSession, inbox: Path) -> Landing:
    """What reads the inbox."""
    return FolderLanding(spark, inbox)


def land(inbox: Path, name: str, text: str) -> None:
    (inbox / name).parent.mkdir(exist_ok=True)
    (inbox / name).write_text(text, encoding="utf-8")
    moment = datetime(2013, 1, 5, tzinfo=UTC).timestamp()
    os.utime(inbox / name, (moment, moment))


def rows(landing: Landing, files: Files) -> list[dict[str, Any]]:
    found = [row.asDict() for row in landing.rows(files).orderBy("sensor").collect()]
    for row in found:
        row["_file"] = row["_file"].rpartition("/readings/")[2]
        row["_rescued"] = row["_rescued"] and {k: v for k, v in json.loads(row["_rescued"]).items() if k[0] != "_"}
    return found


def row(sensor: int, file: str, rescued: dict[str, str] | None = None, **values: object) -> dict[str, Any]:
    landed = {"_rescued": rescued, "_file": file, "_landed_at": datetime(2013, 1, 5)}  # noqa: DTZ001 - Spark's, in UTC
    return {"sensor": sensor, "at": None, "day": None, "value": None, **values, **landed}


def test_the_rows_of_all_files_come_typed_by_the_names_of_their_columns(inbox: Path, landing: Landing) -> None:
    land(inbox, "a.csv", HEADER + "1;2013-01-01T10:00:00Z;2013-01-01;0.5\n2;2013-01-01 11:00:00;NA;\n")
    land(inbox, "below/b.csv", 'value;sensor;day;at\n"1.5";3;2013-01-02;NA\n')
    land(inbox, "notes.txt", "no file of this source")
    assert rows(landing, CSV) == [
        row(1, "a.csv", at=datetime(2013, 1, 1, 10), day=date(2013, 1, 1), value=0.5),  # noqa: DTZ001
        row(2, "a.csv", at=datetime(2013, 1, 1, 11)),  # noqa: DTZ001
        row(3, "below/b.csv", day=date(2013, 1, 2), value=1.5),
    ]


def test_files_of_parquet_land_too(inbox: Path, landing: Landing) -> None:
    kinds = {"sensor": pa.int64(), "at": pa.timestamp("us", "UTC"), "day": pa.date32(), "value": pa.float64()}
    table = pa.table({"sensor": [7], "at": [None], "day": [None], "value": [2.5]}, schema=pa.schema(kinds))
    parquet.write_table(table, inbox / "c.parquet")  # type: ignore[no-untyped-call]
    moment = datetime(2013, 1, 5, tzinfo=UTC).timestamp()
    os.utime(inbox / "c.parquet", (moment, moment))
    assert rows(landing, PARQUET) == [row(7, "c.parquet", value=2.5)]


def test_a_landing_is_empty_until_something_has_landed(inbox: Path, landing: Landing) -> None:
    assert landing.empty
    land(inbox, "a.csv", HEADER + "1;;;0.5\n")
    assert not landing.empty


def test_where_nothing_landed_there_are_no_rows_and_all_columns(landing: Landing) -> None:
    assert landing.rows(CSV).columns == ["sensor", "at", "day", "value", "_rescued", "_file", "_landed_at"]
    assert rows(landing, CSV) == []


def test_a_column_that_nobody_declared_is_kept_and_is_there_once_it_is_declared(inbox: Path, landing: Landing) -> None:
    land(inbox, "a.csv", HEADER + "1;;;0.5\n")
    land(inbox, "b.csv", HEADER.strip() + ";humidity\n2;;;0.5;40\n")
    assert rows(landing, CSV) == [row(1, "a.csv", value=0.5), row(2, "b.csv", {"humidity": "40"}, value=0.5)]
    more = Files(
        format="csv",
        columns=(*COLUMNS, Column(name="humidity", type="int", description="-")),
        separator=";",
        missing="NA",
    )
    assert [found["humidity"] for found in rows(landing, more)] == [None, 40]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (HEADER + "1;;;much\n", "Column value of .*bad.csv is declared double"),
        (HEADER + ";;;0.5\n", "Column sensor of .*bad.csv is declared bigint, never null"),
        ("at;day;value\n;;0.5\n", "Column sensor of .*bad.csv is declared bigint, never null"),
    ],
    ids=["another type", "no value", "no column"],
)
def test_what_breaks_the_declaration_is_refused_until_it_is_mended(
    inbox: Path, landing: Landing, text: str, complaint: str
) -> None:
    land(inbox, "a.csv", HEADER + "1;;;0.5\n")
    assert len(rows(landing, CSV)) == 1
    land(inbox, "bad.csv", text)
    for _ in range(2):
        with pytest.raises(SchemaBreak, match=complaint):
            landing.rows(CSV)
    land(inbox, "bad.csv", HEADER + "2;;;0.5\n")
    assert rows(landing, CSV) == [row(1, "a.csv", value=0.5), row(2, "bad.csv", value=0.5)]


def test_a_file_that_is_none_is_refused(inbox: Path, landing: Landing) -> None:
    land(inbox, "a.parquet", "no parquet")
    with pytest.raises(SchemaBreak, match=r"a\.parquet cannot be read as parquet"):
        landing.rows(PARQUET)


def test_an_extraction_reads_what_landed_where_its_environment_says(
    spark: SparkSession, inbox: Path, landing: Landing
) -> None:
    land(inbox, "a.csv", HEADER + "1;;;0.5\n")
    request = Extraction(
        spark=spark, since=None, until=datetime(2014, 1, 1, tzinfo=UTC), raw=Path(landing.folder), landing=landing
    )
    assert request.has_landed
    assert request.landed(CSV).count() == 1


def test_an_extraction_that_was_not_told_where_files_land_says_so(spark: SparkSession, inbox: Path) -> None:
    request = Extraction(spark=spark, since=None, until=datetime(2014, 1, 1, tzinfo=UTC), raw=inbox)
    assert not request.has_landed
    with pytest.raises(ConfigurationError, match="nothing says where they land"):
        request.landed(CSV)


def declare_another_format() -> None:
    Files(format="xml", columns=COLUMNS)  # type: ignore[arg-type]


def declare_a_name_of_ours() -> None:
    Files(format="csv", columns=(Column(name="_file", type="string", description="-"),))


@pytest.mark.parametrize("declare", [declare_another_format, declare_a_name_of_ours])
def test_files_that_could_not_land_alike_everywhere_cannot_be_declared(declare: Callable[[], None]) -> None:
    with pytest.raises(ConfigurationError):
        declare()
