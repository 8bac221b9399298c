from __future__ import annotations

import io
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

import pytest
from rich.console import Console

from gatehouse.cli.display import (
    HeldProgress,
    TerminalProgress,
    activation,
    called,
    echo_json,
    from_here,
    shown,
    table,
)
from gatehouse.errors import Interrupted


class Colour(Enum):
    RED = "red"


@dataclass(frozen=True)
class Finding:
    name: str
    at: datetime
    numbers: tuple[float, ...]
    by_version: dict[int, Path]
    colour: Colour
    nothing: None = None


def test_results_are_one_json_document_whatever_they_are_made_of(capsys: pytest.CaptureFixture[str]) -> None:
    echo_json(
        [Finding("Verspätung", datetime(2013, 4, 1, tzinfo=UTC), (0.5, float("nan")), {3: Path("a.csv")}, Colour.RED)]
    )

    assert json.loads(capsys.readouterr().out) == [
        {
            "name": "Verspätung",
            "at": "2013-04-01T00:00:00+00:00",
            "numbers": [0.5, None],
            "by_version": {"3": "a.csv"},
            "colour": "red",
            "nothing": None,
        }
    ]


@pytest.mark.parametrize("number", [float("inf"), float("-inf")])
def test_infinity_is_no_json_and_is_told_as_nothing(capsys: pytest.CaptureFixture[str], number: float) -> None:
    echo_json({"value": number})

    assert json.loads(capsys.readouterr().out) == {"value": None}


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (None, "-"),
        (True, "yes"),
        (False, "no"),
        (1234567, "1,234,567"),
        (0.123456, "0.1235"),
        (datetime(2013, 4, 1, 6, tzinfo=UTC), "2013-04-01 06:00"),
        ("prod", "prod"),
    ],
)
def test_a_cell_is_shown_as_people_read_it(cell: object, text: str) -> None:
    assert shown(cell) == text


def test_names_with_brackets_are_shown_as_they_are() -> None:
    out = io.StringIO()

    Console(file=out, width=60).print(table("t", ("name", "rows"), [("[bold]a[/bold]", 10), ("b[0]", 2)]))

    assert [line.rstrip() for line in out.getvalue().splitlines()] == [
        "t",
        "name            rows",
        "[bold]a[/bold]    10",
        "b[0]               2",
    ]


def test_progress_tells_what_was_done_and_what_was_not() -> None:
    out = io.StringIO()
    progress = TerminalProgress(Console(file=out, width=90))

    with progress.step("outer"):
        with progress.step("inner [1]"):
            progress.note("a finding [with brackets]")
        with pytest.raises(ValueError, match="no"), progress.step("fails"):
            raise ValueError("no")

    told = [line.split("  0.")[0].rstrip() for line in out.getvalue().splitlines()]
    assert told == ["    a finding [with brackets]", "  + inner [1]", "  x fails", "  + outer"]


def test_work_beside_is_told_when_it_is_its_turn_and_begins_nothing_once_it_is_given_up() -> None:
    out = io.StringIO()
    held = HeldProgress()
    with held.step("ingest"):
        held.note("3 rows [new]")
        held.give_up()
    with pytest.raises(Interrupted, match="features: not begun"), held.step("features"):
        pytest.fail("it began")
    assert out.getvalue() == ""

    held.tell(Console(file=out, width=90))

    told = [line.split("  0.")[0].rstrip() for line in out.getvalue().splitlines()]
    assert told == ["    3 rows [new]", "  + ingest"]


def test_what_is_to_be_run_next_finds_the_same_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("", "examples/weather/"):
        (tmp_path / folder / "conf").mkdir(parents=True)
        (tmp_path / folder / "conf/environments.yml").touch()
    monkeypatch.delenv("GATEHOUSE_CONF", raising=False)
    monkeypatch.chdir(tmp_path)

    assert called(tmp_path / "conf") == "gatehouse"
    assert called(tmp_path / "examples/weather/conf") == "gatehouse --conf examples/weather/conf"
    monkeypatch.chdir(tmp_path / "examples/weather")
    assert called(tmp_path / "examples/weather/conf") == "gatehouse"
    monkeypatch.chdir("/")
    assert called(tmp_path / "conf") == f"gatehouse --conf {from_here(tmp_path / 'conf')}"


def test_a_terminal_that_does_not_know_gatehouse_is_told_how_it_will(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.prefix", str(tmp_path / ".venv"))
    monkeypatch.setenv("UV_RUN_RECURSION_DEPTH", "1")
    assert activation() == (r".venv\Scripts\activate" if os.name == "nt" else ". .venv/bin/activate")

    monkeypatch.delenv("UV_RUN_RECURSION_DEPTH")
    assert activation() == ""
