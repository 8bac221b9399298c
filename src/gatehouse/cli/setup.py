"""`gatehouse setup`: the account, the metastore and the repository around a project."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gatehouse.cli import options

if TYPE_CHECKING:
    from gatehouse.setup.resources import Part, Step
    from gatehouse.setup.session import Session

_PARTS = ("account", "metastore", "repository")
_MARKS = {
    "create": ("+", "green"),
    "change": ("~", "yellow"),
    "keep": ("=", "dim"),
    "wait": (".", "cyan"),
    "unknown": ("?", "cyan"),
    "refuse": ("x", "bold red"),
}
_WHO = {
    "account": "an account administrator of Databricks",
    "metastore": "a metastore administrator, or the owner of the catalogs",
    "repository": "an administrator of the repository",
}


@click.command(
    "setup",
    help="Plan what a project needs around it, and make it after you agreed: groups, service principals and whose "
    "tokens may act as them, catalogs, schemas, volumes, grants by role, and the environments, reviewers and variables "
    "of GitHub or Azure DevOps. Made a second time, it changes nothing; what was changed by others is shown. It uses "
    "what it is told is given, and removes only what it made. Ends with 5 where somebody has to settle something.",
    short_help="Make what a project needs around it.",
)
@click.option("--plan", "only_plan", is_flag=True, help="Show the plan, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--part", "chosen", type=click.Choice(_PARTS), multiple=True, help="Only this part. May be repeated.")
@click.option("--by-hand", is_flag=True, help="Show the commands that do by hand what is still to be done.")
@click.option("--undo", is_flag=True, help="Remove what setup made, as far as it holds no data.")
@options.as_json
@click.pass_obj
def command(
    found: dict[str, Path | None],
    only_plan: bool,
    yes: bool,
    chosen: tuple[str, ...],
    by_hand: bool,
    undo: bool,
    as_json: bool,
) -> None:
    """Plan first, always; then what was agreed."""
    from gatehouse.cli.display import TerminalProgress
    from gatehouse.setup.resources import Action, Part

    session = _session(found)
    parts = tuple(Part(name) for name in chosen) or tuple(Part)
    if undo:
        _undo(session, parts, ask=not yes, only_plan=only_plan, as_json=as_json)
        return
    steps = session.plan(parts)
    if not as_json:
        _show(steps, by_hand=by_hand)
    work = [step for step in steps if step.action in (Action.CREATE, Action.CHANGE)]
    waiting = any(step.action is Action.WAIT for step in steps)
    changes = 0
    if not only_plan and not by_hand and (work or waiting):
        if work and not yes:
            click.confirm(f"Do these {len(work)} things, and what becomes possible through them?", abort=True, err=True)
        changes = session.apply(parts, TerminalProgress())
        steps = session.plan(parts) if changes else steps
    why = () if steps else session.why_nothing(parts)
    _end(steps, changes, why, as_json=as_json, planned=only_plan or by_hand)


def _session(found: dict[str, Path | None]) -> Session:
    import os

    from gatehouse.ci.remote import remote_of
    from gatehouse.cli.world import load_project, place
    from gatehouse.gates.tagged import APPROVED, REJECTED
    from gatehouse.lakehouse.audit import AUDIT_LOG
    from gatehouse.lakehouse.registry_rules import APPROVAL_RECORD_TAG, APPROVAL_TAG
    from gatehouse.pipelines.tables import SYSTEM_TABLES
    from gatehouse.setup.answers import read_answers
    from gatehouse.setup.record import Record
    from gatehouse.setup.roles import Objects
    from gatehouse.setup.session import Session

    settings = place(found).settings
    project = load_project(settings)
    return Session(
        root=settings.root,
        project=project.name,
        environments=settings.environments,
        answers=read_answers(settings.conf),
        objects=Objects(
            model=project.name,
            audit=AUDIT_LOG.name,
            results=tuple(t.name for t in SYSTEM_TABLES),
            tags={APPROVAL_TAG: (APPROVED.capitalize(), REJECTED.capitalize()), APPROVAL_RECORD_TAG: ()},
        ),
        remote=remote_of(os.environ, settings.root),
        record=Record(settings.conf / "setup-record.json"),
    )


def _undo(session: Session, parts: Sequence[Part], *, ask: bool, only_plan: bool, as_json: bool) -> None:
    from gatehouse.cli.display import TerminalProgress, echo_json
    from gatehouse.setup.resources import PART_OF

    mine = [key for key, made in session.record.entries.items() if PART_OF[made.kind] in parts]
    if not as_json:
        click.echo("\n".join(f"- {key}" for key in reversed(mine)) or "Setup has made nothing here.")
    if only_plan or not mine:
        if as_json:
            echo_json({"would_remove": list(reversed(mine))})
        return
    if ask:
        click.confirm(f"Remove these {len(mine)} things, as far as they hold no data?", abort=True, err=True)
    left = session.undo(parts, TerminalProgress())
    if as_json:
        echo_json({"removed": len(mine) - len(left), "left": left})
        return
    click.echo(f"Removed {len(mine) - len(left)} of {len(mine)}.")
    for one in left:
        click.echo(f"Left: {one.key}. {one.reason}")


def _show(steps: Sequence[Step], *, by_hand: bool) -> None:
    from rich.text import Text

    from gatehouse.cli.display import stdout_console
    from gatehouse.setup.resources import Action, Part

    console = stdout_console()
    for part in Part:
        own = [step for step in steps if step.resource.part is part]
        if not own:
            continue
        console.print(Text(f"\n{part.capitalize()} ({_WHO[part]})", style="bold"))
        for step in own:
            mark, style = _MARKS[step.action]
            reason = f": {step.reason}" if step.reason else ""
            line = Text.assemble((f"{mark} {step.action:<8}", style), f"{step.resource.key}{reason}")
            console.print(line, soft_wrap=True)
            if step.drift:
                console.print(Text(f"           drift: {step.drift}", style="yellow"), soft_wrap=True)
            if by_hand and step.action is not Action.KEEP and step.resource.by_hand:
                console.print(Text(f"           {step.resource.by_hand}", style="cyan"), soft_wrap=True)


def _end(steps: Sequence[Step], changes: int, why: Sequence[str], *, as_json: bool, planned: bool) -> None:
    from gatehouse.cli.display import echo_json
    from gatehouse.errors import StateError
    from gatehouse.setup.resources import Action
    from gatehouse.setup.session import refusals

    counts = {action.value: sum(step.action is action for step in steps) for action in Action}
    if as_json:
        echo_json({"changes": changes, "counts": counts, "steps": [_plain(step) for step in steps], "why": why})
    else:
        said = ", ".join(f"{number} {name}" for name, number in counts.items() if number)
        click.echo(f"\n{'Plan' if planned else f'Done: {changes}. Now'}: {said or 'nothing'}.")
        for reason in why:
            click.echo(reason)
        if not planned and (counts["wait"] or counts["unknown"]):
            click.echo("What waits or is unknown, as commands: gatehouse setup --by-hand")
    if refused := refusals(steps):
        raise StateError(
            f"{len(refused)} of {len(steps)} things are not setup's to settle: "
            + "; ".join(f"{step.resource.key}: {step.reason}" for step in refused[:3]),
            why="Setup takes nothing from anybody.",
            remedy="Settle them, then run gatehouse setup again.",
        )


def _plain(step: Step) -> dict[str, Any]:
    resource = step.resource
    return {
        "part": resource.part,
        "kind": resource.kind,
        "name": resource.name,
        "action": step.action,
        "reason": step.reason,
        "drift": step.drift,
        "add": {name: sorted(members) for name, members in step.add.items()},
        "drop": {name: sorted(members) for name, members in step.drop.items()},
        "by_hand": resource.by_hand,
    }
