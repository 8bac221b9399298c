"""Aliases move as the audit log says, one at a time, and a move that is interrupted anywhere is finished or undone."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from deltalake import DeltaTable

from gatehouse.errors import AliasMoved, Busy, ModelDoesNotLoad, Refused, RegistryUnavailable, StateError
from gatehouse.gates.identity import Identity, Strength
from gatehouse.gates.promotion import CHALLENGER, CHAMPION, PREVIOUS, Gatekeeper, Kind, Live, Move, Settled
from gatehouse.lakehouse.audit import AuditLog
from gatehouse.lakehouse.locks import writer_lock
from gatehouse.lakehouse.registry_memory import MemoryRegistry
from gatehouse.lakehouse.session import Engine
from gatehouse.lakehouse.store import FolderStore
from gatehouse.lakehouse.tables import DeltaTables, TableName

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.slow

MODEL = "prod.main.delays"
NOON = datetime(2013, 7, 1, 12, tzinfo=UTC)
ANNA = Identity(name="anna@example.org", established_by="--as", strength=Strength.CLAIMED)
BOB = Identity(name="bob@example.org", established_by="--as", strength=Strength.CLAIMED)

Smoke = Callable[[str], str | None]


class Killed(BaseException):
    """Stands for kill -9: no `except` of the code under test may take it for an answer."""


ACTS = {"append", "set_alias", "compare_and_set_alias", "delete_alias", "smoke"}
"""What a command does to the world. What it reads between two acts changes nothing: killed there, it is killed before
the next act."""


@dataclass
class Fuse:
    """Counts the acts of a command, and kills it before act number `blows_at`."""

    blows_at: int | None = None
    acts: int = 0

    def burn(self) -> None:
        self.acts += 1
        if self.acts == self.blows_at:
            raise Killed


class Fused:
    """A registry, a log or a smoke test whose acts burn a fuse; some methods may be replaced."""

    def __init__(self, target: Any, fuse: Fuse, methods: Mapping[str, Callable[..., Any]]) -> None:
        self._target = target
        self._fuse = fuse
        self._methods = methods

    def __getattr__(self, name: str) -> Any:
        method = self._methods.get(name) or getattr(self._target, name)
        if name not in ACTS:
            return method

        def act(*args: Any, **kwargs: Any) -> Any:
            self._fuse.burn()
            return method(*args, **kwargs)

        return act


@dataclass
class Plot:
    """A model with four versions, and the audit log of its environment."""

    audit: AuditLog
    root: Path
    registry: MemoryRegistry

    def keeper(
        self,
        *,
        smoke: Smoke = lambda _: None,
        fuse: Fuse | None = None,
        timeout: float = 5,
        **methods: Any,
    ) -> Gatekeeper:
        """`methods` replace those of the registry."""
        fuse = fuse or Fuse()
        return Gatekeeper(
            Fused(self.registry, fuse, methods),
            Fused(self.audit, fuse, {}),  # type: ignore[arg-type]
            MODEL,
            store=FolderStore(self.root),
            smoke=Fused(None, fuse, {"smoke": smoke}).smoke,
            lock_timeout=timeout,
        )

    def move(self, to: str, expected: str | None, **differing: Any) -> Settled:
        return self.keeper().move(move(to, expected, **differing))

    def aliases(self) -> dict[str, str | None]:
        holders = {alias: self.registry.by_alias(MODEL, alias) for alias in (CHAMPION, PREVIOUS, CHALLENGER)}
        return {alias: holder.version if holder else None for alias, holder in holders.items()}

    def said(self) -> list[tuple[str, str | None]]:
        return [(e.action, e.version) for e in self.audit.entries()]


def move(to: str, expected: str | None, **differing: Any) -> Move:
    described: dict[str, Any] = {"kind": Kind.PROMOTION, "record": "r" * 64, "reason": "July", "actor": ANNA}
    return Move(to=to, expected=expected, **{**described, **differing})


def held(champion: str | None, previous: str | None, challenger: str | None = None) -> dict[str, str | None]:
    return {CHAMPION: champion, PREVIOUS: previous, CHALLENGER: challenger}


def fails(version: str) -> str | None:
    return f"version {version} predicts NaN"


class Plots:
    """Makes plots: a lakehouse folder each, the history of the second kind written once and copied."""

    def __init__(self, spark: SparkSession, engine: Engine, folder: Path) -> None:
        self._spark = spark
        self._engine = engine
        self._folder = folder
        self._numbers = count()
        self._written = self._open(folder / "written")
        self._written.move("1", None)
        self._written.move("2", "1")

    def empty(self) -> Plot:
        """Nobody was champion yet; version 3 challenges."""
        return self._challenged(self._open(self._folder / str(next(self._numbers))))

    def live(self) -> Plot:
        """Version 1 was champion, version 2 is, version 3 challenges it."""
        root = self._folder / str(next(self._numbers))
        shutil.copytree(self._written.root, root)
        plot = self._open(root)
        plot.registry.set_alias(MODEL, PREVIOUS, "1")
        plot.registry.set_alias(MODEL, CHAMPION, "2")
        return self._challenged(plot)

    def _open(self, root: Path) -> Plot:
        seconds = count()
        tables = DeltaTables(self._spark, self._engine, root, writable=[("prod", "main")])
        name = TableName("prod", "main", "audit_log")
        audit = AuditLog(tables, name, store=FolderStore(root), clock=lambda: NOON + timedelta(seconds=next(seconds)))
        registry = MemoryRegistry(lambda: NOON, writable=[("prod", "main")])
        for _ in range(4):
            registry.register(MODEL, source="files", run_id=None, tags={})
        return Plot(audit=audit, root=root, registry=registry)

    @staticmethod
    def _challenged(plot: Plot) -> Plot:
        plot.registry.set_alias(MODEL, CHALLENGER, "3")
        return plot


@pytest.fixture(scope="module")
def plots(spark: SparkSession, engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Plots:
    return Plots(spark, engine, tmp_path_factory.mktemp("plots"))


@pytest.fixture
def model(plots: Plots) -> Plot:
    return plots.empty()


@pytest.fixture
def live(plots: Plots) -> Plot:
    return plots.live()


# A move


def test_the_first_champion_has_none_before_it(model: Plot) -> None:
    assert model.move("1", None) == Settled(version="1", champion="1")
    assert model.aliases() == held("1", None, "3")


def test_a_promotion_keeps_the_champion_before_and_ends_the_challenge(live: Plot) -> None:
    assert live.move("3", "2") == Settled(version="3", champion="3")
    assert live.aliases() == held("3", "2")


def test_a_move_is_entered_before_it_is_made_and_when_it_is_settled(live: Plot) -> None:
    live.move("3", "2", reason="better in July ✈", actor=BOB)

    begun, done = live.audit.entries()[-2:]
    assert (begun.action, begun.version, begun.actor, begun.actor_source) == (
        "move_begun",
        "3",
        "bob@example.org",
        "--as (claimed)",
    )
    assert begun.details == {
        "kind": "promotion",
        "from": "2",
        "to": "3",
        "previous": "1",
        "record": "r" * 64,
        "reason": "better in July ✈",
    }
    assert (done.action, done.version, done.actor, done.details) == (
        "move_done",
        "3",
        "bob@example.org",
        {"begun": begun.seq},
    )
    assert live.audit.verify().ok


def test_history_tells_every_champion_with_how_it_came_and_by_which_record(live: Plot) -> None:
    live.move("3", "2", kind=Kind.BREAK_GLASS, record="b" * 64)
    live.keeper(smoke=fails).move(move("4", "3"))

    assert [(x.version, x.kind, x.record, x.entry.actor) for x in live.keeper().history()] == [
        ("1", Kind.PROMOTION, "r" * 64, "anna@example.org"),
        ("2", Kind.PROMOTION, "r" * 64, "anna@example.org"),
        ("3", Kind.BREAK_GLASS, "b" * 64, "anna@example.org"),
    ]


@pytest.mark.broken_gate(24)
def test_a_version_that_was_judged_against_another_champion_is_refused_and_told_who_is(live: Plot) -> None:
    before = live.said()

    with pytest.raises(AliasMoved) as moved:
        live.move("3", "1")

    assert moved.value.holder == "2"
    assert moved.value.what == (
        f"The champion of {MODEL} is version 2, promoted by anna@example.org at "
        f"{live.keeper().history()[-1].entry.at:%Y-%m-%d %H:%M}; version 3 was judged against version 1."
    )
    assert live.aliases() == held("2", "1", "3")
    assert live.said() == before


@pytest.mark.broken_gate(5)
def test_no_champion_expected_is_not_the_same_as_whoever_it_is(live: Plot) -> None:
    with pytest.raises(AliasMoved, match="was judged against nobody"):
        live.move("3", None)


@pytest.mark.broken_gate(24)
def test_of_two_that_were_judged_against_one_champion_the_second_is_refused(live: Plot) -> None:
    live.move("3", "2")

    with pytest.raises(AliasMoved, match=r"is version 3, promoted by anna@example\.org"):
        live.move("4", "2")
    assert live.aliases() == held("3", "2")


@pytest.mark.broken_gate(5)
def test_a_registry_that_gives_no_answer_moves_nothing(live: Plot) -> None:
    def silent(*_: Any) -> None:
        raise RegistryUnavailable("MLflow gave no usable answer while asking who holds champion")

    with pytest.raises(RegistryUnavailable):
        live.keeper(by_alias=silent).move(move("3", None))

    assert live.aliases() == held("2", "1", "3")


def test_another_hand_between_the_look_and_the_write_wins_and_what_was_begun_is_undone(live: Plot) -> None:
    def overtaken(model: str, alias: str, *, expected: str | None, version: str) -> None:
        live.registry.set_alias(model, alias, "4")
        live.registry.compare_and_set_alias(model, alias, expected=expected, version=version)

    with pytest.raises(AliasMoved):
        live.keeper(compare_and_set_alias=overtaken).move(move("3", "2"))

    assert live.aliases() == held("4", "1", "3")
    assert live.said()[-1] == ("move_undone", "3")
    assert live.keeper().settle() is None


def test_what_was_entered_before_a_move_and_forbids_it_undoes_it_before_any_alias_moves(live: Plot) -> None:
    before, seen = live.aliases(), []

    def rejected() -> None:
        seen.append((live.said()[-1], live.aliases()))
        raise Refused("Bert rejected it.", why="He may.", remedy="Train another.")

    with pytest.raises(Refused, match="Bert rejected it"):
        live.keeper().move(move("3", "2"), check=rejected)

    assert seen == [(("move_begun", "3"), before)]
    assert live.aliases() == before
    assert live.said()[-1] == ("move_undone", "3")
    assert live.keeper().settle() is None


def test_who_holds_the_lock_moves_alone(live: Plot) -> None:
    with (
        writer_lock(live.root / "locks", f"{MODEL}.aliases", timeout=1),
        pytest.raises(Busy, match="aliases is being written"),
    ):
        live.keeper(timeout=0.01).move(move("3", "2"))


# The smoke test


@pytest.mark.broken_gate(21)
@pytest.mark.parametrize("first", [True, False])
def test_a_version_that_does_not_work_is_taken_back_and_everything_is_as_before(plots: Plots, first: bool) -> None:
    model = plots.empty() if first else plots.live()
    before = model.aliases()

    settled = model.keeper(smoke=fails).move(move("3", before[CHAMPION]))

    reason = "The smoke test failed: version 3 predicts NaN"
    assert settled == Settled(version="3", champion=before[CHAMPION], undone=reason)
    assert not settled.moved
    assert model.aliases() == before
    last = model.audit.entries()[-1]
    assert (last.action, last.details["reason"]) == ("move_undone", reason)


@pytest.mark.broken_gate(21)
def test_a_version_that_does_not_load_is_taken_back(live: Plot) -> None:
    def broken(version: str) -> str | None:
        raise ModelDoesNotLoad(f"Version {version} does not load: EOFError")

    assert live.keeper(smoke=broken).move(move("3", "2")).undone == (
        "The smoke test failed: Version 3 does not load: EOFError"
    )
    assert live.aliases() == held("2", "1", "3")


def test_a_registry_that_goes_down_during_the_smoke_test_says_nothing_about_the_version(live: Plot) -> None:
    def down(_: str) -> str | None:
        raise RegistryUnavailable("no answer")

    with pytest.raises(RegistryUnavailable):
        live.keeper(smoke=down).move(move("3", "2"))

    assert live.keeper().settle() == Settled(version="3", champion="3")
    assert live.aliases() == held("3", "2")


def test_whoever_moves_the_alias_during_a_smoke_test_that_fails_is_not_overruled(live: Plot) -> None:
    def meddled(_: str) -> str | None:
        live.registry.set_alias(MODEL, CHAMPION, "4")
        return "it is slow"

    assert live.keeper(smoke=meddled).move(move("3", "2")).champion == "4"
    assert live.keeper().moved_outside() is not None


# Interrupted


@dataclass(frozen=True)
class Situation:
    """What was going on when the process was killed."""

    move: Move
    before: dict[str, str | None]
    after: dict[str, str | None]
    smoke: Smoke = lambda _: None


SITUATIONS = {
    "first deployment": Situation(move("1", None), held(None, None, "3"), held("1", None, "3")),
    "promotion": Situation(move("3", "2"), held("2", "1", "3"), held("3", "2")),
    "promotion of what does not work": Situation(
        move("3", "2"), held("2", "1", "3"), held("2", "1", "3"), smoke=lambda v: fails(v) if v == "3" else None
    ),
    "rollback": Situation(move("1", "2", kind=Kind.ROLLBACK), held("2", "1", "3"), held("1", "2", "3")),
}


def prepared(plots: Plots, situation: Situation) -> Plot:
    model = plots.empty() if situation.before[CHAMPION] is None else plots.live()
    assert model.aliases() == situation.before
    return model


def assert_explained(model: Plot, situation: Situation) -> None:
    """Whatever was interrupted: it is either as it was or as it was to be, and the log says which."""
    keeper = model.keeper()
    assert keeper.settle() is None
    assert keeper.moved_outside() is None
    entries = model.audit.entries()
    begun = [e.seq for e in entries if e.action == "move_begun"]
    assert [e.details["begun"] for e in entries if e.action in ("move_done", "move_undone")] == begun
    moved = [(e.action, e.version) for e in entries[-1:]] == [("move_done", situation.move.to)]
    assert model.aliases() == (situation.after if moved else situation.before)
    assert model.audit.verify().ok


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_move_that_is_killed_at_any_point_is_settled_by_the_next_command(plots: Plots, name: str) -> None:
    situation, ends = SITUATIONS[name], []
    for blows_at in count(1):
        model, fuse = prepared(plots, SITUATIONS[name]), Fuse(blows_at)
        try:
            model.keeper(smoke=situation.smoke, fuse=fuse).move(situation.move)
        except Killed:
            settled = model.keeper(smoke=situation.smoke).settle()
            ends.append("unbegun" if settled is None else "finished" if settled.moved else "undone")
            assert_explained(model, situation)
        else:
            assert_explained(model, situation)
            break

    assert ends == ENDS[name]


ENDS = {
    "first deployment": ["unbegun", "undone", "finished", "finished"],
    "promotion": ["unbegun", "undone", "undone", "finished", "finished", "finished"],
    "promotion of what does not work": ["unbegun", "undone", "undone", "undone", "undone", "undone", "undone"],
    "rollback": ["unbegun", "undone", "undone", "finished", "finished"],
}
"""Killed before the intent is entered; before each alias moves; before it is tried and entered as done, or undone."""


@pytest.mark.parametrize(
    ("name", "killed_in"),
    [("promotion", "smoke"), ("promotion", "compare_and_set_alias"), ("promotion of what does not work", "smoke")],
)
def test_settling_that_is_killed_at_any_point_is_settled_by_the_command_after(
    plots: Plots, name: str, killed_in: str
) -> None:
    situation = SITUATIONS[name]
    for blows_at in count(1):
        model, fuse = prepared(plots, situation), Fuse(blows_at)
        interrupt_at(model, situation, killed_in)
        with suppress(Killed):
            model.keeper(smoke=situation.smoke, fuse=fuse).settle()
        model.keeper(smoke=situation.smoke).settle()
        assert_explained(model, situation)
        if fuse.acts < blows_at:
            break
    assert fuse.acts >= 2


def interrupt_at(model: Plot, situation: Situation, call: str) -> None:
    def killed(*_: Any, **__: Any) -> None:
        raise Killed

    replaced: dict[str, Any] = {call: killed}
    with pytest.raises(Killed):
        model.keeper(**replaced).move(situation.move)


def test_the_same_command_again_ends_what_was_interrupted(plots: Plots) -> None:
    model = prepared(plots, SITUATIONS["promotion"])
    interrupt_at(model, SITUATIONS["promotion"], "compare_and_set_alias")

    assert model.move("3", "2") == Settled(version="3", champion="3")
    assert [action for action, _ in model.said()[-4:]] == ["move_begun", "move_undone", "move_begun", "move_done"]


def test_whoever_settles_a_move_it_stays_that_of_who_began_it(live: Plot) -> None:
    interrupt_at(live, SITUATIONS["promotion"], "smoke")

    live.keeper().settle()

    assert {e.actor for e in live.audit.entries()} == {"anna@example.org"}


def test_an_interrupted_move_does_not_undo_what_another_hand_did_since(live: Plot) -> None:
    interrupt_at(live, SITUATIONS["promotion"], "smoke")
    live.registry.set_alias(MODEL, CHAMPION, "4")

    settled = live.keeper().settle()

    assert settled == Settled(
        version="3",
        champion="4",
        undone="It was interrupted, and version 4 was made champion by another hand.",
    )
    assert live.aliases() == held("4", "1", "3")


# Another hand


def test_aliases_that_the_log_explains_were_not_moved_outside(live: Plot) -> None:
    assert live.keeper().moved_outside() is None


@pytest.mark.parametrize(("holder", "named"), [("4", "version 4"), (None, "nobody")])
def test_an_alias_that_was_moved_outside_is_found(live: Plot, holder: str | None, named: str) -> None:
    if holder is None:
        live.registry.delete_alias(MODEL, CHAMPION)
    else:
        live.registry.set_alias(MODEL, CHAMPION, holder)

    assert live.keeper().moved_outside() == (
        f"{MODEL}: the registry's champion is {named}, and by the audit log it is version 2: "
        "the alias was moved by another hand."
    )


def test_a_champion_that_nobody_promoted_is_found(model: Plot) -> None:
    model.registry.set_alias(MODEL, CHAMPION, "1")

    assert "by the audit log it is nobody" in (model.keeper().moved_outside() or "")


def test_a_move_under_way_explains_both_ends_and_nothing_else(live: Plot) -> None:
    interrupt_at(live, SITUATIONS["promotion"], "smoke")
    assert live.keeper().moved_outside() is None

    live.registry.set_alias(MODEL, CHAMPION, "4")
    assert live.keeper().moved_outside() is not None


def test_a_log_that_was_changed_refuses_every_move(live: Plot) -> None:
    interrupt_at(live, SITUATIONS["promotion"], "smoke")
    table = DeltaTable(live.root / "tables" / "prod" / "main" / "audit_log")
    table.alter.set_table_properties({"delta.appendOnly": "false"}, raise_if_not_exists=False)
    table.update(predicate="seq = 1", updates={"actor": "'mallory@example.org'"})

    for command in (lambda: live.move("4", "3"), live.keeper().settle):
        with pytest.raises(Refused, match=r"does not verify: Entry 1 was changed"):
            command()
    assert live.aliases() == held("3", "2", "3")


# The way back


def passes(_: Live) -> str | None:
    return None


def back(model: Plot) -> str:
    """What a rollback does."""
    keeper = model.keeper()
    target, _ = keeper.rollback_target(passes=passes)
    champion = model.aliases()[CHAMPION]
    model.move(target.version, champion, kind=Kind.ROLLBACK)
    return target.version


@pytest.mark.broken_gate(19)
def test_the_way_back_leads_to_the_last_that_was_live_and_not_to_the_number_before(model: Plot) -> None:
    model.move("1", None)
    model.move("4", "1")

    target, skipped = model.keeper().rollback_target(passes=passes)

    assert (target.version, target.kind, target.record, skipped) == ("1", Kind.PROMOTION, "r" * 64, ())


@pytest.mark.broken_gate(19)
def test_going_back_twice_goes_further_back_and_never_forward_again(live: Plot) -> None:
    live.move("3", "2")

    assert [back(live), back(live)] == ["2", "1"]
    assert live.aliases() == held("1", "2")
    with pytest.raises(StateError, match="no earlier champion"):
        live.keeper().rollback_target(passes=passes)


@pytest.mark.broken_gate(19)
def test_after_a_rollback_and_a_new_champion_the_way_leads_past_what_was_rolled_back(live: Plot) -> None:
    assert back(live) == "1"
    live.move("3", "1")

    assert live.keeper().rollback_target(passes=passes)[0].version == "1"


@pytest.mark.broken_gate(19)
def test_versions_that_do_not_work_or_passed_no_gate_are_passed_over_with_the_reason(live: Plot) -> None:
    live.move("3", "2", kind=Kind.BREAK_GLASS)
    live.move("4", "3")

    target, skipped = live.keeper().rollback_target(passes=lambda x: "it is gone" if x.version == "2" else None)

    assert target.version == "1"
    assert skipped == ("version 3 was promoted past the gates (break_glass)", "version 2: it is gone")


@pytest.mark.broken_gate(19)
def test_where_nothing_works_nothing_is_guessed(live: Plot) -> None:
    with pytest.raises(StateError) as none:
        live.keeper().rollback_target(passes=lambda _: "it is gone")

    assert none.value.what == f"There is no earlier champion of {MODEL} to go back to (version 1: it is gone)."


@pytest.mark.broken_gate(19)
def test_from_an_alias_that_was_moved_outside_the_way_back_leads_to_the_last_champion_of_the_log(live: Plot) -> None:
    live.registry.set_alias(MODEL, CHAMPION, "4")

    assert live.keeper().rollback_target(passes=passes)[0].version == "2"


def test_a_version_that_broke_the_glass_and_passed_the_gates_later_is_no_longer_past_them(live: Plot) -> None:
    live.move("3", "2", kind=Kind.BREAK_GLASS)

    assert live.move("3", "3") == Settled(version="3", champion="3")

    assert live.aliases() == held("3", "2")
    assert [x.kind for x in live.keeper().history()][-2:] == [Kind.BREAK_GLASS, Kind.PROMOTION]
    live.move("4", "3")
    assert live.keeper().rollback_target(passes=passes)[0].version == "3"
