"""Who answers requests: the port to an endpoint that predicts with the version it was given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """Real rows, as JSON has them, and a model's own answers to them: one number or more per row."""

    columns: Sequence[str]
    data: Sequence[Sequence[Any]]
    answers: Sequence[float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """An endpoint as it is configured. `project` and `env` tell that it is ours."""

    name: str
    project: str
    env: str
    workload_size: str
    scale_to_zero: bool


class Online(Protocol):
    """An endpoint. What it had before goes on answering whenever one of these raises."""

    def serve(self, version: str, asked: Asked) -> str:
        """Make a version the one that answers, once it answers as the model does; returns where.

        The one before it stays within reach, so that going back to it is a matter of traffic.
        """

    def split(self, champion: str, challenger: str, percent: int, asked: Asked) -> str:
        """Give a challenger that many percent of the traffic, once it answers as the model does; returns where."""
