"""A recorded comparison with its statistics, or the finding that there is none. Nothing that is not a number passes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gatehouse.evaluation.comparison import Comparison
from gatehouse.evaluation.measurement import Unmeasured
from gatehouse.evaluation.significance import FEWEST_UNITS, Evidence, evidence
from gatehouse.gates.verdict import Outcome


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What was measured, and how sure it is."""

    comparison: Comparison
    evidence: Evidence


@dataclass(frozen=True, kw_only=True, slots=True)
class NotMeasured:
    """Why there is nothing to decide by. `outcome` is ERROR, or INSUFFICIENT_EVIDENCE if more units would mend it."""

    outcome: Outcome
    reason: str


def measured(found: Sequence[Comparison | Unmeasured], metric: str, slice_name: str) -> Measured | NotMeasured:
    """The statistics of the one entry that was recorded for a metric in a slice."""
    here = f"{metric} in slice {slice_name}"
    if not found:
        return _error(f"{here} was not compared.")
    if len(found) > 1:
        return _error(f"{here} was compared {len(found)} times, which leaves open which of them counts.")
    only = found[0]
    if isinstance(only, Unmeasured):
        return _error(only.reason)
    if problem := _problem(only):
        return _error(f"{here} {problem}.")
    units = len(only.units)
    if units < 2:
        return _error(f"{here} was measured on a single unit, whose spread nobody can know.")
    proven = evidence(only)
    if isinstance(proven, Unmeasured):
        reason = f"{here} was measured on {units} units, and a standard error needs at least {FEWEST_UNITS}."
        return NotMeasured(outcome=Outcome.INSUFFICIENT_EVIDENCE, reason=reason)
    return Measured(comparison=only, evidence=proven)


def _error(reason: str) -> NotMeasured:
    return NotMeasured(outcome=Outcome.ERROR, reason=reason)


def _problem(comparison: Comparison) -> str | None:
    """What makes the numbers useless. NaN and infinity compare as neither better nor worse."""
    values = (comparison.champion, comparison.candidate, comparison.difference)
    if not all(map(math.isfinite, (*values, *comparison.influence))):
        return "holds a number that is not finite"
    if len(comparison.influence) != len(comparison.units):
        return f"has {len(comparison.influence)} influences of {len(comparison.units)} units"
    apart, scale = abs(comparison.candidate - comparison.champion), max(map(abs, values))
    if not math.isclose(abs(comparison.difference), apart, rel_tol=1e-9, abs_tol=1e-9 * scale):
        return f"says that {comparison.candidate:g} and {comparison.champion:g} differ by {comparison.difference:g}"
    return None
