"""`gatehouse run`: one pipeline in one environment."""

from __future__ import annotations

from pathlib import Path

import click

from gatehouse.cli import options
from gatehouse.errors import UsageError

PIPELINES = {
    "ingest": "raw rows into source tables",
    "features": "source tables into feature tables",
    "training": "a point-in-time training set into a registered version",
    "inference": "the champion's predictions into the inference log",
    "monitoring": "counts, drift and accuracy into the metrics table and a page",
    "mirror": "source tables into a masked sample, for environments with `source: mirror`",
    "daily": "all but training, in this order; inference and monitoring only where there is a champion",
    "all": "the five of them in this order; inference and monitoring only where there is a champion",
}


@click.command(
    "run",
    help="Run one pipeline in one environment, up to a moment.\n\n\b\n"
    + "\n".join(f"{name:<11} {what}" for name, what in PIPELINES.items())
    + "\n\nEvery pipeline continues where its last run ended; the same command again changes nothing.",
    short_help="Run one pipeline.",
)
@click.argument("pipeline", metavar="PIPELINE")
@options.environment()
@options.as_of
@click.option(
    "--hold-out-days",
    type=click.IntRange(0, 3650),
    help="Training: over conf/training.yml. 0 trains on everything.",
)
@click.option(
    "--to",
    "destinations",
    multiple=True,
    metavar="DEST",
    help="Inference: also write these predictions to a .csv or "
    ".parquet file or a database (SQLAlchemy address). May be repeated.",
)
@click.option(
    "--platform",
    type=click.Choice(["local", "databricks"]),
    help="Run it in this process, on the embedded lakehouse or, through databricks-connect, on a workspace's tables. "
    "[default: where conf/environments.yml says; in a workspace, as a job]",
)
@options.as_json
@click.pass_obj
def command(
    found: dict[str, Path | None],
    pipeline: str,
    env: str,
    as_of: str | None,
    hold_out_days: int | None,
    destinations: tuple[str, ...],
    platform: str | None,
    as_json: bool,
) -> None:
    """Check what can be checked before anything heavy is loaded, then run."""
    if pipeline not in PIPELINES:
        raise UsageError(
            f"There is no pipeline {pipeline!r}.",
            why="A pipeline is a fixed piece of the road from raw data to monitoring.",
            remedy=f"Choose from: {', '.join(PIPELINES)}.",
        )
    if destinations and pipeline not in ("inference", "daily", "all"):
        raise UsageError("--to belongs to inference.", remedy="Leave it out, or run inference.")
    if hold_out_days is not None and pipeline not in ("training", "all"):
        raise UsageError("--hold-out-days belongs to training.", remedy="Leave it out, or run training.")

    from gatehouse.cli.display import TerminalProgress, echo_json
    from gatehouse.cli.elsewhere import JOBS_OF_PIPELINE, beside_jobs, in_jobs, run_jobs
    from gatehouse.cli.telling import tell
    from gatehouse.cli.world import open_context, place
    from gatehouse.pipelines.export import check_destination
    from gatehouse.pipelines.steps import run_pipeline

    for destination in destinations:
        check_destination(destination)
    where = place(found)
    if platform is None and in_jobs(where, env):
        days = "" if hold_out_days is None else str(hold_out_days)
        asked = {"as_of": as_of or "", "hold_out_days": days, "to": one_destination(destinations)}
        run_jobs(where, env, JOBS_OF_PIPELINE[pipeline], asked, as_json=as_json)
        return
    where = beside_jobs(where, env, platform)
    with open_context(where, env, as_of=as_of, progress=TerminalProgress()) as context:
        results = run_pipeline(context, pipeline, hold_out_days=hold_out_days, destinations=destinations)
    if results.monitoring:
        tell(where.settings.root, _monitored(env, results.monitoring.lines()))
    if as_json:
        echo_json({"environment": env, "as_of": context.as_of, "results": results})
        return
    for line in results.lines():
        click.echo(line)


def one_destination(destinations: tuple[str, ...]) -> str:
    """As a job's parameter, which is one text."""
    if len(destinations) > 1:
        raise UsageError(
            f"A job writes to one --to, and {len(destinations)} were given.",
            remedy="Run inference once for each: the same run again adds nothing to the inference log.",
        )
    return "".join(destinations)


def _monitored(env: str, lines: list[str]) -> str:
    """For the summary of a CI's run."""
    from gatehouse.reports.gfm import escaped

    return f"### Monitoring of {escaped(env)}\n\n" + "".join(f"- {escaped(line.strip())}\n" for line in lines)
