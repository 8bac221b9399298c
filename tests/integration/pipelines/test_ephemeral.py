"""Schemas of rehearsals: they go when all went well, stay for a while when it did not, and are nobody else's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatehouse.cli.world import Place, World
from gatehouse.errors import Busy, Refused, StorageError, UsageError
from gatehouse.lakehouse.embedded import Embedded
from gatehouse.pipelines.ephemeral import Ephemeral, Swept, Wanted, rehearsal_schema, sweep
from gatehouse.pipelines.tables import RUNS
from gatehouse.progress import Silent
from gatehouse.settings import Environment, parse_as_of

if TYPE_CHECKING:
    from tests.integration.pipelines.conftest import Lakehouse, Open

    from gatehouse.pipelines.context import Context

pytestmark = pytest.mark.slow

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Janitor:
    """Claims and sweeps at chosen moments, in one lakehouse."""

    lakehouse: Lakehouse

    @property
    def root(self) -> Path:
        return self.lakehouse.world.place.root

    @contextmanager
    def claim(
        self, schema: str, *, env: str = "staging", keep: timedelta = DAY, at: datetime = NOON
    ) -> Iterator[Ephemeral]:
        settings = self.lakehouse.world.place.settings
        wanted = Wanted(env=env, schema=schema, project="temperature", commit="4f2a", keep_failed=keep)
        with rehearsal_schema(Embedded(self.root), settings, wanted, clock=lambda: at, progress=Silent()) as claimed:
            yield claimed

    def fill(self, claimed: Ephemeral, env: str = "staging") -> Context:
        """What a rehearsal leaves behind: a table, a registered version with a run and files, an entry of the log."""
        world: World = self.lakehouse.world
        place = Place(settings=claimed.settings, root=self.root)
        context = World(
            place=place,
            platform=world.platform,
            spark=world.spark,
            project=world.project,
            code=world.code,
            clock=world.clock,
        ).context(env, parse_as_of("2013-10-01"), Silent())
        context.tables.create(context.own(RUNS.name), RUNS)
        with context.tracking.run("training", tags={}) as run:
            run.log_text("a card", "model_card.md")
            context.registry.register(context.model, source=f"runs:/{run.run_id}/model", run_id=run.run_id, tags={})
        context.audit.append(action="judged", actor="ada", actor_source="the test", model=context.model)
        return context

    def end(self, schema: str, error: BaseException, *, keep: timedelta = DAY) -> tuple[Ephemeral, Context]:
        """A rehearsal that ends with this error, which comes through."""
        try:
            with self.claim(schema, keep=keep) as claimed:
                context = self.fill(claimed)
                raise error
        except BaseException as raised:
            if raised is not error:
                raise
        return claimed, context

    def sweep(
        self, at: datetime, *, env: str = "staging", older_than: timedelta | None = None, schema: str | None = None
    ) -> Swept:
        return sweep(Embedded(self.root), env, now=at, older_than=older_than, progress=Silent(), schema=schema)

    def left(self, name: str = "pr_7") -> list[str]:
        """Every file and folder that names the schema; its lock is empty and stays."""
        return sorted(
            path.relative_to(self.root).as_posix()
            for path in self.root.rglob(f"*{name}*")
            if path.suffix != ".lock" or path.stat().st_size
        )

    def versions(self, name: str) -> int:
        return len(self.lakehouse.at("2013-10-01").registry.versions(f"staging.{name}.temperature"))


@pytest.fixture
def janitor(open_lakehouse: Open, tmp_path: Path) -> Janitor:
    return Janitor(open_lakehouse(tmp_path / "lakehouse"))


def places(swept: Swept) -> tuple[list[str], list[str], list[str]]:
    return tuple([m.place for m in found] for found in (swept.dropped, swept.kept, swept.running))  # type: ignore[return-value]


def test_nothing_is_left_of_what_went_well_and_the_name_is_free_again(janitor: Janitor) -> None:
    for _ in range(2):
        with janitor.claim("pr_7") as claimed:
            context = janitor.fill(claimed)
            assert context.own("a").schema == "pr_7"
            assert janitor.versions("pr_7") == 1

        assert (janitor.left(), janitor.versions("pr_7")) == ([], 0)
        assert context.tracking.client.get_experiment_by_name("staging.pr_7.temperature") is None


def test_an_interrupted_one_goes_as_well(janitor: Janitor) -> None:
    janitor.end("pr_7", KeyboardInterrupt())

    assert (janitor.left(), janitor.versions("pr_7")) == ([], 0)


def test_a_failed_one_is_kept_and_read_until_its_time_and_then_swept(janitor: Janitor) -> None:
    claimed, context = janitor.end("pr_7", ZeroDivisionError("rows / 0"))

    assert claimed.kept_until == NOON + DAY
    assert places(janitor.sweep(NOON + DAY - timedelta(minutes=1))) == ([], ["staging.pr_7"], [])
    assert context.tables.read(context.own(RUNS.name)).count() == 0
    assert janitor.versions("pr_7") == 1
    (marker,) = janitor.sweep(NOON + DAY, env="dev").kept + janitor.sweep(NOON + DAY).dropped
    assert (marker.failed, marker.commit) == ("ZeroDivisionError: rows / 0", "4f2a")
    assert (janitor.left(), janitor.versions("pr_7")) == ([], 0)
    assert places(janitor.sweep(NOON + DAY)) == ([], [], [])


def test_one_schema_can_be_dropped_before_its_time_without_the_others(janitor: Janitor) -> None:
    for schema in ("pr_7", "pr_8"):
        janitor.end(schema, ZeroDivisionError())

    assert places(janitor.sweep(NOON, older_than=timedelta(0), schema="PR_7")) == (["staging.pr_7"], [], [])
    assert (janitor.left("pr_7"), janitor.versions("pr_8")) == ([], 1)
    assert places(janitor.sweep(NOON, older_than=timedelta(0), schema="pr_7")) == ([], [], [])


def test_a_failed_one_that_nobody_wants_to_look_at_goes_at_once(janitor: Janitor) -> None:
    claimed, _ = janitor.end("pr_7", ZeroDivisionError(), keep=timedelta(0))

    assert claimed.kept_until is None
    assert janitor.left() == []


def test_the_next_rehearsal_of_a_name_begins_with_an_empty_schema(janitor: Janitor) -> None:
    janitor.end("pr_7", ZeroDivisionError())

    with janitor.claim("PR_7"):
        assert janitor.versions("pr_7") == 0
        assert not (janitor.root / "tables" / "staging" / "pr_7").exists()


def test_two_at_once_do_not_meet_and_one_schema_has_one(janitor: Janitor) -> None:
    with janitor.claim("pr_7") as seven:
        with janitor.claim("pr_8") as eight:
            janitor.fill(eight)
            with pytest.raises(Busy, match=r"A rehearsal is running in staging\.pr_7\."), janitor.claim("pr_7"):
                pass
            assert places(janitor.sweep(NOON + 9 * DAY, older_than=timedelta(0))) == (
                [],
                [],
                ["staging.pr_7", "staging.pr_8"],
            )
        janitor.fill(seven)
        assert (janitor.versions("pr_7"), janitor.versions("pr_8")) == (1, 0)


def test_one_whose_process_was_killed_is_swept_after_its_time(janitor: Janitor) -> None:
    program = (
        "import os, sys\n"
        "from datetime import timedelta, datetime, UTC\n"
        "from pathlib import Path\n"
        "from gatehouse.lakehouse.embedded import Embedded\n"
        "from gatehouse.pipelines.ephemeral import Wanted, rehearsal_schema\n"
        "from gatehouse.progress import Silent\n"
        "from gatehouse.settings import load\n"
        "wanted = Wanted(env='staging', schema='pr_7', project='temperature', commit='', "
        "keep_failed=timedelta(hours=24))\n"
        "with rehearsal_schema(Embedded(Path(sys.argv[1])), load(Path(sys.argv[2])), wanted, "
        "clock=lambda: datetime(2026, 11, 21, 12, tzinfo=UTC), progress=Silent()):\n"
        "    os._exit(9)\n"
    )
    conf = janitor.lakehouse.world.place.settings.conf
    died = subprocess.run([sys.executable, "-c", program, str(janitor.root), str(conf)], check=False)
    assert died.returncode == 9

    assert places(janitor.sweep(NOON + timedelta(hours=2))) == ([], ["staging.pr_7"], [])
    assert places(janitor.sweep(NOON + timedelta(hours=2), older_than=timedelta(hours=2))) == (["staging.pr_7"], [], [])


@pytest.mark.parametrize("name", ["", "pr-7", "7", "a.b", "../prod", "a b", "x" * 65, "prod; DROP", "pr_7\n", "é"])
def test_a_name_that_is_no_identifier_is_refused(janitor: Janitor, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name of a schema") as refused, janitor.claim(name):
        pass

    suggested = refused.value.remedy.split()[-1]
    with janitor.claim(suggested):
        pass


@pytest.mark.parametrize("schema", ["temperature", "TEMPERATURE"])
def test_the_schema_of_an_environment_is_refused(janitor: Janitor, schema: str) -> None:
    with pytest.raises(Refused, match=r"is the schema of staging\."), janitor.claim(schema):
        pass


def test_a_protected_environment_is_refused(janitor: Janitor) -> None:
    with pytest.raises(Refused, match="prod is protected"), janitor.claim("pr_7", env="prod"):
        pass
    assert janitor.left() == []


def test_a_schema_that_no_rehearsal_made_is_not_touched(janitor: Janitor) -> None:
    lakehouse = janitor.lakehouse.environment("mine", catalog="staging", schema="pr_7")
    context = lakehouse.at("2013-10-01", "mine")
    context.tables.create(context.own(RUNS.name), RUNS)

    with (
        pytest.raises(Refused, match=r"staging\.pr_7 is there already, and no rehearsal made it\."),
        janitor.claim("pr_7"),
    ):
        pass

    assert context.tables.exists(context.own(RUNS.name))
    assert places(janitor.sweep(NOON, older_than=timedelta(0))) == ([], [], [])


def test_a_rehearsal_writes_its_own_schema_alone_and_no_options(janitor: Janitor) -> None:
    with janitor.claim("pr_7", env="dev") as claimed:
        there = claimed.settings.environment("dev")
        own = janitor.lakehouse.world.place.settings.environment("dev")

    volumes = {"volume": own.rehearses, "landing": f"{own.catalog}.{own.db_schema}.landing"}
    assert there == own.model_copy(update={"db_schema": "pr_7", **volumes, "search": False})
    assert isinstance(there, Environment)


def test_a_marker_that_cannot_be_read_stops_the_janitor(janitor: Janitor) -> None:
    (janitor.root / "rehearsals").mkdir()
    (janitor.root / "rehearsals" / "staging.pr_7.json").write_text('{"environment": "staging"}')

    with pytest.raises(StorageError, match="cannot be read"):
        janitor.sweep(NOON)
