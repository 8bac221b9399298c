from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gatehouse.errors import EvaluationError
from gatehouse.evaluation.comparison import Comparison, compare, compare_with_threshold
from gatehouse.evaluation.measurement import Unmeasured, Value, measure
from gatehouse.evaluation.metrics import (
    ACCURACY,
    AVERAGE_PRECISION,
    BRIER,
    F1,
    LOG_LOSS,
    MAE,
    MULTICLASS_BRIER,
    MULTICLASS_LOG_LOSS,
    RMSE,
    ROC_AUC,
    WAPE,
    FloatArray,
    Metric,
    Ratio,
    Task,
    WholeSample,
)
from gatehouse.evaluation.significance import evidence
from gatehouse.evaluation.statistics import SliceKey, UnitStatistics, collect

BINARY = (LOG_LOSS, BRIER, ROC_AUC, AVERAGE_PRECISION, F1, ACCURACY)
VALUES = (RMSE, MAE, WAPE)
CLASSES = (MULTICLASS_LOG_LOSS, MULTICLASS_BRIER, ACCURACY)
DAYS = 20
ROWS = 3_000


def events(seed: int = 1) -> pd.DataFrame:
    """`sharp` sees more of the truth than `blunt`; days differ in size."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(-1.0, 1.5, ROWS)
    return pd.DataFrame(
        {
            "day": np.sort((DAYS * rng.random(ROWS) ** 1.5).astype(int)),
            "late": (rng.random(ROWS) < 1 / (1 + np.exp(-logit))).astype(float),
            "sharp": 1 / (1 + np.exp(-(logit + rng.normal(0, 0.2, ROWS)))),
            "blunt": 1 / (1 + np.exp(-(logit + rng.normal(0, 1.5, ROWS)))),
            "origin": rng.choice(["EWR", "JFK"], ROWS),
        }
    )


def amounts(seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    amount = rng.gamma(2.0, 10.0, ROWS)
    return pd.DataFrame(
        {
            "day": rng.integers(0, DAYS, ROWS),
            "late": amount,
            "sharp": amount + rng.normal(0, 2.0, ROWS),
            "blunt": amount + rng.normal(0, 4.0, ROWS),
            "origin": "EWR",
        }
    )


def kinds(seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 3, ROWS)

    def guess(known: float) -> list[list[float]]:
        return list(known * np.eye(3)[kind] + (1 - known) * rng.dirichlet(np.ones(3), ROWS))

    return pd.DataFrame(
        {"day": rng.integers(0, DAYS, ROWS), "late": kind, "sharp": guess(0.4), "blunt": guess(0.1), "origin": "EWR"}
    )


def collected(
    frame: pd.DataFrame, metrics: tuple[Metric, ...], *, task: Task = Task.BINARY, slices: tuple[str, ...] = ()
) -> UnitStatistics:
    return collect(
        frame,
        unit="day",
        label="late",
        predictions={"sharp": "sharp", "blunt": "blunt"},
        slices=slices,
        metrics=metrics,
        task=task,
        classes=3 if task is Task.MULTICLASS else 0,
    )


EVERY_TASK = pytest.mark.parametrize(
    ("frame", "metrics", "task"),
    [
        (events(), BINARY, Task.BINARY),
        (amounts(), VALUES, Task.REGRESSION),
        (kinds(), CLASSES, Task.MULTICLASS),
    ],
    ids=["binary", "regression", "multiclass"],
)


@pytest.mark.broken_gate(1)
@EVERY_TASK
def test_the_better_model_is_better_by_every_metric_and_the_two_swapped_mirror_it(
    frame: pd.DataFrame, metrics: tuple[Metric, ...], task: Task
) -> None:
    statistics = collected(frame, metrics, task=task)
    promoted = compare(statistics, champion="blunt", candidate="sharp")
    demoted = compare(statistics, champion="sharp", candidate="blunt")
    assert [c.metric for c in promoted] == [m.name for m in metrics]
    for better, worse in zip(promoted, demoted, strict=True):
        assert isinstance(better, Comparison)
        assert isinstance(worse, Comparison)
        assert better.champion != better.candidate
        assert better.difference > 0
        assert worse.difference == -better.difference
        assert (worse.champion, worse.candidate) == (better.candidate, better.champion)
        assert worse.influence == pytest.approx([-e for e in better.influence])


@EVERY_TASK
def test_a_model_compared_with_itself_differs_nowhere(
    frame: pd.DataFrame, metrics: tuple[Metric, ...], task: Task
) -> None:
    for same in compare(collected(frame, metrics, task=task), champion="sharp", candidate="sharp"):
        assert isinstance(same, Comparison)
        assert same.difference == 0
        assert set(same.influence) == {0.0}


@EVERY_TASK
def test_influences_sum_to_zero_and_foretell_the_value_without_a_unit(
    frame: pd.DataFrame, metrics: tuple[Metric, ...], task: Task
) -> None:
    everything = collected(frame, metrics, task=task)
    first = frame["day"].astype(str) == everything.units[0]
    without_first = collected(frame[~first], metrics, task=task)
    share = first.mean()
    for metric in metrics:
        value = measured(everything, metric, "sharp")
        rest = measured(without_first, metric, "sharp")
        assert value.influence.sum() == pytest.approx(0, abs=1e-12)
        change = (rest.value - value.value) * (1 - share)
        assert -value.influence[0] == pytest.approx(change, abs=0.05 * np.abs(value.influence).max())


def measured(statistics: UnitStatistics, metric: Metric, contender: str) -> Value:
    found = measure(statistics, metric, SliceKey(), contender)
    assert isinstance(found, Value)
    return found


def test_a_whole_sample_metric_that_is_a_mean_agrees_with_its_sums() -> None:
    whole = WholeSample(name="whole", compute=lambda y, p: float(np.abs(y - p).mean()))
    statistics = collected(amounts(), (MAE, whole), task=Task.REGRESSION)
    by_sums, by_rows = compare(statistics, champion="blunt", candidate="sharp")
    assert isinstance(by_sums, Comparison)
    assert isinstance(by_rows, Comparison)
    assert by_rows.difference == pytest.approx(by_sums.difference)
    assert by_rows.influence == pytest.approx(by_sums.influence)


def test_slices_have_values_of_their_own_and_only_the_units_they_occur_in() -> None:
    frame = events()
    frame = frame[(frame["origin"] == "JFK") | (frame["day"] < 5)]
    found = compare(collected(frame, (BRIER,), slices=("origin",)), champion="blunt", candidate="sharp")
    assert [(c.slice, c.rows) for c in found] == [
        ("all", len(frame)),
        ("origin=EWR", (frame["origin"] == "EWR").sum()),
        ("origin=JFK", (frame["origin"] == "JFK").sum()),
    ]
    newark = found[1]
    assert isinstance(newark, Comparison)
    rows = frame[frame["origin"] == "EWR"]
    assert newark.champion == pytest.approx(((rows["late"] - rows["blunt"]) ** 2).mean())
    assert newark.units == ("0", "1", "2", "3", "4")
    assert len(newark.influence) == 5


def test_a_slice_with_one_class_has_no_ranking_and_says_so() -> None:
    frame = events()
    frame.loc[frame["origin"] == "EWR", "late"] = 0.0
    found = compare(collected(frame, (ROC_AUC,), slices=("origin",)), champion="blunt", candidate="sharp")
    rows = int((frame["origin"] == "EWR").sum())
    assert found[1] == Unmeasured(
        metric="roc_auc",
        slice="origin=EWR",
        reason=f"roc_auc of blunt is undefined in slice origin=EWR ({rows:,} rows): all rows are negative.",
        rows=rows,
    )
    assert isinstance(found[2], Comparison)


def test_a_ratio_of_nothing_is_undefined() -> None:
    frame = events().assign(late=0.0, sharp=0.1)
    found = measure(collected(frame, (F1,)), F1, SliceKey(), "sharp")
    assert isinstance(found, Unmeasured)
    assert found.reason == "f1 of sharp is undefined here (3,000 rows): its denominator is zero."


@pytest.mark.parametrize(
    ("compute", "reason"),
    [
        (lambda y, p: float("nan"), "it is nan"),
        (lambda y, p: 1.0 if len(y) == ROWS else float("inf"), "it is undefined once some unit is left out"),
    ],
)
def test_a_whole_sample_metric_that_is_not_finite_is_undefined(compute: Any, reason: str) -> None:
    odd = WholeSample(name="odd", compute=compute)
    found = measure(collected(events(), (odd,)), odd, SliceKey(), "sharp")
    assert isinstance(found, Unmeasured)
    assert found.reason == f"odd of sharp is undefined here (3,000 rows): {reason}."


def test_a_whole_sample_metric_that_raises_is_named() -> None:
    def compute(y: FloatArray, p: FloatArray) -> float:
        raise LookupError("no such quantile")

    odd = WholeSample(name="odd", compute=compute)
    with pytest.raises(EvaluationError, match="Metric odd failed on 3,000 rows: LookupError: no such quantile"):
        collected(events(), (odd,))


@pytest.mark.broken_gate(14)
@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 1.5, None])
def test_one_prediction_that_is_no_probability_stops_the_comparison(wrong: float | None) -> None:
    frame = events()
    frame.loc[17, "sharp"] = wrong
    statistics = collected(frame, (BRIER, ROC_AUC))
    with pytest.raises(EvaluationError, match="1 row with an invalid prediction of sharp"):
        compare(statistics, champion="blunt", candidate="sharp")
    with pytest.raises(EvaluationError, match="1 row with an invalid prediction of sharp"):
        compare_with_threshold(statistics, metric=BRIER, threshold=0.2, candidate="sharp")
    compare_with_threshold(statistics, metric=BRIER, threshold=0.2, candidate="blunt")  # not its fault


@EVERY_TASK
def test_a_hold_out_of_one_day_has_values_and_no_evidence(
    frame: pd.DataFrame, metrics: tuple[Metric, ...], task: Task
) -> None:
    whole = WholeSample(name="whole", compute=lambda y, p: float(np.mean(p)))
    found = compare(collected(frame.assign(day=1), (*metrics, whole), task=task), champion="blunt", candidate="sharp")
    for comparison in found:
        assert isinstance(comparison, Comparison)
        assert comparison.influence == pytest.approx([0.0])
        assert isinstance(evidence(comparison), Unmeasured)


def test_a_fixed_threshold_can_stand_in_for_the_champion() -> None:
    statistics = collected(events(), (BRIER, ROC_AUC))
    brier = compare_with_threshold(statistics, metric=BRIER, threshold=0.25, candidate="sharp")
    auc = compare_with_threshold(statistics, metric=ROC_AUC, threshold=0.5, candidate="sharp")
    for found, metric, threshold, sign in ((brier, BRIER, 0.25, -1), (auc, ROC_AUC, 0.5, 1)):
        value = measured(statistics, metric, "sharp")
        assert isinstance(found, Comparison)
        assert found.champion == threshold
        assert found.difference == pytest.approx(sign * (value.value - threshold))
        assert found.influence == pytest.approx(sign * value.influence)


def test_a_comparison_survives_json() -> None:
    for comparison in compare(collected(events(), BINARY, slices=("origin",)), champion="blunt", candidate="sharp"):
        assert isinstance(comparison, Comparison)
        assert Comparison.from_record(json.loads(json.dumps(comparison.to_record()))) == comparison


RECORD = {
    "metric": "brier",
    "slice": "all",
    "champion": 0.2,
    "candidate": 0.1,
    "difference": 0.1,
    "influence": [0.01, -0.01],
    "units": ["1", "2"],
    "rows": 10,
}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"influence": [0.01]}, "1 influences of 2 units"),
        ({"influence": [0.01, None]}, "TypeError"),
        ({"difference": float("nan")}, "not finite"),
        ({"candidate": "a lot"}, "ValueError"),
    ],
)
def test_a_damaged_record_is_an_error(damage: dict[str, Any], message: str) -> None:
    assert Comparison.from_record(RECORD).units == ("1", "2")
    with pytest.raises(EvaluationError, match=message):
        Comparison.from_record({**RECORD, **damage})


def test_a_record_cut_short_is_an_error() -> None:
    with pytest.raises(EvaluationError, match="KeyError: 'rows'"):
        Comparison.from_record({k: v for k, v in RECORD.items() if k != "rows"})


def test_the_last_bits_of_sums_do_not_reach_a_record() -> None:
    statistics = collected(events(), BINARY)
    shuffled = collected(events().sample(frac=1.0, random_state=3), BINARY)
    assert compare(statistics, champion="blunt", candidate="sharp") == compare(
        shuffled, champion="blunt", candidate="sharp"
    )


def test_a_link_without_a_finite_value_is_undefined() -> None:
    negative = Ratio(name="root", numerator=lambda y, p: p - 10, link=RMSE.link, tasks=(Task.BINARY,))
    found = measure(collected(events(), (negative,)), negative, SliceKey(), "sharp")
    assert isinstance(found, Unmeasured)
    assert "its link gives no finite number at -9." in found.reason
