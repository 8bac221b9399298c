"""Whose address one is, by the commits of a repository on GitHub: an account's that GitHub links, or nobody's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.ci.conftest import Interface
from tests.unit.ci.github_run import COMMIT, HOME, TOKEN, github

COMMITS, GRAPH = f"GET {HOME}/commits", "POST /graphql"
ADA = "ada@home.example"


def commit(address: str, login: str | None, *, role: str = "author") -> dict[str, Any]:
    """An entry of `GET /commits`. GitHub gives null where the address belongs to no account."""
    nobody = {"email": "somebody@else.example"}
    return {
        "sha": COMMIT,
        "commit": {"author": nobody, "committer": nobody, role: {"email": address}},
        "author": None,
        "committer": None,
        role: {"login": login} if login else None,
    }


def history(*authors: tuple[str, str | None], after: str | None = None) -> dict[str, Any]:
    """One commit with its co-authors, as GraphQL has them; `after` leads to older ones."""
    nodes = [{"email": address, "user": {"login": login} if login else None} for address, login in authors]
    page = {"hasNextPage": after is not None, "endCursor": after}
    found = {"pageInfo": page, "nodes": [{"authors": {"nodes": nodes}}]}
    return {"data": {"repository": {"object": {"history": found}}}}


@pytest.mark.parametrize("address", [ADA, "Ada@Home.example"])
def test_an_address_belongs_to_the_account_that_its_commits_carry(
    interface: Interface, tmp_path: Path, address: str
) -> None:
    interface.on(COMMITS, [commit("ada@corp.example", "eve"), commit(ADA, "ada-l")])
    ci = github(interface.address, tmp_path)

    assert ci.accounts((f"Ada <{address}>", "dora", "schedule")) == ("ada-l",)
    assert ci.unlinked((address,)) == ()
    assert [asked.query for asked in interface.asked] == [{"author": ADA, "sha": COMMIT, "per_page": "30"}]


def test_an_address_whose_commits_carry_no_account_is_unlinked(interface: Interface, tmp_path: Path) -> None:
    interface.on(COMMITS, [commit(ADA, None)])
    ci = github(interface.address, tmp_path)

    assert (ci.accounts((ADA,)), ci.unlinked(("dora", f"Ada <{ADA}>", ADA))) == ((), (ADA,))
    assert len(interface.asked) == 1


def test_a_committer_is_asked_for_as_one(interface: Interface, tmp_path: Path) -> None:
    interface.on(COMMITS, [])
    interface.on(COMMITS, [commit(ADA, "ada-l", role="committer")])
    ci = github(interface.address, tmp_path)

    assert (ci.accounts((ADA,)), ci.unlinked((ADA,))) == (("ada-l",), ())
    assert [sorted(asked.query)[:1] for asked in interface.asked] == [["author"], ["committer"]]


def test_a_co_author_is_found_where_the_messages_are_read(interface: Interface, tmp_path: Path) -> None:
    interface.on(COMMITS, [])
    interface.on(GRAPH, history(("anna@example.org", "anna"), after="x"))
    interface.on(GRAPH, history(("anna@example.org", "anna"), ("Ada@home.example", "ada-l")))
    ci = github(interface.address, tmp_path)

    assert (ci.accounts((ADA,)), ci.unlinked((ADA,))) == (("ada-l",), ())
    told = [asked.body["variables"] for asked in interface.to("POST")]
    assert told == [{"owner": "octo", "name": "flights", "commit": COMMIT, "after": after} for after in (None, "x")]
    assert {asked.headers["authorization"] for asked in interface.asked} == {f"Bearer {TOKEN}"}


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (200, history(("anna@example.org", "anna"))),
        (200, history((ADA, None))),
        (200, {"data": None, "errors": [{"message": "no"}]}),
        (403, {"message": "no"}),
    ],
    ids=["nobody", "without an account", "an error", "forbidden"],
)
def test_a_co_author_whom_github_does_not_know_is_unlinked(
    interface: Interface, tmp_path: Path, status: int, content: object
) -> None:
    interface.on(COMMITS, [])
    interface.on(GRAPH, content, status=status)
    ci = github(interface.address, tmp_path)

    assert (ci.accounts((ADA,)), ci.unlinked((ADA,))) == ((), (ADA,))


@pytest.mark.parametrize(
    ("address", "names"),
    [
        ("49+octo-cat@users.noreply.github.com", ("octo-cat", "49")),
        ("Octo-Cat@users.noreply.github.com", ("octo-cat",)),
        ("49+ada_corp@users.noreply.github.com", ("ada_corp", "49")),
        ("41898282+github-actions[bot]@users.noreply.github.com", ("github-actions[bot]", "41898282")),
        ("49699333+dependabot[bot]@users.noreply.github.com", ("dependabot[bot]", "49699333")),
    ],
)
def test_an_address_of_github_names_its_account(
    interface: Interface, tmp_path: Path, address: str, names: tuple[str, ...]
) -> None:
    ci = github(interface.address, tmp_path)

    assert (ci.accounts((f"Somebody <{address}>",)), ci.unlinked((address,))) == (names, ())
    assert interface.asked == []


def test_an_author_who_writes_as_github_itself_could_be_anybody(interface: Interface, tmp_path: Path) -> None:
    ci = github(interface.address, tmp_path)

    assert ci.unlinked(("GitHub <noreply@github.com>",)) == ("noreply@github.com",)
    assert ci.accounts(("GitHub <noreply@github.com>",)) == ()


def test_whose_the_address_of_a_push_is_was_told_with_it(interface: Interface, tmp_path: Path) -> None:
    ci = github(interface.address, tmp_path)
    (tmp_path / "event.json").write_text(json.dumps({"pusher": {"name": "tim", "email": "Tim@example.org"}}))

    assert (ci.accounts(("tim@example.org",)), ci.unlinked(("tim@example.org",))) == (("tim",), ())
    assert interface.asked == []


def test_a_server_of_ones_own_has_graphql_beside_its_interface(interface: Interface, tmp_path: Path) -> None:
    interface.on(f"GET /api/v3{HOME}/commits", [])
    interface.on("POST /api/graphql", history((ADA, "ada-l")))

    assert github(f"{interface.address}/api/v3", tmp_path).accounts((ADA,)) == ("ada-l",)


def test_an_owner_is_told_where_an_address_is_linked(tmp_path: Path) -> None:
    ci = github("http://127.0.0.1:9", tmp_path, GITHUB_SERVER_URL="https://git.example.org")

    assert "adds it to their account (https://git.example.org/settings/emails); then run this job again" in ci.linking
    assert "noreply" in ci.linking
