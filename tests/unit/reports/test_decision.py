"""What a decision comes to: gates, people, and what was done with the version since, as the audit log tells it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gatehouse.gates.record import DecisionRecord
from gatehouse.gates.verdict import Finding, Outcome, Verdict
from gatehouse.lakehouse.audit import Entry
from gatehouse.reports.decision import Decision, Gate

MakeRecord = Callable[..., DecisionRecord]
MakeEntry = Callable[..., Entry]
APPROVED = Verdict((Finding(gate="approval", rule="approvals", outcome=Outcome.PROMOTE, reason="By 1 of 1."),))
WAITING = Verdict((Finding(gate="approval", rule="approvals", outcome=Outcome.HOLD, reason="By 0 of 1."),))


def begun(entry: MakeEntry, seq: int, *, to: str = "7", leaving: str | None = "3", kind: str = "promotion") -> Entry:
    move = {"kind": kind, "from": leaving, "to": to, "previous": None, "record": None, "reason": "because"}
    return entry(seq, "move_begun", version=to, **move)


def test_each_gate_counts_the_rules_that_let_the_version_through(make_record: MakeRecord) -> None:
    decision = Decision.of(make_record(flips=0.2))

    assert [(g.name, g.verdict.outcome, g.passed, g.rules) for g in decision.gates] == [
        ("compliance", Outcome.PROMOTE, 18, 18),
        ("challenge", Outcome.HOLD, 19, 20),
    ]
    assert [f.rule for f in decision.in_the_way] == ["negative flips"]


def test_findings_that_inform_count_for_nothing() -> None:
    shown = Finding(gate="challenge", rule="slice a=b", outcome=Outcome.HOLD, reason="Worse.", informative=True)

    gate = Gate.of("challenge", [shown])

    assert (gate.passed, gate.rules, gate.verdict.outcome) == (0, 0, Outcome.ERROR)


def test_the_most_severe_finding_stands_first(make_record: MakeRecord, compare: Callable[..., Any]) -> None:
    decision = Decision.of(make_record(compared=[compare("log_loss", "all", 0.2)], informative=(), flips=0.2))

    assert [(f.rule, f.outcome) for f in decision.in_the_way] == [
        ("guardrail roc_auc", Outcome.ERROR),
        ("rows of required slice depot=north", Outcome.ERROR),
        ("suspicious gain", Outcome.HOLD),
        ("negative flips", Outcome.HOLD),
    ]


@pytest.mark.parametrize(
    ("approval", "who"),
    [
        ({}, "anybody but carl@example.org, from whom it comes"),
        ({"number": 2}, "any 2 people but carl@example.org, from whom it comes"),
        ({"allow_own": True}, "anybody"),
        ({"approvers": ["anna@example.org"]}, "anna@example.org"),
        (
            {"approvers": ["anna@example.org", "bert@example.org"], "number": 2},
            "2 of anna@example.org, bert@example.org",
        ),
    ],
)
def test_who_may_approve_follows_from_the_policy(make_record: MakeRecord, approval: dict[str, Any], who: str) -> None:
    assert Decision.of(make_record(policy={"approval": approval})).who_may_approve == who


@pytest.mark.parametrize(
    ("flips", "people", "command"),
    [
        (0.03, None, "gatehouse approve 7 --env prod --reason ..."),
        (0.03, WAITING, "gatehouse approve 7 --env prod --reason ..."),
        (0.03, APPROVED, "gatehouse promote 7 --env prod"),
        (0.2, APPROVED, "gatehouse why 7 --env prod"),
    ],
)
def test_the_next_command_depends_on_gates_and_people(
    make_record: MakeRecord, flips: float, people: Verdict | None, command: str
) -> None:
    assert Decision.of(make_record(flips=flips), people=people).command == command


def test_what_was_done_with_the_version_is_told_in_order(make_record: MakeRecord, entry: MakeEntry) -> None:
    record = make_record()
    entries = [
        entry(1, "judged", actor="schedule", verdict="HOLD", record="another"),
        entry(2, "judged", actor="schedule", verdict="PROMOTE", record=record.digest()),
        entry(3, "decision_approve", reason="read it"),
        begun(entry, 4),
        entry(5, "move_undone", begun=4, reason="The smoke test failed."),
        begun(entry, 6),
        entry(7, "move_done", begun=6),
        begun(entry, 8, to="9", leaving="7", kind="rollback"),
        entry(9, "move_done", version="9", begun=8),
    ]

    decision = Decision.of(record, entries=entries)

    assert [(e.who, e.what, e.reason, e.live) for e in decision.events] == [
        ("schedule", "proposed it, and the gates said HOLD, in another record", "", None),
        ("schedule", "proposed it, and the gates said PROMOTE", "", None),
        ("anna@example.org", "approved it", "read it", None),
        (
            "anna@example.org",
            "tried to make version 7 champion (promotion), which was undone",
            "The smoke test failed.",
            None,
        ),
        ("anna@example.org", "made version 7 champion (promotion)", "because", True),
        ("anna@example.org", "made version 9 champion in its place (rollback)", "because", False),
    ]
    assert decision.champion_since is None


def test_a_version_that_is_champion_needs_no_next_command(make_record: MakeRecord, entry: MakeEntry) -> None:
    decision = Decision.of(make_record(), entries=[begun(entry, 1), entry(2, "move_done", begun=1)])

    assert decision.champion_since == decision.events[-1]
    assert decision.command == ""
    assert not decision.events[-1].past_the_gates


def test_breaking_the_glass_is_marked(make_record: MakeRecord, entry: MakeEntry) -> None:
    entries = [begun(entry, 1, kind="break_glass"), entry(2, "move_done", begun=1)]

    event = Decision.of(make_record(flips=0.2), entries=entries).events[-1]

    assert (event.what, event.past_the_gates) == ("made version 7 champion (past the gates: break glass)", True)


def test_a_move_that_has_not_ended_is_told_as_one(make_record: MakeRecord, entry: MakeEntry) -> None:
    decision = Decision.of(make_record(), entries=[begun(entry, 1)])

    assert [e.what for e in decision.events] == ["began to make version 7 champion, which has not ended"]


def test_what_happened_to_other_versions_is_not_told(make_record: MakeRecord, entry: MakeEntry) -> None:
    entries = [
        entry(1, "judged", version="6", verdict="HOLD", record="x"),
        begun(entry, 2, to="6", leaving="3"),
        entry(3, "move_done", version="6", begun=2),
    ]

    assert Decision.of(make_record(), entries=entries).events == ()


def test_a_refit_is_the_version_that_would_be_promoted(make_record: MakeRecord) -> None:
    decision = Decision.of(make_record(refit_shift=0.01))

    assert (decision.version, [g.name for g in decision.gates]) == ("8", ["compliance", "challenge", "refit"])
