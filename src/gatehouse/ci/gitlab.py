"""GitLab CI: its variables, sections of its log, and the approvals of a protected environment (Premium, Ultimate).

Asked in the name of the job (CI_JOB_TOKEN), which may read deployments and environments and little else. Whose address
one is, it may not ask: that takes a token of somebody who may.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from gatehouse.ci.answer import Answer
from gatehouse.ci.approval import DIGITS, addresses_in, objection_to, refused
from gatehouse.ci.checkout import people_of
from gatehouse.ci.files import Files
from gatehouse.ci.http import Api
from gatehouse.ci.provider import Approved, CiRun, Level, Subject, unique
from gatehouse.errors import PlatformError, Refused, Unanswered

USERS_TOKEN = "GATEHOUSE_GITLAB_TOKEN"  # noqa: S105 - the name of a variable
"""Variable with a token that may read users (`read_user`). An administrator's sees every address, others public."""
_ADDRESSES = ("email", "public_email", "commit_email")
_CONTROL = re.compile(r"[\r\x1b]")


class GitLab(Files):
    """`folder` is the checkout; `wait` is the factor of the pauses between repeated questions, in seconds."""

    name = "gitlab"
    title = "GitLab"

    def __init__(self, environ: Mapping[str, str], *, log: TextIO, folder: Path, wait: float = 1.0) -> None:
        super().__init__(folder)
        self._environ = environ
        self._log = log
        token = environ.get("CI_JOB_TOKEN", "")
        self._api = Api(
            environ.get("CI_API_V4_URL", ""),
            provider="GitLab",
            headers={"JOB-TOKEN": token} if token else {},
            remedy="Let the job's token read deployments of this project, and run the job again.",
            wait=wait,
        )
        self._users = Api(
            environ.get("CI_API_V4_URL", ""),
            provider="GitLab",
            headers={"PRIVATE-TOKEN": environ.get(USERS_TOKEN, "")},
            remedy=f"Give {USERS_TOKEN} a token with the scope read_user.",
            wait=wait,
        )
        self._linked: dict[str, tuple[str, ...]] = {}

    def run(self) -> CiRun:
        """From the variables."""
        environ = self._environ
        return CiRun(
            id=self._number("CI_PIPELINE_ID"),
            attempt=1,  # a job that is run again is another job, and a deployment of its own
            url=environ.get("CI_PIPELINE_URL", ""),
            event=environ.get("CI_PIPELINE_SOURCE", ""),
            ref=environ.get("CI_COMMIT_REF_NAME", ""),
            commit=environ.get("CI_COMMIT_SHA", ""),
            repository=environ.get("CI_PROJECT_PATH", ""),
            people=unique(
                environ.get("GITLAB_USER_LOGIN", ""),
                environ.get("GITLAB_USER_EMAIL", ""),
                environ.get("GATEHOUSE_PROPOSER", ""),
            ),
            visibility=environ.get("CI_PROJECT_VISIBILITY", "unknown"),
        )

    def proposers(self) -> tuple[str, ...]:
        """Those of `run`, and whom git takes for author and committer."""
        run = self.run()
        written = people_of(self._folder, run.commit)
        if not written:
            raise PlatformError(
                f"git does not know commit {run.commit[:12]} in {self._folder}.",
                why="Who wrote and who committed it must not approve it.",
                remedy="Leave GIT_STRATEGY at `fetch` or `clone` in this job.",
            )
        return unique(*run.people, *written)

    def accounts(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """The users whose address it is, by name and number, where a token may read them."""
        return unique(*(account for address in addresses_in(names) for account in self._owners(address)))

    def unlinked(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """See Provider. Without a token every address is."""
        return tuple(address for address in addresses_in(names) if not self._owners(address))

    def _owners(self, address: str) -> tuple[str, ...]:
        """Of exactly this address: the search finds names that resemble it, too."""
        if not self._environ.get(USERS_TOKEN):
            return ()
        if address not in self._linked:
            try:
                found = self._users.get("/users", search=address).items()
                owners = [user for user in found if any(_is(user, key, address) for key in _ADDRESSES)]
                names = [(user.text("username"), user.identifier("id")) for user in owners]
            except Unanswered:  # then nobody knows whose it is, and that is what the caller is told
                names = []
            self._linked[address] = unique(*(name for pair in names for name in pair))
        return self._linked[address]

    def inert(self, line: str) -> str:
        """Without the controls that a section is made of."""
        return _CONTROL.sub("", line)

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        """A section of the log, collapsed."""
        key = f"gatehouse_{time.monotonic_ns()}"
        head = self.inert(" ".join(title.split()))
        self._say(f"\x1b[0Ksection_start:{int(time.time())}:{key}[collapsed=true]\r\x1b[0K{head}")
        try:
            yield
        finally:
            self._say(f"\x1b[0Ksection_end:{int(time.time())}:{key}\r\x1b[0K")

    def annotate(self, level: Level, message: str, *, file: str | None = None, line: int | None = None) -> None:
        """Is in the log already, and GitLab has no other place for it."""

    def approvals(self, environment: str, subject: Subject) -> tuple[Approved, ...]:
        """Of the newest deployment of this very job to the environment."""
        run = self.run()
        try:
            return self._asked(run, environment, subject)
        except Unanswered as error:
            raise Refused(
                f"Whether version {subject.version} was approved for {environment} cannot be told. {error.what}",
                why="Not knowing is not an approval.",
                remedy=error.remedy,
            ) from error

    def _asked(self, run: CiRun, environment: str, subject: Subject) -> tuple[Approved, ...]:
        home = f"/projects/{self._number('CI_PROJECT_ID')}/deployments"
        listed = self._api.get(home, environment=environment, order_by="id", sort="desc", per_page=20).items()
        job = self._number("CI_JOB_ID")
        own = [found for found in listed if found.maybe("deployable") and found.identifier("deployable", "id") == job]
        remedy = (
            f"Protect {environment} with deployment approvals (Premium or Ultimate), have somebody approve this "
            f"deployment with the comment `{subject.digest[:DIGITS]}`, and run the job. "
            "Elsewhere: gatehouse approve by name."
        )
        if not own:
            what = f"This job is no deployment to {environment}."
            raise refused(what, subject, run, f"Give it `environment: {environment}`. {remedy}")
        deployment = self._api.get(f"{home}/{own[0].identifier('id')}")
        counted = list(self._counted(deployment, run, environment, subject, remedy))
        if not counted:
            raise refused(f"Nobody approved this deployment to {environment}.", subject, run, remedy)
        return tuple(counted)

    def _counted(
        self, deployment: Answer, run: CiRun, environment: str, subject: Subject, remedy: str
    ) -> Iterator[Approved]:
        place = deployment.identifier("environment", "id")
        for entry in deployment.items("approvals"):
            who, comment = entry.text("user", "username"), entry.maybe_text("comment")
            objection = objection_to(comment, subject, run, must_name=False)
            if entry.text("status") == "rejected" and objection is None:
                raise refused(f"{who} rejected it: {comment}", subject, run, "Mend what they name, and release again.")
            if entry.text("status") != "approved":
                continue
            if objection is not None:
                raise refused(f"{who}'s approval {objection}.", subject, run, remedy)
            yield Approved(
                who=who,
                also=(entry.identifier("user", "id"),),
                established_by=(
                    f"GitLab's approval of deployment {deployment.identifier('id')} to {environment} (id {place}) in "
                    f"pipeline {run.id} of {run.repository}"
                ),
                protected=True,
                at=entry.moment("created_at") if entry.maybe("created_at") else None,
                comment=comment,
                environment_id=place,
            )

    def _number(self, variable: str) -> str:
        value = self._environ.get(variable, "")
        if not value.isdecimal():
            raise PlatformError(
                f"The variable {variable} is {value!a}, and GitLab sets it in every job.",
                why="It says which run of which project this is.",
                remedy="Run it in a job of a pipeline, and set none of its variables.",
            )
        return value

    def _say(self, line: str) -> None:
        self._log.write(line + "\n")
        self._log.flush()


def _is(user: Answer, key: str, address: str) -> bool:
    return user.maybe_text(key).casefold() == address.casefold()
