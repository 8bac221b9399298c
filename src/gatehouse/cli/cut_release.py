"""`gatehouse cut-release`: a release branch from this commit."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(
    "cut-release",
    help="Make the branch release/NAME from the commit of this run, and let the release start on it. Ask first whether "
    "the commit passed staging: gatehouse tested.",
    short_help="Make a release branch from this commit.",
)
@click.argument("name")
@click.option("--start", default="release", show_default=True, metavar="WORKFLOW", help="What begins on the branch.")
@click.pass_obj
def command(_found: dict[str, Path | None], name: str, start: str) -> None:
    """The same branch on the same commit again is no error."""
    from gatehouse.ci.branches import release_branch
    from gatehouse.cli.telling import provider_of

    branch = release_branch(name)
    provider = provider_of(Path.cwd())
    people = provider.run().people
    address = provider.cut(branch, start=start, proposer=people[0] if people else "")
    provider.summary(f"Cut [`{branch}`]({address}) from `{provider.run().commit[:12]}`; its release has begun.\n")
    click.echo(f"{branch}: {address}")
