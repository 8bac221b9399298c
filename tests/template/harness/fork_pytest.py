"""Runs many pytest sessions, each on a source tree of its own, without paying for the imports each time.

    python fork_pytest.py JOBS IMPORTS...

Imports what every session needs, then forks one process for each job of the JSON file JOBS, at most one per core at a
time: `source` goes to the front of the import path, `arguments` to pytest, and what it says into the file `output`. A
job that `waits` begins when the first job has ended. None of IMPORTS may import what lies in those trees.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any


def main(jobs: list[dict[str, Any]]) -> None:
    first, running = 0, set[int]()
    for job in sorted(jobs, key=lambda j: j["waits"]):
        while len(running) == (os.cpu_count() or 1) or (job["waits"] and first in running):
            running.discard(os.wait()[0])
        child = os.fork() or _run(job)
        running.add(child)
        first = first or child
    while running:
        running.discard(os.wait()[0])


def _run(job: dict[str, Any]) -> int:
    """Never returns: this process has borrowed everything from its parent."""
    code = 70
    try:
        output = os.open(job["output"], os.O_WRONLY | os.O_CREAT)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.path.insert(0, job["source"])
        import pytest

        code = int(pytest.main(job["arguments"]))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


if __name__ == "__main__":
    os.environ["SPARK_CONNECT_MODE_ENABLED"] = "1"  # before pyspark decides by what is installed
    for name in sys.argv[2:]:
        import_module(name)
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
