"""One judge of new versions for each environment."""

from __future__ import annotations

import pytest

from gatehouse.ci.preflight import Line, State
from gatehouse.ci.preflight_driver import driver_line
from gatehouse.errors import Unanswered


def line(driver: str, told: str | Unanswered | None) -> Line:
    return driver_line("prod", driver, told, attach="gatehouse listen", detach="gatehouse listen --remove")


@pytest.mark.parametrize(
    ("driver", "told", "state", "remedy"),
    [
        ("ci", None, State.OK, ""),
        ("registry", "deployment job 12", State.OK, ""),
        ("ci", "deployment job 12", State.PROBLEM, "gatehouse listen --remove"),
        ("registry", None, State.PROBLEM, "gatehouse listen"),
        ("ci", Unanswered("It is silent."), State.UNKNOWN, "gatehouse listen --remove"),
        ("registry", Unanswered("It is silent."), State.UNKNOWN, "gatehouse listen"),
    ],
)
def test_both_at_once_and_neither_are_problems(
    driver: str, told: str | Unanswered | None, state: State, remedy: str
) -> None:
    found = line(driver, told)
    assert (found.about, found.state, found.remedy.partition("    ")[0]) == ("judge of prod", state, remedy)


def test_two_judges_are_named() -> None:
    assert "so does deployment job 12" in line("ci", "deployment job 12").reason
