"""A process that examines a model is not waited for longer than anybody wants to know."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from gatehouse.pipelines.clean_process import CleanProcess

LIMIT = 60.0


def test_what_is_raised_while_it_is_at_work_is_heard_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "MLmodel")  # whoever reads it waits for ever
    begin = time.monotonic()
    with CleanProcess() as process, pytest.raises(ZeroDivisionError):  # noqa: SIM117
        with process.asking({"model": str(tmp_path)}, limit=LIMIT):
            _ = 1 / 0
    assert time.monotonic() - begin < LIMIT / 2


PROBE = """
import json, sys
from pathlib import Path

def main(flavours):
    for line in sys.stdin:
        answer = {"file": __file__, "flavours": flavours, "path": sys.path}
        Path(json.loads(line)["answer"]).write_text(json.dumps(answer))
        print(0, flush=True)
"""


def test_it_finds_what_a_workspace_has_installed_and_no_other_folder_of_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    libraries, checkout = tmp_path / "libraries", tmp_path / "checkout"
    for folder in (checkout, libraries / "gatehouse-1.0.dist-info", libraries / "gatehouse" / "gates"):
        folder.mkdir(parents=True)
    for package in ("gatehouse", "gatehouse/gates"):
        (libraries / package / "__init__.py").touch()
    (libraries / "gatehouse/gates/probe.py").write_text(PROBE)
    monkeypatch.setattr(sys, "path", [str(checkout), str(libraries), *sys.path])

    with CleanProcess(["lightgbm"]) as process:
        answer, reason = process.ask({}, limit=LIMIT)

    assert answer is not None, reason
    assert (answer["file"], answer["flavours"]) == (str(libraries / "gatehouse/gates/probe.py"), ["lightgbm"])
    assert str(checkout) not in answer["path"]
