"""What is proven about all workflows without running them: no secret for strangers, nothing typed is code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from tests.template.harness.azure_graph import MARKER, azure_documents, azure_graph, azure_pipelines
from tests.template.harness.github_graph import github_documents, github_graph, reached
from tests.template.harness.github_triggers import triggers
from tests.template.harness.graph import Graph, Node
from tests.template.harness.yaml_files import ROOT

GITHUB, AZURE = github_graph(), azure_graph()
ON_GITHUB, ON_AZURE = github_documents(), azure_documents()
GRAPHS = {"github": GITHUB, "azure": AZURE}


def nodes(graph: Graph) -> Iterator[Node]:
    for jobs in graph.values():
        yield from jobs.values()


def commands(node: Node) -> list[str]:
    return [line.strip() for command in node.commands if command.kind == "run" for line in command.text.splitlines()]


FROM_OUTSIDE = ("pull_request", "merge_group")


@pytest.mark.broken_gate(22)
def test_no_workflow_runs_with_rights_on_what_strangers_wrote() -> None:
    dangerous = {"pull_request_target", "workflow_run", "issue_comment", "issues", "discussion", "fork", "watch"}
    for name, document in ON_GITHUB.items():
        assert not dangerous & set(triggers(document)), name


@pytest.mark.broken_gate(22)
@pytest.mark.parametrize("event", FROM_OUTSIDE)
def test_no_secret_environment_or_identity_is_reachable_from_a_pull_request_on_github(event: str) -> None:
    seen = 0
    for name, document in ON_GITHUB.items():
        if event not in triggers(document):
            continue
        workflow = name.removesuffix(".yml")
        for job in reached(GITHUB[workflow], {"github": {"event_name": event}}):
            node = GITHUB[workflow][job]
            assert node.environment is None
            rights = dict(node.permissions)
            assert set(rights) <= {"contents", "pull-requests"}
            assert rights.get("contents", "read") == "read"
            seen += 1
        assert "secrets" not in _text_of(document)
    assert seen


@pytest.mark.broken_gate(22)
def test_no_secret_environment_or_identity_is_reachable_from_a_pull_request_on_azure() -> None:
    starting = [name for name, document in ON_AZURE.items() if document.get("pr") != "none"]
    assert starting == ["pull-request"]
    pipeline = azure_pipelines()["pull-request"]
    assert [entry for entry in pipeline.variables if "group" in entry] == []
    for stage in pipeline.stages:
        for job in stage.jobs:
            assert job.environment is None
            assert [entry for entry in (*stage.variables, *job.variables) if "group" in entry] == []
            for step in job.steps:
                asked = " ".join([step.value, *step.env.values(), *map(str, step.inputs.values())])
                assert not re.search(r"AccessToken|azureSubscription|serviceConnection|connectedService", asked)


def _text_of(document: Any) -> str:
    return "\n".join(str(value) for value in _leaves(document))


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)
    else:
        yield value


def test_no_secret_but_the_runs_own_token_is_named_anywhere() -> None:
    for path in (ROOT / ".github").rglob("*.yml"):
        assert re.findall(r"secrets\.(?!GITHUB_TOKEN)\w+|secrets: inherit", path.read_text("utf-8")) == [], path.name


def test_nothing_is_spliced_into_a_script_on_github() -> None:
    for node in nodes(GITHUB):
        for command in node.commands:
            assert command.kind != "run" or "${{" not in command.text, f"{node.workflow} {node.name}: {command.text}"


def test_nothing_is_spliced_into_a_script_on_azure() -> None:
    for node in nodes(AZURE):
        for command in node.commands:
            if command.kind == "run":
                assert MARKER not in command.text, f"{node.workflow} {node.name}: {command.text}"
                assert not re.search(r"\$\([A-Za-z_][\w.]*\)", command.text), f"{node.workflow}: {command.text}"


def test_what_a_person_types_on_azure_cannot_ask_for_a_variable() -> None:
    """Azure replaces `$(System.AccessToken)` in an environment too: what is typed must not hold it any more."""
    typed = [
        (node.workflow, name, value)
        for node in nodes(AZURE)
        for command in node.commands
        for name, value in command.env
        if MARKER.partition("$")[0] in value
    ]
    assert {(workflow, name) for workflow, name, _ in typed} == {("cut-release", "NAME"), ("rollback", "REASON")}
    assert [value for _, _, value in typed if "$(" in value] == []


def test_variables_in_scripts_are_quoted() -> None:
    for graph in GRAPHS.values():
        for node in nodes(graph):
            for line in commands(node):
                bare = re.sub(r'"[^"]*"|\'[^\']*\'|\[\[.*?\]\]', "", line)
                assert "$" not in bare, f"{node.workflow} {node.name}: {line}"


def test_tokens_that_may_write_are_given_to_no_job_that_runs_what_a_model_brings() -> None:
    """Only steps that speak to the provider see a token: it stands in the environment of those steps alone."""
    speaks = ("tested", "cut-release", "state", "approve", "alert", "comment", "rollback")
    for node in nodes(GITHUB):
        for command in node.commands:
            tokens = [name for name, value in command.env if "github.token" in value]
            if tokens and command.text.startswith("gatehouse"):
                assert command.text.split()[1] in speaks, f"{node.workflow}: {command.text}"
    for document in ON_GITHUB.values():
        assert "github.token" not in _text_of({key: document.get(key) for key in ("env", "defaults")})
