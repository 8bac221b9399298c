"""Variables of one job of Azure: names in any case, secrets that no log shows, `$(x)` and the environment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.template.harness import NotUnderstood
from tests.template.harness.azure_expressions import Evaluator, text_of

_MACRO = re.compile(r"\$\(([A-Za-z_][\w.]*)\)")
_RUNTIME = re.compile(r"\$\[(.*)\]", re.DOTALL)


@dataclass(kw_only=True, slots=True)
class Scope:
    """Later values hide earlier ones."""

    values: dict[str, str] = field(default_factory=dict)
    secrets: set[str] = field(default_factory=set)
    """Names in lower case."""
    names: dict[str, str] = field(default_factory=dict)
    """As it was written first, by the name in lower case."""
    readonly: set[str] = field(default_factory=set)

    def set(self, name: str, value: str, *, secret: bool = False) -> None:
        """Sets or hides."""
        key = name.lower()
        if key in self.readonly:
            raise NotUnderstood(f"the variable {name} is read-only")
        self.values[key] = value
        self.names.setdefault(key, name)
        if secret:
            self.secrets.add(key)

    def declare(
        self,
        variables: Iterable[Mapping[str, Any]],
        groups: Mapping[str, Mapping[str, str]],
        contexts: Mapping[str, Any],
        *,
        at_start: bool,
    ) -> None:
        """Those of a pipeline, stage or job; `$[ ]` is evaluated, once there is something to evaluate it with."""
        for entry in variables:
            if "group" in entry:
                if entry["group"] not in groups:
                    raise NotUnderstood(f"the variable group {entry['group']}")
                for name, value in groups[entry["group"]].items():
                    self.set(name, value)
                continue
            value = text_of(entry["value"])
            found = _RUNTIME.fullmatch(value.strip())
            if found and at_start:
                value = text_of(Evaluator(contexts={"variables": self.values, **contexts}).evaluate(found[1].strip()))
            elif "$[" in value and not found:
                raise NotUnderstood(f"$[ ] is the whole of a value or nothing: {value!r}")
            self.set(entry["name"], value)

    def replaced(self, text: str) -> str:
        """`$(x)` with what x is, repeatedly, as values can name others; a name nobody set stays as it is."""
        for _ in range(10):
            made = _MACRO.sub(lambda found: self.values.get(found[1].lower(), found[0]), text)
            if made == text:
                return made
            text = made
        raise NotUnderstood(f"variables that name each other: {text!r}")

    def environment(self) -> dict[str, str]:
        """What a step's process is given by itself: everything but secrets."""
        return {
            re.sub(r"[^A-Z0-9_]", "_", key.upper()): self.replaced(value)
            for key, value in self.values.items()
            if key not in self.secrets
        }

    def masked(self, text: str) -> str:
        """A line as the log shows it."""
        for key in self.secrets:
            for line in self.values[key].splitlines():
                if line.strip():
                    text = text.replace(line, "***")
        return text
