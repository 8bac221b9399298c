"""The graph of the workflows in `.github/`, with reusable workflows and composite actions inlined."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.template.harness import NotUnderstood
from tests.template.harness.github_expressions import could_be_true
from tests.template.harness.github_triggers import triggers
from tests.template.harness.graph import Command, Graph, Node, pairs, when_of_job, when_of_step
from tests.template.harness.yaml_files import ROOT, read

WORKFLOWS = ".github/workflows"
_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}")
WORKSPACE = {False: "", True: "yes"}
"""What the variables that say so hold, without a workspace and with one."""
_FOR_SPEED = (
    "astral-sh/setup-uv@",
    "actions/cache",
    "actions/setup-java@",
    "actions/setup-python@",
    "actions/attest@",
    "databricks/setup-cli@",
)
"""What installs tools or attests what another step made."""


def github_documents(root: Path = ROOT) -> dict[str, Any]:
    """Every workflow file, by its name."""
    return {path.name: read(path) for path in sorted((root / WORKFLOWS).glob("*.yml"))}


def github_graph(root: Path = ROOT, *, workspace: bool = False) -> Graph:
    """By the name of the file without its ending; what is only called stands where it is called from.

    What needs a workspace, or needs that there is none, stands in one of both graphs only.
    """
    found = {
        name.removesuffix(".yml"): _jobs(root, name, document, {}, name.removesuffix(".yml"), WORKSPACE[workspace])
        for name, document in github_documents(root).items()
        if set(triggers(document)) != {"workflow_call"}
    }
    return {workflow: jobs for workflow, jobs in found.items() if jobs}


def _jobs(
    root: Path, file: str, document: Mapping[str, Any], inputs: Mapping[str, Any], workflow: str, workspace: str
) -> dict[str, Node]:
    known = {"inputs": inputs, "env": {"DATABRICKS_HOST": workspace}}
    nodes: dict[str, Node] = {}
    last: dict[str, frozenset[str]] = {}
    """Which nodes have to be done before a job of this file is."""
    for name, job in document["jobs"].items():
        needs = job.get("needs", [])
        before = frozenset(node for need in ([needs] if isinstance(needs, str) else needs) for node in last[need])
        if not could_be_true(job.get("if"), {"vars": {"GATEHOUSE_WORKSPACE": workspace}}):
            last[name] = frozenset()
            continue
        if "uses" in job:
            called = _called(root, job, before, workflow, workspace)
            nodes |= called
            last[name] = frozenset(called)
            continue
        node = Node(
            workflow=workflow,
            name=name.replace("-", "_"),
            commands=tuple(command for step in job["steps"] for command in _commands(root, step, known)),
            needs=before,
            environment=_environment(job, inputs),
            when=when_of_job(job.get("if")),
            minutes=job.get("timeout-minutes"),
            machine=job["runs-on"],
            condition=job.get("if"),
            permissions=pairs(job.get("permissions", document.get("permissions"))),
            env=pairs(job.get("env")),
        )
        if node.name in nodes:
            raise NotUnderstood(f"two jobs {node.name} in {workflow}")
        nodes[node.name] = node
        last[name] = frozenset([node.name])
    return nodes


def _called(
    root: Path, job: Mapping[str, Any], before: frozenset[str], workflow: str, workspace: str
) -> dict[str, Node]:
    """The jobs of a reusable workflow; its first ones also need what the job that calls it needs."""
    file = Path(job["uses"]).name
    document = read(root / WORKFLOWS / file)
    declared = triggers(document)["workflow_call"].get("inputs", {})
    inputs = {name: job.get("with", {}).get(name, about.get("default")) for name, about in declared.items()}
    found = {}
    for name, node in _jobs(root, file, document, inputs, workflow, workspace).items():
        condition = " && ".join(f"({text})" for text in (job.get("if"), node.condition) if text)
        found[name] = Node(
            workflow=workflow,
            name=name,
            commands=node.commands,
            needs=node.needs or before,
            environment=node.environment,
            when=node.when | (when_of_job(job.get("if")) if not node.needs else frozenset()),
            minutes=node.minutes,
            machine=node.machine,
            condition=condition or None,
            permissions=node.permissions,
            env=node.env,
        )
    return found


def _environment(job: Mapping[str, Any], inputs: Mapping[str, Any]) -> str | None:
    found = job.get("environment")
    name = found["name"] if isinstance(found, Mapping) else found
    return None if name is None else str(_filled(name, inputs))


def _filled(text: Any, inputs: Mapping[str, Any]) -> Any:
    """With the inputs that are known put in."""
    if not isinstance(text, str):
        return text

    def put(found: re.Match[str]) -> str:
        words = found[1].strip()
        name = words.removeprefix("inputs.")
        if words.startswith("inputs.") and name in inputs and "${{" not in str(inputs[name]):
            return str(inputs[name])
        return found[0]

    return _EXPRESSION.sub(put, text)


def _commands(root: Path, step: Mapping[str, Any], known: Mapping[str, Any]) -> list[Command]:
    inputs = known["inputs"]
    condition = step.get("if")
    if condition is not None and not could_be_true(condition, known):
        return []
    when = when_of_step(condition)
    if "run" in step:
        env = {key: _filled(value, inputs) for key, value in (step.get("env") or {}).items()}
        text = step["run"].strip().removeprefix("exec ")  # by which a command hears that its step is cancelled
        return [Command(kind="run", text=text, when=when, env=pairs(env))]
    uses, given = step["uses"], {key: _filled(value, inputs) for key, value in (step.get("with") or {}).items()}
    if uses.startswith("./"):
        return _composite(root, uses, given, when, known)
    if uses.startswith("actions/checkout@"):
        return [Command(kind="checkout", text=f"depth {given.get('fetch-depth', 1)}", when=when)]
    if uses.startswith("actions/upload-artifact@"):
        return [Command(kind="upload", text=f"{given['name']}: {given['path']}", when=when)]
    if uses.startswith("actions/download-artifact@"):
        return [Command(kind="download", text=f"{given['name']}: {given['path']}", when=when)]
    if uses.startswith("databricks/setup-cli@"):
        return [Command(kind="tool", text=uses, when=when)]
    if uses.startswith(_FOR_SPEED):
        return []
    raise NotUnderstood(f"the action {uses}: what it stands for on Azure is not known")


def _composite(root: Path, uses: str, given: Mapping[str, Any], when: str, known: Mapping[str, Any]) -> list[Command]:
    action = read(root / uses / "action.yml")
    inputs = {name: given.get(name, about.get("default")) for name, about in action.get("inputs", {}).items()}
    found = [
        command for step in action["runs"]["steps"] for command in _commands(root, step, {**known, "inputs": inputs})
    ]
    if when == "success":
        return found
    return [Command(kind=one.kind, text=one.text, when=when, env=one.env) for one in found]


def reached(jobs: Mapping[str, Node], known: Mapping[str, Any]) -> set[str]:
    """The jobs that can run, given what is known of the event."""
    found: set[str] = set()
    changed = True
    while changed:
        changed = False
        for name, node in jobs.items():
            ready = node.needs <= found or "always" in node.when
            if name not in found and ready and could_be_true(node.condition, known):
                found.add(name)
                changed = True
    return found
