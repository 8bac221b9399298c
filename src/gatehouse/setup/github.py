"""The repository's side on GitHub: environments, reviewers, branch rules, variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from gatehouse.ci.answer import Answer
from gatehouse.ci.http import Api
from gatehouse.errors import ConfigurationError, Unanswered
from gatehouse.setup.resources import Found, Kind, Made, Resource, Step, Told


class GitHubSide:
    """Asks in the name of a token that administers the repository; a job's own token does not."""

    def __init__(self, api: Api, repository: str) -> None:
        self._api = api
        self._home = f"/repos/{repository}"

    def look(self, resource: Resource) -> Told:
        """What is there of it."""
        if resource.kind is Kind.ENVIRONMENT:
            place = self._api.find(self._environment(resource.name))
            return _found(place) if place else None
        path = self._environment(resource.at["environment"])
        if resource.kind is Kind.BRANCH:
            listed = self._api.find(f"{path}/deployment-branch-policies", per_page=100)
            rules = listed.items("branch_policies") if listed else ()
            for rule in rules:
                if (rule.maybe_text("type") or "branch", rule.text("name")) == (
                    resource.at["type"],
                    resource.at["pattern"],
                ):
                    return Found(rule.identifier("id"))
            return None
        told = self._api.find(f"{path}/variables/{resource.at['variable']}")
        return Found(told.text("name"), {"value": told.text("value")}) if told else None

    def make(self, step: Step) -> str:
        """Makes it; returns its identifier."""
        resource = step.resource
        if resource.kind is Kind.ENVIRONMENT:
            return self._put(step).identifier("id")
        path, at = self._environment(resource.at["environment"]), resource.at
        if resource.kind is Kind.BRANCH:
            body = {"name": at["pattern"], "type": at["type"]}
            return self._api.send("POST", f"{path}/deployment-branch-policies", body).identifier("id")
        self._api.send("POST", f"{path}/variables", {"name": at["variable"], "value": resource.wants["value"]})
        return at["variable"]

    def change(self, step: Step) -> None:
        """Brings it to what is wanted; what else an environment has (other reviewers, a wait) stays."""
        resource = step.resource
        if resource.kind is Kind.ENVIRONMENT:
            self._put(step)
            return
        path = f"{self._environment(resource.at['environment'])}/variables/{resource.at['variable']}"
        self._api.send("PATCH", path, {"name": resource.at["variable"], "value": resource.wants["value"]})

    def remove(self, made: Made) -> None:
        """What setup made; nothing happens if it is gone."""
        if made.kind is Kind.ENVIRONMENT:
            path = self._environment(made.name)
        elif made.kind is Kind.BRANCH:
            path = f"{self._environment(made.at['environment'])}/deployment-branch-policies/{made.id}"
        else:
            path = f"{self._environment(made.at['environment'])}/variables/{made.at['variable']}"
        try:
            self._api.send("DELETE", path, None)
        except Unanswered as error:
            if error.status != 404:
                raise

    def _environment(self, name: str) -> str:
        return f"{self._home}/environments/{quote(name, safe='')}"

    def _put(self, step: Step) -> Answer:
        """PUT replaces everything that it knows, so what is there is sent along."""
        path = self._environment(step.resource.name)
        place = self._api.find(path)
        rules = {rule.text("type"): rule for rule in place.items("protection_rules")} if place else {}
        limit = place.maybe("deployment_branch_policy") if place else None
        body: dict[str, Any] = {"deployment_branch_policy": limit.content if limit else None}
        if step.resource.wants.get("custom branches"):
            body["deployment_branch_policy"] = {"protected_branches": False, "custom_branch_policies": True}
        if "wait_timer" in rules:
            body["wait_timer"] = rules["wait_timer"].number("wait_timer")
        asking = rules.get("required_reviewers")
        kept = [
            {"type": reviewer.text("type"), "id": reviewer.number("reviewer", "id")}
            for reviewer in (asking.items("reviewers") if asking else ())
        ]
        brought = [self._reviewer(name) for name in sorted(step.add.get("reviewers", ()))]
        if kept or brought:
            body["reviewers"] = kept + [one for one in brought if one not in kept]
            own = asking.maybe("prevent_self_review") if asking else None
            body["prevent_self_review"] = bool(step.resource.wants.get("prevents self-review")) or bool(
                own and own.flag()
            )
        if len(body.get("reviewers", ())) > 6:
            raise ConfigurationError(
                f"Environment {step.resource.name} would have {len(body['reviewers'])} reviewers.",
                why="GitHub takes six at most, of whom one approves.",
                remedy="Name a team: reviewers: [organisation/team] in conf/setup.yml.",
            )
        return self._api.send("PUT", path, body)

    def _reviewer(self, name: str) -> Mapping[str, Any]:
        organisation, _, team = name.rpartition("/")
        path = f"/orgs/{quote(organisation)}/teams/{quote(team)}" if organisation else f"/users/{quote(name)}"
        found = self._api.find(path)
        if found is None:
            raise ConfigurationError(
                f"GitHub knows no reviewer {name}.",
                why="An approval that asks nobody is none.",
                remedy="Correct `reviewers` in conf/setup.yml: accounts, and teams as organisation/team.",
            )
        return {"type": "Team" if organisation else "User", "id": found.number("id")}


def _found(place: Answer) -> Found:
    rules = {rule.text("type"): rule for rule in place.items("protection_rules")}
    limit = place.maybe("deployment_branch_policy")
    has: dict[str, str | bool | frozenset[str]] = {
        "custom branches": bool(limit and limit.flag("custom_branch_policies")),
        "prevents self-review": False,
    }
    if asking := rules.get("required_reviewers"):
        own = asking.maybe("prevent_self_review")
        has["prevents self-review"] = bool(own and own.flag())
        has["reviewers"] = frozenset(_name(reviewer) for reviewer in asking.items("reviewers"))
    return Found(place.identifier("id"), has)


def _name(reviewer: Answer) -> str:
    """An account, or a team as organisation/team (GitHub gives the team's page, which holds both)."""
    if reviewer.text("type") == "User":
        return reviewer.text("reviewer", "login")
    page = reviewer.maybe_text("reviewer", "html_url").split("/")
    organisation = page[page.index("orgs") + 1] if "orgs" in page else ""
    return f"{organisation}/{reviewer.text('reviewer', 'slug')}"
