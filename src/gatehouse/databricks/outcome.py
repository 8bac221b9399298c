"""How a task of a job tells how it ended: one line of its log, read back by the process that follows the run.

`gatehouse-exit 10 {"what": "..."}`: the exit code that the same command has on a laptop, then a JSON object of strings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gatehouse.errors import GatehouseError, RunFailed

MARK = "gatehouse-exit"
_LINE = re.compile(rf"{MARK} (0|[1-9]\d{{0,2}})(?: (\{{.*\}}))?")
_SAID = ("what", "why", "remedy")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a task said of itself: the exit code, 0 to 255, and what it hands to its caller."""

    code: int
    outputs: Mapping[str, str] = field(default_factory=dict)


def write_outcome(code: int, outputs: Mapping[str, str] | None = None) -> str:
    """The line to print last."""
    return f"{MARK} {code} {json.dumps(dict(outputs or {}), sort_keys=True)}"


def write_failure(error: GatehouseError, outputs: Mapping[str, str] | None = None) -> str:
    """The line to print last when a command ended with this error."""
    return write_outcome(error.exit_code, {**(outputs or {}), **{name: getattr(error, name) for name in _SAID}})


def read_outcome(logs: str) -> Outcome | None:
    """What the last marked line of a log says; None if there is none, or if it is not of this form."""
    marked = [line.strip() for line in logs.splitlines() if line.strip().startswith(f"{MARK} ")]
    found = _LINE.fullmatch(marked[-1]) if marked else None
    if found is None or int(found[1]) > 255:
        return None
    try:
        outputs = json.loads(found[2] or "{}")
    except ValueError:
        return None
    if not all(isinstance(value, str) for value in outputs.values()):
        return None
    return Outcome(int(found[1]), outputs)


def error_of(outcome: Outcome, *, where: str, said: str = "") -> GatehouseError:
    """The error of the class that the task ended with, so that the caller ends with the same exit code.

    Args:
        outcome: With a code other than 0.
        where: Run, task and page, for the reader.
        said: The platform's words for what the task itself said nothing about.
    """
    kind = next((k for k in _classes(GatehouseError) if vars(k).get("exit_code") == outcome.code), RunFailed)
    what = outcome.outputs.get("what") or said or f"It ended with the exit code {outcome.code}."
    return kind(f"{what} ({where})", why=outcome.outputs.get("why", ""), remedy=outcome.outputs.get("remedy", ""))


def _classes(root: type[GatehouseError]) -> Iterator[type[GatehouseError]]:
    yield root
    for child in root.__subclasses__():
        yield from _classes(child)
