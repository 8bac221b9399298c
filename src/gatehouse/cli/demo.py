"""`gatehouse demo`: the whole loop on real data, told step by step."""

from __future__ import annotations

from pathlib import Path

import click

from gatehouse.errors import UsageError


@click.command(
    "demo",
    help="Tell the whole story on real data in a minute or two: three environments, a first release, a better model "
    "and two worse ones at the gates, approval and promotion, scoring, monitoring, and the way back.",
)
@click.option(
    "--picture",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.svg",
    help="Also keep what the terminal showed as a picture.",
)
@click.pass_obj
def command(found: dict[str, Path | None], picture: Path | None) -> None:
    """Runs in the lakehouse of this checkout; a second run finds its work done."""
    if picture is not None and picture.suffix != ".svg":
        raise UsageError(f"--picture {str(picture)!r} does not end in .svg.", remedy="Name an .svg file.")

    from rich.console import Console

    from gatehouse.cli.display import TerminalProgress
    from gatehouse.cli.story import Story
    from gatehouse.cli.world import open_world, place

    console = Console(highlight=False, record=picture is not None, width=100 if picture is not None else None)
    with open_world(place(found), "prod") as world:
        # A picture is of what happened; the seconds of every step go to the terminal only.
        progress = TerminalProgress() if picture is not None else TerminalProgress(console)
        Story(world, console, progress).tell()
    if picture is not None:
        picture.parent.mkdir(parents=True, exist_ok=True)
        console.save_svg(str(picture), title="gatehouse demo")
        click.echo(f"picture: {picture}")
