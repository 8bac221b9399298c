"""Asking for an approval by merge: the pull request that adds the decision record, one for each record.

Asked is where the environment has no required reviewers and CODEOWNERS has a line of its own for `decisions/`: that
is how a repository says that its records are approved so, and by whom. What is there already is found again, so that
asking twice asks once; requests for records that this one replaces are closed.
"""

from __future__ import annotations

import base64
from typing import NoReturn
from urllib.parse import quote

from gatehouse.ci.answer import Answer
from gatehouse.ci.approval import DIGITS, refused
from gatehouse.ci.github_merged import FOLDER, codeowners, content_of, owners_of, record_path
from gatehouse.ci.http import Api
from gatehouse.ci.provider import CiRun, Subject
from gatehouse.errors import Unanswered

_LIMIT = 65_000
"""Characters of a body; GitHub takes 65,536."""


def merge_owners(path: str, content: str) -> tuple[str, ...]:
    """The accounts and teams that decide by merging; nobody where no line of CODEOWNERS is about decisions. Pure."""
    patterns = [line.split()[0].lstrip("/") for line in content.splitlines() if line.split()]
    return owners_of(path, content) if any(p.startswith(FOLDER) for p in patterns) else ()


def ask_for_a_merge(api: Api, run: CiRun, subject: Subject) -> None:
    """Nothing where a merge is not how records are approved.

    Raises:
        Refused: it is, and the pull request waits for somebody; or nobody could open it, with the command that does.
    """
    home, path = f"/repos/{run.repository}", record_path(subject)
    branch = api.get(home).text("default_branch")
    owners = merge_owners(path, codeowners(api, home, branch))
    if not owners or not subject.record:
        return
    head = _head(subject)
    pull = _asked(api, home, run, head, branch) or _opened(api, home, run, subject, owners, branch)
    number = pull.number("number")
    _close_replaced(api, home, run, subject, branch, number)
    if pull.text("state") == "closed":
        _refuse(
            f"Pull request {number}, which asked for it, was closed, and {path} is not on {branch}.",
            subject,
            run,
            f"If that was no decision against it, reopen the pull request: gh pr reopen {number} --repo "
            f"{run.repository}; otherwise there is nothing to do, and the champion stays.",
        )
    _refuse(
        f"It waits for pull request {number} of {run.repository}, which adds {path}: {', '.join(owners)} may merge it.",
        subject,
        run,
        f"Have one of them merge it, and then somebody else run the job again, for who starts a run counts as "
        f"proposing it: gh run rerun {run.id} --failed --repo {run.repository}",
    )


def _head(subject: Subject) -> str:
    return f"{_prefix(subject)}{subject.version}-{subject.digest[:DIGITS]}"


def _prefix(subject: Subject) -> str:
    return f"gatehouse/{FOLDER}/{subject.model}/"


def _asked(api: Api, home: str, run: CiRun, head: str, branch: str) -> Answer | None:
    """The pull request of this record that was opened last, whatever became of it."""
    owner = run.repository.partition("/")[0]
    found = api.get(
        f"{home}/pulls", state="all", head=f"{owner}:{head}", base=branch, sort="created", direction="desc", per_page=1
    ).items()
    return found[0] if found else None


def _opened(api: Api, home: str, run: CiRun, subject: Subject, owners: tuple[str, ...], branch: str) -> Answer:
    head, path = _head(subject), record_path(subject)
    title = f"Approve version {subject.version} of {subject.model}"
    if api.find(f"{home}/git/ref/heads/{quote(head)}") is None:
        newest = api.get(f"{home}/git/ref/heads/{quote(branch)}").text("object", "sha")
        api.send("POST", f"{home}/git/refs", {"ref": f"refs/heads/{head}", "sha": newest})
    if content_of(api, home, path, head) is None:
        text = base64.b64encode(f"{subject.record}\n".encode()).decode()
        api.send("PUT", f"{home}/contents/{path}", {"message": title, "content": text, "branch": head})
    body = _body(run, subject, owners)
    try:
        return api.send("POST", f"{home}/pulls", {"title": title, "head": head, "base": branch, "body": body})
    except Unanswered as error:
        if error.status not in (403, 422):
            raise
        command = f"gh pr create --repo {run.repository} --base {branch} --head {head} --title '{title}' --body ''"
        _refuse(
            f"Nobody was asked: {error.what}. {path} is on the branch {head}.",
            subject,
            run,
            f"Open it (who opens it cannot approve it): {command}. To have runs open it: allow GitHub Actions to "
            f"create pull requests, gh api -X PUT repos/{run.repository}/actions/permissions/workflow "
            "-F can_approve_pull_request_reviews=true",
        )


def _body(run: CiRun, subject: Subject, owners: tuple[str, ...]) -> str:
    return (
        f"Merging this approves version {subject.version} of `{subject.model}`, as decision record "
        f"`{subject.digest[:DIGITS]}` has it. Closing it keeps the champion.\n\n"
        f"Who may: {', '.join(f'`{owner}`' for owner in owners)}, unless they proposed it. Answers to manual checks "
        "are lines `check-id: answer` of a review that approves.\n\n"
        f"Once it is merged, somebody else runs the failed job of [this run]({run.url}) again.\n\n---\n\n"
        f"{subject.about}"
    )[:_LIMIT]


def _close_replaced(api: Api, home: str, run: CiRun, subject: Subject, branch: str, number: int) -> None:
    """What runs opened for earlier versions, and for earlier records of this one."""
    for other in list(api.pages(f"{home}/pulls", state="open", base=branch)):
        ref = other.text("head", "ref")
        ours = other.maybe_text("head", "repo", "full_name") == run.repository and other.text("user", "type") == "Bot"
        if not ours or not ref.startswith(_prefix(subject)) or ref == _head(subject):
            continue
        version = ref.removeprefix(_prefix(subject)).partition("-")[0]
        if not (version.isdecimal() and subject.version.isdecimal() and int(version) <= int(subject.version)):
            continue
        old = other.number("number")
        api.send("POST", f"{home}/issues/{old}/comments", {"body": f"Replaced by #{number}."})
        api.send("PATCH", f"{home}/pulls/{old}", {"state": "closed"})
        api.send("DELETE", f"{home}/git/refs/heads/{quote(ref)}", None)


def _refuse(what: str, subject: Subject, run: CiRun, remedy: str) -> NoReturn:
    raise refused(what, subject, run, remedy)
