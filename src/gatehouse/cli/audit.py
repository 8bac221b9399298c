"""`gatehouse audit`: who decided and did what, and whether the log still says it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatehouse.cli import options
from gatehouse.errors import DataError, UsageError

if TYPE_CHECKING:
    from gatehouse.lakehouse.audit_chain import Head


@click.group(
    "audit", help="The append-only log of decisions and moves, chained by hashes.", invoke_without_command=False
)
def command() -> None:
    """Two verbs below."""


@command.command("show", help="Every entry, oldest first.")
@options.environment("prod")
@options.as_json
@click.pass_obj
def show(found: dict[str, Path | None], env: str, as_json: bool) -> None:
    """Reads only."""
    from gatehouse.cli.display import echo_json, stdout_console, table
    from gatehouse.cli.world import look

    with look(found, env) as context:
        entries = context.audit.entries()
    if as_json:
        echo_json(entries)
        return
    rows = [(str(e.seq), e.at, e.actor, e.action, e.version, e.hash[:12]) for e in entries]
    stdout_console().print(table(f"audit log of {env}", ("", "at", "who", "what", "version", "hash"), rows))


@command.command("verify", help="Find any change, removal or reordering, and any alias that was moved by another hand.")
@options.environment("prod")
@click.option(
    "--head",
    metavar="NUMBER:HASH",
    help="An earlier end of the log that was kept elsewhere, as this command prints it: who can write the log can "
    "rewrite all of it, and not what you kept.",
)
@options.as_json
@click.pass_obj
def verify(found: dict[str, Path | None], env: str, head: str | None, as_json: bool) -> None:
    """Exit code 4 if anything is wrong."""
    from gatehouse.cli.display import echo_json
    from gatehouse.cli.world import look
    from gatehouse.pipelines.promotion import gatekeeper

    kept = _kept(head) if head is not None else None
    with look(found, env) as context:
        checked = context.audit.verify(kept)
        outside = gatekeeper(context).moved_outside()
        number = len(context.audit.entries()) if checked.ok else 0
    problems = [*checked.problems, *([outside] if outside else [])]
    if as_json:
        echo_json({"ok": not problems, "problems": problems, "head": checked.head})
    if problems:
        raise DataError(
            f"The audit log of {env} and the registry do not hold: " + " ".join(problems),
            why="Who approved what, and who is champion, can no longer be proven.",
            remedy=f"Compare with a copy of the log; then go back: gatehouse rollback --env {env} --reason ...",
        )
    if not as_json:
        click.echo(f"{number} entries, unbroken; the champion is the one they name.")
        if checked.head is not None:
            click.echo(f"Its head, to keep elsewhere: {checked.head.seq}:{checked.head.hash}")


def _kept(head: str) -> Head:
    from gatehouse.lakehouse.audit_chain import Head

    found = re.fullmatch(r"(\d+):([0-9a-f]{64})", head)
    if found is None:
        raise UsageError(
            f"{head!r} is no head of an audit log.",
            why="It is the number of an entry, a colon, and the 64 digits of its hash.",
            remedy="Give what `gatehouse audit verify` printed when the head was kept.",
        )
    return Head(seq=int(found[1]), hash=found[2])
