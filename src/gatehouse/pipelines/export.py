"""Predictions for readers outside the lakehouse: CSV and Parquet files, and databases that SQLAlchemy reaches.

Each is replaced or written as a whole, so that a reader never meets half a run and a repeated run adds nothing.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from gatehouse.errors import StorageError, UsageError

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

_FORMATS = (".csv", ".parquet")


def check_destination(to: str) -> None:
    """UsageError unless `to` is a file of a known format or a database address: asked before any work is done."""
    if _known_database(to) if "://" in to else Path(to).suffix.lower() in _FORMATS:
        return
    raise UsageError(
        f"--to {shown(to)!r} is neither a {' or '.join(_FORMATS)} file nor a database that SQLAlchemy knows.",
        why="The format is taken from the ending, the database from what stands before ://.",
        remedy="Write for example --to out/predictions.parquet, or --to sqlite:///out/predictions.db.",
    )


def export(frame: DataFrame, to: str, *, run_key: str) -> int:
    """Write one run's predictions; returns their number.

    Args:
        frame: Rows of one scoring run.
        to: A path ending in .csv or .parquet, which is replaced in one step; or an SQLAlchemy address, whose table
            `predictions` then holds the run's rows exactly once.
        run_key: The run.
    """
    check_destination(to)
    rows = frame.toArrow()
    if "://" in to:
        _to_database(rows, to, run_key)
    else:
        _to_file(rows, Path(to))
    return int(rows.num_rows)


def _to_file(rows: pa.Table, path: Path) -> None:
    from pyarrow import csv, parquet

    # Beside its destination, because only a rename within one file system is a single step.
    partial = path.with_name(f".{path.name}.{uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() == ".csv":
            csv.write_csv(_without_lists(rows), partial)  # type: ignore[attr-defined]
        else:
            parquet.write_table(rows, partial)  # type: ignore[no-untyped-call]
        partial.replace(path)
    except OSError as error:
        raise StorageError(
            f"{path} could not be written: {error}.",
            why="The predictions are in the lakehouse; only this copy is missing.",
            remedy="Make room or choose another place, then run the same command: nothing is scored twice.",
        ) from error
    finally:
        with suppress(OSError):  # what kept it from being written may keep it from being removed
            partial.unlink(missing_ok=True)


def _to_database(rows: pa.Table, address: str, run_key: str) -> None:
    import sqlalchemy as sa

    try:
        engine = sa.create_engine(address)
        with engine.begin() as connection:
            if sa.inspect(connection).has_table("predictions"):
                table = sa.table("predictions", sa.column("run_key"))
                connection.execute(sa.delete(table).where(table.c.run_key == run_key))
            _without_lists(rows).to_pandas().to_sql("predictions", connection, if_exists="append", index=False)
    except (sa.exc.SQLAlchemyError, ImportError) as error:
        raise StorageError(
            f"The database {shown(address)} refused: {str(error).splitlines()[0]}",
            why="The predictions are in the lakehouse; only this copy is missing.",
            remedy="Check address, rights and driver, then run the same command: nothing is scored twice.",
        ) from error


def _known_database(address: str) -> bool:
    """Whether there is a dialect for it; whether its driver is here, turns out when it is used."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    try:
        make_url(address).get_dialect()
    except (ArgumentError, NoSuchModuleError):
        return False
    return True


def _without_lists(rows: pa.Table) -> pa.Table:
    """Flat files have no lists: `probabilities` becomes JSON-like text, or goes if it is empty throughout."""
    import pyarrow as pa

    place = rows.schema.get_field_index("probabilities")
    if place < 0:
        return rows
    column = rows.column(place)
    if column.null_count == len(column):
        return rows.remove_column(place)
    return rows.set_column(place, "probabilities", pa.array([str(p) for p in column.to_pylist()]))


def shown(to: str) -> str:
    """A destination as it may be printed: an address without its password."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    if "://" not in to:
        return to
    try:
        return make_url(to).render_as_string(hide_password=True)
    except ArgumentError:
        return "(not an address)"
