"""`gatehouse status`: where an environment stands."""

from __future__ import annotations

from pathlib import Path

import click

from gatehouse.cli import options


@click.command("status", help="Where an environment stands: tables, versions, aliases, latest figures.")
@options.environment("prod")
@options.as_json
@click.pass_obj
def command(found: dict[str, Path | None], env: str, as_json: bool) -> None:
    """Reads only."""
    from gatehouse.cli.display import echo_json, stdout_console, table
    from gatehouse.cli.world import look
    from gatehouse.pipelines.standing import standing

    with look(found, env) as context:
        here = standing(context)
    if as_json:
        echo_json(here)
        return
    console = stdout_console()
    if not here.tables:
        console.print(
            f"{env} ({here.catalog}.{here.schema}) is empty. Begin with: gatehouse run ingest --env {env} --as-of DATE"
        )
        return
    console.print(
        table(
            f"{env}: tables of {here.catalog}.{here.schema}",
            ("table", "version", "rows", "known until"),
            [(t.name, t.version, t.rows, t.known_until) for t in here.tables],
        )
    )
    console.print()
    console.print(
        table(
            f"versions of {context.model}",
            ("version", "aliases", "trained until", "proposed by", "code"),
            [(v.version, ", ".join(v.aliases), v.trained_until, v.proposer, v.code) for v in here.versions],
        )
    )
    console.print()
    for warning in here.warnings:
        console.print(f"[bold red]![/bold red] {warning}")
    if here.champion is None:
        console.print("No champion.")
    if here.metrics:
        figures = ", ".join(f"{name} {value:.4f}" for name, value in here.metrics.items())
        console.print(f"Champion version {here.champion}, measured {here.measured_at:%Y-%m-%d}: {figures}")
