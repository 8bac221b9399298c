"""Logging commands of Azure's agent: `##vso[area.action key=value;]message`.

Source: MicrosoftDocs/azure-devops-docs, docs/pipelines/scripts/logging-commands.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from tests.template.harness import NotUnderstood

_COMMAND = re.compile(r"##vso\[(?P<name>[a-zA-Z]+\.[a-zA-Z]+)(?: (?P<given>[^\]]*))?\](?P<message>.*)")
_KNOWN: Final = {
    "task.setvariable": {"variable", "issecret", "isoutput", "isreadonly"},
    "task.logissue": {"type", "sourcepath", "linenumber", "columnnumber", "code"},
    "task.complete": {"result"},
    "task.uploadsummary": set[str](),
    "task.prependpath": set[str](),
    "task.setsecret": set[str](),
    "artifact.upload": {"containerfolder", "artifactname"},
    "build.addbuildtag": set[str](),
    "build.updatebuildnumber": set[str](),
}
_ESCAPES = (("%3B", ";"), ("%0D", "\r"), ("%0A", "\n"), ("%5D", "]"), ("%AZP25", "%"))


@dataclass(frozen=True, slots=True)
class Command:
    """A command and what it was given, keys in lower case."""

    name: str
    given: dict[str, str]
    message: str

    def flag(self, key: str) -> bool:
        """`isOutput=true`."""
        return self.given.get(key, "false").lower() == "true"


def command_in(line: str) -> Command | None:
    """The command that a line of a log holds, wherever it stands in it."""
    start = line.lower().find("##vso[")
    if start < 0:
        return None
    found = _COMMAND.match("##vso[" + line[start + 6 :])
    if found is None or found["name"].lower() not in _KNOWN:
        raise NotUnderstood(f"the logging command {line!r}")
    name = found["name"].lower()
    given = {}
    for pair in (found["given"] or "").split(";"):
        if pair.strip():
            key, _, value = pair.partition("=")
            given[key.strip().lower()] = _unescaped(value)
    unknown = set(given) - _KNOWN[name]
    if unknown:
        raise NotUnderstood(f"{name} with {sorted(unknown)}")
    return Command(name, given, _unescaped(found["message"]))


def _unescaped(text: str) -> str:
    for escape, letter in _ESCAPES:
        text = text.replace(escape, letter)
    return text
