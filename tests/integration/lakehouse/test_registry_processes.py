"""Two processes on one registry: the lock holds between them as it does between threads."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gatehouse.lakehouse.tracking import Tracking

MODEL = "prod.flights.delays"
MODELS = 15

PROMOTE = """
import sys
from pathlib import Path
from gatehouse.errors import AliasMoved
from gatehouse.lakehouse.tracking import open_tracking

root, files, mine = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
registry = open_tracking(root, experiment="dev.flights.delays").registry(writable=[("prod", "flights")])
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[4])):
    model = f"prod.flights.delays_{number}"
    version = registry.register(model, source=files, run_id=None, tags={"who": mine}).version
    try:
        registry.compare_and_set_alias(model, "champion", expected=None, version=version)
        print(f"won {model} {version}")
    except AliasMoved as moved:
        print(f"lost {model} {moved.holder}")
"""


@pytest.mark.broken_gate(24)
def test_of_processes_that_promote_at_once_one_wins_each_time_and_the_others_learn_who(
    tracking: Tracking, mlflow_root: Path, make_model: Callable[[float], Path], tmp_path: Path
) -> None:
    script = tmp_path / "promote.py"
    script.write_text(PROMOTE)
    command = [sys.executable, str(script), str(mlflow_root), str(make_model(0.25))]
    processes = [
        subprocess.Popen(
            [*command, str(n), str(MODELS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for n in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=120) for process in processes]

    assert [errors for _, errors in said] == [""] * 2
    lines = [line.split() for output, _ in said for line in output.splitlines()]
    registry = tracking.registry(writable=[])
    for number in range(MODELS):
        model = f"{MODEL}_{number}"
        champion = registry.by_alias(model, "champion")
        assert champion is not None
        outcomes = sorted((outcome, version) for outcome, of, version in lines if of == model)
        assert outcomes == [("lost", champion.version), ("won", champion.version)]
        assert [v.version for v in registry.versions(model)] == ["2", "1"]
        assert {v.tags["who"] for v in registry.versions(model)} == {"0", "1"}
