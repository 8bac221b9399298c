"""The error rate is spent over all looks at a version, and never more of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gatehouse.gates.looks import error_rate_at
from gatehouse.gates.policy import Policy

Policies = Callable[..., Policy]


@pytest.mark.parametrize("budget", [1, 2, 5, 40])
@pytest.mark.parametrize("rate", [0.01, 0.05])
def test_all_looks_together_spend_the_error_rate(policy: Policies, budget: int, rate: float) -> None:
    given = policy(
        primary={"margin": 0.02, "suspicious_gain": 0.3, "error_rate": rate}, hold_out={"reuse_budget": budget}
    )
    spent = [error_rate_at(given, looks) for looks in range(budget)]
    assert sum(spent) == pytest.approx(rate)
    assert spent == sorted(spent, reverse=True)  # so judging again on what was judged on opens nothing that was shut


def test_the_first_look_keeps_most_of_the_error_rate_and_an_only_one_all_of_it(policy: Policies) -> None:
    assert error_rate_at(policy(), 0) == pytest.approx(0.045)
    assert error_rate_at(policy(hold_out={"reuse_budget": 1}), 0) == 0.05
