"""What the stand-ins inside a job ask of GitHub: to keep artefacts, to open an environment, to publish a release."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from tests.loopback import Call, Reply
from tests.template.harness.github_api import GitHubApi
from tests.template.harness.github_state import NAME, OWNER, Environment, Release, Review, Run


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job waits before an environment."""

    run: Run
    job: str
    environment: str


class Runner:
    """Routes under `/_harness`, beside GitHub's own."""

    def __init__(
        self,
        api: GitHubApi,
        git: Callable[..., str],
        protect: Callable[[str], Environment],
        reviewer: Callable[[Waiting], Review | None],
    ) -> None:
        self._api, self._git, self._protect, self._reviewer = api, git, protect, reviewer

    def teach(self) -> None:
        """Once."""
        api, teach = self._api, self._api.server.teach

        def keep(call: Call) -> Reply:
            run, name = api.runs[int(call.parts["run"])], call.parts["name"]
            same = [artifact for artifact in api.artifacts if artifact.run is run and artifact.name == name]
            if same and call.query["overwrite"] != "true":
                return Reply(status=409, json={"message": "an artifact with this name already exists on the run"})
            api.artifacts[:] = [artifact for artifact in api.artifacts if artifact not in same]
            return Reply(json=api.keep(run, name, call.body).json(api.url))

        def listed(call: Call) -> Any:
            run = api.runs[int(call.parts["run"])]
            return {"artifacts": [artifact.json(api.url) for artifact in api.artifacts if artifact.run is run]}

        def attest(call: Call) -> Reply:
            run, job = api.runs[int(call.parts["run"])], call.parts["job"]
            rights = run.permissions[job]
            if {rights.get("id-token"), rights.get("attestations")} != {"write"}:
                return Reply(status=403, json={"message": f"{job} may not attest"})
            api.attested += call.body.decode().splitlines()
            return Reply(json={})

        teach("POST", "/_harness/runs/{run}/artifacts/{name}", keep)
        teach("GET", "/_harness/runs/{run}/artifacts", listed)
        teach("POST", "/_harness/runs/{run}/attest/{job...}", attest)
        teach("POST", "/_harness/runs/{run}/gate/{job...}", self._gate)
        teach("POST", f"/repos/{OWNER}/{NAME}/_gh_release", api.guarded("contents:write", self._gh_release))
        teach("POST", "/_harness/releases/{id}/{name}", self._release_file)

    def _gate(self, call: Call) -> Reply:
        run, job, name = self._api.runs[int(call.parts["run"])], call.parts["job"], call.body.decode()
        environment = self._api.environments.get(name) or self._protect(
            name
        )  # a missing one is made, and protects nothing
        kind = "tag:" if run.ref.startswith("refs/tags/") else ""
        if environment.branch_policies is not None and not any(
            fnmatchcase(kind + run.branch, policy) for policy in environment.branch_policies
        ):
            return Reply(
                status=403, content=f"{run.branch} is not allowed to deploy to {name} due to its rules".encode()
            )
        if not environment.reviewers:
            return Reply(json={})
        review = self._reviewer(Waiting(run, job, name))
        if review is None:
            run.waiting_for = name
            return Reply(status=403, content=f"{name} waits for a review".encode())
        assert review.by in environment.reviewers, f"{review.by.login} is no reviewer of {name}"
        assert not (environment.prevent_self_review and review.by == run.triggering_actor), "reviews their own run"
        run.reviews.append(review)
        if review.state != "approved":
            return Reply(status=403, content=f"{review.by.login} rejected the deployment to {name}".encode())
        return Reply(json={})

    def _gh_release(self, call: Call) -> Reply:
        verb, *rest = call.json()["arguments"]
        flags: dict[str, str] = {}
        plain: list[str] = []
        while rest:
            word = rest.pop(0)
            if not word.startswith("-"):
                plain.append(word)
            elif "=" in word or word in ("--draft", "--prerelease", "--verify-tag", "--clobber"):
                flags[word.partition("=")[0]] = word.partition("=")[2] or "true"
            elif word in ("--title", "--notes", "--notes-file", "--target", "--repo"):
                flags[word] = rest.pop(0)
            else:
                raise ValueError(f"gh release {verb} {word}: the harness does not know it")
        tag, *files = plain
        found = [release for release in self._api.releases if release.tag == tag]
        if verb == "view" and not found:
            return Reply(status=404, json={"message": "release not found"})
        if verb == "create":
            if found:
                return Reply(status=422, json={"message": "a release with the same tag name already exists"})
            if flags.get("--verify-tag") and not self._git("for-each-ref", f"refs/tags/{tag}"):
                return Reply(status=422, json={"message": f"tag {tag} doesn't exist in the repo"})
            found = [Release(id=self._api.number(), tag=tag, title=flags.get("--title", "")), *found]
            self._api.releases.append(found[0])
        release = found[0]
        if "--draft" in flags:
            release.draft = flags["--draft"] == "true"
        release.body = flags.get("--notes", release.body)
        answer: dict[str, Any] = {"id": release.id, "files": files}
        if "--notes-file" in flags:
            answer["notes_file"] = flags["--notes-file"]
        return Reply(json=answer)

    def _release_file(self, call: Call) -> Reply:
        release = next(release for release in self._api.releases if release.id == int(call.parts["id"]))
        if call.parts["name"] == "_notes":
            release.body = call.body.decode()
        else:
            release.files[call.parts["name"]] = call.body
        return Reply(content=json.dumps({}).encode())
