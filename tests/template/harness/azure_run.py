"""Executes an expanded pipeline: stages, jobs and hooks, in the order of what they depend on, with their conditions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tests.template.harness.azure_expressions import Evaluator, Named, Status, truth
from tests.template.harness.azure_model import Job, Pipeline, Stage, Step
from tests.template.harness.azure_scope import Scope
from tests.template.harness.azure_state import Build
from tests.template.harness.azure_steps import Agent

_Unit = TypeVar("_Unit", Stage, Job)
_CHECKOUT = Step(kind="checkout", value="self", label="Checkout")
_ARTIFACTS = Step(kind="download", value="current", label="Download artifacts")


@dataclass(kw_only=True)
class Execution:
    """One attempt at one build."""

    build: Build
    pipeline: Pipeline
    scope: Scope
    """What everybody sees: predefined variables, those of the run."""
    groups: Mapping[str, Mapping[str, str]]
    agent: Callable[[str, Scope], Agent]
    """A machine for a job: how results call it, its variables."""
    opened: Callable[[Stage, str], bool]
    """Asks the checks of an environment before a stage begins."""
    done: Mapping[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    """Stages that succeeded in an earlier attempt, as `told` had them: they are not run again."""
    told: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    """`{result, outputs}` by stage and job."""
    _results: dict[str, str] = field(default_factory=dict)

    def run(self) -> str:
        """The build's result: Succeeded, SucceededWithIssues or Failed."""
        for stage in _ordered(self.pipeline.stages):
            self._results[stage.name] = self.build.stages[stage.name] = self._stage(stage)
        results = set(self._results.values())
        for worst in ("Failed", "SucceededWithIssues"):
            if worst in results:
                return worst
        return "Succeeded"

    def _stage(self, stage: Stage) -> str:
        if stage.name in self.done:
            self.told[stage.name] = self.done[stage.name]
            return "Succeeded"
        jobs = self.told[stage.name] = {}
        above = _above(stage, {other.name: other for other in self.pipeline.stages})
        contexts = {
            "variables": self._scope(self.pipeline.variables).values,
            "dependencies": Named({name: self._told(name) for name in stage.depends_on}),
        }
        status = Status(results={name: self._results[name] for name in above})
        if not _holds(stage.condition, contexts, status):
            for job in stage.jobs:
                self._ended(stage, job, "Skipped", {})
            return "Skipped"
        environments = dict.fromkeys(job.environment for job in stage.jobs if job.environment)
        if not all(self.opened(stage, environment) for environment in environments):
            for job in stage.jobs:
                self._ended(stage, job, "Skipped", {})
            return "Skipped" if self.build.waiting_for else "Failed"
        for job in _ordered(stage.jobs):
            self._job(stage, job, above)
        results = {found["result"] for found in jobs.values()}
        for verdict in ("Failed", "SucceededWithIssues", "Succeeded"):
            if verdict in results:
                return verdict
        return "Skipped"

    def _told(self, stage: str) -> dict[str, Any]:
        """What a condition of a stage reads of another: `outputs['job.step.variable']`."""
        outputs = {
            f"{job}.{name}": value
            for job, found in self.told[stage].items()
            for name, value in found["outputs"].items()
        }
        return {"result": self._results[stage], "outputs": outputs}

    def _job(self, stage: Stage, job: Job, above: list[str]) -> None:
        contexts = {
            "dependencies": Named({name: self.told[stage.name][name] for name in job.depends_on}),
            "stageDependencies": Named({name: Named(self.told[name]) for name in above}),
        }
        scope = self._scope(())
        scope.set("System.StageName", stage.name)
        scope.set("System.StageAttempt", str(self.build.attempt))
        scope.set("System.JobName", job.name)
        scope.set("System.JobId", f"{stage.name}.{job.name}")
        scope.set("System.JobAttempt", str(self.build.attempt))
        if job.environment:
            scope.set("Environment.Name", job.environment)
        for variables in (self.pipeline.variables, stage.variables, job.variables):
            scope.declare(variables, self.groups, contexts, at_start=True)
        before = _above(job, {other.name: other for other in stage.jobs})
        status = Status(results={name: self.told[stage.name][name]["result"] for name in before})
        if not _holds(job.condition, {"variables": scope.values, **contexts}, status):
            self._ended(stage, job, "Skipped", {})
            return
        agent = self.agent(self._called(stage, job), scope)
        for hook, steps in _hooks(job):
            if hook == ("success" if agent.result == "Failed" else "failure"):
                continue
            if agent.result == "Failed" and hook != "failure":
                continue
            failed = agent.result
            if hook == "failure":
                agent.result = "Succeeded"  # its steps run because the job failed
            agent.run(steps)
            if hook == "failure":
                agent.result = failed
        prefix = f"{job.name}." if job.environment else ""  # a deployment's outputs begin with its name
        self._ended(stage, job, agent.result, {f"{prefix}{name}": value for name, value in agent.outputs.items()})

    def _ended(self, stage: Stage, job: Job, result: str, outputs: dict[str, str]) -> None:
        self.told[stage.name][job.name] = {"result": result, "outputs": outputs}
        self.build.jobs[self._called(stage, job)] = result

    def _called(self, stage: Stage, job: Job) -> str:
        return job.name if stage.name == "__default" else f"{stage.name}.{job.name}"

    def _scope(self, variables: tuple[Mapping[str, Any], ...]) -> Scope:
        scope = Scope(values=dict(self.scope.values), secrets=set(self.scope.secrets), names=dict(self.scope.names))
        scope.declare(variables, self.groups, {}, at_start=False)
        return scope


def _hooks(job: Job) -> Iterator[tuple[str, tuple[Step, ...]]]:
    """With what Azure does unasked: a job checks out, a deployment downloads what the run published."""
    for number, (hook, steps) in enumerate(job.hooks.items()):
        kind = "download" if job.environment else "checkout"
        unasked = (
            ()
            if any(step.kind == kind for step in job.steps) or number
            else (_ARTIFACTS if job.environment else _CHECKOUT,)
        )
        yield hook, (*unasked, *steps)


def _holds(condition: str | None, contexts: Mapping[str, Any], status: Status) -> bool:
    return truth(Evaluator(contexts=contexts, status=status).evaluate(condition or "succeeded()"))


def _above(one: _Unit, everything: Mapping[str, _Unit]) -> list[str]:
    """What it depends on, directly or not."""
    found: dict[str, None] = {}
    open_ends = list(one.depends_on)
    while open_ends:
        name = open_ends.pop(0)
        if name not in found:
            found[name] = None
            open_ends += everything[name].depends_on
    return list(found)


def _ordered(many: tuple[_Unit, ...]) -> list[_Unit]:
    """Each behind what it depends on."""
    done: dict[str, _Unit] = {}
    while len(done) < len(many):
        for one in many:
            if one.name not in done and set(one.depends_on) <= set(done):
                done[one.name] = one
    return list(done.values())
