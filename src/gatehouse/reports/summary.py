"""A decision as Markdown for a CI summary or a comment on a pull request: the verdict first, the details folded. Pure.

It fits into a comment whatever the record holds: long texts are cut, and where rows are left out it says how many.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gatehouse.gates.evidence import ALL
from gatehouse.gates.phrases import count, number, percent
from gatehouse.gates.verdict import Finding, Outcome
from gatehouse.reports.contrasts import Contrast, Role, level
from gatehouse.reports.decision import Decision
from gatehouse.reports.gfm import code, escaped, table
from gatehouse.reports.wording import DASH, moment

LIMIT = 60_000
"""Characters. GitHub takes 65,536 in a comment, and an action may want to add a line of its own."""

MARKS = {
    Outcome.PROMOTE: "✅",
    Outcome.HOLD: "❌",
    Outcome.INSUFFICIENT_EVIDENCE: "❔",
    Outcome.ERROR: "⚠️",
}
_NAME, _REASON = 80, 600
_CHECKS = 10
_RIGHT = (3, 4, 5)


def decision_markdown(decision: Decision) -> str:
    """At most `LIMIT` characters of GitHub-flavoured Markdown; nothing in it is obeyed that a name or reason says."""
    head, foot = list(_head(decision)), list(_foot(decision))
    approval = ["".join(_approval(decision)), ""]
    room = LIMIT - _size(head) - _size(approval) - _size(foot)
    reasons = _reasons(decision)
    reasons = list(_cut(iter(reasons), len(reasons), room // 3, "findings"))
    room -= _size(reasons)
    compared = list(_rows(decision, decision.deciding, room // 2))
    room -= _size(compared)
    return "\n".join([*head, *reasons, *approval, *compared, *_folded(decision, room - 200), *foot]) + "\n"


def _head(decision: Decision) -> Iterator[str]:
    record = decision.record
    name = f"version {record.promoted.version} of {record.model}"
    yield f"### {MARKS[decision.outcome]} {decision.outcome}: {escaped(name, at_most=2 * _NAME)}"
    yield ""
    who = f"proposed by {escaped(record.candidate.proposer, at_most=_NAME)}, judged {moment(record.created_at)}"
    if record.refit is not None:
        who = f"the refit of version {escaped(record.candidate.version, at_most=_NAME)}, which was judged; {who}"
    evidence = decision.evidence
    if evidence is None:
        yield f"In {escaped(record.environment)}; {who}. It was compared with nobody: compliance comes first."
    else:
        hold_out = evidence.hold_out
        data = f"{count(hold_out.units, evidence.unit)} ({count(hold_out.rows, 'row')})"
        yield f"In {escaped(record.environment)}; {who}. Compared with {escaped(evidence.opponent.name)} on {data}."
    yield ""


def _reasons(decision: Decision) -> list[str]:
    """What keeps it, or why it may go; a finding in two lines."""
    if decision.outcome is Outcome.PROMOTE and decision.primary is not None:
        return [f"- {escaped(decision.primary.reason, at_most=_REASON)}"]
    return [_finding(finding) for finding in decision.in_the_way]


def _finding(finding: Finding) -> str:
    said = f"- {MARKS[finding.outcome]} **{finding.gate}: {escaped(finding.rule, at_most=_NAME)}** "
    said += escaped(finding.reason, at_most=_REASON)
    return f"{said}\n  **Next:** {escaped(finding.next_step, at_most=_REASON)}" if finding.next_step else said


def _rows(decision: Decision, contrasts: Iterable[Contrast], room: int) -> Iterator[str]:
    """A table of comparisons; nothing at all for none."""
    chosen = list(contrasts)
    if not chosen:
        return
    interval = f"{percent(level(decision.policy, decision.evidence))} interval"
    head = ["", "metric", "slice", escaped(decision.opponent, at_most=_NAME), "candidate", "gain", interval, "margin"]
    yield from _cut(table(head, map(_cells, chosen), right=_RIGHT), 2 + len(chosen), room, "comparisons")


def _cells(contrast: Contrast) -> list[str]:
    mark = DASH if contrast.outcome is None else MARKS[contrast.outcome]
    where = DASH if contrast.slice == ALL else escaped(contrast.slice, at_most=_NAME)
    role = "" if contrast.role is Role.INFORMATIVE else f" {contrast.role}"
    start = [f"{mark}{role}", escaped(contrast.metric, at_most=_NAME), where]
    if contrast.gain is None or contrast.opponent is None or contrast.candidate is None:
        return [*start, DASH, DASH, DASH, escaped(contrast.missing, at_most=2 * _NAME), DASH]
    scale = contrast.margin or abs(contrast.gain.difference)
    gain = contrast.gain
    values = (contrast.opponent, contrast.candidate, gain.difference, gain.low, gain.high)
    opponent, candidate, difference, low, high = (number(v, scale=scale) for v in values)
    signed = f"+{difference}" if gain.difference > 0 else difference
    margin = DASH if contrast.margin is None else f"{contrast.margin:g}"
    return [*start, opponent, candidate, signed, f"{low} to {high}", margin]


def _folded(decision: Decision, room: int) -> Iterator[str]:
    """Slices that are only shown."""
    slices = decision.informative
    if slices:
        yield f"<details><summary>{count(len(slices), 'slice')} for information</summary>"
        yield ""
        yield from _rows(decision, slices, room)
        yield "</details>"
        yield ""


def _foot(decision: Decision) -> Iterator[str]:
    record = decision.record
    gates = (f"{MARKS[g.verdict.outcome]} {g.name} {g.passed} of {g.rules} rules" for g in decision.gates)
    yield f"Gates: {', '.join(gates)}."
    yield ""
    yield (
        f"Record {code(decision.digest)}, files {code(record.promoted.files_digest[:12])}, policy "
        f"{code(record.policy.digest[:12])}, code {code(record.code_commit[:12])}, as of {moment(record.as_of)}."
    )


def _approval(decision: Decision) -> Iterator[str]:
    """Where it stands with people, and the command that comes next."""
    until, live = moment(decision.record.expires_at), decision.champion_since
    if live is not None:
        past = ", **past the gates**" if live.past_the_gates else ""
        yield f"**Champion** since {moment(live.at)}, by {escaped(live.who, at_most=_NAME)}{past}."
        return
    if decision.outcome is not Outcome.PROMOTE:
        yield f"**Approval:** none is possible, for the gates did not open. All of it: {code(decision.command)}"
        return
    if decision.people is not None and decision.people.opens:
        yield f"**Approval:** given, and it stands until {until}. "
    else:
        yield f"**Approval:** by {escaped(decision.who_may_approve, at_most=_REASON)}, until {until}. "
        for check in decision.policy.approval.manual_checks[:_CHECKS]:
            by = f" by {escaped(', '.join(check.by), at_most=_NAME)}" if check.by else ""
            yield f"To be answered{by}: {escaped(check.question)} "
    yield f"**Next:** {code(decision.command)}"


def _size(lines: Iterable[str]) -> int:
    return sum(len(line) + 1 for line in lines)


def _cut(lines: Iterator[str], number: int, room: int, what: str) -> Iterator[str]:
    """As many of that number of lines as there is room for, and how many there are besides."""
    for shown in range(number):
        line = next(lines)
        room -= len(line) + 1
        if room < 0:
            yield ""
            yield f"*{number - shown:,} more {what} stand in the record.*"
            break
        yield line
    yield ""
