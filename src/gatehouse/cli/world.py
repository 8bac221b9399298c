"""Makes the world once, from the command line and conf/, and hands it down."""

from __future__ import annotations

import importlib
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from gatehouse.clock import Clock
from gatehouse.errors import ConfigurationError, GatehouseError, StorageError
from gatehouse.settings import Settings, find_conf, load, read_file

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from gatehouse.code_version import CodeVersion
    from gatehouse.lakehouse.platform import Platform
    from gatehouse.pipelines.clean_process import CleanProcess
    from gatehouse.pipelines.context import Context
    from gatehouse.progress import Progress
    from gatehouse.project import Project


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Which configuration and which lakehouse folder a command works on."""

    settings: Settings
    root: Path

    def platform(self, env: str, *, rehearsals: bool = False) -> Platform:
        """Where an environment lives; what it keeps, or what its rehearsals keep."""
        environment = self.settings.environment(env)
        if environment.platform == "databricks":
            from gatehouse.lakehouse.workspace import WorkspacePlatform

            volume = environment.rehearses if rehearsals else environment.keeps
            return WorkspacePlatform(self.root, volume=volume, landing=environment.lands)
        from gatehouse.lakehouse.embedded import Embedded

        return Embedded(self.root)

    def clock(self, env: str) -> Clock:
        """Where an environment stands in time."""
        return Clock(self.platform(env).store, self.settings.environment(env))


def place(found: dict[str, Path | None]) -> Place:
    """From the options of the command line."""
    given = found["conf"]
    settings = load(given.resolve() if given else find_conf(Path.cwd()))
    return Place(settings=settings, root=(found["lakehouse"] or settings.root / ".lakehouse").resolve())


def load_project(settings: Settings) -> Project:
    """The use case that conf/environments.yml names."""
    from gatehouse.project import Project

    module, _, attribute = settings.environments.project.partition(":")
    if str(settings.root) not in sys.path:
        sys.path.append(str(settings.root))  # a use case may lie beside its conf/, without being installed
    try:
        project = getattr(importlib.import_module(module), attribute)
    except GatehouseError:
        raise
    except Exception as error:  # whatever a use case's own code raises while it is imported
        raise ConfigurationError(
            f"project {settings.environments.project!r} in conf/environments.yml cannot be imported: "
            f"{_place_in(settings.root, error)}{type(error).__name__}: {error}.",
            why="It names the module and attribute that declare the use case.",
            remedy=f"Mend the line, or write `module:PROJECT` for a module in {settings.root} or an installed package.",
        ) from error
    if not isinstance(project, Project):
        raise ConfigurationError(
            f"{settings.environments.project} is a {type(project).__name__}, not a gatehouse.project.Project.",
            why="The pipelines read everything about the use case from it.",
            remedy="Name the attribute that holds the Project.",
        )
    return project


def _place_in(root: Path, error: Exception) -> str:
    """The last line of the use case's own that an error came through, `delays.py, line 12: `; empty if it came none."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{Path(error.filename).name}, line {error.lineno}: "
    machinery = Path(__file__).parents[1]
    own = [
        f"{path.name}, line {frame.lineno}: "
        for frame in traceback.extract_tb(error.__traceback__)
        if (path := Path(frame.filename)).is_relative_to(root)
        and not path.is_relative_to(machinery)
        and "site-packages" not in path.parts
    ]
    return own[-1] if own else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """One platform and one Spark session, for as many environments of that platform as a command needs."""

    place: Place
    platform: Platform
    spark: SparkSession
    project: Project
    code: CodeVersion
    clock: Callable[[], datetime]

    def context(self, env: str, as_of: datetime, progress: Progress) -> Context:
        """One environment at one moment, with the rights it has: it writes its own catalog and schema, nothing else."""
        from gatehouse.gates.policy import Policy
        from gatehouse.pipelines.context import Context

        settings, environment = self.place.settings, self.place.settings.environment(env)
        platform = self.place.platform(env)
        if platform.name != self.platform.name:
            raise ConfigurationError(
                f"{env} lives on {platform.name}, and this command works on {self.platform.name}.",
                why="One session sees the tables of one platform.",
                remedy="Give both environments the same `platform` in conf/environments.yml.",
            )
        mine = [environment.place]
        mirrored = [environment.mirror] if settings.environments.is_mirrored(env) else []
        return Context(
            project=self.project,
            settings=settings,
            name=env,
            environment=environment,
            spark=self.spark,
            tables=platform.tables(self.spark, writable=[*mine, *mirrored]),
            open_tracking=cache(lambda: platform.tracking(environment.place, self.project.name)),
            open_registry=cache(lambda: platform.registry(writable=mine)),
            platform=platform,
            root=platform.root,
            as_of=as_of,
            clock=self.clock,
            code=self.code,
            policy=read_file(settings.conf / "promotion.yml", Policy),
            progress=progress,
        )


@contextmanager
def open_world(where: Place, env: str) -> Iterator[World]:
    """Start the engine of an environment's platform, and stop it again whatever happens."""
    from gatehouse.code_version import code_version

    settings, platform = where.settings, where.platform(env)
    project = load_project(settings)
    make_folder(where.root)
    catalogs = list(dict.fromkeys(e.catalog for e in settings.environments.environments.values()))
    with platform.session(catalogs) as spark:
        yield World(
            place=where,
            platform=platform,
            spark=spark,
            project=project,
            code=code_version(settings.environments.project.partition(":")[0], settings.root),
            clock=lambda: datetime.now(UTC),
        )


def clean_process(where: Place) -> CleanProcess:
    """Started first of all: it imports while this process opens its world."""
    from gatehouse.gates.policy import Policy
    from gatehouse.pipelines.clean_process import CleanProcess

    return CleanProcess(read_file(where.settings.conf / "promotion.yml", Policy).compliance.allowed_flavours)


@contextmanager
def open_context(where: Place, env: str, *, as_of: str | None, progress: Progress) -> Iterator[Context]:
    """The world of one environment; a replay's clock moves on if all went well."""
    clock = where.clock(env)
    moment = clock.read(as_of)
    with _status_of(env), open_world(where, env) as world:
        yield world.context(env, moment, progress)
        world.platform.keep_pages()
    clock.keep(moment)


@contextmanager
def look(found: dict[str, Path | None], env: str) -> Iterator[Context]:
    """The world for verbs that only read: as-of the end of time, no word, and no clock that moves."""
    from gatehouse.progress import Silent

    where = place(found)
    where.settings.environment(env)
    with _status_of(env), open_world(where, env) as world:
        yield world.context(env, datetime(9000, 1, 1, tzinfo=UTC), Silent())


@contextmanager
def _status_of(env: str) -> Iterator[None]:
    """Whoever names `gatehouse status` as the next step, as a registry does, need not know the environment."""
    try:
        yield
    except GatehouseError as error:
        error.remedy = re.sub(r"\bgatehouse status\b(?! --env)", f"gatehouse status --env {env}", error.remedy)
        raise


def make_folder(root: Path) -> None:
    """The lakehouse folder, with a readable error where it cannot be."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        probe = root / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise StorageError(
            f"The lakehouse folder {root} cannot be written: {error.strerror or error}.",
            why="Tables, models and reports are kept there.",
            remedy="Give yourself the right to write it, or choose another with --lakehouse DIR.",
        ) from error
