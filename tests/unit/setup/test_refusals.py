"""Tokens that may not, servers that do not answer, names that are taken, setups that are stopped in the middle."""

from __future__ import annotations

from typing import Any

import pytest
from tests.loopback import Call, Reply
from tests.unit.setup.conftest import Town
from tests.unit.setup.servers import READER

from gatehouse.errors import AccessDenied, ConfigurationError, StateError, Unanswered
from gatehouse.progress import Silent
from gatehouse.setup.resources import Action, Part

pytestmark = pytest.mark.slow


def test_without_a_token_nothing_is_known_and_nothing_is_done(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABRICKS_TOKEN")
    monkeypatch.setenv("PATH", "")  # nor a databricks program that is signed in
    town.environ.pop("GITHUB_TOKEN")

    steps = town.steps()

    assert {step.action for step in steps.values()} == {Action.UNKNOWN, Action.WAIT}
    assert "Nobody is signed in at" in steps["group parcels-developers"].reason
    assert town.apply() == 0
    assert town.writes == []


def test_a_wrong_token_says_nothing_about_what_is_there(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABRICKS_TOKEN", "expired")

    steps = town.steps(Part.ACCOUNT)

    assert {step.action for step in steps.values()} == {Action.UNKNOWN, Action.WAIT}
    assert "expired" not in "".join(step.reason for step in steps.values())


def test_a_token_that_may_only_look_plans_and_makes_nothing(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABRICKS_TOKEN", READER)

    assert town.actions(Part.ACCOUNT)["group parcels-developers"] is Action.CREATE
    with pytest.raises(AccessDenied, match="Making group parcels-developers: You may only look") as refused:
        town.apply(Part.ACCOUNT)
    assert "--part account --plan" in refused.value.remedy
    assert town.session().record.entries == {}


def test_an_address_where_nobody_answers_is_asked_once(town: Town, unused: str) -> None:
    places = {name: [{"host": unused, "id": 42}] for name in ("dev", "staging", "prod")}

    steps = town.steps(Part.METASTORE, workspaces=places)

    assert {step.action for step in steps.values()} <= {Action.UNKNOWN, Action.WAIT}


@pytest.fixture
def unused() -> str:
    """An address of this machine where nobody listens."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


STOPS = [
    (Part.ACCOUNT, r"POST /api/2\.0/accounts/[^/]+/scim/v2/ServicePrincipals"),
    (Part.ACCOUNT, r"POST /api/2\.0/accounts/.*/federationPolicies"),
    (Part.ACCOUNT, r"PUT /api/2\.0/accounts/.*/permissionassignments/.*"),
    (Part.METASTORE, r"POST /api/2\.1/unity-catalog/schemas"),
    (Part.METASTORE, r"PATCH /api/2\.1/unity-catalog/permissions/schema/p\.parcels"),
    (Part.REPOSITORY, r"PUT /repos/octo/parcels/environments/prod"),
    (Part.REPOSITORY, r"POST /repos/octo/parcels/environments/prod/variables"),
]


@pytest.mark.parametrize(("part", "call"), STOPS)
def test_a_failed_step_leaves_a_plan_that_continues(town: Town, part: Part, call: str) -> None:
    server: Any = {Part.ACCOUNT: town.account, Part.METASTORE: town.workspace, Part.REPOSITORY: town.github}[part]
    server.fails[call] = Reply(status=400, json={"error_code": "BAD_REQUEST", "message": "Not now."})

    with pytest.raises(Unanswered) as failed:
        town.apply()
    assert "run the same command again" in failed.value.remedy

    town.apply()
    assert set(town.actions().values()) == {Action.KEEP, Action.WAIT}
    assert not [made for made in town.session().record.entries.values() if made.begun]


@pytest.mark.parametrize("after", [1, 7, 13, 30, 45])
def test_ctrl_c_in_the_middle_loses_nothing_and_doubles_nothing(town: Town, after: int) -> None:
    class Stopped(Silent):
        def __init__(self) -> None:
            self.steps = 0

        def step(self, text: str) -> Any:
            self.steps += 1
            if self.steps > after:
                raise KeyboardInterrupt
            return super().step(text)

    with pytest.raises(KeyboardInterrupt):
        town.session().apply(tuple(Part), Stopped())
    town.apply()

    assert set(town.actions().values()) == {Action.KEEP, Action.WAIT}
    made = [entry["displayName"] for kind in town.account.kept.values() for entry in kind.values()]
    assert len(made) == len(set(made)) == 6
    left = {one.key for one in town.session().undo(tuple(Part), Silent())}
    assert left == {"catalog s", "catalog p"}  # the bundle's schemas are in them


def test_what_was_made_when_the_answer_was_lost_is_setups_own(town: Town) -> None:
    """The account made the service principal, and setup was killed before it heard of it."""
    session = town.session()
    made = session.sides[Part.ACCOUNT].make

    def lost(step: Any) -> str:
        made(step)
        if step.resource.name == "parcels-prod":
            raise KeyboardInterrupt
        return str(step.resource.name)

    session.sides[Part.ACCOUNT].make = lost  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        session.apply([Part.ACCOUNT], Silent())
    entry = town.session().record.entries["service principal parcels-prod"]
    assert (entry.begun, entry.id) == (True, "")
    [left] = [one for one in town.session().undo([Part.ACCOUNT], Silent()) if one.key.endswith("parcels-prod")]
    assert "stopped while making it" in left.reason

    town.apply(Part.ACCOUNT)

    number = town.account.named("ServicePrincipals")["parcels-prod"]
    assert town.session().record.entries["service principal parcels-prod"].id == number


def test_a_name_that_was_taken_in_between_is_said(town: Town) -> None:
    def quick(call: Call) -> None:
        if call.method == "POST" and call.path.endswith("/Groups"):
            town.account.kept["Groups"]["1"] = {"id": "1", "displayName": "parcels-developers"}

    town.account.before = quick

    with pytest.raises(StateError, match="It exists"):
        town.apply(Part.ACCOUNT)
    assert "group parcels-developers" not in town.session().record.entries


def test_two_service_principals_of_one_name_are_refused(town: Town) -> None:
    for number in ("5", "6"):
        town.account.kept["ServicePrincipals"][number] = {
            "id": number,
            "displayName": "parcels-prod",
            "applicationId": number,
        }

    step = town.steps(Part.ACCOUNT)["service principal parcels-prod"]

    assert (step.action, step.reason) == (Action.UNKNOWN, "2 service principals are called parcels-prod.")


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        ({"use_default": False, "include_claim_keys": ["repo", "context"]}, "claims of its own (repo, context)"),
        ({"use_default": True}, "which this server does not tell"),
        ({"use_default": True, "sub_claim_prefix": 7}, "has 7"),
    ],
)
def test_a_subject_that_github_does_not_tell_is_not_guessed(town: Town, subject: dict[str, Any], said: str) -> None:
    town.github.subject = subject

    town.apply(Part.ACCOUNT)

    assert not any(town.account.policies.values())
    step = town.steps(Part.ACCOUNT)["federation policy of parcels-prod"]
    assert step.action is Action.WAIT
    assert said in step.reason


def test_a_plan_of_github_that_asks_nobody_is_said(town: Town) -> None:
    town.github.private = True

    with pytest.raises(Unanswered, match=r"422: Failed to create the environment protection rule\. Please ensure"):
        town.apply(Part.REPOSITORY)


def test_a_reviewer_whom_github_does_not_know_is_said(town: Town) -> None:
    with pytest.raises(ConfigurationError, match="GitHub knows no reviewer zoe"):
        town.apply(Part.REPOSITORY, reviewers=["zoe"])


def test_reviewers_that_others_added_stay_and_teams_may_review(town: Town) -> None:
    town.apply(Part.REPOSITORY, reviewers=["ben"])

    town.apply(Part.REPOSITORY, reviewers=["anna", "octo/owners"])

    [rule] = [r for r in town.github.environments["prod-approval"]["protection_rules"] if "reviewers" in r]
    assert [r["reviewer"].get("login") or r["reviewer"]["slug"] for r in rule["reviewers"]] == ["ben", "anna", "owners"]
    assert town.apply(Part.REPOSITORY, reviewers=["anna", "octo/owners"]) == 0


def test_without_reviewers_no_approval_is_made_that_asks_nobody(town: Town) -> None:
    town.apply(Part.REPOSITORY, reviewers=[])

    assert "prod-approval" not in town.github.environments
    assert "who approves" in town.steps(reviewers=[])["environment prod-approval"].reason


def test_a_variable_of_somebody_elses_is_not_overwritten(town: Town) -> None:
    town.apply(Part.ACCOUNT)
    town.github.environments["prod"] = {
        "id": 1,
        "name": "prod",
        "protection_rules": [],
        "deployment_branch_policy": None,
    }
    town.github.variables["prod"] = {"DATABRICKS_HOST": "https://elsewhere.example.org"}

    town.apply(Part.REPOSITORY)

    assert town.github.variables["prod"]["DATABRICKS_HOST"] == "https://elsewhere.example.org"
    assert town.actions(Part.REPOSITORY)["variables DATABRICKS_HOST of prod"] is Action.REFUSE


def test_an_unknown_environment_in_the_answers_is_refused(town: Town) -> None:
    with pytest.raises(ConfigurationError, match="no such environment"):
        town.steps(workspaces={"qa": [{"host": "https://q.example.org"}]})


def test_several_workspaces_of_development_are_all_entered(town: Town) -> None:
    places: dict[str, Any] = {
        "dev": [{"host": town.workspace.url, "id": 42}, {"host": "https://second.example.org", "id": 43}],
        "prod": [{"host": town.workspace.url, "id": 42}],
        "staging": [{"host": town.workspace.url}],
    }

    town.apply(Part.ACCOUNT, workspaces=places)

    groups, robots = town.account.named("Groups"), town.account.named("ServicePrincipals")
    inside = {workspace: {n for w, n in town.account.assigned if w == workspace} for workspace in ("42", "43")}
    assert inside["43"] == {*groups.values(), robots["parcels-dev"]}
    assert robots["parcels-prod"] in inside["42"]
    assert robots["parcels-staging"] not in inside["42"]  # nobody told its workspace's number
