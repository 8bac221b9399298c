"""`gatehouse approve`: a person, or the CI's own gate, lets a judged version through."""

from __future__ import annotations

from pathlib import Path

import click

from gatehouse.cli import options
from gatehouse.cli.deciding import decide_by_name, show_decisions
from gatehouse.errors import ConfigurationError, UsageError


@click.command(
    "approve",
    help="Approve a judged version: bound to its decision record and its files, and void if either changes. In a CI, "
    "--from-ci asks the provider who approved this run, and records that person.",
)
@click.argument("version")
@options.environment("prod")
@click.option("--reason", help="Why. It is kept.")
@click.option("--as", "as_name", metavar="WHO", help="Who you are. [default: who signed in, or git's user]")
@click.option("--answer", "answers", multiple=True, metavar="CHECK=TEXT", help="Answer a manual check of the policy.")
@click.option("--from-ci", is_flag=True, help="The provider's own approval of this run, instead of --reason and --as.")
@click.option(
    "--ci-environment",
    metavar="NAME",
    help="With --from-ci: the provider's environment whose reviewers decide. [default: ENV-approval]",
)
@options.as_json
@click.pass_obj
def command(
    found: dict[str, Path | None],
    version: str,
    env: str,
    reason: str | None,
    as_name: str | None,
    answers: tuple[str, ...],
    from_ci: bool,
    ci_environment: str | None,
    as_json: bool,
) -> None:
    """Nobody approves what they proposed, whoever says so."""
    if not from_ci:
        if ci_environment is not None:
            raise UsageError("--ci-environment belongs to --from-ci.", remedy="Leave it out, or add --from-ci.")
        decide_by_name("approve", found, version, env, _given(reason), as_name, answers, as_json)
        return
    if reason is not None or as_name is not None or answers:
        raise UsageError(
            "--from-ci leaves no room for --reason, --as or --answer.",
            why="Who approved, and why, is what the provider says, and nothing else.",
            remedy="Write reason and answers into the comment of the review (a line `check-id: answer` for each).",
        )
    from gatehouse.cli.display import TerminalProgress
    from gatehouse.cli.from_ci import approve_from_ci
    from gatehouse.cli.telling import provider_of
    from gatehouse.cli.world import open_context, place

    where = place(found)
    if where.settings.environment(env).driver != "ci":
        raise ConfigurationError(
            f"In {env} the registry judges new versions, and not the CI (driver: registry).",
            why="With two judges, one would promote what the other is still asking people about.",
            remedy=f"gatehouse approve {version} --env {env} --reason '...'    by somebody who did not propose it",
        )
    with open_context(where, env, as_of=None, progress=TerminalProgress()) as context:
        known = context.registry.get(context.model, version)
        approvals, standing = approve_from_ci(
            context, known, provider_of(where.settings.root), ci_environment or f"{env}-approval"
        )
    show_decisions("approve", approvals, standing, known, env, as_json=as_json)


def _given(reason: str | None) -> str:
    if reason is None:
        raise UsageError(
            "An approval needs a --reason.",
            why="It is kept, and whoever asks why later finds it.",
            remedy="Add --reason '...'    (in a CI: --from-ci)",
        )
    return reason
