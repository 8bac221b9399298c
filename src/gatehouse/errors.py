"""Every error Gatehouse raises on purpose, and the exit code each class ends a command with.

GatehouseError                1   anything of ours that has no class of its own
|- UsageError                 2   the command line is wrong (click's own code)
|- ConfigurationError         3   a file in conf/, or the project's declaration, is wrong
|- DataError                  4   the data are wrong
|  |- SchemaBreak                 a column is missing or changed its type
|  `- ExpectationFailed           an expectation with the action `fail` found rows
|- StateError                 5   the lakehouse or the registry is not in the state the command needs
|  |- TableNotFound
|  |- TableMismatch               a table that another version of the project wrote
|  |- NoChampion
|  |- VersionNotFound             the registry says plainly that it has no such version
|  |- AliasMoved                  somebody else moved the alias first
|  |- ModelDoesNotLoad            the version is there, and its files do not make a model
|  `- RegistryUnavailable         no answer, or one that cannot be relied on: never the same as "there is none"
|- AccessDenied               6   this environment may not write there
|- Busy                       7   somebody else is doing this right now
|- StorageError               8   disk full, folder read-only, file damaged
|- EvaluationError            9   something could not be measured; never the same as "not good enough"
|- Refused                   10   a gate or a person said no to an act
|- PlatformError             11   a tool, engine or library this needs is missing or broken
|  `- Unanswered                   a provider's interface refused, or said nothing that can be relied on
|- RunFailed                 12   a run in a workspace ended otherwise than well, and its code did not say why
`- Interrupted              130   Ctrl-C; what was complete stays, the rest was never visible
"""

from __future__ import annotations

from typing import ClassVar


class GatehouseError(Exception):
    """What happened (with the offending value), why it matters, and what to do next.

    `remedy` is an instruction, most often a command that can be pasted.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, why: str = "", remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.remedy = remedy

    def __str__(self) -> str:
        parts = [self.what]
        if self.why:
            parts.append(f"Why it matters: {self.why}")
        if self.remedy:
            parts.append(f"Next: {self.remedy}")
        return "\n".join(parts)


class UsageError(GatehouseError):
    """The command line asks for something that does not exist or does not parse."""

    exit_code = 2


class ConfigurationError(GatehouseError):
    """A file in conf/ or a project's declaration does not say what it must."""

    exit_code = 3


class DataError(GatehouseError):
    """Data that arrived, or that a step produced, cannot be used as they are."""

    exit_code = 4


class SchemaBreak(DataError):
    """A declared column is missing or has another type: nothing was written."""


class ExpectationFailed(DataError):
    """Rows violate an expectation whose action is `fail`: nothing was written."""


class StateError(GatehouseError):
    """The lakehouse or the registry is not in the state that the command needs."""

    exit_code = 5


class TableNotFound(StateError):
    """A table that should have been written by an earlier step is not there."""


class TableMismatch(StateError):
    """A stored table does not fit its declaration and cannot be evolved without loss."""


class NoChampion(StateError):
    """The registry says plainly that no version holds the champion alias."""


class VersionNotFound(StateError):
    """The registry says plainly that it has no such model version."""


class AliasMoved(StateError):
    """An alias is not where a compare-and-set expected it. `holder` is the version that holds it, None if none does."""

    def __init__(self, what: str, *, holder: str | None, why: str = "", remedy: str = "") -> None:
        super().__init__(what, why=why, remedy=remedy)
        self.holder = holder


class ModelDoesNotLoad(StateError):
    """A registered version whose files cannot be turned into a model."""


class RegistryUnavailable(StateError):
    """The registry gave no answer, or one that cannot be relied on. It says nothing about what the registry holds."""


class AccessDenied(GatehouseError):
    """The environment has no right to write there."""

    exit_code = 6


class Busy(GatehouseError):
    """Another process holds what this one needs."""

    exit_code = 7


class StorageError(GatehouseError):
    """The disk or folder under the lakehouse refused to read or write."""

    exit_code = 8


class EvaluationError(GatehouseError):
    """Something could not be measured; a gate turns this into ERROR, never into a pass."""

    exit_code = 9


class Refused(GatehouseError):
    """An act was not permitted by a gate's verdict, a policy or a person."""

    exit_code = 10


class PlatformError(GatehouseError):
    """A tool, engine or library that the command needs is missing or does not work."""

    exit_code = 11


class Unanswered(PlatformError):
    """A provider's interface gave no answer, or none that can be relied on. `status` is HTTP's, None without one."""

    def __init__(self, what: str, *, status: int | None = None, why: str = "", remedy: str = "") -> None:
        super().__init__(what, why=why, remedy=remedy)
        self.status = status


class RunFailed(GatehouseError):
    """A run in a workspace failed, was cancelled, skipped, deleted or timed out, or its end cannot be made out."""

    exit_code = 12


class Interrupted(GatehouseError):
    """Stopped by the user."""

    exit_code = 130
