"""Commits of GitHub's interface: what git says, and the accounts that their addresses belong to.

An address that is no account's has none: null, in REST as in GraphQL. Rights and shapes as in `github_api`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from tests.loopback import Call, Reply
from tests.template.harness import NotUnderstood
from tests.template.harness.github_state import NAME, OWNER, WEB_FLOW, Person

_FORM = "--format=%H%x00%an%x00%ae%x00%cn%x00%ce%x00%cI%x00%B"
_ASKED = {"", "author", "committer", "path", "sha", "per_page"}
_CO_AUTHOR = re.compile(r"^co-authored-by:.*<([^<>]+)>\s*$", re.IGNORECASE | re.MULTILINE)


class Commits:
    """`known` are the accounts by login, `url` is the server's."""

    def __init__(self, known: Mapping[str, Person], git: Callable[..., str], url: str) -> None:
        self._known = known
        self._git = git
        self._url = url

    def teach(self, route: Callable[..., None]) -> None:
        """Its routes."""
        route("GET", "/commits", "contents:read", self._listed)
        route("GET", "/commits/{sha}", "contents:read", lambda call: self.one(call.parts["sha"]))

    def one(self, sha: str) -> Any:
        """`GET /commits/{sha}`."""
        try:
            line = self._git("log", "-1", _FORM, sha, "--")
        except Exception:  # noqa: BLE001 - whatever git minds
            return Reply(status=404, json={"message": "Not Found"})
        full, author, author_email, committer, committer_email, date, message = line.split("\0")
        return {
            "sha": full,
            "commit": {
                "message": message.strip(),
                "author": {"name": author, "email": author_email, "date": date},
                "committer": {"name": committer, "email": committer_email, "date": date},
            },
            "author": self._account(author_email),
            "committer": self._account(committer_email),
            "html_url": f"{self._url}/{OWNER}/{NAME}/commit/{full}",
        }

    def authors(self, call: Call) -> Any:
        """`POST /graphql`, for the authors of a commit and of all before it: git's, and those that messages name."""
        asked = call.json()
        if "authors(first" not in asked["query"] or asked["variables"]["after"] is not None:
            raise NotUnderstood(f"the query {asked}")
        found = self._git("log", "--format=%H", asked["variables"]["commit"]).splitlines()
        nodes = [{"authors": {"nodes": self._authors(self.one(sha)["commit"])}} for sha in found]
        history = {"pageInfo": {"hasNextPage": False, "endCursor": None}, "nodes": nodes}
        return {"data": {"repository": {"object": {"history": history}}}}

    def _authors(self, commit: Mapping[str, Any]) -> list[dict[str, Any]]:
        named = [commit["author"]["email"], *_CO_AUTHOR.findall(commit["message"])]
        accounts = {address: self._account(address) for address in named}
        return [{"email": a, "user": {"login": user["login"]} if user else None} for a, user in accounts.items()]

    def _listed(self, call: Call) -> Any:
        """The newest up to `sha`, by an author or committer (address or account), or that changed `path`."""
        if set(call.query) - _ASKED:
            raise NotUnderstood(f"commits filtered by {sorted(call.query)}")
        of = [call.query["path"]] if "path" in call.query else []
        found = self._git("log", "--format=%H %ae %ce", call.query["sha"], "--", *of).splitlines()
        for place, role in enumerate(("author", "committer"), start=1):
            if role in call.query:
                found = [line for line in found if self._is(call.query[role], line.split(" ")[place])]
        return [self.one(line.split(" ")[0]) for line in found[: int(call.query.get("per_page", 30))]]

    def _is(self, asked: str, address: str) -> bool:
        account = self._account(address)
        return asked.casefold() in (address.casefold(), account["login"].casefold() if account else None)

    def _account(self, address: str) -> dict[str, Any] | None:
        for person in (*self._known.values(), WEB_FLOW):
            if address.casefold() in person.addresses:
                return person.json()
        return None
