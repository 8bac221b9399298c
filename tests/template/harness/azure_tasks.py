"""Tasks of Azure that Gatehouse's pipelines use, done by stand-ins. What is not here is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.template.harness import NotUnderstood
from tests.template.harness.azure_scope import Scope
from tests.template.harness.azure_state import Artifact, Build
from tests.template.harness.zipped import pack, unpack


@dataclass(kw_only=True, slots=True)
class Artifacts:
    """What all builds published, as one build sees it."""

    everything: list[Artifact]
    build: Build
    builds: Mapping[int, Build] = field(default_factory=dict)

    def keep(self, artifact: Artifact) -> None:
        """Publishes; a build has one artefact of a name."""
        if self.find(artifact.build, artifact.name):
            raise ValueError(f"Artifact {artifact.name} already exists for build {artifact.build.id}.")
        self.everything.append(artifact)

    def find(self, build: Build, name: str) -> Artifact | None:
        """The artefact of this name."""
        found = [artifact for artifact in self.everything if artifact.build is build and artifact.name == name]
        return found[0] if found else None

    def of(self, build: Build) -> list[Artifact]:
        """All of a build."""
        return [artifact for artifact in self.everything if artifact.build is build]


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """A task's inputs, in lower case, and what it does; it returns what it complains about, or None."""

    inputs: frozenset[str] = frozenset()
    run: Callable[[Path, Mapping[str, str], Artifacts, Scope], str | None] = lambda *_: None


def _publish(folder: Path, inputs: Mapping[str, str], artifacts: Artifacts, scope: Scope) -> str | None:
    if inputs.get("publishlocation", "pipeline") != "pipeline":
        raise NotUnderstood(f"publishing to {inputs['publishlocation']}")
    path = folder / "s" / (inputs.get("targetpath") or inputs["path"])
    if not path.exists():
        return f"Path does not exist: {path}"
    name = inputs.get("artifact") or inputs.get("artifactname") or f"{scope.values['system.jobid']}"
    try:
        artifacts.keep(Artifact(name=name, content=pack(path), build=artifacts.build))
    except ValueError as error:
        return str(error)
    return None


def _download(folder: Path, inputs: Mapping[str, str], artifacts: Artifacts, scope: Scope) -> str | None:
    source = inputs.get("source") or inputs.get("buildtype") or "current"
    if source == "none":
        return None
    if source == "current":
        build: Build | None = artifacts.build
    elif source == "specific" and inputs.get("runversion") == "specific":
        build = artifacts.builds.get(int(inputs["runid"]))
    else:
        raise NotUnderstood(f"downloading from {dict(inputs)}")
    if build is None:
        return f"no run {inputs.get('runid')}"
    wanted = inputs.get("artifact") or inputs.get("artifactname")
    target = folder / (inputs.get("path") or inputs.get("targetpath") or "")
    if wanted:
        artifact = artifacts.find(build, wanted)
        if artifact is None:
            return f"Artifact {wanted} not found for build {build.id}."
        unpack(artifact.content, target if "path" in inputs or "targetpath" in inputs else target / wanted)
        return None
    for artifact in artifacts.of(build):
        unpack(artifact.content, target / artifact.name)
    return None


def _results(folder: Path, inputs: Mapping[str, str], artifacts: Artifacts, scope: Scope) -> str | None:
    found = list((folder / "s").glob(inputs["testresultsfiles"]))
    return None if found or inputs.get("failtaskonmissingresultsfile") != "true" else "No test result files were found."


def _cache(folder: Path, inputs: Mapping[str, str], artifacts: Artifacts, scope: Scope) -> str | None:
    if "cachehitvar" in inputs:
        scope.set(inputs["cachehitvar"], "false")  # it serves speed alone
    return None


TASKS: dict[str, Task] = {
    "PublishPipelineArtifact@1": Task(
        inputs=frozenset({"targetpath", "path", "artifact", "artifactname", "publishlocation"}), run=_publish
    ),
    "DownloadPipelineArtifact@2": Task(
        inputs=frozenset(
            {"source", "buildtype", "artifact", "artifactname", "path", "targetpath", "runversion", "runid", "project",
             "pipeline", "patterns"}
        ),
        run=_download,
    ),
    "PublishTestResults@2": Task(
        inputs=frozenset({"testresultsformat", "testresultsfiles", "testruntitle", "failtaskonmissingresultsfile",
                          "failtaskonfailedtests"}),
        run=_results,
    ),
    "Cache@2": Task(inputs=frozenset({"key", "path", "restorekeys", "cachehitvar"}), run=_cache),
    "UsePythonVersion@0": Task(inputs=frozenset({"versionspec", "addtopath", "architecture"})),
    "JavaToolInstaller@0": Task(inputs=frozenset({"versionspec", "jdkarchitectureoption", "jdksourceoption"})),
}  # fmt: skip
