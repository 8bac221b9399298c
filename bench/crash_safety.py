"""`kill -9` at random points of release, approve, promote and rollback: what the next command makes of what is left.

    uv run python bench/crash_safety.py [--points 200] [--workers 2] [--seed 2013] [--json FILE]

Each point is a process forked from this one, which has imported everything and opened nothing. It works on a copy of a
lakehouse with the second use case and is killed at a random moment between its first and its last act; a moment after
the last one is drawn again. Another process then runs a command, the same one or a release, and looks: does the audit
log verify, does it explain every champion and the one before, was each promoted after its approval, is no move left
open? Where that was not the same command, it runs again, and another look is taken. In the end everything has to be
where it is when nobody disturbs. What the clean process says of a model is given, because it keeps nothing.

Needs `fork` and the embedded engine. 200 points took 20 minutes on 2 cores that others used as well.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ["SPARK_CONNECT_MODE_ENABLED"] = "1"  # before pyspark decides by what is installed

from explained import aliases, left_open, violations
from rich.console import Console
from rich.table import Table

from gatehouse.cli.world import Place, World, load_project
from gatehouse.code_version import CodeVersion
from gatehouse.errors import GatehouseError, StateError
from gatehouse.gates.approval import Decision
from gatehouse.gates.identity import Identity, Strength
from gatehouse.gates.policy import Policy
from gatehouse.lakehouse.embedded import Embedded
from gatehouse.lakehouse.mlflow_globals import import_mlflow
from gatehouse.lakehouse.session import Engine, open_session
from gatehouse.pipelines.approval import decide
from gatehouse.pipelines.clean_process import CleanProcess
from gatehouse.pipelines.features import refresh
from gatehouse.pipelines.ingest import ingest
from gatehouse.pipelines.promotion import gatekeeper, promote, rollback
from gatehouse.pipelines.release import judge
from gatehouse.pipelines.training import train
from gatehouse.progress import Silent
from gatehouse.settings import Settings, load, read_file

if TYPE_CHECKING:
    from gatehouse.pipelines.context import Context

CONF = Path(__file__).parents[1] / "examples" / "temperature" / "conf"
FIRST, SECOND = datetime(2013, 10, 1, tzinfo=UTC), datetime(2013, 12, 1, tzinfo=UTC)
POINT = ("command", "moment", "next_command", "left_open", "violations")
IMPORTED = [
    "alembic.command",
    "gatehouse.pipelines.reporting",
    "gatehouse.pipelines.steps",
    "mlflow.pyfunc",
    "mlflow.sklearn",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_store",
    "pysail.spark",
    "pyspark.sql.connect.session",
    "sklearn.linear_model",
    "sklearn.pipeline",
]
"""The slow imports. Those that are missing here are found by the first process that does everything."""
ANNA = Identity(name="anna@example.org", established_by="the bench", strength=Strength.CLAIMED)
PROPOSER = "ada@example.org"


class Answered(CleanProcess):
    """What the clean process says of any version here."""

    def __init__(self) -> None:
        """Nothing is started."""

    def ask(self, request: dict[str, Any], *, limit: float) -> tuple[dict[str, Any] | None, str | None]:  # noqa: ARG002
        case = {"error": None, "predictions": [1.0], "finite": True, "served_status": 200, "served_predictions": [1.0]}
        return {
            "loaded": True,
            "load_error": None,
            "load_seconds": 0.1,
            "cases": dict.fromkeys(request["cases"], case),
            "startup_seconds": 0.1,
            "latencies": [1.0],
            "failures": 0,
            "memory_megabytes": 100.0,
        }, None

    def close(self) -> None:
        """Nothing is there."""


# The commands, as the command line runs them


def release(context: Context) -> None:
    ingest(context)
    refresh(context)
    judge(context, train(context, proposer=PROPOSER).version, Answered())


def approve(context: Context) -> None:
    version = context.registry.get(context.model, "2")
    decide(context, version, Decision.APPROVE, actor=ANNA, reason="read it", answers={})


def promote_it(context: Context) -> None:
    promote(context, context.registry.get(context.model, "2"), actor=ANNA)


def go_back(context: Context) -> None:
    if gatekeeper(context).history()[-1].version == "2":  # else somebody has gone back already
        rollback(context, actor=ANNA, reason="it drifts", dry_run=False)


COMMANDS: dict[str, Callable[[Context], None]] = {
    "release": release,
    "approve": approve,
    "promote": promote_it,
    "rollback": go_back,
}


# The world of one process


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """Where the lakehouses lie; a folder for each command, in the state that it begins with."""

    folder: Path
    settings: Settings
    policy: Policy

    def context(self, root: Path, as_of: datetime) -> Context:
        """A lakehouse at a moment. Opens an engine: only ever called in a forked process."""
        catalogs = [e.catalog for e in self.settings.environments.environments.values()]
        world = World(
            place=Place(settings=self.settings, root=root),
            platform=Embedded(root),
            spark=open_session(Engine.SAIL, catalogs=catalogs),
            project=load_project(self.settings),
            code=CodeVersion(commit="4f2a" * 10, author=PROPOSER, training_digest="d" * 64),
            clock=lambda: datetime.now(UTC),
        )
        return replace(world.context("prod", as_of, Silent()), policy=self.policy)

    def base(self, command: str) -> Path:
        return self.folder / command


def in_child(work: Callable[[Callable[[object], None]], None]) -> tuple[int, int]:
    """Fork; the child's `tell` writes a line of JSON to the pipe whose reading end is returned with its process id."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    os.close(reading)
    try:
        work(lambda said: _write(writing, said))
        code = 0
    except BaseException:  # noqa: BLE001 - what a child raises ends here, or it would go on as a second parent
        _write(writing, {"raised": traceback.format_exc()})
        code = 1
    os._exit(code)


def _write(pipe: int, said: object) -> None:
    os.write(pipe, (json.dumps(said, default=str) + "\n").encode())


def told(child: int, reading: int) -> list[Any]:
    """Everything a child says until it ends."""
    with os.fdopen(reading) as pipe:
        said = [json.loads(line) for line in pipe if line.endswith("\n")]
    os.waitpid(child, 0)
    for one in said:
        if isinstance(one, dict) and "raised" in one:
            raise RuntimeError(one["raised"])
    return said


# One point


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One kill: how far into the command, and what was found after the next one."""

    command: str
    moment: float
    next_command: str
    left_open: bool
    violations: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Usual:
    """How long a command takes, and where the aliases are then, when nobody disturbs it."""

    seconds: float
    aliases: dict[str, Any]


def strike(stage: Stage, root: Path, command: str, usual: Usual, chance: random.Random) -> Point:
    """Kill a command on a copy at `root` some time after it began, and see what the next ones make of it."""
    following = chance.choice([command, "release"])
    moment = chance.uniform(0.0, usual.seconds)
    while not _killed(stage, root, command, moment):
        moment = chance.uniform(0.0, usual.seconds)
    ((caught, found),) = told(*in_child(lambda tell: tell(_look(stage, root, command, following, usual.aliases))))
    return Point(command=command, moment=moment, next_command=following, left_open=caught, violations=tuple(found))


def _killed(stage: Stage, root: Path, command: str, moment: float) -> bool:
    """Whether it was still at work when it was killed."""
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(stage.base(command), root)
    child, reading = in_child(lambda tell: _victim(stage, root, command, tell))
    os.read(reading, 1)  # it has opened everything and begins
    time.sleep(moment)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    os.close(reading)
    return os.WIFSIGNALED(status)


def _victim(stage: Stage, root: Path, command: str, tell: Callable[[object], None]) -> None:
    context = stage.context(root, SECOND)
    tell("ready")
    COMMANDS[command](context)


def _look(
    stage: Stage, root: Path, command: str, next_command: str, expected: dict[str, Any]
) -> tuple[bool, list[str]]:
    context = stage.context(root, SECOND)
    caught = left_open(context)
    try:
        COMMANDS[next_command](context)
    except StateError as error:  # what was to be released next may have been killed before it was there
        if next_command == command:
            return caught, [f"{command} again: {error.what}"]
    found = list(violations(context))
    if next_command != command:
        try:
            COMMANDS[command](context)
        except GatehouseError as error:
            found.append(f"{command} after that: {error.what}")
        found += violations(context)
    if (ended := aliases(context)) != expected:
        found.append(f"{command} ended with {ended}, and undisturbed with {expected}.")
    return caught, found


# All of them


def prepare(stage: Stage, tell: Callable[[object], None]) -> None:
    """Version 1 is champion; then, for each command, what was done before it. Tells which modules all of that takes."""
    before = set(sys.modules)
    root = stage.folder / "first"
    first = stage.context(root, FIRST)
    release(first)
    decide(first, first.registry.get(first.model, "1"), Decision.APPROVE, actor=ANNA, reason="read it", answers={})
    promote(first, first.registry.get(first.model, "1"), actor=ANNA)
    for command, act in COMMANDS.items():
        root = shutil.copytree(root, stage.base(command))
        if command != "rollback":
            act(stage.context(shutil.copytree(root, stage.folder / f"after {command}"), SECOND))
            root = stage.folder / f"after {command}"
        _forget_where_runs_lie()
    tell(sorted(set(sys.modules) - before))


def import_all(names: list[str]) -> None:
    """So that the processes forked from here need not."""
    for name in names:
        with suppress(Exception):  # some are made by others, and no file has them
            import_module(name)


def _forget_where_runs_lie() -> None:
    """A process remembers where the files of a run lie, and copies share their runs."""
    import_module("mlflow.tracking._tracking_service.utils")._artifact_repos_cache.clear()


def undisturbed(stage: Stage, command: str) -> Usual:
    """A command on a copy of its own, in a process as the others are."""

    def work(tell: Callable[[object], None]) -> None:
        root = shutil.copytree(stage.base(command), stage.folder / f"undisturbed {command}")
        context = stage.context(root, SECOND)
        begin = time.perf_counter()
        COMMANDS[command](context)
        tell((time.perf_counter() - begin, aliases(context)))

    ((seconds, ended),) = told(*in_child(work))
    return Usual(seconds=seconds, aliases=ended)


def bench(folder: Path, *, points: int, workers: int, seed: int) -> tuple[dict[str, Usual], list[Point]]:
    """What each command does undisturbed, and every point."""
    settings = load(CONF)
    stage = Stage(folder=folder, settings=settings, policy=read_file(settings.conf / "promotion.yml", Policy))
    import_all(IMPORTED)
    import_all(told(*in_child(lambda tell: prepare(stage, tell)))[0])
    usual = {command: undisturbed(stage, command) for command in COMMANDS}

    def work(worker: int, tell: Callable[[object], None]) -> None:
        for number in range(worker, points, workers):
            command = list(COMMANDS)[number // workers % len(COMMANDS)]
            chance = random.Random(f"{seed}/{number}")  # noqa: S311 - reproducible, not secret
            point = strike(stage, stage.folder / f"struck by {worker}", command, usual[command], chance)
            tell({name: getattr(point, name) for name in POINT})

    begun = [in_child(partial(work, worker)) for worker in range(workers)]
    return usual, [Point(**one) for child in begun for one in told(*child)]


def show(console: Console, usual: dict[str, Usual], points: list[Point]) -> None:
    table = Table("command", "seconds", "killed", "an alias under way", "violations", title="kill -9")
    for command in COMMANDS:
        mine = [p for p in points if p.command == command]
        table.add_row(
            command,
            f"{usual[command].seconds:.1f}",
            str(len(mine)),
            str(sum(p.left_open for p in mine)),
            str(sum(bool(p.violations) for p in mine)),
        )
    console.print(table)
    for point in points:
        for violation in point.violations:
            console.print(f"{point.command} at {point.moment:.3f} s, then {point.next_command}: {violation}")


@contextmanager
def warm() -> Iterator[Path]:
    """A folder, when everything is imported and nothing is open."""
    import_mlflow()
    logging.disable(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="gatehouse-crash-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2, help="processes that strike at the same time")
    parser.add_argument("--seed", type=int, default=2013)
    parser.add_argument("--json", type=Path, help="also write what was found here")
    options = parser.parse_args()
    with warm() as folder:
        usual, points = bench(folder, points=options.points, workers=options.workers, seed=options.seed)
    show(Console(width=120), usual, points)
    if options.json:
        found = {
            "seconds": {command: one.seconds for command, one in usual.items()},
            "points": [{name: getattr(point, name) for name in POINT} for point in points],
        }
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    return 1 if any(point.violations for point in points) else 0


if __name__ == "__main__":
    sys.exit(main())
