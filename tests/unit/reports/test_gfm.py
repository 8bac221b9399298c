"""What is escaped reads as it was written, and does nothing. The reader is a parser of Markdown, not the eye."""

from __future__ import annotations

import html

import pytest
from markdown_it import MarkdownIt

from gatehouse.reports.gfm import clipped, code, escaped, plain, table

NASTY = [
    "|<b>",
    "a | b \\| c",
    "`code` and ``more`",
    "*bold* _it_ ~~no~~",
    "[click](javascript:alert(1)) ![x](y)",
    "<script>alert(1)</script> &lt; &amp;",
    "costs $5$ and \\(x\\)",
    "Größe ✈ 日本",
    "ends with a backslash \\",
]


def read(markdown: str) -> str:
    """The text that a reader sees, without what has no width."""
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    (_, inline, _) = parser.parse(markdown)
    assert inline.children is not None
    assert {child.type for child in inline.children} <= {"text", "code_inline"}
    return "".join(child.content for child in inline.children).replace("\N{ZERO WIDTH SPACE}", "")


@pytest.mark.parametrize("text", NASTY)
def test_escaped_text_reads_as_it_was_written(text: str) -> None:
    assert read("said: " + escaped(text)) == f"said: {text}"


@pytest.mark.parametrize("text", NASTY)
def test_a_code_span_holds_any_text(text: str) -> None:
    assert read("said: " + code(text)) == f"said: {text}"


@pytest.mark.parametrize("text", NASTY)
def test_no_text_ends_its_cell(text: str) -> None:
    lines = table(("a", "b"), [(escaped(text), "1")])

    rendered = MarkdownIt("commonmark", {"html": True}).enable("table").render("\n".join(lines))

    cells = rendered.partition("<tbody>")[2].split("<td>")[1:]
    assert [html.unescape(cell.partition("</td>")[0]) for cell in cells] == [text, "1"]


@pytest.mark.parametrize("text", ["@octocat", "see #7", "https://example.org/x", "www.example.org", "anna@example.org"])
def test_nobody_is_called_and_nothing_is_linked(text: str) -> None:
    found = escaped(text)

    assert "&#8203;" in found
    assert not any(call in html.unescape(found) for call in ("@octocat", "#7", "https://", "www.e", "a@e"))


def test_a_text_of_many_lines_is_one_without_what_nobody_sees() -> None:
    assert plain("two\nlines\tand \u202ea turn\x00") == "two lines and a turn"


@pytest.mark.parametrize(
    ("text", "expected"), [("short", "short"), ("exactly 10", "exactly 10"), ("more than 10", "more than…")]
)
def test_a_long_text_is_cut(text: str, expected: str) -> None:
    assert clipped(text, 10) == expected
    assert escaped(text, at_most=10) == expected


def test_numbers_of_a_table_stand_to_the_right() -> None:
    assert list(table(("name", "value"), [("a", "1"), ("b", "2")], right=[1])) == [
        "| name | value |",
        "|---|--:|",
        "| a | 1 |",
        "| b | 2 |",
    ]
