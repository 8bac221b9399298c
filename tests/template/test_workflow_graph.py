"""What is proven about all workflows of both providers without running them: they are equal, reachable, fail-closed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from itertools import product
from typing import Any

import click
import pytest
from tests.template.harness.azure_graph import azure_documents, azure_graph
from tests.template.harness.azure_triggers import push_starts, schedules
from tests.template.harness.github_graph import github_documents, github_graph, reached
from tests.template.harness.github_triggers import Event, starts, triggers
from tests.template.harness.globs import example
from tests.template.harness.graph import Graph, Node, ancestors
from tests.template.harness.yaml_files import ROOT, read

from gatehouse.cli import group

PAIRS = {
    where: (github_graph(workspace=there), azure_graph(workspace=there))
    for where, there in (("runner", False), ("workspace", True))
}
"""Both providers' graphs, by where the environments live: on the machine itself, or in a workspace."""
GITHUB, AZURE = PAIRS["workspace"]  # which has every job
ON_GITHUB, ON_AZURE = github_documents(), azure_documents()
GRAPHS = {
    f"{provider}-{where}": graph
    for where, pair in PAIRS.items()
    for provider, graph in zip(("github", "azure"), pair, strict=True)
}

ONLY_ON_GITHUB = {
    ("pull-request", "pass"): "branch protection requires jobs; a branch policy of Azure requires the whole run",
    ("release", "release_pass"): "as above",
    ("release", "publish"): "releases beside tags are GitHub's; on Azure the artefact `decision-1` is what stays",
    (
        "pull-request-closed",
        "sweep",
    ): "closing a pull request starts nothing on Azure; the next sweep finds what it left",
}
ONLY_ON_GITHUB_COMMANDS = {
    ("pull-request", "rehearsal", "gatehouse comment --pull-request"): "a token reaches no pull request on Azure",
    ("pull-request", "test_template", "databricks/setup-cli@"): "make builds the one for tests where there is none",
    ("staging", "test_slow", "databricks/setup-cli@"): "as above",
}


def nodes(graph: Graph) -> Iterator[Node]:
    for jobs in graph.values():
        yield from jobs.values()


def every_job() -> list[Any]:
    return [
        pytest.param(provider, node, id=f"{provider}-{node.workflow}-{node.name}")
        for provider, graph in GRAPHS.items()
        for node in nodes(graph)
    ]


def commands(node: Node) -> list[str]:
    """The command lines of a job, also of steps with several."""
    return [line.strip() for command in node.commands if command.kind == "run" for line in command.text.splitlines()]


def gatehouse(node: Node) -> list[str]:
    return [line for line in commands(node) if line.startswith("gatehouse ")]


# --- equal -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", PAIRS)
def test_both_providers_have_the_same_workflows_with_the_same_jobs(where: str) -> None:
    here, there = ({(node.workflow, node.name) for node in nodes(graph)} for graph in PAIRS[where])
    assert here - there == set(ONLY_ON_GITHUB) & here
    assert there - here == set()


def test_all_that_needs_a_workspace_is_the_two_jobs_of_pull_requests_and_what_tries_it() -> None:
    for beyond, without in zip(PAIRS["workspace"], PAIRS["runner"], strict=True):
        more = {(n.workflow, n.name) for n in nodes(beyond)} - {(n.workflow, n.name) for n in nodes(without)}
        assert more <= {("pull-request", "workspace"), ("pull-request-closed", "sweep")}
        assert ("pull-request", "workspace") in more


@pytest.mark.parametrize(
    ("where", "job"),
    [
        pytest.param(where, (n.workflow, n.name), id=f"{where}-{n.workflow}-{n.name}")
        for where, (_, azure) in PAIRS.items()
        for n in nodes(azure)
    ],
)
def test_both_providers_run_the_same_commands_in_the_same_order_after_the_same_jobs(
    where: str, job: tuple[str, str]
) -> None:
    workflow, name = job
    here, there = (graph[workflow][name].alike() for graph in PAIRS[where])
    allowed = tuple(text for w, n, text in ONLY_ON_GITHUB_COMMANDS if (w, n) == job)
    kept = [command for command in here.commands if not (allowed and command.text.startswith(allowed))]
    assert kept == list(there.commands)
    assert (here.needs, here.environment, here.when, here.minutes, here.machine) == (
        there.needs,
        there.environment,
        there.when,
        there.minutes,
        there.machine,
    )


def test_where_a_job_needs_history_both_providers_fetch_it() -> None:
    whole = {"gatehouse live", "gatehouse deploy", "gatehouse release", "gatehouse rollback", "gatehouse promote"}
    for graph in GRAPHS.values():
        for node in nodes(graph):
            if any(line.startswith(tuple(whole)) for line in commands(node)):
                depths = {command.text for command in node.commands if command.kind == "checkout"}
                assert depths == {"depth 0"}, f"{node.workflow} {node.name}"


@pytest.mark.parametrize(
    "ref", ["refs/heads/main", "refs/heads/topic", "refs/heads/release/2026-11", "refs/tags/v1.2.0", "refs/tags/x"]
)
def test_a_push_starts_the_same_workflows_on_both_providers(ref: str) -> None:
    event = Event(name="push", ref=ref)
    on_github = {name.removesuffix(".yml") for name, document in ON_GITHUB.items() if starts(document, event)}
    assert on_github == {name for name, document in ON_AZURE.items() if push_starts(document, ref)}


def test_both_providers_start_the_same_workflows_at_the_same_hours() -> None:
    on_github = {
        (name.removesuffix(".yml"), entry["cron"])
        for name, document in ON_GITHUB.items()
        for entry in triggers(document).get("schedule", [])
    }
    on_azure = {(name, entry["cron"]) for name, document in ON_AZURE.items() for entry in schedules(document)}
    assert on_github == on_azure


# --- reachable -------------------------------------------------------------------------------------------------------


def events_of(document: dict[str, Any], name: str) -> Iterator[tuple[Event, dict[str, Any]]]:
    """One event for each trigger and pattern, with what it says to conditions."""
    on = triggers(document)
    for kind, filters in on.items():
        if kind == "push":
            for refs, patterns in (("heads", (filters or {}).get("branches")), ("tags", (filters or {}).get("tags"))):
                for pattern in patterns or []:
                    ref = f"refs/{refs}/{example(pattern)}"
                    about = {"ref": ref, "ref_type": "tag" if refs == "tags" else "branch", "event_name": "push"}
                    yield Event(name="push", ref=ref), about
        elif kind == "schedule":
            for entry in filters:
                yield Event(name="schedule", cron=entry["cron"]), {"event_name": "schedule", "ref": "refs/heads/main"}
        elif kind != "workflow_call":
            action = (filters or {}).get("types", [""])[0]
            about = {"event_name": kind}
            yield Event(name=kind, ref="refs/heads/main", workflow=name, action=action), about


def test_every_pattern_of_a_trigger_starts_its_workflow() -> None:
    for name, document in ON_GITHUB.items():
        for event, _ in events_of(document, name):
            assert starts(document, event, name), f"{event} does not start {name}"


@pytest.mark.broken_gate(9)
def test_every_job_on_github_is_reachable_by_a_trigger() -> None:
    documents = ON_GITHUB
    for workflow, jobs in GITHUB.items():
        found: set[str] = set()
        for _, about in events_of(documents[f"{workflow}.yml"], f"{workflow}.yml"):
            found |= reached(jobs, {"github": about})
        assert found == set(jobs), f"{workflow}: nothing reaches {sorted(set(jobs) - found)}"


@pytest.mark.broken_gate(9)
def test_every_reusable_workflow_is_called() -> None:
    documents = ON_GITHUB
    jobs = [job for document in documents.values() for job in document["jobs"].values()]
    called = {job["uses"].rsplit("/", 1)[1] for job in jobs if "uses" in job}
    assert {name for name, document in documents.items() if set(triggers(document)) == {"workflow_call"}} == called


@pytest.mark.broken_gate(9)
def test_every_pipeline_on_azure_has_a_way_to_start() -> None:
    by_hand = {"cut-release", "rollback", "workspace-smoke"}
    by_policy = {"pull-request"}
    for name, document in ON_AZURE.items():
        refs = ["refs/heads/main", "refs/heads/release/1", "refs/tags/v1"]
        pushed = any(push_starts(document, ref) for ref in refs)
        assert pushed or schedules(document) or name in by_hand | by_policy, name


def test_every_template_and_action_is_used() -> None:
    text = "\n".join(path.read_text("utf-8") for path in (ROOT / ".azure-pipelines").rglob("*.yml"))
    unused = [path.name for path in (ROOT / ".azure-pipelines/templates").glob("*.yml") if f"{path.name}" not in text]
    assert unused == []
    text = "\n".join(path.read_text("utf-8") for path in (ROOT / ".github").rglob("*.yml"))
    folders = [path.parent.name for path in (ROOT / ".github/actions").glob("*/action.yml")]
    assert [name for name in folders if f"./.github/actions/{name}" not in text] == []


# --- fail closed -----------------------------------------------------------------------------------------------------


@pytest.mark.broken_gate(10)
@pytest.mark.parametrize(("provider", "node"), every_job())
def test_a_promotion_depends_on_every_gate(provider: str, node: Node) -> None:
    jobs = GRAPHS[provider][node.workflow]
    own = gatehouse(node)
    earlier = [line for name in ancestors(jobs, node.name) for line in gatehouse(jobs[name])]
    for position, line in enumerate(own):
        before = earlier + own[:position]
        if line.startswith("gatehouse promote"):
            assert any(text.startswith("gatehouse approve") and "--from-ci" in text for text in own[:position])
            assert any(text.startswith("gatehouse release") for text in earlier)
            assert node.environment == "prod-approval"
            assert "output" in node.when
        if line.startswith(("gatehouse deploy --env prod", "gatehouse cut-release")):
            assert any(text.startswith("gatehouse tested --env staging") for text in before)
        if line.startswith("gatehouse deploy --env staging"):
            assert any(text.startswith("gatehouse rehearse --env staging") for text in earlier)
        if line.startswith("gatehouse rollback"):
            assert node.environment == "prod-approval"
        if line.startswith("gatehouse publish"):
            # of a version that was promoted here, or is found to be the champion already
            assert any(text.startswith(("gatehouse promote", "gatehouse release")) for text in before)


@pytest.mark.broken_gate(10)
@pytest.mark.parametrize("provider", GRAPHS)
def test_every_job_that_follows_a_gate_waits_for_all_gates_of_its_workflow(provider: str) -> None:
    """A job of production that is no ancestor of a gate has that gate among its own ancestors."""
    gates = ("gatehouse tested", "gatehouse rehearse", "gatehouse release", "gatehouse approve")
    for jobs in GRAPHS[provider].values():
        for gate in [node for node in jobs.values() if any(line.startswith(gates) for line in commands(node))]:
            for node in jobs.values():
                production = (node.environment or "").startswith("prod")
                behind = node is not gate and node.name not in ancestors(jobs, gate.name)
                if production and behind:
                    assert gate.name in ancestors(jobs, node.name), f"{node.workflow}: {node.name}, {gate.name}"


@pytest.mark.parametrize(("provider", "node"), every_job())
def test_whoever_writes_to_production_names_its_environment(provider: str, node: Node) -> None:
    writes = [line for line in gatehouse(node) if "--env prod" in line]
    assert not writes or (node.environment or "").startswith("prod")
    assert not [line for line in gatehouse(node) if "--env staging" in line and "tested" not in line] or (
        node.environment == "staging" or node.workflow.startswith("pull-request")
    )


@pytest.mark.parametrize(("provider", "node"), every_job())
def test_the_state_is_restored_first_and_pointed_to_last(provider: str, node: Node) -> None:
    own = gatehouse(node)
    if any(line.startswith("gatehouse state point") for line in own):
        assert own[0].startswith("gatehouse state restore")
        assert own[-1].startswith("gatehouse state point")
        kinds = [(command.kind, command.text.split()[0]) for command in node.commands][-3:]
        assert [kind for kind, _ in kinds] == ["run", "upload", "run"]


@pytest.mark.broken_gate(12)
@pytest.mark.parametrize(("provider", "node"), every_job())
def test_no_step_is_a_bare_echo_and_none_swallows_a_failure(provider: str, node: Node) -> None:
    for command in node.commands:
        if command.kind == "run":
            words = command.alike()[1]
            assert not re.fullmatch(r"\s*(echo|printf|true|:)\b.*", words) or words == "PATH += .venv/bin", words
            assert not re.search(r"\|\|\s*(true|:|echo)|set \+e|; *true$", words), words


@pytest.mark.broken_gate(12)
def test_on_github_no_failure_is_forgiven() -> None:
    for path in (ROOT / ".github").rglob("*.yml"):
        assert "continue-on-error" not in path.read_text(encoding="utf-8"), path.name
    for path in (ROOT / ".azure-pipelines").rglob("*.yml"):
        assert "continueOnError" not in path.read_text(encoding="utf-8"), path.name


@pytest.mark.broken_gate(13)
@pytest.mark.parametrize(("provider", "node"), every_job())
def test_a_step_with_several_commands_or_a_pipe_fails_fast(provider: str, node: Node) -> None:
    """GitHub's `shell: bash` has -e and pipefail; Azure's has neither."""
    for command in node.commands:
        plain = re.sub(r'"[^"]*"|\[\[.*\]\]', "", command.text)
        several = len(command.text.splitlines()) > 1 or re.search(r"[;|]", plain)
        if command.kind == "run" and provider.startswith("azure") and several:
            assert command.text.startswith(("set -e\n", "set -euo pipefail\n")), command.text


def test_on_github_every_workflow_and_action_runs_in_a_shell_that_fails_fast() -> None:
    for name, document in ON_GITHUB.items():
        runs = [step for job in document["jobs"].values() for step in job.get("steps", []) if "run" in step]
        assert not runs or document.get("defaults") == {"run": {"shell": "bash"}}, name
    for path in (ROOT / ".github/actions").glob("*/action.yml"):
        assert {step["shell"] for step in read(path)["runs"]["steps"] if "run" in step} <= {"bash"}, path.parent.name


@pytest.mark.parametrize(("workflow", "name"), [("pull-request", "pass"), ("release", "release_pass")])
def test_the_last_job_waits_for_every_other_job_and_never_skips(workflow: str, name: str) -> None:
    jobs = GITHUB[workflow]
    assert ancestors(jobs, name) == set(jobs) - {name}
    assert jobs[name].condition == "always()"


def test_on_github_the_required_check_has_its_name_for_itself() -> None:
    """A pull request from a release branch shows the release's checks as well: they stand on the same commit."""
    assert [workflow for workflow, jobs in GITHUB.items() if "pass" in jobs] == ["pull-request"]


@pytest.mark.parametrize(("provider", "node"), every_job())
def test_every_job_has_a_time_limit(provider: str, node: Node) -> None:
    assert node.minutes is not None
    assert 0 < node.minutes <= 60


# --- commands --------------------------------------------------------------------------------------------------------


def choices_of(workflow: str, value: str) -> list[str]:
    """What a variable of a step can hold: itself, each option of a choice, or a 1 where anything may stand."""
    if value and not re.search(r"\$|MARKER", value):
        return [value]
    found = re.search(r"inputs\.(\w+)", value)
    on = triggers(ON_GITHUB[f"{workflow}.yml"]).get("workflow_dispatch") or {}
    about = (on.get("inputs") or {}).get(found[1], {}) if found else {}
    return list(about.get("options", ["1"]))


def spelled_out(node: Node, line: str, env: dict[str, str]) -> Iterator[str]:
    """The line with each combination of what its variables can hold."""
    variable = re.compile(r"\$(?:\{(\w+)[^}]*\}|(\w+))")
    names = [found[1] or found[2] for found in variable.finditer(line)]
    for values in product(*(choices_of(node.workflow, env.get(name, "")) for name in names)):
        text = line
        for value in values:
            text = variable.sub(value, text, count=1)
        yield text


def command_lines() -> list[Any]:
    """Every `gatehouse ...` of both providers."""
    found: dict[str, str] = {}
    for provider, graph in GRAPHS.items():
        for node in nodes(graph):
            for command in node.commands:
                for line in command.text.splitlines() if command.kind == "run" else []:
                    if line.strip().startswith("gatehouse "):
                        for text in spelled_out(node, line.strip(), dict(command.env)):
                            found.setdefault(text, f"{provider}-{node.workflow}-{node.name}")
    return [pytest.param(line, id=f"{where}: {line}") for line, where in found.items()]


@pytest.mark.broken_gate(11)
@pytest.mark.parametrize("line", command_lines())
def test_every_command_line_parses_against_the_command_line_interface(line: str) -> None:
    program, *words = shlex.split(line)
    command: click.Command = group
    context = command.make_context(program, words)
    while isinstance(command, click.Group):
        name, found, words = command.resolve_command(context, [*getattr(context, "_protected_args", []), *context.args])
        assert found is not None, f"{line}: there is no {name}"
        command = found
        context = command.make_context(name or "", list(words), parent=context)


@pytest.mark.broken_gate(11)
def test_a_command_line_with_a_flag_that_does_not_exist_would_not_parse() -> None:
    for line in ("gatehouse release --environment prod", "gatehouse releese", "gatehouse run everything"):
        with pytest.raises(click.UsageError):
            test_every_command_line_parses_against_the_command_line_interface(line)
