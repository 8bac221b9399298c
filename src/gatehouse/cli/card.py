"""`gatehouse card`: the model card of a version."""

from __future__ import annotations

from pathlib import Path

import click

from gatehouse.cli import options


@click.command(
    "card",
    help="The model card of VERSION, from what registry and training run hold of it. A blank is named as a finding.",
)
@click.argument("version")
@options.environment("prod")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write it as a page to this file.")
@options.as_json
@click.pass_obj
def command(found: dict[str, Path | None], version: str, env: str, html: Path | None, as_json: bool) -> None:
    """Reads only."""
    from gatehouse.cli.display import echo_json, stdout_console
    from gatehouse.cli.world import look
    from gatehouse.pipelines.pages import read_card
    from gatehouse.reports.card_page import card_html, card_markdown
    from gatehouse.reports.page import write

    with look(found, env) as context:
        card = read_card(context, context.registry.get(context.model, version))
    if html is not None:
        write(html, card_html(card))
    if as_json:
        echo_json({**dict(card.standing), "card": card.text, "findings": [f.to_record() for f in card.findings]})
    elif html is None:
        _show(card_markdown(card), stdout_console())


def _show(text: str, console: object) -> None:
    """Set for a reader; into a file or a pipe as it is."""
    from rich.console import Console
    from rich.markdown import Markdown

    assert isinstance(console, Console)  # noqa: S101 - typed lazily
    if console.is_terminal:
        console.print(Markdown(text))
    else:
        click.echo(text, nl=False)
