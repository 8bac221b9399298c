"""What preflight finds in the checkout and on this machine."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from gatehouse.ci.checkout import head, people_of
from gatehouse.ci.preflight import Line, State, ok
from gatehouse.ci.remote import origin_command
from gatehouse.git import answer

APPROVAL = "-approval"
"""How the name of a provider's environment ends whose reviewers approve a promotion."""
_ENVIRONMENT = re.compile(r"^\s*(?:-\s*)?environment:\s*[\"']?([A-Za-z0-9][\w.-]*)", re.MULTILINE)
SMOKE = frozenset({"smoke"})
"""Made by hand by whoever tries a workspace (docs/ci.md)."""
WITH_A_WORKSPACE = SMOKE | {"pull-request"}
"""Those that nobody wants who has none."""


def named_environments(
    folder: Path, files: str, *, without: frozenset[str] = WITH_A_WORKSPACE
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The environments that workflow files name: those they work in, and those whose reviewers approve.

    `files` is a folder in the checkout, `.github/workflows` or `.azure-pipelines`; `without` are left out.
    """
    texts = [path.read_text(encoding="utf-8") for path in sorted((folder / files).rglob("*.yml"))]
    names = sorted({name for text in texts for name in _ENVIRONMENT.findall(text)} - without)
    approval = tuple(name for name in names if name.endswith(APPROVAL))
    return tuple(name for name in names if name not in approval), approval


def workflow_names(folder: Path, files: str) -> tuple[str, ...]:
    """The workflows or pipelines that a folder holds, templates not included."""
    return tuple(sorted(path.stem for path in (folder / files).glob("*.yml")))


def checkout_lines(folder: Path, *, known: bool) -> Iterator[Line]:
    """About git. `known`: whether its remote is one whose settings can be asked for."""
    if not head(folder):
        reason = "It is no git checkout, or has no commit: nobody could tell which code a version came from."
        yield Line(about="checkout", state=State.PROBLEM, reason=reason, remedy="git init && git add . && git commit")
        return
    if not people_of(folder, "HEAD"):
        reason = "Its last commit has no author, so anybody could approve their own."
        yield Line(about="checkout", state=State.PROBLEM, reason=reason, remedy="git config user.email you@example.org")
    if answer(folder, "rev-parse", "--is-shallow-repository") == "true":
        reason = "It has only the newest commits, and authors of earlier ones are proposers, too."
        yield Line(about="checkout", state=State.PROBLEM, reason=reason, remedy="git fetch --unshallow")
    if answer(folder, "status", "--porcelain", "--untracked-files=no"):
        reason = "It differs from its commit, and only what is committed is released."
        yield Line(about="checkout", state=State.WARNING, reason=reason, remedy="git commit")
    else:
        yield ok("checkout", "It is what its last commit says.")
    if not known:
        reason = "It has no remote `origin` on GitHub or Azure DevOps: settings there cannot be looked at."
        yield Line(about="provider", state=State.UNKNOWN, reason=reason, remedy=origin_command(folder))


def tool_lines(which: Callable[[str], str | None], *, real: bool) -> Iterator[Line]:
    """About programs. `which` finds one on this machine; `real`: whether a workspace is reached."""
    needed = {"git": "which code is released is read from it"}
    if real:
        needed["databricks"] = "the bundle is deployed by it"
    for name, reason in needed.items():
        if which(name):
            yield ok(f"tool {name}", "It is here.")
        else:
            missing = f"It is not on PATH, and {reason}."
            yield Line(about=f"tool {name}", state=State.PROBLEM, reason=missing, remedy=f"Install {name}.")
