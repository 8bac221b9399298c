"""Comparisons of a record as rows: what decides first, each with its mark, on one scale."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gatehouse.evaluation.comparison import Comparison
from gatehouse.evaluation.measurement import Unmeasured
from gatehouse.gates.policy import Policy
from gatehouse.gates.record import DecisionRecord
from gatehouse.gates.verdict import Outcome
from gatehouse.reports.contrasts import Contrast, Drawn, Interval, Role, Scale, contrasts, level

MakeRecord = Callable[..., DecisionRecord]
Compare = Callable[..., Comparison]


def with_gain(difference: float, low: float, high: float, *, margin: float | None = 0.01) -> Contrast:
    return Contrast(
        role=Role.PRIMARY,
        metric="log_loss",
        slice="all",
        opponent=0.5,
        candidate=0.5 - difference,
        gain=Interval(difference=difference, low=low, high=high),
        margin=margin,
        outcome=Outcome.PROMOTE,
        rows=1000,
        units=(),
        missing="",
    )


def test_what_decides_comes_before_what_informs_each_with_its_margin_and_mark(make_record: MakeRecord) -> None:
    found = contrasts(make_record())

    assert [(c.role, c.metric, c.slice, c.margin, c.outcome) for c in found] == [
        (Role.PRIMARY, "log_loss", "all", 0.01, Outcome.PROMOTE),
        (Role.GUARDRAIL, "roc_auc", "all", 0.015, Outcome.PROMOTE),
        (Role.REQUIRED, "log_loss", "depot=north", 0.02, Outcome.PROMOTE),
        (Role.INFORMATIVE, "log_loss", "carrier=AA", 0.02, Outcome.PROMOTE),
    ]


def test_a_contrast_holds_both_values_the_gain_its_interval_and_what_each_day_says(make_record: MakeRecord) -> None:
    primary = contrasts(make_record())[0]

    assert primary.gain is not None
    assert (primary.opponent, primary.candidate, primary.gain.difference, primary.rows) == (0.5, 0.47, 0.03, 1000)
    assert primary.gain.low == pytest.approx(0.03 - 2.2261 * 0.001, abs=1e-6)  # t with 4 degrees of freedom, at 4.5 %
    assert primary.gain.high == pytest.approx(0.03 + 2.2261 * 0.001, abs=1e-6)
    assert sum(says for _, says in primary.units) / len(primary.units) == pytest.approx(0.03)
    assert primary.units[0][0] == "2013-07-04"


def test_a_required_slice_bears_the_worst_mark_of_the_rules_on_it(make_record: MakeRecord, compare: Compare) -> None:
    compared = [
        compare("log_loss", "all", 0.03),
        compare("roc_auc", "all", 0.03),
        compare("log_loss", "depot=north", 0.03, rows=99),  # 100 are wanted
    ]

    required = contrasts(make_record(compared=compared, informative=()))[2]

    assert required.outcome is Outcome.INSUFFICIENT_EVIDENCE


def test_what_was_not_measured_says_why(make_record: MakeRecord, compare: Compare) -> None:
    absent = Unmeasured(metric="log_loss", slice="carrier=AA", reason="All rows are negative.", rows=3)
    compared = [compare("log_loss", name, 0.03) for name in ("all", "depot=north")]

    unmeasured = contrasts(make_record(compared=[*compared, compare("roc_auc", "all", 0.03), absent]))[-1]

    assert unmeasured == Contrast(
        role=Role.INFORMATIVE,
        metric="log_loss",
        slice="carrier=AA",
        opponent=None,
        candidate=None,
        gain=None,
        margin=0.02,
        outcome=Outcome.ERROR,
        rows=3,
        units=(),
        missing="All rows are negative.",
    )


def test_a_version_that_compliance_refused_has_no_contrasts(make_record: MakeRecord) -> None:
    assert contrasts(make_record(compliance={"explained": False})) == ()


def test_an_interval_says_what_its_one_sided_test_says() -> None:
    policy = {"primary": {"margin": 0.1, "suspicious_gain": 1.0, "error_rate": 0.01}, "slices": {"margin": 0.1}}

    read = Policy.model_validate({**policy, "compliance": {"allowed_flavours": ["any"]}})
    assert level(read, None) == pytest.approx(0.982)  # the first look has 0.009 of the 0.01


def test_a_scale_holds_the_margin_no_difference_and_every_interval() -> None:
    contrast = with_gain(0.03, 0.02, 0.04)

    scale = Scale.over([contrast])
    drawn = scale.draw(contrast)

    assert (scale.left, scale.right) == pytest.approx((-1.3, 4.3))
    assert drawn is not None
    assert (drawn.low, drawn.point, drawn.high) == pytest.approx((scale.at(2.0), scale.at(3.0), scale.at(4.0)))
    assert (drawn.cut_low, drawn.cut_high) == (False, False)
    assert 0 < scale.at(-1.0) < scale.at(0.0) < scale.at(3.0) < 100


def test_one_wild_slice_does_not_flatten_the_others() -> None:
    wild = with_gain(0.0, -5.0, 5.0)

    scale = Scale.over([wild, with_gain(0.01, 0.0, 0.02)])

    assert (scale.left, scale.right) == pytest.approx((-13.44, 13.44))
    assert scale.draw(wild) == Drawn(point=50.0, low=0.0, high=100.0, cut_low=True, cut_high=True)


def test_nothing_is_drawn_without_a_margin_to_measure_by() -> None:
    assert Scale.over([]).draw(with_gain(0.03, 0.02, 0.04, margin=None)) is None
