"""What `gatehouse approve` and `gatehouse reject` have in common: a decision by name, and how decisions are shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gatehouse.errors import UsageError

if TYPE_CHECKING:
    from gatehouse.gates.approval import Approval
    from gatehouse.gates.verdict import Verdict
    from gatehouse.lakehouse.registry import Version


def decide_by_name(
    verb: str,
    found: dict[str, Path | None],
    version: str,
    env: str,
    reason: str,
    as_name: str | None,
    answers: tuple[str, ...],
    as_json: bool,
) -> None:
    """Enter what somebody says by a command, and show where the version stands after it."""
    from gatehouse.cli.acting import deciding
    from gatehouse.cli.display import TerminalProgress
    from gatehouse.cli.judges import judge_of
    from gatehouse.cli.world import open_context, place
    from gatehouse.gates.approval import Decision
    from gatehouse.pipelines.approval import decide
    from gatehouse.pipelines.decisions import JUDGED_TAG
    from gatehouse.pipelines.judging import tags_of

    where = place(found)
    actor, witness = deciding(where.platform(env).signed_in(), as_name)
    by_registry = where.settings.environment(env).driver == "registry"
    with open_context(where, env, as_of=None, progress=TerminalProgress()) as context:
        known = context.registry.get(context.model, version)
        approval, standing = decide(
            context, known, Decision(verb), actor=actor, reason=reason, answers=_parsed(answers), witness=witness
        )
        if by_registry:  # whoever judges there waits for these
            context.registry.set_tags(context.model, known.tags.get(JUDGED_TAG, known.version), tags_of(approval))
    goes_on = judge_of(where, env).goes_on() if by_registry else None
    show_decisions(verb, [approval], standing, known, env, as_json=as_json, goes_on=goes_on)


def show_decisions(
    verb: str,
    approvals: list[Approval],
    standing: Verdict,
    known: Version,
    env: str,
    *,
    as_json: bool,
    goes_on: str | None = None,
) -> None:
    """What was entered on the version, and what comes next: `goes_on`, or a promotion by hand."""
    from gatehouse.cli.display import echo_json, stdout_console
    from gatehouse.cli.words import show_verdict
    from gatehouse.gates.promotion import CHAMPION

    if as_json:
        entered = [approval.to_record() for approval in approvals]
        said = {"decision": entered[-1], "decisions": entered, "opens": standing.opens, "reason": standing.sentence()}
        echo_json(said)
        return
    console = stdout_console()
    past = "approved" if verb == "approve" else "rejected"
    for approval in approvals:
        console.print(f"Version {approval.version} {past} by {approval.approver}.", markup=False)
    if standing.opens and CHAMPION in known.aliases:
        console.print("It is the champion, and stays it.", markup=False)
    elif standing.opens:
        by_hand = f"gatehouse promote {approvals[-1].version} --env {env}"
        console.print(f"It may be promoted: {goes_on or by_hand}", markup=False)
    else:
        show_verdict(console, standing, every=False)


def _parsed(answers: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for answer in answers:
        check, equals, text = answer.partition("=")
        if not equals or not text.strip():
            raise UsageError(
                f"--answer {answer!r} has no text.",
                why="An empty answer answers nothing.",
                remedy="Write --answer check-id='what you found'.",
            )
        found[check.strip()] = text.strip()
    return found
