"""`gatehouse replay`: the verdict of a decision record, computed once more from its own evidence."""

from __future__ import annotations

from pathlib import Path

import click

from gatehouse.cli import options
from gatehouse.errors import DataError, StorageError, UsageError

_SHOWN = 3
"""Differences that are told; a record that was changed in one place can differ in dozens."""


@click.command(
    "replay",
    help="Compute the verdict of a decision record once more from its own evidence, offline: is it the same?",
)
@click.argument("record", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--digest", help="SHA-256 that was kept elsewhere, in the version's tags or the audit log.")
@options.as_json
def command(record: Path, digest: str | None, as_json: bool) -> None:
    """Needs no lakehouse: the record is enough."""
    from gatehouse.cli.display import echo_json, stdout_console
    from gatehouse.cli.words import show_record
    from gatehouse.gates.record import DecisionRecord
    from gatehouse.gates.replay import replay
    from gatehouse.pipelines.judges import judges

    try:
        content = DecisionRecord.from_json(record.read_bytes())
    except FileNotFoundError as error:
        raise UsageError(
            f"There is no file {record}.",
            why="A verdict is computed again from the record that holds its evidence.",
            remedy="gatehouse replay .lakehouse/report/decisions/CATALOG.SCHEMA/version-N.json",
        ) from error
    except OSError as error:
        raise StorageError(
            f"{record} cannot be read: {error.strerror or error}.", remedy="Name the JSON file of a decision record."
        ) from error
    again = replay(content, judges(), digest=digest)
    if as_json:
        echo_json({"same": again.same, "differences": again.differences, "verdict": again.verdict.outcome})
    else:
        show_record(stdout_console(), content, content.digest())
    if not again.same:
        raise DataError(
            "The record does not say what its evidence says."
            + "".join(f"\n- {difference}" for difference in again.differences[:_SHOWN])
            + (f"\n- and {more} more (--json shows all)" if (more := len(again.differences) - _SHOWN) > 0 else ""),
            why="It was changed, or made by code that judges otherwise.",
            remedy="Take the record from the version's artefacts again, or judge the version again.",
        )
    if not as_json:
        click.echo("The same verdict, from the record's own evidence.")
