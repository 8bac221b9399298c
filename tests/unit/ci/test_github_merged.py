"""Approval by a merged pull request that adds the decision record: by its code owners, and not by who opened it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from tests.unit.ci.conftest import Interface
from tests.unit.ci.github_run import HOME, environment, github, user

from gatehouse.ci.github_merged import owners_of
from gatehouse.ci.provider import Approved, Subject
from gatehouse.errors import Refused

RECORD = b'{"version":"7"}'
SUBJECT = Subject(version="7", digest=hashlib.sha256(RECORD).hexdigest())
PATH = f"decisions/7-{SUBJECT.digest[:12]}.json"
MERGE, HEAD, BASE = "e" * 40, "d" * 40, "b" * 40


def merged(
    interface: Interface,
    *,
    opened: str = "github-actions[bot]",
    by: str = "anna",
    kind: str = "User",
    content: bytes = RECORD + b"\n",
    owners: bytes | None = b"* @octo/everybody\n/decisions/ @anna @Bert\n",
    reviews: tuple[dict[str, Any], ...] = (),
    at: str | None = "2026-11-20T12:00:00Z",
) -> None:
    """Pull request 8, which added the record to main."""
    pull = {
        "number": 8,
        "user": user(opened, "Bot" if "[bot]" in opened else "User"),
        "merged_at": at,
        "base": {"ref": "main", "sha": BASE},
        "head": {"sha": HEAD},
    }
    interface.on(f"GET {HOME}/environments/prod", environment())
    interface.on(f"GET {HOME}", {"default_branch": "main", "private": True})
    interface.on(f"GET {HOME}/contents/{PATH}", content)
    interface.on(f"GET {HOME}/commits", [{"sha": MERGE}])
    interface.on(f"GET {HOME}/commits/{MERGE}/pulls", [pull])
    interface.on(f"GET {HOME}/pulls/8", {**pull, "merged_by": user(by, kind)})
    interface.on(f"GET {HOME}/pulls/8/reviews", list(reviews))
    if owners is not None:
        interface.on(f"GET {HOME}/contents/CODEOWNERS", owners)


def review(login: str, state: str = "APPROVED", commit: str = HEAD) -> dict[str, Any]:
    """An entry of `GET /pulls/8/reviews`."""
    return {"id": 1, "user": user(login), "state": state, "commit_id": commit, "body": ""}


def approved(interface: Interface, folder: Path) -> list[tuple[str, str]]:
    """Who, and what they did."""
    found = github(interface.address, folder).approvals("prod", SUBJECT)
    return [(a.who, a.established_by.rpartition(" and ")[2]) for a in found]


def test_who_merges_it_approves_it(interface: Interface, tmp_path: Path) -> None:
    merged(interface)

    (found,) = github(interface.address, tmp_path).approvals("prod", SUBJECT)

    assert found == Approved(
        who="anna",
        also=("414",),
        established_by=(
            f"pull request 8 of octo/flights on GitHub, which added {PATH}: they are a code owner of it and merged it"
        ),
        protected=True,
        at=found.at,
        comment="",
        environment_id="",
    )
    assert f"{found.at:%Y-%m-%dT%H:%M%z}" == "2026-11-20T12:00+0000"
    refs = {asked.path: asked.query.get("ref") for asked in interface.asked if "/contents/" in asked.path}
    assert refs == {
        f"{HOME}/contents/{PATH}": "main",
        f"{HOME}/contents/.github/CODEOWNERS": BASE,
        f"{HOME}/contents/CODEOWNERS": BASE,
    }, "owners are those of before: a pull request cannot name its own"


def test_who_approves_its_review_approves_it(interface: Interface, tmp_path: Path) -> None:
    merged(interface, by="dora", reviews=(review("bert"), review("anna", "CHANGES_REQUESTED"), review("anna")))

    assert approved(interface, tmp_path) == [("anna", "approved it"), ("bert", "approved it")]


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ({"by": "dora"}, r"No code owner of decisions/7-\w+.json \(anna, Bert\) approved or merged pull request 8"),
        ({"opened": "anna"}, "besides whoever opened it"),
        ({"by": "dora", "reviews": (review("anna", commit="a" * 40),)}, "No code owner"),
        ({"by": "dora", "reviews": (review("anna"), review("anna", "DISMISSED"))}, "No code owner"),
        ({"by": "anna", "reviews": (review("anna", "CHANGES_REQUESTED"),)}, "No code owner"),
        ({"kind": "Bot"}, "No code owner"),
        ({"owners": None}, r"\(nobody\)"),
        ({"owners": b"/decisions/ @anna\n*.json\n"}, r"\(nobody\)"),
        ({"owners": b"* @octo/risk"}, r"\(octo/risk\)"),
        ({"content": RECORD + b" "}, "on main is not the decision record"),
        ({"at": None}, "came to main without a pull request"),
    ],
    ids=[
        "not an owner",
        "who opened it",
        "a review of an earlier state",
        "a review taken back",
        "an objection",
        "a bot",
        "no owners",
        "a later line without owners",
        "a team alone",
        "another content",
        "a push",
    ],
)
def test_a_record_that_came_without_an_owner_is_refused(
    interface: Interface, tmp_path: Path, case: dict[str, Any], said: str
) -> None:
    merged(interface, **case)

    with pytest.raises(Refused, match=said) as caught:
        github(interface.address, tmp_path).approvals("prod", SUBJECT)
    assert f"adds {PATH}" in caught.value.remedy


def test_without_the_record_nobody_was_asked(interface: Interface, tmp_path: Path) -> None:
    interface.on(f"GET {HOME}/environments/prod", environment())
    interface.on(f"GET {HOME}", {"default_branch": "main"})

    assert [a.protected for a in github(interface.address, tmp_path).approvals("prod", SUBJECT)] == [False]


@pytest.mark.parametrize(
    ("pattern", "owned"),
    [
        ("*", True),
        ("**", True),
        ("/decisions/", True),
        ("decisions/", True),
        ("decisions", True),
        ("/decisions/*", True),
        ("/decisions/**", True),
        ("*.json", True),
        ("/decisions/7-*.json", True),
        ("**/decisions/*.json", True),
        ("/decisions/?-a.json", True),
        ("/7-a.json", False),
        ("/docs/", False),
        ("*.yml", False),
        ("/decision", False),
        ("/decisions/7-a", False),
    ],
)
def test_patterns_of_code_owners_are_those_of_gitignore(pattern: str, owned: bool) -> None:
    assert owners_of("decisions/7-a.json", f"{pattern} @anna @octo/risk # of late") == (
        ("anna", "octo/risk") if owned else ()
    )


def test_the_last_line_that_matches_decides() -> None:
    assert owners_of("decisions/a.json", "* @a\n\n# * @b\n/decisions/ @c d@e.org\n/docs/ @f\n") == ("c", "d@e.org")
    assert owners_of("decisions/x/a.json", "/decisions/* @a") == ()
