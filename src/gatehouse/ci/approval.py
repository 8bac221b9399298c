"""What the comment of an approval binds it to. Pure; the same for every provider.

A comment may name the decision record by 12 or more digits of its SHA-256, and the attempt of the run. What it names
must be this record and this attempt. A provider whose answer cannot tell one attempt from another demands one of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from gatehouse.ci.provider import CiRun, Subject
from gatehouse.errors import Refused

DIGITS = 12
"""Of a digest, enough to know it by."""
_ADDRESS = re.compile(r"[^<>\s]+@[^<>\s]+")
_HEXADECIMAL = re.compile(rf"(?<![0-9A-Za-z])[0-9a-f]{{{DIGITS},64}}(?![0-9A-Za-z])", re.IGNORECASE)
_ATTEMPT = re.compile(r"\battempt\W{0,3}(\d{1,6})\b", re.IGNORECASE)


def addresses_in(names: Iterable[str]) -> tuple[str, ...]:
    """The e-mail addresses in names such as `Anna <anna@example.org>`, each once."""
    return tuple(dict.fromkeys(address for name in names for address in _ADDRESS.findall(name)))


def objection_to(comment: str, subject: Subject, run: CiRun, *, must_name: bool) -> str | None:
    """Why an approval with this comment is not one of this record in this attempt; None: it is."""
    digests = [found for found in map(str.lower, _HEXADECIMAL.findall(comment)) if not run.commit.startswith(found)]
    attempts = [int(found) for found in _ATTEMPT.findall(comment)]
    if others := [found for found in digests if not subject.digest.startswith(found)]:
        return f"names {others[0][:64]}, and the decision record is {subject.digest[:DIGITS]}"
    if others_ := [found for found in attempts if found != run.attempt]:
        return f"names attempt {others_[0]}, and this is attempt {run.attempt}"
    if must_name and not digests and not attempts:
        return (
            f"does not say which attempt it is for, and this is attempt {run.attempt}: "
            "its comment has to name the decision record or the attempt"
        )
    return None


def refused(what: str, subject: Subject, run: CiRun, remedy: str) -> Refused:
    """Nobody approved, or nobody can tell."""
    return Refused(
        f"Version {subject.version} is not approved in run {run.id or '?'}. {what}",
        why="Only a person whom the provider asked, for this run, environment and decision record, opens the gate.",
        remedy=remedy,
    )
