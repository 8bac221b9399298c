"""Names of release branches, and what stands in their way. Pure."""

from __future__ import annotations

import re

from gatehouse.errors import StateError, UsageError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def release_branch(name: str) -> str:
    """`release/2026-11` for `2026-11`."""
    if not _NAME.fullmatch(name) or ".." in name or name.endswith((".", ".lock")):
        raise UsageError(
            f"{name!r} cannot be the name of a release.",
            why="It becomes the branch release/NAME, on which workflows run.",
            remedy="Use letters, digits and . _ -, such as 2026-11.",
        )
    return f"release/{name}"


def taken(branch: str, there: str, wanted: str) -> StateError:
    """The branch exists, on another commit."""
    return StateError(
        f"{branch} exists already, on commit {there[:12]}, not on {wanted[:12]}.",
        why="A release branch that jumps would release what nobody cut.",
        remedy="Choose another name, or push to the branch.",
    )
