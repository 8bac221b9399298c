"""The entry point of a wheel task: the command line, inside a job.

It differs from `gatehouse` in three things. It raises instead of exiting, because that is how a job learns that a task
failed. An argument `--option=` without a value is dropped, so that an empty job parameter is one that was not given.
Its last line tells the process that follows the run what came out.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

_LONGEST_SUMMARY = 200_000
"""Characters: logs are cut, and their last line must not be."""


class TaskFailed(Exception):
    """The command ended with another exit code than 0; what it said stands above."""


def main(arguments: list[str] | None = None) -> None:
    """Run one command; TaskFailed if it fails."""
    from gatehouse.ci.job import NOTES, SUMMARY, read_notes
    from gatehouse.cli import execute
    from gatehouse.databricks.outcome import write_failure, write_outcome

    given = [a for a in (sys.argv[1:] if arguments is None else arguments) if not _without_value(a)]
    with tempfile.TemporaryDirectory(prefix="gatehouse-") as folder:
        os.environ.setdefault("GATEHOUSE_LAKEHOUSE", str(Path(folder) / "lakehouse"))
        notes = Path(folder) / "notes.json"
        os.environ[NOTES] = str(notes)
        try:
            code, error = execute(given)
            outputs = read_notes(notes)
        finally:
            del os.environ[NOTES]
    if SUMMARY in outputs:
        outputs[SUMMARY] = outputs[SUMMARY][:_LONGEST_SUMMARY]
    sys.stdout.flush()
    sys.stderr.flush()
    print(write_failure(error, outputs) if error else write_outcome(code, outputs), flush=True)  # noqa: T201 - the protocol
    if code:
        raise TaskFailed(f"gatehouse {' '.join(given)}: exit code {code}")


def _without_value(argument: str) -> bool:
    return argument.startswith("--") and argument.endswith("=")
