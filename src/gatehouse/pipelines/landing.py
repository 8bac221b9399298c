"""A project's sample of raw files: landed as files of a source land, where an environment has none of its own.

What has begun stands in the environment's store, so that a sample is never taken for whole when half of it landed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from gatehouse.errors import ConfigurationError
from gatehouse.lakehouse.table_types import TableName

if TYPE_CHECKING:
    from gatehouse.lakehouse.platform import Platform
    from gatehouse.lakehouse.registry_rules import Schema
    from gatehouse.pipelines.context import Context
    from gatehouse.progress import Progress
    from gatehouse.project import Project

_BEGUN, _WHOLE = "begun", "whole"


def land_sample(platform: Platform, place: Schema, project: Project, progress: Progress) -> Iterator[tuple[str, bool]]:
    """Land each file of the sample; yields `table/file`, and whether it was new.

    Raises:
        ConfigurationError: the project brings no sample, or files of what is none of its sources.
        Refused: another file of that name has landed.
    """
    if project.sample is None:
        raise ConfigurationError(
            f"Project {project.name} brings no sample of raw files.",
            why="Which files its sources read is the project's to say.",
            remedy="Land your own: gatehouse land FILES --table NAME    (or declare Project.sample).",
        )
    sources = [source.table.name for source in project.sources]
    with tempfile.TemporaryDirectory() as folder:
        with progress.step(f"write the sample of {project.name}"):
            files = project.sample(Path(folder))
        if unknown := sorted(files.keys() - set(sources)):
            raise ConfigurationError(
                f"The sample of {project.name} has files for {', '.join(unknown)}.",
                why="Files land for a source, which knows how to read them. Nothing has landed.",
                remedy=f"In Project.sample, choose from: {', '.join(sources)}.",
            )
        for table, paths in files.items():
            for path in paths:
                with progress.step(f"land {table}/{path.name}"):
                    new = platform.land(TableName(*place, table), path)
                yield f"{table}/{path.name}", new


def land_first_sample(context: Context) -> int | None:
    """Land the sample unless files of any kind have landed; how many are new, None: nothing was to be done.

    What an earlier call began it ends. One small file is read where all is done.
    """
    project, place = context.project, context.environment.place
    if project.sample is None or context.environment.sources_from:
        return None
    name = f"landing/{'.'.join(place)}"
    landed = context.store.read(name)
    if landed == _WHOLE:
        return None
    sources = (context.own(source.table.name) for source in project.sources)
    if landed is None and not all(context.platform.landing(context.spark, source).empty for source in sources):
        return None
    context.store.write(name, _BEGUN)
    new = sum(new for _, new in land_sample(context.platform, place, project, context.progress))
    context.store.write(name, _WHOLE)
    return new
