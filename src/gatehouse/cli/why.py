"""`gatehouse why`: why a version was, or was not, promoted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatehouse.cli import options

if TYPE_CHECKING:
    from gatehouse.reports.decision import Decision


@click.command("why", help="Why a version was, or was not, promoted: what decided with its numbers, and what next.")
@click.argument("version")
@options.environment("prod")
@click.option("--all", "every", is_flag=True, help="Every finding and slice, those that passed and inform too.")
@click.option(
    "--markdown", is_flag=True, help="As GitHub-flavoured Markdown, for a comment; in a CI also on the page of its run."
)
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write it as a page to this file.")
@options.as_json
@click.pass_obj
def command(
    found: dict[str, Path | None],
    version: str,
    env: str,
    every: bool,
    markdown: bool,
    html: Path | None,
    as_json: bool,
) -> None:
    """Reads the decision record, the approvals and the audit log."""
    from gatehouse.cli.display import stdout_console
    from gatehouse.cli.words import show_decision
    from gatehouse.cli.world import look
    from gatehouse.pipelines.approval import approval_verdict
    from gatehouse.pipelines.decisions import card_of, find
    from gatehouse.pipelines.pages import decision_of

    with look(found, env) as context:
        known = context.registry.get(context.model, version)
        record = find(context, known)
        decision = decision_of(context, record, people=approval_verdict(context, record))
        card = card_of(known.description)
    if html is not None:
        from gatehouse.reports.decision_page import decision_html
        from gatehouse.reports.page import write

        write(html, decision_html(decision, card=card))
    if markdown:
        from gatehouse.cli.telling import tell
        from gatehouse.cli.world import place
        from gatehouse.reports.summary import decision_markdown

        click.echo(decision_markdown(decision), nl=False)
        tell(place(found).settings.root, decision_markdown(decision))
    elif as_json:
        _print_json(decision)
    elif html is None:
        show_decision(stdout_console(), decision, every=every)


def _print_json(decision: Decision) -> None:
    from gatehouse.cli.display import echo_json

    echo_json(
        {
            "version": decision.version,
            "verdict": decision.outcome,
            "record": decision.digest,
            "findings": [f.to_record() for f in decision.record.judged.findings],
            "approval": [f.to_record() for f in decision.people.findings] if decision.people else [],
            "events": decision.events,
            "next": decision.command,
        }
    )
