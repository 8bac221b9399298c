"""What a use case may be called, and how one name is spelled in the places where it stands."""

from __future__ import annotations

import keyword
import re
import sys
from dataclasses import dataclass

from gatehouse.errors import UsageError

LONGEST = 40
_TAKEN = frozenset({"gatehouse", "conftest", "conf", "docs", "examples", "main", "project", "projects", "src", "tests"})


@dataclass(frozen=True, slots=True)
class Name:
    """`package` is the Python package, schema and model; the distribution is called the same with dashes."""

    package: str

    @property
    def distribution(self) -> str:
        """`tram_delays` is installed as `tram-delays`."""
        return self.package.replace("_", "-")

    @property
    def title(self) -> str:
        """`tram_delays` in a heading: `Tram delays`."""
        return self.package.replace("_", " ").capitalize()


EXAMPLE = Name("flight_delays")
"""The example of the template: rare words, so that replacing them hits nothing else."""
STARTER = Name("temperature")
"""The tiny use case in examples/, from which a minimal one is made."""
MACHINERY = Name("gatehouse")
"""Keeps its name; only the distribution that carries it is called after the project."""


def parse_name(text: str, *, taken: frozenset[str] = frozenset()) -> Name:
    """A name that works as a package, a schema, a model and a distribution; `taken` are packages that exist already."""
    reason = _objection(text, taken)
    if reason:
        raise UsageError(
            f"{text!r} cannot be the name of a project: {reason}.",
            why="It becomes a Python package, a schema, a registered model and the name of the distribution.",
            remedy=f"Choose small letters, digits and single underscores, {_suggestion(text)!r} for example.",
        )
    return Name(text)


def _objection(text: str, taken: frozenset[str]) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", text):
        return "it is not of small letters, digits and single underscores, a letter first"
    if len(text) > LONGEST:
        return f"it has {len(text)} characters, and {LONGEST} is the limit"
    if keyword.iskeyword(text):
        return "it is a keyword of Python"
    if text in sys.stdlib_module_names:
        return "a module of Python's standard library has it"
    if text in (EXAMPLE.package, STARTER.package):
        return "it is the example's"
    if text in _TAKEN:
        return "the template itself uses it"
    return "a package of that name exists already" if text in taken else ""


def _suggestion(text: str) -> str:
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", text).lower()
    made = re.sub(r"[^a-z0-9]+", "_", words).strip("_0123456789")[:LONGEST].rstrip("_")
    return made if made and not _objection(made, frozenset()) else "tram_delays"
