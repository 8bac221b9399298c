from __future__ import annotations

import math
from dataclasses import replace

import pytest

from gatehouse.evaluation.comparison import Comparison
from gatehouse.evaluation.measurement import Unmeasured
from gatehouse.gates.measured import Measured, NotMeasured, measured
from gatehouse.gates.verdict import Outcome


def compared(units: int) -> Comparison:
    influence = [0.001 * (-1) ** u for u in range(units)]
    return Comparison(
        metric="log_loss",
        slice="all",
        champion=0.5,
        candidate=0.49,
        difference=0.01,
        influence=tuple(influence),
        units=tuple(map(str, range(units))),
        rows=1_000,
    )


def test_one_comparison_of_enough_units_is_measured() -> None:
    found = measured((compared(4),), "log_loss", "all")
    assert isinstance(found, Measured)
    assert found.comparison == compared(4)
    assert (found.evidence.difference, found.evidence.units) == (0.01, 4)


@pytest.mark.broken_gate(14)
@pytest.mark.parametrize("units", [0, 1])
def test_the_spread_of_a_single_unit_cannot_be_measured_at_all(units: int) -> None:
    found = measured((compared(units),), "log_loss", "all")
    assert isinstance(found, NotMeasured)
    assert found.outcome is Outcome.ERROR


@pytest.mark.parametrize("units", [2, 3])
def test_more_units_would_mend_too_few(units: int) -> None:
    assert measured((compared(units),), "log_loss", "all") == NotMeasured(
        outcome=Outcome.INSUFFICIENT_EVIDENCE,
        reason=f"log_loss in slice all was measured on {units} units, and a standard error needs at least 4.",
    )


@pytest.mark.broken_gate(14)
@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ((), "log_loss in slice all was not compared."),
        (
            (compared(8), compared(8)),
            "log_loss in slice all was compared 2 times, which leaves open which of them counts.",
        ),
        ((Unmeasured(metric="log_loss", slice="all", reason="No rows.", rows=0),), "No rows."),
        ((replace(compared(8), difference=math.nan),), "log_loss in slice all holds a number that is not finite."),
        ((replace(compared(8), units=("1",)),), "log_loss in slice all has 8 influences of 1 units."),
        ((replace(compared(8), difference=0.02),), "log_loss in slice all says that 0.49 and 0.5 differ by 0.02."),
    ],
)
def test_what_cannot_be_decided_by_is_an_error(entries: tuple[Comparison | Unmeasured, ...], reason: str) -> None:
    assert measured(entries, "log_loss", "all") == NotMeasured(outcome=Outcome.ERROR, reason=reason)


def test_a_difference_may_have_either_sign() -> None:
    assert isinstance(measured((replace(compared(8), difference=-0.01),), "log_loss", "all"), Measured)
