"""Azure DevOps: environments with their checks, variable groups, and tokens that name a pipeline."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError
from tests.unit.setup.azure_server import ORGANISATION, Azure
from tests.unit.setup.conftest import environments
from tests.unit.setup.servers import TOKEN

from gatehouse.ci.azure_approval import APPROVAL_CHECK
from gatehouse.ci.remote import remote_of
from gatehouse.progress import Silent
from gatehouse.setup.answers import SetupFile
from gatehouse.setup.azure import LOCK_CHECK
from gatehouse.setup.desired import Identity, Known, Subject, desired
from gatehouse.setup.record import Record
from gatehouse.setup.resources import Action, Part
from gatehouse.setup.roles import Objects
from gatehouse.setup.session import Session

PEOPLE = ("11111111-0000-4000-8000-000000000001", "22222222-0000-4000-8000-000000000002")


class Knowing(Session):
    """Its service principals are there."""

    def _identities(self) -> dict[str, Identity]:
        names = ("parcels-staging", "parcels-prod")
        return {name: Identity(str(i), f"app-{i}") for i, name in enumerate(names)}


@pytest.fixture
def azure() -> Iterator[Azure]:
    server = Azure()
    with server.running():
        yield server


@pytest.fixture
def session(azure: Azure, tmp_path: Path) -> Session:
    folder = tmp_path / ".azure-pipelines"
    folder.mkdir()
    (folder / "release.yml").write_text("  environment: prod\n  environment: prod-approval\n  environment: staging\n")
    environ = {
        "SYSTEM_COLLECTIONURI": f"{azure.url}/octo/",
        "SYSTEM_TEAMPROJECT": "flight parcels",
        "BUILD_REPOSITORY_NAME": "parcels",
        "AZURE_DEVOPS_EXT_PAT": TOKEN,
    }
    host = [{"host": "https://w.example.org", "id": 1}]
    return Knowing(
        root=tmp_path,
        project="parcels",
        environments=environments(),
        answers=SetupFile.model_validate(
            {
                "workspaces": {"staging": host, "prod": host},
                "reviewers": [PEOPLE[0]],
                "pipelines": {"prod": ["release", "monitor"], "prod-approval": ["release", "rollback"]},
            }
        ),
        objects=Objects(model="parcels", audit="audit_log", results=()),
        remote=remote_of(environ, tmp_path, wait=0),
        record=Record(tmp_path / "setup-record.json"),
    )


def apply(session: Session) -> int:
    return session.apply([Part.REPOSITORY], Silent())


def test_everything_is_made_once(session: Session, azure: Azure) -> None:
    apply(session)

    assert sorted(azure.environments.values()) == ["prod", "prod-approval", "staging"]
    kinds = {"lock": LOCK_CHECK, "approval": APPROVAL_CHECK}
    named = {
        (azure.environments[int(check["resource"]["id"])], kind): check
        for check in azure.checks.values()
        for kind, number in kinds.items()
        if check["type"]["id"].casefold() == number
    }
    locks = {("prod", "lock"), ("staging", "lock"), ("prod-approval", "lock")}
    assert set(named) == {*locks, ("prod-approval", "approval")}
    settings = named["prod-approval", "approval"]["settings"]
    assert (settings["approvers"], settings["requesterCannotBeApprover"]) == ([{"id": PEOPLE[0]}], True)
    groups = {g["name"]: {k: v["value"] for k, v in g["variables"].items()} for g in azure.groups.values()}
    assert groups["gatehouse-prod"] == {"DATABRICKS_HOST": "https://w.example.org", "DATABRICKS_CLIENT_ID": "app-1"}
    assert groups["gatehouse-prod-approval"]["DATABRICKS_CLIENT_ID"] == "app-1"
    before = len(azure.writes)
    assert apply(session) == 0
    assert len(azure.writes) == before
    assert {step.action for step in session.plan([Part.REPOSITORY])} == {Action.KEEP}


def test_approvers_whom_others_added_stay(session: Session, azure: Azure) -> None:
    apply(session)
    [check] = [c for c in azure.checks.values() if c["type"]["id"].casefold() == APPROVAL_CHECK]
    check["settings"] |= {"approvers": [{"id": PEOPLE[1]}], "requesterCannotBeApprover": False, "instructions": "Look."}

    assert apply(session) == 1

    settings = azure.checks[check["id"]]["settings"]
    assert [a["id"] for a in settings["approvers"]] == [PEOPLE[1], PEOPLE[0]]
    assert (settings["requesterCannotBeApprover"], settings["instructions"]) == (True, "Look.")


def test_a_variable_group_of_somebody_elses_is_refused_and_ones_own_is_mended(session: Session, azure: Azure) -> None:
    apply(session)
    number = next(n for n, g in azure.groups.items() if g["name"] == "gatehouse-prod")
    azure.groups[number]["variables"] = {"DATABRICKS_HOST": {"value": "x"}, "OTHER": {"value": "stays"}}

    assert apply(session) == 1
    values = {k: v["value"] for k, v in azure.groups[number]["variables"].items()}
    assert values["DATABRICKS_HOST"] == "https://w.example.org"
    assert values["OTHER"] == "stays"

    azure.groups[number]["variables"] = {"DATABRICKS_HOST": {"value": "x"}}
    session.record.entries.clear()
    [step] = [s for s in session.plan([Part.REPOSITORY]) if s.resource.name == "gatehouse-prod"]
    assert step.action is Action.REFUSE


def test_undo_leaves_nothing_of_it(session: Session, azure: Azure) -> None:
    apply(session)

    assert session.undo([Part.REPOSITORY], Silent()) == ()
    assert (azure.environments, azure.checks, azure.groups) == ({}, {}, {})
    assert session.undo([Part.REPOSITORY], Silent()) == ()


def test_without_approvers_there_is_no_check_that_asks_nobody(session: Session, azure: Azure) -> None:
    answers = session.answers.model_copy(update={"reviewers": ()})

    apply(dataclasses.replace(session, answers=answers))

    assert APPROVAL_CHECK not in {c["type"]["id"].casefold() for c in azure.checks.values()}


def test_a_token_names_organisation_project_and_pipeline(session: Session) -> None:
    [release, monitor, rollback] = [
        r
        for r in session.wanted()
        if r.part is Part.ACCOUNT and "parcels-prod" in r.at.get("principal", "") and r.at.get("policy")
    ]

    assert rollback.wants["subject"] == "p://octo/flight parcels/rollback"
    assert release.wants == {
        "issuer": f"https://vstoken.dev.azure.com/{ORGANISATION}",
        "subject": "p://octo/flight parcels/release",
        "audiences": "api://AzureADTokenExchange",
    }
    assert monitor.at["policy"] == "parcels-monitor-azure"


def test_pipelines_that_nobody_named_are_waited_for(session: Session) -> None:
    waiting = {r.name: r.waits_for for r in session.wanted() if r.name in ("of parcels-dev", "of parcels-staging")}

    assert waiting == {
        f"of {who}": f"which pipelines act as {who}, as `pipelines` in conf/setup.yml"
        for who in ("parcels-dev", "parcels-staging")
    }


def test_pipelines_of_both_environments_share_the_policies_that_one_service_principal_may_have() -> None:
    many = [f"p{number}" for number in range(20)]
    SetupFile.model_validate({"pipelines": {"prod": many, "prod-approval": many}})

    with pytest.raises(ValidationError, match="prod has 21 pipelines"):
        SetupFile.model_validate({"pipelines": {"prod": many, "prod-approval": ["rollback"]}})


def test_an_organisation_that_does_not_answer_has_no_subject(session: Session, azure: Azure) -> None:
    azure.number = None

    waiting = {r.name: r.waits_for for r in session.wanted() if r.name.startswith("of parcels-prod")}

    assert "the number of the organisation: The answer to GET /_apis/connectionData" in waiting["of parcels-prod"]


def test_the_plan_of_a_provider_without_a_remote_is_still_to_be_read() -> None:
    known = Known(
        project="parcels",
        objects=Objects(model="parcels", audit="audit_log", results=()),
        provider="azure",
        repository="parcels",
        provider_environments=("prod",),
        approving=("prod-approval",),
        subjects={"parcels-prod": (Subject(name="a", issuer="https://i.example.org", subject="p://o/p/x"),)},
    )

    found = desired(environments(), SetupFile(), known)

    assert all(r.by_hand for r in found if not r.name.startswith("of "))
