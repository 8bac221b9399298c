"""Whether a workspace keeps what the emulated one of the tests promises: each promise looked at by itself.

The code that is tried lies in `root`, a checkout whose environment `target` is a throw-away schema. Everything that a
trial makes goes again, however it ended.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from gatehouse.databricks.bundle import deploy_bundle, run_cli
from gatehouse.databricks.client import Workspace
from gatehouse.databricks.runs import find_job, run_job
from gatehouse.errors import GatehouseError, Refused, StateError
from gatehouse.progress import Progress

Place = tuple[str, str]
_PROBE = "smoke/probe.txt"


class Store(Protocol):
    """Small files in the workspace."""

    def read(self, name: str) -> str | None:
        """None where there is none."""

    def write(self, name: str, text: str) -> None:
        """Replaces it."""

    def delete(self, name: str) -> None:
        """Nothing happens where there is none."""


class Home(Protocol):
    """What a trial needs of the platform."""

    @property
    def store(self) -> Store:
        """In a volume of the schema."""

    def has_schema(self, place: Place) -> bool:
        """Whether it is there."""

    def make_schema(self, place: Place) -> None:
        """Refused where it is."""

    def drop_schema(self, place: Place) -> None:
        """With all that is in it."""


class Registry(Protocol):
    """What is read back."""

    def versions(self, model: str) -> Sequence[Any]:
        """All of a model."""

    def by_alias(self, model: str, alias: str) -> Any:
        """None where nobody has it."""


class Outcome(StrEnum):
    """Of a promise."""

    KEPT = "as promised"
    BROKEN = "differs"
    UNSEEN = "not reached"


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """What is tried where. `project` names jobs and model; `as_of` is what the jobs are given, or empty."""

    workspace: Workspace
    home: Home
    registry: Registry
    root: Path
    project: str
    target: str
    place: Place
    volume: str
    as_of: str
    build: Callable[[Path], None]
    """Makes what the bundle deploys besides conf/."""
    forget: Callable[[], None]
    """Throws the runs away that the jobs left in MLflow."""
    progress: Progress

    @property
    def model(self) -> str:
        """In the throw-away schema."""
        return ".".join((*self.place, self.project))


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """One promise, and what became of it; `said` is empty where it was kept."""

    about: str
    promise: str
    outcome: Outcome
    said: str = ""


@dataclass(frozen=True, slots=True)
class Promise:
    """`look` returns what differs, or nothing; `needs` are promises without which there is nothing to look at."""

    about: str
    promise: str
    look: Callable[[Trial], str]
    needs: tuple[str, ...] = ()


def try_workspace(trial: Trial) -> tuple[Seen, ...]:
    """Looks at each promise in turn, and takes away what was made."""
    found: dict[str, Seen] = {}
    try:
        for promise in PROMISES:
            with trial.progress.step(promise.about):
                found[promise.about] = _seen(promise, trial, found)
    finally:
        _clear(trial, found)
    return tuple(found.values())


def _seen(promise: Promise, trial: Trial, found: dict[str, Seen]) -> Seen:
    missing = [need for need in promise.needs if found[need].outcome is not Outcome.KEPT]
    if missing:
        said, outcome = f"It needs: {', '.join(missing)}.", Outcome.UNSEEN
    else:
        try:
            said = promise.look(trial)
        except GatehouseError as error:
            said = error.what
        outcome = Outcome.BROKEN if said else Outcome.KEPT
    return Seen(about=promise.about, promise=promise.promise, outcome=outcome, said=said)


def _clear(trial: Trial, found: dict[str, Seen]) -> None:
    """What the last promises took away already is not there any more."""
    destroyed = "destroy" in found and found["destroy"].outcome is Outcome.KEPT
    if "validate" in found and not destroyed:
        run_cli(trial.root, "bundle", "destroy", "-t", trial.target, "--auto-approve")
    if "training" in found and found["training"].outcome is not Outcome.UNSEEN:
        trial.forget()
    if "identity" in found and trial.home.has_schema(trial.place):
        trial.home.drop_schema(trial.place)


def _identity(trial: Trial) -> str:
    me = trial.workspace.ask("reading who this is", trial.workspace.sdk.current_user.me)
    return "" if me.user_name else "It does not say who is signed in."


def _schema(trial: Trial) -> str:
    if trial.home.has_schema(trial.place):
        return f"{'.'.join(trial.place)} is there already."
    trial.home.make_schema(trial.place)
    try:
        trial.home.make_schema(trial.place)
    except Refused:
        return "" if trial.home.has_schema(trial.place) else "It was made, and is not there."
    return "It could be made twice."


def _files(trial: Trial) -> str:
    from databricks.sdk.service.catalog import VolumeType

    catalog, schema, name = trial.volume.split(".")
    trial.workspace.ask(
        f"making the volume {trial.volume}",
        lambda: trial.workspace.sdk.volumes.create(catalog, schema, name, VolumeType.MANAGED),
        again=False,
    )
    store = trial.home.store
    before = store.read(_PROBE)
    for text in ("one", "two"):
        store.write(_PROBE, text)
    kept = store.read(_PROBE)
    store.delete(_PROBE)
    store.delete(_PROBE)
    told = (before, kept, store.read(_PROBE))
    return "" if told == (None, "two", None) else f"Before, with and without a file it read {told!r}."


def _validate(trial: Trial) -> str:
    trial.build(trial.root)  # strictly, what it names has to be there
    code, said = run_cli(trial.root, "bundle", "validate", "--strict", "-t", trial.target)
    return said if code else ""


def _deploy(trial: Trial) -> str:
    deploy_bundle(trial.root, trial.target, trial.progress, any_branch=True)
    return ""


def _plan(trial: Trial) -> str:
    code, said = run_cli(trial.root, "bundle", "plan", "-t", trial.target, "--force")
    return "" if not code and "0 to add, 0 to change, 0 to delete" in said else said


def _run(key: str) -> Callable[[Trial], str]:
    def look(trial: Trial) -> str:
        job = find_job(trial.workspace, project=trial.project, env=trial.target, key=key)
        given = {"as_of": trial.as_of} if trial.as_of else {}
        result = run_job(trial.workspace, job, given, progress=trial.progress)
        silent = [task.key for task in result.tasks if task.outcome is None]
        return f"Nobody can read what {', '.join(silent)} printed ({result.page})." if silent else ""

    return look


def _read_back(trial: Trial) -> str:
    versions = trial.registry.versions(trial.model)
    if not versions:
        return f"{trial.model} has no version."
    holder = trial.registry.by_alias(trial.model, "champion")
    return "" if holder is None else "An alias that nobody gave is held."


def _destroy(trial: Trial) -> str:
    code, said = run_cli(trial.root, "bundle", "destroy", "-t", trial.target, "--auto-approve")
    if code:
        return said
    try:
        job = find_job(trial.workspace, project=trial.project, env=trial.target, key="features")
    except StateError:
        return ""
    return f"{job.name} is still there."


def _drop(trial: Trial) -> str:
    trial.home.drop_schema(trial.place)
    return "It is still there." if trial.home.has_schema(trial.place) else ""


PROMISES = (
    Promise("identity", "Whoever signs in has a name.", _identity),
    Promise("schema", "A schema is made once; who makes it again is refused.", _schema, ("identity",)),
    Promise("files", "A volume's files are replaced whole, and one that is missing is none.", _files, ("schema",)),
    Promise("validate", "The bundle is valid, strictly.", _validate, ("identity",)),
    Promise("deploy", "It deploys: the wheel is built, jobs and dashboard are made.", _deploy, ("validate", "files")),
    Promise("plan", "What was just deployed has nothing to change.", _plan, ("deploy",)),
    Promise("features", "The job runs our wheel, and what its tasks print can be read.", _run("features"), ("deploy",)),
    Promise("training", "A job registers a version.", _run("training"), ("features",)),
    Promise("read back", "That version is found, and an alias that nobody has is none.", _read_back, ("training",)),
    Promise("destroy", "What was deployed goes, and its jobs are found no more.", _destroy, ("deploy",)),
    Promise("drop", "The schema goes with all that is in it.", _drop, ("schema",)),
)
"""In this order. tests/template runs them against the emulated workspace, which keeps every one."""
