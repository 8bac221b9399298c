"""What the git checkout says about a commit, for CIs whose interfaces do not."""

from __future__ import annotations

from pathlib import Path

from gatehouse.git import answer


def people_of(folder: Path, commit: str) -> tuple[str, ...]:
    """E-mail addresses of who wrote and who committed it; none where git does not know the commit."""
    written = answer(folder, "log", "-1", "--format=%ae%n%ce", commit, "--").splitlines()
    return tuple(dict.fromkeys(line for line in written if line))


def head(folder: Path) -> str:
    """The commit that is checked out; empty outside a checkout."""
    return answer(folder, "rev-parse", "HEAD")
