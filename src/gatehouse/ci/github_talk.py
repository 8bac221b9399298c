"""Issues and comments, each found again by a marker that the reader does not see."""

from __future__ import annotations

from gatehouse.ci.answer import Answer
from gatehouse.ci.http import Api
from gatehouse.ci.marks import LABEL, mark, marked
from gatehouse.ci.provider import CiRun
from gatehouse.errors import Unanswered

_LIMIT = 65_000
"""Characters; GitHub takes 65,536."""


def raise_issue(api: Api, run: CiRun, key: str, title: str, body: str) -> str:
    """One open issue for each key."""
    content = {"title": title[:250], "body": marked(key, body, at_most=_LIMIT)}
    found = _open_issue(api, run, key)
    if found is None:
        made = api.send("POST", f"/repos/{run.repository}/issues", {**content, "labels": [LABEL]})
        return made.text("html_url")
    if (found.text("title"), found.maybe_text("body").replace("\r\n", "\n")) != (content["title"], content["body"]):
        api.send("PATCH", f"/repos/{run.repository}/issues/{found.identifier('number')}", content)
    return found.text("html_url")


def settle_issue(api: Api, run: CiRun, key: str, comment: str) -> str | None:
    """The last word first, so that a failure between the two leaves the issue open."""
    found = _open_issue(api, run, key)
    if found is None:
        return None
    path = f"/repos/{run.repository}/issues/{found.identifier('number')}"
    api.send("POST", f"{path}/comments", {"body": comment[:_LIMIT]})
    api.send("PATCH", path, {"state": "closed", "state_reason": "completed"})
    return found.text("html_url")


def comment(api: Api, run: CiRun, pull_request: int, marker: str, markdown: str) -> str | None:
    """Only a comment that a workflow wrote is taken for ours: anybody can write the marker."""
    body = marked(marker, markdown, at_most=_LIMIT)
    path = f"/repos/{run.repository}/issues"
    try:
        for found in api.pages(f"{path}/{pull_request}/comments"):
            ours = found.text("user", "type") == "Bot" and found.maybe_text("body").startswith(mark(marker))
            if ours:
                changed = api.send("PATCH", f"{path}/comments/{found.identifier('id')}", {"body": body})
                return changed.text("html_url")
        return api.send("POST", f"{path}/{pull_request}/comments", {"body": body}).text("html_url")
    except Unanswered as error:
        if error.status in (401, 403):
            return None
        raise


def _open_issue(api: Api, run: CiRun, key: str) -> Answer | None:
    ours = mark(key)
    for found in api.pages(f"/repos/{run.repository}/issues", state="open", labels=LABEL):
        if found.maybe("pull_request") is None and found.maybe_text("body").startswith(ours):
            return found
    return None
