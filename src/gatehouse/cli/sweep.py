"""`gatehouse sweep`: the janitor of rehearsals."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from gatehouse.cli import options


@click.command(
    "sweep",
    help="Drop the schemas that rehearsals of an environment left behind, once their time is over. Those of rehearsals "
    "that are running stay, and so does everything that no rehearsal made.",
)
@options.environment("staging")
@click.option(
    "--older-than-hours",
    type=click.IntRange(min=0),
    metavar="N",
    help="Drop what was begun more than N hours ago, whatever its time; 0 drops everything that is not running.",
)
@click.option(
    "--schema",
    metavar="NAME",
    help="Drop this one alone, whatever its time, such as pr_12 of a request that was closed.",
)
@options.as_json
@click.pass_obj
def command(
    found: dict[str, Path | None], env: str, older_than_hours: int | None, schema: str | None, as_json: bool
) -> None:
    """Twice in a row, the second time finds nothing."""
    from gatehouse.cli.display import TerminalProgress, echo_json
    from gatehouse.cli.world import place
    from gatehouse.pipelines.ephemeral import sweep

    where = place(found)
    where.settings.environment(env)
    hours = 0 if schema and older_than_hours is None else older_than_hours
    older_than = None if hours is None else timedelta(hours=hours)
    swept = sweep(
        where.platform(env, rehearsals=True),
        env,
        now=datetime.now(UTC),
        older_than=older_than,
        progress=TerminalProgress(),
        schema=schema,
    )
    if as_json:
        echo_json(
            {
                "dropped": [m.place for m in swept.dropped],
                "kept": {m.place: m.expires_at for m in swept.kept},
                "running": [m.place for m in swept.running],
            }
        )
        return
    for marker in swept.dropped:
        click.echo(
            f"{marker.place} dropped: begun {marker.started_at:%Y-%m-%d %H:%M} UTC. {marker.failed or ''}".rstrip()
        )
    for marker in swept.kept:
        click.echo(f"{marker.place} kept until {marker.expires_at:%Y-%m-%d %H:%M} UTC. {marker.failed or ''}".rstrip())
    for marker in swept.running:
        click.echo(f"{marker.place} is running.")
    if not (swept.dropped or swept.kept or swept.running):
        click.echo(f"Rehearsals of {env} left nothing behind.")
