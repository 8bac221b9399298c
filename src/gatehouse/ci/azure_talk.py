"""Work items and comments on Azure DevOps, each found again by a tag or a marker."""

from __future__ import annotations

import html
from typing import Any

from gatehouse.ci.answer import Answer
from gatehouse.ci.azure_approval import VERSION
from gatehouse.ci.http import Api
from gatehouse.ci.marks import LABEL, checked_key, mark, marked
from gatehouse.ci.provider import CiRun
from gatehouse.errors import Unanswered

_LIMIT = 140_000
"""Characters; a comment takes 150,000."""
_PATCH = "application/json-patch+json"
_WIQL = (
    "SELECT [System.Id] FROM WorkItems WHERE [System.TeamProject] = @project AND [System.Tags] CONTAINS '{label}' "
    "AND [System.State] NOT IN ('Closed', 'Done', 'Removed') ORDER BY [System.Id]"
)


def raise_issue(api: Api, key: str, title: str, body: str) -> str:
    """One open Task for each key."""
    fields = {"System.Title": title[:250], "System.Description": f"<pre>{html.escape(body[:_LIMIT])}</pre>"}
    found = _open_item(api, key)
    if found is None:
        changes = _changes({**fields, "System.Tags": f"{LABEL}; {checked_key(key)}"})
        return _written(api, "POST", "/_apis/wit/workitems/$Task?api-version=7.1", changes)
    number = found.identifier("id")
    if found.maybe_text("fields", "System.Title") != fields["System.Title"] or (
        found.maybe_text("fields", "System.Description") != fields["System.Description"]
    ):
        return _written(api, "PATCH", f"/_apis/wit/workitems/{number}?api-version=7.1", _changes(fields))
    return _page(api, number)


def settle_issue(api: Api, key: str, comment: str) -> str | None:
    """The last word and the end in one step."""
    found = _open_item(api, key)
    if found is None:
        return None
    states = api.get("/_apis/wit/workitemtypes/Task/states", **VERSION).items("value")
    done = next((state.text("name") for state in states if state.text("category") == "Completed"), "Closed")
    changes = _changes({"System.State": done, "System.History": html.escape(comment[:_LIMIT])})
    return _written(api, "PATCH", f"/_apis/wit/workitems/{found.identifier('id')}?api-version=7.1", changes)


def comment(api: Api, run: CiRun, pull_request: int, marker: str, markdown: str) -> str | None:
    """Only what this very identity wrote is taken for ours; None: the token may not write."""
    path = f"/_apis/git/repositories/{run.repository}/pullRequests/{pull_request}/threads"
    body = marked(marker, markdown, at_most=_LIMIT)
    address = f"{api.base}/_git/{run.repository}/pullrequest/{pull_request}"
    try:
        for thread in api.get(path, **VERSION).items("value"):
            first = next(iter(thread.items("comments")), None)
            if first is not None and first.maybe_text("content").startswith(mark(marker)) and _by_a_service(first):
                where = f"{path}/{thread.identifier('id')}/comments/{first.identifier('id')}?api-version=7.1"
                api.send("PATCH", where, {"content": body})
                return address
        opened = {"comments": [{"parentCommentId": 0, "content": body, "commentType": "text"}], "status": "closed"}
        api.send("POST", f"{path}?api-version=7.1", opened)
    except Unanswered as error:
        if error.status in (401, 403):
            return None
        raise
    return address


def _by_a_service(found: Answer) -> bool:
    """Build services have descriptors of this kind; people have `aad.` or `msa.`."""
    return found.maybe_text("author", "descriptor").startswith("svc.")


def _open_item(api: Api, key: str) -> Answer | None:
    wanted = checked_key(key).casefold()
    query = {"query": _WIQL.format(label=LABEL)}
    listed = api.send("POST", "/_apis/wit/wiql?api-version=7.1", query).items("workItems")
    numbers = [item.identifier("id") for item in listed][:200]
    if not numbers:
        return None
    fields = "System.Tags,System.Title,System.Description"
    for item in api.get("/_apis/wit/workitems", ids=",".join(numbers), fields=fields, **VERSION).items("value"):
        tags = {tag.strip().casefold() for tag in item.maybe_text("fields", "System.Tags").split(";")}
        if {LABEL, wanted} <= tags:
            return item
    return None


def _changes(fields: dict[str, str]) -> list[dict[str, Any]]:
    return [{"op": "add", "path": f"/fields/{name}", "value": value} for name, value in fields.items()]


def _written(api: Api, method: str, path: str, changes: list[dict[str, Any]]) -> str:
    return _page(api, api.send(method, path, changes, **{"Content-Type": _PATCH}).identifier("id"))


def _page(api: Api, number: str) -> str:
    return f"{api.base}/_workitems/edit/{number}"
