"""A small repository under test: the temperature example on its own, with this checkout's workflows.

All that a test changes is committed by somebody, as in life.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.template.harness.github_stubs import write_make
from tests.template.harness.yaml_files import ROOT, dump, read

EXAMPLE = ROOT / "examples" / "temperature"


def write_use_case(work: Path, programs: Path, gatehouse: Path, *, make: Path | None = None) -> None:
    """Into the working copy of a hub. `programs` is its folder of what hosted machines have; `make install` of its
    workflows leads to `gatehouse`, every other target to `make`.
    """
    for name in ("temperature.py", "daily_weather.csv"):
        shutil.copy(EXAMPLE / name, work)
    for folder in (".github", ".azure-pipelines"):
        shutil.copytree(ROOT / folder, work / folder)
    shutil.copytree(EXAMPLE / "conf", work / "conf")
    (work / ".gitignore").write_text(".lakehouse/\n.venv/\ndist/\n__pycache__/\n", encoding="utf-8")
    change(work, "environments", lambda c: c["environments"]["prod"]["replay"].update(start="2013-07-01", step_days=31))
    write_make(programs, gatehouse, recorder=make)


def change(work: Path, name: str, edit: object) -> None:
    """Edits one file of conf/ in place."""
    path = work / "conf" / f"{name}.yml"
    content = read(path)
    assert callable(edit)
    edit(content)
    path.write_text(dump(content), encoding="utf-8")


def make_worse(work: Path) -> None:
    """A ridge that is pulled so hard that it predicts the mean whatever the weather."""
    change(work, "options", lambda c: c["candidates"][0]["options"].update(alpha=1e9))


def make_forbidden(work: Path) -> None:
    """A policy that takes models of another format only."""
    change(work, "promotion", lambda c: c["compliance"].update(allowed_flavours=["lightgbm"]))


def undo(work: Path) -> None:
    """As it was in the beginning."""
    for name in ("options", "promotion"):
        shutil.copy(EXAMPLE / "conf" / f"{name}.yml", work / "conf")
