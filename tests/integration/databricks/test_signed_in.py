"""In a workspace a person is who signed in, whatever name they give; a service principal is nobody in particular."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.integration.databricks.loopback import Loopback

from gatehouse.ci.job import NOTES, InJob
from gatehouse.ci.none import NoCi
from gatehouse.cli import main
from gatehouse.cli.acting import acting, deciding, proposing
from gatehouse.errors import Refused, Unanswered
from gatehouse.gates.identity import Identity, Strength
from gatehouse.lakehouse.embedded import Embedded
from gatehouse.lakehouse.platform import SignedIn
from gatehouse.lakehouse.workspace import WorkspacePlatform

ROOT = Path(__file__).parents[3]
ME = "/api/2.0/preview/scim/v2/Me"
ALICE = {"userName": "alice@example.org", "emails": [{"value": "alice@example.org"}, {"value": "al@home.example"}]}
ROBOT = {"userName": "1ad2c2a4-9e8f-4a0b-8a2b-3f6f1d0c9e11", "displayName": "little-prod"}
PERSON = SignedIn(name="alice@example.org", also=("al@home.example",), place="https://w", is_person=True)
PRINCIPAL = SignedIn(name=ROBOT["userName"], also=(), place="https://w", is_person=False)


def platform(tmp_path: Path) -> WorkspacePlatform:
    return WorkspacePlatform(tmp_path, volume="prod.little.gatehouse", landing="prod.little.landing")


@pytest.mark.usefixtures("logged_in")
@pytest.mark.parametrize(
    ("me", "also", "is_person"), [(ALICE, ("al@home.example",), True), (ROBOT, (), False)], ids=["person", "principal"]
)
def test_the_workspace_says_who_is_signed_in(
    server: Loopback, tmp_path: Path, me: dict[str, Any], also: tuple[str, ...], is_person: bool
) -> None:
    server.on("GET", ME, lambda _: me)

    assert platform(tmp_path).signed_in() == SignedIn(
        name=me["userName"], also=also, place=server.address, is_person=is_person
    )


@pytest.mark.usefixtures("logged_in")
def test_a_workspace_that_names_nobody_is_no_answer(server: Loopback, tmp_path: Path) -> None:
    server.on("GET", ME, lambda _: {"active": True})

    with pytest.raises(Unanswered, match="does not say who is signed in"):
        platform(tmp_path).signed_in()


def test_on_a_laptop_nobody_signs_in(tmp_path: Path) -> None:
    assert Embedded(tmp_path).signed_in() is None  # type: ignore[func-returns-value]
    assert acting(NoCi(tmp_path), None, "bob@example.org").strength is Strength.CLAIMED
    assert deciding(None, "bob@example.org")[0].name == "bob@example.org"
    assert proposing(None, "bob@example.org") == "bob@example.org"


def test_who_acts_is_who_signed_in_and_that_is_proven(tmp_path: Path) -> None:
    alice = Identity(name="alice@example.org", established_by="the sign-in to https://w", strength=Strength.PROVEN)

    actor, witness = deciding(PERSON, None)

    assert (actor, acting(NoCi(tmp_path), PERSON, "Alice@Example.org")) == (alice, alice)
    assert witness is not None
    assert (witness.protected, witness.also) == (True, ("al@home.example",))
    assert deciding(PERSON, "al@home.example")[0] == alice
    assert proposing(PERSON, None) == "alice@example.org"


def test_another_name_is_refused_and_a_service_principal_decides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NOTES, str(tmp_path / "notes"))
    job = InJob({NOTES: str(tmp_path / "notes")})
    for refused in (
        lambda: acting(NoCi(tmp_path), PERSON, "bob@example.org"),
        lambda: deciding(PERSON, "bob@example.org"),
        lambda: deciding(PRINCIPAL, "bob@example.org"),
        lambda: deciding(PRINCIPAL, None),
        lambda: proposing(PERSON, "bob@example.org"),
    ):
        with pytest.raises(Refused):
            refused()

    assert acting(job, PRINCIPAL, None).name == PRINCIPAL.name
    assert proposing(PRINCIPAL, "bob@example.org") == "bob@example.org"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Loopback, logged_in: None) -> Path:
    """A checkout whose production lives in the workspace, and Alice before it."""
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    file = tmp_path / "conf" / "environments.yml"
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    content["environments"]["prod"]["platform"] = "databricks"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    server.on("GET", ME, lambda _: ALICE)
    return tmp_path


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    "command",
    [
        "approve 1 --reason fine --as",
        "reject 1 --reason bad --as",
        "promote 1 --as",
        "promote 1 --break-glass --reason fire --as",
        "rollback --reason bad --as",
        "copy 1 --from staging --as",
        "deploy --as",
        "release --proposer",
    ],
)
def test_every_command_that_acts_refuses_another_name(
    command: str, server: Loopback, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command.split(), "bob@example.org", "--env", "prod"])

    said = " ".join(capsys.readouterr().err.split())
    assert ended.value.code == 10
    assert f"names 'bob@example.org', and alice@example.org is signed in to {server.address}." in said
    assert {asked.path for asked in server.asked} <= {ME, "/.well-known/databricks-config"}


@pytest.mark.usefixtures("project")
def test_a_service_principal_approves_nothing(server: Loopback, capsys: pytest.CaptureFixture[str]) -> None:
    server.on("GET", ME, lambda _: ROBOT, first=True)

    with pytest.raises(SystemExit) as ended:
        main(["approve", "1", "--reason", "fine"])

    said = " ".join(capsys.readouterr().err.split())
    assert ended.value.code == 10
    assert f"{ROBOT['userName']} is signed in to {server.address}, and is a service principal." in said
    assert "(in a CI: gatehouse approve --from-ci)" in said
