"""The first use case on the whole road, on real flights: a first release that beats the rule of thumb."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatehouse.gates.promotion import CHALLENGER, CHAMPION, PREVIOUS
from gatehouse.gates.replay import replay
from gatehouse.gates.verdict import Outcome
from gatehouse.pipelines.features import refresh
from gatehouse.pipelines.inference import infer
from gatehouse.pipelines.ingest import ingest
from gatehouse.pipelines.judges import judges
from gatehouse.pipelines.release import judge
from gatehouse.pipelines.training import train
from gatehouse.settings import OptionsFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.pipelines.conftest import Lakehouse, Open
    from tests.integration.pipelines.release.conftest import Road

pytestmark = pytest.mark.slow

MAY = "2013-05-01"


def test_a_model_of_january_to_march_is_released_on_april(
    open_lakehouse: Open, on: Callable[[Lakehouse], Road], tmp_path: Path
) -> None:
    options = {"candidates": [{"found_by": "test", "options": {"n_estimators": 80, "learning_rate": 0.1}}]}
    lakehouse = open_lakehouse(tmp_path / "flights", "flights")
    road = on(lakehouse.configured(options=OptionsFile.model_validate(options)))
    context = road.context(MAY)
    ingest(context)
    refresh(context)

    judged = judge(context, train(context, proposer="ada@example.org").version)

    record = judged.record
    assert record.verdict is Outcome.PROMOTE, record.judged.sentence()
    assert record.challenge is not None
    whole = {c["metric"]: c["difference"] for c in record.challenge["comparisons"] if c["slice"] == "all"}
    assert {name: gain > 0 for name, gain in whole.items()} == {"log_loss": True, "roc_auc": True, "brier": True}
    assert record.challenge["hold_out"]["units"] >= road.context().policy.hold_out.minimum_units
    assert record.challenge["required_slices"] == ["origin=EWR", "origin=JFK", "origin=LGA"]
    assert replay(record, judges(), digest=judged.digest).same
    road.decide("1", "anna@example.org", as_of=MAY)
    assert road.promote("1", as_of=MAY).moved
    assert road.aliases() == {CHAMPION: "1", PREVIOUS: None, CHALLENGER: None}
    assert infer(context).model_version == "1"
