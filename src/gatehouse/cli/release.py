"""`gatehouse release`: from training to a request for approval."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatehouse.cli import options
from gatehouse.errors import EvaluationError

if TYPE_CHECKING:
    from gatehouse.cli.world import Place
    from gatehouse.lakehouse.registry import Version
    from gatehouse.pipelines.context import Context
    from gatehouse.pipelines.release import Judged

_LOOK_SECONDS = 2.0


@click.command(
    "release",
    help="Train a candidate, examine it, compare it with the champion, and ask for approval. The same code, data and "
    "policy find the same candidate and record. HOLD is a result, not a failure; what cannot be measured is one.",
)
@options.environment("prod")
@options.as_of
@click.option("--version", "number", metavar="VERSION", help="Judge this registered version instead of training one.")
@click.option(
    "--proposer", metavar="WHO", help="Who proposes it. [default: the schedule of the CI, or the author of the commit]"
)
@click.option(
    "--wait",
    "minutes",
    metavar="MINUTES",
    default=120,
    show_default=True,
    type=click.IntRange(0),
    help="Where the registry judges (driver: registry): how long to wait for it.",
)
@options.as_json
@click.pass_obj
def command(
    found: dict[str, Path | None],
    env: str,
    as_of: str | None,
    number: str | None,
    proposer: str | None,
    minutes: int,
    as_json: bool,
) -> None:
    """Resumable: interrupted anywhere, the same command goes on."""
    from gatehouse.cli.acting import proposing
    from gatehouse.cli.display import echo_json, stdout_console
    from gatehouse.cli.elsewhere import in_jobs, run_jobs
    from gatehouse.cli.telling import provider_of, tell
    from gatehouse.cli.words import show_record
    from gatehouse.cli.world import place
    from gatehouse.gates.identity import SCHEDULE
    from gatehouse.gates.verdict import Outcome

    where = place(found)
    by_registry = where.settings.environment(env).driver == "registry"
    provider = provider_of(where.settings.root)
    if proposer is None and provider.name != "none" and provider.run().scheduled:
        proposer = SCHEDULE
    if in_jobs(where, env):
        proposer = proposing(where.platform(env).signed_in(), proposer)
        asked = {"as_of": as_of or "", "version": number or "", "proposer": proposer or ""}
        run_jobs(where, env, ["release"], asked, as_json=as_json)
        return
    wanted = _Wanted(env=env, as_of=as_of, number=number, proposer=proposer)
    judged, summary = _by_registry(where, wanted, timedelta(minutes=minutes)) if by_registry else _here(where, wanted)
    record = judged.record
    outputs = {
        "version": record.promoted.version,
        "verdict": record.verdict.value.lower(),
        "record": judged.digest,
        "live": "true" if judged.live else "false",
        "driver": "registry" if by_registry else "ci",
    }
    if record.verdict is Outcome.PROMOTE and not judged.live and not by_registry:
        summary += f"\n**In this run's review** name the record in the comment: `{judged.digest[:12]}`\n"
    tell(where.settings.root, summary, outputs)
    if as_json:
        echo_json({"environment": env, **outputs})
    else:
        console = stdout_console()
        show_record(console, record, judged.digest)
        version = record.promoted.version
        if judged.live:
            console.print(f"Version {version} is the champion already: nothing is to be done.")
        elif record.verdict is Outcome.PROMOTE:
            console.print(f"Waits for approval: gatehouse approve {version} --env {env} --reason ...")
    if record.verdict is Outcome.ERROR:
        raise EvaluationError(
            f"Version {record.promoted.version} could not be judged. {record.judged.sentence()}",
            why="What could not be measured is neither good nor bad.",
            remedy=f"gatehouse why {record.promoted.version} --env {env}",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Wanted:
    """What the command line asks for. `number` is a version to judge, None: one is trained."""

    env: str
    as_of: str | None
    number: str | None
    proposer: str | None


def _here(where: Place, wanted: _Wanted) -> tuple[Judged, str]:
    """Trained and judged by this process; the record, and its summary as Markdown."""
    from gatehouse.cli.display import TerminalProgress
    from gatehouse.cli.telling import decision_summary
    from gatehouse.cli.world import clean_process, open_context
    from gatehouse.pipelines.release import judge

    with (
        clean_process(where) as process,
        open_context(where, wanted.env, as_of=wanted.as_of, progress=TerminalProgress()) as context,
    ):
        candidate, _ = _candidate(context, wanted)
        judged = judge(context, candidate, process)
        return judged, decision_summary(context, judged.record.promoted.version)


def _by_registry(where: Place, wanted: _Wanted, limit: timedelta) -> tuple[Judged, str]:
    """Trained by this process, and judged by whoever the registry tells of it. No engine runs while it waits."""
    from gatehouse.cli.display import TerminalProgress
    from gatehouse.cli.judges import judge_of
    from gatehouse.cli.telling import decision_summary
    from gatehouse.cli.world import open_context
    from gatehouse.gates.promotion import CHAMPION
    from gatehouse.pipelines.awaiting import await_entry, await_record
    from gatehouse.pipelines.decisions import RECORD_TAG, find
    from gatehouse.pipelines.judging import as_trained
    from gatehouse.pipelines.release import Judged, judged_before

    judge, progress = judge_of(where, wanted.env), TerminalProgress()
    with open_context(where, wanted.env, as_of=wanted.as_of, progress=progress) as context:
        candidate, known = _candidate(judge.heard(context), wanted)
        if known and (before := judged_before(as_trained(context, candidate), candidate)) is not None:
            return before, decision_summary(context, before.record.promoted.version)
        registry, model, version = context.registry, context.model, candidate.version
    if known:  # nobody is told of it again
        judge.ask(model, version)
    with progress.step(f"wait for the judge of version {version}"):
        await_record(
            registry,
            model,
            version,
            before=candidate.tags.get(RECORD_TAG),
            limit=limit,
            failed=lambda: judge.failed(version),
            clock=lambda: datetime.now(UTC),
            sleep=lambda: time.sleep(_LOOK_SECONDS),
            progress=progress,
            remedy=judge.remedy(),
        )
    with open_context(where, wanted.env, as_of=None, progress=progress) as context:
        record = await_entry(
            lambda: find(context, context.registry.get(model, version)),
            clock=lambda: datetime.now(UTC),
            sleep=lambda: time.sleep(_LOOK_SECONDS),
        )
        champion = context.registry.by_alias(model, CHAMPION)
        live = champion is not None and champion.version == record.promoted.version
        judged = Judged(record=record, digest=record.digest(), reused=False, live=live)
        return judged, decision_summary(context, record.promoted.version)


def _candidate(context: Context, wanted: _Wanted) -> tuple[Version, bool]:
    """The version that is to be judged, and whether it was registered before."""
    from gatehouse.pipelines.features import refresh
    from gatehouse.pipelines.ingest import ingest
    from gatehouse.pipelines.steps import proposer as commit_author
    from gatehouse.pipelines.training import train

    if wanted.number is not None:
        return context.registry.get(context.model, wanted.number), True
    ingest(context)
    refresh(context)
    trained = train(context, proposer=wanted.proposer or commit_author(context))
    return trained.version, trained.reused
