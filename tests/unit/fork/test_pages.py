from __future__ import annotations

from gatehouse.fork.pages import gone_from, without_passages, without_traces


def test_passages_go_with_their_marks_in_a_line_or_as_lines_of_their_own() -> None:
    text = (
        "One<!-- x -->, two\nmore<!-- /x -->.\n\n<!-- x -->\nThree.\n<!-- /x -->\n\nFour <!-- y -->five<!-- /y -->.\n"
    )

    assert without_passages(text, "x") == "One.\n\nFour <!-- y -->five<!-- /y -->.\n"


def test_links_to_what_is_gone_become_text_and_blocks_lose_its_lines() -> None:
    gone = gone_from({"bench/a.md", "docs/demo.svg", "docs/b.md", "tests/template/x.py"}, {"docs/b.md"})
    page = (
        "[Numbers](../bench/a.md#sizes), [b](b.md), [web](https://x.org/bench), ![picture](demo.svg)\n"
        "[folder](../bench/)\n"
        "```text\nbench/      measured\ntests/template/  proof\nb.md        stays\n```\n"
        "bench/      in prose stays\n"
    )

    assert without_traces("docs/page.md", page, gone) == (
        "Numbers, [b](b.md), [web](https://x.org/bench), \nfolder\n```text\nb.md        stays\n```\n"
        "bench/      in prose stays\n"
    )
