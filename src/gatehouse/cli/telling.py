"""Tells the CI, where there is one, what a command has found: a summary on the run's page, values for later steps.

The one place of the command line that asks in which CI it runs.
"""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from gatehouse.ci.provider import Provider
    from gatehouse.errors import GatehouseError
    from gatehouse.pipelines.context import Context


def provider_of(folder: Path) -> Provider:
    """The CI this process runs in; `folder` is the checkout."""
    from gatehouse.ci import detect

    log = sys.stderr.target if isinstance(sys.stderr, InertLog) else sys.stderr
    return detect(os.environ, log=log, folder=folder)


def tell(folder: Path, markdown: str, outputs: Mapping[str, str] | None = None) -> None:
    """Add to the run's summary, and set outputs; nothing happens outside a CI."""
    provider = provider_of(folder)
    provider.summary(markdown)
    for name, value in (outputs or {}).items():
        provider.output(name, value)


def decision_summary(context: Context, version: str) -> str:
    """What is known about a version that was judged, as Markdown; a plain line where there is no record of it."""
    from gatehouse.errors import GatehouseError
    from gatehouse.pipelines.approval import approval_verdict
    from gatehouse.pipelines.decisions import find
    from gatehouse.pipelines.pages import decision_of
    from gatehouse.reports.gfm import escaped
    from gatehouse.reports.summary import decision_markdown

    try:
        record = find(context, context.registry.get(context.model, version))
        return decision_markdown(decision_of(context, record, people=approval_verdict(context, record)))
    except GatehouseError as error:
        return f"Version {escaped(version)} of {escaped(context.model)}. {escaped(error.what, at_most=2000)}\n"


def complain(error: GatehouseError) -> None:
    """An error, as a message on the run's page and in its summary. That it cannot be told stops nothing."""
    from gatehouse.ci.provider import Level
    from gatehouse.errors import GatehouseError
    from gatehouse.reports.gfm import escaped

    provider = provider_of(Path.cwd())
    if provider.name in ("none", "databricks"):  # whoever follows a job's task tells it, from its last line
        return
    said = [f"### ⚠️ {escaped(error.what, at_most=2000)}", escaped(error.why, at_most=2000)]
    if error.remedy:
        said.append(f"**Next:** {escaped(error.remedy, at_most=2000)}")
    with suppress(GatehouseError, OSError):
        provider.annotate(Level.ERROR, error.what)
        provider.summary("\n\n".join(line for line in said if line) + "\n")


@contextmanager
def inert_log() -> Iterator[None]:
    """What a command prints is shown by the CI and never obeyed, whatever titles, branches and reasons it repeats.

    Standard output that goes into a file stays as it is: no CI reads commands there.
    """
    provider = provider_of(Path.cwd())
    if provider.name == "none":
        yield
        return
    out, err = sys.stdout, sys.stderr
    logs = [InertLog(err, provider.inert)]
    sys.stderr = logs[0]
    if not _is_file(out):
        logs.append(InertLog(out, provider.inert))
        sys.stdout = logs[1]
    try:
        yield
    finally:
        for log in logs:
            log.finish()
        sys.stdout, sys.stderr = out, err


class InertLog(io.TextIOBase):
    """A stream that passes on whole lines, each made inert: a command in two pieces is found, too."""

    def __init__(self, target: TextIO, inert: Callable[[str], str]) -> None:
        super().__init__()
        self.target = target
        self._inert = inert
        self._begun = ""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """That of the stream behind it."""
        return self.target.encoding or "utf-8"

    def writable(self) -> bool:
        """Always."""
        return True

    def isatty(self) -> bool:
        """Of the stream behind it."""
        return self.target.isatty()

    def fileno(self) -> int:
        """Of the stream behind it."""
        return self.target.fileno()

    def write(self, text: str, /) -> int:
        """Keeps what follows the last line until its end comes."""
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            self.target.write(self._inert(line) + "\n")
        return len(text)

    def flush(self) -> None:
        """Passes on what is whole."""
        self.target.flush()

    def finish(self) -> None:
        """Passes on the rest."""
        if self._begun:
            self.target.write(self._inert(self._begun))
        self._begun = ""
        self.target.flush()


def _is_file(stream: TextIO) -> bool:
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):  # no file at all: a test's, or a notebook's
        return False
