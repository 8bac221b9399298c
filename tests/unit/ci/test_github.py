"""A step of GitHub Actions: what it knows of its run, and what it writes to page, log, outputs, issues and comments."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from tests.unit.ci.conftest import Interface
from tests.unit.ci.github_run import COMMIT, HOME, github

from gatehouse.ci import detect
from gatehouse.ci.github import SUMMARY_LIMIT
from gatehouse.ci.provider import CiRun, Level
from gatehouse.errors import PlatformError, Unanswered, UsageError

NOWHERE = "http://127.0.0.1:9"


def test_a_step_knows_its_run_without_asking(tmp_path: Path) -> None:
    assert github(NOWHERE, tmp_path, attempt=3, GITHUB_TRIGGERING_ACTOR="rita").run() == CiRun(
        id="77",
        attempt=3,
        url="https://github.com/octo/flights/actions/runs/77",
        event="workflow_dispatch",
        ref="refs/heads/release/1",
        commit=COMMIT,
        repository="octo/flights",
        people=("dora", "rita"),
        visibility="public",
    )


def test_an_event_that_cannot_be_read_says_nothing(tmp_path: Path) -> None:
    ci = github(NOWHERE, tmp_path)
    (tmp_path / "event.json").write_text('["no event"')

    assert (ci.run().visibility, ci.run().people) == ("unknown", ("dora",))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GITHUB_REPOSITORY", ""),
        ("GITHUB_REPOSITORY", "octo/../admin"),
        ("GITHUB_RUN_ID", "77?x=1"),
        ("GITHUB_RUN_ATTEMPT", "0"),
        ("GITHUB_RUN_ATTEMPT", "two"),
        ("GITHUB_SHA", "a b"),
    ],
)
def test_variables_that_github_never_sets_are_refused(tmp_path: Path, variable: str, value: str) -> None:
    changed: Any = {variable: value}
    with pytest.raises(PlatformError, match=f"The variable {variable} is "):
        github(NOWHERE, tmp_path, **changed).run()


def test_its_page_grows_by_what_is_said(tmp_path: Path) -> None:
    ci = github(NOWHERE, tmp_path)

    ci.summary("# One\n")
    ci.summary("Two é")

    assert (tmp_path / "summary.md").read_text("utf-8") == "# One\n\nTwo é\n\n"


def test_a_page_that_is_too_long_is_cut_and_says_so(tmp_path: Path) -> None:
    ci = github(NOWHERE, tmp_path)

    ci.summary("é" * SUMMARY_LIMIT)

    written = (tmp_path / "summary.md").read_bytes()
    assert len(written) <= SUMMARY_LIMIT
    assert written.decode().endswith("é\n\n*Cut: a summary may not be longer.*\n\n")


def test_outputs_are_appended(tmp_path: Path) -> None:
    ci = github(NOWHERE, tmp_path)

    ci.output("version", "7")
    ci.output("reason", "a\nversion=8")

    lines = (tmp_path / "output").read_text().splitlines()
    assert [line.partition("<<")[0] for line in lines if "<<" in line] == ["version", "reason"]
    assert lines[1] == "7"
    assert lines[4:6] == ["a", "version=8"]
    assert lines[5] != lines[6] == lines[3].partition("<<")[2]


def test_groups_and_annotations_go_to_the_log(tmp_path: Path) -> None:
    log = io.StringIO()
    environ = {"GITHUB_ACTIONS": "true"}
    ci = detect(environ, log=log, folder=tmp_path)

    with pytest.raises(ValueError, match="broken"), ci.group("Tests\n::x"):
        raise ValueError("broken")
    ci.annotate(Level.WARNING, "look here", file="conf/a.yml", line=3)

    assert log.getvalue() == ("::group::Tests%0A::x\n::endgroup::\n::warning file=conf/a.yml,line=3::look here\n")


def test_a_step_without_a_page_or_outputs_says_nothing(tmp_path: Path) -> None:
    ci = github(NOWHERE, tmp_path, GITHUB_STEP_SUMMARY="", GITHUB_OUTPUT="")

    ci.summary("x")
    ci.output("a", "b")

    assert [p.name for p in tmp_path.iterdir()] == ["event.json"]


def issue(number: int, key: str, *, title: str = "Drift", body: str = "Look.", **other: Any) -> dict[str, Any]:
    return {
        "number": number,
        "title": title,
        "body": f"<!-- gatehouse: {key} -->\n{body}",
        "html_url": f"https://github.com/octo/flights/issues/{number}",
        **other,
    }


def test_the_first_time_an_issue_is_opened(interface: Interface, tmp_path: Path) -> None:
    others = [
        issue(1, "drift/other"),
        issue(2, "drift/age", pull_request={"url": "x"}),
        issue(3, "x", body="drift/age"),
    ]
    interface.on(f"GET {HOME}/issues", others)
    interface.on(f"POST {HOME}/issues", issue(4, "drift/age"), status=201)

    address = github(interface.address, tmp_path).raise_issue("drift/age", "Drift", "Look.")

    assert address == "https://github.com/octo/flights/issues/4"
    assert interface.asked[0].query == {"state": "open", "labels": "gatehouse", "per_page": "100"}
    assert [asked.body for asked in interface.to("POST")] == [
        {"title": "Drift", "body": "<!-- gatehouse: drift/age -->\nLook.", "labels": ["gatehouse"]}
    ]


def test_an_open_issue_is_brought_up_to_date_and_not_opened_again(interface: Interface, tmp_path: Path) -> None:
    interface.on(f"GET {HOME}/issues", [issue(4, "drift/age")])
    interface.on(f"PATCH {HOME}/issues/4", issue(4, "drift/age"))
    ci = github(interface.address, tmp_path)

    ci.raise_issue("drift/age", "Drift", "Look.")
    unchanged = len(interface.to("PATCH"))
    address = ci.raise_issue("drift/age", "Drift", "Worse.")

    assert (unchanged, address) == (0, "https://github.com/octo/flights/issues/4")
    assert [asked.body for asked in interface.to("PATCH")] == [
        {"title": "Drift", "body": "<!-- gatehouse: drift/age -->\nWorse."}
    ]
    assert interface.to("POST") == []


def test_an_issue_is_closed_with_a_last_word(interface: Interface, tmp_path: Path) -> None:
    interface.on(f"GET {HOME}/issues", [issue(4, "drift/age")])
    interface.on(f"POST {HOME}/issues/4/comments", {"id": 1}, status=201)
    interface.on(f"PATCH {HOME}/issues/4", {"state": "closed"})
    ci = github(interface.address, tmp_path)

    assert ci.settle_issue("drift/age", "Gone.") == "https://github.com/octo/flights/issues/4"
    assert [(asked.method, asked.body) for asked in interface.asked[1:]] == [
        ("POST", {"body": "Gone."}),
        ("PATCH", {"state": "closed", "state_reason": "completed"}),
    ]
    assert ci.settle_issue("drift/carrier", "Gone.") is None


@pytest.mark.parametrize("key", ["", "a --> b", "a\nb", "a--b", "-a", "x" * 101])
def test_a_key_that_would_end_its_marker_is_refused(interface: Interface, tmp_path: Path, key: str) -> None:
    with pytest.raises(UsageError, match="cannot be the key"):
        github(interface.address, tmp_path).raise_issue(key, "Drift", "Look.")
    assert interface.asked == []


def said(number: int, body: str, kind: str = "Bot") -> dict[str, Any]:
    return {
        "id": number,
        "body": body,
        "user": {"login": "x", "type": kind},
        "html_url": f"https://github.com/c/{number}",
    }


def test_the_first_comment_is_written_and_the_next_replaces_it(interface: Interface, tmp_path: Path) -> None:
    mark = "<!-- gatehouse: checks -->\n"
    interface.on(f"GET {HOME}/issues/5/comments", [said(1, "hello"), said(2, mark + "forged", "User")])
    interface.on(f"GET {HOME}/issues/5/comments", [said(2, mark + "forged", "User"), said(3, mark + "one")])
    interface.on(f"POST {HOME}/issues/5/comments", said(3, ""), status=201)
    interface.on(f"PATCH {HOME}/issues/comments/3", said(3, ""))
    ci = github(interface.address, tmp_path)

    assert ci.comment(5, "checks", "one") == "https://github.com/c/3"
    assert ci.comment(5, "checks", "two") == "https://github.com/c/3"
    assert [asked.body for asked in interface.to("POST")] == [{"body": mark + "one"}]
    assert [asked.body for asked in interface.to("PATCH")] == [{"body": mark + "two"}]


def test_a_forks_pull_request_gets_no_comment_and_no_error(interface: Interface, tmp_path: Path) -> None:
    interface.on(f"GET {HOME}/issues/5/comments", [])
    interface.on(f"POST {HOME}/issues/5/comments", {"message": "Resource not accessible by integration"}, status=403)

    assert github(interface.address, tmp_path).comment(5, "checks", "one") is None


def test_a_pull_request_that_does_not_exist_is_an_error(interface: Interface, tmp_path: Path) -> None:
    with pytest.raises(Unanswered, match="GitHub answered 404: Not Found"):
        github(interface.address, tmp_path).comment(5, "checks", "one")
