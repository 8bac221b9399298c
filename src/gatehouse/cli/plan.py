"""`gatehouse plan`: how many days of labels a margin needs, before anybody trains."""

from __future__ import annotations

from pathlib import Path

import click

from gatehouse.cli import options


@click.command(
    "plan",
    help="How many days (or other units) of labels a margin in the primary metric needs, from how much contenders "
    "differed from day to day so far.",
)
@click.option("--margin", type=float, required=True, help="In the primary metric's own unit, above 0.")
@options.environment("prod")
@options.as_of
@options.as_json
@click.pass_obj
def command(found: dict[str, Path | None], margin: float, env: str, as_of: str | None, as_json: bool) -> None:
    """Reads decision records; before there is one, compares the newest version with the baseline."""
    from gatehouse.cli.display import TerminalProgress, echo_json, stdout_console, table
    from gatehouse.cli.world import open_context, place
    from gatehouse.gates.planner import check_margin
    from gatehouse.pipelines.prospect import plan_margin

    check_margin(margin)
    with open_context(place(found), env, as_of=as_of, progress=TerminalProgress()) as context:
        plan = plan_margin(context, margin)
    if as_json:
        echo_json(plan.to_record())
        return
    console = stdout_console()
    console.print(f"{plan.sentence()}\n")
    powers = list(dict.fromkeys(row.power for row in plan.table))
    margins = list(dict.fromkeys(row.margin for row in plan.table))
    needed = {(row.margin, row.power): row.units for row in plan.table}
    rows = [(f"{m:g}", *(needed[m, p] for p in powers)) for m in margins]
    console.print(table(f"{plan.unit}s of labels", ("margin", *(f"power {p:.0%}" for p in powers)), rows))
