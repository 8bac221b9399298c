"""Both providers' files as one kind of graph: jobs with their commands, what they need, where they deploy.

`github_graph` and `azure_graph` inline what is called (reusable workflows, composite actions, templates). Words in
which the providers differ are made equal: variables of a shell, expressions in names, how a folder comes onto PATH.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

_SHELL_VARIABLE = re.compile(r"\$(?:\{[A-Za-z_][^}]*\}|[A-Za-z_][A-Za-z0-9_]*)")
_EXPRESSION = re.compile(r"\$\{\{.*?\}\}|\$\([A-Za-z_][\w.]*\)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """One step. `kind` is `run`, `checkout`, `upload`, `download`, or `tool`; what only serves speed is left out."""

    kind: str
    text: str
    """The script; for the others what is handed over."""
    when: str = "success"
    """What must have become of those before: `success`, `failed`, `cancelled`, `always`. `live`: nobody is asked."""
    env: tuple[tuple[str, str], ...] = ()

    def alike(self) -> tuple[str, str, str]:
        """The same on both providers, if they do the same."""
        text = _SHELL_VARIABLE.sub("$*", self.text) if self.kind == "run" else _EXPRESSION.sub("*", self.text)
        text = (
            re.sub(r"-\*:", ":", text) if self.kind == "upload" else text
        )  # Azure overwrites none: each attempt has its own
        if self.kind == "checkout":
            text = "the repository"  # how deep is looked at on its own
        if self.kind == "run" and ".venv/bin" in text and ("GITHUB_PATH" in self.text or "prependpath" in self.text):
            text = "PATH += .venv/bin"
        return self.kind, text, self.when


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """One job. Names have `_` where GitHub has `-`."""

    workflow: str
    name: str
    commands: tuple[Command, ...]
    needs: frozenset[str]
    """Names in the same workflow."""
    environment: str | None
    when: frozenset[str]
    """What its condition asks: `output` of another job, `schedule` switched on, `always`, no fork's `own branch`."""
    minutes: int | None
    machine: str
    condition: str | None = None
    """As it is written."""
    permissions: tuple[tuple[str, str], ...] = ()
    """GitHub: of its token."""
    env: tuple[tuple[str, str], ...] = ()
    """GitHub: of all its steps, as it is written."""

    def alike(self) -> Node:
        """Without what cannot be equal."""
        alike = [command.alike() for command in self.commands]
        commands = tuple(Command(kind=kind, text=text, when=when) for kind, text, when in alike)
        return replace(self, commands=commands, condition=None, permissions=(), env=())


Graph = dict[str, dict[str, Node]]
"""By workflow and job."""


def ancestors(jobs: dict[str, Node], name: str) -> set[str]:
    """All that a job needs, directly or not."""
    found: set[str] = set()
    open_ends = list(jobs[name].needs)
    while open_ends:
        one = open_ends.pop()
        if one not in found:
            found.add(one)
            open_ends += jobs[one].needs
    return found


def when_of_step(condition: str | None) -> str:
    """The class of a step's condition, on either provider."""
    text = condition or ""
    if re.search(r"\b(?:always|succeededOrFailed)\(\)", text):
        return "always"
    if re.search(r"release(?:\.outputs)?\.live", text):
        return "live"
    if re.search(r"\bcancell?ed\(\)", text):
        return "cancelled"
    return "failed" if re.search(r"\b(?:failure|failed)\(\)", text) else "success"


def when_of_job(condition: str | None) -> frozenset[str]:
    """The classes of a job's or stage's condition, on either provider."""
    text = condition or ""
    found = {
        "always": "always()" in text,
        "output": bool(re.search(r"needs\.[\w.-]*outputs|[dD]ependencies\.[\w.]*outputs", text)),
        "schedule": "GATEHOUSE_SCHEDULE" in text,
        "own branch": bool(re.search(r"head\.repo\.full_name == github\.repository|System\.PullRequest\.IsFork", text)),
    }
    return frozenset(word for word, holds in found.items() if holds)


def pairs(env: Any) -> tuple[tuple[str, str], ...]:
    """A mapping as a tuple that can be compared."""
    return tuple(sorted((str(key), str(value)) for key, value in (env or {}).items()))
