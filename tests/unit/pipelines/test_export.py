"""Predictions for readers outside: a file or a database that never holds half a run."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from gatehouse.errors import StorageError, UsageError
from gatehouse.pipelines.export import check_destination, export

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

COLUMNS = "parcel string, run_key string, prediction double, probabilities array<double>"
Run = Callable[..., "DataFrame"]


@pytest.fixture
def run(spark: SparkSession) -> Run:
    """`run("r1", 2.5, 3.0)`: the rows of run r1, one per number."""

    def make(key: str, *numbers: float, probabilities: list[float] | None = None) -> DataFrame:
        rows = [(f"P{place}", key, number, probabilities) for place, number in enumerate(numbers)]
        return spark.createDataFrame(rows, COLUMNS)

    return make


def test_a_csv_file_holds_the_run_without_the_empty_list(run: Run, tmp_path: Path) -> None:
    place = tmp_path / "new folder" / "predictions.csv"

    assert export(run("r1", 2.5, 3.0), str(place), run_key="r1") == 2

    assert place.read_text().splitlines() == ['"parcel","run_key","prediction"', '"P0","r1",2.5', '"P1","r1",3']
    assert [p.name for p in place.parent.iterdir()] == ["predictions.csv"]


def test_a_parquet_file_keeps_lists(run: Run, tmp_path: Path) -> None:
    place = tmp_path / "predictions.parquet"

    export(run("r1", 2.5, probabilities=[0.25, 0.75]), str(place), run_key="r1")

    stored = pd.read_parquet(place)
    assert stored.to_dict("list") | {"probabilities": [list(p) for p in stored["probabilities"]]} == {
        "parcel": ["P0"],
        "run_key": ["r1"],
        "prediction": [2.5],
        "probabilities": [[0.25, 0.75]],
    }


def test_a_csv_file_has_lists_as_text(run: Run, tmp_path: Path) -> None:
    place = tmp_path / "predictions.csv"

    export(run("r1", 1.0, probabilities=[0.25, 0.75]), str(place), run_key="r1")

    assert pd.read_csv(place)["probabilities"].to_list() == ["[0.25, 0.75]"]


def test_a_file_is_replaced_as_a_whole(run: Run, tmp_path: Path) -> None:
    place = tmp_path / "predictions.csv"
    export(run("r1", 1.0, 2.0, 3.0), str(place), run_key="r1")

    export(run("r2", 9.0), str(place), run_key="r2")

    assert pd.read_csv(place).to_dict("list") == {"parcel": ["P0"], "run_key": ["r2"], "prediction": [9.0]}


def test_a_run_of_no_rows_writes_a_file_with_columns_only(run: Run, tmp_path: Path) -> None:
    place = tmp_path / "predictions.csv"

    assert export(run("r1"), str(place), run_key="r1") == 0

    assert pd.read_csv(place).columns.to_list() == ["parcel", "run_key", "prediction"]


def test_a_database_holds_each_run_once(run: Run, tmp_path: Path) -> None:
    place = tmp_path / "predictions.db"
    for key, numbers in (("r1", (1.0, 2.0)), ("r2", (3.0,)), ("r1", (1.0, 2.5))):
        export(run(key, *numbers), f"sqlite:///{place}", run_key=key)

    with closing(sqlite3.connect(place)) as database:
        rows = database.execute("SELECT run_key, parcel, prediction FROM predictions ORDER BY 1, 2").fetchall()
    assert rows == [("r1", "P0", 1.0), ("r1", "P1", 2.5), ("r2", "P0", 3.0)]


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("predictions", "'predictions'"),
        ("predictions.xlsx", "'predictions.xlsx'"),
        ("", "''"),
        ("s3://bucket/predictions.parquet", "'s3://bucket/predictions.parquet'"),
        ("nosuchdialect://user:secret@host/db", r"'nosuchdialect://user:\*\*\*@host/db'"),
        ("oracle+nosuchdriver://user:secret@host/db", r"'oracle\+nosuchdriver://user:\*\*\*@host/db'"),
        ("://", r"'\(not an address\)'"),
    ],
)
def test_an_unknown_format_or_database_is_refused_before_any_work(to: str, said: str) -> None:
    with pytest.raises(UsageError, match=rf"--to {said} is neither a \.csv or \.parquet file nor") as error:
        check_destination(to)

    assert "secret" not in str(error.value)


@pytest.mark.parametrize("to", ["a.csv", "/b/C.Parquet", "sqlite:///d.db", "postgresql+psycopg://host/db"])
def test_files_of_known_formats_and_addresses_are_destinations(to: str) -> None:
    check_destination(to)


def test_a_place_that_cannot_be_written_is_a_storage_error_and_leaves_nothing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file, not a folder")

    with pytest.raises(StorageError, match=r"predictions\.csv could not be written"):
        export(run("r1", 1.0), str(tmp_path / "taken" / "predictions.csv"), run_key="r1")
    (tmp_path / "taken.csv").mkdir()
    with pytest.raises(StorageError, match=r"taken\.csv could not be written"):
        export(run("r1", 1.0), str(tmp_path / "taken.csv"), run_key="r1")

    assert sorted(p.name for p in tmp_path.iterdir()) == ["taken", "taken.csv"]


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("sqlite:////no/such/folder/x.db", "sqlite:////no/such/folder/x.db"),
        ("postgresql+psycopg2://user:secret@host/db", r"postgresql\+psycopg2://user:\*\*\*@host/db"),
    ],
)
def test_a_database_that_cannot_be_reached_is_named_without_its_password(run: Run, address: str, shown: str) -> None:
    with pytest.raises(StorageError, match=rf"The database {shown} refused: ") as error:
        export(run("r1", 1.0), address, run_key="r1")

    assert "secret" not in str(error.value)
