"""Lakehouses of a test's own: real use cases in them, and one whose rows the test writes down."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa
import pytest

from gatehouse.cli import main
from gatehouse.cli.world import Place, World, load_project
from gatehouse.code_version import CodeVersion
from gatehouse.gates.promotion import CHAMPION
from gatehouse.lakehouse.embedded import Embedded
from gatehouse.pipelines.features import refresh
from gatehouse.pipelines.ingest import ingest
from gatehouse.pipelines.training import train
from gatehouse.progress import Silent
from gatehouse.project import Extraction, Table
from gatehouse.settings import Environment, load, parse_as_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from gatehouse.lakehouse.session import Engine
    from gatehouse.pipelines.context import Context

ROOT = Path(__file__).parents[3]
CONF = {"flights": ROOT / "conf", "temperature": ROOT / "examples" / "temperature" / "conf"}
TRAINED = "2013-10-01"
STATES = "GATEHOUSE_TEST_STATES"
"""Folder in which lakehouses that take long to make are kept for other runs; not set, they are made by each."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lakehouse:
    """Environments of one project in one folder. `world` is what the command line would make."""

    world: World

    def at(self, as_of: str, env: str = "prod") -> Context:
        """An environment at a moment."""
        return self.world.context(env, parse_as_of(as_of), Silent())

    def frame(self, table: str, env: str = "prod") -> DataFrame:
        """A table as it is now."""
        context = self.at("2013-01-01", env)
        return context.tables.read(context.own(table))

    def rows(self, table: str, env: str = "prod", *columns: str) -> list[tuple[Any, ...]]:
        """A table's rows, sorted, with moments in UTC."""
        frame = self.frame(table, env)
        found = (frame.select(*columns) if columns else frame).collect()
        return sorted((tuple(map(_in_utc, row)) for row in found), key=lambda row: [(v is not None, v) for v in row])

    def versions(self, env: str = "prod") -> dict[str, int]:
        """The Delta version of every table of an environment."""
        context = self.at("2013-01-01", env)
        place = context.environment
        return {n.table: context.tables.version(n) for n in context.tables.names(place.catalog, place.db_schema)}

    def declaring(self, **differing: Any) -> Lakehouse:
        """The same folder under a project that declares something else."""
        return replace(self, world=replace(self.world, project=replace(self.world.project, **differing)))

    def configured(self, **differing: Any) -> Lakehouse:
        """The same folder under other files in conf/."""
        place = self.world.place
        settings = place.settings.model_copy(update=differing)
        return replace(self, world=replace(self.world, place=replace(place, settings=settings)))

    def environment(self, name: str, **values: Any) -> Lakehouse:
        """The same folder with an environment of that name, in a schema of its own."""
        file = self.world.place.settings.environments
        made = Environment(**{"catalog": name, **values})
        return self.configured(environments=file.model_copy(update={"environments": {**file.environments, name: made}}))


def _in_utc(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value  # Spark's are naive, and in UTC


Open = Callable[..., Lakehouse]


@pytest.fixture(scope="session")
def open_lakehouse(spark: SparkSession, engine: Engine, mlflow_template: Path) -> Open:
    """`open_lakehouse(folder, "flights")`. MLflow's database is there already: making it takes a second."""

    def make(root: Path, use_case: str = "temperature", **differing: Any) -> Lakehouse:
        settings = load(CONF[use_case])
        root.mkdir(parents=True, exist_ok=True)
        if not (root / mlflow_template.name).exists():
            shutil.copy(mlflow_template, root)
        return Lakehouse(
            world=World(
                place=Place(settings=settings, root=root),
                platform=Embedded(root),
                spark=spark,
                project=replace(load_project(settings), **differing),
                code=CodeVersion(commit="4f2a" * 10, author="ada@example.org", training_digest="d" * 64),
                clock=lambda: datetime.now(UTC),
            )
        )

    return make


@pytest.fixture(scope="session")
def trained_once(open_lakehouse: Open, tmp_path_factory: pytest.TempPathFactory) -> Lakehouse:
    """The temperature project at TRAINED: nine months of three airports, features, version 1 the champion.

    Not to be written to: `trained` is a copy that is.
    """
    folder = tmp_path_factory.mktemp("trained")
    if known := known_state("trained", folder):
        return open_lakehouse(known)
    lakehouse = open_lakehouse(folder / "lakehouse")
    context = lakehouse.at(TRAINED)
    ingest(context)
    refresh(context)
    train(context, proposer="ada@example.org")
    context.registry.set_alias(context.model, CHAMPION, "1")
    keep_state("trained", lakehouse)
    return lakehouse


def known_state(name: str, folder: Path) -> Path | None:
    """A copy of a lakehouse that another run kept, if it was told to: tests of mutations begin with the same one."""
    kept = os.environ.get(STATES)
    found = Path(kept) / name if kept else None
    return Path(shutil.copytree(found, folder / "lakehouse")) if found and found.is_dir() else None


def keep_state(name: str, lakehouse: Lakehouse) -> None:
    """For `known_state` of other runs, if there are any."""
    if kept := os.environ.get(STATES):
        shutil.copytree(lakehouse.world.place.root, Path(kept) / name)


@pytest.fixture(scope="session")
def state() -> tuple[Callable[[str, Path], Path | None], Callable[[str, Lakehouse], None]]:
    """`known_state` and `keep_state`, for other folders of tests."""
    return known_state, keep_state


@pytest.fixture
def trained(trained_once: Lakehouse, open_lakehouse: Open, tmp_path: Path) -> Lakehouse:
    """A copy of `trained_once` of the test's own; a lakehouse may be moved and copied like any folder."""
    return open_lakehouse(Path(shutil.copytree(trained_once.world.place.root, tmp_path / "lakehouse")))


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended, and what it said."""

    code: object
    out: str
    err: str


class Command(Protocol):
    """Runs a command line on a lakehouse."""

    def __call__(self, lakehouse: Lakehouse, line: str) -> Ended:
        """As `gatehouse LINE` in a process of its own would, in this one."""


@pytest.fixture(scope="session")
def command() -> Command:
    """The command line, in this process: it finds the session that is open."""

    def run(lakehouse: Lakehouse, line: str) -> Ended:
        place = lakehouse.world.place
        options = ["--conf", str(place.settings.conf), "--lakehouse", str(place.root)]
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            main([*options, *line.split()])
        return Ended(ended.value.code, out.getvalue(), err.getvalue())

    return run


@dataclass(kw_only=True, slots=True)
class Raw:
    """What the weather source delivers next: the test writes it. `asked` keeps what it was asked for."""

    table: Table
    rows: list[dict[str, Any]] = field(default_factory=list)
    asked: list[Extraction] = field(default_factory=list)
    reshape: Callable[[DataFrame], DataFrame] | None = None

    def put(self, day: int, temperature: float | None, *, airport: str | None = "JFK", **differing: Any) -> None:
        """One day of May 2013 at an airport, known when it is over; how warm the next one was, a day later."""
        over = datetime(2013, 5, day, tzinfo=UTC) + timedelta(days=1)
        row = {
            "airport": airport,
            "measured_at": over,
            "temperature": temperature,
            "dew_point": 5.0,
            "pressure": 1000.0 + day,
            "wind_speed": 3.0,
            "next_temperature": None,
            "next_measured_at": over + timedelta(days=1) if "next_temperature" in differing else None,
        }
        self.rows = [
            r for r in self.rows if (r["airport"], r["measured_at"]) != (airport, over) or differing.get("again")
        ]
        self.rows.append({**row, **{k: v for k, v in differing.items() if k != "again"}})

    def extract(self, asked: Extraction) -> DataFrame:
        """Everything it has, whatever was asked for."""
        self.asked.append(asked)
        moment = pa.timestamp("us", tz="UTC")
        kinds = {"string": pa.string(), "timestamp": moment, "double": pa.float64()}
        schema = pa.schema([(c.name, kinds[c.type]) for c in self.table.columns])
        frame = asked.frame(pa.Table.from_pylist(self.rows, schema=schema), self.table)
        return self.reshape(frame) if self.reshape else frame


@pytest.fixture
def raw() -> Raw:
    """A source without rows."""
    return Raw(table=load_project(load(CONF["temperature"])).sources[0].table)


@pytest.fixture
def weather(open_lakehouse: Open, tmp_path: Path, raw: Raw) -> Lakehouse:
    """The temperature project on what the test puts into `raw`."""
    lakehouse = open_lakehouse(tmp_path / "lakehouse")
    source = replace(lakehouse.world.project.sources[0], extract=raw.extract)
    return lakehouse.declaring(sources=(source,))
