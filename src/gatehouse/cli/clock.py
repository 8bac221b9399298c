"""`gatehouse clock`: where an environment stands in time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatehouse.cli import options

if TYPE_CHECKING:
    from gatehouse.clock import Hand


@click.command(
    "clock",
    help="Where an environment stands in time. One that replays the past moves by a step of conf/environments.yml with "
    "--advance, the first time to its start; at its end it says so and stays. One whose clock is `now` never moves.",
    short_help="Where an environment stands in time.",
)
@options.environment("prod")
@click.option("--advance", is_flag=True, help="Move a replay by one step.")
@options.as_json
@click.pass_obj
def command(found: dict[str, Path | None], env: str, advance: bool, as_json: bool) -> None:
    """Advancing twice is two steps: a workflow does it once a run."""
    from gatehouse.cli.display import echo_json
    from gatehouse.cli.world import make_folder, place

    where = place(found)
    environment = where.settings.environment(env)
    if advance and environment.clock == "replay":
        make_folder(where.root)
    clock = where.clock(env)
    hand = clock.advance() if advance else clock.stand()
    if as_json:
        echo_json(
            {
                "environment": env,
                "clock": environment.clock,
                "as_of": hand.as_of,
                "moved_from": hand.moved_from,
                "ended": hand.ended,
            }
        )
    elif environment.clock == "now":
        click.echo(f"{env} stands at now: its clock is the machine's" + (", and nothing moves it." if advance else "."))
    else:
        click.echo(_sentence(env, hand))


def _sentence(env: str, hand: Hand) -> str:
    here = f"{hand.as_of:%Y-%m-%d %H:%M}".removesuffix(" 00:00")
    where = f"{env} stands at {here}"
    if hand.moved_from is not None:
        where = f"{env} has moved from {hand.moved_from:%Y-%m-%d} to {here}"
    if hand.replay is None:
        return f"{where}: a replay without steps."
    if hand.ended:
        return f"{where}: its replay ends there, and it stays."
    return f"{where}: a replay in steps of {hand.replay.step_days} days, until {hand.replay.end}."
