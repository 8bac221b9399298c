"""`gatehouse comment`: one comment on a pull request, brought up to date instead of repeated."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(
    "comment",
    help="Write FILE (Markdown) as a comment on a pull request, or replace what was written there before. A fork's run "
    "may not write: then it says so, and that is no error.",
    short_help="Write one comment on a pull request.",
)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--pull-request", type=click.IntRange(1), required=True, metavar="N", help="Number of the pull request.")
@click.option("--marker", default="checks", show_default=True, help="Which of our comments it is.")
@click.pass_obj
def command(_found: dict[str, Path | None], file: Path, pull_request: int, marker: str) -> None:
    """The file is Markdown of Gatehouse's own, in which names and reasons are escaped already."""
    from gatehouse.cli.telling import provider_of
    from gatehouse.errors import UsageError

    try:
        markdown = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{file} cannot be read: {error}.",
            why="It is what the comment would say.",
            remedy="Name a file of Markdown, such as one that `gatehouse why VERSION --markdown` wrote.",
        ) from None
    address = provider_of(Path.cwd()).comment(pull_request, marker, markdown)
    if address is None:
        click.echo("No comment: this run may only read, as it is with a fork's. The summary of the run says the same.")
    else:
        click.echo(address)
