"""The queue of versions: in their order, once each, and still there after a crash."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatehouse.errors import Busy, StorageError
from gatehouse.listening.queue import Entry, Queue, State


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return Queue(tmp_path / "queue")


def versions(queue: Queue, state: State = State.TODO) -> list[str]:
    return [entry.version for entry in queue.entries(state)]


def test_versions_are_worked_off_in_their_order_not_in_that_of_their_deliveries(queue: Queue) -> None:
    assert [queue.put(v, f"d-{v}") for v in ("10", "9", "100")] == [True, True, True]
    assert versions(queue) == ["9", "10", "100"]


@pytest.mark.parametrize("state", list(State))
def test_a_repeated_delivery_changes_nothing_whatever_became_of_the_first(queue: Queue, state: State) -> None:
    queue.put("3", "first")
    queue.settle(queue.entries(State.TODO)[0], state, "said")

    assert not queue.put("3", "second")
    assert queue.find("3") == Entry(version="3", state=state, id="first", note="said")


def test_what_was_accepted_is_there_for_the_next_process(queue: Queue) -> None:
    queue.put("3", "d-1")
    assert Queue(queue.folder).entries(State.TODO) == (Entry(version="3", state=State.TODO, id="d-1"),)


def test_what_a_crash_left_half_written_is_not_seen(queue: Queue) -> None:
    queue.put("3", "d-1")
    (queue.folder / "todo" / ".000000004.abc.part").write_text("{", encoding="utf-8")
    assert versions(queue) == ["3"]


def test_a_crash_between_the_two_halves_of_a_move_does_the_work_again_and_loses_nothing(queue: Queue) -> None:
    queue.put("3", "d-1")
    entry = queue.entries(State.TODO)[0]
    left = (queue.folder / "todo" / "000000003.json").read_bytes()
    queue.settle(entry, State.WAITING)
    (queue.folder / "todo" / "000000003.json").write_bytes(left)

    assert queue.find("3") == entry
    queue.settle(entry, State.WAITING, "again")
    assert [versions(queue, state) for state in State] == [[], ["3"], [], []]


@pytest.mark.parametrize("state", [State.WAITING, State.DONE, State.FAILED])
def test_who_asks_for_a_version_has_it_judged_again(queue: Queue, state: State) -> None:
    queue.put("3", "d-1")
    queue.settle(queue.entries(State.TODO)[0], state)

    queue.ask("3")

    assert [versions(queue, s) for s in State] == [["3"], [], [], []]


def test_who_asks_while_it_is_being_judged_is_not_forgotten(queue: Queue) -> None:
    queue.put("3", "d-1")
    working_on = queue.entries(State.TODO)[0]
    asked = queue.ask("3")

    queue.settle(working_on, State.DONE, "by the old policy")

    assert queue.entries(State.TODO) == (Entry(version="3", state=State.TODO, id=asked),)


def test_there_is_one_who_works_it_off(queue: Queue) -> None:
    with queue.alone(), pytest.raises(Busy), Queue(queue.folder).alone():
        pass


def test_a_damaged_file_is_named_and_not_passed_over(queue: Queue) -> None:
    queue.put("3", "d-1")
    (queue.folder / "todo" / "000000003.json").write_text("{", encoding="utf-8")
    with pytest.raises(StorageError) as raised:
        queue.entries(State.TODO)
    assert "gatehouse release --version 3" in raised.value.remedy
