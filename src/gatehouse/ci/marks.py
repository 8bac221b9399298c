"""How the same issue or comment is found again: by a marker in front, which a reader does not see. Pure."""

from __future__ import annotations

import re

from gatehouse.errors import UsageError

LABEL = "gatehouse"
"""Stands on each issue."""
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,99}")


def mark(key: str) -> str:
    """`<!-- gatehouse: drift/age -->`"""
    return f"<!-- gatehouse: {checked_key(key)} -->"


def marked(key: str, markdown: str, *, at_most: int) -> str:
    """The text with its marker in front, cut to a number of characters."""
    return f"{mark(key)}\n{markdown}"[:at_most]


def checked_key(key: str) -> str:
    """A key that cannot end its marker, nor a query."""
    if not _KEY.fullmatch(key) or "--" in key:
        raise UsageError(
            f"{key!r} cannot be the key of an issue or comment.",
            why="It stands in a comment of HTML, by which the same one is found again.",
            remedy="Use letters, digits and single signs of _ . : / -",
        )
    return key
