"""`gatehouse rollback`: back to the last approved version that works, or to the code that was live before."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gatehouse.cli import options
from gatehouse.errors import Refused

if TYPE_CHECKING:
    from gatehouse.gates.identity import Identity
    from gatehouse.pipelines.context import Context


@click.command(
    "rollback",
    help="Go back to the last version that was champion, went through the gates, loads and passes the smoke test; or "
    "to the code that was live before; or to both.",
    short_help="Go back to the last approved version that works, or to the code before.",
)
@options.environment("prod")
@click.option("--reason", required=True, help="Why. It is kept.")
@click.option("--what", type=click.Choice(["model", "code", "both"]), default="model", show_default=True)
@click.option("--as", "as_name", metavar="WHO", help="Who you are. [default: who signed in, the CI's user, or git's]")
@click.option("--dry-run", is_flag=True, help="Only say what it would be.")
@options.as_json
@click.pass_obj
def command(
    found: dict[str, Path | None],
    env: str,
    reason: str,
    what: str,
    as_name: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Needs no approval: going back to what was approved is always allowed, and always entered."""
    from gatehouse.cli.acting import acting
    from gatehouse.cli.display import TerminalProgress, echo_json
    from gatehouse.cli.telling import provider_of, tell
    from gatehouse.cli.world import open_context, place
    from gatehouse.reports.gfm import escaped

    where = place(found)
    actor = acting(provider_of(where.settings.root), where.platform(env).signed_in(), as_name)
    told: dict[str, Any] = {"dry_run": dry_run}
    lines: list[str] = []
    with open_context(where, env, as_of=None, progress=TerminalProgress()) as context:
        if what != "model":
            lines += _code(context, actor, reason, told, dry_run=dry_run)
        if what != "code":
            lines += _model(context, actor, reason, told, dry_run=dry_run)
    tell(where.settings.root, "## Rollback\n\n" + "\n\n".join(escaped(line, at_most=1000) for line in lines) + "\n")
    if as_json:
        echo_json(told)
        return
    for line in lines:
        click.echo(line)


def _code(context: Context, actor: Identity, reason: str, told: dict[str, Any], *, dry_run: bool) -> list[str]:
    from gatehouse.pipelines.deployment import code_before, go_back

    if dry_run:
        target = code_before(context)
        told["code"] = target
        return [f"Would make the code {target} live in {context.name} again."]
    if context.platform.in_jobs:
        _deploy_again(context, code_before(context).commit)
    target, present = go_back(context, reason=reason, actor=actor)
    told["code"] = target
    return [
        f"The code {target} is live in {context.name} again, in the place of {present}.",
        f"Put it into a checkout with: gatehouse live --env {context.name} --checkout",
    ]


def _deploy_again(context: Context, commit: str) -> None:
    """Jobs run what the bundle deployed, so a workspace gets the older code before the log says that it is live."""
    from gatehouse.code_version import checked_out_aside
    from gatehouse.databricks.bundle import deploy_bundle

    with checked_out_aside(context.settings.root, commit) as aside:
        deploy_bundle(aside, context.name, context.progress, any_branch=True)


def _model(context: Context, actor: Identity, reason: str, told: dict[str, Any], *, dry_run: bool) -> list[str]:
    from gatehouse.pipelines.promotion import rollback

    target, skipped, settled = rollback(context, actor=actor, reason=reason, dry_run=dry_run)
    for reason_skipped in skipped:
        click.echo(f"passed over: {reason_skipped}", err=True)
    if settled is not None and not settled.moved:
        raise Refused(f"Nothing was changed. {settled.undone}", remedy="See gatehouse status.")
    told.update({"version": target, "skipped": skipped})
    if dry_run:
        return [f"Would go back to version {target} of {context.model}."]
    return [f"Version {target} is the champion of {context.model} again."]
