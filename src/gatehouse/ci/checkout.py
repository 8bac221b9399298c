"""What the git checkout says about a commit, for CIs whose interfaces do not."""

from __future__ import annotations

import subprocess
from pathlib import Path


def people_of(folder: Path, commit: str) -> tuple[str, ...]:
    """E-mail addresses of who wrote and who committed it; none where git does not know the commit."""
    return tuple(dict.fromkeys(line for line in git(folder, "log", "-1", "--format=%ae%n%ce", commit, "--") if line))


def head(folder: Path) -> str:
    """The commit that is checked out; empty outside a checkout."""
    return next(iter(git(folder, "rev-parse", "HEAD")), "")


def git(folder: Path, *arguments: str) -> list[str]:
    """The lines that git answers with; none where it fails."""
    try:
        done = subprocess.run(  # noqa: S603
            ["git", "-C", str(folder), *arguments],  # noqa: S607
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            timeout=30,
        )
    except (OSError, UnicodeDecodeError, subprocess.TimeoutExpired):
        return []
    return done.stdout.splitlines() if done.returncode == 0 else []
