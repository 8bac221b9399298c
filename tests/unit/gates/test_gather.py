from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from gatehouse.errors import EvaluationError
from gatehouse.evaluation.comparison import Comparison
from gatehouse.evaluation.measurement import Unmeasured
from gatehouse.evaluation.metrics import MAE, RMSE, Task
from gatehouse.gates.evidence import ChallengeEvidence, Contender, Reading

Rows = Callable[..., pd.DataFrame]
Challenges = Callable[..., ChallengeEvidence]


def test_the_evidence_holds_every_metric_in_every_slice_and_what_the_hold_out_is(
    scored: Rows, challenge: Challenges
) -> None:
    frame = scored(1, champion=1.0, candidate=0.5)
    frame.loc[:9, "late"] = np.nan
    evidence = challenge(frame, required=("origin=EWR", "origin=JFK"))
    assert [(c.metric, c.slice) for c in evidence.comparisons] == [
        (metric, name)
        for metric in ("log_loss", "roc_auc")
        for name in ("all", "origin=EWR", "origin=JFK", "origin=LGA")
    ]
    assert evidence.informative_slices == ("origin=LGA",)
    assert (evidence.hold_out.units, evidence.hold_out.rows) == (28, len(frame) - 10)
    assert evidence.faults is None


def test_stability_is_counted_on_the_rows(scored: Rows, challenge: Challenges) -> None:
    frame = scored(1, champion=1.0, candidate=0.5)
    stability = challenge(frame).stability
    late = frame["late"] == 1
    was_right, is_right = (frame["champion"] >= 0.5) == late, (frame["candidate"] >= 0.5) == late
    shift = (frame["champion"] - frame["candidate"]).abs().mean()
    assert stability.negative_flips == Reading(value=float((was_right & ~is_right).mean()), rows=len(frame))
    assert stability.score_shift.value == pytest.approx(shift)
    assert stability.score_shift.rows == len(frame)
    assert stability.calibration_error.value is not None
    assert stability.opponent_calibration_error.value is not None
    assert stability.calibration_error.value < stability.opponent_calibration_error.value


def test_a_regression_without_a_tolerance_has_no_flips_and_no_calibration(scored: Rows, challenge: Challenges) -> None:
    frame = scored(1, champion=1.0, candidate=0.5)
    evidence = challenge(frame, primary=RMSE, guardrails=(MAE,), task=Task.REGRESSION)
    readings = (evidence.stability.negative_flips, evidence.stability.calibration_error)
    assert [(r.value, r.applies, bool(r.missing)) for r in readings] == [(None, False, True)] * 2
    assert evidence.stability.score_shift.value is not None
    assert all(isinstance(c, Comparison) for c in evidence.comparisons)


def test_rows_that_cannot_be_judged_leave_a_fault_and_no_comparison(scored: Rows, challenge: Challenges) -> None:
    frame = scored(1, champion=1.0, candidate=0.5)
    frame.loc[0, "candidate"] = None
    frame.loc[1, "late"] = 2.0
    evidence = challenge(frame)
    assert evidence.comparisons == ()
    assert evidence.faults == (
        "The scored data hold 1 row with an invalid prediction of candidate, 1 row with an impossible label."
    )


def test_a_threshold_is_compared_over_all_rows_and_slices_are_only_counted(scored: Rows, challenge: Challenges) -> None:
    frame = scored(1, champion=1.0, candidate=0.5)
    evidence = challenge(frame, opponent=Contender(kind="threshold", threshold=0.6))
    whole, *slices = evidence.comparisons
    assert isinstance(whole, Comparison)
    assert whole.champion == 0.6
    assert [(type(c), c.slice, c.rows) for c in slices] == [
        (Unmeasured, f"origin={name}", int((frame["origin"] == name).sum())) for name in ("EWR", "JFK", "LGA")
    ]
    assert not evidence.stability.negative_flips.applies
    nothing = challenge(frame, opponent=Contender(kind="threshold"))
    assert nothing.comparisons == ()


def test_a_contender_that_was_not_scored_is_named(scored: Rows, challenge: Challenges, champion: Contender) -> None:
    frame = scored(1, champion=1.0, candidate=0.5).drop(columns="champion")
    with pytest.raises(EvaluationError, match="champion"):
        challenge(frame, opponent=replace(champion, version="7"))
