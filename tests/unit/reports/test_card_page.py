"""A model card names what is blank in it, and notices that somebody changed it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gatehouse.reports.card import MISSING, blanks
from gatehouse.reports.card_page import Card, card_html, card_markdown

TEXT = "# parcels\n\nWill it be late?\n\n## Owner\n\npost\n\n## Limitations\n\nOne year."
CARD = Card(
    project="parcels",
    model="prod.main.parcels",
    version="7",
    aliases=("champion",),
    registered_at=datetime(2013, 8, 1, tzinfo=UTC),
    proposer="ada@example.org",
    verdict="PROMOTE",
    record="a" * 64,
    text=TEXT,
    trained=TEXT + "\n",
)


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        (TEXT, ()),
        (TEXT.replace("One year.", MISSING), ("Limitations",)),
        (TEXT.replace("One year.", f"Two words, then {MISSING}"), ("Limitations",)),
        (TEXT.replace("post", " "), ("Owner",)),
        ("", None),
        ("No section at all.", None),
    ],
)
def test_sections_that_say_nothing_are_blanks(card: str, expected: tuple[str, ...] | None) -> None:
    assert blanks(card) == expected


def test_a_complete_card_is_printed_with_where_the_version_stands() -> None:
    assert CARD.findings == ()
    assert (
        card_markdown(CARD)
        == f"""{TEXT}

## Standing

|  |  |
|---|---|
| model | prod.main.parcels |
| version | 7 |
| aliases | champion |
| registered | 1 August 2013 |
| proposed by | ada@&#8203;example.org |
| the gates said | PROMOTE |
| decision record | {"a" * 64} |

## Findings on this card

None: no section is blank, and nobody changed it.
"""
    )


@pytest.mark.parametrize(
    ("card", "rule", "reason"),
    [
        (
            replace(CARD, text="", trained=TEXT),
            "no card",
            "The registry has no card of this version.",
        ),
        (
            replace(CARD, text=TEXT.replace("post", MISSING), trained=TEXT.replace("post", MISSING)),
            "Owner",
            "The section Owner is blank.",
        ),
        (
            replace(CARD, text=TEXT.replace("One year.", "None at all.")),
            "training",
            "The card in the registry is not the one that was written when the version was trained.",
        ),
        (
            replace(CARD, trained=None),
            "training",
            "The run that trained it keeps no card to compare with.",
        ),
    ],
)
def test_what_is_wrong_with_a_card_is_a_finding_with_what_to_do(card: Card, rule: str, reason: str) -> None:
    (finding,) = card.findings

    assert (finding.rule, finding.reason) == (rule, reason)
    assert finding.next_step
    assert f"- **{rule}**: {reason}" in card_markdown(card)
    assert reason in card_html(card)


def test_a_version_about_which_nothing_is_known_says_so() -> None:
    bare = replace(CARD, aliases=(), proposer="", verdict="", record="", text="", trained=None)

    assert dict(bare.standing) == {
        "model": "prod.main.parcels",
        "version": "7",
        "aliases": "none",
        "registered": "1 August 2013",
        "proposed by": "nobody on record",
        "the gates said": "nothing yet",
        "decision record": "none",
    }
    assert card_markdown(bare).startswith("# parcels\n\n## Standing\n")


def test_the_page_shows_the_card_and_obeys_nothing_in_it() -> None:
    nasty = TEXT.replace("post", "<script>alert(1)</script>")

    html = card_html(replace(CARD, text=nasty, trained=nasty), overview="../index.html", decision="version-7.html")

    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<script" not in html
    assert '<a href="../index.html">parcels</a>' in html
    assert '<a href="version-7.html">Decision</a>' in html
