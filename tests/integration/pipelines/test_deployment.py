"""Which code is live: another takes over only if the champion predicts with it what it predicted before."""

from __future__ import annotations

import dataclasses
import json
import shutil
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gatehouse.cli.world import Place, World
from gatehouse.code_version import CodeVersion
from gatehouse.errors import EvaluationError, StateError
from gatehouse.gates.identity import Identity, Strength
from gatehouse.gates.policy import DeploymentRule
from gatehouse.pipelines.deployment import Deployed, code_before, compared, deploy, go_back, live_code
from gatehouse.pipelines.features import refresh
from gatehouse.pipelines.inference import infer
from gatehouse.pipelines.ingest import ingest
from gatehouse.progress import Silent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyspark.sql import DataFrame
    from tests.integration.pipelines.conftest import Command, Lakehouse, Open

    from gatehouse.pipelines.context import Context
    from gatehouse.project import Window
    from gatehouse.settings import Settings

pytestmark = pytest.mark.slow

NOW = "2013-10-15"
ANNA = Identity(name="anna@example.org", established_by="the test", strength=Strength.CLAIMED)
FIRST, SECOND, THIRD = (digit * 40 for digit in "123")


@dataclass(frozen=True, slots=True)
class Ops:
    """Deploys commits of a project to a lakehouse."""

    lakehouse: Lakehouse

    def context(self, commit: str = FIRST, **replaced: Any) -> Context:
        code = CodeVersion(commit=commit, author="ada@example.org", training_digest="d" * 64)
        return replace(self.lakehouse.at(NOW), code=code, **replaced)

    def deploy(self, commit: str, *, ref: str = "", **replaced: Any) -> Deployed:
        context = self.context(commit, **replaced)

        def elsewhere(settings: Settings, name: str, at: Any) -> Context:
            world: World = self.lakehouse.world
            place = Place(settings=settings, root=world.place.root)
            aside = dataclasses.replace(world, place=place, project=context.project).context(name, at, Silent())
            return replace(aside, code=context.code)

        return deploy(context, partial(compared, context, elsewhere), ref=ref, actor=ANNA)

    def live(self) -> str | None:
        found = live_code(self.context())
        return found.commit if found else None

    def schemas(self) -> list[str]:
        tables = self.lakehouse.world.place.root / "tables" / "prod"
        return sorted(folder.name for folder in tables.iterdir()) if tables.is_dir() else []

    def said(self) -> list[str]:
        return [e.action for e in self.context().audit.entries()]


@pytest.fixture(scope="module")
def scored_once(trained_once: Lakehouse, open_lakehouse: Open, tmp_path_factory: pytest.TempPathFactory) -> Lakehouse:
    """Version 1 is the champion, and has scored until NOW with the code that is live: FIRST."""
    folder = tmp_path_factory.mktemp("scored") / "lakehouse"
    lakehouse = open_lakehouse(Path(shutil.copytree(trained_once.world.place.root, folder)))
    context = lakehouse.at(NOW)
    ingest(context)
    refresh(context)
    infer(context)
    Ops(lakehouse).deploy(FIRST, ref="v1.0.0")
    return lakehouse


@pytest.fixture
def ops(scored_once: Lakehouse, open_lakehouse: Open, tmp_path: Path) -> Ops:
    return Ops(open_lakehouse(Path(shutil.copytree(scored_once.world.place.root, tmp_path / "lakehouse"))))


def computing(context: Context, change: Any) -> Any:
    """The project with another way to compute its feature table."""
    (table,) = context.project.feature_tables

    def compute(inputs: Mapping[str, DataFrame], window: Window) -> DataFrame:
        return change(table.compute(inputs, window))  # type: ignore[no-any-return]

    return dataclasses.replace(context.project, feature_tables=(dataclasses.replace(table, compute=compute),))


def test_code_that_predicts_the_same_becomes_live_and_leaves_nothing_else_behind(ops: Ops) -> None:
    deployed = ops.deploy(SECOND, ref="v1.1.0")

    assert (deployed.live.commit, deployed.live.ref, deployed.live.actor) == (SECOND, "v1.1.0", "anna@example.org")
    assert str(deployed.live) == "v1.1.0 (222222222222)"
    assert (deployed.before and deployed.before.commit, deployed.already) == (FIRST, False)
    assert deployed.finding is not None
    assert deployed.finding.reason == (
        "The new code moves 186 predictions of champion version 1 by 0 on average (0 at most; the limit is 0.01 on "
        "average)."
    )
    assert ops.live() == SECOND
    assert ops.schemas() == ["temperature"]
    (entry,) = [e for e in ops.context().audit.entries() if e.details.get("commit") == SECOND]
    assert dict(entry.details) == {
        "commit": SECOND,
        "ref": "v1.1.0",
        "training_digest": "d" * 64,
        "from": FIRST,
        "champion": "1",
        "finding": deployed.finding.reason,
    }


def test_the_same_commit_again_enters_nothing(ops: Ops) -> None:
    before = ops.said()

    deployed = ops.deploy(FIRST, ref="v1.0.0")

    assert (deployed.already, deployed.live.commit) == (True, FIRST)
    assert ops.said() == before


def test_code_that_predicts_otherwise_does_not_become_live(ops: Ops) -> None:
    from pyspark.sql import functions as F

    warmer = computing(
        ops.context(), lambda rows: rows.withColumn("mean_temperature_3d", F.col("mean_temperature_3d") + 5.0)
    )

    with pytest.raises(
        EvaluationError, match=r"moves 186 predictions .* So the code that is live in prod stays: v1\.0"
    ):
        ops.deploy(SECOND, project=warmer)

    assert (ops.live(), ops.schemas()) == (FIRST, ["temperature"])


def test_the_policy_says_how_far_predictions_may_move_and_how_many_are_made_again(ops: Ops) -> None:
    from pyspark.sql import functions as F

    warmer = computing(
        ops.context(), lambda rows: rows.withColumn("mean_temperature_3d", F.col("mean_temperature_3d") + 5.0)
    )
    lenient = ops.context().policy.model_copy(update={"deployment": DeploymentRule(score_shift=50.0, rows=5)})

    deployed = ops.deploy(SECOND, project=warmer, policy=lenient)

    assert deployed.finding is not None
    assert deployed.finding.reason.startswith("The new code moves 5 predictions of champion version 1 by ")


def test_code_that_cannot_score_the_champion_does_not_become_live(ops: Ops) -> None:
    def broken(rows: DataFrame) -> DataFrame:
        raise ZeroDivisionError("rows / 0")

    for project, said in (
        (computing(ops.context(), broken), "cannot score champion version 1: ZeroDivisionError: rows / 0"),
        (computing(ops.context(), lambda rows: rows.limit(0)), r"cannot score|moves 186 predictions"),
        (
            dataclasses.replace(ops.context().project, features=("temperature", "dew_point")),
            "cannot score champion version 1: Version 1 of .* needs pressure, .* no longer declared",
        ),
    ):
        with pytest.raises(EvaluationError, match=said):
            ops.deploy(SECOND, project=project)

    assert (ops.live(), ops.schemas()) == (FIRST, ["temperature"])
    assert ops.said().count("code_deployed") == 1


def test_without_a_champion_there_is_nothing_to_compare(ops: Ops) -> None:
    context = ops.context()
    context.registry.delete_alias(context.model, "champion")

    deployed = ops.deploy(SECOND)

    assert (deployed.finding, ops.live()) == (None, SECOND)


def test_a_champion_that_has_scored_nothing_is_scored_all_the_same(trained: Lakehouse) -> None:
    ops = Ops(trained)

    deployed = ops.deploy(FIRST)

    assert deployed.finding is not None
    assert "none of its predictions was logged" in deployed.finding.reason

    def broken(rows: DataFrame) -> DataFrame:
        raise ZeroDivisionError

    with pytest.raises(EvaluationError, match="cannot score"):
        ops.deploy(SECOND, project=computing(ops.context(), broken))


@pytest.mark.parametrize("commit", ["unknown", f"{FIRST}+changes", "main"])
def test_code_that_nobody_could_find_again_is_not_deployed(ops: Ops, commit: str) -> None:
    with pytest.raises(StateError, match=r"no commit holds|no known commit"):
        ops.deploy(commit)

    assert ops.live() == FIRST


def test_going_back_leads_to_the_code_before_and_twice_further_back(ops: Ops) -> None:
    ops.deploy(SECOND, ref="v1.1.0")
    ops.deploy(THIRD, ref="v1.2.0")

    live, from_there = go_back(ops.context(), reason="it is slow", actor=ANNA)
    assert (live.commit, live.ref, from_there.commit) == (SECOND, "v1.1.0", THIRD)
    assert ops.live() == SECOND
    assert code_before(ops.context()).commit == FIRST
    go_back(ops.context(), reason="it is slow, too", actor=ANNA)
    assert ops.live() == FIRST
    with pytest.raises(StateError, match="No code was live in prod before the present one"):
        go_back(ops.context(), reason="once more", actor=ANNA)
    ops.deploy(THIRD, ref="v1.2.0")
    assert code_before(ops.context()).commit == FIRST
    assert ops.context().audit.verify().ok


def test_before_the_first_deployment_there_is_no_live_code(trained: Lakehouse) -> None:
    ops = Ops(trained)

    assert ops.live() is None
    with pytest.raises(StateError, match="No code was live in prod before any was deployed"):
        code_before(ops.context())


def test_the_commands_tell_and_go_back(ops: Ops, command: Command) -> None:
    ops.deploy(SECOND, ref="v1.1.0")

    told = json.loads(command(ops.lakehouse, "live --env prod --json").out)
    assert (told["live"]["commit"], told["live"]["ref"], told["checked_out"]) == (SECOND, "v1.1.0", False)
    dry = command(ops.lakehouse, "rollback --env prod --what code --reason slow --as anna@example.org --dry-run")
    assert dry.out == "Would make the code v1.0.0 (111111111111) live in prod again.\n"
    back = command(ops.lakehouse, "rollback --env prod --what code --reason slow --as anna@example.org")
    assert back.out.startswith("The code v1.0.0 (111111111111) is live in prod again, in the place of v1.1.0 ")
    assert command(ops.lakehouse, "live --env prod").out.startswith("v1.0.0 (111111111111) is live in prod since ")
    assert ops.said()[-1] == "code_rolled_back"
