"""`kill -9` anywhere in release, approve, promote and rollback: the benchmark of it, with a tenth of its points."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

BENCH = Path(__file__).parents[2] / "bench" / "crash_safety.py"


@pytest.mark.engine("sail")  # a forked process has no JVM
@pytest.mark.skipif(sys.platform == "win32", reason="cannot fork")
def test_after_a_kill_anywhere_the_next_command_leaves_nothing_that_the_log_cannot_explain(tmp_path: Path) -> None:
    found = tmp_path / "found.json"

    ran = subprocess.run(
        [sys.executable, str(BENCH), "--points", "20", "--json", str(found)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    points = json.loads(found.read_text())["points"]
    assert Counter(p["command"] for p in points) == {"release": 6, "approve": 6, "promote": 4, "rollback": 4}
    assert [p for p in points if p["violations"]] == []
