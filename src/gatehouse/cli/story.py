"""What the demo does and says: a year in production, at the moments of conf/demo.yml.

Every step is a command that anybody can run; the story only plays all the parts: developer, schedule, approver.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, date, datetime
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING

from rich.rule import Rule

from gatehouse.cli.cheats import train_on_an_outcome, train_on_broken_data
from gatehouse.cli.display import HeldProgress, TerminalProgress, activation, called, from_here, peak_memory
from gatehouse.cli.words import show_verdict
from gatehouse.cli.world import clean_process
from gatehouse.clock import Clock
from gatehouse.errors import GatehouseError, StateError
from gatehouse.gates.approval import Decision
from gatehouse.gates.identity import Identity, Strength
from gatehouse.gates.promotion import Kind
from gatehouse.gates.verdict import Verdict
from gatehouse.pipelines.approval import decide
from gatehouse.pipelines.features import refresh
from gatehouse.pipelines.inference import infer
from gatehouse.pipelines.ingest import ingest
from gatehouse.pipelines.monitoring import monitor
from gatehouse.pipelines.promotion import gatekeeper, promote, rehearse, rollback
from gatehouse.pipelines.release import Judged, judge
from gatehouse.pipelines.reporting import write_report
from gatehouse.pipelines.tables import RUNS
from gatehouse.pipelines.training import train

if TYPE_CHECKING:
    from rich.console import Console

    from gatehouse.cli.world import World
    from gatehouse.lakehouse.registry import Version
    from gatehouse.pipelines.clean_process import CleanProcess
    from gatehouse.pipelines.context import Context

_MOST_REASONS = 2
DEVELOPER, APPROVER, SCHEDULE = "developer@example.org", "approver@example.org", "schedule"


class Story:
    """The chapters, in order. A second run finds what the first one did, and tells it again."""

    def __init__(self, world: World, console: Console, progress: TerminalProgress) -> None:
        self._world = world
        self._console = console
        self._progress = progress
        self._demo = world.place.settings.demo

    def tell(self) -> None:
        """All of it."""
        begin = time.perf_counter()
        self._console.print(f"[bold]{self._world.project.name}[/bold]: {self._world.project.description}")
        first, monitored, challenged = (
            _moment(d) for d in (self._demo.first_release, self._demo.monitored, self._demo.challenged)
        )
        with (
            clean_process(self._world.place) as process,  # it imports while this one takes data in
            ThreadPoolExecutor(max_workers=1) as beside,
        ):
            prod = self._at("prod", first)
            self._get_ready(prod)
            self._production(prod)
            self._development_and_staging(first, beside)
            self._first_release(prod, process)
            self._demand_champion(prod)
            self._spring(self._at("prod", monitored))
            later = self._at("prod", challenged)
            challenger = self._challenger(later, process)
            self._turned_away(later, challenger, process, beside)
        self._rollback(later)
        Clock(later.store, later.environment).keep(challenged)  # what is tried next begins where the story ended
        self._close(later, time.perf_counter() - begin)

    def _get_ready(self, context: Context) -> None:
        """What training and pages need, while the engine works on tables; whoever needs it says if it is missing."""

        def open_and_import() -> None:
            with suppress(Exception):
                context.open_tracking()
            flavours = context.policy.compliance.allowed_flavours
            for module in (*flavours, *(f"mlflow.{f}" for f in flavours), "optuna", "matplotlib.figure", "markdown_it"):
                with suppress(Exception):
                    import_module(module)

        Thread(target=open_and_import, daemon=True).start()

    def _at(self, env: str, moment: datetime) -> Context:
        return self._world.context(env, moment, self._progress)

    def _chapter(self, title: str) -> None:
        self._console.print()
        self._console.print(Rule(title, align="left", style="blue"))

    def _production(self, prod: Context) -> None:
        if prod.tables.exists(prod.own(RUNS.name)):
            used = f"{from_here(prod.root)} is in use: what was done there is not done again."
            self._console.print(
                f"{used} From the start: gatehouse --lakehouse DIR demo, in another folder.", style="dim"
            )
        self._chapter(f"prod takes in everything known by {prod.as_of.day} {prod.as_of:%B %Y}")
        ingest(prod)

    def _development_and_staging(self, moment: datetime, beside: ThreadPoolExecutor) -> None:
        """Two environments that have nothing to do with each other, at once; told one after the other."""
        dev, held = self._at("dev", moment), HeldProgress()
        staging = self._world.context("staging", moment, held)
        self._chapter(f"dev reads prod, cannot write there, and searches on {dev.environment.data_fraction:.0%} of it")
        rehearsed = beside.submit(_every_pipeline, staging)
        try:
            refresh(dev)
            train(dev, proposer=DEVELOPER)
            self._chapter(f"staging rehearses every pipeline on {staging.environment.data_fraction:.0%} of the events")
            rehearsed.result()
        except BaseException:
            held.give_up()
            raise
        finally:
            held.tell(self._progress.console)

    def _first_release(self, prod: Context, process: CleanProcess) -> None:
        self._chapter("the first release has to beat the rule of thumb")
        refresh(prod)
        candidate = train(prod, proposer=DEVELOPER).version
        if self._was_live(prod, candidate):
            return
        judged = self._judge(prod, candidate, process)
        if judged.verdict.opens:
            self._try_own_approval(prod, judged)
            self._approve_and_promote(prod, judged)

    def _demand_champion(self, prod: Context) -> None:
        if prod.registry.by_alias(prod.model, "champion") is None:
            raise StateError(
                "The first release was not let through, so there is no champion to go on with.",
                why="The rest of the story is about it. Of a machine that is busy, the gate may find it too slow.",
                remedy="Mend what kept it (above). Then: gatehouse reset --env prod --protected; gatehouse demo",
            )

    def _spring(self, prod: Context) -> None:
        self._chapter(f"the champion scores until {prod.as_of.day} {prod.as_of:%B}, and labels arrive")
        ingest(prod)
        refresh(prod)
        infer(prod)
        for line in monitor(prod).lines():
            self._console.print(f"    {line}", style="dim")

    def _challenger(self, prod: Context, process: CleanProcess) -> Version:
        self._chapter("a challenger has seen what came since: who is better on days that neither has seen?")
        ingest(prod)
        refresh(prod)
        candidate = train(prod, proposer=SCHEDULE).version
        if not self._was_live(prod, candidate):
            judged = self._judge(prod, candidate, process)
            if judged.verdict.opens:
                self._approve_and_promote(prod, judged)
        return candidate

    def _turned_away(self, prod: Context, honest: Version, process: CleanProcess, beside: ThreadPoolExecutor) -> None:
        features = next(f.features for f in prod.project.feature_tables if f.table.name == self._demo.broken_table)
        self._chapter(f"a candidate that learnt from a broken {self._demo.broken_table}")
        broken = train_on_broken_data(prod, features, proposer=DEVELOPER)
        training = beside.submit(train_on_an_outcome, prod, honest, self._demo.leaked_column, proposer=DEVELOPER)
        self._judge(prod, broken, process)
        self._chapter(f"a candidate that sees {self._demo.leaked_column}")
        with prod.progress.step("train on what is known only afterwards"):
            leaky = training.result()
        self._judge(prod, leaky, process)

    def _rollback(self, prod: Context) -> None:
        self._chapter("something looks wrong at night: back to the champion before")
        if any(entry.kind is Kind.ROLLBACK for entry in gatekeeper(prod).history()):
            self._console.print("    gone back before")
            return
        try:
            target, _, _ = rollback(prod, actor=_who(APPROVER), reason="demo: a look at the way back", dry_run=False)
        except StateError as nowhere:
            self._console.print(f"    {nowhere.what}")
        else:
            self._console.print(f"    [green]+[/green] version {target} is the champion again")

    def _judge(self, context: Context, candidate: Version, process: CleanProcess) -> Judged:
        judged = judge(context, candidate, process)
        deciding = judged.verdict.deciding
        show_verdict(self._console, Verdict(deciding[:_MOST_REASONS]), every=False)
        if (more := len(deciding) - _MOST_REASONS) > 0 and not judged.verdict.opens:
            self._console.print(f"    and {more} more: gatehouse why {judged.record.promoted.version}", style="dim")
        return judged

    def _try_own_approval(self, context: Context, judged: Judged) -> None:
        try:
            self._decide(context, judged, DEVELOPER, "it is mine, and it is good")
        except GatehouseError as refused:
            self._console.print(f"    [red]x[/red] {DEVELOPER} approves their own, and is refused")
            self._console.print(f"      {refused.what}", style="dim")

    def _approve_and_promote(self, context: Context, judged: Judged) -> None:
        self._decide(context, judged, APPROVER, "read the record: better than what we have")
        version = context.registry.get(context.model, judged.record.promoted.version)
        settled = promote(context, version, actor=_who(APPROVER))
        self._console.print(f"    [green]+[/green] {APPROVER} approves; version {settled.champion} is the champion")

    def _decide(self, context: Context, judged: Judged, name: str, reason: str) -> None:
        version = context.registry.get(context.model, judged.record.promoted.version)
        decide(context, version, Decision.APPROVE, actor=_who(name), reason=reason, answers={})

    def _was_live(self, context: Context, version: Version) -> bool:
        """In a second run the first one's champions are there already, or were."""
        live = any(entry.version == version.version for entry in gatekeeper(context).history())
        if live:
            self._console.print(f"    version {version.version} was promoted before")
        return live

    def _close(self, context: Context, seconds: float) -> None:
        report = write_report(context)
        gatehouse = called(self._world.place.settings.conf)
        self._console.print()
        self._console.print(Rule("where to look", align="left", style="blue"))
        if activate := activation():
            self._console.print(f"  [bold]{activate:<32}[/bold]once in this terminal; then:")
        for command, what in (
            ("status", "tables, versions and aliases of production"),
            ("why 2", "why a version was, or was not, promoted"),
            ("audit show", "who decided and did what"),
            ("features", "what the model sees, and how fresh it is"),
            ("lineage predictions", "from raw data to predictions"),
            ("explore", "a notebook on what dev may read"),
            ("ui", "runs and models, in MLflow's own pages"),
        ):
            self._console.print(f"  [bold]{f'{gatehouse} {command}':<32}[/bold]{what}", soft_wrap=True)
        shown = from_here(report)
        self._console.print(f"  [bold]{'report':<32}[/bold]{shown}")
        memory = peak_memory()
        cost = f", {memory:.1f} GiB of memory at most" if memory else ""
        self._console.print(f"\n[green]Done[/green] in {seconds:.0f} s{cost}.")


def _every_pipeline(staging: Context) -> None:
    ingest(staging)
    refresh(staging)
    rehearse(staging, train(staging, proposer=DEVELOPER).version, actor=_who(DEVELOPER))
    infer(staging)
    monitor(staging)


def _moment(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _who(name: str) -> Identity:
    return Identity(name=name, established_by="the demo", strength=Strength.CLAIMED)
