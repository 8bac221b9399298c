"""Where an environment stands in time, in Python and on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from gatehouse.cli import main
from gatehouse.clock import Clock, Hand
from gatehouse.errors import ConfigurationError, StorageError
from gatehouse.lakehouse.store import FolderStore
from gatehouse.settings import Environment, Replay

WEEKS = Replay(start=date(2013, 7, 1), step_days=7, end=date(2013, 7, 20))


def july(day: int) -> datetime:
    return datetime(2013, 7, day, tzinfo=UTC)


def replaying(replay: Replay | None = WEEKS, schema: str = "main") -> Environment:
    return Environment(catalog="prod", schema=schema, clock="replay", replay=replay)


def test_a_replay_begins_at_its_start_and_no_command_has_to_say_where(tmp_path: Path) -> None:
    clock = Clock(FolderStore(tmp_path), replaying())

    assert clock.read(None) == july(1)
    assert clock.stand() == Hand(as_of=july(1), replay=WEEKS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("environment", "asked", "said"),
    [
        (
            replaying(),
            "2023-07-08",
            "2023-07-08 lies in the future. Environment prod.main replays the past up to 2013-07-20",
        ),
        (replaying(None), "2131-07-08", r"2131-07-08 lies in the future. It is 20\d\d-\d\d-\d\d \(UTC\)"),
        (Environment(catalog="prod"), "2131-07-08", r"2131-07-08 lies in the future. It is 20\d\d-\d\d-\d\d"),
    ],
    ids=["a replay", "a replay without an end", "now"],
)
def test_a_moment_of_which_nothing_can_be_known_is_a_typing_error(
    tmp_path: Path, environment: Environment, asked: str, said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Clock(FolderStore(tmp_path), environment).read(asked)


def test_it_advances_to_its_start_then_by_a_step_and_stays_at_its_end(tmp_path: Path) -> None:
    hands = [Clock(FolderStore(tmp_path), replaying()).advance() for _ in range(5)]

    assert [(h.moved_from, h.as_of, h.ended) for h in hands] == [
        (None, july(1), False),
        (july(1), july(8), False),
        (july(8), july(15), False),
        (july(15), july(20), True),
        (None, july(20), True),
    ]
    assert Clock(FolderStore(tmp_path), replaying()).read(None) == july(20)


def test_it_goes_on_from_where_a_command_left_it_and_never_back(tmp_path: Path) -> None:
    clock = Clock(FolderStore(tmp_path), replaying())
    clock.keep(july(10))
    clock.keep(july(3))

    assert clock.advance() == Hand(as_of=july(17), replay=WEEKS, moved_from=july(10))


def test_a_command_that_was_told_a_later_moment_than_the_end_is_not_taken_back(tmp_path: Path) -> None:
    clock = Clock(FolderStore(tmp_path), replaying())
    clock.keep(july(25))

    assert clock.advance() == Hand(as_of=july(25), replay=WEEKS)
    assert clock.stand().ended


def test_what_is_asked_for_goes_first(tmp_path: Path) -> None:
    assert Clock(FolderStore(tmp_path), replaying()).read("2013-03-04T06:00") == datetime(2013, 3, 4, 6, tzinfo=UTC)


def test_environments_in_other_schemas_stand_elsewhere(tmp_path: Path) -> None:
    Clock(FolderStore(tmp_path), replaying()).keep(july(10))

    assert Clock(FolderStore(tmp_path), replaying(schema="other")).read(None) == july(1)


def test_the_clock_of_the_machine_is_not_moved(tmp_path: Path) -> None:
    clock = Clock(FolderStore(tmp_path), Environment(catalog="prod"))

    hand = clock.advance()

    assert abs((hand.as_of - datetime.now(UTC)).total_seconds()) < 60
    assert (hand.moved_from, hand.ended) == (None, False)
    assert list(tmp_path.iterdir()) == []


def test_a_replay_without_steps_wants_to_be_told(tmp_path: Path) -> None:
    clock = Clock(FolderStore(tmp_path), replaying(None))

    with pytest.raises(ConfigurationError, match="no command has said yet where it stands"):
        clock.read(None)
    with pytest.raises(ConfigurationError, match="does not say in which steps"):
        clock.advance()


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"as_of": 3}', '{"as_of": "soon"}'])
def test_a_damaged_state_is_not_taken_for_none(tmp_path: Path, content: str) -> None:
    Clock(FolderStore(tmp_path), replaying()).keep(july(8))
    (state,) = (tmp_path / "state").iterdir()
    state.write_text(content)

    for act in (
        Clock(FolderStore(tmp_path), replaying()).advance,
        lambda: Clock(FolderStore(tmp_path), replaying()).keep(july(9)),
    ):
        with pytest.raises(StorageError, match="is damaged"):
            act()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"clock": "now", "replay": WEEKS}, "belongs to `clock: replay`"),
        ({"clock": "replay", "replay": {**WEEKS.model_dump(), "end": "2013-06-30"}}, "cannot end on 2013-06-30"),
        ({"clock": "replay", "replay": {**WEEKS.model_dump(), "step_days": 0}}, "greater than or equal to 1"),
        ({"clock": "replay", "replay": {**WEEKS.model_dump(), "hours": 1}}, "Extra inputs are not permitted"),
    ],
)
def test_a_replay_that_makes_no_sense_is_refused(values: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Environment.model_validate({"catalog": "prod", **values})


Say = Callable[[str], str]


@pytest.fixture
def say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Say:
    """What a command line says, on the shipped configuration and a lakehouse folder of its own."""

    def run(line: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["--lakehouse", str(tmp_path / "lakehouse"), *line.split()])
        assert ended.value.code == 0
        return capsys.readouterr().out

    return run


def test_the_command_tells_where_the_example_stands_and_moves_it(say: Say) -> None:
    assert say("clock --env prod") == ("prod stands at 2013-07-01: a replay in steps of 7 days, until 2013-12-31.\n")
    assert "stands at 2013-07-01" in say("clock --env prod --advance")
    assert say("clock --env prod --advance") == (
        "prod has moved from 2013-07-01 to 2013-07-08: a replay in steps of 7 days, until 2013-12-31.\n"
    )
    assert json.loads(say("clock --env prod --json")) == {
        "environment": "prod",
        "clock": "replay",
        "as_of": "2013-07-08T00:00:00+00:00",
        "moved_from": None,
        "ended": False,
    }


def test_the_command_says_so_at_the_end_and_stays(say: Say) -> None:
    steps = [say("clock --env prod --advance") for _ in range(30)]

    assert steps[-2:] == ["prod stands at 2013-12-31: its replay ends there, and it stays.\n"] * 2
    assert steps[-3] == "prod has moved from 2013-12-30 to 2013-12-31: its replay ends there, and it stays.\n"


def test_the_command_moves_nothing_where_the_clock_is_the_machines(say: Say, tmp_path: Path) -> None:
    assert say("clock --env staging") == "staging stands at now: its clock is the machine's.\n"
    assert say("clock --env staging --advance") == (
        "staging stands at now: its clock is the machine's, and nothing moves it.\n"
    )
    assert not (tmp_path / "lakehouse").exists()
