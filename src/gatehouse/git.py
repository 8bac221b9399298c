"""Questions to git: without a shell, with a time limit, and with an answer where there is no git."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

NO_ANSWER = 127
"""The code of a shell that does not find a command."""


def git(
    folder: Path,
    *arguments: str,
    given: str | None = None,
    environ: Mapping[str, str] | None = None,
    timeout: float = 120,
    errors: str = "strict",
) -> subprocess.CompletedProcess[str]:
    """What it did in a folder. NO_ANSWER, with the reason as its error: none runs, it took longer, it printed no text.

    `given` is its input, `environ` what it knows beside our environment, `timeout` in seconds. `errors` is what becomes
    of names that are not UTF-8.
    """
    command = ["git", "-C", str(folder), *arguments]
    try:
        return subprocess.run(  # noqa: S603
            command,
            input=given,
            capture_output=True,
            encoding="utf-8",
            errors=errors,
            check=False,
            timeout=timeout,
            env={**os.environ, **(environ or {})},
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError) as error:
        return subprocess.CompletedProcess(command, NO_ANSWER, "", type(error).__name__)


def answer(folder: Path, *arguments: str) -> str:
    """What it printed, without the space around it; empty where it says no, or nothing within half a minute.

    What is no text has U+FFFD in its place: an author whose name is not UTF-8 is an author all the same.
    """
    done = git(folder, *arguments, timeout=30, errors="replace")
    return done.stdout.strip() if done.returncode == 0 else ""
