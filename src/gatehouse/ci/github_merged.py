"""Approval by merging a pull request that adds the decision record, for plans without required reviewers.

`decisions/VERSION-DIGEST12.json` stands on the default branch, byte for byte the record, and came by a pull request.
Its approvers are the file's code owners, as the branch named them before: who approved the last state of the pull
request or merged it, and did not open it. A workflow's token cannot see who is in a team: owners are named by account.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from gatehouse.ci.answer import Answer
from gatehouse.ci.approval import DIGITS, refused
from gatehouse.ci.http import Api
from gatehouse.ci.provider import Approved, CiRun, Subject
from gatehouse.errors import Unanswered

_RAW = "application/vnd.github.raw+json"
FOLDER = "decisions"
"""Of the decision records that were approved by merging them."""
_OWNERS_FILES = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")


def record_path(subject: Subject) -> str:
    """Where the decision record stands in the repository."""
    return f"{FOLDER}/{subject.version}-{subject.digest[:DIGITS]}.json"


def merged_approvals(api: Api, run: CiRun, subject: Subject) -> tuple[Approved, ...]:
    """Who approved the record by a merged pull request; nobody if the default branch has no such file.

    Raises:
        Refused: the file is there, and nobody who may has approved it.
    """
    home, path = f"/repos/{run.repository}", record_path(subject)
    branch = api.get(home).text("default_branch")
    content = content_of(api, home, path, branch)
    if content is None:
        return ()
    if hashlib.sha256(content.rstrip(b"\r\n")).hexdigest() != subject.digest:
        raise _refused(f"{path} on {branch} is not the decision record.", subject, run)
    pull = _pull_request(api, home, path, branch)
    if pull is None:
        raise _refused(f"{path} came to {branch} without a pull request.", subject, run)
    owners = owners_of(path, codeowners(api, home, pull.text("base", "sha")))
    counted = dict(_approvers(api, home, pull, owners))
    if not counted:
        named = ", ".join(owners) or "nobody"
        raise _refused(
            f"No code owner of {path} ({named}) approved or merged pull request {pull.number('number')} of "
            f"{pull.text('user', 'login')}, besides whoever opened it.",
            subject,
            run,
        )
    return tuple(
        Approved(
            who=who,
            also=(number,),
            established_by=(
                f"pull request {pull.number('number')} of {run.repository} on GitHub, which added {path}: they are a "
                f"code owner of it and {did}"
            ),
            protected=True,
            at=pull.moment("merged_at"),
            comment=comment,
            environment_id="",
        )
        for who, (number, did, comment) in counted.items()
    )


def owners_of(path: str, codeowners: str) -> tuple[str, ...]:
    """The accounts and teams that the last matching line of a CODEOWNERS file names, without their @. Pure."""
    found: tuple[str, ...] = ()
    for line in codeowners.splitlines():
        pattern, *names = line.partition(" #")[0].split() or [""]
        if pattern and not pattern.startswith("#") and _matches(pattern, path):
            found = tuple(name.removeprefix("@") for name in names)
    return found


def _matches(pattern: str, path: str) -> bool:
    """As .gitignore reads it; `docs/*` does not reach below."""
    anchored = "/" in pattern.rstrip("/")
    body = pattern.strip("/")
    parts = re.split(r"(\*\*/|/\*\*$|\*\*|\*|\?)", body)
    meant = {"**/": "(?:.*/)?", "/**": "/.*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    regex = "".join(meant.get(part, re.escape(part)) for part in parts)
    below = "/.*" if pattern.endswith("/") else "" if body.endswith("*") else "(?:/.*)?"
    return re.fullmatch(f"{'' if anchored else '(?:.*/)?'}{regex}{below}", path) is not None


def content_of(api: Api, home: str, path: str, ref: str) -> bytes | None:
    """A file on a branch or commit; None: there is none."""
    try:
        return api.text(f"{home}/contents/{path}", accept=_RAW, ref=ref)
    except Unanswered as error:
        if error.status == 404:
            return None
        raise


def _pull_request(api: Api, home: str, path: str, branch: str) -> Answer | None:
    """The one whose merge gave the file its content."""
    last = api.get(f"{home}/commits", path=path, sha=branch, per_page=1).items()
    if not last:
        return None
    for pull in api.get(f"{home}/commits/{last[0].text('sha')}/pulls").items():
        if pull.maybe("merged_at") is not None and pull.text("base", "ref") == branch:
            return api.get(f"{home}/pulls/{pull.number('number')}")
    return None


def codeowners(api: Api, home: str, ref: str) -> str:
    """The CODEOWNERS file on a branch or commit; empty: there is none."""
    for name in _OWNERS_FILES:
        if (content := content_of(api, home, name, ref)) is not None:  # GitHub reads the first of them, and no other
            return content.decode(errors="replace")
    return ""


def _approvers(
    api: Api, home: str, pull: Answer, owners: tuple[str, ...]
) -> Iterator[tuple[str, tuple[str, str, str]]]:
    """Account, and its number with what it did and said."""
    may = {owner.casefold() for owner in owners}
    author, head = pull.text("user", "login").casefold(), pull.text("head", "sha")
    last: dict[str, Answer] = {}
    for review in api.pages(f"{home}/pulls/{pull.number('number')}/reviews"):
        if review.maybe("user") is not None and review.text("state") in ("APPROVED", "CHANGES_REQUESTED", "DISMISSED"):
            last[review.text("user", "login").casefold()] = review
    did = [
        (review.at("user"), "approved it", review.maybe_text("body"))
        for review in last.values()
        if review.text("state") == "APPROVED" and review.maybe_text("commit_id") == head
    ]
    objecting = {who for who, review in last.items() if review.text("state") == "CHANGES_REQUESTED"}
    if (merger := pull.maybe("merged_by")) is not None:
        did.append((merger, "merged it", ""))
    for person, what, comment in reversed(did):  # so that of the two, approving is what is told
        login = person.text("login").casefold()
        if login in may and login != author and login not in objecting and person.text("type") == "User":
            yield person.text("login"), (person.identifier("id"), what, comment)


def _refused(what: str, subject: Subject, run: CiRun) -> Exception:
    return refused(
        what,
        subject,
        run,
        "Have a code owner of decisions/ (a line `/decisions/ @account` in CODEOWNERS) approve and merge a pull "
        f"request that adds {record_path(subject)}; then run the job again.",
    )
