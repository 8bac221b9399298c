"""`gatehouse why`: why a version was, or was not, promoted."""

from __future__ import annotations

from pathlib import Path

import click

from gatehouse.cli import options


@click.command("why", help="Why a version was, or was not, promoted: every finding with its numbers, and what next.")
@click.argument("version")
@options.environment("prod")
@options.as_json
@click.pass_obj
def command(found: dict[str, Path | None], version: str, env: str, as_json: bool) -> None:
    """Reads the decision record, the approvals and the audit log."""
    from gatehouse.cli.display import echo_json, stdout_console
    from gatehouse.cli.words import show_record, show_verdict
    from gatehouse.cli.world import look
    from gatehouse.gates.promotion import Kind
    from gatehouse.pipelines.approval import approval_verdict
    from gatehouse.pipelines.decisions import find
    from gatehouse.pipelines.promotion import gatekeeper

    with look(found, env) as context:
        record = find(context, context.registry.get(context.model, version))
        people = approval_verdict(context, record)
        live = [entry for entry in gatekeeper(context).history() if entry.version == record.promoted.version]
    if as_json:
        echo_json(
            {
                "version": record.promoted.version,
                "verdict": record.verdict,
                "record": record.digest(),
                "findings": [f.to_record() for f in record.judged.findings],
                "approval": [f.to_record() for f in people.findings],
                "live": [{"kind": x.kind, "at": x.entry.at, "by": x.entry.actor} for x in live],
            }
        )
        return
    console = stdout_console()
    show_record(console, record, record.digest(), every=True)
    console.print("\n[bold]People[/bold]")
    show_verdict(console, people, every=True)
    for entry in live:
        past = " [bold red]past the gates (break glass)[/bold red]" if entry.kind is Kind.BREAK_GLASS else ""
        console.print(f"Champion since {entry.entry.at:%Y-%m-%d %H:%M} UTC by {entry.entry.actor} ({entry.kind}){past}")
