"""Working the queue off: one version at a time, in order, by steps whose exit codes decide."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from gatehouse.gates.tagged import Tagged
from gatehouse.listening.queue import Queue, State
from gatehouse.listening.work import TRIES, Standing, Worker

DIGEST = "3f2a9c0d1e2f" + "0" * 52
NOBODY = Tagged(decision="", digits="", name="")
ANNA = Tagged(decision="approved", digits=DIGEST[:12], name="anna@example.org")
OPEN = Standing(record=DIGEST, opens=True, shared=False, tagged=NOBODY)
HELD = replace(OPEN, opens=False)


@dataclass(kw_only=True)
class World:
    """A registry that the test writes, and what was run on it."""

    queue: Queue
    standings: dict[str, Standing] = field(default_factory=dict)
    codes: dict[tuple[str, str], int] = field(default_factory=dict)
    run: list[tuple[str, str]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    def round(self) -> None:
        Worker(queue=self.queue, step=self._step, standing=lambda v: self.standings[v], log=self.log.append).round()

    def catch_up(self) -> None:
        worker = Worker(queue=self.queue, step=self._step, standing=lambda v: self.standings[v], log=self.log.append)
        worker.catch_up(self.standings)

    def _step(self, name: str, version: str) -> int:
        self.run.append((name, version))
        return self.codes.get((name, version), 0)

    def where(self) -> dict[str, list[str]]:
        found = {state.value: [e.version for e in self.queue.entries(state)] for state in State}
        return {state: versions for state, versions in found.items() if versions}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(queue=Queue(tmp_path / "queue"))


def test_versions_are_judged_in_order_and_then_wait_or_are_done(world: World) -> None:
    world.standings = {"2": HELD, "3": OPEN, "4": replace(OPEN, shared=True)}
    for version in ("4", "2", "3"):
        world.queue.put(version, "d")

    world.round()

    assert world.run == [("evaluation", "2"), ("evaluation", "3"), ("evaluation", "4")]
    assert world.where() == {"waiting": ["3"], "done": ["2", "4"]}


def test_nothing_is_done_twice(world: World) -> None:
    world.standings = {"2": HELD, "3": OPEN}
    for version in ("2", "3"):
        world.queue.put(version, "d")
    world.round()
    world.run.clear()

    world.queue.put("2", "again")
    world.round()

    assert world.run == []


@pytest.mark.parametrize("code", [7, 130])
def test_what_somebody_else_holds_stays_in_the_queue(world: World, code: int) -> None:
    world.queue.put("3", "d")
    world.codes = {("evaluation", "3"): code}
    world.round()
    assert world.where() == {"todo": ["3"]}


@pytest.mark.parametrize("code", [1, 9, 11, -9])
def test_what_could_not_be_judged_is_not_tried_over_and_over(world: World, code: int) -> None:
    world.queue.put("3", "d")
    world.codes = {("evaluation", "3"): code}
    world.round()
    world.round()
    assert world.run == [("evaluation", "3")]
    assert world.where() == {"failed": ["3"]}
    assert f"exit code {code}" in world.queue.entries(State.FAILED)[0].note


def test_an_approved_version_is_checked_and_deployed(world: World) -> None:
    world.standings = {"3": OPEN}
    world.queue.put("3", "d")
    world.round()
    world.round()
    assert world.run == [("evaluation", "3")]

    world.standings = {"3": replace(OPEN, tagged=ANNA)}
    world.round()

    assert world.run[1:] == [("approval", "3"), ("deployment", "3")]
    assert world.where() == {"done": ["3"]}


def test_an_approval_that_was_refused_is_not_asked_for_again_until_it_is_another(world: World) -> None:
    world.standings = {"3": replace(OPEN, tagged=ANNA)}
    world.codes = {("approval", "3"): 10}
    world.queue.put("3", "d")
    world.round()
    world.round()
    assert world.run == [("evaluation", "3"), ("approval", "3")]

    world.standings = {"3": replace(OPEN, tagged=replace(ANNA, name="bert@example.org"))}
    world.codes = {}
    world.round()
    assert world.run[2:] == [("approval", "3"), ("deployment", "3")]


def test_a_deployment_that_failed_by_bad_luck_is_tried_again(world: World) -> None:
    world.standings = {"3": replace(OPEN, tagged=ANNA)}
    world.codes = {("deployment", "3"): 5}
    world.queue.put("3", "d")
    world.round()
    assert world.where() == {"waiting": ["3"]}

    world.codes = {}
    world.round()
    assert world.where() == {"done": ["3"]}


def test_what_keeps_failing_is_left_alone_until_somebody_asks_for_it(world: World) -> None:
    world.standings = {"3": replace(OPEN, tagged=ANNA)}
    world.codes = {("deployment", "3"): 11}
    world.queue.put("3", "d")
    for _ in range(TRIES + 2):
        world.round()
    assert world.run.count(("deployment", "3")) == TRIES

    world.codes = {}
    world.queue.ask("3")
    world.round()
    assert world.where() == {"done": ["3"]}


@pytest.mark.parametrize("code", [7, 130])
def test_a_step_that_has_to_wait_for_somebody_else_is_not_counted(world: World, code: int) -> None:
    world.standings = {"3": replace(OPEN, tagged=ANNA)}
    world.codes = {("approval", "3"): code}
    world.queue.put("3", "d")
    for _ in range(TRIES + 2):
        world.round()
    assert world.run.count(("approval", "3")) == TRIES + 2


def test_a_rejected_version_waits_no_longer(world: World) -> None:
    world.standings = {"3": replace(OPEN, tagged=replace(ANNA, decision="rejected"))}
    world.queue.put("3", "d")
    world.round()
    assert world.run == [("evaluation", "3")]
    assert world.where() == {"done": ["3"]}


def test_versions_of_which_no_delivery_came_are_found_and_old_ones_left_alone(world: World) -> None:
    unknown = Standing(record="", opens=False, shared=False, tagged=NOBODY)
    world.standings = {"1": unknown, "2": HELD, "3": unknown, "10": unknown}
    world.catch_up()
    world.catch_up()
    assert world.where() == {"todo": ["3", "10"]}


def test_a_first_version_is_found_too(world: World) -> None:
    world.standings = {"1": Standing(record="", opens=False, shared=False, tagged=NOBODY)}
    world.catch_up()
    assert world.where() == {"todo": ["1"]}


def test_what_a_version_says_is_read_from_its_tags() -> None:
    keys = {"record": "r", "verdict": "v", "judged": "j"}
    tags = {"r": DIGEST, "v": "PROMOTE", "j": "2", "approval": "Approved", "approval_record": f"{DIGEST[:12]} anna"}
    assert Standing.of("3", tags, **keys) == Standing(
        record=DIGEST, opens=True, shared=True, tagged=Tagged(decision="approved", digits=DIGEST[:12], name="anna")
    )
    assert Standing.of("3", {}, **keys) == Standing(record="", opens=False, shared=False, tagged=NOBODY)
