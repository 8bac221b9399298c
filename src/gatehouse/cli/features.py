"""`gatehouse features`: what features exist."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import click

from gatehouse.cli import options


@click.command("features", help="What features exist: description, owner, units, freshness.")
@options.environment("prod")
@options.as_json
@click.pass_obj
def command(found: dict[str, Path | None], env: str, as_json: bool) -> None:
    """One line per feature, in the order in which the model gets them."""
    from rich.markup import escape

    from gatehouse.cli.display import echo_json, shown, stdout_console
    from gatehouse.cli.world import look
    from gatehouse.pipelines.standing import features

    with look(found, env) as context:
        rows = features(context)
    if as_json:
        echo_json(rows)
        return
    console = stdout_console()
    console.print(f"[bold]{escape(context.project.name)}[/bold]: {len(rows)} features")
    for name, group in groupby(sorted(rows, key=lambda r: r.table), key=lambda r: r.table):
        members = list(group)
        fresh = f"fresh until {shown(members[0].fresh_until)}" if members[0].fresh_until else "not computed yet"
        console.print(f"\n[bold]{name}[/bold] [dim]{escape(members[0].owner)}, {fresh}[/dim]")
        for member in members:
            unit = f" [dim]({escape(member.unit)})[/dim]" if member.unit else ""
            console.print(f"  {member.name:<32} {escape(member.description)}{unit}")
