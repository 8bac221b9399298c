"""`gatehouse cut-release`: a release branch from this commit."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(
    "cut-release",
    help="Make the branch release/NAME from a commit, and let the release start on it. Ask first whether the commit "
    "passed staging: gatehouse tested.",
    short_help="Make a release branch from a commit.",
)
@click.argument("name")
@click.option("--commit", metavar="SHA", help="Commit, in full. [default: the commit of this run]")
@click.option("--start", default="release", show_default=True, metavar="WORKFLOW", help="What begins on the branch.")
@click.pass_obj
def command(_found: dict[str, Path | None], name: str, commit: str | None, start: str) -> None:
    """The same branch on the same commit again is no error."""
    from gatehouse.ci.branches import release_branch
    from gatehouse.cli.telling import provider_of

    branch = release_branch(name)
    provider = provider_of(Path.cwd())
    people, cut_from = provider.run().people, commit or provider.run().commit
    address = provider.cut(branch, commit=cut_from, start=start, proposer=people[0] if people else "")
    provider.summary(f"Cut [`{branch}`]({address}) from `{cut_from[:12]}`; its release has begun.\n")
    click.echo(f"{branch}: {address}")
