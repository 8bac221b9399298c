"""How long work tells where it is. The pipelines speak to this; the CLI decides how it looks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """Receives what a pipeline is doing, step by step."""

    @contextmanager
    def step(self, text: str) -> Iterator[None]:  # noqa: ARG002 - a protocol
        """Around one piece of work that may take a while."""
        yield

    def note(self, text: str) -> None:
        """A finding worth a line."""


class Silent:
    """Says nothing; keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    @contextmanager
    def step(self, text: str) -> Iterator[None]:  # noqa: ARG002
        """Does nothing around the work."""
        yield

    def note(self, text: str) -> None:
        """Kept in `notes`."""
        self.notes.append(text)
