"""Jenkins: its variables, and who answered an `input` step. Needs a Jenkinsfile that hands that name on.

`input(submitterParameter: 'APPROVER')` gives the account that answered. Administrators may answer whatever `submitter`
says, and anybody who can change the Jenkinsfile can set a variable, so the name is claimed and not proven.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gatehouse.ci.approval import DIGITS, objection_to, refused
from gatehouse.ci.checkout import people_of
from gatehouse.ci.files import Files
from gatehouse.ci.provider import Approved, CiRun, Subject, unique
from gatehouse.errors import PlatformError

APPROVER, COMMENT = "GATEHOUSE_APPROVER", "GATEHOUSE_APPROVAL_COMMENT"
"""Variables by which a Jenkinsfile hands on who answered its input step, and what they wrote."""


class Jenkins(Files):
    """`folder` is the checkout."""

    name = "jenkins"
    title = "Jenkins"

    def __init__(self, environ: Mapping[str, str], *, folder: Path) -> None:
        super().__init__(folder)
        self._environ = environ

    def run(self) -> CiRun:
        """From the variables."""
        environ = self._environ
        number = environ.get("BUILD_TAG") or environ.get("BUILD_NUMBER", "")
        if not number:
            raise PlatformError(
                "Neither BUILD_TAG nor BUILD_NUMBER is set, and Jenkins sets them in every build.",
                why="They say which build this is.",
                remedy="Run it in a step of a build.",
            )
        return CiRun(
            id=number,
            attempt=1,
            url=environ.get("BUILD_URL", ""),
            event="pull_request" if environ.get("CHANGE_ID") else "build",
            ref=environ.get("BRANCH_NAME") or environ.get("GIT_BRANCH", ""),
            commit=environ.get("GIT_COMMIT", ""),
            repository=environ.get("JOB_NAME", ""),
            people=unique(
                environ.get("BUILD_USER_ID", ""),
                environ.get("BUILD_USER_EMAIL", ""),
                environ.get("CHANGE_AUTHOR", ""),
                environ.get("CHANGE_AUTHOR_EMAIL", ""),
                environ.get("GATEHOUSE_PROPOSER", ""),
            ),
            visibility="unknown",
        )

    def proposers(self) -> tuple[str, ...]:
        """Those of `run`, and whom git takes for author and committer."""
        run = self.run()
        written = people_of(self._folder, run.commit or "HEAD")
        if not written:
            raise PlatformError(
                f"git does not know commit {run.commit[:12] or 'HEAD'} in {self._folder}.",
                why="Who wrote and who committed it must not approve it.",
                remedy="Check it out in this stage: `checkout scm`.",
            )
        return unique(*run.people, *written)

    def approvals(self, environment: str, subject: Subject) -> tuple[Approved, ...]:
        """Who the Jenkinsfile says has answered."""
        run = self.run()
        who, comment = self._environ.get(APPROVER, "").strip(), self._environ.get(COMMENT, "")
        remedy = (
            "Ask before this step: input(message: 'Promote?', submitterParameter: 'APPROVER', parameters: [...]), hand "
            f"the answer on as {APPROVER}, and a comment with {subject.digest[:DIGITS]} as {COMMENT}."
        )
        if not who:
            raise refused(f"Nobody answered for {environment}: {APPROVER} is empty.", subject, run, remedy)
        if objection := objection_to(comment, subject, run, must_name=True):
            raise refused(f"{who}'s approval {objection}.", subject, run, remedy)
        return (
            Approved(
                who=who,
                also=(),
                established_by=f"the input step of {run.id} on Jenkins, handed on by its Jenkinsfile as {APPROVER}",
                protected=False,
                at=None,
                comment=comment,
                environment_id="",
            ),
        )
