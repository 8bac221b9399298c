"""`gatehouse land`: raw files where a source's rows land."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatehouse.cli import options
from gatehouse.errors import UsageError

if TYPE_CHECKING:
    from gatehouse.project import Project


@click.command(
    "land",
    help="Put raw FILES where the rows of a source table land, for sources that read what landed: a folder of the "
    "lakehouse on a laptop, the volume `landing` on Databricks, where Auto Loader finds them. What has landed never "
    "changes: the same file again does nothing, another one of its name is refused. `gatehouse run ingest` reads them. "
    "--sample lands the files that the project brings instead.",
    short_help="Put raw files where a source's rows land.",
)
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="[FILES...]")
@click.option("--table", metavar="NAME", help="The source table of FILES.")
@click.option("--sample", is_flag=True, help="The project's own sample, for each of its sources.")
@options.environment()
@click.pass_obj
def command(found: dict[str, Path | None], files: tuple[Path, ...], table: str | None, sample: bool, env: str) -> None:
    """Each file is there whole, or not at all."""
    from gatehouse.cli.display import TerminalProgress
    from gatehouse.cli.world import load_project, make_folder, place
    from gatehouse.lakehouse.table_types import TableName
    from gatehouse.pipelines.landing import land_sample

    if sample == bool(files) or sample == (table is not None):
        raise UsageError(
            "--sample lands the project's own files." if sample else "Which files land for which source is to be said.",
            why="The sample knows the source of each of its files; other files do not.",
            remedy="gatehouse land --sample    or    gatehouse land FILES --table NAME",
        )
    where = place(found)
    environment = where.settings.environment(env)
    project = load_project(where.settings)
    if table is not None:
        _refuse_unknown(table, project)
    make_folder(where.root)
    platform = where.platform(env)
    if table is None:
        for name, landed in land_sample(platform, environment.place, project, TerminalProgress()):
            _say(name, landed)
        return
    for file in files:
        _say(file.name, platform.land(TableName(*environment.place, table), file))


def _refuse_unknown(table: str, project: Project) -> None:
    sources = [source.table.name for source in project.sources]
    if table not in sources:
        raise UsageError(
            f"There is no source table {table!r}.",
            why="Files land for one source, which knows how to read them.",
            remedy=f"Choose from: {', '.join(sources)}.",
        )


def _say(file: str, landed: bool) -> None:
    click.echo(f"{file}: {'landed' if landed else 'is there already'}")
