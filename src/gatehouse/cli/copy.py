"""`gatehouse copy`: deploy a model instead of its code."""

from __future__ import annotations

from pathlib import Path

import click

from gatehouse.cli import options


@click.command(
    "copy",
    help="Take an approved VERSION of another environment over as a candidate of this one: the same files and lineage, "
    "judged again here on this environment's data (gatehouse release --version N).",
)
@click.argument("version")
@click.option("--from", "origin", required=True, metavar="ENV", help="Environment that approved it.")
@options.environment("prod")
@options.as_of
@click.option("--as", "as_name", metavar="WHO", help="Who you are. [default: who signed in, or git's user]")
@options.as_json
@click.pass_obj
def command(
    found: dict[str, Path | None],
    version: str,
    origin: str,
    env: str,
    as_of: str | None,
    as_name: str | None,
    as_json: bool,
) -> None:
    """The chain of records goes on: the audit log says where it comes from and who approved it there."""
    from gatehouse.cli.acting import established
    from gatehouse.cli.display import TerminalProgress, echo_json
    from gatehouse.cli.world import open_world, place
    from gatehouse.gates.identity import git_config_of, local_identity
    from gatehouse.pipelines.takeover import take_over

    where = place(found)
    signed = where.platform(env).signed_in()
    actor = established(signed, as_name) if signed else local_identity(as_name, git_config_of(Path.cwd()))
    moment = where.clock(env).read(as_of)
    where.settings.environment(origin)
    progress = TerminalProgress()
    with open_world(where, env) as world:
        here, there = world.context(env, moment, progress), world.context(origin, moment, progress)
        copied = take_over(here, there, there.registry.get(there.model, version), actor=actor)
    if as_json:
        echo_json({"version": copied.version, "model": copied.model, "tags": copied.tags})
    else:
        click.echo(
            f"It is version {copied.version} of {copied.model} now. "
            f"Next: gatehouse release --version {copied.version} --env {env}"
        )
