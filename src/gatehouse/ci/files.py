"""For CIs without a page of their own: summaries and outputs as files in the checkout, which the job keeps."""

from __future__ import annotations

from pathlib import Path

from gatehouse.ci.commands import dotenv
from gatehouse.ci.unable import Unable

FOLDER = Path("dist/ci")
"""In the checkout: `summary.md`, and `outputs.env` with a NAME=value on each line."""


class Files(Unable):
    """`folder` is the checkout."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def summary(self, markdown: str) -> None:
        """Appends to dist/ci/summary.md."""
        self._append("summary.md", markdown.rstrip("\n") + "\n\n")

    def output(self, name: str, value: str) -> None:
        """Appends to dist/ci/outputs.env."""
        self._append("outputs.env", dotenv(name, value))

    def _append(self, name: str, text: str) -> None:
        file = self._folder / FOLDER / name
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as target:
            target.write(text)
