"""May new code take over from the code that is live? Pure: what the champion predicts with both, in; a finding, out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatehouse.gates.phrases import count
from gatehouse.gates.policy import DeploymentRule
from gatehouse.gates.verdict import Finding, Outcome

if TYPE_CHECKING:
    import numpy as np

GATE = "deployment"
RULE = "score_shift"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rescored:
    """The champion's logged predictions, made again by new code.

    `rows` were logged and tried again, `missing` of them have no prediction now. `mean_shift` and `largest_shift` are
    absolute differences in the unit of the prediction; of several classes, the share of probability that moved. All
    are 0 where nothing was logged.
    """

    version: str
    rows: int
    missing: int
    mean_shift: float
    largest_shift: float


def shifts(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """How far each prediction moved: one per row, of arrays (rows,) or (rows, classes); NaN where one is missing.

    Total variation distance between two distributions over classes is half the sum of absolute differences.
    """
    import numpy as np

    moved: np.ndarray = np.abs(after - before)
    return moved if moved.ndim == 1 else moved.sum(axis=1) / 2


def judge_deployment(rescored: Rescored, rule: DeploymentRule) -> Finding:
    """PROMOTE: the new code predicts with the champion what the live code does."""
    outcome, reason = _judge(rescored, rule)
    next_step = (
        "Find which feature changed. If it is meant to, give it a new name beside the old one: the champion keeps what "
        "it was trained on, and the next version may take the new one."
    )
    return Finding(
        gate=GATE,
        rule=RULE,
        outcome=outcome,
        reason=reason,
        next_step="" if outcome is Outcome.PROMOTE else next_step,
    )


def _judge(rescored: Rescored, rule: DeploymentRule) -> tuple[Outcome, str]:
    who = f"champion version {rescored.version}"
    if not rescored.rows:
        return Outcome.PROMOTE, f"The new code scores {who}; none of its predictions was logged that it could repeat."
    if rescored.missing:
        return Outcome.ERROR, (
            f"With the new code {who} has no prediction for {rescored.missing:,} of "
            f"{count(rescored.rows, 'event')} that it predicted before."
        )
    moved = f"moves {count(rescored.rows, 'prediction')} of {who} by {_shown(rescored.mean_shift)} on average"
    detail = f"{_shown(rescored.largest_shift)} at most; the limit is {rule.score_shift:g} on average"
    if not rescored.mean_shift <= rule.score_shift:
        return Outcome.HOLD, f"The new code {moved} ({detail})."
    return Outcome.PROMOTE, f"The new code {moved} ({detail})."


def _shown(shift: float) -> str:
    """To four digits; what differs in the last bits of a number has not moved."""
    return "0" if abs(shift) < 1e-9 else f"{shift:.4g}"
