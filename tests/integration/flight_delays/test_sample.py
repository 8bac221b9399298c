"""The sample of raw files: the lines of the distribution, the same bytes each time."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from flight_delays import PROJECT, files
from gatehouse.cli import main

CONF = Path(__file__).parents[3] / "conf"


def read(folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    return {f"{table}/{p.name}": p.read_bytes() for table, paths in files.sample(folder).items() for p in paths}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return read(tmp_path_factory.mktemp("sample") / "first")


def test_flights_come_as_a_file_for_each_month_and_every_line_is_in_one_of_them(sample: dict[str, bytes]) -> None:
    with zipfile.ZipFile(files.installed("flights.csv.zip")) as archive:
        header, *lines = archive.read("flights.csv").splitlines()
    months = {name: sample[name].splitlines() for name in sample if name.startswith("flights/")}
    assert list(months) == [f"flights/2013-{month:02}.csv" for month in range(1, 13)]
    assert {found[0] for found in months.values()} == {header}
    assert sorted(line for found in months.values() for line in found[1:]) == sorted(lines)
    for month, found in enumerate(months.values(), 1):
        assert {line.split(b",")[1] for line in found[1:]} == {str(month).encode()}


def test_weather_and_planes_are_the_files_of_the_distribution(sample: dict[str, bytes]) -> None:
    for table in ("weather", "planes"):
        assert sample[f"{table}/{table}.csv"] == files.installed(f"{table}.csv").read_bytes()


def test_every_source_has_files_of_which_each_column_is_declared(sample: dict[str, bytes]) -> None:
    assert {name.partition("/")[0] for name in sample} == {source.table.name for source in PROJECT.sources}
    declared = {"flights": files.FLIGHT_FILES, "weather": files.WEATHER_FILES, "planes": files.PLANE_FILES}
    for name, content in sample.items():
        header = content.splitlines()[0].decode().split(",")
        assert header == [column.name for column in declared[name.partition("/")[0]].columns]


def test_it_is_the_same_each_time(sample: dict[str, bytes], tmp_path: Path) -> None:
    assert read(tmp_path / "again") == sample


def test_it_lands_once(tmp_path: Path, sample: dict[str, bytes], capsys: pytest.CaptureFixture[str]) -> None:
    for said in ("landed", "is there already"):
        with pytest.raises(SystemExit) as ended:
            main(["--conf", str(CONF), "--lakehouse", str(tmp_path), "land", "--sample", "--env", "prod"])
        assert ended.value.code == 0
        assert capsys.readouterr().out.splitlines() == [f"{file}: {said}" for file in sample]
    landed = tmp_path / "landing"
    assert {str(f.relative_to(landed)): f.read_bytes() for f in landed.rglob("*.csv")} == sample
