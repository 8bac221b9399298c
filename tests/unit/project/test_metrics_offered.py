"""A use case imports `gatehouse.project` alone, so every metric there is must be found there."""

from __future__ import annotations

import gatehouse.project
from gatehouse.evaluation.metrics import STANDARD


def test_every_standard_metric_is_part_of_the_contract() -> None:
    offered = {value for name in gatehouse.project.__all__ if (value := getattr(gatehouse.project, name)) in STANDARD}

    assert offered == set(STANDARD)
