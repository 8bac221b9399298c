"""`gatehouse gate`: one gate by itself, and the gate's own test."""

from __future__ import annotations

from pathlib import Path

import click

from gatehouse.cli import options
from gatehouse.errors import EvaluationError


@click.group("gate", help="One gate by itself: what it would say, without deciding anything; and the gate's own test.")
def command() -> None:
    """Three verbs below."""


@command.command("compliance", help="What compliance says about VERSION, in a clean process.")
@click.argument("version")
@options.environment("prod")
@options.as_of
@options.as_json
@click.pass_obj
def compliance(found: dict[str, Path | None], version: str, env: str, as_of: str | None, as_json: bool) -> None:
    """Writes nothing."""
    from gatehouse.cli.display import TerminalProgress
    from gatehouse.cli.world import clean_process, open_context, place
    from gatehouse.gates.compliance import judge_compliance
    from gatehouse.pipelines.compliance import examine

    where = place(found)
    with (
        clean_process(where) as process,
        open_context(where, env, as_of=as_of, progress=TerminalProgress()) as context,
    ):
        known = context.registry.get(context.model, version)
        rule = context.policy.compliance
        with context.progress.step(f"examine version {version} in a clean process"):
            evidence = examine(context, known, process)
    _show(judge_compliance(evidence, rule), as_json=as_json)


@command.command("challenge", help="What a comparison of VERSION with the champion says, on the newest hold-out.")
@click.argument("version")
@options.environment("prod")
@options.as_of
@options.as_json
@click.pass_obj
def challenge(found: dict[str, Path | None], version: str, env: str, as_of: str | None, as_json: bool) -> None:
    """Writes nothing."""
    from gatehouse.cli.display import TerminalProgress
    from gatehouse.cli.world import open_context, place
    from gatehouse.gates.challenge import judge_challenge
    from gatehouse.gates.promotion import CHAMPION
    from gatehouse.pipelines.challenge import challenge as compare

    with open_context(place(found), env, as_of=as_of, progress=TerminalProgress()) as context:
        known = context.registry.get(context.model, version)
        champion = context.registry.by_alias(context.model, CHAMPION)
        with context.progress.step(f"compare version {version} on the hold-out"):
            evidence = compare(context, known, champion, context.policy).evidence
    _show(judge_challenge(evidence, context.policy), as_json=as_json)


@command.command("selftest", help="Does the gate, with this policy, do what it says? Known truths go through it.")
@options.as_json
@click.pass_obj
def selftest(found: dict[str, Path | None], as_json: bool) -> None:
    """Needs no lakehouse: policy, metrics and judge are enough."""
    from gatehouse.cli.display import echo_json, stdout_console, table
    from gatehouse.cli.world import load_project, place
    from gatehouse.gates.policy import Policy
    from gatehouse.gates.selftest import metric_checks
    from gatehouse.gates.selftest import selftest as checks_of
    from gatehouse.settings import read_file

    settings = place(found).settings
    policy = read_file(settings.conf / "promotion.yml", Policy)
    checks = (*metric_checks(load_project(settings)), *checks_of(policy))
    failed = [c for c in checks if not c.passed]
    if as_json:
        echo_json(checks)
    else:
        rows = [("+" if c.passed else "x", c.name, c.expected, c.observed) for c in checks]
        stdout_console().print(table("The gate's own test", ("", "check", "expected", "observed"), rows))
    if failed:
        raise EvaluationError(
            f"The gate fails {len(failed)} of {len(checks)} checks of its own test: {failed[0].name}.",
            why="With this policy, or by this metric, it does not do what it says.",
            remedy="Mend the metric that is named; or change conf/promotion.yml back, or see which numbers contradict.",
        )


def _show(verdict: object, *, as_json: bool) -> None:
    from gatehouse.cli.display import echo_json, stdout_console
    from gatehouse.cli.words import show_verdict
    from gatehouse.gates.verdict import Outcome, Verdict

    assert isinstance(verdict, Verdict)  # noqa: S101 - typed lazily
    if as_json:
        echo_json({"verdict": verdict.outcome, "findings": [f.to_record() for f in verdict.findings]})
    else:
        show_verdict(stdout_console(), verdict, every=True)
    if verdict.outcome is Outcome.ERROR:
        raise EvaluationError(verdict.sentence(), remedy="Mend what could not be measured; it is neither good nor bad.")
