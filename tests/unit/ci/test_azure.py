"""A step of an Azure pipeline: what it knows of its build, and what it tells the agent, the page and the boards."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from tests.unit.ci.azure_run import HOME, REPOSITORY, azure, build, listed
from tests.unit.ci.conftest import Interface

from gatehouse.ci import detect
from gatehouse.ci.provider import CiRun, Level
from gatehouse.errors import PlatformError, StateError, Unanswered

NOWHERE = "http://127.0.0.1:9"
BUILDS = f"GET {HOME}/_apis/build/builds"


def test_a_step_knows_its_build_without_asking(tmp_path: Path) -> None:
    assert azure(NOWHERE, tmp_path, SYSTEM_STAGEATTEMPT="2").run() == CiRun(
        id="77",
        attempt=2,
        url=f"{NOWHERE}/octo/the%20flights/_build/results?buildId=77",
        event="Manual",
        ref="refs/heads/release/1",
        commit="c" * 40,
        repository=REPOSITORY,
        people=("dora@example.org", "id-dora@example.org"),
        visibility="unknown",
    )


@pytest.mark.parametrize(
    ("variable", "value"),
    [("BUILD_BUILDID", ""), ("BUILD_REPOSITORY_ID", "../x"), ("SYSTEM_STAGEATTEMPT", "two"), ("BUILD_BUILDID", "7?x")],
)
def test_variables_that_azure_never_sets_are_refused(tmp_path: Path, variable: str, value: str) -> None:
    changed: Any = {variable: value}
    with pytest.raises(PlatformError, match=f"The variable {variable} is "):
        azure(NOWHERE, tmp_path, **changed).run()


def test_it_is_found_by_its_variable(tmp_path: Path) -> None:
    assert detect({"TF_BUILD": "True"}, log=io.StringIO(), folder=tmp_path).name == "azure"


def test_each_summary_is_a_file_that_the_agent_is_told_of(tmp_path: Path) -> None:
    log = io.StringIO()

    azure(NOWHERE, tmp_path, log=log).summary("# One\n##vso[x]é")

    (file,) = tmp_path.glob("*.md")
    assert file.read_text("utf-8") == "# One\n##vso[x]é"
    assert log.getvalue() == f"##vso[task.uploadsummary]{file}\n"


def test_groups_annotations_and_outputs_go_to_the_log(tmp_path: Path) -> None:
    log = io.StringIO()
    ci = azure(NOWHERE, tmp_path, log=log)

    with ci.group("Tests\n##vso[x]"):
        ci.annotate(Level.WARNING, "look\n##vso[x]", file="a.yml", line=3)
        ci.annotate(Level.NOTICE, "fine\n##vso[x]")
        ci.output("version", "7\n##vso[x]")

    assert log.getvalue().splitlines() == [
        "##[group]Tests # #vso[x]",
        "##vso[task.logissue type=warning;sourcepath=a.yml;linenumber=3;]look%0A##vso[x]",
        "fine",
        "# #vso[x]",
        "##vso[task.setvariable variable=version;isOutput=true;]7%0A##vso[x]",
        "##[endgroup]",
    ]


def test_artefacts_are_those_of_this_build_and_of_green_builds_of_this_repository(
    interface: Interface, tmp_path: Path
) -> None:
    foreign = {"id": "other", "type": "TfsGit"}
    interface.on(BUILDS, listed(build(9), build(8), build(7, reason="pullRequest"), build(6, repository=foreign)))
    interface.on(f"{BUILDS}/77", build(77, finishTime=None, result=None, queueTime="2026-11-21T00:00:00Z"))
    for number in (77, 9, 7, 6):
        interface.on(f"{BUILDS}/{number}/artifacts", {"id": 1, "name": "lakehouse-prod", "resource": {"type": "x"}})

    found = azure(interface.address, tmp_path).artefacts("lakehouse-prod")

    assert [a.id for a in found] == ["77/lakehouse-prod", "9/lakehouse-prod"]
    query = next(asked.query for asked in interface.asked if asked.path == f"{HOME}/_apis/build/builds")
    assert (query["resultFilter"], query["repositoryId"], query["$top"]) == ("succeeded", REPOSITORY, "30")


def test_one_artefact_is_found_by_build_and_name(interface: Interface, tmp_path: Path) -> None:
    interface.on(f"{BUILDS}/7", build(7, reason="pullRequest", result="failed"))
    interface.on(f"{BUILDS}/7/artifacts", {"id": 1, "name": "state"})
    ci = azure(interface.address, tmp_path)

    assert [(a.id, a.run_id, a.ours) for a in [ci.artefact("7/state")] if a] == [("7/state", "7", False)]
    assert [ci.artefact(number) for number in ("8/state", "7", "x/state", "")] == [None] * 4


def test_an_artefact_is_unpacked_without_the_folder_around_it(interface: Interface, tmp_path: Path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as target:
        target.writestr("state/", "")
        target.writestr("state/a/b.tar.gz", "x")
        target.writestr("state/../../../out", "y")
    interface.on(f"{BUILDS}/7", build(7))
    interface.on(f"{BUILDS}/7/artifacts", {"id": 1, "name": "state"})
    interface.on(f"{BUILDS}/7/artifacts", content.getvalue())
    ci = azure(interface.address, tmp_path)
    artefact = ci.artefact("7/state")
    assert artefact is not None

    ci.download(artefact, tmp_path / "deep" / "to")

    assert (tmp_path / "deep" / "to" / "a" / "b.tar.gz").read_text() == "x"
    assert not list(tmp_path.glob("out"))
    assert (interface.asked[-1].query["$format"], interface.asked[-1].headers["accept"]) == ("zip", "application/zip")


def test_an_artefact_of_a_pull_request_is_not_unpacked(interface: Interface, tmp_path: Path) -> None:
    interface.on(f"{BUILDS}/7", build(7, reason="pullRequest"))
    interface.on(f"{BUILDS}/7/artifacts", {"id": 1, "name": "state"})
    ci = azure(interface.address, tmp_path)
    artefact = ci.artefact("7/state")
    assert artefact is not None

    with pytest.raises(StateError, match="a pull request made it"):
        ci.download(artefact, tmp_path / "to")


@pytest.mark.parametrize(
    ("found", "address"),
    [
        (build(9), "https://dev.azure.com/octo/flights/_build/results?buildId=9"),
        (build(9, commit="d" * 40), None),
        ({**build(9), "sourceBranch": "refs/heads/mine"}, None),
        (build(9, reason="pullRequest"), None),
        (build(9, result="partiallySucceeded"), None),
    ],
    ids=["green", "another commit", "another branch", "a pull request's", "half green"],
)
def test_only_a_green_build_of_ours_on_this_very_commit_counts(
    interface: Interface, tmp_path: Path, found: dict[str, Any], address: str | None
) -> None:
    interface.on(f"GET {HOME}/_apis/build/definitions", listed({"id": 3, "name": "staging"}, {"id": 4, "name": "x"}))
    interface.on(BUILDS, listed(found))

    assert azure(interface.address, tmp_path).successful_run("staging", "c" * 40, branch="main") == address
    assert interface.asked[-1].query["definitions"] == "3"


def test_a_pipeline_that_does_not_exist_was_never_green(interface: Interface, tmp_path: Path) -> None:
    interface.on(f"GET {HOME}/_apis/build/definitions", listed())

    assert azure(interface.address, tmp_path).successful_run("staging", "c" * 40, branch="main") is None


def item(number: int, tags: str, *, title: str = "Drift", text: str = "Look.") -> dict[str, Any]:
    fields = {"System.Tags": tags, "System.Title": title, "System.Description": f"<pre>{text}</pre>"}
    return {"id": number, "fields": fields}


def changes(asked: Any) -> dict[str, str]:
    return {change["path"].removeprefix("/fields/"): change["value"] for change in asked.body}


def test_the_first_time_a_task_is_made(interface: Interface, tmp_path: Path) -> None:
    interface.on(f"POST {HOME}/_apis/wit/wiql", {"workItems": [{"id": 1}]})
    interface.on(f"GET {HOME}/_apis/wit/workitems", listed(item(1, "gatehouse; drift/other")))
    interface.on(f"POST {HOME}/_apis/wit/workitems/$Task", {"id": 5})

    address = azure(interface.address, tmp_path).raise_issue("drift/age", "Drift", "a <b>")

    assert address == f"{interface.address}/octo/the%20flights/_workitems/edit/5"
    assert changes(interface.asked[-1]) == {
        "System.Title": "Drift",
        "System.Description": "<pre>a &lt;b&gt;</pre>",
        "System.Tags": "gatehouse; drift/age",
    }
    assert interface.asked[-1].headers["content-type"] == "application/json-patch+json"


def test_an_open_task_is_brought_up_to_date_and_not_made_again(interface: Interface, tmp_path: Path) -> None:
    interface.on(f"POST {HOME}/_apis/wit/wiql", {"workItems": [{"id": 5}]})
    interface.on(f"GET {HOME}/_apis/wit/workitems", listed(item(5, "gatehouse; Drift/Age")))
    interface.on(f"PATCH {HOME}/_apis/wit/workitems/5", {"id": 5})
    ci = azure(interface.address, tmp_path)

    ci.raise_issue("drift/age", "Drift", "Look.")
    unchanged = len(interface.to("PATCH"))
    ci.raise_issue("drift/age", "Drift", "Worse.")

    assert unchanged == 0
    assert [changes(asked) for asked in interface.to("PATCH")] == [
        {"System.Title": "Drift", "System.Description": "<pre>Worse.</pre>"}
    ]


def test_a_task_ends_in_the_state_of_its_process(interface: Interface, tmp_path: Path) -> None:
    interface.on(f"POST {HOME}/_apis/wit/wiql", {"workItems": [{"id": 5}]})
    interface.on(f"GET {HOME}/_apis/wit/workitems", listed(item(5, "gatehouse; drift/age")))
    states = ({"name": "To Do", "category": "Proposed"}, {"name": "Done", "category": "Completed"})
    interface.on(f"GET {HOME}/_apis/wit/workitemtypes/Task/states", listed(*states))
    interface.on(f"PATCH {HOME}/_apis/wit/workitems/5", {"id": 5})
    ci = azure(interface.address, tmp_path)

    assert ci.settle_issue("drift/age", "Gone.") == f"{interface.address}/octo/the%20flights/_workitems/edit/5"
    assert changes(interface.asked[-1]) == {"System.State": "Done", "System.History": "Gone."}
    assert ci.settle_issue("drift/other", "Gone.") is None


THREADS = f"{HOME}/_apis/git/repositories/{REPOSITORY}/pullRequests/5/threads"


def thread(number: int, content: str, descriptor: str) -> dict[str, Any]:
    return {"id": number, "comments": [{"id": 1, "content": content, "author": {"descriptor": descriptor}}]}


def test_the_first_comment_is_written_and_the_next_replaces_it(interface: Interface, tmp_path: Path) -> None:
    mark = "<!-- gatehouse: checks -->\n"
    interface.on(f"GET {THREADS}", listed(thread(1, mark + "forged", "aad.x"), {"id": 2, "comments": []}))
    interface.on(f"GET {THREADS}", listed(thread(1, mark + "forged", "aad.x"), thread(3, mark + "one", "svc.x")))
    interface.on(f"POST {THREADS}", {"id": 3})
    interface.on(f"PATCH {THREADS}/3/comments/1", {"id": 1})
    ci = azure(interface.address, tmp_path)

    assert ci.comment(5, "checks", "one") == ci.comment(5, "checks", "two")
    assert [asked.body["comments"][0]["content"] for asked in interface.to("POST")] == [mark + "one"]
    assert [asked.body for asked in interface.to("PATCH")] == [{"content": mark + "two"}]


def test_a_token_that_may_not_write_writes_no_comment(interface: Interface, tmp_path: Path) -> None:
    interface.on(f"GET {THREADS}", listed())
    interface.on(f"POST {THREADS}", {"message": "no"}, status=403)

    assert azure(interface.address, tmp_path).comment(5, "checks", "one") is None


def test_a_pull_request_that_does_not_exist_is_an_error(interface: Interface, tmp_path: Path) -> None:
    with pytest.raises(Unanswered, match="Azure DevOps answered 404"):
        azure(interface.address, tmp_path).comment(5, "checks", "one")
