"""Who approved a run for an environment, according to GitHub's own protection rules.

`GET /actions/runs/{id}/approvals` has neither a time nor an attempt, and no entry at all where an administrator started
the waiting jobs past the rule. So: only entries of the environment as it is now (by its id), by people among its
required reviewers; in a re-run only those whose comment names the record or the attempt; and no entry is no approval.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import quote

from gatehouse.ci.answer import Answer
from gatehouse.ci.approval import DIGITS, objection_to, refused
from gatehouse.ci.github_asked import ask_for_a_merge
from gatehouse.ci.github_merged import merged_approvals
from gatehouse.ci.http import Api
from gatehouse.ci.provider import Approved, CiRun, Subject
from gatehouse.errors import Refused, Unanswered


def approvals(api: Api, run: CiRun, environment: str, subject: Subject) -> tuple[Approved, ...]:
    """Asks, and judges; what cannot be asked or read is refused."""
    try:
        place = api.find(f"/repos/{run.repository}/environments/{quote(environment, safe='')}")
        if place is None:
            raise refused(
                f"There is no environment {environment} in {run.repository}.",
                subject,
                run,
                f"Make it, with required reviewers: {settings_of(run)}",
            )
        if required_reviewers(place) is None:
            if merged := merged_approvals(api, run, subject):
                return merged
            ask_for_a_merge(api, run, subject)
            return (_unprotected(place, run, environment),)
        answer = api.get(f"/repos/{run.repository}/actions/runs/{run.id}/approvals")
        first = api.get(f"/repos/{run.repository}/actions/runs/{run.id}/attempts/1")
        return judged(place, answer.items(), first, run, environment, subject)
    except Unanswered as error:
        raise Refused(
            f"Whether version {subject.version} was approved for {environment} cannot be told. {error.what}",
            why="Not knowing is not an approval.",
            remedy=error.remedy,
        ) from error


def judged(
    place: Answer, entries: Sequence[Answer], first: Answer, run: CiRun, environment: str, subject: Subject
) -> tuple[Approved, ...]:
    """The approvals that count, one for each person. Pure.

    `place` is the environment, `first` the first attempt of the run.
    """
    number = place.identifier("id")
    if place.moment("created_at") > first.moment("created_at"):
        raise refused(
            f"The environment {environment} was made at {place.text('created_at')}, after the run had begun.",
            subject,
            run,
            "Somebody deleted it and made it anew. Check its reviewers, then start a new run.",
        )
    ours = [entry for entry in entries if any(e.identifier("id") == number for e in entry.items("environments"))]
    counted: dict[str, Approved] = {}
    reasons = []
    for entry in ours:
        who = entry.text("user", "login")
        objection = _objection(entry, place, run, subject)
        if entry.text("state") == "rejected" and objection is None:
            raise refused(f"{who} rejected it: {_said(entry)}", subject, run, "Mend what they name, and release again.")
        if entry.text("state") != "approved":
            continue
        if objection is None:
            counted.setdefault(who.casefold(), _approved(entry, place, run, environment))
        else:
            reasons.append(f"{who}'s approval {objection}.")
    if not counted:
        raise refused(" ".join(reasons) or _nobody(environment, run), subject, run, _advice(environment, subject, run))
    return tuple(counted.values())


def required_reviewers(place: Answer) -> Answer | None:
    """The rule that asks people; None: the environment asks nobody."""
    for rule in place.items("protection_rules"):
        if rule.text("type") == "required_reviewers" and rule.items("reviewers"):
            return rule
    return None


def reviewers(rule: Answer) -> Iterator[tuple[str, str]]:
    """`("User", login)` or `("Team", slug)` of each."""
    for entry in rule.items("reviewers"):
        kind = entry.text("type")
        yield kind, entry.text("reviewer", "login" if kind == "User" else "slug")


def settings_of(run: CiRun) -> str:
    """Where environments are set up."""
    return f"{run.url.partition('/actions/')[0]}/settings/environments"


def _objection(entry: Answer, place: Answer, run: CiRun, subject: Subject) -> str | None:
    who, kind = entry.text("user", "login"), entry.text("user", "type")
    if kind != "User":
        return f"is of a {kind}, and a person has to decide"
    rule = required_reviewers(place)
    known = list(reviewers(rule)) if rule else []
    users = {name.casefold() for reviewer, name in known if reviewer == "User"}
    if who.casefold() not in users and all(reviewer == "User" for reviewer, _ in known):
        return "does not count: they are not among the required reviewers of the environment"
    return objection_to(_said(entry), subject, run, must_name=run.attempt > 1)


def _approved(entry: Answer, place: Answer, run: CiRun, environment: str) -> Approved:
    rule = required_reviewers(place)
    known = list(reviewers(rule)) if rule else []
    who, number = entry.text("user", "login"), place.identifier("id")
    users = {name.casefold() for kind, name in known if kind == "User"}
    teams = [name for kind, name in known if kind == "Team"]
    role = (
        "" if who.casefold() in users else f", as a member of a required team ({', '.join(teams)}) as GitHub enforced"
    )
    return Approved(
        who=who,
        also=(entry.identifier("user", "id"),),
        established_by=(
            f"GitHub's review of environment {environment} (id {number}) in run {run.id}, attempt {run.attempt}, "
            f"of {run.repository}{role}"
        ),
        protected=True,
        at=None,
        comment=_said(entry),
        environment_id=number,
    )


def _unprotected(place: Answer, run: CiRun, environment: str) -> Approved:
    number = place.identifier("id")
    return Approved.by_nobody(
        f"GitHub's environment {environment} (id {number}) of {run.repository}, which has no required reviewers, "
        f"so that run {run.id} waited for nobody",
        number,
    )


def _said(entry: Answer) -> str:
    return entry.maybe_text("comment")


def _nobody(environment: str, run: CiRun) -> str:
    private = (
        " In a private repository only GitHub Enterprise enforces required reviewers; elsewhere nobody is asked."
        if run.visibility != "public"
        else ""
    )
    return (
        f"{environment} has required reviewers, and this run has no review of theirs: the job does not belong to that "
        f"environment, or an administrator started it past the rule.{private}"
    )


def _advice(environment: str, subject: Subject, run: CiRun) -> str:
    named = f"{subject.digest[:DIGITS]}" + (f" attempt {run.attempt}" if run.attempt > 1 else "")
    return (
        f"Start a new run, and have a required reviewer approve {environment} there, with the comment `{named}`. "
        f"Administrators must not bypass the rule: {settings_of(run)}"
    )
