"""The gate's own test looks at the metrics of the project, whoever wrote them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flight_delays import PROJECT
from gatehouse.evaluation.metrics import BRIER, LOG_LOSS, Ratio
from gatehouse.gates.selftest import Check, metric_checks


@pytest.mark.broken_gate(3)
def test_a_metric_of_the_project_with_the_wrong_sign_is_found_out() -> None:
    upside_down = Ratio(name="upside_down", numerator=LOG_LOSS.numerator, greater_is_better=True)
    project = replace(PROJECT, primary_metric=upside_down, guardrail_metrics=(BRIER,))

    wrong, right = metric_checks(project)

    assert (wrong.name, wrong.expected, wrong.passed) == ("upside_down: a prediction beats the truth", "none", False)
    assert "beats the truth itself" in wrong.observed
    assert right == Check(name="brier: a prediction beats the truth", expected="none", observed="none", passed=True)
