"""`gatehouse features`: what features exist."""

from __future__ import annotations

from pathlib import Path

import click

from gatehouse.cli import options


@click.command("features", help="What features exist: description, owner, units, freshness.")
@options.environment("prod")
@options.as_json
@click.pass_obj
def command(found: dict[str, Path | None], env: str, as_json: bool) -> None:
    """One line per feature, in the order in which the model gets them."""
    from gatehouse.cli.display import echo_json, stdout_console, table
    from gatehouse.cli.world import look
    from gatehouse.pipelines.standing import features

    with look(found, env) as context:
        rows = features(context)
    if as_json:
        echo_json(rows)
        return
    stdout_console().print(
        table(
            f"{context.project.name}: {len(rows)} features",
            ("feature", "table", "description", "unit", "owner", "fresh until"),
            [(r.name, r.table, r.description, r.unit, r.owner, r.fresh_until) for r in rows],
        )
    )
