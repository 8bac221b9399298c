"""Which of the challenges on record a plan rests on."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.conftest import POLICY, comparison, record_of

from gatehouse.gates.policy import Policy
from gatehouse.gates.record import DecisionRecord
from gatehouse.gates.verdict import Outcome
from gatehouse.pipelines import prospect
from gatehouse.pipelines.prospect import plan_margin


def world(monkeypatch: pytest.MonkeyPatch, *records: DecisionRecord) -> Any:
    """As much of a context as a plan asks for; the records are those of its versions, newest first."""
    monkeypatch.setattr(prospect, "find", lambda _, record: record)
    return SimpleNamespace(
        registry=SimpleNamespace(versions=lambda _: records),
        model="prod.main.parcels",
        policy=Policy.model_validate(POLICY),
        project=SimpleNamespace(primary_metric=SimpleNamespace(name="log_loss"), unit=SimpleNamespace(name="day")),
    )


def challenged(version: str, gain: float, error: float) -> DecisionRecord:
    """A version that differs from the champion by so much, on average and from day to day."""
    found = [comparison("log_loss", name, gain, error=error) for name in ("all", "depot=north", "carrier=AA")]
    record = record_of(compared=[*found, comparison("roc_auc", "all", gain, error=error)])
    return replace(record, candidate=replace(record.candidate, version=version))


def test_it_is_the_newest_that_was_let_through_rather_than_a_broken_one(monkeypatch: pytest.MonkeyPatch) -> None:
    broken, good, older = challenged("9", -0.4, 0.02), challenged("8", 0.03, 0.001), challenged("7", 0.03, 0.002)
    assert [r.verdict for r in (broken, good, older)] == [Outcome.HOLD, Outcome.PROMOTE, Outcome.PROMOTE]

    found = plan_margin(world(monkeypatch, broken, good, older), 0.01)

    assert (found.basis.candidate, found.basis.opponent) == ("8", "champion version 3")
    assert (found.basis.record, found.basis.verdict) == (good.digest(), Outcome.PROMOTE)
    assert (
        f"(version 8 against champion version 3, PROMOTE in decision record {good.digest()[:12]})" in found.sentence()
    )


def test_it_is_the_newest_where_none_was_let_through(monkeypatch: pytest.MonkeyPatch) -> None:
    found = plan_margin(world(monkeypatch, challenged("9", -0.4, 0.02), challenged("8", -0.4, 0.01)), 0.01)

    assert (found.basis.candidate, found.basis.verdict) == ("9", Outcome.HOLD)
