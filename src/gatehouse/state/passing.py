"""From run to run: what `gatehouse state` does, with the CI's provider, the pointer and the archive as arguments."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from gatehouse.errors import StateError
from gatehouse.state.archive import Scope, at_rest, pack, refuse_full, unpack
from gatehouse.state.pointer import Pointed, Pointer, PointerRef

if TYPE_CHECKING:
    from gatehouse.ci.provider import Provider


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """What the state holds, for people who look at the pointer."""

    champion: str | None
    clock: str | None
    audit: dict[str, int | str] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Packed:
    """An archive that was written."""

    path: Path
    sha256: str


def restore(root: Path, scope: Scope, ref: PointerRef, provider: Provider) -> Pointer | None:
    """Fill an empty lakehouse with the state that the pointer names; None if there is no pointer, and it begins anew.

    Raises:
        StateError: the archive is gone, expired or not ours, or the lakehouse is not empty.
    """
    refuse_full(root)
    pointer = ref.read()
    if pointer is not None:
        with tempfile.TemporaryDirectory() as folder:
            archive = _fetched(pointer, scope, provider, Path(folder), begin_anew=ref.begin_anew)
            unpack(archive, root, scope, sha256=pointer.said.sha256)
    _remember(root, scope, pointer.commit if pointer else None)
    return pointer


def pack_state(
    root: Path, scope: Scope, folder: Path, standing: Callable[[], Standing], *, now: datetime, run: str
) -> Packed:
    """Write the archive and, beside it, what the pointer will say of it."""
    target = folder / f"state-{scope.environment}.tar.gz"
    with at_rest(root, scope):
        found = standing()
        sha256 = pack(root, scope, target)
    said = Pointed(
        environment=scope.environment,
        artefact="",
        run=run,
        sha256=sha256,
        packed_at=f"{now:%Y-%m-%d %H:%M} UTC",
        champion=found.champion,
        clock=found.clock,
        audit=found.audit,
    )
    _beside(folder, scope).write_text(said.model_dump_json(indent=1), encoding="utf-8")
    return Packed(path=target, sha256=sha256)


def point(root: Path, scope: Scope, folder: Path, ref: PointerRef, provider: Provider, *, artefact: str) -> Pointer:
    """Make the archive that was packed and uploaded the state, if nobody else was faster.

    Raises:
        StateError: nothing was packed, the artefact is not there, or this lakehouse was never restored.
        Busy: somebody else moved the pointer first.
    """
    expected = _remembered(root, scope)
    said = _packed(folder, scope).model_copy(update={"artefact": artefact})
    found = provider.artefact(artefact)
    if found is None or found.expired or not found.ours:
        raise StateError(
            f"There is no artefact {artefact!r} of this repository.",
            why="The next run would find a pointer to nothing.",
            remedy="Upload what `gatehouse state pack` wrote, and pass on the number that the upload step gives.",
        )
    commit = ref.move(said, expected=expected)
    _remember(root, scope, commit)
    return Pointer(commit=commit, said=said)


def _fetched(pointer: Pointer, scope: Scope, provider: Provider, folder: Path, *, begin_anew: str) -> Path:
    said = pointer.said
    found = provider.artefact(said.artefact)
    wrong = None
    if said.environment != scope.environment:
        wrong = f"is that of {said.environment}"
    elif found is None:
        wrong = "is gone"
    elif found.expired:
        wrong = "has expired"
    elif not found.ours:
        wrong = "was not made by a run of this repository"
    if wrong is not None or found is None:
        raise StateError(
            f"The state of {scope.environment} (artefact {said.artefact}, packed at {said.packed_at}) {wrong}.",
            why=f"It holds the champion (version {said.champion}), all tables, and the audit log.",
            remedy=f"Without the history, the next run begins anew after: {begin_anew}",
        )
    provider.download(found, folder)
    name = f"state-{scope.environment}.tar.gz"
    archives = sorted(path for path in folder.rglob(name) if path.is_file() and not path.is_symlink())
    if len(archives) != 1:
        raise StateError(
            f"Artefact {said.artefact} holds no {name}.",
            why="Something else was uploaded under the state's name.",
            remedy=f"Look at the run that made it. Without the history, the next run begins anew after: {begin_anew}",
        )
    return archives[0]


def _packed(folder: Path, scope: Scope) -> Pointed:
    path = _beside(folder, scope)
    try:
        return Pointed.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        raise StateError(
            f"{path} is not there, or damaged.",
            why="It says what was packed, and its digest.",
            remedy=f"gatehouse state pack --env {scope.environment}",
        ) from None


def _beside(folder: Path, scope: Scope) -> Path:
    return folder / f"state-{scope.environment}.json"


def _remember(root: Path, scope: Scope, commit: str | None) -> None:
    path = _memory(root, scope)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"pointer": commit}), encoding="utf-8")


def _remembered(root: Path, scope: Scope) -> str | None:
    """The pointer that this lakehouse goes on from; None if it began anew."""
    try:
        found = json.loads(_memory(root, scope).read_text(encoding="utf-8"))["pointer"]
    except (OSError, ValueError, KeyError, TypeError):
        raise StateError(
            f"Nothing says which state of {scope.environment} this lakehouse goes on from.",
            why="A pointer that moves without having looked would throw another run's work away.",
            remedy=f"Begin with: gatehouse state restore --env {scope.environment}",
        ) from None
    return None if found is None else str(found)


def _memory(root: Path, scope: Scope) -> Path:
    return root / "state" / f"restored-{scope.environment}.json"
