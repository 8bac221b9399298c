"""`gatehouse release`: from training to a request for approval."""

from __future__ import annotations

from pathlib import Path

import click

from gatehouse.cli import options
from gatehouse.errors import EvaluationError


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
@options.as_json
@click.pass_obj
def command(
    found: dict[str, Path | None],
    env: str,
    as_of: str | None,
    number: str | None,
    proposer: str | None,
    as_json: bool,
) -> None:
    """Resumable: interrupted anywhere, the same command goes on."""
    from gatehouse.cli.display import TerminalProgress, echo_json, stdout_console
    from gatehouse.cli.telling import decision_summary, provider_of, tell
    from gatehouse.cli.words import show_record
    from gatehouse.cli.world import clean_process, open_context, place
    from gatehouse.gates.identity import SCHEDULE
    from gatehouse.gates.verdict import Outcome
    from gatehouse.pipelines.features import refresh
    from gatehouse.pipelines.ingest import ingest
    from gatehouse.pipelines.release import judge
    from gatehouse.pipelines.steps import proposer as commit_author
    from gatehouse.pipelines.training import train

    where = place(found)
    provider = provider_of(where.settings.root)
    if proposer is None and provider.name != "none" and provider.run().scheduled:
        proposer = SCHEDULE
    with (
        clean_process(where) as process,
        open_context(where, env, as_of=as_of, progress=TerminalProgress()) as context,
    ):
        if number is not None:
            candidate = context.registry.get(context.model, number)
        else:
            ingest(context)
            refresh(context)
            candidate = train(context, proposer=proposer or commit_author(context)).version
        judged = judge(context, candidate, process)
        record = judged.record
        summary = decision_summary(context, record.promoted.version)
    outputs = {
        "version": record.promoted.version,
        "verdict": record.verdict.value.lower(),
        "record": judged.digest,
        "live": "true" if judged.live else "false",
    }
    if record.verdict is Outcome.PROMOTE and not judged.live:
        summary += f"\n**In this run's review** name the record in the comment: `{judged.digest[:12]}`\n"
    tell(where.settings.root, summary, outputs)
    if as_json:
        echo_json({"version": record.promoted.version, "verdict": record.verdict, "record": judged.digest})
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
