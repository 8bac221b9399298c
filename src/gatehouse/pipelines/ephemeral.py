"""Schemas that live as long as a rehearsal: claimed by one process, dropped afterwards, kept for a while if it failed.

    rehearsals/CATALOG.SCHEMA.json    the marker: whose it is, since when, and when it may go
    rehearsals/CATALOG.SCHEMA.lock    held while the rehearsal runs; the operating system frees it when a process dies

A schema without a marker is never touched. Nobody may write a kept one: it is no environment of conf/.
"""

from __future__ import annotations

import re
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from gatehouse.errors import Busy, GatehouseError, Interrupted, PlatformError, Refused, StorageError, UsageError
from gatehouse.lakehouse.table_types import NAME
from gatehouse.pipelines.reset import reset_environment
from gatehouse.progress import Progress
from gatehouse.settings import Environment, Settings

FOLDER = "rehearsals"
_LONGEST = 64


class Marker(BaseModel):
    """What says that a schema is a rehearsal's. `expires_at` is when it goes if nobody drops it before."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    environment: str
    catalog: str
    db_schema: str
    experiment: str
    commit: str
    started_at: datetime
    expires_at: datetime
    failed: str | None = None

    @property
    def place(self) -> str:
        """`catalog.schema`."""
        return f"{self.catalog}.{self.db_schema}"


@dataclass(slots=True)
class Ephemeral:
    """A claimed schema. `settings` are those of conf/ with the environment moved into it.

    `kept_until` is set when the body failed and the schema is kept.
    """

    settings: Settings
    environment: Environment
    kept_until: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What is asked for: a schema for `env`, of a project and a commit, kept for so long if the rehearsal fails."""

    env: str
    schema: str
    project: str
    commit: str
    keep_failed: timedelta


@dataclass(frozen=True, kw_only=True, slots=True)
class Swept:
    """What the janitor found."""

    dropped: tuple[Marker, ...]
    kept: tuple[Marker, ...]
    running: tuple[Marker, ...]


@contextmanager
def rehearsal_schema(
    root: Path, settings: Settings, wanted: Wanted, *, clock: Callable[[], datetime], progress: Progress
) -> Iterator[Ephemeral]:
    """Move an environment into a schema of its own for the body, under its name.

    Raises:
        UsageError: the name is not an identifier.
        Refused: the environment is protected, or the schema is somebody's.
        Busy: a rehearsal runs in it.
    """
    environment = _moved(settings, wanted)
    with ephemeral_schema(
        root, settings, wanted, environment, called=wanted.env, clock=clock, progress=progress
    ) as claimed:
        yield claimed


@contextmanager
def ephemeral_schema(
    root: Path,
    settings: Settings,
    wanted: Wanted,
    environment: Environment,
    *,
    called: str,
    clock: Callable[[], datetime],
    progress: Progress,
) -> Iterator[Ephemeral]:
    """Claim a schema for the body: dropped when it ends well or is interrupted, kept for `keep_failed` when it fails.

    In the settings of the body, `environment` has the name `called`. What an earlier rehearsal of that schema left
    behind goes first.
    """
    now = clock()
    marker = Marker(
        environment=wanted.env,
        catalog=environment.catalog,
        db_schema=environment.db_schema,
        experiment=f"{environment.catalog}.{environment.db_schema}.{wanted.project}",
        commit=wanted.commit,
        started_at=now,
        expires_at=now + wanted.keep_failed,
    )
    lock = _claim(root, marker, progress)
    file = settings.environments
    environments = file.model_copy(update={"environments": {**file.environments, called: environment}})
    claimed = Ephemeral(settings.model_copy(update={"environments": environments}), environment)
    try:
        yield claimed
    except (KeyboardInterrupt, Interrupted):
        _drop(root, marker, progress)
        raise
    except Exception as error:
        if not wanted.keep_failed:
            _drop(root, marker, progress)
            raise
        claimed.kept_until = clock() + wanted.keep_failed
        said = error.what if isinstance(error, GatehouseError) else f"{type(error).__name__}: {error}"
        _write(root, marker.model_copy(update={"failed": said, "expires_at": claimed.kept_until}))
        raise
    else:
        _drop(root, marker, progress)
    finally:
        lock.release()


def sweep(root: Path, env: str, *, now: datetime, older_than: timedelta | None, progress: Progress) -> Swept:
    """Drop what rehearsals of an environment left behind and is past its time, or older than `older_than`.

    A rehearsal that runs is left alone, however long; one whose process died has no claim any more.
    """
    dropped, kept, running = [], [], []
    for marker in _markers(root):
        if marker.environment != env:
            continue
        lock = _lock(root, marker)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            running.append(marker)
            continue
        try:
            due = marker.expires_at if older_than is None else marker.started_at + older_than
            if due > now:
                kept.append(marker)
            else:
                _drop(root, marker, progress)
                dropped.append(marker)
        finally:
            lock.release()
    return Swept(dropped=tuple(dropped), kept=tuple(kept), running=tuple(running))


def _moved(settings: Settings, wanted: Wanted) -> Environment:
    """The environment in the wanted schema; refused before anything is touched."""
    environment = settings.environment(wanted.env)
    if not NAME.fullmatch(wanted.schema) or len(wanted.schema) > _LONGEST:
        raise UsageError(
            f"--schema {wanted.schema!r} cannot be the name of a schema.",
            why="It becomes a folder and stands in SQL, so it is letters, digits and underscores, 64 at most.",
            remedy=f"Write it so: --schema {_nearest(wanted.schema)}",
        )
    if environment.platform != "local":
        raise PlatformError(
            f"{wanted.env} lives on {environment.platform}, which this version does not drive yet.",
            why="Only the embedded lakehouse is wired.",
            remedy="Set platform: local in conf/environments.yml.",
        )
    if environment.protected:
        raise Refused(
            f"{wanted.env} is protected, and a rehearsal is thrown away.",
            why="Its identity could write what production predicts with.",
            remedy="Rehearse in another environment: gatehouse rehearse --env staging",
        )
    for name, other in settings.environments.environments.items():
        if (other.catalog.casefold(), other.db_schema.casefold()) == (
            environment.catalog.casefold(),
            wanted.schema.casefold(),
        ):
            raise Refused(
                f"{environment.catalog}.{wanted.schema} is the schema of {name}.",
                why="A rehearsal drops its schema when it is done.",
                remedy="Name another one, or leave --schema out.",
            )
    # What is rehearsed goes by --as-of, and proposes no options: those would lie outside the schema.
    return environment.model_copy(update={"db_schema": wanted.schema, "clock": "now", "replay": None, "search": False})


def _nearest(name: str) -> str:
    found = re.sub(r"[^A-Za-z0-9_]+", "_", name)[:_LONGEST].strip("_")
    return found if NAME.fullmatch(found) else f"pr_{found}"[:_LONGEST] if found else "rehearsal_1"


def _claim(root: Path, marker: Marker, progress: Progress) -> FileLock:
    """The lock of the schema, which is empty now and marked as ours."""
    lock = _lock(root, marker)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise Busy(
            f"A rehearsal is running in {marker.place}.",
            why="Two in one schema would overwrite each other's tables.",
            remedy="Wait until it has ended, or name another schema with --schema.",
        ) from None
    try:
        if left := [m for m in _markers(root) if m.place.casefold() == marker.place.casefold()]:
            progress.note(f"{left[0].place} was left behind by a rehearsal of {left[0].started_at:%Y-%m-%d %H:%M} UTC.")
            _drop(root, left[0], progress)
        folder = root / "tables" / marker.catalog
        others = {f.name.casefold() for f in folder.iterdir()} if folder.is_dir() else set()
        if marker.db_schema.casefold() in others:
            raise Refused(
                f"{marker.place} is there already, and no rehearsal made it.",
                why="A rehearsal drops its schema when it is done.",
                remedy="Name another one, or leave --schema out.",
            )
        _write(root, marker)
    except BaseException:
        lock.release()
        raise
    return lock


def _drop(root: Path, marker: Marker, progress: Progress) -> None:
    """Tables, models, runs, pages; the marker last, so that what is interrupted is finished by whoever sweeps."""
    from gatehouse.lakehouse.tracking import open_tracking

    environment = Environment(catalog=marker.catalog, schema=marker.db_schema)
    with _uninterrupted():
        reset_environment(root, environment, progress)
        open_tracking(root, experiment=marker.experiment).discard()
        shutil.rmtree(root / "report" / "decisions" / marker.place, ignore_errors=True)
        for left in (root / "locks").glob(f"{marker.place}.*"):
            left.unlink(missing_ok=True)
        _path(root, marker).unlink(missing_ok=True)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Whoever cancels a run sends one signal after the other; the second one must not leave half a schema behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(kind, signal.SIG_IGN) for kind in kinds]
    try:
        yield
    finally:
        for kind, handler in zip(kinds, before, strict=True):
            signal.signal(kind, handler)


def _markers(root: Path) -> list[Marker]:
    return [_read(path) for path in sorted((root / FOLDER).glob("*.json"))]


def _read(path: Path) -> Marker:
    try:
        return Marker.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise StorageError(
            f"{path} cannot be read: {error}",
            why="It says which schema a rehearsal left behind; without it nobody knows that it may be dropped.",
            remedy="Restore it, or delete it together with the schema's folder under tables/.",
        ) from None


def _write(root: Path, marker: Marker) -> None:
    path = _path(root, marker)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    partial.write_text(marker.model_dump_json(indent=1), encoding="utf-8")
    partial.replace(path)


def _path(root: Path, marker: Marker) -> Path:
    return root / FOLDER / f"{marker.place}.json"


def _lock(root: Path, marker: Marker) -> FileLock:
    path = root / FOLDER / f"{marker.place.casefold()}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path)
