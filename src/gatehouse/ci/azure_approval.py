"""Who approved a stage for an environment, according to Azure DevOps' own checks.

The build's timeline has the stage of this attempt, its Checkpoint, and in it one Checkpoint.Approval for each approval
check; its id is that of the approval, which says who decided. An approval belongs to the environment if those it asked
are those whom the environment's check names. One that was skipped, ran out of time or was bypassed is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NoReturn

from gatehouse.ci.answer import Answer
from gatehouse.ci.approval import DIGITS, objection_to, refused
from gatehouse.ci.http import Api
from gatehouse.ci.provider import Approved, CiRun, Subject
from gatehouse.errors import Refused, Unanswered

VERSION: Final = {"api-version": "7.1"}
_CHECKS: Final = {"api-version": "7.1-preview.1", "$expand": "settings", "resourceType": "environment"}
APPROVAL_CHECK = "8c6f20a7-a545-4486-9777-f762fafe0d4d"
"""The identifier of the type of check that asks people."""


@dataclass(frozen=True, slots=True)
class Stage:
    """The stage this process runs in: its identifier, and which attempt of it, as a number in digits."""

    identifier: str
    attempt: str


def approvals(api: Api, run: CiRun, stage: Stage, environment: str, subject: Subject) -> tuple[Approved, ...]:
    """Asks, and judges; what cannot be asked or read is refused."""
    try:
        place = find_environment(api, environment)
        if place is None:
            raise refused(
                f"There is no environment {environment}.",
                subject,
                run,
                f"Make it, with an approval check: {api.base}/_environments",
            )
        check = approval_check(api, place)
        if check is None:
            return (_unprotected(place, run, environment),)
        build = api.get(f"/_apis/build/builds/{run.id}", **VERSION)
        if place.moment("createdOn") > build.moment("queueTime"):
            raise refused(
                f"The environment {environment} was made at {place.text('createdOn')}, after the run had begun.",
                subject,
                run,
                "Somebody deleted it and made it anew. Check its approvers, then start a new run.",
            )
        asked = {approver.identifier("id") for approver in check.items("settings", "approvers")}
        timeline = api.get(f"/_apis/build/builds/{run.id}/timeline", **VERSION)
        numbers = approval_ids(timeline, stage)
        found = [api.get(f"/_apis/pipelines/approvals/{n}", **VERSION, **{"$expand": "steps"}) for n in numbers]
        ours = [answer for answer in found if _asks(answer, asked)]
        return judged(ours, place, run, stage, environment, subject)
    except Unanswered as error:
        raise Refused(
            f"Whether version {subject.version} was approved for {environment} cannot be told. {error.what}",
            why="Not knowing is not an approval.",
            remedy=error.remedy,
        ) from error


def find_environment(api: Api, name: str) -> Answer | None:
    """The environment of exactly that name."""
    listed = api.get("/_apis/pipelines/environments", name=name, **VERSION).items("value")
    return next((found for found in listed if found.text("name").casefold() == name.casefold()), None)


def approval_check(api: Api, place: Answer) -> Answer | None:
    """The check that asks people, unless it is disabled or asks nobody."""
    number = place.identifier("id")
    listed = api.get("/_apis/pipelines/checks/configurations", resourceId=number, **_CHECKS)
    for check in listed.items("value"):
        if check.text("type", "id").casefold() != APPROVAL_CHECK:
            continue
        disabled = check.maybe("isDisabled")
        if not (disabled and disabled.flag()) and check.items("settings", "approvers"):
            return check
    return None


def approval_ids(timeline: Answer, stage: Stage) -> tuple[str, ...]:
    """Of the approvals that the newest attempt of a stage waited for. Pure.

    Raises:
        Unanswered: the timeline has no such stage, or its newest attempt is not this one.
    """
    records = timeline.items("records")
    stages = [r for r in records if r.text("type") == "Stage" and r.maybe_text("identifier") == stage.identifier]
    if not stages:
        _unknown(f"The timeline of the build has no stage {stage.identifier}.")
    newest = max(stages, key=lambda record: record.number("attempt"))
    if str(newest.number("attempt")) != stage.attempt:
        _unknown(f"The newest attempt of stage {stage.identifier} is {newest.number('attempt')}, not {stage.attempt}.")
    points = {r.identifier("id") for r in _children(records, {newest.identifier("id")}, "Checkpoint")}
    return tuple(r.identifier("id") for r in _children(records, points, "Checkpoint.Approval"))


def judged(
    found: list[Answer], place: Answer, run: CiRun, stage: Stage, environment: str, subject: Subject
) -> tuple[Approved, ...]:
    """The approvals that count, one for each person. Pure."""
    remedy = (
        f"Start a new run, and have an approver approve {environment} there, with the comment "
        f"`{subject.digest[:DIGITS]}`; nobody must bypass the check."
    )
    if not found:
        what = (
            f"{environment} has an approval check, and this attempt of stage {stage.identifier} waited for none of its "
            "approvers: the stage does not use the environment, or an administrator went past the check."
        )
        raise refused(what, subject, run, remedy)
    counted: dict[str, Approved] = {}
    reasons = []
    for answer in found:
        if (status := answer.text("status")) != "approved":
            raise refused(f"The approval of {environment} is {status}{_by(answer)}.", subject, run, remedy)
        for step in answer.items("steps"):
            if step.text("status") != "approved" or step.maybe("actualApprover") is None:
                continue
            who, comment = step.text("actualApprover", "uniqueName"), step.maybe_text("comment")
            if objection := objection_to(comment, subject, run, must_name=False):
                reasons.append(f"{who}'s approval {objection}.")
            elif who:
                counted.setdefault(who.casefold(), _approved(step, place, run, stage, environment))
    if not counted or reasons:
        raise refused(" ".join(reasons) or "No person stands behind its approval.", subject, run, remedy)
    return tuple(counted.values())


def _children(records: tuple[Answer, ...], parents: set[str], kind: str) -> Iterator[Answer]:
    for record in records:
        if record.text("type") == kind and record.maybe_text("parentId") in parents:
            yield record


def _asks(answer: Answer, approvers: set[str]) -> bool:
    """Whether those it asked are among those whom the environment names; an approval that asked nobody is nobody's."""
    steps = answer.items("steps")
    return bool(steps) and all(step.identifier("assignedApprover", "id") in approvers for step in steps)


def _approved(step: Answer, place: Answer, run: CiRun, stage: Stage, environment: str) -> Approved:
    number = place.identifier("id")
    return Approved(
        who=step.text("actualApprover", "uniqueName"),
        also=(step.identifier("actualApprover", "id"),),
        established_by=(
            f"Azure DevOps' approval check of environment {environment} (id {number}) in stage {stage.identifier}, "
            f"attempt {stage.attempt}, of build {run.id}"
        ),
        protected=True,
        at=step.moment("lastModifiedOn"),
        comment=step.maybe_text("comment"),
        environment_id=number,
    )


def _unprotected(place: Answer, run: CiRun, environment: str) -> Approved:
    number = place.identifier("id")
    return Approved.by_nobody(
        f"Azure DevOps' environment {environment} (id {number}), which has no approval check, so that build {run.id} "
        "waited for nobody",
        number,
    )


def _by(answer: Answer) -> str:
    """`, by anna@example.org: not on a Friday`, of whoever did not approve."""
    for step in answer.items("steps"):
        if step.text("status") == answer.text("status") and (who := step.maybe_text("actualApprover", "uniqueName")):
            return f", by {who}: {step.maybe_text('comment')}"
    return ""


def _unknown(what: str) -> NoReturn:
    raise Unanswered(
        what,
        why="Whether this attempt was approved cannot be told from another one.",
        remedy="Start a new run; if it stays so, look whether Azure DevOps' interface has changed.",
    )
