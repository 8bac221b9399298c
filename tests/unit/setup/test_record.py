"""What setup made is written down before and after, and read back exactly, or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from filelock import FileLock

from gatehouse.errors import Busy, StateError
from gatehouse.setup.record import Record
from gatehouse.setup.resources import Kind, Made

GRANT = Made(kind=Kind.GRANT, name="on schema p.s to a", at={"env": "prod"}, id="1", added={"privileges": ("SELECT",)})
GROUP = Made(kind=Kind.GROUP, name="a", at={}, id="7")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "setup-record.json"


def test_entries_are_read_back_in_their_order(path: Path) -> None:
    record = Record(path)
    record.complete(GROUP)
    record.complete(GRANT)

    assert list(Record(path).entries.values()) == [GROUP, GRANT]


def test_what_was_begun_is_known_to_be(path: Path) -> None:
    Record(path).begin(GROUP)

    assert Record(path).entries[GROUP.key].begun
    Record(path).complete(GROUP)
    assert not Record(path).entries[GROUP.key].begun


def test_what_is_forgotten_is_gone(path: Path) -> None:
    record = Record(path)
    record.complete(GROUP)
    record.forget(GROUP.key)

    assert Record(path).entries == {}


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"version": 1}', '{"version": 1, "made": [{}]}', '{"version": 1, "made": [{"kind": 1}]}'],
)
def test_a_damaged_record_is_an_error_and_not_an_empty_one(path: Path, content: str) -> None:
    path.write_text(content)

    with pytest.raises(StateError, match="cannot be read"):
        Record(path)


def test_another_versions_record_is_not_guessed_at(path: Path) -> None:
    path.write_text(json.dumps({"version": 2, "made": []}))

    with pytest.raises(StateError, match="another version"):
        Record(path)


def test_two_setups_do_not_work_at_once(path: Path) -> None:
    with FileLock(path.with_suffix(".lock")), pytest.raises(Busy), Record(path).alone():
        pass


def test_what_the_other_one_made_is_seen_when_ones_turn_has_come(path: Path) -> None:
    mine = Record(path)
    Record(path).complete(GROUP)

    with mine.alone():
        assert mine.entries == {GROUP.key: GROUP}
