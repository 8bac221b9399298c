"""A process that examines a model is not waited for longer than anybody wants to know."""

from __future__ import annotations

import os
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
