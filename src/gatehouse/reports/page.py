"""HTML pages from templates: everything printed is escaped, and a name that a template misspells is an error.

A page is one file: style and plots are inside, it loads nothing and runs nothing.
"""

from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from gatehouse.errors import StorageError
from gatehouse.reports import wording

if TYPE_CHECKING:
    from jinja2 import Environment


def render(template: str, **content: object) -> str:
    """The page that a template of `templates/` makes of its content."""
    return _templates().get_template(template).render(**content)


def markdown(text: str, *, below: int) -> Markup:
    """CommonMark with tables as HTML, its headings under one of level `below`.

    HTML in the text is shown, not obeyed, and pictures stay links: the text may come from anybody who may describe a
    version.
    """
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    tokens = parser.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1:]) + below)}"
    return Markup(parser.renderer.render(tokens, parser.options, {}))  # noqa: S704 - escaped by the renderer


def breakable(name: str) -> Markup:
    """A name that may go on in the next line after an underscore, which browsers do not allow by themselves."""
    return Markup("_<wbr>").join(escape(part) for part in name.split("_"))


def write(path: Path, html: str) -> Path:
    """Put the page there in one step: whoever looks sees the old page or the new one. StorageError if it cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=".part")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(html)
            Path(partial).chmod(0o644)  # mkstemp's own right is the owner's alone
            Path(partial).replace(path)
        except BaseException:
            Path(partial).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StorageError(
            f"The report {path} cannot be written: {error.strerror or error}.",
            why="The page that was there before, if any, is as it was, and grows old.",
            remedy="Free space, or give yourself the right to write there, then run the same command again.",
        ) from error
    return path


@cache
def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    templates = Environment(
        loader=PackageLoader("gatehouse.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    said = (wording.count, wording.number, wording.share, wording.day, wording.days, wording.moment, breakable)
    templates.filters.update({function.__name__: function for function in said})
    return templates
