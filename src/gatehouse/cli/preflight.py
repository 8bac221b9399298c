"""`gatehouse preflight`: what stands between this checkout and a release that works."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatehouse.cli import options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatehouse.ci.preflight import Line, Wanted
    from gatehouse.cli.world import Place
    from gatehouse.settings import Settings

_MARKS = {"ok": ("+", "green"), "warning": ("?", "yellow"), "problem": ("x", "bold red"), "unknown": ("?", "cyan")}
_FILES = {"github": ".github/workflows", "azure": ".azure-pipelines"}


@click.command(
    "preflight",
    help="Look at the checkout, the tools and the settings of GitHub or Azure DevOps, and say line by line what a "
    "release still lacks, with the command or page that mends it. Changes nothing. Ends with 5 where something has to "
    "be mended.",
    short_help="What stands between this checkout and a release.",
)
@options.as_json
@click.pass_obj
def command(found: dict[str, Path | None], as_json: bool) -> None:
    """A setting that this token may not see is unknown, which is not the same as fine."""
    import os
    import shutil

    from gatehouse.ci.preflight_ask import provider_lines
    from gatehouse.ci.preflight_local import checkout_lines, tool_lines
    from gatehouse.ci.remote import remote_of
    from gatehouse.cli.display import echo_json
    from gatehouse.cli.telling import tell
    from gatehouse.cli.world import place
    from gatehouse.errors import StateError

    where = place(found)
    settings = where.settings
    folder = settings.root
    remote = remote_of(os.environ, folder)
    wanted = _wanted(settings, remote.kind if remote else "github")
    lines = [*tool_lines(shutil.which, real=wanted.real), *checkout_lines(folder, known=remote is not None)]
    lines += _driver_lines(where)
    if remote is not None:
        lines += provider_lines(remote, wanted)
    tell(folder, _markdown(lines))
    if as_json:
        echo_json({"lines": lines})
    else:
        _show(lines)
    problems = [line for line in lines if line.state.value == "problem"]
    if problems:
        raise StateError(
            f"{len(problems)} of {len(lines)} lines are problems: {', '.join(line.about for line in problems)}.",
            why="A release would fail there, or anybody could make one.",
            remedy=problems[0].remedy,
        )


def _driver_lines(where: Place) -> Iterator[Line]:
    """Whether each environment has one judge of new versions: the one that conf/ names."""
    from gatehouse.ci.preflight_driver import driver_line
    from gatehouse.cli.judges import judge_of
    from gatehouse.errors import GatehouseError, Unanswered

    for env, environment in where.settings.environments.environments.items():
        told: str | Unanswered | None
        try:
            told = judge_of(where, env).told_by_the_registry(where)
        except GatehouseError as error:
            told = Unanswered(error.what)
        commands = judge_of(where, env).commands()
        yield driver_line(env, environment.driver, told, attach=commands[0], detach=commands[1])


def _wanted(settings: Settings, kind: str) -> Wanted:
    """What conf/ and the workflow files ask of the provider."""
    from gatehouse.ci.preflight import Wanted
    from gatehouse.ci.preflight_local import named_environments, workflow_names
    from gatehouse.gates.policy import Policy
    from gatehouse.settings import read_file

    environments, approval = named_environments(settings.root, _FILES[kind])
    return Wanted(
        environments=environments,
        guarded=tuple(n for n, e in settings.environments.environments.items() if e.protected and n in environments),
        approval=approval,
        real=any(e.platform != "local" for e in settings.environments.environments.values()),
        approvals=read_file(settings.conf / "promotion.yml", Policy).approval.number,
        branch=settings.environments.staging_branch,
        workflows=workflow_names(settings.root, _FILES[kind]),
    )


def _show(lines: list[Line]) -> None:
    from rich.text import Text

    from gatehouse.cli.display import stdout_console

    console = stdout_console()
    width = max(len(line.about) for line in lines)
    for line in lines:
        mark, style = _MARKS[line.state.value]
        console.print(Text.assemble((f"{mark} {line.state.value:<8}", style), f"{line.about:<{width}}  {line.reason}"))
        if line.remedy:
            console.print(Text(f"           Next: {line.remedy}", style="cyan"), soft_wrap=True)


def _markdown(lines: list[Line]) -> str:
    from gatehouse.reports.gfm import escaped, table

    rows = [[line.state.value, escaped(line.about), escaped(line.reason), escaped(line.remedy)] for line in lines]
    return "### Preflight\n\n" + "\n".join(table(["", "about", "finding", "next"], rows)) + "\n"
