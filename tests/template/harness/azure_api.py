"""Azure DevOps' interface (REST, 7.1), as far as Gatehouse asks it: state in memory, only the build service may ask.

Shapes: learn.microsoft.com/rest/api/azure/devops, as of 7.1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.loopback import Call, Loopback, Reply
from tests.template.harness import NotUnderstood
from tests.template.harness.azure_state import (
    COLLECTION,
    PROJECT,
    REPOSITORY,
    Approval,
    Artifact,
    Build,
    Environment,
    Person,
    identifier,
)
from tests.template.harness.git_http import serve, token_of
from tests.template.harness.zipped import pack_in

NOT_FOUND = Reply(status=404, json={"message": "not found"})
_BUILDS = {
    "", "api-version", "definitions", "repositoryId", "repositoryType", "statusFilter", "resultFilter", "queryOrder",
    "$top", "branchName", "reasonFilter",
}  # fmt: skip


class AzureApi:
    """The state, and the server in front of it."""

    def __init__(self, origin: Path, git: Callable[..., str]) -> None:
        self.environments: dict[str, Environment] = {}
        self.builds: dict[int, Build] = {}
        self.artifacts: list[Artifact] = []
        self.approvals: dict[str, Approval] = {}
        self.policies: list[dict[str, Any]] = []
        self.work_items: dict[int, dict[str, Any]] = {}
        self.threads: dict[int, list[dict[str, Any]]] = {}
        self.queued: list[tuple[str, str, dict[str, Any]]] = []
        self.pushed: list[tuple[str, str]] = []
        """Refs that builds made, with their commits: like every push, they start what they fit."""
        self.definitions: dict[str, int] = {}
        self.may_push = True
        """Whether the build service has the right Contribute."""
        self.reads_environments = True
        """Whether it has the role Reader on environments."""
        self.server = Loopback()
        self._origin = origin
        self._git = git
        self._numbers = iter(range(501, 100_000))
        self._teach()

    @property
    def url(self) -> str:
        """Without the collection."""
        return self.server.url

    def number(self) -> int:
        """The next that nobody has."""
        return next(self._numbers)

    def token(self, build: Build) -> str:
        """System.AccessToken of a build."""
        return f"azdo_{build.id}"

    def definition(self, pipeline: str) -> int:
        """The number of a pipeline."""
        return self.definitions.setdefault(pipeline, self.number())

    def _known(self, token: str) -> bool:
        return token in {self.token(build) for build in self.builds.values()}

    def _teach(self) -> None:
        base = f"/{COLLECTION}/{PROJECT}"

        def route(method: str, path: str, handler: Callable[[Call], Any], home: str = base) -> None:
            def guarded(call: Call) -> Any:
                if not self._known(token_of(call)):
                    return Reply(status=401, json={"message": "not signed in"})
                return handler(call)

            self.server.teach(method, f"{home}/_apis{path}", guarded)

        route("GET", "/identities", self._identities, home=f"/{COLLECTION}")
        route("GET", "/build/builds", self._builds)
        route("GET", "/build/builds/{id}", self._build)
        route("GET", "/build/builds/{id}/timeline", self._timeline)
        route("GET", "/build/builds/{id}/artifacts", self._artifact)
        route("GET", "/build/definitions", self._definitions)
        route("POST", "/pipelines/{id}/runs", self._queue)
        route("GET", "/pipelines/approvals/{id}", self._approval)
        route("GET", "/pipelines/environments", self._environments)
        route("GET", "/pipelines/checks/configurations", self._checks)
        route("GET", "/policy/configurations", lambda _: {"value": self.policies})
        route("POST", "/wit/wiql", self._open_items)
        route("GET", "/wit/workitems", self._work_items)
        route("GET", "/wit/workitemtypes/Task/states", self._states)
        route("POST", "/wit/workitems/$Task", self._make_item)
        route("PATCH", "/wit/workitems/{id}", self._change_item)
        route("GET", "/git/repositories/{repository}/refs", self._refs)
        route("POST", "/git/repositories/{repository}/refs", self._make_refs)
        threads = "/git/repositories/{repository}/pullRequests/{n}/threads"
        route("GET", threads, lambda call: {"value": self.threads.get(int(call.parts["n"]), [])})
        route("POST", threads, self._make_thread)
        route("PATCH", threads + "/{thread}/comments/{comment}", self._change_comment)
        self.server.teach("*", f"{base}/_git/{{repository}}/{{service...}}", self._serve_git)

    def _builds(self, call: Call) -> Any:
        asked = call.query
        if set(asked) - _BUILDS:
            raise NotUnderstood(f"builds filtered by {sorted(set(asked) - _BUILDS)}")
        wanted = [int(one) for one in asked["definitions"].split(",")] if "definitions" in asked else None
        found = [
            build.json(self.url, self.definition(build.pipeline))
            for build in sorted(self.builds.values(), key=lambda build: -build.id)
            if (wanted is None or self.definition(build.pipeline) in wanted)
            and build.status == asked.get("statusFilter", build.status)
            and (build.result or "") == asked.get("resultFilter", build.result or "")
            and build.ref == asked.get("branchName", build.ref)
        ]
        return {"value": found[: int(asked.get("$top", 1000))]}

    def _build(self, call: Call) -> Any:
        build = self.builds.get(int(call.parts["id"]))
        return build.json(self.url, self.definition(build.pipeline)) if build else NOT_FOUND

    def _timeline(self, call: Call) -> Any:
        return {"records": self.builds[int(call.parts["id"])].timeline}

    def _artifact(self, call: Call) -> Any:
        number = int(call.parts["id"])
        of_build = [artifact for artifact in self.artifacts if artifact.build.id == number]
        name = call.query.get("artifactName")
        if name is None:
            return {"value": [{"id": index, "name": artifact.name} for index, artifact in enumerate(of_build)]}
        found = [artifact for artifact in of_build if artifact.name == name]
        if not found:
            return NOT_FOUND
        if call.query.get("$format") == "zip":
            return Reply(content=pack_in(found[0].content, name), headers={"Content-Type": "application/zip"})
        return {"id": 1, "name": name, "resource": {"type": "PipelineArtifact"}}

    def _definitions(self, call: Call) -> Any:
        asked = call.query.get("name", "").lower()
        return {
            "value": [
                {"id": number, "name": name} for name, number in self.definitions.items() if asked in ("", name.lower())
            ]
        }

    def _queue(self, call: Call) -> Any:
        body = call.json()
        number = int(call.parts["id"])
        pipeline = next(name for name, known in self.definitions.items() if known == number)
        ref = body["resources"]["repositories"]["self"]["refName"]
        self.queued.append((pipeline, ref, body.get("templateParameters", {})))
        return {"id": 0, "state": "inProgress"}

    def _identities(self, call: Call) -> Any:
        """Of the organisation: whoever has an address at example.org."""
        login, _, domain = call.query["filterValue"].partition("@")
        if domain != "example.org" or call.query["searchFilter"] != "MailAddress":
            return {"count": 0, "value": []}
        person = Person(login)
        known = {"$type": "System.String", "$value": person.email}
        return {"count": 1, "value": [{"id": person.json()["id"], "properties": {"Mail": known, "Account": known}}]}

    def _approval(self, call: Call) -> Any:
        found = self.approvals.get(call.parts["id"])
        return found.json(expanded=call.query.get("$expand") == "steps") if found else NOT_FOUND

    def _environments(self, call: Call) -> Any:
        if not self.reads_environments:
            return Reply(status=403, json={"message": "Access denied"})
        name = call.query.get("name", "")
        return {
            "value": [
                {"id": found.id, "name": found.name, "createdOn": found.created_at}
                for found in self.environments.values()
                if name.lower() in found.name.lower()
            ]
        }

    def _checks(self, call: Call) -> Any:
        if call.query.get("resourceType") != "environment" or not self.reads_environments:
            return Reply(status=403, json={"message": "Access denied"})
        return {
            "value": [
                environment.check()
                for environment in self.environments.values()
                if environment.id == int(call.query["resourceId"]) and environment.approvers
            ]
        }

    def _open_items(self, call: Call) -> Any:
        done = ("Closed", "Done", "Removed")
        found = [number for number, item in self.work_items.items() if item["System.State"] not in done]
        return {"workItems": [{"id": number} for number in found]}

    def _work_items(self, call: Call) -> Any:
        return {
            "value": [
                {"id": int(number), "fields": self.work_items[int(number)]} for number in call.query["ids"].split(",")
            ]
        }

    def _states(self, call: Call) -> Any:
        return {"value": [{"name": "To Do", "category": "Proposed"}, {"name": "Done", "category": "Completed"}]}

    def _make_item(self, call: Call) -> Any:
        number = self.number()
        self.work_items[number] = {"System.State": "To Do"}
        return self._written(number, call)

    def _change_item(self, call: Call) -> Any:
        return self._written(int(call.parts["id"]), call)

    def _written(self, number: int, call: Call) -> Any:
        if call.headers.get("content-type") != "application/json-patch+json":
            return Reply(status=415, json={"message": "a JSON patch was expected"})
        for change in call.json():
            self.work_items[number][change["path"].removeprefix("/fields/")] = change["value"]
        return {"id": number, "fields": self.work_items[number]}

    def _refs(self, call: Call) -> Any:
        prefix = f"refs/{call.query.get('filter', '')}"
        found = self._git("for-each-ref", "--format=%(objectname) %(refname)", prefix + "*", prefix).splitlines()
        split = [line.split(" ", 1) for line in sorted(set(found))]
        return {"value": [{"objectId": commit, "name": name} for commit, name in split]}

    def _make_refs(self, call: Call) -> Any:
        answers = []
        for change in call.json():
            name, old, new = change["name"], change["oldObjectId"], change["newObjectId"]
            if self.may_push:
                self._git("update-ref", name, new, old)
                self.pushed.append((name, new))
            status = "succeeded" if self.may_push else "createBranchPermissionRequired"
            answers.append({"name": name, "newObjectId": new, "success": self.may_push, "updateStatus": status})
        return {"value": answers}

    def _make_thread(self, call: Call) -> Any:
        body: Mapping[str, Any] = call.json()
        author = {"descriptor": f"svc.{identifier('build')}", "displayName": "Build Service"}
        comments = [{"id": 1, "content": comment["content"], "author": author} for comment in body["comments"]]
        made = {"id": self.number(), "comments": comments, "status": body["status"]}
        self.threads.setdefault(int(call.parts["n"]), []).append(made)
        return made

    def _change_comment(self, call: Call) -> Any:
        for thread in self.threads[int(call.parts["n"])]:
            for comment in thread["comments"]:
                if thread["id"] == int(call.parts["thread"]) and comment["id"] == int(call.parts["comment"]):
                    comment["content"] = call.json()["content"]
                    return comment
        return NOT_FOUND

    def _serve_git(self, call: Call) -> Reply:
        def allowed(token: str, writes: bool) -> bool:
            return self._known(token) and (self.may_push or not writes)

        if call.parts["repository"] not in (REPOSITORY, identifier("repository")):
            return NOT_FOUND
        return serve(call, self._origin, REPOSITORY, may=allowed)
