"""One project's setup, put together: who is asked, what is wanted, and in which order it is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from gatehouse.ci.preflight_local import SMOKE, WITH_A_WORKSPACE, named_environments
from gatehouse.ci.remote import Remote, origin_command
from gatehouse.errors import AccessDenied, PlatformError
from gatehouse.settings import EnvironmentsFile
from gatehouse.setup import roles
from gatehouse.setup.account import AccountSide
from gatehouse.setup.answers import SetupFile
from gatehouse.setup.applying import Left, Progress, Side, apply, look, undo
from gatehouse.setup.azure import AzureSide
from gatehouse.setup.desired import Identity, Known, Subject, desired
from gatehouse.setup.github import GitHubSide
from gatehouse.setup.metastore import MetastoreSide
from gatehouse.setup.record import Record
from gatehouse.setup.resources import Action, Kind, Part, Resource, Step, Unseen
from gatehouse.setup.roles import Objects
from gatehouse.setup.subjects import azure_subjects, github_subjects

_FILES = {"github": ".github/workflows", "azure": ".azure-pipelines"}


@dataclass(frozen=True, kw_only=True)
class Session:
    """Everything a plan needs. `root` is the checkout; `remote` None: neither GitHub nor Azure DevOps."""

    root: Path
    project: str
    environments: EnvironmentsFile
    answers: SetupFile
    objects: Objects
    remote: Remote | None
    record: Record

    def plan(self, parts: Iterable[Part]) -> tuple[Step, ...]:
        """What would be done; asks, and changes nothing."""
        chosen = set(parts)
        wanted = [resource for resource in self.wanted() if resource.part in chosen]
        return look(wanted, self.sides, self.record)

    def apply(self, parts: Iterable[Part], progress: Progress) -> int:
        """Makes one part after the other, each planned anew: what one made, the next one needs. Returns the changes."""
        done = 0
        with self.record.alone():
            for part in (p for p in Part if p in set(parts)):
                done += apply(self.plan([part]), self.sides, self.record, progress)
        return done

    def undo(self, parts: Iterable[Part], progress: Progress) -> tuple[Left, ...]:
        """Removes what the record says setup made."""
        with self.record.alone():
            return undo(self.sides, self.record, parts, progress)

    def wanted(self) -> tuple[Resource, ...]:
        """What should be there, as far as it can be known now."""
        return desired(self.environments, self.answers, self._known())

    def why_nothing(self, parts: Iterable[Part]) -> tuple[str, ...]:
        """Why nothing is wanted of these parts, each with what to do first. Nothing is asked."""
        chosen, provider = set(parts), self._provider()
        found: list[str] = []
        if chosen - {Part.REPOSITORY} and not roles.principals(self.project, self.environments):
            found.append(
                "Account and metastore: no environment in conf/environments.yml has `platform: databricks`. Give it to "
                "those that shall live in a workspace, and say in conf/setup.yml which (gatehouse schema setup)."
            )
        if Part.REPOSITORY in chosen and provider is None:
            found.append(
                "Repository: the git remote `origin` is not on GitHub or Azure DevOps, and conf/setup.yml has no "
                f"`source`. First: {origin_command(self.root)}"
            )
        elif Part.REPOSITORY in chosen and provider is not None:
            found.append(
                f"Repository: no workflow in {_FILES[provider]}/ names an environment of the CI. Write one that does: "
                "docs/ci.md."
            )
        return tuple(found)

    @cached_property
    def sides(self) -> dict[Part, Side]:
        """Those that somebody said where to find; signing in comes with the first question."""
        found: dict[Part, Side] = {}
        if self.answers.account:
            found[Part.ACCOUNT] = AccountSide(self.answers.account.host, self.answers.account.id)
        if hosts := self._hosts():
            found[Part.METASTORE] = MetastoreSide(hosts)
        if self.remote and self.remote.kind == self._provider():
            if self.remote.organisation is not None:
                found[Part.REPOSITORY] = AzureSide(self.remote.api, self.remote.organisation)
            else:
                found[Part.REPOSITORY] = GitHubSide(self.remote.api, self.remote.repository)
        return found

    def _hosts(self) -> dict[str, str]:
        return {env: places[0].host.rstrip("/") for env, places in self.answers.workspaces.items() if places}

    def _provider(self) -> Literal["github", "azure"] | None:
        return self.answers.source or (self.remote.kind if self.remote else None)

    def _known(self) -> Known:
        provider = self._provider()
        without = SMOKE if roles.rehearsed(self.environments) else WITH_A_WORKSPACE
        named = named_environments(self.root, _FILES[provider], without=without) if provider else ((), ())
        return Known(
            project=self.project,
            objects=self.objects,
            provider=provider,
            repository=self.remote.repository if self.remote else "OWNER/REPOSITORY",
            provider_environments=named[0],
            approving=named[1],
            identities=self._identities(),
            subjects=self._subjects(named[1]),
        )

    def _identities(self) -> dict[str, Identity]:
        """From the account, else from a workspace. One that setup did not make and nobody gave is not the project's."""
        mine = {made.name for made in self.record.entries.values() if made.kind is Kind.SERVICE_PRINCIPAL}
        mine |= set(self.answers.given_principals)
        wanted = [name for name in roles.principals(self.project, self.environments) if name in mine]
        found: dict[str, Identity] = {}
        for part in (Part.ACCOUNT, Part.METASTORE):
            asker = self.sides.get(part)
            if not isinstance(asker, AccountSide | MetastoreSide):
                continue
            try:
                for name in wanted:
                    identity = found.get(name) or asker.identity(name)
                    if identity is not None:
                        found[name] = identity
            except (AccessDenied, PlatformError):
                continue
        return found

    def _subjects(self, approving: Iterable[str]) -> Mapping[str, tuple[Subject, ...] | Unseen]:
        inhabited = [n for n, e in self.environments.environments.items() if e.platform == "databricks"]
        if not inhabited:
            return {}
        asking = [n for n in approving if n.removesuffix(roles.APPROVAL) in inhabited]
        requests = [roles.PULL_REQUEST] if roles.rehearsed(self.environments) else []
        robots: dict[str, tuple[str, ...]] = {}
        for name in (*inhabited, *asking, *requests):
            who = roles.acts_as(self.project, name)
            robots[who] = (*robots.get(who, ()), name)
        if self.remote is None or self.remote.kind != self._provider():
            reason = "a git remote on GitHub or Azure DevOps, whose tokens are to be trusted"
            return dict.fromkeys(robots, Unseen(reason, origin_command(self.root)))
        if self.remote.organisation is None:
            return github_subjects(self.remote.api, self.remote.repository, robots)
        named = self.answers.pipelines
        pipelines = {w: tuple(dict.fromkeys(p for n in ns for p in named.get(n, ()))) for w, ns in robots.items()}
        return azure_subjects(self.remote.organisation, self.remote.api.base.rpartition("/")[2], pipelines)


def refusals(steps: Iterable[Step]) -> tuple[Step, ...]:
    """The steps that somebody has to settle first."""
    return tuple(step for step in steps if step.action is Action.REFUSE)
