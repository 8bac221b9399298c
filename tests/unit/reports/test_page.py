from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from gatehouse.errors import StorageError
from gatehouse.reports.page import breakable, markdown, render, write


def test_markdown_becomes_html_with_its_headings_under_those_of_the_page() -> None:
    html = markdown("# Card\n\n## Use\n\n| a | b |\n|---|---|\n| 1 | 2 |\n", below=2)

    assert "<h3>Card</h3>" in html
    assert "<h4>Use</h4>" in html
    assert "<td>2</td>" in html


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("a <b>bold</b> claim", "a &lt;b&gt;bold&lt;/b&gt; claim"),
        ("[click](javascript:alert(1))", "[click](javascript:alert(1))"),
    ],
)
def test_what_a_card_says_is_shown_and_not_obeyed(text: str, shown: str) -> None:
    assert markdown(text, below=2).strip() == f"<p>{shown}</p>"


def test_a_card_loads_no_picture() -> None:
    assert "<img" not in markdown("![spy](https://example.org/pixel.png)", below=2)


def test_names_break_after_underscores_and_stay_escaped() -> None:
    assert breakable("late_<rate>_7d") == "late_<wbr>&lt;rate&gt;_<wbr>7d"


def test_a_name_that_a_template_is_not_given_is_an_error() -> None:
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError, match="'entries' is undefined"):
        render("index.html.j2", project=SimpleNamespace(name="delays", description=""))


def test_a_page_replaces_the_one_before_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "report" / "prod.html"

    for text in ("old", "new é"):
        assert write(path, text) == path

    assert {p.name: p.read_text("utf-8") for p in path.parent.iterdir()} == {"prod.html": "new é"}


def test_a_page_that_cannot_be_written_says_so_and_leaves_nothing_behind(tmp_path: Path) -> None:
    taken = tmp_path / "prod.html"
    taken.mkdir()

    with pytest.raises(StorageError, match=r"The report .*prod\.html cannot be written: "):
        write(taken, "new")

    assert list(tmp_path.iterdir()) == [taken]
