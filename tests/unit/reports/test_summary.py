"""The Markdown of a decision, whole, and what it does with records that are too long or mean harm."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from markdown_it import MarkdownIt

from gatehouse.evaluation.comparison import Comparison
from gatehouse.evaluation.measurement import Unmeasured
from gatehouse.gates.record import DecisionRecord
from gatehouse.gates.verdict import Finding, Outcome, Verdict
from gatehouse.lakehouse.audit import Entry
from gatehouse.reports.decision import Decision
from gatehouse.reports.summary import LIMIT, decision_markdown
from gatehouse.reports.wording import DASH

MakeRecord = Callable[..., DecisionRecord]
Compare = Callable[..., Comparison]
HEAD = (
    "|  | metric | slice | champion 3 | candidate | gain | 91 % interval | margin |",
    "|---|---|---|--:|--:|--:|---|---|",
)


def test_a_version_that_may_go_waits_for_approval(make_record: MakeRecord) -> None:
    record = make_record()

    assert decision_markdown(Decision.of(record)).splitlines() == [
        "### ✅ PROMOTE: version 7 of prod.main.parcels",
        "",
        "In prod; proposed by schedule, judged 1 August 2013, 09:30 UTC. Compared with champion version 3 on 28 days "
        "(1,000 rows).",
        "",
        "- log\\_loss is 0.4700 for the candidate and 0.5000 for champion version 3: better by 0.0300 (91 % interval "
        "of the gain 0.0278 to 0.0322; 28 days, 1,000 rows). It is shown to be better (p &lt; 0.0001, below 0.045).",
        "",
        "**Approval:** by anybody but carl@&#8203;example.org, from whom it comes, until 4 August 2013, 09:30 UTC. "
        "**Next:** `gatehouse approve 7 --env prod --reason ...`",
        "",
        *HEAD,
        f"| ✅ primary | log\\_loss | {DASH} | 0.5000 | 0.4700 | +0.0300 | 0.0278 to 0.0322 | 0.01 |",
        f"| ✅ guardrail | roc\\_auc | {DASH} | 0.5000 | 0.5300 | +0.0300 | 0.0278 to 0.0322 | 0.015 |",
        "| ✅ required slice | log\\_loss | depot=north | 0.5000 | 0.4700 | +0.0300 | 0.0278 to 0.0322 | 0.02 |",
        "",
        "<details><summary>1 slice for information</summary>",
        "",
        *HEAD,
        "| ✅ | log\\_loss | carrier=AA | 0.5000 | 0.4700 | +0.0300 | 0.0278 to 0.0322 | 0.02 |",
        "",
        "</details>",
        "",
        "Gates: ✅ compliance 18 of 18 rules, ✅ challenge 20 of 20 rules.",
        "",
        f"Record `{record.digest()}`, files `dddddddddddd`, policy `{record.policy.digest[:12]}`, code `0123456789ab`, "
        "as of 1 August 2013.",
    ]


def test_a_version_that_compliance_refused_was_compared_with_nobody(make_record: MakeRecord) -> None:
    record = make_record(compliance={"explained": False, "card_blanks": ("Owner",)})

    assert decision_markdown(Decision.of(record)) == (
        f"""### ❌ HOLD: version 7 of prod.main.parcels

In prod; proposed by schedule, judged 1 August 2013, 09:30 UTC. It was compared with nobody: compliance comes first.

- ❌ **compliance: model\\_card** The model card leaves blank: Owner.
  **Next:** Fill in what the project says of itself (intended\\_use, limitations, owner), and train again.
- ❌ **compliance: explanation** Nothing says what the model leans on.
  **Next:** Let the estimator's \\`importances\\` return contributions.

**Approval:** none is possible, for the gates did not open. All of it: `gatehouse why 7 --env prod`

Gates: ❌ compliance 16 of 18 rules.

Record `{record.digest()}`, files `dddddddddddd`, policy `{record.policy.digest[:12]}`, code `0123456789ab`, """
        "as of 1 August 2013.\n"
    )


def test_a_refit_names_the_version_that_was_judged(make_record: MakeRecord) -> None:
    text = decision_markdown(Decision.of(make_record(refit_shift=0.01)))

    assert text.startswith("### ✅ PROMOTE: version 8 of prod.main.parcels\n")
    assert "the refit of version 7, which was judged" in text
    assert "✅ refit 1 of 1 rules" in text


def test_manual_checks_say_who_may_answer(make_record: MakeRecord) -> None:
    checks = [{"id": "legal", "question": "Is it lawful?", "by": ["lex@example.org"]}]

    text = decision_markdown(Decision.of(make_record(policy={"approval": {"manual_checks": checks}})))

    assert "To be answered by lex@&#8203;example.org: Is it lawful? **Next:**" in text


def test_what_is_approved_may_be_promoted(make_record: MakeRecord) -> None:
    yes = Verdict((Finding(gate="approval", rule="approvals", outcome=Outcome.PROMOTE, reason="Yes."),))

    text = decision_markdown(Decision.of(make_record(), people=yes))

    assert "**Approval:** given, and it stands until 4 August 2013, 09:30 UTC. **Next:** `gatehouse promote 7" in text


def test_a_champion_past_the_gates_is_marked(make_record: MakeRecord, entry: Callable[..., Entry]) -> None:
    move = {"kind": "break_glass", "from": "3", "to": "7", "previous": None, "record": None, "reason": "fire"}
    entries = [entry(1, "move_begun", **move), entry(2, "move_done", begun=1)]

    text = decision_markdown(Decision.of(make_record(flips=0.2), entries=entries))

    assert "**Champion** since 1 August 2013, 11:30 UTC, by anna@&#8203;example.org, **past the gates**." in text


def test_names_that_are_markup_are_shown_and_not_obeyed(make_record: MakeRecord, compare: Compare) -> None:
    nasty = "depot=|<b>[x](y) @octocat"
    compared = [compare("log_loss", n, 0.03) for n in ("all", "depot=north", nasty)] + [compare("roc_auc", "all", 0.03)]
    record = make_record(model="prod.main.|<b>", proposer="`<i>`", compared=compared, informative=(nasty,))

    text = decision_markdown(Decision.of(record))

    parser = MarkdownIt("commonmark", {"html": True}).enable("table")
    html = [t for token in parser.parse(text) for t in (token, *(token.children or ())) if t.type.startswith("html")]
    assert [t.content.strip() for t in html] == ["<details><summary>1 slice for information</summary>", "</details>"]
    rows = parser.render(text).split("<tr>")[1:]
    assert {len(re.findall("<t[dh][ >]", row)) for row in rows} == {8}
    assert "@octocat" not in text


@pytest.mark.parametrize("slices", [2_000, 20_000])
def test_however_many_slices_it_fits_into_a_comment(make_record: MakeRecord, compare: Compare, slices: int) -> None:
    names = tuple(f"shop={'@' * 60}{n}" for n in range(slices))
    compared = [compare("log_loss", n, 0.03) for n in ("all", "depot=north")] + [compare("roc_auc", "all", 0.03)]
    # not measured: what takes a text most
    missing = [Unmeasured(metric="log_loss", slice=n, reason="@" * 5_000, rows=1) for n in names]
    record = make_record(compared=[*compared, *missing[:50]], informative=names[:50])
    many = Decision.of(record)
    text = decision_markdown(_with_slices(many, slices))

    assert len(text) <= LIMIT
    assert "more comparisons stand in the record." in text
    assert text.count("</details>") == 1
    assert text.rstrip().endswith("as of 1 August 2013.")


def test_however_long_its_reasons_it_fits_into_a_comment(make_record: MakeRecord) -> None:
    columns = tuple(f"{'#' * 500}{n}" for n in range(50))
    record = make_record(
        compliance={"flavours": ("|" * 10_000,), "card_blanks": columns, "requirements": ("<" * 10_000,)},
        proposer="@" * 10_000,
        model="prod.main." + "$" * 10_000,
    )

    text = decision_markdown(Decision.of(record))

    assert len(text) <= LIMIT
    assert "…" in text
    assert "Gates: ❌ compliance" in text


def _with_slices(decision: Decision, number: int) -> Decision:
    """The decision with its informative contrasts repeated."""
    repeated: Any = decision.informative * (number // len(decision.informative))
    return replace(decision, contrasts=(*decision.deciding, *repeated))
