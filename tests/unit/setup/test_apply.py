"""The whole of it, over HTTP and through the real SDK: made, made again, changed by others, stopped, undone."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from tests.unit.setup.conftest import Town
from tests.unit.setup.servers import TOKEN

from gatehouse.progress import Silent
from gatehouse.setup.resources import Action, Kind, Made, Part

pytestmark = pytest.mark.slow
ROBOTS = {"parcels-dev", "parcels-staging", "parcels-pull-request", "parcels-prod"}
ISSUER = "https://token.actions.githubusercontent.com"


def unity(town: Town, path: str, method: str = "GET", **body: Any) -> Any:
    """The workspace, asked by somebody else."""
    answer = requests.request(
        method,
        f"{town.workspace.url}/api/2.1/unity-catalog/{path}",
        headers={"Authorization": f"Bearer {TOKEN}"},
        json=body or None,
        timeout=30,
    )
    return answer.json()


def names(town: Town, listed: str, **query: str) -> set[str]:
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    return {entry["name"] for entry in unity(town, f"{listed}?{asked}").get(listed, [])}


def test_everything_is_made_in_one_go_and_nothing_the_second_time(town: Town) -> None:
    planned = town.actions()
    assert town.writes == []
    assert {key for key, action in planned.items() if action is Action.WAIT and "grant on" not in key} >= {
        "grant by SQL on schema p.parcels to parcels-prod",
        "variables DATABRICKS_CLIENT_ID of prod",
    }

    town.apply()

    assert set(town.account.named("Groups")) == {"parcels-developers", "parcels-approvers"}
    assert set(town.account.named("ServicePrincipals")) == ROBOTS
    assert {"d", "s", "p"} <= names(town, "catalogs")
    assert names(town, "volumes", catalog_name="p", schema_name="parcels") == {"landing", "gatehouse"}
    assert set(town.grants("schema", "p.parcels")) == {
        "parcels-prod",
        "parcels-developers",
        "parcels-approvers",
        "parcels-dev",
    }
    assert town.grants("schema", "p.parcels")["parcels-developers"] == {"USE_SCHEMA", "SELECT", "EXECUTE"}
    assert set(town.github.environments) == {"pull-request", "staging", "prod", "prod-approval"}
    assert town.github.environments["pull-request"]["deployment_branch_policy"] is None

    before = len(town.writes)
    assert town.apply() == 0
    assert len(town.writes) == before
    left = {key: action for key, action in town.actions().items() if action is not Action.KEEP}
    # Only a first run makes the audit log and the model.
    assert set(left.values()) == {Action.WAIT}
    assert {key.split(" to ")[0] for key in left} == {
        "grant on table p.parcels.audit_log",
        "grant on model p.parcels.parcels",
    }


def test_after_the_first_run_approvers_may_record_and_tag(town: Town) -> None:
    town.apply()
    made = unity(
        town,
        "tables",
        "POST",
        name="audit_log",
        catalog_name="p",
        schema_name="parcels",
        table_type="MANAGED",
        data_source_format="DELTA",
        columns=[{"name": "seq", "type_name": "LONG", "type_text": "bigint", "position": 0}],
    )
    assert made["name"] == "audit_log"
    town.workspace.made.add("p.parcels.parcels")

    assert town.apply() == 2
    assert town.grants("table", "p.parcels.audit_log") == {"parcels-approvers": {"SELECT", "MODIFY"}}
    assert town.grants("function", "p.parcels.parcels")["parcels-approvers"] == {"APPLY_TAG", "EXECUTE"}


def test_tokens_of_one_environment_act_as_one_service_principal(town: Town) -> None:
    town.apply()

    robots = town.account.named("ServicePrincipals")
    told = {name: list(town.account.policies.get(robots[name], {}).values()) for name in ROBOTS}
    assert {name: [p["oidc_policy"] for p in policies] for name, policies in told.items()} == {
        f"parcels-{envs[0]}": [
            {"issuer": ISSUER, "subject": f"repo:octo@7/parcels@12:environment:{env}"} for env in envs
        ]
        for envs in (("dev",), ("staging",), ("pull-request",), ("prod", "prod-approval"))
    }
    assert town.github.variables["prod"]["DATABRICKS_HOST"] == town.workspace.url
    principal = town.account.kept["ServicePrincipals"][robots["parcels-prod"]]
    for env in ("prod", "prod-approval"):
        assert town.github.variables[env]["DATABRICKS_CLIENT_ID"] == principal["applicationId"]


def test_only_a_release_reaches_production_and_somebody_else_approves(town: Town) -> None:
    town.apply()

    rules = {name: {(r["type"], r["name"]) for r in kept.values()} for name, kept in town.github.rules.items()}
    release = {("branch", "main"), ("branch", "release/*"), ("tag", "v*")}
    assert rules == {"staging": {("branch", "main")}, "prod": release, "prod-approval": release}
    [asking] = [
        r for r in town.github.environments["prod-approval"]["protection_rules"] if r["type"] == "required_reviewers"
    ]
    assert asking["prevent_self_review"]
    assert [r["reviewer"]["login"] for r in asking["reviewers"]] == ["anna"]
    assert not any(r["type"] == "required_reviewers" for r in town.github.environments["prod"]["protection_rules"])


def test_create_model_version_is_granted_by_sql_with_quoted_names(town: Town) -> None:
    town.apply()

    robots = {e["displayName"]: e["applicationId"] for e in town.account.kept["ServicePrincipals"].values()}
    given = {key: held for key, held in town.workspace.by_sql.items() if held}
    assert given == {
        ("`d`.`parcels`", f"`{robots['parcels-dev']}`"): {"CREATE MODEL VERSION"},
        ("`d`.`parcels`", "`parcels-developers`"): {"CREATE MODEL VERSION"},
        ("`s`.`parcels`", f"`{robots['parcels-staging']}`"): {"CREATE MODEL VERSION"},
        ("`p`.`parcels`", f"`{robots['parcels-prod']}`"): {"CREATE MODEL VERSION"},
    }


def test_each_administrator_does_one_part(town: Town) -> None:
    town.apply(Part.ACCOUNT)
    assert town.workspace.writes == town.github.writes == []

    town.apply(Part.METASTORE)
    town.account.writes.clear()
    assert town.github.writes == []

    town.apply(Part.REPOSITORY)
    assert town.account.writes == []
    assert set(town.actions().values()) == {Action.KEEP, Action.WAIT}


def test_what_others_changed_is_shown_and_mended(town: Town) -> None:
    town.apply()
    robots = town.account.named("ServicePrincipals")
    policy = town.account.policies[robots["parcels-prod"]]["parcels-prod-github"]
    policy["oidc_policy"]["subject"] = "repo:octo/parcels:environment:prod"
    town.github.variables["prod"]["DATABRICKS_HOST"] = "https://elsewhere.example.org"
    unity(
        town,
        "permissions/schema/p.parcels",
        "PATCH",
        changes=[{"principal": "parcels-developers", "add": ["MODIFY"], "remove": ["SELECT"]}],
    )

    steps = town.steps()

    changed = {key: step.reason for key, step in steps.items() if step.action is Action.CHANGE}
    assert changed == {
        "federation policy parcels-prod-github of parcels-prod": "subject is repo:octo/parcels:environment:prod, "
        "should be repo:octo@7/parcels@12:environment:prod",
        "grant on schema p.parcels to parcels-developers": "lacks SELECT",
        "variables DATABRICKS_HOST of prod": "value is https://elsewhere.example.org, should be " + town.workspace.url,
    }
    drift = steps["grant on schema p.parcels to parcels-developers"].drift
    assert drift == "privileges beyond the table: MODIFY"
    assert town.apply() == 3
    held = town.grants("schema", "p.parcels")["parcels-developers"]
    assert held == {"USE_SCHEMA", "SELECT", "EXECUTE", "MODIFY"}  # not setup's to take


def test_with_a_mirror_developers_lose_the_tables_that_setup_gave_them(town: Town) -> None:
    town.apply()
    assert "SELECT" in town.grants("schema", "p.parcels")["parcels-developers"]

    town.apply(source="mirror")

    assert town.grants("schema", "p.parcels")["parcels-developers"] == {"USE_SCHEMA", "EXECUTE"}
    assert "parcels-dev" not in town.grants("schema", "p.parcels")
    assert town.grants("schema", "p.parcels_mirror")["parcels-developers"] == {"USE_SCHEMA", "SELECT"}
    assert town.apply(source="mirror") == 0


def test_undo_removes_what_setup_made_and_nothing_else(town: Town) -> None:
    unity(town, "catalogs", "POST", name="s")
    unity(town, "catalogs", "POST", name="other")
    town.github.environments["staging"] = {
        "id": 500,
        "name": "staging",
        "protection_rules": [],
        "deployment_branch_policy": None,
    }
    town.apply(given_catalogs=["s"])
    assert "s" not in {made.name for made in town.session().record.entries.values()}

    left = town.session(given_catalogs=["s"]).undo(tuple(Part), Silent())

    assert {one.key: one.reason for one in left} == {
        "environment staging": "It was there before; setup only changed it.",
        "catalog p": "catalog p is not empty: it holds schema parcels.",  # the bundle's
    }
    assert town.account.kept == {"Groups": {}, "ServicePrincipals": {}}
    assert set(town.github.environments) == {"staging"}
    assert "d" not in names(town, "catalogs")
    assert {"s", "other"} <= names(town, "catalogs")
    assert town.grants("catalog", "s") == {}
    assert list(town.session().record.entries) == ["catalog p", "environment staging"]


def former(town: Town) -> str:
    """A service principal of an earlier plan, with its policy, access and a grant, as the record has them."""
    town.apply()
    host, name = town.workspace.url, "parcels-prod-approval"
    town.account.kept["ServicePrincipals"]["77"] = {"id": "77", "displayName": name, "applicationId": "app-77"}
    town.account.policies["77"] = {"parcels-prod-approval-github": {}}
    town.account.assigned["42", "77"] = ["USER"]
    unity(town, "permissions/schema/p.parcels", "PATCH", changes=[{"principal": "app-77", "add": ["EXECUTE"]}])
    entered = {"principal": name, "group": "", "workspace": "42"}
    trusted = {"principal": name, "policy": "parcels-prod-approval-github"}
    granted = {"env": "prod", "securable": "schema", "name": "p.parcels", "principal": "app-77", "later": ""}
    held = {"privileges": ("EXECUTE",)}
    for made in (
        Made(kind=Kind.SERVICE_PRINCIPAL, name=name, at={}, id="77"),
        Made(kind=Kind.ACCESS, name=f"of {name} to {host}", at=entered, id="77"),
        Made(kind=Kind.POLICY, name=f"{trusted['policy']} of {name}", at=trusted, id=trusted["policy"]),
        Made(kind=Kind.GRANT, name=f"on schema p.parcels to {name}", at=granted, added=held),
    ):
        town.session().record.complete(made)
    return name


def test_a_service_principal_that_nothing_wants_any_more_loses_its_grants_and_is_told(town: Town) -> None:
    name = former(town)

    assert town.apply() == 1

    assert name not in town.grants("schema", "p.parcels")
    step = town.steps()[f"service principal {name}"]
    assert step.action is Action.KEEP
    assert "databricks account service-principals delete 77" in step.drift
    assert name in town.account.named("ServicePrincipals")


def test_a_service_principal_that_somebody_removed_by_hand_is_not_told_any_more(town: Town) -> None:
    name = former(town)
    unity(town, "permissions/schema/p.parcels", "PATCH", changes=[{"principal": "app-77", "remove": ["EXECUTE"]}])
    del town.account.kept["ServicePrincipals"]["77"], town.account.policies["77"], town.account.assigned["42", "77"]

    assert [key for key in town.steps() if name in key.split()] == []
    assert town.apply() == 0
    town.session().undo(tuple(Part), Silent())
    assert not [key for key in town.session().record.entries if name in key.split()]


def test_undo_removes_a_service_principal_that_nothing_wants_any_more(town: Town) -> None:
    name = former(town)

    town.session().undo(tuple(Part), Silent())

    assert name not in town.account.named("ServicePrincipals")
    assert town.account.policies["77"] == {}
    assert ("42", "77") not in town.account.assigned
    assert "app-77" not in town.grants("schema", "p.parcels")
    assert not [key for key in town.session().record.entries if name in key.split()]


def test_undo_removes_no_data(town: Town) -> None:
    town.apply()
    headers = {"Authorization": f"Bearer {TOKEN}"}
    address = f"{town.workspace.url}/api/2.0/fs/files/Volumes/d/parcels/landing/parcels.csv"
    requests.put(address, headers=headers, data=b"a,b\n", timeout=30).raise_for_status()

    left = town.session().undo([Part.METASTORE], Silent())

    assert {one.key for one in left} == {
        "volume d.parcels.landing",
        "schema d.parcels",
        "catalog d",
        "catalog s",
        "catalog p",
    }
    assert "file parcels.csv" in next(one.reason for one in left if one.key.startswith("volume"))
    assert names(town, "volumes", catalog_name="d", schema_name="parcels") == {"landing"}


def test_undo_leaves_what_took_the_place_of_what_setup_made(town: Town) -> None:
    town.apply(Part.ACCOUNT)
    number = town.account.named("Groups")["parcels-developers"]
    town.account.kept["Groups"]["9999"] = {**town.account.kept["Groups"].pop(number), "id": "9999"}

    left = town.session().undo([Part.ACCOUNT], Silent())

    assert [one.key for one in left] == ["group parcels-developers"]
    assert town.account.named("Groups") == {"parcels-developers": "9999"}


def test_a_catalog_of_somebody_elses_is_refused_until_it_is_given(town: Town) -> None:
    unity(town, "catalogs", "POST", name="p")

    step = town.steps()["catalog p"]
    assert (step.action, "given_catalogs" in step.reason) == (Action.REFUSE, True)
    assert town.actions(given_catalogs=["p"])["catalog p"] is Action.KEEP


def test_a_catalog_that_is_given_and_missing_is_never_made(town: Town) -> None:
    town_with_it: dict[str, Any] = {"given_catalogs": ["p"]}

    assert town.actions(**town_with_it)["catalog p"] is Action.REFUSE
    town.apply(Part.METASTORE, **town_with_it)
    assert "p" not in names(town, "catalogs")


def test_a_service_principal_of_that_name_is_not_taken_over(town: Town) -> None:
    town.account.kept["ServicePrincipals"]["17"] = {"id": "17", "displayName": "parcels-prod", "applicationId": "x"}

    assert town.actions()["service principal parcels-prod"] is Action.REFUSE
    town.apply(Part.ACCOUNT)
    assert town.account.policies.get("17", {}) == {}
