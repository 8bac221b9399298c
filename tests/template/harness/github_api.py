"""GitHub's interface, as far as Gatehouse asks it: state in memory, and the rights of each job's token enforced.

Shapes: GitHub's OpenAPI description. Rights: github/docs, permissions required for fine-grained personal access tokens.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.loopback import Call, Loopback, Reply
from tests.template.harness import NotUnderstood
from tests.template.harness.git_http import serve, token_of
from tests.template.harness.github_commits import Commits
from tests.template.harness.github_pulls import Pulls
from tests.template.harness.github_state import (
    NAME,
    OWNER,
    REPOSITORY_ID,
    ROBOT,
    Artifact,
    Environment,
    Issue,
    Person,
    Release,
    Run,
)

NOT_FOUND = Reply(status=404, json={"message": "Not Found"})
_LEVELS = {"none": 0, "read": 1, "write": 2}


class GitHubApi:
    """The state, and the server in front of it."""

    def __init__(self, origin: Path, known: Mapping[str, Person], git: Callable[..., str]) -> None:
        self.people = known
        self.environments: dict[str, Environment] = {}
        self.runs: dict[int, Run] = {}
        self.artifacts: list[Artifact] = []
        self.issues: dict[int, Issue] = {}
        self.releases: list[Release] = []
        self.dispatched: list[tuple[str, str, dict[str, Any], Person]] = []
        self.attested: list[str] = []
        self.denied: list[str] = []
        self.private = False
        self.refuses_dispatch: Callable[[str, Mapping[str, Any]], str | None] = lambda _, __: None
        """Why a dispatch of a workflow with inputs is answered with 422; None: it is not."""
        self.rules: list[dict[str, Any]] = []
        self.server = Loopback()
        self._numbers = iter(range(1001, 100_000))
        self._origin = origin
        self._git = git
        self.pulls = Pulls(self, origin, git)
        self._commits = Commits(known, git, self.url)
        self._teach()

    @property
    def url(self) -> str:
        """Of the interface and of the site alike."""
        return self.server.url

    def number(self) -> int:
        """The next that nobody has."""
        return next(self._numbers)

    def token(self, run: Run, job: str) -> str:
        """What `github.token` is in one job of one run."""
        return f"ghs_{run.id}_{job}"

    def holder(self, token: str) -> tuple[Run, str] | None:
        """The run and job of a token; None: no token of ours."""
        found = re.fullmatch(r"ghs_([0-9]+)_(.+)", token)
        return (self.runs[int(found[1])], found[2]) if found else None

    def may(self, token: str, scope: str, level: str) -> bool:
        """Whether the job was given this right."""
        holder = self.holder(token)
        if holder is None:
            return False
        run, job = holder
        allowed = _LEVELS[run.permissions[job].get(scope, "none")] >= _LEVELS[level]
        if not allowed:
            self.denied.append(f"{run.workflow} {job}: {scope}: {level}")
        return allowed

    def keep(self, run: Run, name: str, content: bytes) -> Artifact:
        """A new artefact."""
        made = Artifact(id=self.number(), name=name, content=content, run=run)
        self.artifacts.append(made)
        return made

    def _teach(self) -> None:
        api, repository = self.server.teach, f"/repos/{OWNER}/{NAME}"

        def route(method: str, path: str, rights: str, handler: Callable[[Call], Any]) -> None:
            api(method, repository + path, self.guarded(rights, handler))

        route("GET", "", "", lambda _: self.repository())
        route("GET", "/actions/runs/{run}", "actions:read", self._run)
        route("GET", "/actions/runs/{run}/attempts/{n}", "actions:read", self._run)
        route("GET", "/actions/runs/{run}/approvals", "actions:read", self._approvals)
        route("GET", "/actions/runs/{run}/artifacts", "actions:read", self._artifacts)
        route("GET", "/actions/artifacts", "actions:read", self._artifacts)
        route("GET", "/actions/artifacts/{id}", "actions:read", self._artifact)
        route("GET", "/actions/artifacts/{id}/zip", "actions:read", self._zip)
        route("GET", "/actions/workflows/{file}/runs", "actions:read", self._workflow_runs)
        route("POST", "/actions/workflows/{file}/dispatches", "actions:write", self._dispatch)
        route("GET", "/environments", "actions:read", self._environments)
        route("GET", "/environments/{name}", "actions:read", self._environment)
        self._commits.teach(route)
        route("GET", "/contents/{path...}", "contents:read", self._contents)
        route("GET", "/git/ref/{ref...}", "contents:read", self._ref)
        route("POST", "/git/refs", "contents:write", self._make_ref)
        route("GET", "/rules/branches/{branch}", "", lambda _: self.rules)
        route("GET", "/issues", "issues:read", self._issues)
        route("POST", "/issues", "issues:write", self._make_issue)
        route("PATCH", "/issues/{n}", "issues:write", self._change_issue)
        route("GET", "/issues/{n}/comments", "pull-requests:read|issues:read", self._comments)
        route("POST", "/issues/{n}/comments", "pull-requests:write|issues:write", self._make_comment)
        route("PATCH", "/issues/comments/{id}", "pull-requests:write|issues:write", self._change_comment)
        self.pulls.teach(route)
        route("GET", "/releases/tags/{tag}", "contents:read", self._release)
        route("POST", "/releases", "contents:write", self._make_release)
        api("POST", "/graphql", self.guarded("contents:read", self._commits.authors))
        api("GET", "/blob/{id}", lambda call: Reply(content=self._by_id(call).content))
        api("*", f"/{OWNER}/{{repository}}/{{service...}}", self._serve_git)

    def guarded(self, rights: str, handler: Callable[[Call], Any]) -> Callable[[Call], Any]:
        """`issues:write|pull-requests:write`: one of them is enough; none: whoever has a token."""

        def guarded(call: Call) -> Any:
            token = token_of(call)
            if self.holder(token) is None:
                return Reply(status=401, json={"message": "Bad credentials"})
            wanted = [right.split(":") for right in rights.split("|") if right]
            if wanted and not any(self.may(token, scope, level) for scope, level in wanted):
                return Reply(status=403, json={"message": "Resource not accessible by integration"})
            return handler(call)

        return guarded

    def repository(self) -> dict[str, Any]:
        """Also in the payload of every event."""
        return {
            "id": REPOSITORY_ID,
            "name": NAME,
            "full_name": f"{OWNER}/{NAME}",
            "private": self.private,
            "visibility": "private" if self.private else "public",
            "default_branch": "main",
            "owner": {"login": OWNER, "id": 7, "type": "Organization"},
            "html_url": f"{self.url}/{OWNER}/{NAME}",
        }

    def _contents(self, call: Call) -> Any:
        """A file as it is, at a branch or commit."""
        if "raw" not in call.headers.get("accept", ""):
            raise NotUnderstood("contents that are not asked for as they are")
        try:
            found = self._git("show", f"{call.query['ref']}:{call.parts['path']}")
        except Exception:  # noqa: BLE001 - no such branch, or no such file on it
            return NOT_FOUND
        return Reply(content=found.encode())

    def _head_commit(self, sha: str) -> dict[str, Any]:
        commit = self._commits.one(sha)["commit"]
        return {"id": sha, **{key: commit[key] for key in ("message", "author", "committer")}}

    def _run(self, call: Call) -> Any:
        run = self.runs.get(int(call.parts["run"]))
        if run is None or int(call.parts.get("n", run.attempt)) > run.attempt:
            return NOT_FOUND
        return run.json(self.url, self._head_commit(run.sha))

    def _approvals(self, call: Call) -> Any:
        run = self.runs.get(int(call.parts["run"]))
        if run is None:
            return NOT_FOUND
        return [
            {
                "environments": [{"id": self.environments[review.environment].id, "name": review.environment}],
                "state": review.state,
                "user": review.by.json(),
                "comment": review.comment,
            }
            for review in run.reviews
        ]

    def _artifacts(self, call: Call) -> Any:
        run = int(call.parts["run"]) if "run" in call.parts else None
        found = [
            artifact.json(self.url)
            for artifact in reversed(self.artifacts)
            if artifact.name == call.query.get("name", artifact.name) and run in (None, artifact.run.id)
        ]
        return self._page(call, found, "artifacts")

    def _page(self, call: Call, found: list[Any], key: str) -> dict[str, Any]:
        size, page = int(call.query.get("per_page", 30)), int(call.query.get("page", 1))
        return {"total_count": len(found), key: found[size * (page - 1) : size * page]}

    def _by_id(self, call: Call) -> Artifact:
        return next(artifact for artifact in self.artifacts if artifact.id == int(call.parts["id"]))

    def _artifact(self, call: Call) -> Any:
        known = {artifact.id for artifact in self.artifacts}
        return self._by_id(call).json(self.url) if int(call.parts["id"]) in known else NOT_FOUND

    def _zip(self, call: Call) -> Reply:
        if int(call.parts["id"]) not in {artifact.id for artifact in self.artifacts}:
            return NOT_FOUND
        if self._by_id(call).expired:
            return Reply(status=410, json={"message": "Artifact has expired"})
        return Reply(status=302, headers={"Location": f"{self.url}/blob/{call.parts['id']}"})

    def _workflow_runs(self, call: Call) -> Any:
        unknown = set(call.query) - {
            "",
            "head_sha",
            "status",
            "branch",
            "event",
            "per_page",
            "page",
            "exclude_pull_requests",
        }
        if unknown:
            raise NotUnderstood(f"runs filtered by {sorted(unknown)}")
        asked = call.query
        found = [
            run.json(self.url, self._head_commit(run.sha))
            for run in sorted(self.runs.values(), key=lambda run: -run.id)
            if run.workflow == call.parts["file"]
            and run.sha == asked.get("head_sha", run.sha)
            and asked.get("status", run.status) in (run.status, run.conclusion)
            and run.branch == asked.get("branch", run.branch)
            and run.event == asked.get("event", run.event)
        ]
        return self._page(call, found, "workflow_runs")

    def _dispatch(self, call: Call) -> Reply:
        body = call.json()
        if why := self.refuses_dispatch(call.parts["file"], body.get("inputs", {})):
            return Reply(status=422, json={"message": why})
        self.dispatched.append((call.parts["file"], body["ref"], body.get("inputs", {}), ROBOT))
        if body.get("return_run_details"):
            return Reply(json={"workflow_run_id": 0, "run_url": self.url, "html_url": self.url})
        return Reply(status=204)

    def _environments(self, call: Call) -> Any:
        return self._page(call, [found.json() for found in self.environments.values()], "environments")

    def _environment(self, call: Call) -> Any:
        found = self.environments.get(call.parts["name"])
        return found.json() if found else NOT_FOUND

    def _ref(self, call: Call) -> Any:
        try:
            sha = self._git("rev-parse", "--verify", "--quiet", "refs/" + call.parts["ref"])
        except Exception:  # noqa: BLE001 - git says no in several ways
            return NOT_FOUND
        return {"ref": "refs/" + call.parts["ref"], "object": {"sha": sha, "type": "commit"}}

    def _make_ref(self, call: Call) -> Reply:
        body = call.json()
        try:
            self._git("update-ref", body["ref"], body["sha"], "0" * 40)
        except Exception:  # noqa: BLE001 - it exists, or the commit does not
            return Reply(status=422, json={"message": "Reference already exists"})
        return Reply(status=201, json={"ref": body["ref"], "object": {"sha": body["sha"], "type": "commit"}})

    def _issues(self, call: Call) -> Any:
        unknown = set(call.query) - {"", "state", "labels", "per_page", "page", "creator", "sort", "direction"}
        if unknown:
            raise NotUnderstood(f"issues filtered by {sorted(unknown)}")
        labels = {label for label in call.query.get("labels", "").split(",") if label}
        state = call.query.get("state", "open")
        found = [
            issue.json(self.url)
            for issue in reversed(self.issues.values())
            if labels <= set(issue.labels)
            and state in ("all", issue.state)
            and issue.author.login == call.query.get("creator", issue.author.login)
        ]
        size, page = int(call.query.get("per_page", 30)), int(call.query.get("page", 1))
        return found[size * (page - 1) : size * page]

    def _make_issue(self, call: Call) -> Reply:
        body = call.json()
        made = Issue(
            number=self.number(), title=body["title"], body=body.get("body", ""), labels=tuple(body.get("labels", ()))
        )
        self.issues[made.number] = made
        return Reply(status=201, json=made.json(self.url))

    def _change_issue(self, call: Call) -> Any:
        issue = self.issues[int(call.parts["n"])]
        for name, value in call.json().items():
            if name not in ("title", "body", "state", "state_reason", "labels"):
                raise NotUnderstood(f"an issue's {name}")
            if name != "state_reason":
                setattr(issue, name, value)
        return issue.json(self.url)

    def _comment(self, identifier: int, issue: Issue) -> dict[str, Any]:
        address = f"{self.url}/{OWNER}/{NAME}/issues/{issue.number}#issuecomment-{identifier}"
        return {"id": identifier, "body": issue.comments[identifier], "html_url": address, "user": ROBOT.json()}

    def _comments(self, call: Call) -> Any:
        issue = self.issues[int(call.parts["n"])]
        return [self._comment(identifier, issue) for identifier in issue.comments]

    def _make_comment(self, call: Call) -> Reply:
        issue = self.issues[int(call.parts["n"])]
        identifier = self.number()
        issue.comments[identifier] = call.json()["body"]
        return Reply(status=201, json=self._comment(identifier, issue))

    def _change_comment(self, call: Call) -> Any:
        identifier = int(call.parts["id"])
        issue = next(issue for issue in self.issues.values() if identifier in issue.comments)
        issue.comments[identifier] = call.json()["body"]
        return self._comment(identifier, issue)

    def _release(self, call: Call) -> Any:
        for release in self.releases:
            if release.tag == call.parts["tag"] and not release.draft:
                return {"id": release.id, "tag_name": release.tag, "html_url": self.url}
        return NOT_FOUND

    def _make_release(self, call: Call) -> Reply:
        body = call.json()
        made = Release(
            id=self.number(),
            tag=body["tag_name"],
            title=body.get("name", ""),
            body=body.get("body", ""),
            draft=body.get("draft", False),
        )
        self.releases.append(made)
        return Reply(status=201, json={"id": made.id, "tag_name": made.tag, "html_url": self.url})

    def _serve_git(self, call: Call) -> Reply:
        def allowed(token: str, writes: bool) -> bool:
            if not writes and not self.private:
                return True
            return self.may(token, "contents", "write" if writes else "read")

        if call.parts["repository"].removesuffix(".git") != NAME:
            return NOT_FOUND
        return serve(call, self._origin, NAME, may=allowed)
