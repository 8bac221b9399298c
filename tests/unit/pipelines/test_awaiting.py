"""Waiting for whoever judges elsewhere: an end in every case, and never a yes that nobody has said."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from gatehouse.errors import EvaluationError, RegistryUnavailable, StateError
from gatehouse.lakehouse.registry_memory import MemoryRegistry
from gatehouse.pipelines.awaiting import await_entry, await_record
from gatehouse.pipelines.decisions import RECORD_TAG
from gatehouse.progress import Silent

MODEL = "prod.main.delays"


class Patience:
    """A clock that moves by a minute with each look, and what happens meanwhile."""

    def __init__(self, happens: dict[int, Callable[[], None]]) -> None:
        self.looks = 0
        self.progress = Silent()
        self._happens = happens

    def clock(self) -> datetime:
        return datetime(2026, 11, 21, tzinfo=UTC) + timedelta(minutes=self.looks)

    def sleep(self) -> None:
        self.looks += 1
        self._happens.get(self.looks, lambda: None)()


@pytest.fixture
def registry() -> MemoryRegistry:
    found = MemoryRegistry(lambda: datetime(2026, 11, 21, tzinfo=UTC), writable=[("prod", "main")])
    found.register(MODEL, source="memory", run_id=None, tags={})
    return found


def wait(registry: MemoryRegistry, patience: Patience, *, before: str | None = None, failed: str | None = None) -> str:
    return await_record(
        registry,
        MODEL,
        "1",
        before=before,
        limit=timedelta(minutes=30),
        failed=lambda: failed,
        clock=patience.clock,
        sleep=patience.sleep,
        progress=patience.progress,
        remedy="gatehouse listen",
    )


def test_the_record_that_comes_is_the_answer(registry: MemoryRegistry) -> None:
    patience = Patience({7: lambda: registry.set_tags(MODEL, "1", {RECORD_TAG: "new"})})
    assert wait(registry, patience) == "new"
    assert patience.looks == 7
    assert patience.progress.notes == ["Version 1 is not judged yet, after 5 minutes."]


def test_an_older_record_is_no_answer(registry: MemoryRegistry) -> None:
    registry.set_tags(MODEL, "1", {RECORD_TAG: "old"})
    patience = Patience({3: lambda: registry.set_tags(MODEL, "1", {RECORD_TAG: "new"})})
    assert wait(registry, patience, before="old") == "new"


def test_nobody_judging_is_an_error_with_the_next_step(registry: MemoryRegistry) -> None:
    patience = Patience({})
    with pytest.raises(EvaluationError, match="Nobody has judged version 1 within 30 minutes") as raised:
        wait(registry, patience)
    assert raised.value.remedy == "gatehouse listen"
    assert patience.looks == 30


def test_what_is_known_to_have_failed_is_not_waited_for(registry: MemoryRegistry) -> None:
    patience = Patience({})
    with pytest.raises(EvaluationError, match="Version 1 could not be judged: exit code 9"):
        wait(registry, patience, failed="could not be judged: exit code 9")
    assert patience.looks == 0


def test_a_record_counts_more_than_a_failure_before_it(registry: MemoryRegistry) -> None:
    registry.set_tags(MODEL, "1", {RECORD_TAG: "new"})
    assert wait(registry, Patience({}), failed="could not be judged") == "new"


def test_a_registry_that_does_not_answer_is_not_taken_for_one_that_waits(
    registry: MemoryRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: object) -> None:
        raise RegistryUnavailable("It is silent.")

    monkeypatch.setattr(registry, "get", silent)
    with pytest.raises(RegistryUnavailable):
        wait(registry, Patience({}))


@pytest.mark.parametrize(("entered", "looks"), [(0, 0), (4, 4), (5, 5)])
def test_a_record_counts_from_its_entry_on_which_follows_its_tag(entered: int, looks: int) -> None:
    patience = Patience({})

    def find() -> str:
        if patience.looks < entered:
            raise StateError("The decision record of version 1 is unknown to the audit log.")
        return "the record"

    found = await_entry(find, limit=timedelta(minutes=5), clock=patience.clock, sleep=patience.sleep)
    assert (found, patience.looks) == ("the record", looks)


def test_a_record_that_nobody_enters_is_not_relied_on() -> None:
    patience = Patience({})

    def find() -> str:
        raise StateError("The decision record of version 1 is unknown to the audit log.")

    with pytest.raises(StateError, match="unknown to the audit log"):
        await_entry(find, limit=timedelta(minutes=5), clock=patience.clock, sleep=patience.sleep)
    assert patience.looks == 5
