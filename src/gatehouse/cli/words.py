"""Decisions in words, for a terminal of 80 columns. The same content as Markdown and HTML is in `gatehouse.reports`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from gatehouse.cli.display import table
from gatehouse.gates.phrases import count, number, percent
from gatehouse.gates.verdict import Finding, Outcome, Verdict
from gatehouse.reports.contrasts import Contrast, Role, level
from gatehouse.reports.decision import Decision, Gate, gates_of

if TYPE_CHECKING:
    from gatehouse.gates.record import DecisionRecord

_STYLE = {
    Outcome.PROMOTE: ("+", "green"),
    Outcome.HOLD: ("x", "red"),
    Outcome.INSUFFICIENT_EVIDENCE: ("?", "yellow"),
    Outcome.ERROR: ("!", "bold red"),
}
_SHOWN_ANYWAY = ("primary metric", "approvals")
"""Rules that tell the most when a gate opened."""


def show_verdict(console: Console, verdict: Verdict, *, every: bool) -> None:
    """The outcome and what decided it, with what to do next; with `every`, all findings."""
    mark, style = _STYLE[verdict.outcome]
    console.print(Text(f"{mark} {verdict.outcome}", style=style))
    _show_findings(console, verdict.findings, every=every)


def show_record(console: Console, record: DecisionRecord, digest: str) -> None:
    """What was judged, against whom, and how each gate turned out."""
    _show_head(console, record)
    _show_gates(console, gates_of(record.judged.findings), every=False)
    _dim(console, f"record {digest[:12]}, stands until {record.expires_at:%Y-%m-%d %H:%M} UTC")


def show_decision(console: Console, decision: Decision, *, every: bool) -> None:
    """The record, the comparisons as a table, what people decided, and what was done since."""
    _show_head(console, decision.record)
    _show_gates(console, decision.gates, every=every)
    if decision.contrasts:
        console.print()
        chosen = decision.contrasts if every else decision.deciding
        _show_contrasts(console, decision, chosen)
        if decision.informative and not every:
            _dim(console, f"{_folded(decision.informative)} (--all shows them)")
    console.print()
    _show_people(console, decision, every=every)
    for event in decision.events:
        style = "bold red" if event.past_the_gates else ""
        when = Text(f"{event.at:%Y-%m-%d %H:%M}  ", style="dim")
        _block(console, Text(f"{event.who} {event.what}", style=style), 2, before=when)
    _dim(console, f"record {decision.digest[:12]}, stands until {decision.record.expires_at:%Y-%m-%d %H:%M} UTC")
    if decision.command and decision.outcome is Outcome.PROMOTE:
        console.print(Text(f"Next: {decision.command}", style="cyan"))


def _show_people(console: Console, decision: Decision, *, every: bool) -> None:
    """What their decisions amount to, unless that is settled: it is champion, or the gates did not open."""
    live = decision.champion_since
    if live is not None:
        console.print(Text(f"+ champion since {live.at:%Y-%m-%d %H:%M} UTC", style="green"))
    elif decision.outcome is not Outcome.PROMOTE and not every:
        console.print(Text("x people     Nobody can approve it: the gates did not open.", style="dim"))
    if decision.people is not None and (every or (live is None and decision.outcome is Outcome.PROMOTE)):
        _show_gates(console, [Gate.of("people", decision.people.findings)], every=every)


def _show_head(console: Console, record: DecisionRecord) -> None:
    _, style = _STYLE[record.verdict]
    title = Text.assemble((f"Version {record.promoted.version}", "bold"), f" of {record.model}: ")
    console.print(title.append(record.verdict.value, style=style))
    against = record.opponent
    if against is None:
        met = "nobody: compliance decided"
    else:
        met = f"champion version {against.version}" if against.version else f"the {against.kind}"
    _block(console, Text(f"proposed by {record.candidate.proposer}, compared with {met}"), 2)
    if record.refit is not None:
        _block(console, Text(f"It is the refit of version {record.candidate.version}, which was judged."), 2)


def _show_gates(console: Console, gates: Iterable[Gate], *, every: bool) -> None:
    for gate in gates:
        mark, style = _STYLE[gate.verdict.outcome]
        rules = f"{gate.passed} of {count(gate.rules, 'rule')}"
        console.print(Text.assemble((f"{mark} ", style), (f"{gate.name:<11}", "bold"), rules))
        _show_findings(console, gate.verdict.findings, every=every)


def _show_findings(console: Console, findings: Iterable[Finding], *, every: bool) -> None:
    """Those that keep a gate closed first. Of the others, without `every`, the one that tells the most."""
    closed = [f for f in findings if not f.informative and f.outcome is not Outcome.PROMOTE]
    others = [f for f in findings if f not in closed]
    if not every:
        others = [f for f in others if f.rule.startswith(_SHOWN_ANYWAY) and not f.informative and not closed]
    for finding in (*closed, *others):
        _show_finding(console, finding)


def _show_finding(console: Console, finding: Finding) -> None:
    mark, style = ("i", "dim") if finding.informative else _STYLE[finding.outcome]
    said = Text.assemble((f"{finding.rule}: ", "bold"), finding.reason)
    _block(console, said, 2, before=Text(f"{mark} ", style=style))
    if finding.next_step:
        _block(console, Text(f"Next: {finding.next_step}", style="cyan"), 4)


def _show_contrasts(console: Console, decision: Decision, contrasts: Iterable[Contrast]) -> None:
    rows = [_cells(contrast) for contrast in contrasts]
    interval = f"{percent(level(decision.policy, decision.evidence))} interval"
    columns = ("", "", decision.opponent, "candidate", "gain", interval, "margin")
    title = "" if decision.evidence is None else _data(decision)
    console.print(table(title, columns, rows))


def _data(decision: Decision) -> str:
    assert decision.evidence is not None  # noqa: S101 - asked before
    hold_out = decision.evidence.hold_out
    return f"On {count(hold_out.units, decision.evidence.unit)}, {count(hold_out.rows, 'row')}"


def _cells(contrast: Contrast) -> tuple[str, ...]:
    mark = "-" if contrast.outcome is None else _STYLE[contrast.outcome][0]
    over_all = contrast.role in (Role.PRIMARY, Role.GUARDRAIL)
    name = contrast.metric if over_all else contrast.slice
    gain = contrast.gain
    if gain is None or contrast.opponent is None or contrast.candidate is None:
        return (mark, name, "", "", "", "not measured", "")
    scale = contrast.margin or abs(gain.difference)
    values = (contrast.opponent, contrast.candidate, gain.difference, gain.low, gain.high)
    opponent, candidate, difference, low, high = (number(v, scale=scale) for v in values)
    signed = f"+{difference}" if gain.difference > 0 else difference
    margin = "" if contrast.margin is None else f"{contrast.margin:g}"
    return (mark, name, opponent, candidate, signed, f"{low} to {high}", margin)


def _folded(informative: Iterable[Contrast]) -> str:
    words = {
        Outcome.PROMOTE: "within the margin",
        Outcome.HOLD: "worse",
        Outcome.INSUFFICIENT_EVIDENCE: "not told",
        Outcome.ERROR: "not measured",
    }
    found = Counter(words[c.outcome] for c in informative if c.outcome is not None)
    told = ", ".join(f"{found[word]} {word}" for word in words.values() if found[word])
    return f"{count(sum(found.values()), 'slice')} for information: {told}"


def _block(console: Console, text: Text, indent: int, *, before: Text | None = None) -> None:
    """A paragraph whose lines all begin after `before`, which stands before the first of them."""
    start = before or Text()
    room = max(20, console.width - indent - start.cell_len)
    for place, line in enumerate(text.wrap(console, room)):
        line.rstrip()
        lead = start if place == 0 else Text(" " * start.cell_len)
        console.print(Text.assemble(" " * indent, lead, line), soft_wrap=True)


def _dim(console: Console, text: str) -> None:
    _block(console, Text(text, style="dim"), 2)
