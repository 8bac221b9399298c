"""Makes the world once, from the command line and conf/, and hands it down."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from gatehouse.errors import ConfigurationError, StorageError
from gatehouse.settings import Environment, Settings, find_conf, load, parse_as_of

if TYPE_CHECKING:
    from gatehouse.pipelines.context import Context
    from gatehouse.progress import Progress
    from gatehouse.project import Project


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Which configuration and which lakehouse folder a command works on."""

    settings: Settings
    root: Path


def place(found: dict[str, Path | None]) -> Place:
    """From the options of the command line."""
    given = found["conf"]
    settings = load(given.resolve() if given else find_conf(Path.cwd()))
    return Place(settings=settings, root=(found["lakehouse"] or settings.root / ".lakehouse").resolve())


def load_project(settings: Settings) -> Project:
    """The use case that conf/environments.yml names."""
    from gatehouse.project import Project

    module, _, attribute = settings.environments.project.partition(":")
    try:
        project = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"project {settings.environments.project!r} in conf/environments.yml cannot be imported: {error}.",
            why="It names the package and attribute that declare the use case.",
            remedy="Write `package:PROJECT`, and install the package (uv sync).",
        ) from error
    if not isinstance(project, Project):
        raise ConfigurationError(
            f"{settings.environments.project} is a {type(project).__name__}, not a gatehouse.project.Project.",
            why="The pipelines read everything about the use case from it.",
            remedy="Name the attribute that holds the Project.",
        )
    return project


class Clock:
    """An environment's as-of: what was asked for, else now, or the moment its replay has reached."""

    def __init__(self, root: Path, environment: Environment) -> None:
        self._environment = environment
        self._path = root / "state" / f"{environment.catalog}.{environment.db_schema}.json"

    def read(self, asked: str | None) -> datetime:
        """The as-of of this command."""
        if asked:
            return parse_as_of(asked)
        if self._environment.clock == "now":
            return datetime.now(UTC).replace(microsecond=0)
        try:
            return datetime.fromisoformat(json.loads(self._path.read_text(encoding="utf-8"))["as_of"])
        except FileNotFoundError:
            raise ConfigurationError(
                "This environment replays the past, and no command has said yet where it stands.",
                why="Its clock is kept in its own state, not taken from the machine.",
                remedy="Say it once: --as-of 2013-04-01",
            ) from None
        except (ValueError, KeyError, TypeError):
            raise StorageError(
                f"{self._path} is damaged.",
                why="It holds the moment this environment has reached.",
                remedy="Delete the file, and say --as-of once.",
            ) from None

    def keep(self, as_of: datetime) -> None:
        """Remember how far a replay has come; it never goes back."""
        if self._environment.clock != "replay":
            return
        if self._path.is_file() and self.read(None) >= as_of:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_suffix(".part")
        partial.write_text(json.dumps({"as_of": as_of.isoformat()}), encoding="utf-8")
        partial.replace(self._path)


@contextmanager
def open_context(found: Place, env: str, *, as_of: str | None, progress: Progress) -> Iterator[Context]:
    """The world of one environment, with one Spark session; on leaving, a replay's clock has moved on if all went well."""
    from gatehouse.code_version import code_version
    from gatehouse.errors import PlatformError
    from gatehouse.lakehouse.session import close_session, installed_engine, interruptible, open_session
    from gatehouse.lakehouse.tables import DeltaTables
    from gatehouse.lakehouse.tracking import open_tracking
    from gatehouse.pipelines.context import Context

    settings, root = found.settings, found.root
    environment = settings.environment(env)
    if environment.platform != "local":
        raise PlatformError(
            f"{env} lives on {environment.platform}, which this version does not drive yet.",
            why="Only the embedded lakehouse is wired.",
            remedy="Set platform: local in conf/environments.yml.",
        )
    clock = Clock(root, environment)
    moment = clock.read(as_of)
    project = load_project(settings)
    writable = [(environment.catalog, environment.db_schema)]
    catalogs = list(dict.fromkeys(e.catalog for e in settings.environments.environments.values()))
    make_folder(root)
    engine = installed_engine()
    spark = open_session(engine, catalogs=catalogs)
    try:
        with interruptible(spark):
            tracking = open_tracking(root, experiment=f"{environment.catalog}.{environment.db_schema}.{project.name}")
            yield Context(
                project=project,
                settings=settings,
                name=env,
                environment=environment,
                spark=spark,
                tables=DeltaTables(spark, engine, root, writable=writable),
                tracking=tracking,
                registry=tracking.registry(writable=writable),
                root=root,
                as_of=moment,
                now=datetime.now(UTC).replace(microsecond=0),
                code=code_version(settings.environments.project.partition(":")[0], settings.root),
                progress=progress,
            )
            clock.keep(moment)
    finally:
        close_session(spark)


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


def at(context: Context, as_of: datetime) -> Context:
    """The same world at another moment."""
    return replace(context, as_of=as_of)
