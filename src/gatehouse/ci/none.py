"""No CI: a laptop. Nothing is told to anybody, and who approves says so by name."""

from __future__ import annotations

from pathlib import Path

from gatehouse.ci.checkout import head, people_of
from gatehouse.ci.provider import CiRun
from gatehouse.ci.unable import Unable


class NoCi(Unable):
    """`folder` is a git checkout, or is not."""

    name = "none"
    title = "No CI"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run(self) -> CiRun:
        """What git says about the checkout."""
        commit = head(self._folder)
        return CiRun(
            id="",
            attempt=1,
            url="",
            event="",
            ref="",
            commit=commit,
            repository="",
            people=people_of(self._folder, commit) if commit else (),
            visibility="unknown",
        )

    def proposers(self) -> tuple[str, ...]:
        """Who wrote and who committed the commit."""
        return self.run().people
