"""Two processes on one registry: the lock holds between them as it does between threads."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gatehouse.lakehouse.tracking import Tracking

pytestmark = pytest.mark.slow

MODEL = "prod.flights.delays"
ROUNDS = 20

PROMOTE = f"""
import sys
from pathlib import Path
from gatehouse.errors import AliasMoved
from gatehouse.lakehouse.tracking import open_tracking

root, mine = Path(sys.argv[1]), sys.argv[2]
registry = open_tracking(root, experiment="dev.flights.delays").registry(writable=[("prod", "flights")])
print(registry.by_alias("{MODEL}", "ready"), flush=True)
for alias in sys.stdin:
    try:
        registry.compare_and_set_alias("{MODEL}", alias.strip(), expected=None, version=mine)
        print("won", mine, flush=True)
    except AliasMoved as moved:
        print("lost to", moved.holder, flush=True)
"""


@pytest.mark.broken_gate(24)
def test_of_two_processes_that_promote_at_once_one_wins_each_time_and_the_other_learns_who(
    tracking: Tracking, mlflow_root: Path, make_model: Callable[[float], Path], tmp_path: Path
) -> None:
    registry = tracking.registry(writable=[("prod", "flights")])
    for number in (0.25, 0.75):
        registry.register(MODEL, source=str(make_model(number)), run_id=None, tags={})
    script = tmp_path / "promote.py"
    script.write_text(PROMOTE)
    rivals = [Rival(script, mlflow_root, version) for version in ("1", "2")]
    assert [rival.hear() for rival in rivals] == ["None", "None"]

    for round_ in range(ROUNDS):
        for rival in rivals:
            rival.say(f"champion_{round_}")
        heard = sorted(rival.hear() for rival in rivals)
        champion = registry.by_alias(MODEL, f"champion_{round_}")
        assert champion is not None
        assert heard == [f"lost to {champion.version}", f"won {champion.version}"]

    assert [rival.end() for rival in rivals] == ["", ""]


class Rival:
    """A process that wants every alias it is told about for its own version."""

    def __init__(self, script: Path, root: Path, version: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(script), str(root), version],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def hear(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def end(self) -> str:
        """What it complained about."""
        return self._process.communicate(timeout=60)[1]
