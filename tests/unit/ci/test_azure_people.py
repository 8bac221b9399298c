"""Whose address one is, in an organisation of Azure DevOps: exactly one person's, or nobody's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.unit.ci.azure_run import TOKEN, azure, listed
from tests.unit.ci.conftest import Interface

from gatehouse.ci.azure_people import identities_at

IDENTITIES = "GET /octo/_apis/identities"
ADA = "ada@home.example"


def identity(mail: str, account: str, **changed: Any) -> dict[str, Any]:
    properties = {
        name: {"$type": "System.String", "$value": value} for name, value in (("Mail", mail), ("Account", account))
    }
    return {"id": "id-ada", "isActive": True, "properties": properties, **changed}


def test_an_author_is_known_by_every_name_that_the_organisation_has(interface: Interface, tmp_path: Path) -> None:
    interface.on(IDENTITIES, listed(identity("Ada@Home.example", "ada@corp.example")))
    interface.on(IDENTITIES, listed())
    ci = azure(interface.address, tmp_path)

    assert ci.accounts((f"Ada <{ADA}>", "id-dora")) == ("id-ada", "Ada@Home.example", "ada@corp.example")
    assert ci.unlinked((ADA,)) == ()
    assert [asked.query for asked in interface.asked] == [
        {"searchFilter": "MailAddress", "filterValue": ADA, "api-version": "7.1"},
        {"searchFilter": "AccountName", "filterValue": ADA, "api-version": "7.1"},
    ]
    assert {asked.headers["authorization"] for asked in interface.asked} == {f"Bearer {TOKEN}"}


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (200, listed()),
        (200, listed(identity("ada@home.example.org", "x@corp.example"))),
        (200, listed(identity(ADA, "", isContainer=True))),
        (200, {"surprise": 1}),
        (403, {"message": "no"}),
    ],
    ids=["nobody", "somebody like it", "a group", "unreadable", "forbidden"],
)
def test_an_address_that_the_organisation_does_not_know_is_unlinked(
    interface: Interface, tmp_path: Path, status: int, content: object
) -> None:
    interface.on(IDENTITIES, content, status=status)
    ci = azure(interface.address, tmp_path)

    assert (ci.accounts((ADA,)), ci.unlinked(("id-dora", ADA))) == ((), (ADA,))


@pytest.mark.parametrize(
    ("collection", "place"),
    [
        ("https://dev.azure.com/octo", "https://vssps.dev.azure.com/octo"),
        ("https://octo.visualstudio.com", "https://octo.vssps.visualstudio.com"),
        ("https://tfs.example.org/DefaultCollection", "https://tfs.example.org/DefaultCollection"),
    ],
)
def test_identities_live_beside_the_organisation(collection: str, place: str) -> None:
    assert identities_at(collection) == place
