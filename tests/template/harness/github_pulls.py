"""Pull requests of GitHub's interface, as far as an approval by merge needs them: opened by a run, merged by a person.

Rights and shapes as in `github_api`. What a merge starts is the test's to say.
"""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.loopback import Call, Reply
from tests.template.harness import NotUnderstood
from tests.template.harness.github_state import NAME, OWNER, REPOSITORY_ID, ROBOT, Issue, Person, now

_LISTED = {"", "state", "head", "base", "sort", "direction", "per_page", "page"}
_NOT_FOUND = Reply(status=404, json={"message": "Not Found"})


@dataclass(kw_only=True, slots=True)
class Pull:
    """A pull request of a branch of this repository."""

    number: int
    title: str
    body: str
    head: str
    head_sha: str
    base_sha: str
    author: Person = ROBOT
    state: str = "open"
    merged_at: str | None = None
    merged_by: Person | None = None
    merge_sha: str = ""
    created: int = field(default=0)

    def json(self) -> dict[str, Any]:
        """`GET /pulls/{n}`."""
        repository = {"id": REPOSITORY_ID, "full_name": f"{OWNER}/{NAME}"}
        return {
            "number": self.number,
            "title": self.title,
            "body": self.body,
            "state": self.state,
            "user": self.author.json(),
            "head": {"ref": self.head, "sha": self.head_sha, "repo": repository},
            "base": {"ref": "main", "sha": self.base_sha, "repo": repository},
            "merged_at": self.merged_at,
            "merged_by": self.merged_by.json() if self.merged_by else None,
            "merge_commit_sha": self.merge_sha or None,
        }


class Pulls:
    """`api` is the server that they are part of: its rights, numbers and issues."""

    def __init__(self, api: Any, origin: Path, git: Callable[..., str]) -> None:
        self.all: dict[int, Pull] = {}
        self.may_be_opened_by_runs = True
        """The repository's setting; by default it is off on GitHub."""
        self._api, self._origin, self._git = api, origin, git

    def teach(self, route: Callable[[str, str, str, Callable[[Call], Any]], None]) -> None:
        """Once. `route` takes method, path, rights and handler."""
        route("GET", "/pulls", "pull-requests:read", self._list)
        route("POST", "/pulls", "pull-requests:write", self._open)
        route("GET", "/pulls/{n}", "pull-requests:read", lambda call: self._one(call).json())
        route("PATCH", "/pulls/{n}", "pull-requests:write", self._change)
        route("GET", "/pulls/{n}/reviews", "pull-requests:read", lambda _: [])
        route("GET", "/commits/{sha}/pulls", "pull-requests:read", self._of_commit)
        route("PUT", "/contents/{path...}", "contents:write", self._write)
        route("DELETE", "/git/refs/{ref...}", "contents:write", self._delete_ref)

    def merge(self, number: int, by: Person) -> str:
        """Somebody presses `Merge pull request`; the commit that main is then on."""
        pull, main = self.all[number], self._sha("refs/heads/main")
        tree = self._git("merge-tree", "--write-tree", main, pull.head_sha)
        parents = ("-p", main, "-p", pull.head_sha)
        made = self._git("commit-tree", tree, *parents, "-m", f"Merge pull request #{number}", by=by)
        self._git("update-ref", "refs/heads/main", made, main)
        pull.state, pull.merged_at, pull.merged_by, pull.merge_sha = "closed", now(), by, made
        return made

    def _sha(self, ref: str) -> str:
        return self._git("rev-parse", "--verify", ref)

    def _one(self, call: Call) -> Pull:
        return self.all[int(call.parts["n"])]

    def _list(self, call: Call) -> Any:
        if unknown := set(call.query) - _LISTED:
            raise NotUnderstood(f"pull requests filtered by {sorted(unknown)}")
        state, head = call.query.get("state", "open"), call.query.get("head", "")
        if call.query.get("base", "main") != "main":
            raise NotUnderstood(f"pull requests to {call.query['base']}")
        found = [
            pull.json()
            for pull in reversed(self.all.values())
            if state in ("all", pull.state) and head in ("", f"{OWNER}:{pull.head}")
        ]
        return found[: int(call.query.get("per_page", 30))]

    def _open(self, call: Call) -> Reply:
        body = call.json()
        if not self.may_be_opened_by_runs:
            message = "GitHub Actions is not permitted to create or approve pull requests."
            return Reply(status=403, json={"message": message})
        if any(pull.state == "open" and pull.head == body["head"] for pull in self.all.values()):
            return Reply(status=422, json={"message": "Validation Failed"})
        made = Pull(
            number=self._api.number(),
            title=body["title"],
            body=body["body"],
            head=body["head"],
            head_sha=self._sha(f"refs/heads/{body['head']}"),
            base_sha=self._sha(f"refs/heads/{body['base']}"),
        )
        self.all[made.number] = made
        self._api.issues[made.number] = Issue(number=made.number, title=made.title, body=made.body)
        return Reply(status=201, json=made.json())

    def _change(self, call: Call) -> Any:
        pull = self._one(call)
        if set(call.json()) != {"state"}:
            raise NotUnderstood(f"a pull request's {sorted(call.json())}")
        pull.state = call.json()["state"]
        return pull.json()

    def _of_commit(self, call: Call) -> Any:
        return [pull.json() for pull in self.all.values() if call.parts["sha"] in (pull.merge_sha, pull.head_sha)]

    def _write(self, call: Call) -> Any:
        """A new file, as one commit on a branch."""
        body, path = call.json(), call.parts["path"]
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            address = f"file://{self._origin / f'{NAME}.git'}"
            self._git("clone", "--quiet", "--branch", body["branch"], address, name, at=self._origin)
            if (folder / path).exists():
                return Reply(status=422, json={"message": 'Invalid request.\n\n"sha" wasn\'t supplied.'})
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(base64.b64decode(body["content"]))
            self._git("add", "--force", path, at=folder)
            self._git("commit", "--quiet", "-m", body["message"], at=folder, by=ROBOT)
            self._git("push", "--quiet", "origin", f"HEAD:refs/heads/{body['branch']}", at=folder)
        return Reply(status=201, json={"content": {"path": path}, "commit": {}})

    def _delete_ref(self, call: Call) -> Reply:
        try:
            self._git("update-ref", "-d", "refs/" + call.parts["ref"], self._sha("refs/" + call.parts["ref"]))
        except Exception:  # noqa: BLE001 - there is none
            return _NOT_FOUND
        return Reply(status=204)
