"""Text for GitHub-flavoured Markdown, which Azure DevOps reads too: escaped, on one line, within a length. Pure.

What is escaped can neither end a table's cell nor open a tag, a link, a formula or a code span; and it calls nobody: a
name such as @octocat in a comment would send that person a message, and #7 would link to an issue.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

_MARKUP = re.compile(r"([\\`*_\[\]|~])")
_REFERENCE = re.compile(r"(?<!&)([@#])(?=\w)")
_ADDRESS = re.compile(r"(?i)(?:https?|ftp)(?=://)|\bwww(?=\.)")
_PARTED = "&#8203;"
"""A space without width: what it parts is no mention, no reference and no address."""
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;"})
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


def escaped(text: object, *, at_most: int = 300) -> str:
    """The text as it reads, whatever it holds; of a longer one the beginning. Lengths count before escaping."""
    line = _MARKUP.sub(r"\\\1", clipped(plain(str(text)[: 4 * at_most]), at_most).translate(_ENTITIES))
    return _ADDRESS.sub(rf"\g<0>{_PARTED}", _REFERENCE.sub(rf"\1{_PARTED}", line))


def code(text: object, *, at_most: int = 300) -> str:
    """The text as a code span, for anywhere but the cell of a table, which a bar would end."""
    line = clipped(plain(str(text)), at_most)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    room = " " if not line or line[0] == "`" or line[-1] == "`" else ""
    return f"{fence}{room}{line}{room}{fence}"


def plain(text: str) -> str:
    """On one line, without characters that nobody sees."""
    return "".join(c for c in " ".join(text.split()) if unicodedata.category(c) not in _INVISIBLE)


def clipped(text: str, at_most: int) -> str:
    """The beginning of a text that is too long, with an ellipsis."""
    return text if len(text) <= at_most else text[: at_most - 1].rstrip() + "…"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[int] = ()) -> Iterator[str]:
    """The lines of a table, of cells that are escaped already. `right` are the columns whose cells are numbers."""
    yield f"| {' | '.join(head)} |"
    yield "|" + "|".join("--:" if column in right else "---" for column in range(len(head))) + "|"
    for cells in rows:
        yield f"| {' | '.join(cells)} |"
