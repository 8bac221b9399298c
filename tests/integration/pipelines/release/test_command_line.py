"""The road as people walk it: one command after the other, each with its exit code and what comes next."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from gatehouse.gates.promotion import CHALLENGER, CHAMPION, PREVIOUS

if TYPE_CHECKING:
    from tests.integration.pipelines.conftest import Command
    from tests.integration.pipelines.release.conftest import Road

pytestmark = pytest.mark.slow


@pytest.fixture
def known_behaviour(road: Road, monkeypatch: pytest.MonkeyPatch, answered: Any) -> None:
    """Commands that examine a version get the answer that version 1 gave: it is of the same kind."""
    answer = road.record("1").compliance["probe"]
    monkeypatch.setattr("gatehouse.cli.world.clean_process", lambda _where: answered(answer))


@pytest.mark.usefixtures("known_behaviour")
def test_from_a_release_to_the_champion_and_back(road: Road, command: Command) -> None:
    def run(line: str) -> tuple[object, str]:
        ended = command(road.lakehouse, line)
        return ended.code, ended.out + ended.err

    code, said = run("release --as-of 2013-12-01 --proposer schedule")
    assert code == 0, said
    assert "gatehouse approve 4" in said

    code, said = run("approve 4 --as schedule --reason mine")
    assert (code, "cannot be the name of a person" in said) == (2, True)
    code, said = run("promote 4 --as anna@example.org")
    assert (code, "0 of 1 approvals needed" in said) == (10, True)
    code, said = run("approve 4 --as anna@example.org --reason better")
    assert (code, "It may be promoted: gatehouse promote 4 --env prod" in said) == (0, True)
    code, said = run("promote 4 --as anna@example.org")
    assert (code, "Version 4 is the champion of prod.temperature.temperature." in said) == (0, True)
    assert road.aliases() == {CHAMPION: "4", PREVIOUS: "1", CHALLENGER: None}
    code, said = run("approve 4 --as anna@example.org --reason still")
    assert (code, "It is the champion, and stays it." in said, "promote" in said) == (0, True, False)

    code, said = run("release --as-of 2013-12-01 --proposer schedule")
    assert (code, "Version 4 is the champion already" in said) == (0, True)
    assert "anna@example.org" in run("why 4")[1]
    code, said = run("audit verify")
    head = said.split()[-1]
    assert (code, run(f"audit verify --head {head}")[0], run("audit verify --head 7")[0]) == (0, 0, 2)
    code, said = run(f"audit verify --head {head.partition(':')[0]}:{'0' * 64}")
    assert (code, "is not the one that the head that was kept elsewhere names" in said) == (4, True)
    record = next(road.lakehouse.world.place.root.glob("report/decisions/*/version-4.json"))
    code, said = run(f"replay {record} --digest {road.version('4').tags['gatehouse_record']}")
    assert (code, "The same verdict" in said) == (0, True)
    content = json.loads(record.read_text(encoding="utf-8"))
    for finding in content["findings"]:
        finding["reason"] += " Or so."
    record.write_text(json.dumps(content), encoding="utf-8")
    code, said = run(f"replay {record}")
    told = [line for line in said.splitlines() if line.startswith("- ")]
    assert (code, len(told), told[-1]) == (4, 4, f"- and {len(content['findings']) - 3} more (--json shows all)")

    code, said = run("rollback --as anna@example.org --reason drift --dry-run")
    assert (code, "Would go back to version 1" in said) == (0, True)
    assert run("rollback --as anna@example.org --reason drift")[0] == 0
    assert road.aliases() == {CHAMPION: "1", PREVIOUS: "4", CHALLENGER: None}
    code, said = run("rollback --as anna@example.org --reason drift")
    assert (code, "There is no earlier champion" in said) == (5, True)


@pytest.mark.broken_gate(2)
@pytest.mark.usefixtures("known_behaviour")
def test_a_release_that_is_held_is_a_result_and_one_that_could_not_measure_is_a_failure(
    road: Road, command: Command
) -> None:
    held = command(road.lakehouse, "release --version 3 --as-of 2013-12-01 --json")
    said = json.loads(held.out)
    assert (held.code, said["verdict"], said["live"], said["driver"]) == (0, "hold", "false", "ci")

    context = road.context()
    context.registry.set_alias(context.model, CHAMPION, "3")
    context.registry.set_tags(context.model, "3", {"gatehouse_train_end": "2013-12-01T00:00:00+00:00"})
    blind = command(road.lakehouse, "release --version 2 --as-of 2013-12-01")
    assert blind.code == 9
    assert "Version 2 could not be judged" in blind.err


def test_an_alias_that_was_moved_outside_is_found_by_those_who_look(road: Road, command: Command) -> None:
    context = road.context()
    context.registry.set_alias(context.model, CHAMPION, "3")

    ended = command(road.lakehouse, "audit verify")
    assert (ended.code, "the alias was moved by another hand" in ended.err) == (4, True)
    assert "the alias was moved by another hand" in command(road.lakehouse, "status").out.replace("\n", " ")


def test_what_was_promoted_past_the_gates_is_marked_where_people_look(road: Road, command: Command) -> None:
    command(road.lakehouse, "run features --env prod --as-of 2013-12-01")  # sets the clock of the replay
    assert command(road.lakehouse, "promote 2 --as bert@example.org --break-glass").code == 2
    first = command(road.lakehouse, "promote 2 --as bert@example.org --break-glass --reason snow")
    assert (first.code, "two different people" in first.err) == (10, True)
    assert command(road.lakehouse, "promote 2 --as anna@example.org --break-glass --reason snow").code == 0

    why, status = (command(road.lakehouse, line).out.replace("\n", " ") for line in ("why 2", "status"))
    assert "break" in why
    assert "break" in status
    assert "break_glass" in command(road.lakehouse, "audit show --json").out
