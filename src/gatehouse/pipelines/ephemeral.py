"""Schemas that live as long as a rehearsal: claimed by one process, dropped afterwards, kept for a while if it failed.

    rehearsals/CATALOG.SCHEMA.json    the marker: whose it is, since when, and when it may go

A lock is held while the rehearsal runs, which the operating system frees when a process dies. A schema without a marker
is never touched. Nobody may write a kept one: it is no environment of conf/.
"""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict, ValidationError

from gatehouse.errors import Busy, GatehouseError, Interrupted, Refused, StorageError, UsageError
from gatehouse.lakehouse.platform import Platform
from gatehouse.lakehouse.store import Store
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
    project: str
    commit: str
    started_at: datetime
    expires_at: datetime
    failed: str | None = None

    @property
    def place(self) -> str:
        """`catalog.schema`."""
        return f"{self.catalog}.{self.db_schema}"

    @property
    def name(self) -> str:
        """What the marker is called in the store."""
        return f"{FOLDER}/{self.place}.json"


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
    platform: Platform, settings: Settings, wanted: Wanted, *, clock: Callable[[], datetime], progress: Progress
) -> Iterator[Ephemeral]:
    """Move an environment into a schema of its own for the body, under its name.

    Raises:
        UsageError: the name is not an identifier.
        Refused: the environment is protected, or the schema is somebody's.
        Busy: a rehearsal runs in it.
    """
    environment = _moved(settings, wanted)
    with ephemeral_schema(
        platform, settings, wanted, environment, called=wanted.env, clock=clock, progress=progress
    ) as claimed:
        yield claimed


@contextmanager
def ephemeral_schema(
    platform: Platform,
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
        project=wanted.project,
        commit=wanted.commit,
        started_at=now,
        expires_at=now + wanted.keep_failed,
    )
    held = _claim(platform, marker, progress)
    file = settings.environments
    environments = file.model_copy(update={"environments": {**file.environments, called: environment}})
    claimed = Ephemeral(settings.model_copy(update={"environments": environments}), environment)
    try:
        yield claimed
    except (KeyboardInterrupt, Interrupted):
        _drop(platform, marker, progress)
        raise
    except Exception as error:
        if not wanted.keep_failed:
            _drop(platform, marker, progress)
            raise
        claimed.kept_until = clock() + wanted.keep_failed
        said = error.what if isinstance(error, GatehouseError) else f"{type(error).__name__}: {error}"
        _write(platform.store, marker.model_copy(update={"failed": said, "expires_at": claimed.kept_until}))
        raise
    else:
        _drop(platform, marker, progress)
    finally:
        held.close()


def sweep(
    platform: Platform,
    env: str,
    *,
    now: datetime,
    older_than: timedelta | None,
    progress: Progress,
    schema: str | None = None,
) -> Swept:
    """Drop what rehearsals of an environment left behind and is past its time, or older than `older_than`.

    `schema`: that one alone. A rehearsal that runs is left alone, however long; one whose process died has no claim any
    more.
    """
    dropped, kept, running = [], [], []
    for marker in _markers(platform.store):
        if marker.environment != env or (schema and marker.db_schema.casefold() != schema.casefold()):
            continue
        try:
            held = _alone(platform.store, marker)
        except Busy:
            running.append(marker)
            continue
        with held:
            due = marker.expires_at if older_than is None else marker.started_at + older_than
            if due > now:
                kept.append(marker)
            else:
                _drop(platform, marker, progress)
                dropped.append(marker)
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
    aside = {"clock": "now", "replay": None, "search": False, "serving": None}
    volumes = {"volume": environment.rehearses, "landing": environment.lands}
    return environment.model_copy(update={"db_schema": wanted.schema, **aside, **volumes})


def _nearest(name: str) -> str:
    found = re.sub(r"[^A-Za-z0-9_]+", "_", name)[:_LONGEST].strip("_")
    return found if NAME.fullmatch(found) else f"pr_{found}"[:_LONGEST] if found else "rehearsal_1"


def _claim(platform: Platform, marker: Marker, progress: Progress) -> ExitStack:
    """The lock of the schema, which is empty now and marked as ours."""
    try:
        held = _alone(platform.store, marker)
    except Busy:
        raise Busy(
            f"A rehearsal is running in {marker.place}.",
            why="Two in one schema would overwrite each other's tables.",
            remedy="Wait until it has ended, or name another schema with --schema.",
        ) from None
    try:
        if left := [m for m in _markers(platform.store) if m.place.casefold() == marker.place.casefold()]:
            progress.note(f"{left[0].place} was left behind by a rehearsal of {left[0].started_at:%Y-%m-%d %H:%M} UTC.")
            _drop(platform, left[0], progress)
        if platform.has_schema((marker.catalog, marker.db_schema)):
            raise Refused(
                f"{marker.place} is there already, and no rehearsal made it.",
                why="A rehearsal drops its schema when it is done.",
                remedy="Name another one, or leave --schema out.",
            )
        _write(platform.store, marker)
        platform.make_schema((marker.catalog, marker.db_schema))
    except BaseException:
        held.close()
        raise
    return held


def _alone(store: Store, marker: Marker) -> ExitStack:
    """The right to work in the schema; Busy while somebody else has it."""
    held = ExitStack()
    held.enter_context(store.alone(f"rehearsal-{marker.place.casefold()}", timeout=0))
    return held


def _drop(platform: Platform, marker: Marker, progress: Progress) -> None:
    """Tables, models, runs, pages; the marker last, so that what is interrupted is finished by whoever sweeps."""
    environment = Environment(catalog=marker.catalog, schema=marker.db_schema)
    with _uninterrupted():
        reset_environment(platform, environment, progress)
        platform.tracking(environment.place, marker.project).discard()
        platform.drop_schema(environment.place)
        platform.store.delete(marker.name)


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


def _markers(store: Store) -> list[Marker]:
    return [_read(store, f"{FOLDER}/{name}") for name in store.names(FOLDER) if name.endswith(".json")]


def _read(store: Store, name: str) -> Marker:
    try:
        return Marker.model_validate_json(store.read(name) or "")
    except ValidationError as error:
        raise StorageError(
            f"{name} cannot be read: {error}",
            why="It says which schema a rehearsal left behind; without it nobody knows that it may be dropped.",
            remedy="Restore it, or delete it together with the schema's tables.",
        ) from None


def _write(store: Store, marker: Marker) -> None:
    store.write(marker.name, marker.model_dump_json(indent=1))
