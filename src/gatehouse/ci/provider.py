"""What Gatehouse asks of the CI it runs in: the port, and what goes through it.

Texts that come from people (titles, branches, reasons) pass through here into logs, summaries and outputs, so every
implementation escapes them: nothing in a text is obeyed by the CI. Tokens come from the environment alone and stand in
no message. What a CI cannot do raises PlatformError with the way round it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol


class Level(StrEnum):
    """How loud an annotation is."""

    NOTICE = "notice"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, kw_only=True, slots=True)
class CiRun:
    """The run of the CI that this process belongs to. Empty texts: the CI does not say."""

    id: str
    attempt: int
    """1, and one more for each re-run."""
    url: str
    event: str
    """In the CI's own words: `push`, `workflow_dispatch`, `Manual`."""
    ref: str
    """`refs/heads/main`, `refs/tags/v1.2.0`."""
    commit: str
    repository: str
    people: tuple[str, ...]
    """Who started it, as far as its variables say. `Provider.proposers` asks further."""
    visibility: str
    """`public`, `private`, `internal`, or `unknown`."""

    @property
    def scheduled(self) -> bool:
        """Whether nobody started it by hand, nor by a push."""
        return self.event.lower() == "schedule"


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What an approval has to be about."""

    version: str
    digest: str
    """SHA-256 of the decision record, in hexadecimal digits."""
    model: str = ""
    """Its full name, with that of the environment's place."""
    record: str = ""
    """The record itself, for whoever has to be shown it; empty: nobody can be."""
    about: str = ""
    """Why it was decided so, in Markdown."""
    env: str = ""
    """Gatehouse's environment, which the provider's need not be called after."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Approved:
    """One approval that the CI holds for this run and environment."""

    who: str
    """The account. Nobody's, `unprotected`, where the environment asks nobody."""
    also: tuple[str, ...]
    """Other names of the same person: e-mail address, identifier."""
    established_by: str
    """A sentence: which rule, which run, which provider."""
    protected: bool
    """False: nobody was asked, for want of required reviewers; or only the pipeline's own word says who answered."""
    at: datetime | None
    """UTC; None where the CI does not say."""
    comment: str
    environment_id: str
    """A deleted and recreated environment has another one."""

    @classmethod
    def by_nobody(cls, established_by: str, environment_id: str) -> Approved:
        """For an environment that asks nobody: written down as that, and worth as much."""
        return cls(
            who=UNPROTECTED,
            also=(),
            established_by=established_by,
            protected=False,
            at=None,
            comment="",
            environment_id=environment_id,
        )


def unique(*names: str) -> tuple[str, ...]:
    """Each name once, in this order; empty ones are nobody's."""
    return tuple(dict.fromkeys(name for name in names if name))


UNPROTECTED = "unprotected"
"""Who `approved` where nobody was asked. It is not a person and is written down as it is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Artefact:
    """A file that a run left behind, by whatever the CI knows it by."""

    id: str
    name: str
    digest: str
    """`sha256:` and 64 digits, of the file as it is downloaded; empty where the CI keeps none."""
    run_id: str
    created_at: datetime
    expired: bool
    ours: bool
    """Whether a run of this very repository made it, and not a fork's."""


class Provider(Protocol):
    """A CI: GitHub Actions, Azure DevOps, GitLab, Jenkins, or none."""

    @property
    def name(self) -> str:
        """`github`, `azure`, `gitlab`, `jenkins` or `none`."""

    def run(self) -> CiRun:
        """The run this process belongs to, by its variables alone: nothing is asked."""

    def proposers(self) -> tuple[str, ...]:
        """Everybody who counts as having proposed what this run does: accounts and e-mail addresses.

        Who started it and each re-run, who pushed, who wrote and committed the commit: nobody of them approves it.

        Raises:
            Unanswered: it cannot be told.
        """

    def inert(self, line: str) -> str:
        """A line of a log in which the CI finds no command."""

    def summary(self, markdown: str) -> None:
        """Adds GitHub-flavoured Markdown, escaped by the caller, to the page of the run."""

    def group(self, title: str) -> AbstractContextManager[None]:
        """Folds in the log what is printed inside."""

    def annotate(self, level: Level, message: str, *, file: str | None = None, line: int | None = None) -> None:
        """A message on the page of the run, at a line of a file if one is named."""

    def output(self, name: str, value: str) -> None:
        """A value that later steps, jobs and stages can read."""

    def approvals(self, environment: str, subject: Subject) -> tuple[Approved, ...]:
        """Who approved this run for this environment: at least one. Where a merge is the approval, it is asked for.

        Raises:
            Refused: nobody did, or it cannot be told for sure; with what to do about it.
        """

    def accounts(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """The CI's accounts behind `Anna <anna@example.org>` or `anna@example.org`, as far as it knows them."""

    def unlinked(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Addresses in `names` that the CI links to none of its accounts, so that any approver could be behind them.

        None where it does not look, because approvals there prove nothing: on Jenkins, and where there is no CI.
        """

    @property
    def linking(self) -> str:
        """What an owner does so that the CI knows an address as theirs; empty: `approval.approvers` alone tells it."""

    def artefacts(self, name: str) -> tuple[Artefact, ...]:
        """Newest first; only of this run and of successful runs of this repository, never a fork's."""

    def artefact(self, identifier: str) -> Artefact | None:
        """One artefact, whatever became of its run; None: there is none. Look at `ours` and `expired`.

        `identifier` is the artefact's number on GitHub, and `BUILD/NAME` on Azure DevOps.
        """

    def download(self, artefact: Artefact, folder: Path) -> None:
        """Puts the artefact's files into a folder; StateError if they are not what its digest says."""

    def successful_run(self, workflow: str, commit: str, *, branch: str) -> str | None:
        """The address of a green run of a workflow (`staging`) on exactly this commit; None: there is none.

        Only a run on `branch` counts: on a branch of their own, whoever may push decides what the workflow does.
        """

    def cut(self, branch: str, *, commit: str, start: str, proposer: str) -> str:
        """Makes a branch on a commit and lets the workflow `start` run on it, as proposed by `proposer`.

        Returns its address. A branch that is there already has to be on the same commit: StateError otherwise.
        """

    def raise_issue(self, key: str, title: str, body: str) -> str:
        """Opens an issue, or brings the open one of this key up to date; returns its address."""

    def settle_issue(self, key: str, comment: str) -> str | None:
        """Closes the open issue of this key with a last word; None: none was open."""

    def comment(self, pull_request: int, marker: str, markdown: str) -> str | None:
        """Writes the one comment of this marker, or brings it up to date; None: the token may not write."""
