"""The graph of the pipelines in `.azure-pipelines/`, with templates expanded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.template.harness import NotUnderstood
from tests.template.harness.azure_model import Job, Pipeline, Stage, Step, pipeline
from tests.template.harness.azure_templates import Expansion
from tests.template.harness.graph import Command, Graph, Node, pairs, when_of_job, when_of_step
from tests.template.harness.yaml_files import ROOT, read

PIPELINES = ".azure-pipelines"
MARKER = "MARKER$(whoami)"
"""Stands for what a person types into a parameter."""


def azure_documents(root: Path = ROOT) -> dict[str, Any]:
    """Every pipeline file, by its name without the ending."""
    return {path.stem: read(path) for path in sorted((root / PIPELINES).glob("*.yml"))}


def azure_pipelines(root: Path = ROOT, *, workspace: bool = False) -> dict[str, Pipeline]:
    """Expanded, without a workspace or with one; free texts that a person could type are MARKER."""
    expansion = Expansion(root=root, variables={}, committed={"GATEHOUSE_WORKSPACE": "on"} if workspace else {})
    return {
        name: pipeline(expansion.pipeline(f"{PIPELINES}/{name}.yml", _typed(document)))
        for name, document in azure_documents(root).items()
    }


def azure_graph(root: Path = ROOT, *, workspace: bool = False) -> Graph:
    """A job of a stage needs all jobs of the stages that its stage depends on."""
    return {name: _jobs(name, found) for name, found in azure_pipelines(root, workspace=workspace).items()}


def _typed(document: Mapping[str, Any]) -> dict[str, Any]:
    return {
        about["name"]: MARKER
        for about in document.get("parameters", [])
        if about.get("type", "string") == "string" and "values" not in about
    }


def _jobs(workflow: str, found: Pipeline) -> dict[str, Node]:
    of_stage = {stage.name: frozenset(job.name for job in stage.jobs) for stage in found.stages}
    nodes: dict[str, Node] = {}
    for stage in found.stages:
        for job in stage.jobs:
            if job.name in nodes:
                raise NotUnderstood(f"two jobs {job.name} in {workflow}")
            nodes[job.name] = _node(workflow, stage, job, of_stage)
    return nodes


def _node(workflow: str, stage: Stage, job: Job, of_stage: Mapping[str, frozenset[str]]) -> Node:
    before = frozenset(job.depends_on) or frozenset(name for other in stage.depends_on for name in of_stage[other])
    return Node(
        workflow=workflow,
        name=job.name,
        commands=tuple(command for step in job.steps for command in _commands(step)),
        needs=before,
        environment=job.environment,
        when=when_of_job(stage.condition) | when_of_job(job.condition),
        minutes=job.minutes,
        machine=job.machine,
        condition=job.condition or stage.condition,
    )


def _commands(step: Step) -> list[Command]:
    when = when_of_step(step.condition)
    if step.kind in ("bash", "script"):
        if tool := re.search(r"/(databricks/setup-cli)/([0-9a-f]{40})/install\.sh \| sh$", step.value.strip()):
            return [Command(kind="tool", text=f"{tool[1]}@{tool[2]}", when=when)]
        return [Command(kind="run", text=step.value.strip(), when=when, env=pairs(step.env))]
    if step.kind == "checkout":
        return [Command(kind="checkout", text=f"depth {step.inputs.get('fetchDepth', 1)}", when=when)]
    if step.value == "PublishPipelineArtifact@1":
        text = f"{step.inputs['artifact']}: {step.inputs['targetPath']}"
        return [Command(kind="upload", text=text, when=when)]
    if (step.kind, step.value) == ("download", "none") or step.value in (
        "Cache@2",
        "UsePythonVersion@0",
        "JavaToolInstaller@0",
    ):
        return []
    raise NotUnderstood(f"the step {step.value}: what it stands for on GitHub is not known")
