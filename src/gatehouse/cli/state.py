"""`gatehouse state`: the embedded lakehouse between two runs of CI."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatehouse.cli import options
from gatehouse.errors import ConfigurationError

if TYPE_CHECKING:
    from gatehouse.cli.world import Place
    from gatehouse.state.archive import Scope
    from gatehouse.state.passing import Standing
    from gatehouse.state.pointer import PointerRef

_FOLDER = "dist/state"
_folder = click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=_FOLDER,
    show_default=True,
    help="Where the archive is put, for the upload.",
)


@click.group(
    "state",
    help="Pass the embedded lakehouse on from run to run of a CI: restore it, work, pack it, upload it with the CI's "
    "own step, and point to it. On Databricks there is nothing to do: the state is in the workspace.",
    short_help="Pass the embedded lakehouse on from run to run of a CI.",
)
def command() -> None:
    """Three verbs below."""


@command.command("restore", help="Fill an empty lakehouse with the environment's state. The first run begins anew.")
@options.environment("prod")
@click.pass_obj
def restore_command(found: dict[str, Path | None], env: str) -> None:
    """Sets the output `found`."""
    from gatehouse.cli.telling import provider_of
    from gatehouse.cli.world import place
    from gatehouse.state.passing import restore

    where = place(found)
    provider = provider_of(where.settings.root)
    if _is_elsewhere(where, env):
        provider.output("found", "true")
        return
    pointer = restore(where.root, _scope(where, env), _ref(where, env), provider)
    provider.output("found", "true" if pointer else "false")
    if pointer is None:
        click.echo(f"The state of {env} begins anew.")
        return
    said = pointer.said
    click.echo(
        f"The state of {env} was packed by run {said.run or '-'} at {said.packed_at}: champion "
        f"{said.champion or 'nobody'}, clock {said.clock or '-'}."
    )


@command.command("pack", help="Write the environment's state into one file, for upload. Refused while somebody works.")
@options.environment("prod")
@_folder
@click.pass_obj
def pack_command(found: dict[str, Path | None], env: str, folder: Path) -> None:
    """Sets the outputs `path`, `sha256` and `name`."""
    from gatehouse.cli.telling import provider_of
    from gatehouse.cli.world import place
    from gatehouse.state.passing import pack_state

    where = place(found)
    if _is_elsewhere(where, env):
        return
    provider = provider_of(where.settings.root)
    packed = pack_state(
        where.root, _scope(where, env), folder, _standing(where, env), now=datetime.now(UTC), run=provider.run().id
    )
    for name, value in (("path", str(packed.path)), ("sha256", packed.sha256), ("name", f"state-{env}")):
        provider.output(name, value)
    click.echo(f"{packed.path}: {packed.path.stat().st_size / 1e6:.1f} MB, SHA-256 {packed.sha256}")


@command.command("point", help="Make the archive that was packed and uploaded the environment's state.")
@options.environment("prod")
@click.option("--artefact", required=True, metavar="ID", help="What the CI's upload step says it is known by.")
@_folder
@click.pass_obj
def point_command(found: dict[str, Path | None], env: str, artefact: str, folder: Path) -> None:
    """Of two runs that went on from one state exactly one succeeds; the other ends with Busy."""
    from gatehouse.cli.telling import provider_of
    from gatehouse.cli.world import place
    from gatehouse.state.passing import point

    where = place(found)
    if _is_elsewhere(where, env):
        return
    provider = provider_of(where.settings.root)
    pointer = point(where.root, _scope(where, env), folder, _ref(where, env), provider, artefact=artefact)
    click.echo(f"The state of {env} is artefact {artefact} now (pointer {pointer.commit[:12]}).")


def _is_elsewhere(where: Place, env: str) -> bool:
    platform = where.settings.environment(env).platform
    if platform != "local":
        click.echo(f"{env} lives on {platform}, which keeps its state: there is nothing to do.")
    return platform != "local"


def _scope(where: Place, env: str) -> Scope:
    from gatehouse.state.archive import Scope

    own = where.settings.environment(env)
    places = [own.place, *([own.mirror] if where.settings.environments.is_mirrored(env) else [])]
    if own.sources_from:
        read = where.settings.environment(own.sources_from)
        places += [read.place, *([read.mirror] if own.source == "mirror" else [])]
    return Scope(environment=env, places=tuple(".".join(place) for place in places))


def _ref(where: Place, env: str) -> PointerRef:
    from gatehouse.state.pointer import PointerRef

    return PointerRef(where.settings.root, env, environ=os.environ)


def _standing(where: Place, env: str) -> Callable[[], Standing]:
    """What people want to know of a state: read without starting an engine."""
    from gatehouse.cli.world import load_project
    from gatehouse.gates.promotion import CHAMPION
    from gatehouse.lakehouse.audit import anchor_name
    from gatehouse.state.passing import Standing

    environment, platform = where.settings.environment(env), where.platform(env)
    model = f"{environment.catalog}.{environment.db_schema}.{load_project(where.settings).name}"

    def read() -> Standing:
        champion = None
        if (where.root / "mlflow.db").is_file():
            champion = platform.registry(writable=[]).by_alias(model, CHAMPION)
        anchor = platform.store.read(anchor_name(*environment.place))
        try:
            clock = where.clock(env).read(None).isoformat()
        except ConfigurationError:  # a replay that has not begun
            clock = None
        return Standing(
            champion=champion.version if champion else None,
            clock=clock,
            audit=json.loads(anchor) if anchor else None,
        )

    return read
