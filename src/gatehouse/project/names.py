"""Checks of names that a project declares: a misspelt one fails when it is declared, not in the middle of a run."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from gatehouse.errors import ConfigurationError

OF_A_DATA_SET = frozenset({"event_time", "unit", "label_known_at"})
OF_THE_INFERENCE_LOG = frozenset({"run_key", "model_version", "predicted_at", "prediction", "probabilities"})
OF_A_QUARANTINE = frozenset({"violated", "quarantined_at"})
"""Columns that the machinery adds to those that a project declares."""
OF_THE_MACHINERY = frozenset(
    {
        "pipeline_runs",
        "expectation_results",
        "schema_changes",
        "monitoring_metrics",
        "gate_metrics",
        "gate_decisions",
        "audit_log",
        "predictions",
    }
)
"""Tables that the machinery keeps beside those that a project declares."""


def refuse_taken(where: str, names: Sequence[str], taken: Collection[str]) -> None:
    """ConfigurationError if a name is one that the machinery gives to something itself."""
    if found := sorted(set(names) & set(taken)):
        raise ConfigurationError(
            f"{where}: {', '.join(found)} cannot be declared.",
            why="The machinery adds one of that name itself, and the two would be mixed up in the middle of a run.",
            remedy=f"Rename it. Taken are {', '.join(sorted(taken))}.",
        )


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
