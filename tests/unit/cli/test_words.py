"""Decisions in a terminal of 80 columns: one line for each gate, and only what one needs to know."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from gatehouse.cli.words import show_decision, show_record, show_verdict
from gatehouse.evaluation.comparison import Comparison
from gatehouse.gates.record import DecisionRecord
from gatehouse.gates.verdict import Finding, Outcome, Verdict
from gatehouse.lakehouse.audit import Entry
from gatehouse.reports.decision import Decision

MakeRecord = Callable[..., DecisionRecord]
WAITING = Verdict(
    (
        Finding(gate="approval", rule="files", outcome=Outcome.PROMOTE, reason="They are the same."),
        Finding(gate="approval", rule="approvals", outcome=Outcome.HOLD, reason="0 of 1.", next_step="Ask Anna."),
    )
)


def said(show: Callable[..., None], *content: Any, **how: Any) -> list[str]:
    """The lines on a terminal of 80 columns, without colours and blanks at their ends."""
    console = Console(file=io.StringIO(), width=80, highlight=False)
    show(console, *content, **how)
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_a_decision_is_read_at_a_glance(make_record: MakeRecord) -> None:
    record = make_record()

    assert said(show_decision, Decision.of(record, people=WAITING), every=False) == [
        "Version 7 of prod.main.parcels: PROMOTE",
        "  proposed by schedule, compared with champion version 3",
        "+ compliance 18 of 18 rules",
        "+ challenge  20 of 20 rules",
        "  + primary metric log_loss: log_loss is 0.4700 for the candidate and 0.5000 for",
        "    champion version 3: better by 0.0300 (91 % interval of the gain 0.0278 to",
        "    0.0322; 28 days, 1,000 rows). It is shown to be better (p < 0.0001, below",
        "    0.045).",
        "",
        "On 28 days, 1,000 rows",
        "                champion 3  candidate  gain     91 % interval     margin",
        "+  log_loss     0.5000      0.4700     +0.0300  0.0278 to 0.0322  0.01",
        "+  roc_auc      0.5000      0.5300     +0.0300  0.0278 to 0.0322  0.015",
        "+  depot=north  0.5000      0.4700     +0.0300  0.0278 to 0.0322  0.02",
        "  1 slice for information: 1 within the margin (--all shows them)",
        "",
        "x people     1 of 2 rules",
        "  x approvals: 0 of 1.",
        "    Next: Ask Anna.",
        f"  record {record.digest()[:12]}, stands until 2013-08-04 09:30 UTC",
        "Next: gatehouse approve 7 --env prod --reason ...",
    ]


def test_a_version_that_was_held_says_why_and_what_to_do(make_record: MakeRecord) -> None:
    record = make_record(flips=0.2)

    lines = said(show_decision, Decision.of(record, people=WAITING), every=False)

    assert lines[:9] == [
        "Version 7 of prod.main.parcels: HOLD",
        "  proposed by schedule, compared with champion version 3",
        "+ compliance 18 of 18 rules",
        "x challenge  19 of 20 rules",
        "  x negative flips: 20 % of 1,000 rows were right with champion version 3 and",
        "    are wrong now, more than the limit of 10 %.",
        "    Next: Look at the flipped events; if their users can bear it, raise",
        "    stability.negative_flips in conf/promotion.yml in a reviewed change.",
        "",
    ]
    assert lines[-2:] == [
        "x people     Nobody can approve it: the gates did not open.",
        f"  record {record.digest()[:12]}, stands until 2013-08-04 09:30 UTC",
    ]


def test_everything_is_told_who_asks_for_all_of_it(make_record: MakeRecord) -> None:
    record = make_record(flips=0.2)

    lines = said(show_decision, Decision.of(record, people=WAITING), every=True)

    text = " ".join(" ".join(lines).split())
    for finding in (*record.judged.findings, *WAITING.findings):
        assert f"{finding.rule}: {finding.reason}" in text
    assert any(line.startswith("+  carrier=AA") for line in lines)
    assert "for information" not in text.replace("For information", "")


def test_no_line_is_longer_than_the_terminal(make_record: MakeRecord) -> None:
    long = make_record(compliance={"card_blanks": tuple(f"section {n}" for n in range(40)), "explained": False})

    lines = said(show_decision, Decision.of(long, people=WAITING), every=True)

    assert max(map(len, lines)) <= 80


def test_a_champion_says_since_when_and_by_whom(make_record: MakeRecord, entry: Callable[..., Entry]) -> None:
    move = {"kind": "break_glass", "from": "3", "to": "7", "previous": None, "record": None, "reason": "fire"}
    entries = [entry(1, "move_begun", **move), entry(2, "move_done", begun=1)]

    lines = said(show_decision, Decision.of(make_record(), people=WAITING, entries=entries), every=False)

    assert lines[-4:-1] == [
        "+ champion since 2013-08-01 11:30 UTC",
        "  2013-08-01 11:30  anna@example.org made version 7 champion (past the gates:",
        "                    break glass)",
    ]


def test_a_record_alone_tells_the_gates(make_record: MakeRecord) -> None:
    record = make_record(compliance={"explained": False}, refit_shift=None)

    assert said(show_record, record, record.digest()) == [
        "Version 7 of prod.main.parcels: HOLD",
        "  proposed by schedule, compared with nobody: compliance decided",
        "x compliance 17 of 18 rules",
        "  x explanation: Nothing says what the model leans on.",
        "    Next: Let the estimator's `importances` return contributions.",
        f"  record {record.digest()[:12]}, stands until 2013-08-04 09:30 UTC",
    ]


@pytest.mark.parametrize(
    ("every", "expected"),
    [
        (False, ["x HOLD", "  x approvals: 0 of 1.", "    Next: Ask Anna."]),
        (True, ["x HOLD", "  x approvals: 0 of 1.", "    Next: Ask Anna.", "  + files: They are the same."]),
    ],
)
def test_a_verdict_tells_what_decided_it(every: bool, expected: list[str]) -> None:
    assert said(show_verdict, WAITING, every=every) == expected


def test_slices_that_are_worse_or_not_told_are_counted(
    make_record: MakeRecord, compare: Callable[..., Comparison]
) -> None:
    compared = [
        compare("log_loss", "all", 0.03),
        compare("log_loss", "depot=north", 0.03),
        compare("roc_auc", "all", 0.03),
        compare("log_loss", "a=1", -0.05),
        compare("log_loss", "a=2", 0.0, error=0.1),
    ]

    lines = said(show_decision, Decision.of(make_record(compared=compared, informative=("a=1", "a=2"))), every=False)

    assert "  2 slices for information: 1 worse, 1 not told (--all shows them)" in lines


def test_names_with_brackets_are_no_markup(make_record: MakeRecord) -> None:
    lines = said(show_record, make_record(model="prod.main.[red]x[/red]", proposer="[bold]b[/bold]"), "0" * 64)

    assert lines[0] == "Version 7 of prod.main.[red]x[/red]: PROMOTE"
    assert lines[1] == "  proposed by [bold]b[/bold], compared with champion version 3"
