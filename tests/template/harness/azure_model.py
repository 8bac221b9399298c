"""An expanded pipeline of Azure as stages, jobs and steps. A key that is not known here is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.template.harness import NotUnderstood

MACHINE = "ubuntu-24.04"
_TOP = {"name", "trigger", "pr", "schedules", "pool", "variables", "stages", "jobs", "steps", "resources"}
_TOP |= {"lockBehavior", "appendCommitMessageToRunName"}
_STAGE = {"stage", "displayName", "dependsOn", "condition", "variables", "jobs", "pool", "lockBehavior"}
_JOB = {
    "job", "deployment", "displayName", "dependsOn", "condition", "variables", "timeoutInMinutes", "pool", "steps",
    "environment", "strategy", "workspace",
}  # fmt: skip
_STEP = {"name", "displayName", "condition", "env", "continueOnError", "timeoutInMinutes", "enabled"}
_KINDS = {
    "bash": {"workingDirectory", "failOnStderr"},
    "script": {"workingDirectory", "failOnStderr"},
    "task": {"inputs"},
    "checkout": {"persistCredentials", "fetchDepth", "clean", "fetchTags"},
    "download": {"artifact", "patterns", "path"},
    "publish": {"artifact"},
}
_HOOKS = ("preDeploy", "deploy", "routeTraffic", "postRouteTraffic")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One step; `value` is the script, the task's name, or what is checked out."""

    kind: str
    value: str
    name: str = ""
    label: str = ""
    condition: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    continue_on_error: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A job, or a deployment job, which has an environment and hooks."""

    name: str
    depends_on: tuple[str, ...]
    condition: str | None
    variables: tuple[Mapping[str, Any], ...]
    minutes: int
    machine: str
    hooks: Mapping[str, tuple[Step, ...]]
    """`steps` of a job; the hooks of a deployment in their order, then `failure` and `success`."""
    environment: str | None = None

    @property
    def steps(self) -> tuple[Step, ...]:
        """All, in the order of the hooks."""
        return tuple(step for steps in self.hooks.values() for step in steps)


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """A stage. Without `dependsOn` it waits for the one before it."""

    name: str
    depends_on: tuple[str, ...]
    condition: str | None
    variables: tuple[Mapping[str, Any], ...]
    jobs: tuple[Job, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Pipeline:
    """Everything of a run but its triggers."""

    stages: tuple[Stage, ...]
    variables: tuple[Mapping[str, Any], ...]


def pipeline(document: Mapping[str, Any]) -> Pipeline:
    """The model of an expanded document."""
    _known(document, _TOP, "the pipeline")
    levels = [level for level in ("stages", "jobs", "steps") if level in document]
    if len(levels) != 1:
        raise NotUnderstood(f"a pipeline with {levels}")
    pool = document.get("pool")
    if "stages" in document:
        stages: list[Stage] = []
        for found in document["stages"]:
            stages.append(_stage(found, pool, stages[-1].name if stages else None))
    else:
        jobs = document.get("jobs") or [{"job": "Job", "steps": document["steps"]}]
        stages = [_stage({"stage": "__default", "jobs": jobs}, pool, None)]
    _acyclic({stage.name: stage.depends_on for stage in stages}, "stages")
    return Pipeline(stages=tuple(stages), variables=tuple(document.get("variables", [])))


def _stage(found: Mapping[str, Any], pool: Any, before: str | None) -> Stage:
    _known(found, _STAGE, f"the stage {found.get('stage')}")
    jobs = tuple(_job(job, found.get("pool", pool)) for job in found["jobs"])
    _acyclic({job.name: job.depends_on for job in jobs}, f"jobs of {found['stage']}")
    depends = found.get("dependsOn", [before] if before else [])
    return Stage(
        name=_name(found["stage"]),
        depends_on=tuple([depends] if isinstance(depends, str) else depends),
        condition=_condition(found),
        variables=tuple(found.get("variables", [])),
        jobs=jobs,
    )


def _job(found: Mapping[str, Any], pool: Any) -> Job:
    deployment = "deployment" in found
    name = _name(found["deployment" if deployment else "job"])
    _known(found, _JOB, f"the job {name}")
    if deployment:
        environment = found["environment"]
        if isinstance(environment, Mapping):
            _known(environment, {"name"}, f"the environment of {name}")
            environment = environment["name"]
        hooks = _hooks(found["strategy"], name)
    else:
        if "strategy" in found or "environment" in found:
            raise NotUnderstood(f"the job {name} with a strategy or an environment")
        environment, hooks = None, {"steps": _steps(found["steps"])}
    machine = found.get("pool", pool)
    if not isinstance(machine, Mapping) or set(machine) != {"vmImage"} or machine["vmImage"] != MACHINE:
        raise NotUnderstood(f"the pool {machine!r} of {name}")
    depends = found.get("dependsOn", [])
    return Job(
        name=name,
        depends_on=tuple([depends] if isinstance(depends, str) else depends),
        condition=_condition(found),
        variables=tuple(found.get("variables", [])),
        minutes=int(found.get("timeoutInMinutes", 60)),
        machine=machine["vmImage"],
        hooks=hooks,
        environment=environment,
    )


def _hooks(strategy: Mapping[str, Any], name: str) -> dict[str, tuple[Step, ...]]:
    _known(strategy, {"runOnce"}, f"the strategy of {name}")
    found = strategy["runOnce"]
    _known(found, {*_HOOKS, "on"}, f"the strategy of {name}")
    ends = found.get("on", {})
    _known(ends, {"failure", "success"}, f"the ends of {name}")
    hooks = {hook: found[hook] for hook in _HOOKS if hook in found}
    hooks |= {end: ends[end] for end in ("failure", "success") if end in ends}
    if "deploy" not in hooks:
        raise NotUnderstood(f"the deployment {name} without the hook deploy")
    made = {}
    for hook, about in hooks.items():
        _known(about, {"steps"}, f"the hook {hook} of {name}")
        made[hook] = _steps(about["steps"])
    return made


def _steps(found: list[Mapping[str, Any]]) -> tuple[Step, ...]:
    steps = tuple(_step(step) for step in found)
    names = [step.name for step in steps if step.name]
    if len(names) != len(set(names)):
        raise NotUnderstood(f"two steps of one name among {names}")
    return steps


def _step(found: Mapping[str, Any]) -> Step:
    kinds = [kind for kind in _KINDS if kind in found]
    if len(kinds) != 1:
        raise NotUnderstood(f"the step {dict(found)}")
    (kind,) = kinds
    _known(found, _STEP | _KINDS[kind] | {kind}, f"the step {found.get('displayName', found[kind])!r}")
    if str(found.get("enabled", "true")).lower() != "true":
        raise NotUnderstood("a step that is switched off")
    inputs = found.get("inputs", {}) if kind == "task" else {key: found[key] for key in _KINDS[kind] if key in found}
    name = found.get("name", "")
    value = found[kind]
    return Step(
        kind=kind,
        value=value if isinstance(value, str) else str(value).lower(),
        name=_name(name) if name else "",
        label=str(found.get("displayName", value)),
        condition=_condition(found),
        env={key: str(value) for key, value in found.get("env", {}).items()},
        inputs=inputs,
        continue_on_error=str(found.get("continueOnError", "false")).lower() == "true",
    )


def _condition(found: Mapping[str, Any]) -> str | None:
    condition = found.get("condition")
    return None if condition is None else str(condition).lower() if isinstance(condition, bool) else str(condition)


def _name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise NotUnderstood(f"the name {name!r}: letters, digits and _")
    return name


def _known(found: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = set(found) - known
    if unknown:
        raise NotUnderstood(f"{where}: {sorted(unknown)}")


def _acyclic(depends: Mapping[str, tuple[str, ...]], what: str) -> None:
    done: set[str] = set()
    while len(done) < len(depends):
        ready = {name for name, needs in depends.items() if name not in done and set(needs) <= done}
        if not ready:
            raise NotUnderstood(f"{what}: {sorted(set(depends) - done)} wait for each other or for what is not there")
        done |= ready
