"""What the demo does and says: the pipelines in three environments, at the moments of conf/demo.yml."""

from __future__ import annotations

import resource
import sys
import time
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from rich.rule import Rule

from gatehouse.cli.display import table
from gatehouse.pipelines.features import refresh
from gatehouse.pipelines.inference import CHAMPION, infer
from gatehouse.pipelines.ingest import ingest
from gatehouse.pipelines.monitoring import monitor
from gatehouse.pipelines.reporting import write_report
from gatehouse.pipelines.standing import standing
from gatehouse.pipelines.training import Trained, train

if TYPE_CHECKING:
    from rich.console import Console

    from gatehouse.cli.world import World
    from gatehouse.pipelines.context import Context
    from gatehouse.progress import Progress

_DEVELOPER = "developer@example.org"


def tell(world: World, console: Console, progress: Progress) -> None:
    """Run the whole loop. Every step is a pipeline that anybody can run with `gatehouse run`."""
    begin = time.perf_counter()
    settings = world.place.settings
    train_at, until = _moment(settings.demo.train_as_of), _moment(settings.demo.score_until)
    console.print(f"[bold]{world.project.name}[/bold]: {world.project.description}")

    _chapter(console, f"prod takes in everything known by {train_at:%d %B %Y}")
    prod = world.context("prod", train_at, progress)
    ingest(prod)

    dev = world.context("dev", train_at, progress)
    share = f"{dev.environment.data_fraction:.0%}"
    _chapter(console, f"dev reads prod (it cannot write there) and searches for options on {share} of it")
    refresh(dev)
    train(dev, proposer=_DEVELOPER)

    _chapter(console, f"staging runs every pipeline on {share} of the last {_history(world)}")
    staging = world.context("staging", train_at, progress)
    ingest(staging)
    refresh(staging)
    _promote(staging, train(staging, proposer=_DEVELOPER))
    infer(staging)
    monitor(staging)

    _chapter(console, "prod trains with the reviewed options, and the version becomes the champion")
    refresh(prod)
    candidate = train(prod, proposer="schedule")
    _promote(prod, candidate)
    _show_metrics(console, prod, candidate)

    _chapter(console, f"time moves on to {until:%d %B %Y}: new events are scored, and their labels arrive")
    later = world.context("prod", until, progress)
    ingest(later)
    refresh(later)
    infer(later)
    found = monitor(later)
    for line in found.lines():
        console.print(f"    {line}")
    report = write_report(later)
    _close(console, later, str(report), time.perf_counter() - begin)


def _moment(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _history(world: World) -> str:
    days = world.place.settings.environment("staging").history_days
    return f"{days} days" if days else "years"


def _chapter(console: Console, title: str) -> None:
    console.print()
    console.print(Rule(title, align="left", style="blue"))


def _promote(context: Context, trained: Trained) -> None:
    """Plainly: the demo's model takes the alias. Beyond the demo that is not how a model gets there."""
    holder = context.registry.by_alias(context.model, CHAMPION)
    if holder is None or holder.version != trained.version.version:
        context.registry.set_alias(context.model, CHAMPION, trained.version.version)
    context.progress.note(f"version {trained.version.version} of {context.model} is the champion")


def _show_metrics(console: Console, context: Context, trained: Trained) -> None:
    run = trained.version.run_id
    if trained.metrics:
        rows = [(n, v, trained.baseline_metrics[n]) for n, v in trained.metrics.items()]
        days = context.settings.training.hold_out_days
        console.print(table(f"    hold-out of {days} days", ("metric", "model", "baseline"), rows))
    elif run:
        console.print(f"    measured when it was trained: gatehouse ui, run {run}")


def _close(console: Console, context: Context, report: str, seconds: float) -> None:
    here = standing(context)
    rows = sum(t.rows for t in here.tables)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**30 if sys.platform == "darwin" else 2**20)
    console.print()
    console.print(Rule("where to look", align="left", style="blue"))
    for command, what in (
        ("gatehouse status", "tables, versions and aliases of production"),
        ("gatehouse features", "what the model sees, and how fresh it is"),
        ("gatehouse lineage predictions", "from raw data to predictions"),
        ("gatehouse ui", "runs and models, in MLflow's own pages"),
    ):
        console.print(f"  [bold]{command:<32}[/bold]{what}")
    console.print(f"  [bold]{'report':<32}[/bold]{report}")
    console.print(
        f"\n[green]Done[/green] in {seconds:.0f} s, {rows:,} rows in production, {peak:.1f} GiB of memory at most."
    )
