"""New code may take over if the champion predicts with it what it did before."""

from __future__ import annotations

import numpy as np
import pytest

from gatehouse.gates.deployment import Rescored, judge_deployment, shifts
from gatehouse.gates.policy import DeploymentRule
from gatehouse.gates.verdict import Outcome

RULE = DeploymentRule(score_shift=0.01)


def rescored(rows: int = 2000, missing: int = 0, mean: float = 0.0, largest: float = 0.0) -> Rescored:
    return Rescored(version="3", rows=rows, missing=missing, mean_shift=mean, largest_shift=largest)


@pytest.mark.parametrize(
    ("found", "outcome", "reason"),
    [
        (
            rescored(),
            Outcome.PROMOTE,
            "The new code moves 2,000 predictions of champion version 3 by 0 on average (0 at most; the limit is 0.01 "
            "on average).",
        ),
        (
            rescored(mean=0.01, largest=0.8),
            Outcome.PROMOTE,
            "The new code moves 2,000 predictions of champion version 3 by 0.01 on average (0.8 at most; the limit is "
            "0.01 on average).",
        ),
        (
            rescored(rows=1, mean=0.0101, largest=0.0101),
            Outcome.HOLD,
            "The new code moves 1 prediction of champion version 3 by 0.0101 on average (0.0101 at most; the limit is "
            "0.01 on average).",
        ),
        (
            rescored(missing=7),
            Outcome.ERROR,
            "With the new code champion version 3 has no prediction for 7 of 2,000 events that it predicted before.",
        ),
        (
            rescored(rows=0),
            Outcome.PROMOTE,
            "The new code scores champion version 3; none of its predictions was logged that it could repeat.",
        ),
    ],
)
def test_it_goes_by_how_far_predictions_move(found: Rescored, outcome: Outcome, reason: str) -> None:
    finding = judge_deployment(found, RULE)

    assert (finding.outcome, finding.reason) == (outcome, reason)
    assert bool(finding.next_step) == (outcome is not Outcome.PROMOTE)


def test_what_is_not_a_number_does_not_open() -> None:
    assert judge_deployment(rescored(mean=float("nan")), RULE).outcome is Outcome.HOLD


def test_one_number_moves_by_its_difference_and_several_by_the_share_of_probability() -> None:
    assert shifts(np.array([0.2, 3.0]), np.array([0.5, 2.0])) == pytest.approx([0.3, 1.0])
    assert shifts(np.array([[0.5, 0.3, 0.2], [1.0, 0.0, 0.0]]), np.array([[0.5, 0.2, 0.3], [0.0, 0.0, 1.0]])) == (
        pytest.approx([0.1, 1.0])
    )
