"""Where a merge is the approval, a run asks for it: one pull request for each record, by the calls of GitHub."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

import pytest
from tests.unit.ci.conftest import Interface
from tests.unit.ci.github_run import HOME, environment, github, user

from gatehouse.ci.github_asked import merge_owners
from gatehouse.ci.provider import Subject
from gatehouse.errors import Refused

RECORD = '{"version":"7"}'
DIGEST = hashlib.sha256(RECORD.encode()).hexdigest()
MODEL = "prod.main.flights"
SUBJECT = Subject(version="7", digest=DIGEST, model=MODEL, record=RECORD, about="Every gate opened.")
PATH = f"decisions/7-{DIGEST[:12]}.json"
HEAD = f"gatehouse/decisions/{MODEL}/7-{DIGEST[:12]}"
MAIN = "b" * 40


def pull(number: int, head: str = HEAD, *, state: str = "open", by: str = "github-actions[bot]") -> dict[str, Any]:
    """An entry of `GET /pulls`."""
    return {
        "number": number,
        "state": state,
        "user": user(by, "Bot" if "[bot]" in by else "User"),
        "head": {"ref": head, "sha": "d" * 40, "repo": {"full_name": "octo/flights"}},
        "base": {"ref": "main", "sha": MAIN},
    }


def chosen(interface: Interface, owners: bytes = b"/decisions/ @anna @Bert\n") -> None:
    """prod asks nobody, CODEOWNERS names who decides, and the record is not on main."""
    interface.on(f"GET {HOME}/environments/prod", environment())
    interface.on(f"GET {HOME}", {"default_branch": "main", "private": True})
    interface.on(f"GET {HOME}/contents/CODEOWNERS", owners)


def unasked(interface: Interface) -> None:
    """Nobody has been asked about this record."""
    chosen(interface)
    interface.on(f"GET {HOME}/pulls", [])
    interface.on(f"GET {HOME}/git/ref/heads/main", {"object": {"sha": MAIN}})
    interface.on(f"POST {HOME}/git/refs", {}, status=201)
    interface.on(f"PUT {HOME}/contents/{PATH}", {}, status=201)


def refused(interface: Interface, folder: Path) -> Refused:
    with pytest.raises(Refused) as caught:
        github(interface.address, folder).approvals("prod", SUBJECT)
    return caught.value


def written(interface: Interface) -> list[tuple[str, str, Any]]:
    return [(asked.method, asked.path.removeprefix(HOME), asked.body) for asked in interface.asked if asked.body]


def test_a_record_that_nobody_was_asked_about_gets_a_branch_and_a_pull_request(
    interface: Interface, tmp_path: Path
) -> None:
    unasked(interface)
    interface.on(f"POST {HOME}/pulls", pull(8), status=201)

    said = refused(interface, tmp_path)

    assert said.what == (
        f"Version 7 is not approved in run 77. It waits for pull request 8 of octo/flights, which adds {PATH}: "
        "anna, Bert may merge it."
    )
    assert "gh run rerun 77 --failed --repo octo/flights" in said.remedy
    (branch, file, opened) = written(interface)
    assert branch == ("POST", "/git/refs", {"ref": f"refs/heads/{HEAD}", "sha": MAIN})
    assert file[:2] == ("PUT", f"/contents/{PATH}")
    assert (file[2]["branch"], file[2]["message"]) == (HEAD, f"Approve version 7 of {MODEL}")
    content = base64.b64decode(file[2]["content"])
    assert hashlib.sha256(content.rstrip(b"\n")).hexdigest() == DIGEST, "what a merge of it would be read as"
    assert opened[:2] == ("POST", "/pulls")
    assert {**opened[2], "body": ""} == {
        "title": f"Approve version 7 of {MODEL}",
        "head": HEAD,
        "base": "main",
        "body": "",
    }
    for part in (f"decision record `{DIGEST[:12]}`", "`anna`, `Bert`", "/actions/runs/77)", "Every gate opened."):
        assert part in opened[2]["body"]


def test_asking_again_changes_nothing(interface: Interface, tmp_path: Path) -> None:
    chosen(interface)
    interface.on(f"GET {HOME}/pulls", [pull(8)])

    assert "It waits for pull request 8" in refused(interface, tmp_path).what
    assert written(interface) == []
    asked = next(asked.query for asked in interface.asked if asked.path == f"{HOME}/pulls")
    assert (asked["head"], asked["base"], asked["state"]) == (f"octo:{HEAD}", "main", "all")


def test_what_a_cancelled_run_has_begun_is_finished(interface: Interface, tmp_path: Path) -> None:
    unasked(interface)
    interface.on(f"GET {HOME}/git/ref/heads/{HEAD}", {"object": {"sha": MAIN}})
    interface.on(f"GET {HOME}/contents/{PATH}", None, status=404)
    interface.on(f"GET {HOME}/contents/{PATH}", f"{RECORD}\n".encode())
    interface.on(f"POST {HOME}/pulls", pull(8), status=201)

    assert "It waits for pull request 8" in refused(interface, tmp_path).what
    assert [call[:2] for call in written(interface)] == [("POST", "/pulls")]


def test_a_pull_request_that_was_closed_is_not_opened_again(interface: Interface, tmp_path: Path) -> None:
    chosen(interface)
    interface.on(f"GET {HOME}/pulls", [pull(8, state="closed")])
    interface.on(f"GET {HOME}/pulls", [])

    said = refused(interface, tmp_path)

    assert "Pull request 8, which asked for it, was closed" in said.what
    assert "gh pr reopen 8" in said.remedy
    assert written(interface) == []


@pytest.mark.parametrize("status", [403, 422])
def test_where_runs_may_open_none_the_branch_is_there_and_the_command_is_told(
    interface: Interface, tmp_path: Path, status: int
) -> None:
    unasked(interface)
    message = "GitHub Actions is not permitted to create or approve pull requests."
    interface.on(f"POST {HOME}/pulls", {"message": message}, status=status)

    said = refused(interface, tmp_path)

    assert message in said.what
    assert f"gh pr create --repo octo/flights --base main --head {HEAD} " in said.remedy
    assert "actions/permissions/workflow -F can_approve_pull_request_reviews=true" in said.remedy


def test_requests_for_what_it_replaces_are_closed_and_no_other(interface: Interface, tmp_path: Path) -> None:
    unasked(interface)
    ours = f"gatehouse/decisions/{MODEL}"
    others = [
        pull(1, f"{ours}/6-000000000000"),
        pull(2, f"{ours}/7-000000000000"),
        pull(3, f"{ours}/8-000000000000"),  # newer: its run was later, and this job is run again
        pull(4, "gatehouse/decisions/staging.main.flights/6-000000000000"),
        pull(5, f"{ours}/5-000000000000", by="carla"),
        {**pull(6, f"{ours}/5-000000000000"), "head": {"ref": f"{ours}/5-0", "sha": MAIN, "repo": None}},
        pull(8),
    ]
    interface.on(f"GET {HOME}/pulls", others)
    interface.on(f"POST {HOME}/pulls", pull(8), status=201)
    for number in (1, 2):
        interface.on(f"POST {HOME}/issues/{number}/comments", {}, status=201)
        interface.on(f"PATCH {HOME}/pulls/{number}", {})
    for head in (f"{ours}/6-000000000000", f"{ours}/7-000000000000"):
        interface.on(f"DELETE {HOME}/git/refs/heads/{head}", None, status=204)

    refused(interface, tmp_path)

    assert [call for call in written(interface) if re.search(r"/(issues|pulls)/\d", call[1])] == [
        ("POST", "/issues/1/comments", {"body": "Replaced by #8."}),
        ("PATCH", "/pulls/1", {"state": "closed"}),
        ("POST", "/issues/2/comments", {"body": "Replaced by #8."}),
        ("PATCH", "/pulls/2", {"state": "closed"}),
    ]
    assert len(interface.to("DELETE")) == 2


@pytest.mark.parametrize("owners", [b"* @anna\n", b"/docs/ @anna\n", b"/decisions/\n", b"\n"])
def test_owners_of_everything_have_not_chosen_to_approve_by_merging(
    interface: Interface, tmp_path: Path, owners: bytes
) -> None:
    chosen(interface, owners)

    (found,) = github(interface.address, tmp_path).approvals("prod", SUBJECT)

    assert not found.protected
    assert written(interface) == []


def test_an_answer_that_cannot_be_had_is_no_approval(interface: Interface, tmp_path: Path) -> None:
    chosen(interface)
    interface.on(f"GET {HOME}/pulls", {"message": "Resource not accessible by integration"}, status=403)

    assert "cannot be told" in refused(interface, tmp_path).what


def test_the_last_line_decides_who_merges() -> None:
    assert merge_owners(PATH, "* @a\n/decisions/ @b\n") == ("b",)
    assert merge_owners(PATH, "decisions/*.json @b @octo/risk # of late\n") == ("b", "octo/risk")
    assert merge_owners(PATH, "/decisions/ @b\n* @a\n") == ("a",)
    assert merge_owners(PATH, "# /decisions/ @b\n* @a\n") == ()
