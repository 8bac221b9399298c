"""What becomes of a task and of a run, from how the tasks before ended: the tables of the Jobs documentation."""

from __future__ import annotations

from typing import Any

import pytest
from tests.template.harness.workspace.errors import Refusal
from tests.template.harness.workspace.references import resolved, times
from tests.template.harness.workspace.run_states import decided, summed_up

RUNS = None


@pytest.mark.parametrize(
    ("run_if", "upstream", "becomes"),
    [
        ("ALL_SUCCESS", "SUCCESS SUCCESS", RUNS),
        ("ALL_SUCCESS", "SUCCESS EXCLUDED", RUNS),  # what was excluded counts as succeeded
        ("ALL_SUCCESS", "EXCLUDED EXCLUDED", "EXCLUDED"),  # unless nothing else is there
        ("ALL_SUCCESS", "SUCCESS FAILED", "UPSTREAM_FAILED"),
        ("ALL_SUCCESS", "SUCCESS UPSTREAM_FAILED", "UPSTREAM_FAILED"),
        ("ALL_SUCCESS", "SUCCESS CANCELED", "UPSTREAM_CANCELED"),
        ("AT_LEAST_ONE_SUCCESS", "SUCCESS FAILED", RUNS),
        ("AT_LEAST_ONE_SUCCESS", "FAILED FAILED", "UPSTREAM_FAILED"),
        ("NONE_FAILED", "SUCCESS EXCLUDED", RUNS),
        ("NONE_FAILED", "SUCCESS TIMEDOUT", "UPSTREAM_FAILED"),
        ("ALL_DONE", "FAILED CANCELED", RUNS),
        ("AT_LEAST_ONE_FAILED", "SUCCESS FAILED", RUNS),
        ("AT_LEAST_ONE_FAILED", "SUCCESS SUCCESS", "EXCLUDED"),
        ("ALL_FAILED", "FAILED FAILED", RUNS),
        ("ALL_FAILED", "SUCCESS FAILED", "EXCLUDED"),
    ],
)
def test_a_task_runs_if_those_before_it_ended_as_it_wants(run_if: str, upstream: str, becomes: str | None) -> None:
    ends = {f"t{number}": end for number, end in enumerate(upstream.split())}
    task = {"run_if": run_if, "depends_on": [{"task_key": key} for key in ends]}
    assert decided(task, ends, {}) == becomes


@pytest.mark.parametrize(("outcome", "becomes"), [("true", RUNS), ("false", "EXCLUDED")])
def test_a_task_behind_a_condition_runs_on_its_side_only(outcome: str, becomes: str | None) -> None:
    task = {"depends_on": [{"task_key": "promoted", "outcome": "true"}]}
    assert decided(task, {"promoted": "SUCCESS"}, {"promoted": outcome}) == becomes


@pytest.mark.parametrize(
    ("first", "leaf", "run"),
    [
        ("SUCCESS", "SUCCESS", "SUCCESS"),
        ("FAILED", "SUCCESS", "SUCCESS_WITH_FAILURES"),
        ("FAILED", "UPSTREAM_FAILED", "FAILED"),
        ("SUCCESS", "FAILED", "FAILED"),
        ("SUCCESS", "EXCLUDED", "SUCCESS"),
        ("CANCELED", "UPSTREAM_CANCELED", "CANCELED"),
    ],
)
def test_the_leaves_decide_how_a_run_ended(first: str, leaf: str, run: str) -> None:
    tasks: list[dict[str, Any]] = [{"task_key": "a"}, {"task_key": "b", "depends_on": [{"task_key": "a"}]}]
    assert summed_up(tasks, {"a": first, "b": leaf}) == run


def test_references_are_replaced_at_any_depth_and_unknown_ones_refused() -> None:
    values = {"job.parameters.as_of": "2013-07-01", **times("job.start_time", 1_372_636_800_000)}
    setting = {"parameters": ["--as-of={{job.parameters.as_of}}", "{{ job.start_time.iso_date }}"], "retries": 2}
    assert resolved(setting, values) == {"parameters": ["--as-of=2013-07-01", "2013-07-01"], "retries": 2}
    assert (values["job.start_time.month"], values["job.start_time.is_weekday"]) == ("7", "true")
    with pytest.raises(Refusal, match=r"tasks\.gates\.values\.verdict"):
        resolved("{{tasks.gates.values.verdict}}", values)
