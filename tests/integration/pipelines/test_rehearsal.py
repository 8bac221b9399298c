"""`gatehouse rehearse` as CI runs it: the second use case through every pipeline and gate, and out of them again."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatehouse.pipelines.rehearsal import STEPS
from gatehouse.settings import load

if TYPE_CHECKING:
    from tests.integration.pipelines.conftest import Command, Lakehouse, Open

pytestmark = pytest.mark.slow

AS_OF = "2013-10-08"


@pytest.fixture
def empty(open_lakehouse: Open, tmp_path: Path) -> Lakehouse:
    return open_lakehouse(tmp_path / "lakehouse")


def left(lakehouse: Lakehouse) -> list[str]:
    root = lakehouse.world.place.root
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*pr_7*") if p.suffix != ".lock")


def outcomes(told: str) -> dict[str, str]:
    return {step["name"]: step["outcome"] for step in json.loads(told)["steps"]}


@pytest.fixture
def with_history(empty: Lakehouse, tmp_path: Path) -> Lakehouse:
    """Where staging takes all there is, so that the gates have enough to open."""
    place = empty.world.place
    conf = Path(shutil.copytree(place.settings.conf, tmp_path / "conf"))
    file = conf / "environments.yml"
    file.write_text(file.read_text("utf-8").replace("    history_days: 200\n", ""), "utf-8")
    settings = load(conf)
    assert settings.environment("staging").history_days is None
    return replace(empty, world=replace(empty.world, place=replace(place, settings=settings)))


def test_the_whole_road_is_gone_and_leaves_nothing_behind(with_history: Lakehouse, command: Command) -> None:
    ended = command(with_history, f"rehearse --env staging --schema pr_7 --as-of {AS_OF} --json")

    assert ended.code == 0, ended.err
    verdicts = {name: "PROMOTE" for name in STEPS if name.startswith("compliance and challenge")}
    assert len(verdicts) == 2
    assert outcomes(ended.out) == {**dict.fromkeys(STEPS, "done"), **verdicts}
    assert json.loads(ended.out)["steps"][-1]["note"] == "It would be to version 1."
    page = (with_history.world.place.root / "report" / "rehearsal.md").read_text("utf-8")
    assert all(name in page for name in STEPS)
    assert left(with_history) == []
    assert command(with_history, "sweep --env staging").out == "Rehearsals of staging left nothing behind.\n"


def test_a_version_that_is_held_is_a_result_and_the_rest_goes_on(empty: Lakehouse, command: Command) -> None:
    """On 200 days of history the first version cannot be told from the baseline; the second meets a champion."""
    ended = command(empty, f"rehearse --env staging --schema pr_7 --as-of {AS_OF}")

    assert ended.code == 0, ended.err
    words = " ".join(ended.out.split())
    assert "INSUFFICIENT_EVIDENCE" in words
    assert "The gates do not open, so nobody can approve it." in words
    assert "Past the gates, in this schema alone, so that the rest can be rehearsed." in words
    assert "there is no way back." in words
    assert "Rehearsed in staging.pr_7, as of 2013-10-08" in words
    assert left(empty) == []


def test_what_cannot_be_done_fails_is_kept_and_swept(empty: Lakehouse, command: Command) -> None:
    line = "rehearse --env staging --schema pr_7 --as-of 2013-01-20"

    ended = command(empty, line)

    assert (ended.code, ended.out) == (4, "")
    assert "fewer than minimum_rows" in ended.err
    assert re.search(r"staging\.pr_7 is kept until \d{4}-\d\d-\d\d \d\d:\d\d UTC", ended.err)
    assert "tables/staging/pr_7" in left(empty)
    assert "kept until" in command(empty, "sweep --env staging").out
    swept = json.loads(command(empty, "sweep --env staging --older-than-hours 0 --json").out)
    assert swept == {"dropped": ["staging.pr_7"], "kept": {}, "running": []}
    assert left(empty) == []

    assert command(empty, f"{line} --keep-failed-hours 0").code == 4
    assert left(empty) == []


def test_how_long_what_failed_is_kept_is_what_the_file_says(empty: Lakehouse, command: Command, tmp_path: Path) -> None:
    conf = Path(shutil.copytree(empty.world.place.settings.conf, tmp_path / "conf"))
    file = conf / "environments.yml"
    text = file.read_text("utf-8")
    file.write_text(text.replace("  staging:\n", "  staging:\n    keep_failed_hours: 0\n"), "utf-8")
    place = replace(empty.world.place, settings=load(conf))

    ended = command(
        replace(empty, world=replace(empty.world, place=place)), "rehearse --env staging --as-of 2013-01-20"
    )

    assert (ended.code, "is kept until" in ended.err) == (4, False)
    assert left(empty) == []


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT], ids=lambda kind: kind.name)
def test_a_cancelled_one_is_dropped(empty: Lakehouse, kind: signal.Signals) -> None:
    place = empty.world.place
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "gatehouse"),
            *("--conf", str(place.settings.conf), "--lakehouse", str(place.root)),
            *("rehearse", "--env", "staging", "--schema", "pr_7", "--as-of", AS_OF),
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    with process.stderr as said:
        for line in said:
            if "+ features" in line:
                break
        assert "tables/staging/pr_7" in left(empty)
        process.send_signal(kind)
        rest = said.read()

    assert process.wait() == 130, rest
    assert "Stopped." in rest
    assert left(empty) == []


def test_two_at_once_in_different_schemas_do_not_meet(empty: Lakehouse) -> None:
    place = empty.world.place
    both = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "gatehouse"),
                *("--conf", str(place.settings.conf), "--lakehouse", str(place.root)),
                *("rehearse", "--env", "staging", "--schema", schema, "--as-of", AS_OF, "--json"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for schema in ("pr_7", "pr_77")
    ]
    ended = [process.communicate() for process in both]

    assert [process.returncode for process in both] == [0, 0], [err for _, err in ended]
    assert outcomes(ended[0][0]) == outcomes(ended[1][0])
    assert left(empty) == []
