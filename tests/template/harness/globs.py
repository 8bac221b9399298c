"""Filter patterns of GitHub (docs: workflow syntax, filter pattern cheat sheet) and of Azure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tests.template.harness import NotUnderstood


def github_pattern(pattern: str) -> re.Pattern[str]:
    """`*` within a segment, `**` across, `?` and `+` repeat what stands before, `[]` a set, `\\` escapes."""
    parts: list[str] = []
    position = 0
    while position < len(pattern):
        letter = pattern[position]
        if pattern.startswith("**/", position) and (position == 0 or pattern[position - 1] == "/"):
            parts.append("(?:.*/)?")
            position += 2
        elif pattern.startswith("**", position):
            parts.append(".*")
            position += 1
        elif letter == "*":
            parts.append("[^/]*")
        elif letter in "?+" and parts:
            parts.append(letter)
        elif letter == "[":
            end = pattern.find("]", position + 2)
            if end < 0 or not re.fullmatch(r"[A-Za-z0-9-]+", pattern[position + 1 : end]):
                raise NotUnderstood(f"the pattern {pattern!r}: a set holds letters, digits and ranges")
            parts.append(pattern[position : end + 1])
            position = end
        elif letter == "\\" and position + 1 < len(pattern):
            position += 1
            parts.append(re.escape(pattern[position]))
        elif letter in "?+]\\":
            raise NotUnderstood(f"the pattern {pattern!r}: {letter!r} at {position}")
        else:
            parts.append(re.escape(letter))
        position += 1
    return re.compile("".join(parts))


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether the last pattern that fits `name` is a positive one; `!` makes a pattern negative."""
    included = False
    for pattern in patterns:
        if github_pattern(pattern.removeprefix("!")).fullmatch(name):
            included = not pattern.startswith("!")
    return included


def matches_azure(name: str, patterns: Iterable[str]) -> bool:
    """Branches, tags and paths of Azure: `*` any letters, also `/`; `?` one; a folder stands for what is in it."""
    for pattern in patterns:
        if re.search(r"[\[\]{}!]", pattern):
            raise NotUnderstood(f"the pattern {pattern!r} on Azure")
        expression = "".join({"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in pattern.strip("/"))
        if re.fullmatch(f"{expression}(?:/.*)?" if "*" not in pattern else expression, name):
            return True
    return False


def example(pattern: str) -> str:
    """A name that the pattern fits: `release/**` has `release/x`."""
    made = re.sub(r"\*+", "x", pattern)
    if not github_pattern(pattern).fullmatch(made):
        raise NotUnderstood(f"the pattern {pattern!r}: no example is known")
    return made
