"""An environment thrown away: its tables, its registered model, its clock. Nobody else's."""

from __future__ import annotations

from pathlib import Path

from gatehouse.lakehouse.audit import anchor_path
from gatehouse.progress import Progress
from gatehouse.settings import Environment


def reset_environment(root: Path, environment: Environment, progress: Progress) -> None:
    """Delete what the environment wrote. Stopped halfway, the same command deletes the rest."""
    from gatehouse.lakehouse.session import close_session, installed_engine, open_session
    from gatehouse.lakehouse.tables import DeltaTables
    from gatehouse.lakehouse.tracking import open_tracking

    place = (environment.catalog, environment.db_schema)
    with progress.step(f"delete the tables of {'.'.join(place)}"):
        engine = installed_engine()
        spark = open_session(engine, catalogs=[environment.catalog])
        try:
            DeltaTables(spark, engine, root, writable=[place]).drop_schema(*place)
        finally:
            close_session(spark)
    with progress.step(f"delete the models of {'.'.join(place)}"):
        open_tracking(root, experiment="reset").registry(writable=[place]).delete_models(*place)
    anchor_path(root, *place).unlink(missing_ok=True)  # an audit log that begins anew was not cut off
    (root / "state" / f"{'.'.join(place)}.json").unlink(missing_ok=True)
