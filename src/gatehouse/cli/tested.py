"""`gatehouse tested`: was exactly this commit green in staging?"""

from __future__ import annotations

from pathlib import Path

import click

from gatehouse.cli import options


@click.command(
    "tested",
    help="Whether the CI has a green run of a workflow on exactly this commit; refuses any other. Asked before a "
    "release is cut, and before it begins.",
    short_help="Whether this commit was green in staging.",
)
@options.environment("staging")
@click.option("--workflow", metavar="NAME", help="Workflow, or pipeline, that has to be green. [default: that of ENV]")
@click.option("--commit", metavar="SHA", help="Commit, in full. [default: the commit of this run]")
@click.option("--branch", metavar="NAME", help="Branch that it ran on. [default: the staging branch]")
@options.as_json
@click.pass_obj
def command(
    found: dict[str, Path | None],
    env: str,
    workflow: str | None,
    commit: str | None,
    branch: str | None,
    as_json: bool,
) -> None:
    """A run of another commit, of another branch, of a pull request or of a fork is no answer."""
    from gatehouse.cli.display import echo_json
    from gatehouse.cli.telling import provider_of
    from gatehouse.cli.world import place
    from gatehouse.errors import Refused

    where = place(found)
    where.settings.environment(env)
    provider = provider_of(where.settings.root)
    asked = commit or provider.run().commit
    name, watched = workflow or env, branch or where.settings.environments.staging_branch
    address = provider.successful_run(name, asked, branch=watched)
    if address is None:
        raise Refused(
            f"There is no green run of {name} on commit {asked[:12] or '?'} of {watched}.",
            why="What was not tested in one piece does not reach production.",
            remedy=f"Bring the commit into {watched}, wait until {name} is green, and run this again.",
        )
    if as_json:
        echo_json({"commit": asked, "workflow": name, "run": address})
    else:
        click.echo(f"{name} was green on {asked[:12]}: {address}")
