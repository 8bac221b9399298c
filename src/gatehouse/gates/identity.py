"""Who somebody is, how that was established, and how much it is worth."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from enum import StrEnum
from pathlib import Path

from pydantic.dataclasses import dataclass

from gatehouse.errors import UsageError
from gatehouse.gates.closed import CLOSED, Text
from gatehouse.git import answer

SCHEDULE = "schedule"
"""Who proposed what nobody started by hand. Nobody can be it, so it can approve nothing."""

NOBODY = frozenset({"", "unknown"})
"""Names that stand for not knowing."""

_ADDRESS = re.compile(r"<([^<>\s]+@[^<>\s]+)>")
_INVISIBLE = frozenset({"Cc", "Cf"})
_NO_CHARACTER = "Cs"
"""What a byte becomes on a command line that is not text: half of a surrogate pair, which no record can hold."""


class Strength(StrEnum):
    """How much an identity is worth."""

    CLAIMED = "claimed"  # somebody's own word, on a machine where any name can be given
    PROVEN = "proven"  # a provider let them sign in, and says who it was


@dataclass(frozen=True, kw_only=True, slots=True, config=CLOSED)
class Identity:
    """A person, or SCHEDULE. `established_by` says what gave the name, such as `--as`."""

    name: Text
    established_by: Text
    strength: Strength

    def __str__(self) -> str:
        return f"{self.name} ({self.strength}, by {self.established_by})"


def same_person(name: str) -> str:
    """What two spellings of one name have in common: `Anna <Anna@Example.org> ` and `anna@example.org` are one person.

    Case, blanks around it, invisible characters and Unicode's compatible forms do not make another person.
    """
    folded = unicodedata.normalize("NFKC", name).casefold()
    visible = "".join(c for c in unicodedata.normalize("NFKC", folded) if unicodedata.category(c) not in _INVISIBLE)
    _, bracket, address = visible.strip().rpartition("<")
    return address.removesuffix(">").strip() if bracket and visible.strip().endswith(">") else visible.strip()


def people(names: Collection[str]) -> frozenset[str]:
    """The persons behind names; those that stand for not knowing are nobody."""
    return frozenset(same_person(name) for name in names) - NOBODY


def addresses_of(account: str, entries: Iterable[str]) -> tuple[str, ...]:
    """Every address of an account, where an entry says them with it: `@anna <anna@example.org> <anna@home.example>`.

    Only what has an `@` before the first bracket is an account; anything else there is a name for people to read.
    """
    found = list[str]()
    for entry in entries:
        head, bracket, _ = entry.partition("<")
        named = head.strip()
        if bracket and "@" in named and same_person(named.removeprefix("@")) == same_person(account):
            found += _ADDRESS.findall(entry)
    return tuple(dict.fromkeys(found))


def local_identity(as_name: str | None, git_config: Callable[[str], str | None]) -> Identity:
    """Who acts on the local platform, which has no identities of its own: `--as`, else git's `user.email`.

    `git_config` gives the value of a key, None if it has none. Either way the name is no more than claimed; where both
    are given and differ, the identity says so.

    Raises:
        UsageError: neither is given, or the name can be nobody's.
    """
    configured = (git_config("user.email") or "").strip()
    if as_name is None:
        return _identity(configured, "git config user.email")
    source = "--as"
    if configured and same_person(configured) != same_person(as_name):
        source = f"--as, where git config user.email is {configured}"
    return _identity(as_name.strip(), source)


def provider_identity(name: str, established_by: str, *, proven: bool) -> Identity:
    """Whom a provider names: proven where it let that person sign in and asked them.

    Raises:
        UsageError: the name can be nobody's.
    """
    found = _identity(name, established_by)
    return replace(found, strength=Strength.PROVEN) if proven else found


def git_config_of(folder: Path) -> Callable[[str], str | None]:
    """Reads git's configuration as it applies in a folder; None for every key where there is no git."""

    return lambda key: answer(folder, "config", "--get", key) or None


def _identity(name: str, established_by: str) -> Identity:
    person = same_person(name)
    if not people([name]):
        raise UsageError(
            "Nobody says who you are: there is no --as, and git config user.email is empty."
            if not name
            else f"{name!r} is nobody's name.",
            why="An approval is worth as much as the name on it, and nobody approves what they proposed.",
            remedy="git config user.email you@example.org    (or: --as you@example.org)",
        )
    if person == SCHEDULE or any(unicodedata.category(c) in (*_INVISIBLE, _NO_CHARACTER) for c in name):
        raise UsageError(
            f"{name!a} cannot be the name of a person.",
            why=f"{SCHEDULE} is who proposed what nobody started; invisible characters make two names look like one, "
            "and what is no text cannot be written down.",
            remedy="Give your own: --as you@example.org",
        )
    return Identity(name=name, established_by=established_by, strength=Strength.CLAIMED)
