"""Decisions in words, for a terminal. The same content as Markdown and HTML is in `gatehouse.reports.decision`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from gatehouse.gates.verdict import Finding, Outcome, Verdict

if TYPE_CHECKING:
    from gatehouse.gates.record import DecisionRecord

_STYLE = {
    Outcome.PROMOTE: ("+", "green"),
    Outcome.HOLD: ("x", "red"),
    Outcome.INSUFFICIENT_EVIDENCE: ("?", "yellow"),
    Outcome.ERROR: ("!", "bold red"),
}


def show_verdict(console: Console, verdict: Verdict, *, every: bool) -> None:
    """The findings that decided, with what to do next; with `every`, the others too."""
    mark, style = _STYLE[verdict.outcome]
    console.print(Text(f"{mark} {verdict.outcome}", style=style))
    deciding = verdict.deciding
    for finding in deciding if verdict.outcome is not Outcome.PROMOTE else ():
        _show(console, finding)
    others = [f for f in verdict.findings if f not in deciding or verdict.outcome is Outcome.PROMOTE]
    for finding in others if every else [f for f in others if f.gate == "challenge" and f.rule == "primary"]:
        _show(console, finding)


def show_record(console: Console, record: DecisionRecord, digest: str, *, every: bool = False) -> None:
    """What was judged, against whom, and how it turned out."""
    against = record.opponent
    name = "nobody: compliance decided" if against is None else f"the {against.kind} {against.version or ''}".strip()
    console.print(
        f"[bold]Version {record.promoted.version}[/bold] of {record.model}, proposed by {record.candidate.proposer}, "
        f"compared with {name}"
    )
    if record.refit is not None:
        console.print(f"It is the refit of version {record.candidate.version}, which was judged.")
    show_verdict(console, record.judged, every=every)
    console.print(f"[dim]record {digest[:12]}, stands until {record.expires_at:%Y-%m-%d %H:%M} UTC[/dim]")


def _show(console: Console, finding: Finding) -> None:
    mark, style = _STYLE[finding.outcome]
    if finding.informative:
        mark, style = "i", "dim"
    console.print(Text.assemble((f"  {mark} ", style), (f"{finding.gate}/{finding.rule}  ", "bold"), finding.reason))
    if finding.next_step:
        console.print(Text(f"      {finding.next_step}", style="cyan"))
