"""`gatehouse deploy`: this checkout's code becomes the live code of an environment."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatehouse.cli import options
from gatehouse.errors import EvaluationError, UsageError

if TYPE_CHECKING:
    from gatehouse.cli.world import Place, World
    from gatehouse.gates.verdict import Finding
    from gatehouse.lakehouse.registry import Version
    from gatehouse.pipelines.context import Context
    from gatehouse.progress import Progress
    from gatehouse.settings import Settings


@click.command(
    "deploy",
    help="Make the code of this checkout the live code of an environment. Before that it scores the champion once more "
    "on rows that were scored, in a schema that is thrown away; if it cannot, or predicts something else than was "
    "predicted (deployment in conf/promotion.yml), the live code stays. The same commit again changes nothing. In a "
    "workspace the scoring is a run of its own, `databricks bundle deploy` makes the code live, and the project's "
    "sample of raw files lands where none have landed yet.",
    short_help="Make this checkout's code the live code of an environment.",
)
@options.environment("prod")
@click.option("--ref", metavar="NAME", help="Tag or branch it comes from, such as v1.2.0. [default: the CI's, or none]")
@click.option("--as", "as_name", metavar="WHO", help="Who you are. [default: who signed in, the CI's user, or git's]")
@click.option("--check", is_flag=True, help="Only score the champion with this code, and say what came of it.")
@options.as_json
@click.pass_obj
def command(
    found: dict[str, Path | None], env: str, ref: str | None, as_name: str | None, check: bool, as_json: bool
) -> None:
    """Entered in the audit log: commit, ref, digest of the training code, who."""
    from gatehouse.cli.acting import acting
    from gatehouse.cli.display import TerminalProgress, echo_json
    from gatehouse.cli.telling import provider_of, tell
    from gatehouse.cli.world import open_world, place
    from gatehouse.gates.promotion import CHAMPION
    from gatehouse.pipelines.deployment import deploy
    from gatehouse.pipelines.landing import land_first_sample
    from gatehouse.reports.gfm import escaped

    where = place(found)
    provider = provider_of(where.settings.root)
    name = _printable(provider.run().ref if ref is None else ref)
    progress = TerminalProgress()
    activate = _activation(where, env, progress, in_ci=bool(provider.run().id))
    platform = where.platform(env)
    actor = None if check else acting(provider, platform.signed_in(), as_name)
    if not check and platform.in_jobs and not platform.has_schema(where.settings.environment(env).place):
        activate()  # where a workspace knows nothing of the project yet, the bundle makes the places
    moment = where.clock(env).read(None)
    try:
        with open_world(where, env) as world:
            context = world.context(env, moment, progress)
            if actor is None:
                champion = context.registry.by_alias(context.model, CHAMPION)
                said = _compared(world, context, champion).reason if champion else "There is no champion."
                tell(where.settings.root, "", {"finding": said})
                click.echo(said)
                return
            compare = partial(_compared_in_a_run if context.platform.in_jobs else _compared, world, context)
            deployed = deploy(context, compare, ref=name, actor=actor, activate=activate)
            landed = land_first_sample(context) if platform.in_jobs else None
    except EvaluationError as error:
        tell(where.settings.root, f"## The code of {escaped(env)} stays as it was\n\n{escaped(error.what)}\n")
        raise
    compared = deployed.finding.reason if deployed.finding else "There is no champion to compare with."
    said = f"{deployed.live} is live in {env}" + (" already: nothing is to be done." if deployed.already else ".")
    if not deployed.already:
        said += f" {compared}" + (f" Before it, {deployed.before} was." if deployed.before else "")
    if landed:
        said += f" The project's sample of raw files has landed for its sources, {landed} in number."
    tell(where.settings.root, f"## Code\n\n{escaped(said, at_most=1000)}\n", {"code": deployed.live.commit})
    if as_json:
        echo_json(deployed)
    else:
        click.echo(said)


def _activation(where: Place, env: str, progress: Progress, *, in_ci: bool) -> Callable[[], None]:
    """What makes this checkout's code live: the bundle, where pipelines run in jobs; nothing more is to be done here.

    `in_ci`: a CI deploys from release branches and tags, and the workflow asked for the green run of the commit.
    """
    if not where.platform(env).in_jobs:
        return lambda: None
    from gatehouse.databricks.bundle import deploy_bundle

    return lambda: deploy_bundle(where.settings.root, env, progress, any_branch=in_ci)


def _compared_in_a_run(world: World, context: Context, champion: Version) -> Finding:
    from gatehouse.cli.elsewhere import run_this_code
    from gatehouse.gates.deployment import GATE, RULE
    from gatehouse.gates.verdict import Finding, Outcome

    said = run_this_code(world.place, context.name, ["deploy", "--check", "--env", context.name])
    reason = said.get("finding", f"Version {champion.version} was scored with this code.")
    return Finding(gate=GATE, rule=RULE, outcome=Outcome.PROMOTE, reason=reason)


def _compared(world: World, context: Context, champion: Version) -> Finding:
    from dataclasses import replace

    from gatehouse.cli.world import Place
    from gatehouse.pipelines.deployment import compared

    def elsewhere(settings: Settings, other: str, at: datetime) -> Context:
        aside = replace(world, place=Place(settings=settings, root=world.place.root))
        return aside.context(other, at, context.progress)

    return compared(context, elsewhere, champion)


def _printable(ref: str) -> str:
    """A name that goes into the audit log and onto pages; git allows many, lines and invisible characters are none."""
    if not ref.isprintable() or len(ref) > 255:
        raise UsageError(
            f"--ref {ref[:300]!a} is no name of a tag or branch.",
            why="It stands in the audit log and on pages, where people read what is live.",
            remedy="Write the tag, such as --ref v1.2.0, or leave it out.",
        )
    return ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
