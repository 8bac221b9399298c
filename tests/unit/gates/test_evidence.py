from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gatehouse.errors import EvaluationError
from gatehouse.evaluation.measurement import Unmeasured
from gatehouse.gates.evidence import ChallengeEvidence, Contender

Record = dict[str, Any]


def unmeasured(evidence: ChallengeEvidence) -> ChallengeEvidence:
    """With an entry of the other kind, and a fault."""
    nothing = Unmeasured(metric="roc_auc", slice="origin=LGA", reason="All rows are negative.", rows=12)
    return replace(evidence, comparisons=(*evidence.comparisons, nothing), faults="3 rows have no unit.")


def test_a_record_gives_the_same_evidence_back_to_the_last_bit(good: ChallengeEvidence) -> None:
    for evidence in (good, unmeasured(good)):
        text = json.dumps(evidence.to_record(), allow_nan=False)
        again = ChallengeEvidence.from_record(json.loads(text))
        assert again == evidence
        assert json.dumps(again.to_record()) == text


def _drop(*path: str | int) -> Callable[[Record], None]:
    def change(record: Record) -> None:
        place: Any = record
        for key in path[:-1]:
            place = place[key]
        del place[path[-1]]

    return change


def _set(value: object, *path: str | int) -> Callable[[Record], None]:
    def change(record: Record) -> None:
        place: Any = record
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_drop("mode"), "mode"),
        (_set("hope", "mode"), "mode"),
        (_set("other", "opponent", "kind"), "opponent.kind"),
        (_set(1, "surprise"), "surprise"),
        (_set(1, "hold_out", "surprise"), "surprise"),
        (_set("28", "hold_out", "units"), "hold_out.units"),
        (_set(28.5, "hold_out", "units"), "hold_out.units"),
        (_set(float("nan"), "hold_out", "label_share"), "hold_out.label_share"),
        (_set("2013-07-01T00:00:00", "hold_out", "start"), "hold_out.start"),
        (_set(None, "stability", "score_shift"), "stability.score_shift"),
        (_set(float("inf"), "stability", "score_shift", "value"), "stability.score_shift.value"),
        (_set([1], "comparisons", 0), "comparisons.0"),
        (_set(float("nan"), "comparisons", 0, "difference"), "not finite"),
        (_drop("comparisons", 0, "influence", 0), "27 influences of 28 units"),
        (_drop("comparisons", 0, "units"), "units"),
        (_set({"metric": "m", "slice": "all", "reason": "none"}, "comparisons", 0), "comparisons.0"),
        (_set({"metric": "m", "slice": "all", "reason": "none", "rows": "many"}, "comparisons", 0), "comparisons.0"),
    ],
)
def test_a_damaged_record_is_refused_and_the_damage_named(
    good: ChallengeEvidence, damage: Callable[[Record], None], message: str
) -> None:
    record = copy.deepcopy(good.to_record())
    damage(record)
    with pytest.raises(EvaluationError) as error:
        ChallengeEvidence.from_record(record)
    assert message in error.value.what


def test_what_is_no_record_is_refused() -> None:
    for record in ({}, {"mode": {1, 2}}):
        with pytest.raises(EvaluationError):
            ChallengeEvidence.from_record(record)


def test_contenders_are_named_as_people_name_them() -> None:
    assert Contender(kind="champion", version="7").name == "champion version 7"
    assert Contender(kind="baseline").name == "the baseline"
    assert Contender(kind="threshold", threshold=0.5).name == "the threshold"
