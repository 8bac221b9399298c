"""Governed tags: the account's policy of each, and who may assign it. Asked through a workspace.

Whoever makes a policy may manage it from then on, which setup leaves as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from gatehouse.errors import Refused
from gatehouse.setup.resources import Found, Kind, Made, Resource, Step

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service.iam import RuleSetResponse
    from databricks.sdk.service.tags import TagPolicy

ASSIGNER = "roles/tagPolicy.assigner"
"""What the pages call ASSIGN."""
ANY = "any"
"""What a policy without values says."""


def look(client: WorkspaceClient, resource: Resource) -> Found | None:
    """The policy with its values, or those who may assign; NotFound of the SDK where there is no policy."""
    if resource.kind is Kind.TAG:
        policy = client.tag_policies.get_tag_policy(resource.name)
        values = sorted(value.name for value in policy.values or [])
        return Found(str(policy.id), {"values": ", ".join(values) or ANY})
    held = _assigners(_rules(client, resource.at))
    return Found(resource.key, {"assigners": held}) if held else None


def make(client: WorkspaceClient, step: Step) -> str:
    """The tag becomes governed, or may be assigned; returns its identifier."""
    if step.resource.kind is Kind.TAG:
        return str(client.tag_policies.create_tag_policy(_policy(step.resource)).id)
    change(client, step)
    return step.resource.key


def change(client: WorkspaceClient, step: Step) -> None:
    """The values as they should be, or some more, or fewer, who may assign."""
    resource = step.resource
    if resource.kind is Kind.TAG:
        client.tag_policies.update_tag_policy(resource.name, _policy(resource), "values")
        return
    _assign(client, resource.at, add=step.add.get("assigners", ()), drop=step.drop.get("assigners", ()))


def remove(client: WorkspaceClient, made: Made) -> None:
    """What setup made; Refused where others rely on it."""
    if made.kind is Kind.ASSIGNMENT:
        _assign(client, made.at, add=(), drop=made.added.get("assigners", ()))
        return
    if held := _assigners(_rules(client, made.at)):
        raise Refused(
            f"{made.key} is in use: {', '.join(sorted(held))} may assign it.",
            why="Without its policy, whoever may tag an object could set it.",
            remedy=f"Take the right away, or keep it: {made.name} stays in the record.",
        )
    client.tag_policies.delete_tag_policy(made.name)


def rule_set(account: str, policy: str) -> str:
    """The name of a policy's rules."""
    return f"accounts/{account}/tagPolicies/{policy}/ruleSets/default"


def _policy(resource: Resource) -> TagPolicy:
    from databricks.sdk.service.tags import TagPolicy, Value

    said = str(resource.wants["values"])
    values = [] if said == ANY else [Value(name) for name in said.split(", ")]
    return TagPolicy(resource.name, description="Made by gatehouse setup.", values=values)


def _rules(client: WorkspaceClient, at: Mapping[str, str]) -> RuleSetResponse:
    number = str(client.tag_policies.get_tag_policy(at["tag"]).id)
    return client.account_access_control_proxy.get_rule_set(rule_set(at["account"], number), "")


def _assigners(rules: RuleSetResponse) -> frozenset[str]:
    given = [rule for rule in rules.grant_rules or [] if rule.role == ASSIGNER]
    return frozenset(principal for rule in given for principal in rule.principals or [])


def _assign(client: WorkspaceClient, at: Mapping[str, str], *, add: Collection[str], drop: Collection[str]) -> None:
    """A set of rules is replaced as a whole: those of other roles go back as they came."""
    from databricks.sdk.service.iam import GrantRule, RuleSetUpdateRequest

    rules = _rules(client, at)
    others = [rule for rule in rules.grant_rules or [] if rule.role != ASSIGNER]
    assigners = sorted((_assigners(rules) | frozenset(add)) - frozenset(drop))
    wanted = [*others, *([GrantRule(role=ASSIGNER, principals=assigners)] if assigners else [])]
    client.account_access_control_proxy.update_rule_set(
        rules.name, RuleSetUpdateRequest(name=rules.name, etag=rules.etag, grant_rules=wanted)
    )
