"""`gatehouse reset`: an environment as if it had never been."""

from __future__ import annotations

from pathlib import Path

import click

from gatehouse.cli import options
from gatehouse.errors import Refused


@click.command("reset", help="Throw an environment's tables, mirror, models and clock away. Other environments stay.")
@options.environment()
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--protected", is_flag=True, help="Also where conf/environments.yml says `protected: true`.")
@click.pass_obj
def command(found: dict[str, Path | None], env: str, yes: bool, protected: bool) -> None:
    """Everything the environment wrote is deleted for good."""
    from gatehouse.cli.display import TerminalProgress
    from gatehouse.cli.world import place
    from gatehouse.pipelines.reset import reset_environment

    where = place(found)
    environment = where.settings.environment(env)
    if environment.protected and not protected:
        raise Refused(
            f"{env} is protected, and reset would delete its tables and models for good.",
            why="conf/environments.yml says so.",
            remedy=f"If you mean it: gatehouse reset --env {env} --protected",
        )
    mirrored = where.settings.environments.is_mirrored(env)
    if not yes:
        places = [environment.place, *([environment.mirror] if mirrored else [])]
        click.confirm(
            f"Delete every table and model of {env} ({', '.join('.'.join(p) for p in places)})?",
            abort=True,
        )
    progress = TerminalProgress()
    reset_environment(where.platform(env), environment, progress, mirrored=mirrored)
    click.echo(f"{env} is empty.")
