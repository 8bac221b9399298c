"""Somebody else is at it, the disk is full, the folder is read-only: told with its exit code, and then gone on with."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.integration.pipelines.conftest import Command, Lakehouse, Open

pytestmark = pytest.mark.slow

PIPELINES = ("ingest", "features", "training", "inference", "monitoring")
LATER = "2013-10-08"


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_a_pipeline_that_is_running_already_is_busy_and_others_are_not(
    trained_once: Lakehouse, command: Command, pipeline: str
) -> None:
    before = trained_once.versions()

    with trained_once.at(LATER).alone(pipeline):
        ended = command(trained_once, f"run {pipeline} --env prod --as-of {LATER}")
        for other in PIPELINES:
            if other != pipeline:
                with trained_once.at(LATER).alone(other):
                    pass
        with trained_once.at(LATER, "dev").alone(pipeline):
            pass

    assert (ended.code, ended.out) == (7, "")
    assert ended.err.endswith(
        f"Error: The {pipeline} pipeline is already running in prod.\n"
        "Why it matters: Two runs over one window would do the same work twice and wait for each other's writes.\n"
        "Next: Wait until the other run has ended, then run the same command again.\n"
    )
    assert trained_once.versions() == before


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False, text=True)
    except OSError as error:
        pytest.skip(f"no file system can be made here: {error}")
    if done.returncode:
        pytest.skip(f"no file system can be made here, which takes root: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@contextmanager
def nothing_left(disk: Path) -> Iterator[None]:
    """Every byte of the disk is taken."""
    filler = disk / "filler"
    try:
        with filler.open("wb", buffering=0) as file:
            for size in (1 << 16, 1 << 10, 1):
                try:
                    while file.write(b"\0" * size) == size:
                        pass
                except OSError:
                    pass
        yield
    finally:
        filler.unlink()


def test_a_full_disk_ends_each_pipeline_with_8_and_the_same_command_goes_on_when_there_is_room(
    trained_once: Lakehouse, open_lakehouse: Open, command: Command, small_disk: Path
) -> None:
    full = open_lakehouse(Path(shutil.copytree(trained_once.world.place.root, small_disk / "lakehouse")))
    spacious = open_lakehouse(Path(shutil.copytree(trained_once.world.place.root, small_disk.parent / "spacious")))
    told, went_on = {}, {}

    for pipeline in PIPELINES:
        line = f"run {pipeline} --env prod --as-of {LATER}"
        before = full.versions()
        with nothing_left(small_disk):
            told[pipeline] = command(full, line)
            assert {n: v for n, v in full.versions().items() if n in before} == before
        went_on[pipeline] = command(full, line).code
        assert command(spacious, line).code == 0

    assert {pipeline: ended.code for pipeline, ended in told.items()} == dict.fromkeys(PIPELINES, 8), told
    assert all("space" in ended.err or "full" in ended.err for ended in told.values())
    assert went_on == dict.fromkeys(PIPELINES, 0)
    for table in ("daily_weather", "recent_weather", "predictions"):
        assert full.rows(table) == spacious.rows(table)
    model = "prod.temperature.temperature"
    assert [v.version for v in full.at(LATER).registry.versions(model)] == ["2", "1"]


@contextmanager
def rights_of_an_ordinary_user() -> Iterator[None]:
    """Let file permissions bind this thread even where root runs the tests, as in a container."""
    if sys.platform != "linux" or os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3 of the interface, this thread
    before = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; twice
    assert libc.capget(header, before) == 0
    without = (ctypes.c_uint32 * 6)(*before)
    without[0] &= ~0b110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    assert libc.capset(header, without) == 0
    try:
        yield
    finally:
        assert libc.capset(header, before) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="no such permissions")
@pytest.mark.parametrize("line", ["run ingest --env prod --as-of 2013-10-08", "status"])
def test_a_read_only_folder_ends_with_8_and_says_what_to_do(trained: Lakehouse, command: Command, line: str) -> None:
    root = trained.world.place.root
    entries = [root, *root.rglob("*")]
    try:
        for entry in entries:
            entry.chmod(0o555 if entry.is_dir() else 0o444)
        with rights_of_an_ordinary_user():
            ended = command(trained, line)
    finally:
        for entry in entries:
            entry.chmod(0o755 if entry.is_dir() else 0o644)

    assert (ended.code, ended.out) == (8, "")
    assert f"Error: The lakehouse folder {root} cannot be written: Permission denied." in ended.err
    assert "Next: Give yourself the right to write it, or choose another with --lakehouse DIR." in ended.err


def test_a_file_where_the_lakehouse_should_be_is_a_wrong_option(trained_once: Lakehouse, command: Command) -> None:
    file = trained_once.world.place.root / "mlflow.db"
    place = replace(trained_once.world.place, root=file)

    ended = command(replace(trained_once, world=replace(trained_once.world, place=place)), "status")

    assert (ended.code, ended.out) == (2, "")
    assert f"Directory '{file}' is a file." in ended.err


def test_a_clock_that_is_damaged_ends_with_8_and_says_how_to_set_it_anew(trained: Lakehouse, command: Command) -> None:
    state = trained.world.place.root / "state" / "prod.temperature.json"
    state.parent.mkdir()
    state.write_text('{"as_of": 2013}')

    ended = command(trained, "run monitoring --env prod")
    again = command(trained, f"run ingest --env prod --as-of {LATER}")

    assert (ended.code, again.code) == (8, 8)
    assert f"{state} is damaged." in ended.err
    state.unlink()
    assert command(trained, f"run ingest --env prod --as-of {LATER}").code == 0
