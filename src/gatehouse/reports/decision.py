"""What there is to say about a decision, for Markdown and HTML alike. Pure: record, people and moves in, values out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gatehouse.gates.evidence import ChallengeEvidence
from gatehouse.gates.identity import SCHEDULE, people
from gatehouse.gates.policy import Policy
from gatehouse.gates.promotion import Kind
from gatehouse.gates.record import DecisionRecord
from gatehouse.gates.verdict import Finding, Outcome, Verdict
from gatehouse.reports.contrasts import Contrast, Role, contrasts

if TYPE_CHECKING:
    from gatehouse.lakehouse.audit import Entry

SEVERITY = (Outcome.ERROR, Outcome.HOLD, Outcome.INSUFFICIENT_EVIDENCE, Outcome.PROMOTE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Gate:
    """One gate: how it turned out, and how many of the rules that count let the version through."""

    name: str
    verdict: Verdict
    passed: int
    rules: int

    @classmethod
    def of(cls, name: str, findings: Sequence[Finding]) -> Gate:
        """A gate with these findings."""
        counting = [f for f in findings if not f.informative]
        passed = sum(f.outcome is Outcome.PROMOTE for f in counting)
        return cls(name=name, verdict=Verdict(tuple(findings)), passed=passed, rules=len(counting))


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Something that somebody did with the version.

    `source` says how it is known who it was; `live` whether the version was champion from then on, None: as before;
    `past_the_gates` that it became champion without them.
    """

    at: datetime
    who: str
    source: str
    what: str
    reason: str = ""
    live: bool | None = None
    past_the_gates: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """A record as it is shown.

    Attributes:
        people: What the decisions of people amount to; None where nobody looked.
        events: What was done with the version so far, oldest first.
        in_the_way: Findings that kept a gate closed, the most severe first.
        primary: Why the primary metric turned out as it did; None if it was never compared.
    """

    record: DecisionRecord
    digest: str
    policy: Policy
    evidence: ChallengeEvidence | None
    contrasts: tuple[Contrast, ...]
    gates: tuple[Gate, ...]
    people: Verdict | None
    events: tuple[Event, ...]
    in_the_way: tuple[Finding, ...]
    primary: Finding | None

    @classmethod
    def of(cls, record: DecisionRecord, *, people: Verdict | None = None, entries: Sequence[Entry] = ()) -> Decision:
        """Everything that follows from a record; DataError or EvaluationError if it is not what was written.

        `people` is the verdict on their approvals, `entries` are the audit log's.
        """
        findings = record.judged.findings
        closed = [f for f in findings if not f.informative and f.outcome is not Outcome.PROMOTE]
        return cls(
            record=record,
            digest=record.digest(),
            policy=record.policy.read(),
            evidence=ChallengeEvidence.from_record(record.challenge) if record.challenge is not None else None,
            contrasts=contrasts(record),
            gates=tuple(gates_of(findings)),
            people=people,
            events=tuple(_events(entries, record)),
            in_the_way=tuple(sorted(closed, key=lambda f: SEVERITY.index(f.outcome))),
            primary=next((f for f in findings if f.rule.startswith("primary metric")), None),
        )

    @property
    def outcome(self) -> Outcome:
        """The gates' verdict."""
        return self.record.verdict

    @property
    def version(self) -> str:
        """The one that would be promoted."""
        return self.record.promoted.version

    @property
    def deciding(self) -> tuple[Contrast, ...]:
        """Comparisons that can keep a gate closed."""
        return tuple(c for c in self.contrasts if c.role is not Role.INFORMATIVE)

    @property
    def informative(self) -> tuple[Contrast, ...]:
        """Comparisons that are only shown."""
        return tuple(c for c in self.contrasts if c.role is Role.INFORMATIVE)

    @property
    def opponent(self) -> str:
        """Whom it was compared with, as the head of a column."""
        against = self.record.opponent
        return "opponent" if against is None else f"{against.kind} {against.version or ''}".strip()

    @property
    def authors(self) -> tuple[str, ...]:
        """From whom it comes, who therefore cannot approve it unless the policy says so."""
        known = people((self.record.candidate.proposer, *self.record.candidate.authors))
        return tuple(sorted(known - {SCHEDULE}))

    @property
    def who_may_approve(self) -> str:
        """As the end of a sentence."""
        rule = self.policy.approval
        if rule.approvers:
            listed = ", ".join(rule.approvers)
            return f"{rule.number} of {listed}" if len(rule.approvers) > 1 else listed
        number = "anybody" if rule.number == 1 else f"any {rule.number} people"
        if rule.allow_own:
            return number
        if not self.authors:
            return "nobody as long as it is not known from whom it comes"
        return f"{number} but {', '.join(self.authors)}, from whom it comes"

    @property
    def champion_since(self) -> Event | None:
        """What made it champion, if it is; None too where nobody looked."""
        last = next((e for e in reversed(self.events) if e.live is not None), None)
        return last if last is not None and last.live else None

    @property
    def command(self) -> str:
        """What to run next; empty if it is champion."""
        if self.champion_since is not None:
            return ""
        env, version = f"--env {self.record.environment}", self.version
        if self.outcome is not Outcome.PROMOTE:
            return f"gatehouse why {version} {env}"
        if self.people is not None and self.people.opens:
            return f"gatehouse promote {version} {env}"
        return f"gatehouse approve {version} {env} --reason ..."


def gates_of(findings: Sequence[Finding]) -> Iterator[Gate]:
    """The gates that these findings come from, in their order."""
    for name in dict.fromkeys(f.gate for f in findings):
        yield Gate.of(name, [f for f in findings if f.gate == name])


_PAST_THE_GATES = (Kind.BREAK_GLASS, Kind.REHEARSAL)
_SAID = {
    "decision_approve": "approved it",
    "decision_reject": "rejected it",
    "decision_answer": "answered a manual check",
    "decision_break_glass": "wants it promoted past the gates",
}


def _events(entries: Sequence[Entry], record: DecisionRecord) -> Iterator[Event]:
    versions = {record.candidate.version, record.promoted.version}
    ours = [e for e in entries if e.model == record.model]
    begun = {e.seq: e for e in ours if e.action == "move_begun"}
    settled = {e.details.get("begun") for e in ours}
    for entry in ours:
        if entry.seq in begun:
            if entry.seq not in settled and entry.details["to"] in versions:
                yield _event(entry, f"began to make version {entry.details['to']} champion, which has not ended")
        elif (move := begun.get(entry.details.get("begun", 0))) is not None:
            yield from _moved(move.details, entry, versions)
        elif entry.version in versions:
            yield _event(entry, _done(entry, record))


def _event(entry: Entry, what: str, *, move: Mapping[str, Any] | None = None, live: bool | None = None) -> Event:
    return Event(
        at=entry.at,
        who=entry.actor,
        source=entry.actor_source,
        what=what,
        reason=str((move or entry.details).get("reason", "")),
        live=live,
        past_the_gates=bool(live) and move is not None and move["kind"] in _PAST_THE_GATES,
    )


def _moved(move: Mapping[str, Any], entry: Entry, versions: set[str]) -> Iterator[Event]:
    """A move that ended, if the version came in or went out by it."""
    kind, done = str(move["kind"]).replace("_", " "), entry.action == "move_done"
    if move["kind"] in _PAST_THE_GATES:
        kind = f"past the gates: {kind}"
    if move["to"] in versions and done:
        yield _event(entry, f"made version {move['to']} champion ({kind})", move=move, live=True)
    elif move["to"] in versions:
        yield _event(entry, f"tried to make version {move['to']} champion ({kind}), which was undone")
    elif move["from"] in versions and done:
        yield _event(entry, f"made version {move['to']} champion in its place ({kind})", move=move, live=False)


def _done(entry: Entry, record: DecisionRecord) -> str:
    if entry.action == "judged":
        own = "" if entry.details.get("record") == record.digest() else ", in another record"
        return f"proposed it, and the gates said {entry.details.get('verdict')}{own}"
    if entry.action == "taken_over":
        return f"took it over from {entry.details.get('from')}"
    return _SAID.get(entry.action, entry.action)
