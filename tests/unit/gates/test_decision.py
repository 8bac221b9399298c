from __future__ import annotations

import numpy as np
import pytest

from gatehouse.evaluation.significance import Evidence, degrees_of_freedom
from gatehouse.gates.decision import Zone, decide, p_exceeds, p_falls_short, units_to_decide, zone
from gatehouse.gates.policy import Mode
from gatehouse.gates.verdict import Outcome


def observed(difference: float, *, error: float = 0.01, units: int = 28) -> Evidence:
    return Evidence(
        difference=difference,
        standard_error=error,
        planning_error=error,
        degrees_of_freedom=degrees_of_freedom(units),
        units=units,
    )


def outcome(evidence: Evidence, frame: Zone) -> Outcome:
    return decide(exceeds=p_exceeds(evidence, frame), falls_short=p_falls_short(evidence, frame), error_rate=0.05)


def test_the_zone_is_one_margin_wide_and_starts_at_what_is_demanded() -> None:
    assert zone("superiority", 0.02) == Zone(demanded=0.0, hoped=0.02)
    assert zone("non_inferiority", 0.02) == Zone(demanded=-0.02, hoped=0.0)


@pytest.mark.parametrize("mode", ["superiority", "non_inferiority"])
def test_the_interval_of_the_difference_says_which_of_the_three_it_is(mode: Mode) -> None:
    frame = zone(mode, 0.02)
    seen = set()
    for difference in np.linspace(-0.08, 0.08, 81):
        for error in (0.001, 0.01, 0.02):
            evidence = observed(float(difference), error=error)
            low, high = evidence.interval(0.9)
            if low > frame.demanded:
                expected = Outcome.PROMOTE
            elif high < frame.hoped:
                expected = Outcome.HOLD
            else:
                expected = Outcome.INSUFFICIENT_EVIDENCE
            assert outcome(evidence, frame) is expected
            seen.add(expected)
    assert len(seen) == 3


def test_contenders_that_predict_alike_are_not_worse_and_not_better() -> None:
    same = observed(0.0, error=0.0)
    assert outcome(same, zone("non_inferiority", 0.02)) is Outcome.PROMOTE
    assert outcome(same, zone("superiority", 0.02)) is Outcome.HOLD


@pytest.mark.broken_gate(14)
def test_no_margin_makes_a_number_that_is_not_one_pass() -> None:
    assert decide(exceeds=float("nan"), falls_short=0.5, error_rate=0.05) is not Outcome.PROMOTE
    assert decide(exceeds=0.05, falls_short=0.5, error_rate=0.05) is Outcome.INSUFFICIENT_EVIDENCE


@pytest.mark.parametrize("difference", [-0.015, -0.01, 0.0, 0.01])
def test_the_units_that_would_decide_do_decide_with_that_power(difference: float) -> None:
    frame = zone("non_inferiority", 0.02)
    evidence = observed(difference, error=0.02)
    units = units_to_decide(evidence, frame, error_rate=0.05)
    assert units is not None
    larger = observed(difference, error=0.02 * np.sqrt(28 / units), units=units)
    distance = max(difference - frame.demanded, frame.hoped - difference)
    assert larger.power(distance, error_rate=0.05) >= 0.8
    smaller = observed(difference, error=0.02 * np.sqrt(28 / (units - 1)), units=units - 1)
    assert smaller.power(distance, error_rate=0.05) < 0.8


def test_more_units_than_there_are_would_be_needed() -> None:
    bad_luck = observed(-0.019, error=0.001)
    assert units_to_decide(bad_luck, zone("non_inferiority", 0.02), error_rate=0.05) == 29
    hopeless = observed(-0.01, error=50.0)
    assert units_to_decide(hopeless, zone("non_inferiority", 0.02), error_rate=0.05) is None
