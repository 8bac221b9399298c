from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from gatehouse.errors import EvaluationError
from gatehouse.evaluation.comparison import Comparison
from gatehouse.evaluation.measurement import Unmeasured, Value
from gatehouse.evaluation.metrics import FloatArray
from gatehouse.evaluation.significance import (
    Evidence,
    degrees_of_freedom,
    evidence,
    evidence_of_value,
    holm,
)


def comparison(difference: float, influence: FloatArray) -> Comparison:
    return Comparison(
        metric="log_loss",
        slice="all",
        champion=0.5,
        candidate=0.5 - difference,
        difference=difference,
        influence=tuple(influence.tolist()),
        units=tuple(str(i) for i in range(len(influence))),
        rows=1_000,
    )


def of_days(days: FloatArray) -> Evidence:
    """The evidence of one difference per day: what a metric with equal days would give."""
    found = evidence(comparison(float(days.mean()), (days - days.mean()) / len(days)))
    assert isinstance(found, Evidence)
    return found


def simulated(seed: int, *, days: int, correlation: float, effect: float = 0.0) -> FloatArray:
    """Days with heavy tails; `effect` is the true difference in standard errors of the mean."""
    rng = np.random.default_rng(seed)
    shocks = rng.standard_t(4, days + 30) / math.sqrt(2.0)
    series = np.zeros(days + 30)
    for t in range(1, days + 30):
        series[t] = correlation * series[t - 1] + shocks[t]
    return np.asarray(series[30:] + effect / (1 - correlation) / math.sqrt(days))


def test_the_number_of_cosines_grows_with_the_units() -> None:
    assert [degrees_of_freedom(n) for n in (4, 7, 14, 28, 56, 90, 182, 365)] == [1, 1, 2, 4, 6, 8, 13, 20]


def test_the_standard_error_is_the_root_mean_square_of_the_cosine_transforms() -> None:
    found = of_days(np.array([1.0, 2.0, 4.0, 3.0]))
    influence = [-0.375, -0.125, 0.375, 0.125]  # one cosine: v = 1
    transform = math.sqrt(2) * sum(e * math.cos(math.pi * (t + 0.5) / 4) for t, e in enumerate(influence))
    assert (found.difference, found.degrees_of_freedom, found.units) == (2.5, 1, 4)
    assert found.standard_error == pytest.approx(abs(transform))


def test_the_p_value_is_that_of_students_t() -> None:
    found = Evidence(difference=0.02, standard_error=0.01, planning_error=0.01, degrees_of_freedom=4, units=28)
    assert found.p_better() == pytest.approx(stats.t.sf(2.0, 4))
    assert found.p_better(margin=0.01) == pytest.approx(stats.t.sf(3.0, 4))
    assert found.p_worse() == pytest.approx(stats.t.sf(-2.0, 4))
    assert found.p_worse(margin=0.01) == pytest.approx(stats.t.sf(-3.0, 4))


def test_the_interval_lies_above_the_margin_just_when_the_test_says_so() -> None:
    found = of_days(simulated(1, days=28, correlation=0.0))
    low, high = found.interval(0.9)
    assert found.p_better(margin=-low) == pytest.approx(0.05)
    assert found.p_worse(margin=-high) == pytest.approx(0.05)
    assert (low + high) / 2 == pytest.approx(found.difference)


@pytest.mark.slow
@pytest.mark.broken_gate(16)
@pytest.mark.parametrize("correlation", [0.0, 0.3])
def test_equals_are_called_better_as_often_as_stated_and_intervals_cover(correlation: float) -> None:
    found = [of_days(simulated(seed, days=28, correlation=correlation)) for seed in range(3_000)]
    assert np.mean([f.p_better() < 0.05 for f in found]) == pytest.approx(0.05, abs=0.01)
    covered = [low <= 0.0 <= high for low, high in (f.interval(0.9) for f in found)]
    assert np.mean(covered) == pytest.approx(0.90, abs=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("correlation", [0.0, 0.3])
@pytest.mark.parametrize("effect", [1.5, 2.5, 3.5])
def test_the_power_reported_is_the_power_there_is(effect: float, correlation: float) -> None:
    truth = effect / (1 - correlation) / math.sqrt(28)
    found = [of_days(simulated(seed, days=28, correlation=correlation, effect=effect)) for seed in range(2_000)]
    won = np.mean([f.p_better() < 0.05 for f in found])
    assert np.mean([f.power(truth) for f in found]) == pytest.approx(won, abs=0.05)


def test_the_detectable_difference_is_the_one_with_that_power() -> None:
    found = of_days(simulated(1, days=28, correlation=0.0))
    assert found.power(found.detectable(power=0.8)) == pytest.approx(0.8)
    assert found.power(found.detectable(power=0.5, margin=0.1, error_rate=0.01), margin=0.1, error_rate=0.01) == (
        pytest.approx(0.5)
    )
    assert found.power(0.0) == pytest.approx(0.05)


def test_the_units_a_margin_needs_are_the_fewest_that_suffice() -> None:
    found = of_days(simulated(1, days=28, correlation=0.0))
    needed = found.units_needed(margin=0.2)
    assert needed is not None

    def power_of(units: int) -> float:
        scaled = Evidence(
            difference=0.0,
            standard_error=0.0,
            planning_error=found.planning_error * math.sqrt(28 / units),
            degrees_of_freedom=degrees_of_freedom(units),
            units=units,
        )
        return scaled.power(0.0, margin=0.2)

    assert power_of(needed) >= 0.8 > power_of(needed - 1)
    half_margin = found.units_needed(margin=0.1)
    assert half_margin is not None
    assert 3 * needed < half_margin <= 4 * needed  # less than four times: more units also mean more certainty


def test_power_is_a_number_however_large_the_difference() -> None:
    found = of_days(simulated(1, days=28, correlation=0.0))
    effects = np.linspace(-60.0, 60.0, 2_401) * found.planning_error
    powers = [found.power(float(e)) for e in effects]
    assert all(0.0 <= p <= 1.0 for p in powers)
    assert powers == pytest.approx(sorted(powers), abs=1e-9)


def test_no_number_of_units_shows_what_is_not_so() -> None:
    found = of_days(simulated(1, days=28, correlation=0.0))
    assert found.units_needed(margin=0.0) is None
    assert found.units_needed(margin=0.1, true_difference=-0.1) is None
    assert found.units_needed(margin=1e-5) is None


def test_two_equal_models_are_not_worse_by_any_margin_and_not_better_either() -> None:
    found = of_days(np.zeros(28))
    assert found.standard_error == 0
    assert found.p_better() == 1.0
    assert found.p_better(margin=1e-9) == 0.0
    assert found.p_worse() == 1.0
    assert found.interval() == (0.0, 0.0)
    assert (found.power(0.0), found.power(0.1)) == (0.0, 1.0)
    assert found.detectable(margin=0.1) == -0.1
    assert found.units_needed(margin=0.1) == 4


def test_the_same_gain_on_every_day_is_a_gain() -> None:
    found = of_days(np.full(28, 0.25))
    assert (found.p_better(), found.p_worse()) == (0.0, 1.0)


@pytest.mark.parametrize("units", [0, 1, 2, 3])
def test_too_few_units_for_a_standard_error_are_named(units: int) -> None:
    assert evidence(comparison(0.1, np.zeros(units))) == Unmeasured(
        metric="log_loss",
        slice="all",
        reason=f"log_loss in slice all has {units} units, and a standard error needs 4.",
        rows=1_000,
    )


@pytest.mark.broken_gate(14)
@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_number_that_is_not_finite_is_no_evidence(number: float) -> None:
    with pytest.raises(EvaluationError, match="not finite"):
        evidence(comparison(number, np.zeros(28)))
    with pytest.raises(EvaluationError, match="not finite"):
        evidence(comparison(0.1, np.array([number] * 28)))


def test_one_models_metric_has_an_interval_too() -> None:
    days = simulated(5, days=28, correlation=0.0)
    influence = (days - days.mean()) / 28
    value = Value(metric="mae", slice="all", value=3.0, influence=influence, units=tuple(map(str, range(28))), rows=100)
    found = evidence_of_value(value)
    assert isinstance(found, Evidence)
    assert (found.difference, found.standard_error) == (3.0, of_days(days).standard_error)


@pytest.mark.parametrize("number", [0.0, 1.0, -0.1, math.nan])
def test_what_is_no_probability_is_refused(number: float) -> None:
    found = of_days(simulated(1, days=28, correlation=0.0))
    for ask in (
        lambda: found.interval(number),
        lambda: found.power(0.1, error_rate=number),
        lambda: found.detectable(power=number),
        lambda: found.units_needed(margin=0.1, error_rate=number),
    ):
        with pytest.raises(EvaluationError, match="It is a probability"):
            ask()


def test_holms_correction_multiplies_by_what_is_left_and_keeps_the_order() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([0.4, 0.9]) == pytest.approx((0.8, 0.9))
    assert holm([0.02]) == (0.02,)
    assert holm([]) == ()


@pytest.mark.broken_gate(17)
def test_of_ten_harmless_slices_one_is_blamed_no_oftener_than_stated() -> None:
    rng = np.random.default_rng(7)
    blamed = [min(holm(rng.random(10).tolist())) < 0.05 for _ in range(4_000)]
    assert np.mean(blamed) == pytest.approx(0.05, abs=0.01)


@pytest.mark.broken_gate(14)
@pytest.mark.parametrize("number", [math.nan, -0.1, 1.1])
def test_what_is_no_p_value_is_not_corrected(number: float) -> None:
    with pytest.raises(EvaluationError, match="A p-value is"):
        holm([0.01, number])
