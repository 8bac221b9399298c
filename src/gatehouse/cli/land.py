"""`gatehouse land`: raw files where a source's rows land."""

from __future__ import annotations

from pathlib import Path

import click

from gatehouse.cli import options
from gatehouse.errors import UsageError


@click.command(
    "land",
    help="Put raw FILES where the rows of a source table land, for sources that read what landed: a folder of the "
    "lakehouse on a laptop, the volume `landing` on Databricks, where Auto Loader finds them. What has landed never "
    "changes: the same file again does nothing, another one of its name is refused. `gatehouse run ingest` reads them.",
    short_help="Put raw files where a source's rows land.",
)
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILES..."
)
@click.option("--table", required=True, metavar="NAME", help="The source table.")
@options.environment()
@click.pass_obj
def command(found: dict[str, Path | None], files: tuple[Path, ...], table: str, env: str) -> None:
    """Each file is there whole, or not at all."""
    from gatehouse.cli.world import load_project, make_folder, place
    from gatehouse.lakehouse.table_types import TableName

    where = place(found)
    environment = where.settings.environment(env)
    sources = [source.table.name for source in load_project(where.settings).sources]
    if table not in sources:
        raise UsageError(
            f"There is no source table {table!r}.",
            why="Files land for one source, which knows how to read them.",
            remedy=f"Choose from: {', '.join(sources)}.",
        )
    make_folder(where.root)
    platform, name = where.platform(env), TableName(*environment.place, table)
    for file in files:
        landed = platform.land(name, file)
        click.echo(f"{file.name}: {'landed' if landed else 'is there already'}")
