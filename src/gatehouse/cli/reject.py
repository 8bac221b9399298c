"""`gatehouse reject`: a person keeps a judged version out."""

from __future__ import annotations

from pathlib import Path

import click

from gatehouse.cli import options
from gatehouse.cli.deciding import decide_by_name


@click.command("reject", help="Reject a judged version: it cannot be promoted any more, whoever approves it.")
@click.argument("version")
@options.environment("prod")
@click.option("--reason", required=True, help="Why. It is kept.")
@click.option("--as", "as_name", metavar="WHO", help="Who you are. [default: who signed in, or git's user]")
@click.option("--answer", "answers", multiple=True, metavar="CHECK=TEXT", help="Answer a manual check of the policy.")
@options.as_json
@click.pass_obj
def command(
    found: dict[str, Path | None],
    version: str,
    env: str,
    reason: str,
    as_name: str | None,
    answers: tuple[str, ...],
    as_json: bool,
) -> None:
    """Anybody may, also who proposed it."""
    decide_by_name("reject", found, version, env, reason, as_name, answers, as_json)
