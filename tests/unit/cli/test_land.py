"""`gatehouse land`: files get to where a source reads them, once, and never change there."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatehouse.cli import main

CONF = Path(__file__).parents[3] / "examples" / "temperature" / "conf"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "2013-05.csv"
    made.write_text("airport,temperature\nJFK,10.0\n")
    return made


def land(lakehouse: Path, *arguments: str) -> object:
    with pytest.raises(SystemExit) as ended:
        main(["--conf", str(CONF), "--lakehouse", str(lakehouse), "land", *arguments, "--env", "prod"])
    return ended.value.code


def test_a_file_lands_once_and_never_changes(tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lakehouse = tmp_path / "lakehouse"
    assert [land(lakehouse, str(file), "--table", "daily_weather") for _ in range(2)] == [0, 0]
    assert capsys.readouterr().out == "2013-05.csv: landed\n2013-05.csv: is there already\n"
    folder = lakehouse / "landing" / "daily_weather"
    assert [(f.name, f.read_text()) for f in folder.iterdir()] == [(file.name, file.read_text())]

    file.write_text("airport,temperature\nJFK,11.0\n")
    assert land(lakehouse, str(file), "--table", "daily_weather") == 10
    assert "Another file has landed as 2013-05.csv already." in capsys.readouterr().err
    assert "10.0" in (folder / file.name).read_text()


def test_a_table_that_is_no_source_is_refused(tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert land(tmp_path / "lakehouse", str(file), "--table", "recent_weather") == 2
    assert "Choose from: daily_weather." in capsys.readouterr().err
    assert not (tmp_path / "lakehouse").exists()


def test_a_project_that_brings_no_sample_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert land(tmp_path / "lakehouse", "--sample") == 3
    assert "Project temperature brings no sample of raw files." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--sample", "FILE"], "--sample lands the project's own files."),
        (["--sample", "--table", "daily_weather"], "--sample lands the project's own files."),
        (["FILE"], "Which files land for which source is to be said."),
        (["--table", "daily_weather"], "Which files land for which source is to be said."),
        ([], "Which files land for which source is to be said."),
    ],
    ids=["sample and file", "sample and table", "file alone", "table alone", "nothing"],
)
def test_files_of_a_table_or_the_sample(
    tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    given = [str(file) if argument == "FILE" else argument for argument in arguments]
    assert land(tmp_path / "lakehouse", *given) == 2
    assert complaint in capsys.readouterr().err
    assert not (tmp_path / "lakehouse").exists()
