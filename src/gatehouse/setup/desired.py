"""What conf/ and the answers ask for, as resources. Pure."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from gatehouse.errors import ConfigurationError
from gatehouse.settings import Environment, EnvironmentsFile
from gatehouse.setup import roles
from gatehouse.setup.answers import SetupFile
from gatehouse.setup.repository import repository
from gatehouse.setup.resources import Existing, Kind, Resource, Unseen
from gatehouse.setup.roles import Grant, Objects, Securable
from gatehouse.setup.tags import ANY, ASSIGNER, rule_set

_PROJECT = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class Identity:
    """A service principal: its number in the account, and the identifier that grants and sign-ins use."""

    id: str
    application: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What a CI's token says: whom it comes from, for whom it is meant."""

    name: str
    issuer: str
    subject: str
    audiences: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """What has to be asked before anything can be wanted.

    `identities` are the service principals that are there and the project's, by name; `subjects` the tokens that may
    act as each. `provider_environments` are those that workflows work in, `approving` those whose reviewers approve.
    """

    project: str
    objects: Objects
    provider: Literal["github", "azure"] | None
    repository: str
    provider_environments: tuple[str, ...] = ()
    approving: tuple[str, ...] = ()
    identities: Mapping[str, Identity] = field(default_factory=dict)
    subjects: Mapping[str, tuple[Subject, ...] | Unseen] = field(default_factory=dict)


def desired(file: EnvironmentsFile, answers: SetupFile, known: Known) -> tuple[Resource, ...]:
    """Everything that should be there, in an order in which each thing finds what it needs."""
    if not _PROJECT.fullmatch(known.project):
        raise ConfigurationError(
            f"The project is called {known.project!r}.",
            why="Groups, service principals and policies are named after it.",
            remedy="Give the Project a name of letters, digits, _ and -.",
        )
    return (*_account(file, answers, known), *_metastore(file, answers, known), *repository(file, answers, known))


def _account(file: EnvironmentsFile, answers: SetupFile, known: Known) -> Iterator[Resource]:
    project = known.project
    robots = roles.principals(project, file)
    groups = (roles.developers(project), roles.approvers(project)) if robots else ()
    for name in groups:
        hand = _account_cli("groups", "create", "--display-name", name)
        yield Resource(kind=Kind.GROUP, name=name, by_hand=hand)
    for name in robots:
        hand = _account_cli("service-principals", "create", "--display-name", name)
        given = Existing.GIVEN if name in answers.given_principals else Existing.REFUSED
        yield Resource(kind=Kind.SERVICE_PRINCIPAL, name=name, existing=given, by_hand=hand)
    entries: dict[str, Resource] = {}
    for env, workspaces in answers.workspaces.items():
        if env not in file.environments:
            raise ConfigurationError(
                f"conf/setup.yml has workspaces of {env!r}, and conf/environments.yml no such environment.",
                why="Nobody would be let into them.",
                remedy=f"Choose from: {', '.join(file.environments)}.",
            )
        own = [roles.pipelines(project, env)]
        own += [roles.rehearsal(project)] if env == roles.rehearsed(file) else []
        for workspace in workspaces:
            for who in (*groups, *(robot for robot in robots if robot in own)):
                found = _access(who, str(workspace.id or ""), workspace.host.rstrip("/"), who in groups)
                entries[found.key] = found  # several environments may share a workspace
    yield from entries.values()
    for name in robots:
        yield from _policies(name, known)


def _access(who: str, workspace: str, host: str, group: bool) -> Resource:
    body = json.dumps({"permissions": ["USER"]})
    return Resource(
        kind=Kind.ACCESS,
        name=f"of {who} to {host}",
        at={"principal": who, "group": "yes" if group else "", "workspace": workspace},
        needs=(f"{Kind.GROUP if group else Kind.SERVICE_PRINCIPAL} {who}",),
        wants={"permissions": frozenset({"USER"})},
        waits_for="" if workspace else f"the number of workspace {host}, as `id` in conf/setup.yml",
        by_hand=_account_cli(
            "workspace-assignment", "update", workspace or "WORKSPACE_ID", "PRINCIPAL_ID", "--json", body
        ),
    )


def _policies(name: str, known: Known) -> Iterator[Resource]:
    subjects = known.subjects.get(name, ())
    if isinstance(subjects, Unseen):
        yield Resource(
            kind=Kind.POLICY, name=f"of {name}", waits_for=subjects.reason.rstrip("."), by_hand=subjects.remedy
        )
        return
    for subject in subjects:
        policy = slug(f"{known.project}-{subject.name}")
        oidc = {"issuer": subject.issuer, "subject": subject.subject}
        audiences = {"audiences": sorted(subject.audiences)} if subject.audiences else {}
        body = json.dumps({"oidc_policy": {**oidc, **audiences}})
        yield Resource(
            kind=Kind.POLICY,
            name=f"{policy} of {name}",
            at={"principal": name, "policy": policy},
            needs=(f"{Kind.SERVICE_PRINCIPAL} {name}",),
            wants={**oidc, "audiences": ", ".join(sorted(subject.audiences))},
            existing=Existing.REFUSED,
            by_hand=_account_cli("service-principal-federation-policy", "create", "PRINCIPAL_ID", "--json", body),
        )


def slug(text: str) -> str:
    """Lower case letters, digits and hyphens, as the identifier of a policy has to be."""
    return re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-")


def _metastore(file: EnvironmentsFile, answers: SetupFile, known: Known) -> Iterator[Resource]:
    environments = {n: e for n, e in file.environments.items() if e.platform == "databricks"}
    seen: set[str] = set()
    made: dict[str, str] = {}
    for name, environment in environments.items():
        made.setdefault(environment.catalog, name)
    for catalog, env in made.items():
        given = catalog in answers.given_catalogs
        yield Resource(
            kind=Kind.CATALOG,
            name=catalog,
            at={"env": env},
            existing=Existing.GIVEN if given else Existing.REFUSED,
            by_hand=_cli("catalogs", "create", catalog),
        )
    for name, environment in environments.items():
        # What holds data and outlives a deployment is the bundle's, but in development, where everybody has a copy.
        bundle = "" if roles.is_development(environment) else f"databricks bundle deploy --target {name}"
        places = [environment.place, *([environment.mirror] if file.is_mirrored(name) else [])]
        volumes = [environment.lands, environment.keeps]
        home = {volume.rpartition(".")[0] for volume in volumes} - {".".join(place) for place in places}
        for schema in (*(".".join(place) for place in places), *sorted(home)):
            if schema not in seen:
                seen.add(schema)
                catalog, _, short = schema.partition(".")
                hand = _cli("schemas", "create", short, catalog)
                needs = (f"{Kind.CATALOG} {catalog}",)
                maker = bundle if schema == ".".join(environment.place) else ""
                yield Resource(
                    kind=Kind.SCHEMA, name=schema, at={"env": name}, needs=needs, made_by=maker, by_hand=maker or hand
                )
        for volume in volumes:
            catalog, schema, short = volume.split(".")
            hand = _cli("volumes", "create", catalog, schema, short, "MANAGED")
            needs = (f"{Kind.SCHEMA} {catalog}.{schema}",)
            maker = bundle if (catalog, schema) == environment.place else ""
            yield Resource(
                kind=Kind.VOLUME, name=volume, at={"env": name}, needs=needs, made_by=maker, by_hand=maker or hand
            )
    yield from _tags(environments, answers, known)
    robots = roles.principals(known.project, file)
    for grant in roles.grants(known.project, file, known.objects):
        yield from _grant(grant, _home_of(grant, file), answers, known, robot=grant.principal in robots)


def _tags(environments: Mapping[str, Environment], answers: SetupFile, known: Known) -> Iterator[Resource]:
    """Those by which approvers approve where the registry judges. They are the account's: once for all environments."""
    judged = next((name for name, environment in environments.items() if environment.driver == "registry"), None)
    if judged is None:
        return
    account, who = answers.account.id if answers.account else "", f"groups/{roles.approvers(known.project)}"
    waits = "" if account else "the account's identifier, as `account` in conf/setup.yml"
    for tag, values in known.objects.tags.items():
        at = {"env": judged, "tag": tag, "account": account}
        body = json.dumps({"values": [{"name": value} for value in values]})
        yield Resource(
            kind=Kind.TAG,
            name=tag,
            at=at,
            wants={"values": ", ".join(sorted(values)) or ANY},
            existing=Existing.REFUSED,
            waits_for=waits,
            by_hand=_cli("tag-policies", "create-tag-policy", tag, *(("--json", body) if values else ())),
        )
        rules = rule_set(account or "ACCOUNT_ID", "POLICY_ID")
        given = [{"role": ASSIGNER, "principals": [who]}, {"role": "roles/tagPolicy.manager", "principals": ["OTHERS"]}]
        change = json.dumps({"name": rules, "rule_set": {"name": rules, "etag": "ETAG", "grant_rules": given}})
        yield Resource(
            kind=Kind.ASSIGNMENT,
            name=f"{tag} to {who.removeprefix('groups/')}",
            at=at,
            wants={"assigners": frozenset({who})},
            waits_for=waits,
            needs=(f"{Kind.TAG} {tag}", f"{Kind.GROUP} {who.removeprefix('groups/')}"),
            # It replaces all rules, so the first one says which there are.
            by_hand=f"{_account_cli('access-control', 'get-rule-set', rules, '')} && "
            + _account_cli("access-control", "update-rule-set", "--json", change),
        )


def _home_of(grant: Grant, file: EnvironmentsFile) -> str:
    """The environment in whose workspace a grant is given."""
    fits = [
        name
        for name, environment in file.environments.items()
        if environment.platform == "databricks"
        and (
            ".".join(grant.name.split(".")[:2]) in (".".join(environment.place), ".".join(environment.mirror))
            or grant.name == environment.keeps
        )
    ]
    at_least = [n for n, e in file.environments.items() if e.catalog == grant.name.split(".")[0]]
    return (fits or at_least)[0]


def _grant(grant: Grant, env: str, answers: SetupFile, known: Known, *, robot: bool) -> Iterator[Resource]:
    who = grant.principal
    identity = known.identities.get(who)
    principal = (identity.application if identity else "") if robot else who
    waits = "" if principal else f"{Kind.SERVICE_PRINCIPAL} {who}"
    parts = grant.name.split(".")
    needs = (f"{Kind.CATALOG} {parts[0]}", *([f"{Kind.SCHEMA} {'.'.join(parts[:2])}"] if len(parts) > 1 else []))
    needs += (f"{Kind.VOLUME} {grant.name}",) if grant.securable is Securable.VOLUME else ()
    at = {"env": env, "securable": grant.securable, "name": grant.name, "principal": principal}
    plain = grant.privileges - {roles.CREATE_MODEL_VERSION}
    change = {"changes": [{"principal": principal or "APPLICATION_ID", "add": sorted(plain)}]}
    word = "model" if grant.securable is Securable.MODEL else grant.securable
    yield Resource(
        kind=Kind.GRANT,
        name=f"on {word} {grant.name} to {who}",
        at={**at, "later": "yes" if grant.later else ""},
        wants={"privileges": plain},
        waits_for=waits,
        needs=needs,
        by_hand=_cli("grants", "update", grant.securable, grant.name, "--json", json.dumps(change)),
    )
    if roles.CREATE_MODEL_VERSION in grant.privileges:
        statement = sql_grant(grant.securable, grant.name, principal or "APPLICATION_ID")
        missing = "" if answers.warehouse else "a SQL warehouse, as `warehouse` in conf/setup.yml"
        yield Resource(
            kind=Kind.SQL_GRANT,
            name=f"on {grant.securable} {grant.name} to {who}",
            at={**at, "warehouse": answers.warehouse or ""},
            wants={"privileges": frozenset({roles.CREATE_MODEL_VERSION})},
            waits_for=waits or missing,
            needs=needs,
            by_hand=statement,
        )


def sql_grant(securable: str, name: str, principal: str, *, revoke: bool = False) -> str:
    """A statement whose names are quoted, whatever they hold."""
    verb, to = ("REVOKE", "FROM") if revoke else ("GRANT", "TO")
    return f"{verb} CREATE MODEL VERSION ON {securable.upper()} {quoted(name)} {to} {quoted(principal, whole=True)}"


def quoted(name: str, *, whole: bool = False) -> str:
    """An identifier between backticks, part by part."""
    parts = [name] if whole else name.split(".")
    return ".".join("`" + part.replace("`", "``") + "`" for part in parts)


def _cli(*words: str) -> str:
    return shlex.join(("databricks", *words))


def _account_cli(*words: str) -> str:
    return shlex.join(("databricks", "account", *words))
