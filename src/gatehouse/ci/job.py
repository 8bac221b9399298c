"""A task of a job in a workspace: what it is told to hand on goes back to the process that follows the run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from gatehouse.ci.provider import CiRun
from gatehouse.ci.unable import Unable

NOTES = "GATEHOUSE_TASK_NOTES"
"""Variable that names the file in which a task keeps its outputs; the task's entry point makes it."""
SUMMARY = "summary"


class InJob(Unable):
    """Outputs are kept as JSON, the summaries as one more of them."""

    name = "databricks"
    title = "A Databricks job"

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._notes = Path(environ[NOTES])

    def run(self) -> CiRun:
        """Nothing is known of who started it: that is told to the command by its arguments."""
        return CiRun(
            id="", attempt=1, url="", event="", ref="", commit="", repository="", people=(), visibility="unknown"
        )

    def proposers(self) -> tuple[str, ...]:
        """Nobody that it knows of."""
        return ()

    def summary(self, markdown: str) -> None:
        """Adds to the summary that the caller shows."""
        kept = read_notes(self._notes)
        self.output(SUMMARY, f"{kept.get(SUMMARY, '')}{markdown.rstrip(chr(10))}\n\n")

    def output(self, name: str, value: str) -> None:
        """Keeps it for the caller."""
        self._notes.write_text(json.dumps({**read_notes(self._notes), name: value}), encoding="utf-8")


def read_notes(file: Path) -> dict[str, str]:
    """What was kept; nothing where nothing was."""
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else {}
