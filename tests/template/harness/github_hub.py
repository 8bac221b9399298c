"""A repository on GitHub, as a test sees it: people push, tag and dispatch, workflows run, something is left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.template.harness.act import Ran, Request, run_act
from tests.template.harness.github_api import GitHubApi
from tests.template.harness.github_render import Rendering
from tests.template.harness.github_runner import Runner, Waiting
from tests.template.harness.github_state import NAME, OWNER, ROBOT, Environment, Issue, Person, Review, Run, people
from tests.template.harness.github_stubs import PROGRAM, write_actions, write_programs
from tests.template.harness.github_triggers import Event, dispatch_inputs, started, triggers
from tests.template.harness.yaml_files import parse


@dataclass(frozen=True, slots=True)
class Finished:
    """A run, and what it did."""

    run: Run
    ran: Ran

    @property
    def conclusion(self) -> str | None:
        """`success`, `failure`; `waiting` when nobody answered for an environment."""
        return "waiting" if self.run.waiting_for else self.run.conclusion


def nobody(_: Waiting) -> Review | None:
    """Does not answer."""
    return None


@dataclass
class GitHub:
    """Everything under `folder`. Use it as `with hub.open():`."""

    folder: Path
    logins: tuple[str, ...] = ("anna", "bert", "carla")
    variables: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    """Of the repository; a fork's pull request is given none."""
    environment: dict[str, str] = field(default_factory=dict)
    """Of the machine, beside what GitHub sets."""
    reviewer: Callable[[Waiting], Review | None] = nobody
    cancel: Callable[[str], bool] | None = None
    """Says of each line of a log whether somebody presses `Cancel workflow` now."""

    def __post_init__(self) -> None:
        self.origin = self.folder / "origin" / OWNER / f"{NAME}.git"
        self.origin.mkdir(parents=True)
        self.git("init", "--quiet", "--bare", "--initial-branch=main")
        self.people = people(*self.logins)
        self.api = GitHubApi(self.origin.parent, self.people, self.git)
        self.programs = self.folder / "programs"
        self.work = self.folder / "work"
        """A working copy, for `commit`."""
        self._gitconfig = self.folder / "gitconfig"
        self._gitconfig.write_text("[protocol]\n\tversion = 2\n[advice]\n\tdetachedHead = false\n", encoding="utf-8")
        subprocess.run(["git", "clone", "--quiet", self.origin, self.work], check=True, capture_output=True)
        write_actions(self.folder / "actions")
        self.api.refuses_dispatch = self._refuses_dispatch
        write_programs(self.programs)
        Runner(self.api, self.git, self.protect, self._reviewed).teach()

    def _reviewed(self, waiting: Waiting) -> Review | None:
        return self.reviewer(waiting)  # whoever it is by then

    @contextmanager
    def open(self) -> Iterator[GitHub]:
        """Serves; at the end, a call that GitHub's loopback server did not know fails the test."""
        with self.api.server.running():
            yield self

    def git(self, *arguments: str, at: Path | None = None, by: Person | None = None) -> str:
        """Git in the bare repository, or in a working copy, in somebody's name."""
        environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        if by:
            for role in ("AUTHOR", "COMMITTER"):
                environment |= {f"GIT_{role}_NAME": by.login, f"GIT_{role}_EMAIL": by.email}
        done = subprocess.run(
            ["git", *arguments], cwd=at or self.origin, env=environment, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def add(self, jobs: str, *, on: str = "push", name: str = "a.yml", top: str = "permissions: {}") -> None:
        """A workflow with these jobs, into the working copy."""
        folder = self.work / ".github/workflows"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"name: {name[:-4]}\non: {on}\n{top}\njobs:\n{jobs}", encoding="utf-8")

    def protect(self, name: str, *reviewers: str, **rules: Any) -> Environment:
        """Makes an environment with these required reviewers."""
        found = Environment(
            id=self.api.number(), name=name, reviewers=tuple(self.people[login] for login in reviewers), **rules
        )
        self.api.environments[name] = found
        return found

    def commit(self, by: str, message: str = "Change", *, branch: str = "main") -> str:
        """Commits what is in `work`, and pushes it to `branch` without an event; the commit."""
        person = self.people[by]
        self.git("add", "--all", at=self.work)
        self.git("commit", "--quiet", "--allow-empty", "-m", message, at=self.work, by=person)
        self.git("push", "--quiet", "--force", "origin", f"HEAD:refs/heads/{branch}", at=self.work)
        return self.git("rev-parse", "HEAD", at=self.work)

    def push(self, by: str, branch: str = "main", *, message: str = "Change", **event: Any) -> list[Finished]:
        """Commits what is in `work`, pushes it, and runs what that starts."""
        sha = self.commit(by, message, branch=branch)
        return self.pushed(f"refs/heads/{branch}", sha, by, message=message, **event)

    def green(self, workflow: str, commit: str, by: str) -> Run:
        """A run that passed on a commit, without being run."""
        run = self._new_run(workflow, Event(name="push", ref="refs/heads/main"), commit, by)
        run.status, run.conclusion = "completed", "success"
        return run

    def tag(self, by: str, name: str, commit: str | None = None) -> list[Finished]:
        """Pushes a tag, on the newest commit of main unless another is named."""
        sha = commit or self.git("rev-parse", "refs/heads/main")
        self.git("update-ref", f"refs/tags/{name}", sha)
        return self.pushed(f"refs/tags/{name}", sha, by)

    def pushed(self, ref: str, sha: str, by: str, **event: Any) -> list[Finished]:
        """What the push of a ref starts."""
        happened = Event(name="push", ref=ref, **event)
        payload = {
            "ref": ref,
            "after": sha,
            "pusher": {"name": by, "email": self.people[by].email},
            "head_commit": {"id": sha, "message": happened.message},
        }
        return self._happens(happened, sha, by, payload)

    def pull_request(self, by: str, number: int = 1, *, head: str = "topic", fork: bool = False) -> list[Finished]:
        """Opens a pull request from what is in `work` to main."""
        base = self.git("rev-parse", "refs/heads/main")
        sha = self.commit(by, "Proposal", branch=head)
        self.git("update-ref", f"refs/pull/{number}/head", sha)
        tree = self.git("rev-parse", f"{sha}^{{tree}}")
        merge = self.git("commit-tree", tree, "-p", base, "-p", sha, "-m", "Merge", by=ROBOT)
        self.git("update-ref", f"refs/pull/{number}/merge", merge)
        self.api.issues[number] = Issue(number=number, title="Proposal", body="", author=self.people[by])
        repository = self.api.repository()
        theirs = {**repository, "id": repository["id"] + 1, "full_name": f"{by}/{NAME}", "fork": True}
        payload = {
            "action": "opened",
            "number": number,
            "pull_request": {
                "number": number,
                "title": "Proposal",
                "head": {"ref": head, "sha": sha, "repo": theirs if fork else repository},
                "base": {"ref": "main", "sha": base, "repo": repository},
                "user": self.people[by].json(),
            },
        }
        event = Event(name="pull_request", ref="refs/heads/main")
        return self._happens(event, merge, by, payload, ref=f"refs/pull/{number}/merge", fork=fork)

    def close(self, by: str, finished: Finished) -> list[Finished]:
        """Closes the pull request that a run was of, without merging it."""
        run = finished.run
        event = Event(name="pull_request", ref="refs/heads/main", action="closed")
        payload = {**self._payloads[run.id], "action": "closed"}
        return self._happens(event, run.sha, by, payload, ref=run.ref, fork=run.from_fork)

    def dispatch(self, by: str, workflow: str, ref: str = "refs/heads/main", **inputs: Any) -> list[Finished]:
        """Presses `Run workflow`."""
        sha = self.git("rev-parse", f"{ref}^{{commit}}")
        main = self._workflows(self.git("rev-parse", "refs/heads/main"))
        event = Event(name="workflow_dispatch", ref=ref, workflow=workflow, inputs=inputs)
        assert started(main, event), f"{workflow} on the default branch cannot be dispatched"
        payload = {"ref": ref, "inputs": dispatch_inputs(main[workflow], inputs), "workflow": workflow}
        return self._happens(event, sha, by, payload)

    def _refuses_dispatch(self, workflow: str, inputs: Mapping[str, Any]) -> str | None:
        main = self._workflows(self.git("rev-parse", "refs/heads/main"))
        if "workflow_dispatch" not in triggers(main.get(workflow, {"on": []})):
            return "Workflow does not have 'workflow_dispatch' trigger"
        try:
            dispatch_inputs(main[workflow], inputs)
        except ValueError as error:
            return str(error)
        return None

    def schedule(self, cron: str) -> list[Finished]:
        """The hour has come."""
        sha = self.git("rev-parse", "refs/heads/main")
        event = Event(name="schedule", ref="refs/heads/main", cron=cron)
        return self._happens(event, sha, self.logins[0], {"schedule": cron})

    def again(self, finished: Finished, by: str, *, failed_only: bool = False) -> Finished:
        """Re-runs all jobs of a run, or those that did not succeed."""
        run = finished.run
        run.attempt += 1
        run.triggering_actor = self.people[by]
        run.waiting_for = None
        ran = finished.ran
        done = {job: ran.outputs.get(job, {}) for job, result in ran.jobs.items() if result == "success"}
        return self._executed(run, self._payloads[run.id], done if failed_only else {})

    def _happens(
        self, event: Event, sha: str, by: str, payload: Mapping[str, Any], *, ref: str = "", fork: bool = False
    ) -> list[Finished]:
        finished = []
        for workflow in started(self._workflows(sha), event):
            run = self._new_run(workflow, event, sha, by, ref=ref, fork=fork)
            about = {"repository": self.api.repository(), "sender": self.people[by].json(), **payload}
            self._payloads[run.id] = about
            finished.append(self._executed(run, about))
        while self.api.dispatched:
            file, named, inputs, person = self.api.dispatched.pop(0)
            full = named if named.startswith("refs/") else self._full(named)
            finished += self.dispatch(person.login, file, full, **inputs)
        return finished

    def _new_run(self, workflow: str, event: Event, sha: str, by: str, *, ref: str = "", fork: bool = False) -> Run:
        person = self.people[by]
        run = Run(
            id=self.api.number(),
            workflow=workflow,
            event=event.name,
            ref=ref or event.ref,
            sha=sha,
            actor=person,
            triggering_actor=person,
            from_fork=fork,
        )
        self.api.runs[run.id] = run
        return run

    _payloads: dict[int, Mapping[str, Any]] = field(default_factory=dict)

    def _full(self, name: str) -> str:
        kinds = [kind for kind in ("heads", "tags") if self.git("for-each-ref", f"refs/{kind}/{name}")]
        assert kinds, f"no branch and no tag is called {name}"
        return f"refs/{kinds[0]}/{name}"

    def _workflows(self, sha: str) -> dict[str, Any]:
        listed = self.git("ls-tree", "--name-only", sha, ".github/workflows/").splitlines()
        return {Path(name).name: parse(self.git("show", f"{sha}:{name}")) for name in listed}

    def _executed(
        self,
        run: Run,
        payload: Mapping[str, Any],
        done: Mapping[str, Mapping[str, Mapping[str, str]]] = MappingProxyType({}),
    ) -> Finished:
        place = self.folder / "runs" / f"{run.id}-{run.attempt}"
        checkout = self._checkout(run, place / "checkout")
        rendering = Rendering(
            checkout=checkout, folder=place / "rendered", token=lambda job: self.api.token(run, job), done=done
        )
        workflow = rendering.write(run.workflow)
        run.permissions = {
            job: {scope: "read" if run.from_fork else level for scope, level in rights.items()}
            for job, rights in rendering.permissions.items()
        }
        run.status, run.conclusion = "in_progress", None
        ran = run_act(
            Request(
                checkout=checkout,
                workflow=workflow,
                event=run.event,
                payload=payload,
                actor=run.actor.login,
                environment=self._environment(run),
                variables=self.variables,
                secrets={} if run.from_fork else self.secrets,
                actions=rendering.local
                | {action: self.folder / "actions" / action.split("@")[0] for action in rendering.actions},
                path=self._path(),
                work=place,
                jobs=tuple(rendering.jobs),
                cancel=self.cancel,
            )
        )
        run.status = "completed"
        skipped = set(ran.jobs.values()) == {"skipped"}
        run.conclusion = "failure" if ran.code else "skipped" if skipped else "success"
        shutil.rmtree(place / "cache", ignore_errors=True)
        return Finished(run, ran)

    def _checkout(self, run: Run, place: Path) -> Path:
        """As actions/checkout leaves it: one commit deep, on its branch, with the address that others see."""
        place.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=none", at=place)
        self.git("remote", "add", "origin", f"{self.api.url}/{OWNER}/{NAME}.git", at=place)
        self.git("fetch", "--quiet", "--no-tags", "--depth=1", f"file://{self.origin}", run.sha, at=place)
        if run.ref.startswith("refs/heads/"):
            self.git("checkout", "--quiet", "-B", run.branch, run.sha, at=place)
        else:
            self.git("checkout", "--quiet", "--detach", run.sha, at=place)
        if run.ref.startswith("refs/tags/"):
            self.git("update-ref", run.ref, run.sha, at=place)
        if run.ref.startswith("refs/pull/"):
            self.git("update-ref", run.ref.replace("refs/", "refs/remotes/", 1), run.sha, at=place)
        return place

    def _environment(self, run: Run) -> dict[str, str]:
        return {
            "GITHUB_RUN_ID": str(run.id),
            "GITHUB_RUN_NUMBER": str(run.id),
            "GITHUB_RUN_ATTEMPT": str(run.attempt),
            "GITHUB_REPOSITORY": f"{OWNER}/{NAME}",
            "GITHUB_TRIGGERING_ACTOR": run.triggering_actor.login,
            "GITHUB_WORKFLOW_REF": f"{OWNER}/{NAME}/.github/workflows/{run.workflow}@{run.ref}",
            "GITHUB_API_URL": self.api.url,
            "GITHUB_SERVER_URL": self.api.url,
            "RUNNER_ENVIRONMENT": "github-hosted",
            "GIT_CONFIG_GLOBAL": str(self._gitconfig),
            "GIT_TERMINAL_PROMPT": "0",
            "HARNESS_URL": self.api.url,
            "HARNESS_RUN": str(run.id),
            "HARNESS_PYTHON": sys.executable,
            "HARNESS_PROGRAM": str(PROGRAM),
            **self.environment,
        }

    def _path(self) -> str:
        """Our programs first; not the folder of this very Python, which no hosted machine has."""
        here = str(Path(sys.executable).parent)
        return os.pathsep.join(
            [str(self.programs), *(part for part in os.environ["PATH"].split(os.pathsep) if part != here)]
        )
