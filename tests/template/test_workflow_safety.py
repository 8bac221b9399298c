"""What is proven about all workflows without running them: no secret for strangers, nothing typed is code."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from tests.template.harness.azure_graph import MARKER, azure_documents, azure_graph, azure_pipelines
from tests.template.harness.github_graph import github_documents, github_graph, reached
from tests.template.harness.github_triggers import triggers
from tests.template.harness.graph import Graph, Node
from tests.template.harness.yaml_files import ROOT

WHERE = {"runner": False, "workspace": True}
"""Where the environments live: on the machine itself, or in a workspace."""
PAIRS = {where: (github_graph(workspace=there), azure_graph(workspace=there)) for where, there in WHERE.items()}
GITHUB, AZURE = PAIRS["workspace"]  # which has every job
ON_GITHUB, ON_AZURE = github_documents(), azure_documents()
GRAPHS = {f"{kind}-{where}": graph for where, pair in PAIRS.items() for kind, graph in zip("ga", pair, strict=True)}
OF_PULL_REQUESTS = {("pull-request", "workspace"), ("pull-request-closed", "sweep")}
"""The jobs that are somebody in the workspace on behalf of a pull request."""
IDENTITY = {
    "DATABRICKS_HOST": "${{ vars.DATABRICKS_HOST }}",
    "DATABRICKS_CLIENT_ID": "${{ vars.DATABRICKS_CLIENT_ID }}",
    "DATABRICKS_AUTH_TYPE": "${{ vars.DATABRICKS_HOST && 'github-oidc' }}",
    "ENGINE": "${{ vars.DATABRICKS_HOST && 'databricks' }}",
}
IN_PULL_REQUESTS = ("gatehouse sweep --env staging", 'gatehouse rehearse --env staging --schema "pr_')


def nodes(graph: Graph) -> Iterator[Node]:
    for jobs in graph.values():
        yield from jobs.values()


def commands(node: Node) -> list[str]:
    return [line.strip() for command in node.commands if command.kind == "run" for line in command.text.splitlines()]


def proposed(event: str, head: str | None) -> dict[str, Any]:
    """What is known of an event that a pull request makes, from a branch of the repository `head`."""
    about = {"pull_request": {"head": {"repo": {"full_name": head}}}}
    return {"github": {"event_name": event, "repository": "owner/repository", "event": about}}


FROM_OUTSIDE = {
    "a fork": proposed("pull_request", "stranger/repository"),
    "a fork that is gone": proposed("pull_request", None),
    "a merge queue": proposed("merge_group", None),
}
OWN_BRANCH = proposed("pull_request", "owner/repository")


@pytest.mark.broken_gate(22)
def test_no_workflow_runs_with_rights_on_what_strangers_wrote() -> None:
    dangerous = {"pull_request_target", "workflow_run", "issue_comment", "issues", "discussion", "fork", "watch"}
    for name, document in ON_GITHUB.items():
        assert not dangerous & set(triggers(document)), name


def reached_by(about: dict[str, Any], where: str) -> dict[tuple[str, str], Node]:
    """The jobs that an event of a pull request reaches on GitHub."""
    found: dict[tuple[str, str], Node] = {}
    for name, document in ON_GITHUB.items():
        workflow = name.removesuffix(".yml")
        if about["github"]["event_name"] in triggers(document) and workflow in (graph := PAIRS[where][0]):
            found |= {(workflow, job): graph[workflow][job] for job in reached(graph[workflow], about)}
            assert "secrets" not in _text_of(document)
    return found


def assert_nobody(node: Node) -> None:
    """No environment, no identity, and a token that reads."""
    assert node.environment is None
    rights = dict(node.permissions)
    assert set(rights) <= {"contents", "pull-requests"}
    assert rights.get("contents", "read") == "read"
    assert node.env == ()


@pytest.mark.broken_gate(22)
@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("whence", FROM_OUTSIDE)
def test_no_secret_environment_or_identity_is_reachable_from_outside_on_github(whence: str, where: str) -> None:
    found = reached_by(FROM_OUTSIDE[whence], where)
    assert ("pull-request", "rehearsal") in found
    for node in found.values():
        assert_nobody(node)


@pytest.mark.broken_gate(22)
@pytest.mark.parametrize("where", WHERE)
def test_from_a_branch_of_ours_one_identity_is_reachable_by_the_jobs_of_pull_requests_alone(where: str) -> None:
    found = reached_by(OWN_BRANCH, where)
    assert OF_PULL_REQUESTS & set(found) == (OF_PULL_REQUESTS if where == "workspace" else set())
    for job, node in found.items():
        if job not in OF_PULL_REQUESTS:
            assert_nobody(node)
            continue
        assert node.environment == "pull-request"
        assert dict(node.permissions) == {"contents": "read", "id-token": "write"}
        assert dict(node.env) == IDENTITY
        assert [
            line for line in commands(node) if not line.startswith((*IN_PULL_REQUESTS, "make install", "echo"))
        ] == []


@pytest.mark.broken_gate(22)
def test_the_identity_of_pull_requests_is_nobodys_else() -> None:
    for graph in PAIRS["workspace"]:
        found = {(node.workflow, node.name) for node in nodes(graph) if node.environment == "pull-request"}
        assert found == OF_PULL_REQUESTS & {(node.workflow, node.name) for node in nodes(graph)}


@pytest.mark.broken_gate(22)
@pytest.mark.parametrize("where", WHERE)
def test_no_secret_environment_or_identity_is_reachable_from_a_pull_request_on_azure(where: str) -> None:
    """But by the one job; that its file could be another in a fork is why forks must not be built (docs/ci.md)."""
    starting = [name for name, document in ON_AZURE.items() if document.get("pr") != "none"]
    assert starting == ["pull-request"]
    pipeline = azure_pipelines(workspace=WHERE[where])["pull-request"]
    assert [entry for entry in pipeline.variables if "group" in entry] == []
    seen = 0
    for stage in pipeline.stages:
        assert [entry for entry in stage.variables if "group" in entry] == []
        for job in stage.jobs:
            asked = [" ".join([s.value, *s.env.values(), *map(str, s.inputs.values())]) for s in job.steps]
            named = re.compile(r"azureSubscription|serviceConnection|connectedService")
            assert not [text for text in asked if named.search(text)]
            if job.name == "workspace":
                seen += 1
                assert (job.environment, groups(job.variables)) == ("pull-request", ["gatehouse-pull-request"])
                assert job.condition == "and(succeeded(), ne(variables['System.PullRequest.IsFork'], 'True'))"
                continue
            assert (job.environment, groups(job.variables)) == (None, [])
            assert not [text for text in asked if "AccessToken" in text]
    assert seen == WHERE[where]


# --- who a job is in the workspace -----------------------------------------------------------------------------------


def federated(graph: Graph) -> list[Node]:
    """All jobs but the one that signs in with a secret."""
    return [node for node in nodes(graph) if node.workflow != "workspace-smoke"]


def groups(variables: tuple[Mapping[str, Any], ...]) -> list[str]:
    return [entry["group"] for entry in variables if "group" in entry]


def test_who_acts_in_an_environment_is_its_identity_and_nobody_else_is_one_on_github() -> None:
    for node in federated(GITHUB):
        about = f"{node.workflow} {node.name}"
        rights = dict(node.permissions)
        if node.environment is None:
            assert node.env == (), about
            assert "id-token" not in rights or "attestations" in rights, about
        else:
            assert dict(node.env) == IDENTITY, about
            assert rights["id-token"] == "write", about


def test_who_acts_in_an_environment_is_its_identity_and_nobody_else_is_one_on_azure() -> None:
    for name, pipeline in azure_pipelines(workspace=True).items():
        if name == "workspace-smoke":
            continue
        assert groups(pipeline.variables) == []
        for stage in pipeline.stages:
            for job in stage.jobs:
                own = [*stage.variables, *job.variables]
                wanted = [f"gatehouse-{job.environment}"] if job.environment else []
                assert groups(tuple(own)) == wanted, f"{name} {job.name}"
                values = {entry["name"]: entry["value"] for entry in own if "name" in entry}
                assert values.get("DATABRICKS_AUTH_TYPE") == ("azure-devops-oidc" if wanted else None)
                assert values.get("ENGINE") == ("databricks" if wanted else None)


def test_without_a_workspace_no_variable_group_is_asked_for_on_azure() -> None:
    """One that is not there makes a run fail before it begins."""
    for name, pipeline in azure_pipelines().items():
        for stage in pipeline.stages:
            for job in stage.jobs:
                assert name == "workspace-smoke" or not groups((*pipeline.variables, *stage.variables, *job.variables))


SPEAKS = ("tested", "cut-release", "state", "approve", "alert", "comment", "rollback")
"""Commands that speak to the provider itself."""


def given_the_token(node: Node) -> dict[str, bool]:
    """Each command of ours, and whether it is handed the token of an Azure run."""
    return {
        command.text: "$(System.AccessToken)" in dict(command.env).values()
        for command in node.commands
        if command.text.startswith("gatehouse ")
    }


@pytest.mark.parametrize("where", WHERE)
def test_on_azure_a_command_has_the_runs_token_where_it_asks_the_provider_or_signs_in_with_it(where: str) -> None:
    for node in federated(PAIRS[where][1]):
        for line, given in given_the_token(node).items():
            if line.startswith("gatehouse state pack"):
                assert not given
            elif line.split()[1] in SPEAKS:
                assert given, f"{node.workflow} {node.name}: {line}"
            else:
                assert given is (where == "workspace" and node.environment is not None), f"{node.workflow}: {line}"


def test_a_rehearsal_that_is_cancelled_leaves_nothing_in_a_workspace() -> None:
    """It hears of it where the runner tells its first process, and is swept where it had no time, or never heard."""
    for graph in PAIRS["workspace"]:
        rehearsing = set()
        for node in nodes(graph):
            rehearsed = [c.text for c in node.commands if c.text.startswith("gatehouse rehearse")]
            if rehearsed and node.environment:
                rehearsing.add((node.workflow, node.name))
                swept = [c.text for c in node.commands if c.when == "cancelled"]
                assert swept == [text.replace(" rehearse ", " sweep ") for text in rehearsed], node.name
        assert rehearsing == {("pull-request", "workspace"), ("staging", "rehearsal")}
    for path in (ROOT / ".github").rglob("*.yml"):
        for line in path.read_text(encoding="utf-8").splitlines():
            assert "gatehouse rehearse" not in line or "run: exec gatehouse rehearse" in line, path.name


def test_what_deploys_a_bundle_has_the_command_line_for_it_before() -> None:
    """The same one everywhere, in a workspace alone."""
    tools = set()
    for graph in GRAPHS.values():
        for node in federated(graph):
            kinds = [
                command.kind if command.kind == "tool" else command.text
                for command in node.commands
                if command.kind == "tool" or re.match("gatehouse (deploy|rollback)", command.text)
            ]
            if node.name not in ("test_template", "test_slow"):
                tools |= {command.text for command in node.commands if command.kind == "tool"}
                deploys = bool([kind for kind in kinds if kind != "tool"])
                assert ("tool" in kinds) is (deploys and graph in PAIRS["workspace"]), f"{node.workflow} {node.name}"
                assert kinds[:1] == ["tool"] or not (deploys and graph in PAIRS["workspace"])
    assert len(tools) == 1


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
    """But for a workspace without federation, which is tried by hand, by one command, in an environment of its own."""
    for path in (ROOT / ".github").rglob("*.yml"):
        named = re.findall(r"secrets\.(?!GITHUB_TOKEN)\w+|secrets: inherit", path.read_text("utf-8"))
        assert named == (["secrets.DATABRICKS_CLIENT_SECRET"] if path.name == "workspace-smoke.yml" else []), path.name
    assert set(triggers(ON_GITHUB["workspace-smoke.yml"])) == {"workflow_dispatch"}
    for graph in PAIRS["runner"]:
        (node,) = graph["workspace-smoke"].values()
        handed = [command.text for command in node.commands if "DATABRICKS_CLIENT_SECRET" in dict(command.env)]
        assert (node.environment, handed) == ("smoke", ['gatehouse smoke --catalog "$CATALOG"'])


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
    assert {(workflow, name) for workflow, name, _ in typed} == {
        ("cut-release", "NAME"),
        ("cut-release", "COMMIT"),
        ("rollback", "REASON"),
        ("workspace-smoke", "CATALOG"),
    }
    assert [value for _, _, value in typed if "$(" in value] == []


def test_variables_in_scripts_are_quoted() -> None:
    for graph in GRAPHS.values():
        for node in nodes(graph):
            for line in commands(node):
                bare = re.sub(r'"[^"]*"|\'[^\']*\'|\[\[.*?\]\]', "", line)
                assert "$" not in bare, f"{node.workflow} {node.name}: {line}"


def test_tokens_that_may_write_are_given_to_no_job_that_runs_what_a_model_brings() -> None:
    """Only steps that speak to the provider see a token: it stands in the environment of those steps alone."""
    for node in nodes(GITHUB):
        for command in node.commands:
            tokens = [name for name, value in command.env if "github.token" in value]
            if tokens and command.text.startswith("gatehouse"):
                assert command.text.split()[1] in SPEAKS, f"{node.workflow}: {command.text}"
    for document in ON_GITHUB.values():
        assert "github.token" not in _text_of({key: document.get(key) for key in ("env", "defaults")})
