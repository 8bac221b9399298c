"""What a CI without the means says, method by method, so that a provider overrides only what it can do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from gatehouse.ci.provider import Approved, Artefact, Level, Subject
from gatehouse.errors import PlatformError, Refused


class Unable:
    """Says nothing and can do nothing. `name` and `title` are the subclass's."""

    name = "none"
    title = "No CI"
    linking = ""

    def inert(self, line: str) -> str:
        """Nobody reads commands out of the log."""
        return line

    def summary(self, markdown: str) -> None:
        """There is no page to put it on."""

    @contextmanager
    def group(self, title: str) -> Iterator[None]:  # noqa: ARG002
        """Nothing is folded."""
        yield

    def annotate(self, level: Level, message: str, *, file: str | None = None, line: int | None = None) -> None:
        """There is nobody to tell but the terminal, which was told already."""

    def output(self, name: str, value: str) -> None:
        """There is no later step."""

    def approvals(self, environment: str, subject: Subject) -> tuple[Approved, ...]:
        """Nobody signed in, so nobody can have approved."""
        raise Refused(
            f"{self.title}: nobody says who approved {environment}.",
            why="--from-ci records a person whom a provider let sign in, and nobody else.",
            remedy=f"Approve it by name: gatehouse approve {subject.version} --env {subject.env or 'ENV'} --reason ...",
        )

    def accounts(self, names: tuple[str, ...]) -> tuple[str, ...]:  # noqa: ARG002
        """No accounts but the names themselves."""
        return ()

    def unlinked(self, names: tuple[str, ...]) -> tuple[str, ...]:  # noqa: ARG002
        """Nobody looks: an approval here is claimed, and says so."""
        return ()

    def artefacts(self, name: str) -> tuple[Artefact, ...]:
        """Raises PlatformError."""
        self._cannot(f"find artefacts named {name}", "Keep the folder .lakehouse/ on a disk that runs share.")

    def artefact(self, identifier: str) -> Artefact | None:
        """Raises PlatformError."""
        self._cannot(f"find artefact {identifier}", "Keep the folder .lakehouse/ on a disk that runs share.")

    def download(self, artefact: Artefact, folder: Path) -> None:  # noqa: ARG002
        """Raises PlatformError."""
        self._cannot(f"download {artefact.name}", "Download it by hand, and unpack it there.")

    def successful_run(self, workflow: str, commit: str, *, branch: str) -> str | None:  # noqa: ARG002
        """Raises PlatformError."""
        self._cannot(
            f"tell whether {workflow} was green on {commit[:12]}",
            "Run the tests of staging on this commit yourself: gatehouse rehearse --env staging",
        )

    def cut(self, branch: str, *, commit: str, start: str, proposer: str) -> str:  # noqa: ARG002
        """Raises PlatformError."""
        self._cannot(f"make {branch}", f"git push origin {commit or 'HEAD'}:refs/heads/{branch}")

    def raise_issue(self, key: str, title: str, body: str) -> str:  # noqa: ARG002
        """Raises PlatformError."""
        self._cannot(f"open an issue for {key}", "Give alerts a webhook.")

    def settle_issue(self, key: str, comment: str) -> str | None:  # noqa: ARG002
        """Raises PlatformError."""
        self._cannot(f"close the issue of {key}", "Close it by hand.")

    def comment(self, pull_request: int, marker: str, markdown: str) -> str | None:  # noqa: ARG002
        """Raises PlatformError."""
        self._cannot(f"comment on pull request {pull_request}", "Read the summary of the run instead.")

    def _cannot(self, what: str, way: str) -> NoReturn:
        who = f"{self.title} cannot" if self.name != Unable.name else "Without a CI nothing can"
        raise PlatformError(
            f"{who} {what}.",
            why="It has no interface for that, or none that the token of a run may use.",
            remedy=way,
        )
