"""Whose e-mail address one is, by the commits of a repository on GitHub.

Its interface names the account of each commit's author and committer, and none where the address belongs to none. The
account of a co-author, who stands in the message alone, only GraphQL names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from gatehouse.ci.answer import Answer
from gatehouse.ci.http import PAGES, Api
from gatehouse.ci.provider import CiRun, unique
from gatehouse.errors import Unanswered

WEB_FLOW = "noreply@github.com"
"""GitHub itself, which commits what somebody does on its pages. As an author it could be anybody."""
_NOREPLY = re.compile(r"(?:(\d+)\+)?([A-Za-z0-9_-]+(?:\[bot\])?)@users\.noreply\.github\.com", re.IGNORECASE)
_AUTHORS = """query($owner: String!, $name: String!, $commit: GitObjectID!, $after: String) {
  repository(owner: $owner, name: $name) { object(oid: $commit) { ... on Commit {
    history(first: 100, after: $after) {
      pageInfo { hasNextPage endCursor }
      nodes { authors(first: 50) { nodes { email user { login } } } }
    }
  } } }
}"""


class People:
    """Asked in the name of the run; every address once. `told` are accounts by address that GitHub has told already."""

    def __init__(self, api: Api, graph: Api, run: CiRun, told: Mapping[str, str]) -> None:
        self._api = api
        self._graph = graph
        self._run = run
        self._known: dict[str, tuple[str, ...]] = {WEB_FLOW: ()}
        self._known |= {address.casefold(): (account,) for address, account in told.items() if account}

    def owners(self, address: str) -> tuple[str, ...]:
        """Names and number of the account; none where no commit up to the run's own links the address to one."""
        address = address.casefold()
        if address not in self._known:
            named = _NOREPLY.fullmatch(address)
            self._known[address] = unique(named[2], named[1] or "") if named else self._linked(address)
        return self._known[address]

    def _linked(self, address: str) -> tuple[str, ...]:
        """Of exactly this address: an account's commits may carry others, and only one of them be its own."""
        for role in ("author", "committer"):
            by: dict[str, str | int] = {role: address, "sha": self._run.commit, "per_page": 30}
            for commit in self._api.pages(f"/repos/{self._run.repository}/commits", **by):
                if commit.maybe_text("commit", role, "email").casefold() == address:
                    return unique(commit.maybe_text(role, "login"))
        try:
            return self._co_author(address)
        except Unanswered:  # then nobody knows whose it is, and that is what the caller is told
            return ()

    def _co_author(self, address: str) -> tuple[str, ...]:
        after: str | None = None
        for _ in range(PAGES):
            history = self._history(after)
            for commit in history.items("nodes"):
                for author in commit.items("authors", "nodes"):
                    if author.maybe_text("email").casefold() == address:
                        return unique(author.maybe_text("user", "login"))
            if not history.flag("pageInfo", "hasNextPage"):
                break
            after = history.text("pageInfo", "endCursor")
        return ()

    def _history(self, after: str | None) -> Answer:
        owner, _, name = self._run.repository.partition("/")
        variables = {"owner": owner, "name": name, "commit": self._run.commit, "after": after}
        answer = self._graph.send("POST", "/graphql", {"query": _AUTHORS, "variables": variables})
        return answer.at("data", "repository", "object", "history")
