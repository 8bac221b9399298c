"""GitHub Actions: its variables, its log and files, and its interface (REST, 2022-11-28).

Asked in the name of GITHUB_TOKEN. Rights: `actions: read` and `contents: read`, `issues: write` for alerts,
`pull-requests: write` for comments, and where a merge is the approval.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import quote

from gatehouse.ci import github_approval, github_cut, github_store, github_talk
from gatehouse.ci.approval import addresses_in
from gatehouse.ci.commands import github_command, github_inert, github_value
from gatehouse.ci.github_people import WEB_FLOW, People
from gatehouse.ci.http import Api
from gatehouse.ci.provider import Approved, Artefact, CiRun, Level, Subject, unique
from gatehouse.errors import PlatformError

SUMMARY_LIMIT = 1_000_000
"""Bytes that a step may put on the page; of more GitHub shows nothing (its limit is 1 MiB)."""
ATTEMPTS = 50
"""Re-runs whose starters are asked for; a run with more of them is refused."""
_REMEDY = (
    "Give the job `permissions: {actions: read, contents: read}` and the step "
    "`env: {GITHUB_TOKEN: ${{ github.token }}}`; then run it again."
)


class GitHub:
    """`wait` is the factor of the pauses between repeated questions, in seconds."""

    name = "github"

    def __init__(self, environ: Mapping[str, str], *, log: TextIO, wait: float = 1.0) -> None:
        self._environ = environ
        self._log = log
        self._wait = wait
        self._api = self._at(environ.get("GITHUB_API_URL", "https://api.github.com"))

    def _at(self, base: str) -> Api:
        token = self._environ.get("GITHUB_TOKEN") or self._environ.get("GH_TOKEN") or ""
        return Api(
            base,
            provider="GitHub",
            headers={
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": "2022-11-28",
                **({"Authorization": f"Bearer {token}"} if token else {}),
            },
            remedy=_REMEDY,
            wait=self._wait,
        )

    def run(self) -> CiRun:
        """From the variables and the event's payload."""
        environ = self._environ
        repository, number = self._given("GITHUB_REPOSITORY"), self._given("GITHUB_RUN_ID")
        server = environ.get("GITHUB_SERVER_URL", "https://github.com")
        event = self._event()
        return CiRun(
            id=number,
            attempt=self._attempt(),
            url=f"{server}/{repository}/actions/runs/{number}",
            event=environ.get("GITHUB_EVENT_NAME", ""),
            ref=environ.get("GITHUB_REF", ""),
            commit=self._given("GITHUB_SHA"),
            repository=repository,
            people=unique(
                environ.get("GITHUB_ACTOR", ""),
                environ.get("GITHUB_TRIGGERING_ACTOR", ""),
                _of(event, "sender", "login"),
                _of(event, "pusher", "name"),
                _of(event, "pusher", "email"),
                # A run that cut-release starts is started by a bot: the person who cut it is handed on.
                _of(event, "inputs", "proposer"),
                environ.get("GATEHOUSE_PROPOSER", ""),
            ),
            visibility=_of(event, "repository", "visibility") or "unknown",
        )

    def proposers(self) -> tuple[str, ...]:
        """Those of `run`, who started each attempt, and whom GitHub takes for author and committer of the commit.

        GitHub as the committer, of what somebody did on its pages, is nobody.
        """
        run = self.run()
        found = [*run.people]
        if run.attempt > ATTEMPTS:
            raise PlatformError(
                f"Run {run.id} is in its attempt {run.attempt}.",
                why=f"Who started it is asked for up to {ATTEMPTS} attempts.",
                remedy="Start a new run instead of repeating this one.",
            )
        for attempt in range(1, run.attempt + 1):
            answer = self._api.get(f"/repos/{run.repository}/actions/runs/{run.id}/attempts/{attempt}")
            found += [answer.text("actor", "login"), answer.maybe_text("triggering_actor", "login")]
        commit = self._api.get(f"/repos/{run.repository}/commits/{run.commit}")
        for role in ("author", "committer"):
            address = commit.maybe_text("commit", role, "email")
            if role == "author" or address.casefold() != WEB_FLOW:
                found += [commit.maybe_text(role, "login"), address]
        return unique(*found)

    def inert(self, line: str) -> str:
        """See `commands`."""
        return github_inert(line)

    def summary(self, markdown: str) -> None:
        """Appends to GITHUB_STEP_SUMMARY; what does not fit is cut, and says so."""
        if not (name := self._environ.get("GITHUB_STEP_SUMMARY")):
            return
        file = Path(name)
        room = SUMMARY_LIMIT - (file.stat().st_size if file.exists() else 0)
        content = (markdown.rstrip("\n") + "\n\n").encode()
        if len(content) > room:
            notice = b"\n\n*Cut: a summary may not be longer.*\n\n"
            content = content[: max(0, room - len(notice))].decode(errors="ignore").encode() + notice
        with file.open("ab") as target:
            target.write(content)

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        """`::group::`"""
        self._say(github_command("group", title, {}))
        try:
            yield
        finally:
            self._say(github_command("endgroup", "", {}))

    def annotate(self, level: Level, message: str, *, file: str | None = None, line: int | None = None) -> None:
        """`::error::` and its like."""
        self._say(github_command(level.value, message, {"file": file, "line": line}))

    def output(self, name: str, value: str) -> None:
        """Appends to GITHUB_OUTPUT."""
        if target := self._environ.get("GITHUB_OUTPUT"):
            with Path(target).open("a", encoding="utf-8") as file:
                file.write(github_value(name, value))

    def approvals(self, environment: str, subject: Subject) -> tuple[Approved, ...]:
        """See `github_approval`."""
        return github_approval.approvals(self._api, self.run(), environment, subject)

    def accounts(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """See `github_people`."""
        return unique(*(account for address in addresses_in(names) for account in self._people.owners(address)))

    def unlinked(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """See Provider."""
        return tuple(address for address in addresses_in(names) if not self._people.owners(address))

    @property
    def linking(self) -> str:
        """Also of commits that are there already."""
        server = self._environ.get("GITHUB_SERVER_URL", "https://github.com")
        return (
            f"Whoever commits by it adds it to their account ({server}/settings/emails); then run this job again. "
            "For later commits: git config user.email, with the noreply address that stands there."
        )

    @cached_property
    def _people(self) -> People:
        event, graph = self._event(), self._at(self._api.base.removesuffix("/v3"))  # on a server of one's own
        told = {_of(event, "pusher", "email"): _of(event, "pusher", "name")}
        return People(self._api, graph, self.run(), told)

    def artefacts(self, name: str) -> tuple[Artefact, ...]:
        """See `github_store`."""
        return github_store.artefacts(self._api, self.run(), name)

    def artefact(self, identifier: str) -> Artefact | None:
        """By its number."""
        return github_store.artefact(self._api, self.run(), identifier)

    def download(self, artefact: Artefact, folder: Path) -> None:
        """The zip of an artefact, unpacked."""
        github_store.download(self._api, self.run(), artefact, folder)

    def successful_run(self, workflow: str, commit: str, *, branch: str) -> str | None:
        """Of `.github/workflows/WORKFLOW.yml`."""
        return github_store.successful_run(self._api, self.run(), workflow, commit, branch=branch)

    def cut(self, branch: str, *, commit: str, start: str, proposer: str) -> str:
        """See `github_cut`; needs `contents: write` and `actions: write`."""
        return github_cut.cut(self._api, self.run(), branch, commit=commit, start=start, proposer=proposer)

    def raise_issue(self, key: str, title: str, body: str) -> str:
        """An issue with the label `gatehouse`."""
        return github_talk.raise_issue(self._api, self.run(), key, title, body)

    def settle_issue(self, key: str, comment: str) -> str | None:
        """Closed as completed."""
        return github_talk.settle_issue(self._api, self.run(), key, comment)

    def comment(self, pull_request: int, marker: str, markdown: str) -> str | None:
        """None for a fork's pull request, whose token may only read."""
        return github_talk.comment(self._api, self.run(), pull_request, marker, markdown)

    def _say(self, line: str) -> None:
        self._log.write(line + "\n")
        self._log.flush()

    def _attempt(self) -> int:
        text = self._environ.get("GITHUB_RUN_ATTEMPT", "")
        if not text.isdecimal() or int(text) < 1:
            raise _not_told("GITHUB_RUN_ATTEMPT", text)
        return int(text)

    def _given(self, variable: str) -> str:
        value = self._environ.get(variable, "")
        parts = [quote(part, safe="") for part in value.split("/")]
        if not value or "/".join(parts) != value or ".." in parts:  # it becomes part of an address
            raise _not_told(variable, value)
        return value

    def _event(self) -> Any:
        try:
            return json.loads(Path(self._environ.get("GITHUB_EVENT_PATH", "")).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}


def _of(content: Any, *keys: str) -> str:
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return content if isinstance(content, str) else ""


def _not_told(variable: str, value: str) -> PlatformError:
    return PlatformError(
        f"The variable {variable} is {value!a}, and GitHub sets it in every step.",
        why="It says which run of which repository this is.",
        remedy="Run it in a step of a workflow, and set none of its variables.",
    )
