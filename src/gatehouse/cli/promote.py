"""`gatehouse promote`: an approved version becomes the champion."""

from __future__ import annotations

from pathlib import Path

import click

from gatehouse.cli import options
from gatehouse.errors import Refused, UsageError


@click.command(
    "promote",
    help="Make an approved version the champion: checks record, files, approvals and the champion it was compared "
    "with, moves the alias, tries the version, and puts everything back if it does not work.",
)
@click.argument("version")
@options.environment("prod")
@click.option("--as", "as_name", metavar="WHO", help="Who you are. [default: who signed in, the CI's user, or git's]")
@click.option(
    "--break-glass", is_flag=True, help="In an emergency, past the gates: two different people, each with a reason."
)
@click.option("--reason", default="", help="Why; --break-glass demands it.")
@options.as_json
@click.pass_obj
def command(
    found: dict[str, Path | None],
    version: str,
    env: str,
    as_name: str | None,
    break_glass: bool,
    reason: str,
    as_json: bool,
) -> None:
    """A promotion that was interrupted is settled first, whoever runs this."""
    from gatehouse.cli.acting import acting, deciding
    from gatehouse.cli.display import TerminalProgress, echo_json
    from gatehouse.cli.judges import judge_of
    from gatehouse.cli.telling import decision_summary, provider_of, tell
    from gatehouse.cli.world import open_context, place
    from gatehouse.gates.approval import Decision
    from gatehouse.pipelines.approval import decide
    from gatehouse.pipelines.judging import refuse_withdrawn
    from gatehouse.pipelines.promotion import promote

    if break_glass and not reason.strip():
        raise UsageError(
            "--break-glass needs a --reason.",
            why="It is marked in the record, the audit log and the status until a normal promotion follows.",
            remedy="Say what the emergency is: --reason '...'",
        )
    where = place(found)
    signed = where.platform(env).signed_in()
    actor = acting(provider_of(where.settings.root), signed, as_name)
    witness = deciding(signed, as_name)[1] if signed and signed.is_person else None
    with open_context(where, env, as_of=None, progress=TerminalProgress()) as context:
        known = context.registry.get(context.model, version)
        if break_glass and (signed is None or signed.is_person):  # a service principal acts on what two people said
            decide(context, known, Decision.BREAK_GLASS, actor=actor, reason=reason, answers={}, witness=witness)
        elif not break_glass and context.environment.driver == "registry":
            refuse_withdrawn(context, known, judge_of(where, env).rights)
        settled = promote(context, known, actor=actor, break_glass=break_glass, reason=reason)
        told = decision_summary(context, settled.version)
    tell(where.settings.root, told, {"champion": settled.champion or ""})
    if not settled.moved:
        raise Refused(
            f"Version {settled.version} was put back. {settled.undone}",
            why=f"The champion is {settled.champion or 'nobody'}, as before.",
            remedy="Mend the version, or train a new one.",
        )
    if as_json:
        echo_json(settled)
    else:
        click.echo(f"Version {settled.version} is the champion of {context.model}.")
