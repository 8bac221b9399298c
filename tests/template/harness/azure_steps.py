"""Runs the steps of one job of Azure on this machine, as the agent does."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.template.harness import NotUnderstood
from tests.template.harness.azure_commands import Command, command_in
from tests.template.harness.azure_expressions import Evaluator, Status, truth
from tests.template.harness.azure_model import Step
from tests.template.harness.azure_scope import Scope
from tests.template.harness.azure_state import Artifact, Build
from tests.template.harness.azure_tasks import TASKS, Artifacts
from tests.template.harness.zipped import pack

_KEPT = ("HOME", "LANG", "TMPDIR")


@dataclass(kw_only=True)
class Agent:
    """One job's machine: folders of its own, variables, results."""

    build: Build
    job: str
    """How results call it."""
    folder: Path
    scope: Scope
    artifacts: Artifacts
    clone: Callable[[Path, int], None]
    """Puts the repository into a folder, this many commits deep; 0: all."""
    path: str
    machine: Mapping[str, str] = field(default_factory=dict)
    """Environment of the machine, beside what Azure sets."""
    result: str = "Succeeded"
    outputs: dict[str, str] = field(default_factory=dict)
    """`step.variable`."""
    canceled: bool = False
    _prepended: list[str] = field(default_factory=list)
    _completed: str | None = None

    def __post_init__(self) -> None:
        folders = {"Build.SourcesDirectory": "s", "Build.ArtifactStagingDirectory": "a", "Agent.TempDirectory": "_temp"}
        for variable, name in folders.items():
            (self.folder / name).mkdir(parents=True)
            self.scope.set(variable, str(self.folder / name))
        for variable in ("Pipeline.Workspace", "Agent.BuildDirectory"):
            self.scope.set(variable, str(self.folder))
        self.scope.set("System.DefaultWorkingDirectory", str(self.folder / "s"))
        self.sources = self.folder / "s"

    def run(self, steps: tuple[Step, ...]) -> None:
        """One after the other; a failure makes the job fail, and what is not `always()` is passed over."""
        for step in steps:
            self.scope.set("Agent.JobStatus", self.result)
            if not self._holds(step):
                self.build.steps.append((self.job, step.label, "Skipped"))
                continue
            self._completed = None
            failure = self._step(step)
            ended = self._completed or ("Failed" if failure else "Succeeded")
            if ended == "Failed" and step.continue_on_error:
                ended = "SucceededWithIssues"
            self.build.steps.append((self.job, step.label, ended))
            if ended == "Failed" or (ended == "SucceededWithIssues" and self.result == "Succeeded"):
                self.result = ended

    def _holds(self, step: Step) -> bool:
        contexts = {"variables": self.scope.values}
        status = Status(results={"": self.result}, canceled=self.canceled)
        return truth(Evaluator(contexts=contexts, status=status).evaluate(step.condition or "succeeded()"))

    def _step(self, step: Step) -> bool:
        """Whether it failed."""
        if step.kind in ("bash", "script"):
            return self._script(step)
        inputs = {key: self._input(value) for key, value in step.inputs.items()}
        if step.kind == "checkout":
            self._checkout(step.value, inputs)
            return False
        if (step.kind, step.value) == ("download", "none"):
            return False
        if step.kind == "publish":
            inputs = {"path": self.scope.replaced(step.value), **inputs}
        if step.kind == "download":
            inputs = {"source": self.scope.replaced(step.value), **inputs}
        name = {"publish": "PublishPipelineArtifact@1", "download": "DownloadPipelineArtifact@2"}.get(
            step.kind, step.value
        )
        if name not in TASKS:
            raise NotUnderstood(f"the task {name}: no stub stands in for it")
        task = TASKS[name]
        lowered = {key.lower(): value for key, value in inputs.items()}
        unknown = set(lowered) - task.inputs
        if unknown:
            raise NotUnderstood(f"{name} with {sorted(unknown)}")
        complaint = task.run(self.folder, lowered, self.artifacts, self.scope)
        if complaint:
            self._say(f"##[error]{complaint}")
        return complaint is not None

    def _input(self, value: object) -> str:
        text = str(value).lower() if isinstance(value, bool) else str(value)
        return self.scope.replaced(text)

    def _checkout(self, what: str, inputs: Mapping[str, str]) -> None:
        if what == "none":
            return
        if what != "self" or inputs.get("persistCredentials", "false").lower() != "false":
            raise NotUnderstood(f"checkout {what} {dict(inputs)}")
        self.clone(self.sources, int(inputs.get("fetchDepth", 1)))

    def _script(self, step: Step) -> bool:
        """`bash FILE`: without -e and pipefail, as the agent's; what fails before the last line goes unnoticed."""
        script = self.folder / "_temp" / f"step-{len(self.build.steps)}.sh"
        script.write_text(self.scope.replaced(step.value), encoding="utf-8")
        if str(step.inputs.get("failOnStderr", "false")).lower() != "false":
            raise NotUnderstood("failOnStderr")
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        environment |= self.scope.environment()
        environment |= {name: self.scope.replaced(value) for name, value in step.env.items()}
        environment["PATH"] = os.pathsep.join([*self._prepended, self.path])
        environment |= {"TF_BUILD": "True", **self.machine}
        folder = self.sources / self.scope.replaced(str(step.inputs.get("workingDirectory", ".")))
        process = subprocess.Popen(
            ["bash", "--noprofile", "--norc", str(script)],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )
        assert process.stdout
        for line in process.stdout:
            self._line(line.rstrip("\n"), step)
        return process.wait() != 0

    def _line(self, line: str, step: Step) -> None:
        command = command_in(line)
        if command is None:
            self._say(line)
        else:
            self._obey(command, step)

    def _say(self, line: str) -> None:
        self.build.log += f"[{self.job}] {self.scope.masked(line)}\n"

    def _obey(self, command: Command, step: Step) -> None:
        given, message = command.given, command.message
        if command.name == "task.setvariable":
            self._set(command, step)
        elif command.name == "task.logissue":
            self._say(f"##[{given['type']}]{message}")
        elif command.name == "task.complete":
            self._completed = given["result"]
        elif command.name == "task.uploadsummary":
            self.build.summary += Path(message).read_text(encoding="utf-8")
        elif command.name == "task.prependpath":
            self._prepended.insert(0, message)
        elif command.name == "task.setsecret":
            self.scope.set(f"__secret{len(self.scope.secrets)}", message, secret=True)
        elif command.name == "artifact.upload":
            made = Artifact(name=given["artifactname"], content=pack(Path(message)), build=self.build)
            self.artifacts.keep(made)
        elif command.name == "build.addbuildtag":
            self.build.tags.append(message)
        elif command.name != "build.updatebuildnumber":
            raise NotUnderstood(command.name)

    def _set(self, command: Command, step: Step) -> None:
        name, secret = command.given["variable"], command.flag("issecret")
        self.scope.set(name, command.message, secret=secret)
        if command.flag("isreadonly"):
            self.scope.readonly.add(name.lower())
        if command.flag("isoutput") and step.name:  # without a name nobody can read it
            self.scope.set(f"{step.name}.{name}", command.message, secret=secret)
            self.outputs[f"{step.name}.{name}"] = command.message
