from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from gatehouse.errors import EvaluationError, UsageError
from gatehouse.evaluation.comparison import Comparison
from gatehouse.evaluation.measurement import Unmeasured
from gatehouse.evaluation.significance import Evidence, evidence
from gatehouse.gates.planner import POWERS, Basis, Plan, at_units
from gatehouse.gates.planner import plan as plan_of
from gatehouse.gates.verdict import Outcome

PAIR = Basis(candidate="7", opponent="champion version 3", record="0123456789abcdef", verdict=Outcome.PROMOTE)
plan: Callable[..., Plan] = partial(plan_of, basis=PAIR)


def compared(error: float, *, units: int = 28, seed: int = 1) -> Comparison:
    """Days whose mean differs with about this standard error."""
    rng = np.random.default_rng(seed)
    days = rng.normal(0.0, error * np.sqrt(units), units)
    return Comparison(
        metric="log_loss",
        slice="all",
        champion=0.5,
        candidate=0.5 - float(days.mean()),
        difference=float(days.mean()),
        influence=tuple(((days - days.mean()) / units).tolist()),
        units=tuple(map(str, range(units))),
        rows=25_000,
    )


def spread(comparison: Comparison) -> Evidence:
    found = evidence(comparison)
    assert isinstance(found, Evidence)
    return found


def test_the_planned_units_have_the_power_and_one_fewer_has_not() -> None:
    known = compared(0.004)
    found = plan(known, margin=0.01, unit="day")
    assert found.units is not None
    assert at_units(spread(known), found.units).power(0.0, margin=0.01) >= 0.8
    assert at_units(spread(known), found.units - 1).power(0.0, margin=0.01) < 0.8


def test_the_table_shows_what_other_margins_and_powers_cost() -> None:
    found = plan(compared(0.004), margin=0.01, unit="day")
    cells = {(row.margin, row.power): row.units for row in found.table}
    assert sorted({m for m, _ in cells}) == pytest.approx([0.005, 0.01, 0.015, 0.02, 0.03])
    assert sorted({p for _, p in cells}) == sorted(POWERS)
    assert cells[0.01, 0.8] == found.units
    for margin in sorted({m for m, _ in cells}):
        by_power = [cells[margin, p] or 10**9 for p in POWERS]
        assert by_power == sorted(by_power)
    for power in POWERS:
        by_margin = [cells[m, power] or 10**9 for m in sorted({m for m, _ in cells})]
        assert by_margin == sorted(by_margin, reverse=True)


def test_the_margin_that_this_many_units_would_do_for_is_told() -> None:
    known = compared(0.004)
    found = plan(known, margin=0.01, unit="day")
    assert found.basis_units == 28
    assert found.chance == pytest.approx(spread(known).power(0.0, margin=0.01))
    assert plan(known, margin=found.detectable, unit="day").units == 28
    assert plan(known, margin=found.detectable, unit="day").chance == pytest.approx(0.8, abs=1e-6)


def test_who_won_the_earlier_comparison_does_not_matter() -> None:
    known = compared(0.004)
    won = replace(known, difference=known.difference + 0.1, candidate=known.candidate + 0.1)
    won = replace(won, difference=won.candidate - won.champion)
    assert plan(won, margin=0.01, unit="day") == plan(known, margin=0.01, unit="day")


def test_the_sentence_tells_what_is_needed_and_what_it_rests_on() -> None:
    found = plan(compared(0.004), margin=0.01, unit="day")
    chance = f"{100 * round(found.chance, 3):.4g} %"
    assert found.sentence() == (
        f"A margin of 0.01 in log_loss needs {found.units} days of labels to be decided with a chance of 80 % at an "
        f"error rate of 5 %. The 28 days this rests on (version 7 against champion version 3, PROMOTE in decision "
        f"record 0123456789ab) give a chance of {chance}, and would do for a margin of {found.detectable:.3g}."
    )
    endless = plan(compared(5.0), margin=0.001, unit="week").sentence()
    assert endless.startswith("A margin of 0.001 in log_loss needs more than 100,000 weeks of labels")


def test_a_plan_is_a_record() -> None:
    found = plan(compared(0.004), margin=0.01, unit="day")
    record = json.loads(json.dumps(found.to_record()))
    assert record["units"] == found.units
    assert record["basis"] == {
        "candidate": "7",
        "opponent": "champion version 3",
        "record": "0123456789abcdef",
        "verdict": "PROMOTE",
    }
    assert record["table"][0] == {"margin": 0.005, "power": 0.5, "units": found.table[0].units}


@pytest.mark.parametrize("margin", [0.0, -0.01, float("nan"), float("inf")])
def test_a_margin_that_is_none_is_refused(margin: float) -> None:
    with pytest.raises(UsageError, match="margin"):
        plan(compared(0.004), margin=margin, unit="day")


def test_a_comparison_that_says_nothing_about_the_spread_is_refused() -> None:
    known = compared(0.004)
    alike = replace(known, influence=(0.0,) * 28, candidate=0.5, difference=0.0)
    with pytest.raises(EvaluationError, match="score the same log_loss in every unit"):
        plan(alike, margin=0.01, unit="day")
    with pytest.raises(EvaluationError, match="needs at least 4"):
        plan(compared(0.004, units=3), margin=0.01, unit="day")
    with pytest.raises(EvaluationError, match="one class"):
        plan(Unmeasured(metric="roc_auc", slice="all", reason="There is one class.", rows=3), margin=0.01, unit="day")
