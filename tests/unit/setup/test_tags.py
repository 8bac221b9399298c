"""Governed tags: where the registry judges, approvers may assign them, and setup gives that to nobody else."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest
from tests.loopback import Reply
from tests.unit.setup.conftest import TAGS, Town, environments
from tests.unit.setup.servers import ACCOUNT

from gatehouse.errors import StateError
from gatehouse.progress import Silent
from gatehouse.setup.answers import SetupFile
from gatehouse.setup.desired import Known, desired
from gatehouse.setup.resources import Action, Part, Resource
from gatehouse.setup.roles import Objects

APPROVERS = "groups/parcels-approvers"
KEYS = [f"governed tag {tag}" for tag in TAGS]
RIGHTS = [f"right to assign {tag} to parcels-approvers" for tag in TAGS]
REGISTRY: dict[str, Any] = {"driver": "registry"}


def wanted(driver: str, **answers: Any) -> dict[str, Resource]:
    """What is asked for of tags."""
    objects = Objects(model="parcels", audit="audit_log", results=(), tags=TAGS)
    known = Known(project="parcels", objects=objects, provider=None, repository="")
    found = desired(environments(driver=driver), SetupFile.model_validate(answers), known)
    return {resource.key: resource for resource in found if resource.key in (*KEYS, *RIGHTS)}


def test_tags_are_governed_where_the_registry_judges_and_nowhere_else() -> None:
    assert wanted("ci") == {}
    assert {key: resource.wants for key, resource in wanted("registry").items()} == {
        "governed tag approval": {"values": "Approved, Rejected"},
        "governed tag approval_record": {"values": "any"},
        "right to assign approval to parcels-approvers": {"assigners": frozenset({APPROVERS})},
        "right to assign approval_record to parcels-approvers": {"assigners": frozenset({APPROVERS})},
    }


def test_without_an_account_they_wait_and_can_be_made_by_hand() -> None:
    resources = wanted("registry")

    assert {resource.waits_for for resource in resources.values()} == {
        "the account's identifier, as `account` in conf/setup.yml"
    }
    hand = shlex.split(resources["governed tag approval"].by_hand)
    assert hand[:4] == ["databricks", "tag-policies", "create-tag-policy", "approval"]
    assert json.loads(hand[-1]) == {"values": [{"name": "Approved"}, {"name": "Rejected"}]}
    assert resources["governed tag approval_record"].by_hand == (
        "databricks tag-policies create-tag-policy approval_record"
    )


def test_by_hand_the_rules_are_read_before_they_are_replaced() -> None:
    resources = wanted("registry", account={"host": "https://accounts.example.org", "id": ACCOUNT})
    first, _, second = resources[RIGHTS[0]].by_hand.partition(" && ")
    rules = f"accounts/{ACCOUNT}/tagPolicies/POLICY_ID/ruleSets/default"

    assert shlex.split(first) == ["databricks", "account", "access-control", "get-rule-set", rules, ""]
    assert shlex.split(second)[:4] == ["databricks", "account", "access-control", "update-rule-set"]
    given = json.loads(shlex.split(second)[-1])["rule_set"]["grant_rules"]
    assert {"role": "roles/tagPolicy.assigner", "principals": [APPROVERS]} in given


@pytest.mark.slow
def test_approvers_may_assign_them_and_whoever_made_them_still_manages_them(town: Town) -> None:
    assert town.apply(**REGISTRY) > 0

    assert [v["name"] for v in town.workspace.tags["approval"]["values"]] == ["Approved", "Rejected"]
    assert "values" not in town.workspace.tags["approval_record"]
    assert [town.workspace.assigners(tag) for tag in TAGS] == [{APPROVERS}, {APPROVERS}]
    roles = [{rule["role"] for rule in rules["grant_rules"]} for rules in town.workspace.rules.values()]
    assert roles == [{"roles/tagPolicy.manager", "roles/tagPolicy.assigner"}] * 2

    assert town.apply(**REGISTRY) == 0


@pytest.mark.slow
def test_others_who_may_assign_are_shown_and_changed_values_brought_back(town: Town) -> None:
    town.apply(**REGISTRY)
    town.workspace.tags["approval"]["values"].append({"name": "Perhaps"})
    [rules, _] = town.workspace.rules.values()
    rules["grant_rules"][1]["principals"].append("servicePrincipals/17")

    steps = town.steps(**REGISTRY)

    assert steps[KEYS[0]].reason == "values is Approved, Perhaps, Rejected, should be Approved, Rejected"
    assert steps[RIGHTS[0]].drift == "assigners beyond the table: servicePrincipals/17"
    assert town.apply(**REGISTRY) == 1
    assert [v["name"] for v in town.workspace.tags["approval"]["values"]] == ["Approved", "Rejected"]
    assert town.workspace.assigners("approval") == {APPROVERS, "servicePrincipals/17"}  # not setup's to take


@pytest.mark.slow
def test_a_governed_tag_of_somebody_elses_is_used_only_if_it_says_the_same(town: Town) -> None:
    town.workspace.tags["approval"] = {"tag_key": "approval", "id": "a", "values": [{"name": "yes"}]}

    actions = town.actions(**REGISTRY)

    assert (actions[KEYS[0]], actions[RIGHTS[0]]) == (Action.REFUSE, Action.WAIT)
    town.workspace.tags["approval"]["values"] = [{"name": "Rejected"}, {"name": "Approved"}]
    rules = f"accounts/{ACCOUNT}/tagPolicies/a/ruleSets/default"
    town.workspace.rules[rules] = {"name": rules, "etag": "1", "grant_rules": []}
    town.apply(**REGISTRY)
    assert town.workspace.assigners("approval") == {APPROVERS}

    left = town.session(**REGISTRY).undo([Part.METASTORE], Silent())

    assert not [one for one in left if "approval" in one.key]
    assert set(town.workspace.tags) == {"approval"}
    assert town.workspace.assigners("approval") == set()


@pytest.mark.slow
def test_once_the_ci_judges_the_right_is_taken_back(town: Town) -> None:
    town.apply(**REGISTRY)

    town.apply()

    assert [town.workspace.assigners(tag) for tag in TAGS] == [set(), set()]
    assert set(town.workspace.tags) == set(TAGS)  # whoever may tag could set an ungoverned one


@pytest.mark.slow
def test_undo_keeps_a_tag_that_somebody_else_may_assign(town: Town) -> None:
    town.apply(**REGISTRY)
    [rules, _] = town.workspace.rules.values()
    rules["grant_rules"].append({"role": "roles/tagPolicy.assigner", "principals": ["groups/letters-approvers"]})

    left = town.session(**REGISTRY).undo([Part.METASTORE], Silent())

    assert {one.key: one.reason for one in left if "tag" in one.key} == {
        "governed tag approval": "governed tag approval is in use: groups/letters-approvers may assign it.",
    }
    assert set(town.workspace.tags) == {"approval"}


@pytest.mark.slow
def test_rules_that_somebody_changed_in_between_are_not_overwritten(town: Town) -> None:
    conflict = Reply(status=409, json={"error_code": "RESOURCE_CONFLICT", "message": "Stale etag."})
    town.workspace.fails["PUT .*/rule-sets"] = conflict

    with pytest.raises(StateError, match="Stale etag"):
        town.apply(**REGISTRY)
    assert town.workspace.assigners("approval") == set()
    town.apply(**REGISTRY)
    assert town.workspace.assigners("approval") == {APPROVERS}
