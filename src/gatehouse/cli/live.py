"""`gatehouse live`: which code is live in an environment."""

from __future__ import annotations

from pathlib import Path

import click

from gatehouse.cli import options


@click.command(
    "live",
    help="Which code is live in an environment. --checkout puts that commit into this working tree, on no branch, and "
    "refuses if the tree has changes; where none was deployed yet, the tree stays as it is.",
    short_help="Which code is live, and put it into this checkout.",
)
@options.environment("prod")
@click.option("--checkout", is_flag=True, help="git checkout --detach of the live commit.")
@options.as_json
@click.pass_obj
def command(found: dict[str, Path | None], env: str, checkout: bool, as_json: bool) -> None:
    """A schedule runs the live code: it begins with this."""
    from gatehouse.cli.display import echo_json
    from gatehouse.cli.world import look, place
    from gatehouse.code_version import check_out
    from gatehouse.pipelines.deployment import live_code

    root = place(found).settings.root
    with look(found, env) as context:
        live = live_code(context)
    moved = check_out(root, live.commit) if checkout and live is not None else False
    if as_json:
        echo_json({"environment": env, "live": live, "checked_out": moved})
    elif live is None:
        click.echo(f"No code was deployed to {env} yet" + (": this working tree stays as it is." if checkout else "."))
    else:
        click.echo(f"{live} is live in {env} since {live.at:%Y-%m-%d %H:%M} UTC, deployed by {live.actor}.")
        if checkout:
            click.echo("It is checked out now." if moved else "It is what this working tree has.")
