"""A workflow as act can run it: what act cannot read is taken out, what it does not do is put in.

Put in: a job's own token, with the rights of that job alone; the gate before a job that names an environment; a
checkout of another ref. Anything that is not known here is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.template.harness import NotUnderstood
from tests.template.harness.github_inline import (
    BELOW,
    answering_job,
    behind_calls,
    call_inputs,
    called_job,
    in_order,
    joined,
)
from tests.template.harness.github_stubs import stub_of
from tests.template.harness.github_triggers import triggers
from tests.template.harness.yaml_files import dump, parse

_TOP = {"name", "run-name", "on", "permissions", "env", "defaults", "concurrency", "jobs"}
_JOB = {
    "name", "if", "needs", "runs-on", "timeout-minutes", "permissions", "environment", "concurrency", "outputs", "env",
    "defaults", "strategy", "steps", "uses", "with",
}  # fmt: skip
_STEP = {"id", "name", "if", "uses", "with", "run", "env", "shell", "working-directory", "continue-on-error"}
_STEP |= {"timeout-minutes"}
_TOKEN = re.compile(r"\bgithub\.token\b|\bsecrets\.GITHUB_TOKEN\b")
_GATE = '"$HARNESS_PYTHON" -I "$HARNESS_PROGRAM" gate "$HARNESS_ENVIRONMENT" "$HARNESS_JOB"'
_AUTH = """auth="AUTHORIZATION: basic $(printf 'x:%s' "$HARNESS_TOKEN" | base64 | tr -d '\\n')\""""
MACHINE = "ubuntu-24.04"
_NO_COMMIT = "0" * 40


@dataclass(kw_only=True)
class Rendering:
    """One workflow of one run, with those that it calls, written into `folder`."""

    checkout: Path
    folder: Path
    token: Callable[[str], str]
    """Of a job."""
    permissions: dict[str, dict[str, str]] = field(default_factory=dict)
    """Of each job's token."""
    actions: set[str] = field(default_factory=set)
    """Third-party actions, `owner/name@sha`, without a path inside the repository."""
    local: dict[str, Path] = field(default_factory=dict)
    """Folder of each composite action of the repository, once for each job, as its token differs."""
    jobs: dict[str, str] = field(default_factory=dict)
    """Every job, and of which job of the first file it is a part."""
    done: Mapping[str, Mapping[str, Mapping[str, str]]] = field(default_factory=dict)
    """Jobs that succeeded in an earlier attempt, with what their steps said: they are not run again."""

    def write(self, file: str) -> Path:
        """Renders `.github/workflows/file`. What it calls is put into it: act forgets `always()` behind that."""
        workflow = self._read(file)
        jobs = self._jobs(workflow, _rights(workflow.get("permissions"), None), None, prefix="")
        if any("uses" in job for job in workflow["jobs"].values()):
            for name in set(workflow["jobs"]) & set(jobs):
                needs = _listed(workflow["jobs"][name].get("needs"))
                if needs and "uses" not in workflow["jobs"][name]:
                    jobs[name]["if"] = behind_calls(jobs[name].get("if"), needs)
        self.folder.mkdir(parents=True, exist_ok=True)
        place = self.folder / file
        place.write_text(dump({**workflow, "jobs": jobs}), encoding="utf-8")
        return place

    def _read(self, file: str) -> dict[str, Any]:
        workflow: dict[str, Any] = parse((self.checkout / ".github/workflows" / file).read_text(encoding="utf-8"))
        _known(workflow, _TOP, file)
        workflow.pop("concurrency", None)
        workflow.pop("run-name", None)
        return workflow

    def _jobs(
        self, workflow: dict[str, Any], default: dict[str, str], granted: dict[str, str] | None, *, prefix: str
    ) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for name, job in workflow["jobs"].items():
            _known(job, _JOB, f"the job {name}")
            rights = _rights(job["permissions"], granted) if "permissions" in job else default
            if "uses" in job:
                made |= self._call(f"{prefix}{name}", job, rights)
            else:
                made[f"{prefix}{name}".replace("/", BELOW)] = self._job(name, job, f"{prefix}{name}", rights)
        return made

    def _call(self, path: str, job: dict[str, Any], rights: dict[str, str]) -> dict[str, Any]:
        """The called workflow's jobs, and one in the caller's name that has their result and outputs."""
        called = job["uses"]
        if not called.startswith("./.github/workflows/") or "/" in path:
            raise NotUnderstood(f"the workflow {called}, called by {path}")
        workflow = self._read(Path(called).name)
        about = triggers(workflow)["workflow_call"] or {}
        inputs = call_inputs(about.get("inputs") or {}, job.get("with") or {})
        inner = self._jobs(workflow, _rights(workflow.get("permissions"), rights), rights, prefix=f"{path}/")
        made: dict[str, Any] = {}
        for name, original in workflow["jobs"].items():
            one = called_job(inner[f"{path}{BELOW}{name}"], name, path, inputs)
            one["env"] = {**(workflow.get("env") or {}), **(one.get("env") or {})}
            one.setdefault("defaults", workflow.get("defaults", {}))
            inside = [f"{path}{BELOW}{need}" for need in _listed(original.get("needs"))]
            one["needs"] = inside or _listed(job.get("needs"))
            conditions = [text for text in (job.get("if"), one.get("if")) if text is not None]
            if conditions:
                one["if"] = joined(conditions)
            made[f"{path}{BELOW}{name}"] = one
        made[path] = answering_job(list(made), about.get("outputs") or {}, path)
        self.jobs[path] = path
        return made

    def _job(self, name: str, job: dict[str, Any], path: str, rights: dict[str, str]) -> dict[str, Any]:
        job = {key: value for key, value in job.items() if key != "permissions"}
        _known(job.pop("concurrency", {}), {"group", "cancel-in-progress", "queue"}, f"the concurrency of {name}")
        self.permissions[path] = rights
        self.jobs[path] = path.split("/", maxsplit=1)[0]
        if job["runs-on"] != MACHINE:
            raise NotUnderstood(f"the machine {job['runs-on']!r} of {name}")
        environment = job.pop("environment", None)
        steps = [rendered for step in job["steps"] for rendered in self._step(step, path)]
        self._after_checkout(job["steps"], name)
        if environment is not None:
            steps.insert(0, _gate(environment, path))
        job["steps"] = [_said(step, values) for step, values in self.done[path].items()] if path in self.done else steps
        job["steps"] = job["steps"] or [{"name": "Done in an earlier attempt", "shell": "bash", "run": "true"}]
        job["env"] = {**(job.get("env") or {}), "HARNESS_JOB": path}
        found: dict[str, Any] = in_order(_replaced(job, f"'{self.token(path)}'"), _listed(job.get("needs")))
        return found

    def _step(self, step: dict[str, Any], job: str) -> list[dict[str, Any]]:
        _known(step, _STEP, f"a step of {job}")
        uses = step.get("uses")
        if uses is None:
            return [step]
        if uses.startswith("./"):
            return [{**step, "name": step.get("name", uses), "uses": self._composite(uses, job)}]
        if uses.startswith("actions/checkout@"):
            return _checkout(step)
        self._third_party(uses, step.get("with") or {})
        return [step]

    def _composite(self, uses: str, job: str) -> str:
        """A copy for this job, with its token; its name."""
        name = f"{job}--{uses.removeprefix('./')}".replace("/", "--").replace(".", "")
        action = parse((self.checkout / uses / "action.yml").read_text(encoding="utf-8"))
        if action["runs"]["using"] != "composite":
            raise NotUnderstood(f"{uses} is not composite")
        for step in action["runs"]["steps"]:
            _known(step, _STEP, uses)
            if step.get("uses", "").startswith("./"):
                step["uses"] = self._composite(step["uses"], job)
            elif "uses" in step:
                self._third_party(step["uses"], step.get("with") or {})
        place = self.folder / "actions" / name
        place.mkdir(parents=True, exist_ok=True)
        own = called_job(action, job.rsplit("/", maxsplit=1)[-1], "", {})
        (place / "action.yml").write_text(dump(_replaced(own, f"'{self.token(job)}'")), encoding="utf-8")
        self.local[f"harness/{name}@{_NO_COMMIT}"] = place
        return f"harness/{name}@{_NO_COMMIT}"

    def _after_checkout(self, steps: list[dict[str, Any]], job: str) -> None:
        """What lies in the repository can be used once it is checked out, and not before."""
        there = False
        for step in steps:
            uses = step.get("uses", "")
            there = there or uses.startswith("actions/checkout@")
            if uses.startswith("./") and not there:
                raise NotUnderstood(f"{job} uses {uses} before it checks out: GitHub does not find it")

    def _third_party(self, uses: str, inputs: Mapping[str, Any]) -> None:
        name, stub = stub_of(uses)
        unknown = set(inputs) - set(stub.inputs)
        if unknown:
            raise NotUnderstood(f"{name} with {sorted(unknown)}")
        self.actions.add("/".join(name.split("/")[:2]) + "@" + uses.partition("@")[2])


def _gate(environment: Any, job: str) -> dict[str, Any]:
    about = {"name": environment} if isinstance(environment, str) else environment
    _known(about, {"name", "url", "deployment"}, "an environment")
    return {
        "name": f"The environment {about['name']} opens",
        "shell": "bash",
        "env": {"HARNESS_ENVIRONMENT": about["name"]},
        "run": _GATE,
    }


def _checkout(step: dict[str, Any]) -> list[dict[str, Any]]:
    inputs = step.get("with") or {}
    _known(inputs, {"ref", "fetch-depth", "persist-credentials", "fetch-tags"}, "actions/checkout")
    if inputs.get("persist-credentials") is not False:
        raise NotUnderstood("a checkout that leaves its token in the repository's configuration")
    kept = {**step, "with": {"persist-credentials": False}}
    commands = []
    fetch = 'git -c http.extraheader="$auth" fetch -q'
    if inputs.get("fetch-depth") == 0:
        commands.append(f"{fetch} --unshallow --tags origin '+refs/heads/*:refs/remotes/origin/*'")
    if inputs.get("fetch-tags") is True:
        commands.append(f"{fetch} --tags origin")
    if "ref" in inputs:
        commands.append(f'{fetch} --depth 1 origin "$HARNESS_REF" && git checkout --quiet --detach FETCH_HEAD')
    if not commands:
        return [kept]
    more = {"name": "What checkout was asked for", "shell": "bash", "run": "\n".join([_AUTH, *commands])}
    if "if" in step:
        more["if"] = step["if"]
    return [kept, {**more, "env": {"HARNESS_REF": inputs.get("ref", ""), "HARNESS_TOKEN": "${{ github.token }}"}}]


def _said(step: str, values: Mapping[str, str]) -> dict[str, Any]:
    """A step that says once more what one said in an earlier attempt."""
    said = "".join(f"{name}={value}\n" for name, value in values.items())
    return {"id": step, "shell": "bash", "env": {"SAID": said}, "run": 'printf "%s" "$SAID" >> "$GITHUB_OUTPUT"'}


def _rights(asked: Any, granted: dict[str, str] | None) -> dict[str, str]:
    """A token's rights. Without the key: what the caller has, or, at the top, refused, since it depends on settings."""
    if asked is None:
        if granted is None:
            raise NotUnderstood("a workflow without `permissions`: what its token may do depends on settings")
        return granted
    if not isinstance(asked, Mapping):
        raise NotUnderstood(f"the permissions {asked!r}")
    if granted is not None:
        order = ["none", "read", "write"]
        beyond = [key for key, level in asked.items() if order.index(level) > order.index(granted.get(key, "none"))]
        if beyond:
            raise NotUnderstood(f"a called workflow wants {beyond}, which its caller lacks: GitHub refuses it")
    return dict(asked)


def _listed(needs: Any) -> list[str]:
    return [needs] if isinstance(needs, str) else list(needs or [])


def _known(found: Any, known: set[str], where: str) -> None:
    if isinstance(found, str) and where.startswith("the concurrency"):
        return
    unknown = set(found) - known
    if unknown:
        raise NotUnderstood(f"{where}: {sorted(unknown)}")


def _replaced(value: Any, token: str) -> Any:
    if isinstance(value, str):
        return _TOKEN.sub(token, value)
    if isinstance(value, dict):
        return {key: _replaced(inner, token) for key, inner in value.items()}
    if isinstance(value, list):
        return [_replaced(inner, token) for inner in value]
    return value
