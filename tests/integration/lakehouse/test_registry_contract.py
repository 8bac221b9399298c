"""What every registry promises; MLflow on SQLite and the twin in memory are held to the same tests."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from gatehouse.errors import (
    AccessDenied,
    AliasMoved,
    DataError,
    GatehouseError,
    ModelDoesNotLoad,
    StateError,
    StorageError,
    UsageError,
    VersionNotFound,
)
from gatehouse.lakehouse.registry import ModelRegistry, Version
from gatehouse.lakehouse.registry_memory import MemoryRegistry

MODEL = "prod.flights.delays"
STAGED = "staging.flights.delays"

Opened = Callable[[Collection[tuple[str, str]]], ModelRegistry]


@pytest.fixture(params=["mlflow", "memory"])
def opened(request: pytest.FixtureRequest) -> Opened:
    """Opens one and the same registry with the rights given."""
    if request.param == "mlflow":
        tracking = request.getfixturevalue("tracking")
        return lambda writable: tracking.registry(writable=writable)
    whole = MemoryRegistry(lambda: datetime.now(UTC), writable=[])
    return lambda writable: MemoryRegistry(lambda: datetime.now(UTC), writable=writable, sharing=whole)


@pytest.fixture
def registry(opened: Opened) -> ModelRegistry:
    return opened([("prod", "flights"), ("staging", "flights")])


@pytest.fixture
def files(make_model: Callable[[float], Path]) -> Path:
    return make_model(0.25)


def register(registry: ModelRegistry, files: Path, model: str = MODEL, **tags: str) -> Version:
    return registry.register(model, source=str(files), run_id=None, tags=tags)


def test_registering_returns_the_version_as_it_is_stored(registry: ModelRegistry, files: Path) -> None:
    before = datetime.now(UTC).replace(microsecond=0)

    made = registry.register(
        MODEL, source=str(files), run_id="4f2a", tags={"seed": "7"}, description="Verspätung: 15 min + ✈ " * 500
    )

    assert made == Version(
        model=MODEL,
        version="1",
        run_id="4f2a",
        source=str(files),
        tags={"seed": "7"},
        description="Verspätung: 15 min + ✈ " * 500,
        aliases=(),
        created_at=made.created_at,
    )
    assert before <= made.created_at <= datetime.now(UTC)
    assert registry.get(MODEL, "1") == made


def test_versions_are_numbered_per_model_and_listed_newest_first(registry: ModelRegistry, files: Path) -> None:
    made = [register(registry, files, number=str(n)) for n in range(11)]
    register(registry, files, STAGED)
    registry.set_alias(MODEL, "champion", "2")
    registry.set_alias(MODEL, "approved", "2")

    assert [v.version for v in made] == [str(n) for n in range(1, 12)]
    held = replace(made[1], aliases=("approved", "champion"))
    assert registry.versions(MODEL) == (*reversed(made[2:]), held, made[0])


@pytest.mark.broken_gate(24)
def test_registering_at_once_gives_everyone_a_version_of_their_own(registry: ModelRegistry, files: Path) -> None:
    made: list[Version] = []
    at_once(8, lambda number: made.append(register(registry, files, who=str(number))))

    assert sorted(int(v.version) for v in made) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert all(registry.get(MODEL, v.version).tags == v.tags for v in made)


def test_a_model_that_does_not_exist_has_no_versions(registry: ModelRegistry) -> None:
    assert registry.versions(MODEL) == ()


def test_a_version_that_does_not_exist_is_an_error(registry: ModelRegistry, files: Path) -> None:
    register(registry, files)
    version = "2"
    for model in (MODEL, "prod.flights.other"):
        for act in (registry.get, registry.download, registry.digest, registry.load):
            with pytest.raises(VersionNotFound):
                act(model, version)
    for write in (
        lambda: registry.set_alias(MODEL, "champion", version),
        lambda: registry.compare_and_set_alias(MODEL, "champion", expected=None, version=version),
        lambda: registry.set_tags(MODEL, version, {"a": "b"}),
        lambda: registry.set_description(MODEL, version, "x"),
        lambda: registry.copy(MODEL, version, to=STAGED),
    ):
        with pytest.raises(VersionNotFound):
            write()
    assert registry.by_alias(MODEL, "champion") is None
    assert registry.versions(STAGED) == ()


@pytest.mark.broken_gate(5)
def test_nobody_holds_an_alias_that_was_never_set_or_of_a_model_that_does_not_exist(
    registry: ModelRegistry, files: Path
) -> None:
    register(registry, files)
    registry.set_alias(MODEL, "challenger", "1")

    assert registry.by_alias(MODEL, "champion") is None
    assert registry.by_alias("prod.flights.other", "champion") is None


def test_an_alias_is_held_by_one_version_at_a_time(registry: ModelRegistry, files: Path) -> None:
    first, second = register(registry, files), register(registry, files)

    registry.set_alias(MODEL, "champion", "1")
    assert registry.by_alias(MODEL, "champion") == replace(first, aliases=("champion",))

    registry.set_alias(MODEL, "champion", "2")
    assert registry.by_alias(MODEL, "champion") == replace(second, aliases=("champion",))
    assert registry.get(MODEL, "1") == first


def test_an_alias_can_be_taken_away_twice(registry: ModelRegistry, files: Path) -> None:
    register(registry, files)
    registry.set_alias(MODEL, "champion", "1")

    registry.delete_alias(MODEL, "champion")
    registry.delete_alias(MODEL, "champion")
    registry.delete_alias("prod.flights.other", "champion")

    assert registry.by_alias(MODEL, "champion") is None


def test_compare_and_set_moves_an_alias_that_is_where_it_was_expected(registry: ModelRegistry, files: Path) -> None:
    register(registry, files)
    register(registry, files)

    registry.compare_and_set_alias(MODEL, "champion", expected=None, version="1")
    registry.compare_and_set_alias(MODEL, "champion", expected="1", version="2")

    assert registry.get(MODEL, "2").aliases == ("champion",)
    assert registry.get(MODEL, "1").aliases == ()


@pytest.mark.parametrize(
    ("holder", "expected", "sentence"),
    [
        ("2", "1", "held by version 2, not by version 1"),
        ("2", None, "held by version 2, not by nobody"),
        (None, "1", "held by nobody, not by version 1"),
    ],
)
def test_compare_and_set_says_who_holds_an_alias_that_moved_and_leaves_it_there(
    registry: ModelRegistry, files: Path, holder: str | None, expected: str | None, sentence: str
) -> None:
    for _ in range(3):
        register(registry, files)
    if holder:
        registry.set_alias(MODEL, "champion", holder)

    with pytest.raises(AliasMoved, match=sentence) as caught:
        registry.compare_and_set_alias(MODEL, "champion", expected=expected, version="3")

    assert caught.value.holder == holder
    held = registry.by_alias(MODEL, "champion")
    assert (held and held.version) == holder


@pytest.mark.broken_gate(24)
def test_of_eight_that_promote_at_once_one_wins_and_the_others_learn_who(registry: ModelRegistry, files: Path) -> None:
    for _ in range(8):
        register(registry, files)
    lost: list[AliasMoved] = []

    def promote(number: int) -> None:
        try:
            registry.compare_and_set_alias(MODEL, "champion", expected=None, version=str(number + 1))
        except AliasMoved as moved:
            lost.append(moved)

    at_once(8, promote)

    champion = registry.by_alias(MODEL, "champion")
    assert champion is not None
    assert [moved.holder for moved in lost] == [champion.version] * 7


def test_tags_are_added_replaced_and_kept(registry: ModelRegistry, files: Path) -> None:
    register(registry, files, seed="7", state="candidate")

    registry.set_tags(MODEL, "1", {"state": "rejected", "grund": "Drift über 25 %"})

    assert registry.get(MODEL, "1").tags == {"seed": "7", "state": "rejected", "grund": "Drift über 25 %"}


def test_a_description_is_replaced(registry: ModelRegistry, files: Path) -> None:
    register(registry, files)
    registry.set_description(MODEL, "1", "erste")
    registry.set_description(MODEL, "1", "zweite\nZeile")

    assert registry.get(MODEL, "1").description == "zweite\nZeile"


def test_tags_that_unity_catalog_refuses_are_refused_before_anything_is_written(
    registry: ModelRegistry, files: Path
) -> None:
    register(registry, files)
    refused = [
        *(({f"a{mark}b": "x"}, "has one of") for mark in ".,-=/:"),
        ({" a": "x"}, "a space at an end"),
        ({"": "x"}, "not 1 to 255"),
        ({"a" * 256: "x"}, "not 1 to 255"),
        ({"a": "x" * 1001}, "1,001 characters long"),
        ({f"tag{n}": "x" for n in range(51)}, "51 tags, 50 are possible"),
    ]
    for tags, sentence in refused:
        with pytest.raises(DataError, match=sentence):
            registry.register(MODEL, source=str(files), run_id=None, tags=tags)
        with pytest.raises(DataError, match=sentence):
            registry.set_tags(MODEL, "1", tags)

    assert [v.tags for v in registry.versions(MODEL)] == [{}]


def test_tags_of_several_calls_count_together(registry: ModelRegistry, files: Path) -> None:
    register(registry, files, **{f"tag{n}": "x" for n in range(50)})

    registry.set_tags(MODEL, "1", {"tag49": "y"})
    with pytest.raises(DataError, match="51 tags"):
        registry.set_tags(MODEL, "1", {"tag50": "x"})


def test_a_model_has_a_name_of_three_parts(registry: ModelRegistry, files: Path) -> None:
    acts: list[Callable[[str], object]] = [
        lambda model: registry.get(model, "1"),
        registry.versions,
        lambda model: registry.by_alias(model, "champion"),
        lambda model: register(registry, files, model),
        lambda model: registry.copy(MODEL, "1", to=model),
    ]
    for model in ("delays", "flights.delays", "a.b.c.d", "prod..delays", "prod.fl ights.x", "p.f.o'x", "a/b.c.d", ""):
        for act in acts:
            with pytest.raises(UsageError, match="is not the name of a registered model"):
                act(model)


def test_an_alias_that_means_something_else_to_a_registry_is_refused(registry: ModelRegistry, files: Path) -> None:
    register(registry, files)
    acts: list[Callable[[str], object]] = [
        lambda alias: registry.by_alias(MODEL, alias),
        lambda alias: registry.set_alias(MODEL, alias, "1"),
        lambda alias: registry.delete_alias(MODEL, alias),
        lambda alias: registry.compare_and_set_alias(MODEL, alias, expected=None, version="1"),
    ]
    for alias in ("latest", "Latest", "v1", "", "the champion", "a@b"):
        for act in acts:
            with pytest.raises(UsageError, match="cannot be an alias"):
                act(alias)


def test_a_version_is_a_number_never_an_alias(registry: ModelRegistry, files: Path) -> None:
    register(registry, files)
    acts: list[Callable[[str], object]] = [
        lambda version: registry.get(MODEL, version),
        lambda version: registry.download(MODEL, version),
        lambda version: registry.set_alias(MODEL, "champion", version),
        lambda version: registry.compare_and_set_alias(MODEL, "champion", expected=None, version=version),
        lambda version: registry.set_tags(MODEL, version, {}),
        lambda version: registry.set_description(MODEL, version, ""),
    ]
    for version in ("champion", "0", "-1", "1.0", "01", ""):
        for act in acts:
            with pytest.raises(UsageError, match="is not the number of a version"):
                act(version)


def test_an_environment_reads_the_models_of_others_and_changes_none_of_them(opened: Opened, files: Path) -> None:
    owner = opened([("prod", "flights")])
    register(owner, files)
    owner.set_alias(MODEL, "champion", "1")
    before = owner.versions(MODEL)
    other = opened([("dev", "flights"), ("prod", "weather")])

    for write in (
        lambda: register(other, files),
        lambda: other.set_alias(MODEL, "challenger", "1"),
        lambda: other.delete_alias(MODEL, "champion"),
        lambda: other.compare_and_set_alias(MODEL, "champion", expected="1", version="1"),
        lambda: other.set_tags(MODEL, "1", {"approved": "yes"}),
        lambda: other.set_description(MODEL, "1", "better"),
        lambda: other.copy(MODEL, "1", to="prod.flights.copy"),
        lambda: other.delete(MODEL),
    ):
        with pytest.raises(AccessDenied, match=r"may not change prod\.flights\.\w+; it may change dev\.flights"):
            write()

    assert other.versions(MODEL) == before
    assert owner.versions(MODEL) == before
    assert owner.versions("prod.flights.copy") == ()


def test_a_version_predicts_with_the_files_it_was_registered_with(
    registry: ModelRegistry, make_model: Callable[[float], Path]
) -> None:
    for number in (0.25, 0.75):
        register(registry, make_model(number))
    two_rows = pd.DataFrame({"distance": [100.0, 900.0]})

    assert [list(registry.load(MODEL, v).predict(two_rows)) for v in ("1", "2")] == [[0.25, 0.25], [0.75, 0.75]]
    assert (registry.download(MODEL, "2") / "number.txt").read_text() == "0.75"


def test_files_that_make_no_model_are_told_from_a_missing_version(registry: ModelRegistry, files: Path) -> None:
    register(registry, files)
    (files / "number.txt").write_text("a quarter")

    with pytest.raises(ModelDoesNotLoad, match=f"Version 1 of {MODEL} does not load: ValueError"):
        registry.load(MODEL, "1")


def test_files_that_are_gone_are_told_from_a_missing_version(registry: ModelRegistry, files: Path) -> None:
    register(registry, files)
    shutil.rmtree(files)

    with pytest.raises(StorageError, match="The files of version 1"):
        registry.download(MODEL, "1")


@pytest.mark.broken_gate(6)
def test_any_change_of_the_files_changes_the_digest(registry: ModelRegistry, files: Path) -> None:
    register(registry, files)
    seen = [registry.digest(MODEL, "1")]
    for change in (
        lambda: (files / "number.txt").write_text("0.26"),
        lambda: (files / "number.txt").rename(files / "numbers.txt"),
        lambda: (files / "code" / "registered_model_meta").write_text("in a folder below, so part of the model"),
        lambda: (files / ".hidden").write_text(""),
    ):
        change()
        seen.append(registry.digest(MODEL, "1"))

    assert len(set(seen)) == 5


def test_a_digest_is_the_one_that_coreutils_compute(registry: ModelRegistry, tmp_path: Path) -> None:
    files = tmp_path / "files"
    (files / "b").mkdir(parents=True)
    (files / "empty").mkdir()
    (files / "b" / "two.txt").write_text("2")
    (files / "B.txt").write_text("1")
    register(registry, files)
    # In this folder: find . -type f -printf '%P\n' | LC_ALL=C sort | xargs sha256sum | sha256sum
    known = "5b29bfe44d8f3d64b5effdf51be53958a3be073c6bc33358dabca1d36af8703e"

    assert registry.digest(MODEL, "1") == known
    (files / "registered_model_meta").write_text("model_name: what MLflow leaves beside a model it fetched")
    assert registry.digest(MODEL, "1") == known


def test_what_cannot_be_relied_on_has_no_digest(registry: ModelRegistry, files: Path, tmp_path: Path) -> None:
    register(registry, files)
    (files / "link").symlink_to(tmp_path)
    with pytest.raises(StateError, match="is not an ordinary file"):
        registry.digest(MODEL, "1")

    nothing = tmp_path / "nothing"
    nothing.mkdir()
    register(registry, nothing)
    with pytest.raises(StateError, match="There are no model files"):
        registry.digest(MODEL, "2")


def test_a_copy_keeps_what_was_said_about_the_original_and_names_it(registry: ModelRegistry, files: Path) -> None:
    register(registry, files, STAGED, seed="6")
    original = registry.register(STAGED, source=str(files), run_id="4f2a", tags={"seed": "7"}, description="A card")
    registry.set_alias(STAGED, "champion", "2")
    approved = {"approval": "Approved", "approval_record": "3f2a9c0d1e2f anna@example.org"}
    registry.set_tags(STAGED, "2", approved)

    copied = registry.copy(STAGED, "2", to=MODEL)

    assert copied == replace(
        original,
        model=MODEL,
        version="1",
        source=copied.source,
        tags={"seed": "7", "gatehouse_copied_from": f"{STAGED}/2"},
        created_at=copied.created_at,
    )
    assert registry.versions(MODEL) == (copied,)
    assert registry.digest(MODEL, "1") == registry.digest(STAGED, "2")
    assert registry.get(STAGED, "2") == replace(original, aliases=("champion",), tags={"seed": "7", **approved})


def test_a_deleted_model_is_gone_and_can_be_deleted_again(registry: ModelRegistry, files: Path) -> None:
    register(registry, files)
    kept = register(registry, files, STAGED)
    registry.set_alias(MODEL, "champion", "1")

    registry.delete(MODEL)
    registry.delete(MODEL)

    assert registry.versions(MODEL) == ()
    assert registry.by_alias(MODEL, "champion") is None
    assert registry.versions(STAGED) == (kept,)


def test_the_models_of_one_schema_are_deleted_and_of_no_other(opened: Opened, files: Path) -> None:
    names = [
        "dev.tram_delays.a",
        "dev.tram_delays.b",
        "dev.tramXdelays.a",
        "dev.tram_delays2.a",
        "prod.tram_delays.a",
    ]
    everyone = opened([(name.split(".")[0], name.split(".")[1]) for name in names])
    for name in names:
        register(everyone, files, name)

    mine = opened([("dev", "tram_delays")])
    mine.delete_models("dev", "tram_delays")
    mine.delete_models("dev", "tram_delays")
    with pytest.raises(AccessDenied):
        mine.delete_models("prod", "tram_delays")

    assert [len(everyone.versions(name)) for name in names] == [0, 0, 1, 1, 1]


def at_once(number: int, act: Callable[[int], Any]) -> None:
    """Run it so many times at the same moment; the first error of any is raised."""
    ready = threading.Barrier(number)
    wrong: list[BaseException] = []

    def one(mine: int) -> None:
        ready.wait()
        try:
            act(mine)
        except (GatehouseError, AssertionError) as error:
            wrong.append(error)

    threads = [threading.Thread(target=one, args=(n,)) for n in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise wrong[0]
