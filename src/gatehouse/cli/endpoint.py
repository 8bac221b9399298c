"""`gatehouse endpoint`: who answers requests, and a challenger's share of them."""

from __future__ import annotations

from pathlib import Path

import click

from gatehouse.cli import options
from gatehouse.errors import ConfigurationError


@click.command(
    "endpoint",
    help="Give a judged version a share of the endpoint's requests beside the champion (Databricks, `serving` in "
    "conf/environments.yml). The version is loaded and asked first; --percent 0 takes its share away and keeps it "
    "loaded. The champion itself is served by every promotion and rollback.",
    short_help="Give a judged version a share of an endpoint's requests.",
)
@click.argument("version")
@options.environment("prod")
@click.option("--percent", type=click.IntRange(0, 100), required=True, help="Its share; the champion has the rest.")
@options.as_json
@click.pass_obj
def command(found: dict[str, Path | None], version: str, env: str, percent: int, as_json: bool) -> None:
    """Entered in the audit log."""
    from gatehouse.cli.acting import acting
    from gatehouse.cli.display import TerminalProgress, echo_json
    from gatehouse.cli.telling import provider_of
    from gatehouse.cli.world import open_context, place
    from gatehouse.pipelines.online import split

    where = place(found)
    if where.settings.environment(env).serving is None:
        raise ConfigurationError(
            f"{env} has no endpoint.",
            why="conf/environments.yml names none for it.",
            remedy=f"Add to {env}: serving: {{name: my-endpoint}}    and promote a version.",
        )
    actor = acting(provider_of(where.settings.root), where.platform(env).signed_in(), None)
    with open_context(where, env, as_of=None, progress=TerminalProgress()) as context:
        address = split(context, version, percent, actor)
    if as_json:
        echo_json({"version": version, "percent": percent, "address": address})
    else:
        click.echo(f"Version {version} has {percent} % of the requests to {address}.")
