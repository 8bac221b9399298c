"""Checks of names that a project declares: a misspelt one fails when it is declared, not in the middle of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gatehouse.errors import ConfigurationError


def refuse_repeats(where: str, names: Sequence[str]) -> None:
    """ConfigurationError if a name stands twice."""
    repeated = sorted({n for n in names if list(names).count(n) > 1})
    if repeated:
        raise ConfigurationError(
            f"{where}: {', '.join(repeated)} declared more than once.",
            why="Two things of one name shadow each other.",
            remedy="Rename one of them.",
        )


def refuse_unknown(role: str, used: Sequence[str], known: Sequence[str] | Mapping[str, Any]) -> None:
    """ConfigurationError if a name is used that nobody declared."""
    unknown = [name for name in used if name not in known]
    if unknown:
        raise ConfigurationError(
            f"{role} names {', '.join(map(repr, unknown))}, which is not declared.",
            why="A misspelt name would fail in the middle of a run.",
            remedy=f"Choose from: {', '.join(known)}.",
        )
