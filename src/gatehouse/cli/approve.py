"""`gatehouse approve` and `gatehouse reject`: what a person says about a judged version."""

from __future__ import annotations

from pathlib import Path

import click

from gatehouse.cli import options
from gatehouse.errors import UsageError


def decision_command(name: str, help_text: str) -> click.Command:
    """The two verbs differ in a word."""

    @click.command(name, help=help_text)
    @click.argument("version")
    @options.environment("prod")
    @click.option("--reason", required=True, help="Why. It is kept.")
    @click.option("--as", "as_name", metavar="WHO", help="Who you are. [default: git's user.email]")
    @click.option(
        "--answer", "answers", multiple=True, metavar="CHECK=TEXT", help="Answer a manual check of the policy."
    )
    @options.as_json
    @click.pass_obj
    def verb(
        found: dict[str, Path | None],
        version: str,
        env: str,
        reason: str,
        as_name: str | None,
        answers: tuple[str, ...],
        as_json: bool,
    ) -> None:
        from gatehouse.cli.display import TerminalProgress, echo_json, stdout_console
        from gatehouse.cli.words import show_verdict
        from gatehouse.cli.world import open_context, place
        from gatehouse.gates.approval import Decision
        from gatehouse.gates.identity import git_config_of, local_identity
        from gatehouse.pipelines.approval import decide

        where = place(found)
        actor = local_identity(as_name, git_config_of(Path.cwd()))
        with open_context(where, env, as_of=None, progress=TerminalProgress()) as context:
            known = context.registry.get(context.model, version)
            approval, standing = decide(
                context, known, Decision(name), actor=actor, reason=reason, answers=_parsed(answers)
            )
        if as_json:
            echo_json({"decision": approval.to_record(), "opens": standing.opens, "reason": standing.sentence()})
            return
        console = stdout_console()
        past = "approved" if name == "approve" else "rejected"
        console.print(f"Version {approval.version} {past} by {actor}.")
        if standing.opens:
            console.print(f"It may be promoted: gatehouse promote {approval.version} --env {env}")
        else:
            show_verdict(console, standing, every=False)

    return verb


def _parsed(answers: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for answer in answers:
        check, equals, text = answer.partition("=")
        if not equals or not text.strip():
            raise UsageError(
                f"--answer {answer!r} has no text.",
                why="An empty answer answers nothing.",
                remedy="Write --answer check-id='what you found'.",
            )
        found[check.strip()] = text.strip()
    return found


command = decision_command(
    "approve", "Approve a judged version: bound to its decision record and its files, and void if either changes."
)
