"""How the command line looks: progress, tables, JSON."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gatehouse.errors import ConfigurationError, Interrupted
from gatehouse.settings import find_conf


def stdout_console() -> Console:
    """Where results go."""
    return Console(highlight=False)


class TerminalProgress:
    """Steps with their seconds on a console; a spinner where somebody is looking."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False)
        self._depth = 0

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """One line when the step is done; the outermost of nested steps shows its spinner."""
        start = time.perf_counter()
        self._depth += 1
        try:
            if self._depth == 1 and self.console.is_terminal:
                with self.console.status(text):
                    yield
            else:
                yield
        except BaseException:
            self.console.print(Text(f"  x {text}", style="red"))
            raise
        finally:
            self._depth -= 1
        seconds = f"{time.perf_counter() - start:5.1f} s"
        self.console.print(Text.assemble(("  + ", "green"), f"{text:<60}", (seconds, "dim")))

    def note(self, text: str) -> None:
        """One indented line."""
        self.console.print(Text(f"    {text}", style="dim"))


class HeldProgress(TerminalProgress):
    """Of work beside that which is on the screen: its lines are kept until it is their turn."""

    def __init__(self) -> None:
        super().__init__(Console(file=io.StringIO(), record=True, highlight=False))
        self._given_up = False

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """See TerminalProgress. After `give_up` no further step begins."""
        if self._given_up:
            raise Interrupted(f"{text}: not begun, because what goes on beside it has ended.")
        with super().step(text):
            yield

    def give_up(self) -> None:
        """End the work at its next step."""
        self._given_up = True

    def tell(self, console: Console) -> None:
        """Show what was kept."""
        if lines := self.console.export_text(styles=True).rstrip():
            console.print(Text.from_ansi(lines))


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """A plain table; numbers to the right."""
    grid = Table(title=title, title_justify="left", title_style="bold", header_style="bold", box=None, pad_edge=False)
    for index, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(r[index], int | float) for r in rows)
        grid.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        grid.add_row(*(Text(shown(cell)) for cell in row))  # as Text: brackets in a value are no markup
    return grid


def shown(cell: object) -> str:
    """A cell as people read it."""
    if cell is None:
        return "-"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int):
        return f"{cell:,}"
    if isinstance(cell, float):
        return f"{cell:.4f}"
    if isinstance(cell, datetime):
        return f"{cell:%Y-%m-%d %H:%M}"
    return str(cell)


def peak_memory() -> float | None:
    """The most memory this process has used so far, in GiB; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**30 if sys.platform == "darwin" else 2**20)


def echo_json(content: Any) -> None:
    """One JSON document on standard output: dataclasses as objects, moments in ISO 8601."""
    click.echo(json.dumps(_plain(content), indent=2, sort_keys=True, allow_nan=False))


def _plain(content: Any) -> Any:
    if dataclasses.is_dataclass(content) and not isinstance(content, type):
        return {f.name: _plain(getattr(content, f.name)) for f in dataclasses.fields(content)}
    if isinstance(content, Mapping):
        return {str(k): _plain(v) for k, v in content.items()}
    if isinstance(content, list | tuple):
        return [_plain(v) for v in content]
    if isinstance(content, Enum):
        return content.value
    if isinstance(content, datetime):
        return content.isoformat()
    if isinstance(content, Path):
        return str(content)
    if isinstance(content, float) and not math.isfinite(content):  # not JSON
        return None
    return content


def from_here(path: Path) -> Path:
    """As it is written in the folder that one stands in."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def called(conf: Path) -> str:
    """How this command line is called so that it finds the same configuration."""
    try:
        found = find_conf(Path.cwd())
    except ConfigurationError:
        found = None
    return "gatehouse" if found == conf else f"gatehouse --conf {from_here(conf)}"


def activation() -> str:
    """What makes `gatehouse` known to a terminal; empty unless uv, or make, knew it for this one command alone."""
    if "UV_RUN_RECURSION_DEPTH" not in os.environ:
        return ""
    folder = from_here(Path(sys.prefix))
    return rf"{folder}\Scripts\activate" if os.name == "nt" else f". {folder}/bin/activate"
