"""Azure DevOps: its variables, its log, and its interface (REST, 7.1).

Asked in the name of the build service, whose token a step gets by `env: {SYSTEM_ACCESSTOKEN: $(System.AccessToken)}`.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO
from urllib.parse import quote

from gatehouse.ci import azure_approval, azure_cut, azure_store, azure_talk
from gatehouse.ci.approval import addresses_in
from gatehouse.ci.azure_people import People
from gatehouse.ci.checkout import people_of
from gatehouse.ci.commands import azure_command, azure_inert, checked_name
from gatehouse.ci.http import Api
from gatehouse.ci.provider import Approved, Artefact, CiRun, Level, Subject, unique
from gatehouse.errors import PlatformError

_REMEDY = (
    "Give the step `env: {SYSTEM_ACCESSTOKEN: $(System.AccessToken)}`, and the build service of the project the role "
    "Reader on the environment; then run it again."
)


class Azure:
    """`folder` is the checkout; `wait` is the factor of the pauses between repeated questions, in seconds."""

    name = "azure"
    linking = ""

    def __init__(self, environ: Mapping[str, str], *, log: TextIO, folder: Path, wait: float = 1.0) -> None:
        self._environ = environ
        self._log = log
        self._folder = folder
        token = environ.get("SYSTEM_ACCESSTOKEN", "")
        collection = environ.get("SYSTEM_COLLECTIONURI", "").rstrip("/")
        headers = {"Accept": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
        self._people = People(collection, headers=headers, remedy=_REMEDY, wait=wait)
        self._api = Api(
            f"{collection}/{quote(environ.get('SYSTEM_TEAMPROJECT', ''), safe='')}",
            provider="Azure DevOps",
            headers=headers,
            remedy=_REMEDY,
            wait=wait,
        )

    def run(self) -> CiRun:
        """From the variables."""
        environ = self._environ
        number = self._given("BUILD_BUILDID")
        return CiRun(
            id=number,
            attempt=self._attempt(),
            url=f"{self._api.base}/_build/results?buildId={number}",
            event=environ.get("BUILD_REASON", ""),
            ref=environ.get("BUILD_SOURCEBRANCH", ""),
            commit=self._given("BUILD_SOURCEVERSION"),
            repository=self._given("BUILD_REPOSITORY_ID"),
            people=unique(
                environ.get("BUILD_REQUESTEDFOREMAIL", ""),
                environ.get("BUILD_REQUESTEDFORID", ""),
                environ.get("BUILD_QUEUEDBYID", ""),
                environ.get("GATEHOUSE_PROPOSER", ""),  # handed on where another pipeline started this one
            ),
            visibility="unknown",
        )

    def proposers(self) -> tuple[str, ...]:
        """Those of `run`, for whom and by whom the build was requested, and whom git takes for author and committer."""
        run = self.run()
        build = self._api.get(f"/_apis/build/builds/{run.id}", **azure_approval.VERSION)
        found = [*run.people]
        for role in (("requestedFor",), ("requestedBy",), ("triggeredByBuild", "requestedFor")):
            found += [build.maybe_text(*role, "uniqueName"), build.maybe_text(*role, "id")]
        # A branch that cut-release pushed starts its release in the name of the build service.
        found += azure_store.started_by(self._api, "cut-release", run.commit)
        written = people_of(self._folder, run.commit)
        if not written:
            raise PlatformError(
                f"git does not know commit {run.commit[:12]} in {self._folder}.",
                why="Who wrote and who committed it must not approve it.",
                remedy="Check it out in this job: `- checkout: self`.",
            )
        return unique(*found, *written)

    def inert(self, line: str) -> str:
        """See `commands`."""
        return azure_inert(line)

    def summary(self, markdown: str) -> None:
        """`##vso[task.uploadsummary]` of a file of its own."""
        room = Path(self._environ.get("AGENT_TEMPDIRECTORY") or tempfile.gettempdir())
        file = room / f"gatehouse-{secrets.token_hex(8)}.md"
        file.write_text(markdown, encoding="utf-8")
        self._say(azure_command("task.uploadsummary", str(file), {}))

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        """`##[group]`"""
        self._say(f"##[group]{azure_inert(' '.join(title.split()))}")
        try:
            yield
        finally:
            self._say("##[endgroup]")

    def annotate(self, level: Level, message: str, *, file: str | None = None, line: int | None = None) -> None:
        """`##vso[task.logissue]`; it knows no notices, which stay lines of the log."""
        if level is Level.NOTICE:
            self._say("\n".join(azure_inert(line) for line in message.splitlines()))
            return
        where = {"type": level.value, "sourcepath": file, "linenumber": line}
        self._say(azure_command("task.logissue", message, where))

    def output(self, name: str, value: str) -> None:
        """`##vso[task.setvariable]`, for later jobs and stages."""
        self._say(azure_command("task.setvariable", value, {"variable": checked_name(name), "isOutput": "true"}))

    def approvals(self, environment: str, subject: Subject) -> tuple[Approved, ...]:
        """See `azure_approval`."""
        stage = azure_approval.Stage(self._given("SYSTEM_STAGENAME"), self._environ.get("SYSTEM_STAGEATTEMPT", "1"))
        return azure_approval.approvals(self._api, self.run(), stage, environment, subject)

    def accounts(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """See `azure_people`: whose name in the organisation is another than the address in their commits."""
        return unique(*(name for address in addresses_in(names) for name in self._people.owners(address)))

    def unlinked(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """See Provider."""
        return tuple(address for address in addresses_in(names) if not self._people.owners(address))

    def artefacts(self, name: str) -> tuple[Artefact, ...]:
        """See `azure_store`."""
        return azure_store.artefacts(self._api, self.run(), name)

    def artefact(self, identifier: str) -> Artefact | None:
        """By `BUILD/NAME`."""
        return azure_store.artefact(self._api, self.run(), identifier)

    def download(self, artefact: Artefact, folder: Path) -> None:
        """The zip of an artefact, unpacked. Azure keeps no digest of it: compare what is inside."""
        azure_store.download(self._api, artefact, folder)

    def successful_run(self, workflow: str, commit: str, *, branch: str) -> str | None:
        """Of the pipeline of that name."""
        return azure_store.successful_run(self._api, self.run(), workflow, commit, branch=branch)

    def cut(self, branch: str, *, commit: str, start: str, proposer: str) -> str:  # noqa: ARG002
        """See `azure_cut`."""
        return azure_cut.cut(self._api, self.run(), branch, commit=commit)

    def raise_issue(self, key: str, title: str, body: str) -> str:
        """A work item of type Task, which every process has, with the tag `gatehouse`."""
        return azure_talk.raise_issue(self._api, key, title, body)

    def settle_issue(self, key: str, comment: str) -> str | None:
        """Into the state that its process takes for completed."""
        return azure_talk.settle_issue(self._api, key, comment)

    def comment(self, pull_request: int, marker: str, markdown: str) -> str | None:
        """A thread of its own, closed, so that it blocks nothing."""
        return azure_talk.comment(self._api, self.run(), pull_request, marker, markdown)

    def _say(self, line: str) -> None:
        self._log.write(line + "\n")
        self._log.flush()

    def _attempt(self) -> int:
        """Of the stage, which is what is repeated on Azure."""
        text = self._environ.get("SYSTEM_STAGEATTEMPT") or self._environ.get("SYSTEM_JOBATTEMPT") or "1"
        if not text.isdecimal() or int(text) < 1:
            raise _not_told("SYSTEM_STAGEATTEMPT", text)
        return int(text)

    def _given(self, variable: str) -> str:
        value = self._environ.get(variable, "")
        if not value or ".." in value or quote(value, safe="/") != value:  # it becomes part of an address
            raise _not_told(variable, value)
        return value


def _not_told(variable: str, value: str) -> PlatformError:
    return PlatformError(
        f"The variable {variable} is {value!a}, and Azure DevOps sets it in every job.",
        why="It says which run of which pipeline this is.",
        remedy="Run it in a step of a pipeline, and set none of its variables.",
    )
