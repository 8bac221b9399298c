"""The page of a decision is read as a browser reads it: elements, their words, and nothing that runs or loads."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest

from gatehouse.evaluation.comparison import Comparison
from gatehouse.evaluation.measurement import Unmeasured
from gatehouse.gates.record import DecisionRecord
from gatehouse.gates.verdict import Finding, Outcome, Verdict
from gatehouse.lakehouse.audit import Entry
from gatehouse.reports.decision import Decision
from gatehouse.reports.decision_page import Pages, decision_html

MakeRecord = Callable[..., DecisionRecord]
VOID = {"meta", "br", "wbr"}
Drawing = dict[str, list[dict[str, str | None]]]


class Page(HTMLParser):
    """What a page holds: every element with its attributes, the words outside of the style, and what is drawn."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.opened: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open, "an element is not closed"
        self.words = " ".join(self.words.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.opened.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.opened.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.words += f" {data}"

    def attributes(self, name: str) -> list[str]:
        return [attributes[name] or "" for _, attributes in self.opened if name in attributes]

    def drawn(self) -> list[Drawing]:
        """The intervals, one for each row: `margin`, `zero` and `whisker` lines, and the point."""
        found: list[Drawing] = []
        for tag, attributes in self.opened:
            if tag == "svg" and attributes.get("class") == "forest":
                found.append({})
            elif tag in ("line", "circle") and found:
                found[-1].setdefault(attributes.get("class") or tag, []).append(attributes)
        return found


def page_of(record: DecisionRecord, **given: object) -> Page:
    return Page(decision_html(Decision.of(record), **given))  # type: ignore[arg-type]


def test_the_page_begins_with_the_verdict_its_reasons_and_what_to_do(make_record: MakeRecord) -> None:
    held = page_of(make_record(flips=0.2)).words

    assert held.index("Version 7 ✗ HOLD") < held.index("Challenge: negative flips. 20 % of 1,000 rows were right")
    assert held.index("Next: Look at the flipped events") < held.index("Nobody can approve it: the gates did not open.")
    assert held.index("Nobody can approve it") < held.index("Comparison Positive gains are better")


def test_a_version_that_may_go_says_who_may_let_it(make_record: MakeRecord) -> None:
    words = page_of(make_record()).words

    assert (
        "It waits for approval by anybody but carl@example.org, from whom it comes, until 4 August 2013, 09:30 UTC. "
        "Next: gatehouse approve 7 --env prod --reason ..."
    ) in words


def test_every_interval_is_drawn_between_the_margin_and_no_difference(make_record: MakeRecord) -> None:
    drawn = page_of(make_record()).drawn()

    def place(lines: list[dict[str, str | None]], end: str) -> float:
        return float((lines[0][end] or "").removesuffix("%"))

    assert len(drawn) == 4  # three that decide, one for information
    for row in drawn:
        margin, zero = place(row["margin"], "x1"), place(row["zero"], "x1")
        low, point, high = (
            place(row["whisker"], "x1"),
            place(row["circle"], "cx"),
            place(row["whisker"], "x2"),
        )
        assert 0 < margin < zero < low < point < high < 100
    # On one scale in margins, a gain of 0.03 lies farther to the right where the margin is 0.01 than where it is 0.02.
    assert place(drawn[0]["circle"], "cx") > place(drawn[2]["circle"], "cx")


def test_numbers_stand_beside_what_is_drawn(make_record: MakeRecord) -> None:
    words = page_of(make_record()).words

    assert "log_ loss primary, 1,000 rows 0.5000 0.4700 +0.0300 0.0278 to 0.0322 0.01" in words
    assert "roc_ auc guardrail, 1,000 rows 0.5000 0.5300 +0.0300 0.0278 to 0.0322 0.015" in words
    assert "log_ loss in depot=north required slice, 1,000 rows" in words


def test_what_each_day_says_is_plotted_and_told_in_numbers(make_record: MakeRecord) -> None:
    page = page_of(make_record())

    plots = [attributes for tag, attributes in page.opened if tag == "svg" and attributes.get("class") == "plot"]
    assert len(plots) == 2  # log_loss and roc_auc, over all rows
    assert "Gain in log_loss, day by day Worse than the opponent in 0 of 28 days; on average 0.03." in page.words
    assert "2013-07-04 0.0328" in page.words


def test_stability_is_shown_beside_its_limits(make_record: MakeRecord) -> None:
    words = page_of(make_record()).words

    assert "negative flips 3 % – 10 %" in words  # noqa: RUF001 - a dash
    assert "score shift 0.05 – 0.2" in words  # noqa: RUF001
    assert "calibration error 0.02 0.04 0.1" in words


def test_what_could_not_be_compared_says_why(make_record: MakeRecord, compare: Callable[..., Comparison]) -> None:
    missing = Unmeasured(metric="log_loss", slice="carrier=AA", reason="All rows are negative.", rows=3)
    compared = [compare("log_loss", n, 0.03) for n in ("all", "depot=north")] + [compare("roc_auc", "all", 0.03)]

    assert "carrier=AA 3 rows All rows are negative." in page_of(make_record(compared=[*compared, missing])).words


def test_a_version_that_compliance_refused_has_its_page_too(make_record: MakeRecord) -> None:
    page = page_of(make_record(compliance={"explained": False}))

    assert page.drawn() == []
    assert "It was compared with nobody: compliance comes first, and did not let it through." in page.words
    assert "Compliance ✗ HOLD 17 of 18 rules" in page.words


def test_people_and_moves_are_told(make_record: MakeRecord, entry: Callable[..., Entry]) -> None:
    people = Verdict((Finding(gate="approval", rule="approvals", outcome=Outcome.PROMOTE, reason="By 1 of 1."),))
    move = {"kind": "break_glass", "from": "3", "to": "7", "previous": None, "record": None, "reason": "fire"}
    entries = [
        entry(1, "decision_approve", reason="read it " * 100),
        entry(2, "move_begun", **move),
        entry(3, "move_done", begun=2),
    ]

    words = Page(decision_html(Decision.of(make_record(), people=people, entries=entries))).words

    assert "It is the champion since 1 August 2013, 12:30 UTC, by anna@example.org, past the gates ." in words
    assert "1 August 2013, 10:30 UTC anna@example.org --as (claimed) approved it read it read it" in words
    assert "made version 7 champion (past the gates: break glass) ▲ past the gates fire" in words


def test_policy_lineage_digests_and_card_are_on_the_page(make_record: MakeRecord) -> None:
    record = make_record()

    page = page_of(record, card="# parcels\n\n## Owner\n\npost", pages=Pages(record="version-7.json"))

    assert f"decision record {record.digest()}" in page.words
    assert f"files of version 7 {'d' * 64}" in page.words
    assert f"files of champion 3 {'c' * 64}" in page.words
    assert "gatehouse_ seed 7" in page.words
    assert "primary. margin 0.01" in page.words.replace("primary.margin", "primary. margin")
    assert f"gatehouse replay version-7.json --digest {record.digest()}" in page.words
    assert "parcels Owner post" in page.words
    assert page.attributes("href")[0] == "version-7.json"


def test_names_that_are_markup_are_shown_and_not_obeyed(
    make_record: MakeRecord, compare: Callable[..., Comparison], entry: Callable[..., Entry]
) -> None:
    nasty = "</svg><script>alert(1)</script>|<b>"
    compared = [compare("log_loss", n, 0.03) for n in ("all", "depot=north", nasty)] + [compare("roc_auc", "all", 0.03)]
    record = make_record(model=f"prod.main.{nasty}", proposer=nasty, compared=compared, informative=(nasty,))
    entries = [entry(1, "decision_reject", actor=nasty, reason=nasty)]

    page = Page(decision_html(Decision.of(record, entries=entries), card=f"# {nasty}\n\n## {nasty}\n\n{nasty}"))

    assert not {"script", "b"} & {tag for tag, _ in page.opened}
    assert page.words.count("<script>alert(1)</script>") >= 8


def test_the_page_loads_and_runs_nothing(make_record: MakeRecord) -> None:
    html = decision_html(Decision.of(make_record()), card="![x](https://example.org/x.png)")
    page = Page(html)

    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in page.opened}
    assert not re.search(r"\bon[a-z]+=|url\((?!#)|@import", html)
    assert page.attributes("src") == []


def test_what_the_contents_name_is_there_once(make_record: MakeRecord) -> None:
    page = page_of(make_record())

    ids = page.attributes("id")
    inner = [href.removeprefix("#") for href in page.attributes("href") if href.startswith("#")]
    assert len(ids) == len(set(ids))
    assert set(inner) <= set(ids)
    assert set(page.attributes("aria-labelledby")) <= set(ids)


@pytest.mark.parametrize("outcome", ["flips", "compliance"])
def test_a_reader_of_the_screen_is_told_the_marks(make_record: MakeRecord, outcome: str) -> None:
    record = make_record(flips=0.2) if outcome == "flips" else make_record(compliance={"explained": False})

    page = page_of(record)

    assert {"PROMOTE", "HOLD"} <= set(page.attributes("aria-label"))
