"""An environment thrown away: its tables, its mirror, its registered model, its clock. Nobody else's."""

from __future__ import annotations

from gatehouse.clock import clock_name
from gatehouse.lakehouse.audit import anchor_name
from gatehouse.lakehouse.platform import Platform
from gatehouse.progress import Progress
from gatehouse.settings import Environment


def reset_environment(
    platform: Platform, environment: Environment, progress: Progress, *, mirrored: bool = False
) -> None:
    """Delete what the environment wrote. Stopped halfway, the same command deletes the rest.

    `mirrored`: others read its mirror (`EnvironmentsFile.is_mirrored`), so that the schema of that name is its own.
    """
    place = environment.place
    for tables in (place, *([environment.mirror] if mirrored else [])):
        with progress.step(f"delete the tables of {'.'.join(tables)}"):
            platform.drop_tables(tables)
    with progress.step(f"delete the models of {'.'.join(place)}"):
        platform.registry(writable=[place]).delete_models(*place)
    platform.store.delete(anchor_name(*place))  # an audit log that begins anew was not cut off
    platform.store.delete(clock_name(*place))
