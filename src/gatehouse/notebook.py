"""For notebooks and consoles: one environment's world, open until it is closed.

from gatehouse.notebook import open_environment

dev = open_environment("dev", as_of="2013-04-01")
flights = dev.tables.read(dev.source("flights"))
"""

from __future__ import annotations

import atexit
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from gatehouse.cli.display import TerminalProgress
from gatehouse.cli.world import open_context, place

if TYPE_CHECKING:
    from gatehouse.pipelines.context import Context


def open_environment(env: str = "dev", *, as_of: str | None = None, conf: Path | None = None) -> Context:
    """The same world that `gatehouse run` has, with the rights of that environment; closed when Python ends."""
    stack = ExitStack()
    context = stack.enter_context(
        open_context(place({"conf": conf, "lakehouse": None}), env, as_of=as_of, progress=TerminalProgress())
    )
    atexit.register(stack.close)
    return context
