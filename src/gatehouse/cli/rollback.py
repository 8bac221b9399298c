"""`gatehouse rollback`: back to the last approved version that works."""

from __future__ import annotations

from pathlib import Path

import click

from gatehouse.cli import options
from gatehouse.errors import Refused


@click.command(
    "rollback",
    help="Go back to the last version that was champion, went through the gates, loads and passes the smoke test.",
)
@options.environment("prod")
@click.option("--reason", required=True, help="Why. It is kept.")
@click.option("--as", "as_name", metavar="WHO", help="Who you are. [default: git's user.email]")
@click.option("--dry-run", is_flag=True, help="Only say which version it would be.")
@options.as_json
@click.pass_obj
def command(
    found: dict[str, Path | None], env: str, reason: str, as_name: str | None, dry_run: bool, as_json: bool
) -> None:
    """Needs no approval: going back to what was approved is always allowed, and always entered."""
    from gatehouse.cli.display import TerminalProgress, echo_json
    from gatehouse.cli.world import open_context, place
    from gatehouse.gates.identity import git_config_of, local_identity
    from gatehouse.pipelines.promotion import rollback

    actor = local_identity(as_name, git_config_of(Path.cwd()))
    with open_context(place(found), env, as_of=None, progress=TerminalProgress()) as context:
        target, skipped, settled = rollback(context, actor=actor, reason=reason, dry_run=dry_run)
    for reason_skipped in skipped:
        click.echo(f"passed over: {reason_skipped}", err=True)
    if settled is not None and not settled.moved:
        raise Refused(f"Nothing was changed. {settled.undone}", remedy="See gatehouse status.")
    if as_json:
        echo_json({"version": target, "skipped": skipped, "dry_run": dry_run})
    elif dry_run:
        click.echo(f"Would go back to version {target} of {context.model}.")
    else:
        click.echo(f"Version {target} is the champion of {context.model} again.")
