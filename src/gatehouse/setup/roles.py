"""Who may do what in Unity Catalog: one table. Pure.

On a catalog, only what opens the way to its schemas: a catalog may be shared with others. On a schema, what holds for
everything in it. On single tables, volumes and models, what must not hold for their neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from gatehouse.settings import Environment, EnvironmentsFile

PULL_REQUEST = "pull-request"
"""What the provider calls the environment of pull requests."""
APPROVAL = "-approval"
"""How the name of a provider's environment ends whose reviewers approve a promotion."""
CREATE_MODEL_VERSION = "CREATE_MODEL_VERSION"
"""Neither a bundle nor the grants interface knows it: it is given by SQL."""
_ENTER = frozenset({"USE_CATALOG"})
_BUILD = frozenset(
    {
        "USE_SCHEMA",
        "SELECT",
        "MODIFY",
        "EXECUTE",
        "READ_VOLUME",
        "WRITE_VOLUME",
        "CREATE_TABLE",
        "CREATE_FUNCTION",
        "CREATE_MODEL",
        "CREATE_VOLUME",
        "APPLY_TAG",
    }
)
_OWN = _BUILD | {"MANAGE"}
_LOOK = frozenset({"USE_SCHEMA", "EXECUTE"})
_READ = _LOOK | {"SELECT"}


class Securable(StrEnum):
    """In the words of the grants interface; a model is a function there."""

    CATALOG = "catalog"
    SCHEMA = "schema"
    TABLE = "table"
    VOLUME = "volume"
    MODEL = "function"


@dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """Privileges of one principal on one object. `later`: only a first run makes the object."""

    principal: str
    securable: Securable
    name: str
    privileges: frozenset[str]
    later: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Objects:
    """What the machinery keeps in each environment, by name. `results` hold no row of the project's own tables.

    `tags` are those by which people approve where the registry judges, with the values they may have; none: any.
    """

    model: str
    audit: str
    results: tuple[str, ...]
    tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def developers(project: str) -> str:
    """A group."""
    return f"{project}-developers"


def approvers(project: str) -> str:
    """A group."""
    return f"{project}-approvers"


def pipelines(project: str, env: str) -> str:
    """A service principal: deploys and runs an environment, and owns what is in it."""
    return f"{project}-{env}"


def rehearsal(project: str) -> str:
    """A service principal: rehearses pull requests, in schemas that it makes and drops."""
    return f"{project}-{PULL_REQUEST}"


def acts_as(project: str, environment: str) -> str:
    """The service principal that a provider's environment signs in as.

    Where a person is asked it is that of the pipelines: promoting, publishing and rolling back need what they may. What
    proves an approval is the provider's answer, which an identity adds nothing to.
    """
    if environment == PULL_REQUEST:
        return rehearsal(project)
    return pipelines(project, environment.removesuffix(APPROVAL))


def rehearsed(file: EnvironmentsFile) -> str | None:
    """The environment on Databricks in which pull requests are rehearsed: neither developed in nor protected."""
    found = (n for n, e in file.environments.items() if e.platform == "databricks" and not is_development(e))
    return next((name for name in found if not file.environments[name].protected), None)


def is_development(environment: Environment) -> bool:
    """Where developers write: an environment that reads another's sources."""
    return environment.sources_from is not None


def principals(project: str, file: EnvironmentsFile) -> tuple[str, ...]:
    """Every service principal: one for each environment on Databricks, and one for pull requests."""
    found = [pipelines(project, n) for n, e in file.environments.items() if e.platform == "databricks"]
    return (*found, *([rehearsal(project)] if rehearsed(file) else []))


def grants(project: str, file: EnvironmentsFile, objects: Objects) -> tuple[Grant, ...]:
    """The whole table, one row per principal and object, in the order of environments."""
    rows: list[Grant] = []
    for name, environment in file.environments.items():
        if environment.platform == "databricks":
            rows += _environment(project, file, name, environment, objects)
    if staging := rehearsed(file):
        rows += _rehearsing(rehearsal(project), file.environments[staging])
    return _merged(rows)


def _environment(
    project: str, file: EnvironmentsFile, name: str, environment: Environment, objects: Objects
) -> Iterator[Grant]:
    catalog, schema = environment.catalog, f"{environment.catalog}.{environment.db_schema}"
    robot, people = pipelines(project, name), developers(project)

    def on(who: str, kind: Securable, what: str, privileges: Iterable[str], *, later: bool = False) -> Grant:
        return Grant(principal=who, securable=kind, name=what, privileges=frozenset(privileges), later=later)

    # The pipelines write their own schema; rehearsals make and drop schemas beside it.
    yield on(robot, Securable.CATALOG, catalog, _ENTER | {"CREATE_SCHEMA"})
    yield on(robot, Securable.SCHEMA, schema, _OWN | {CREATE_MODEL_VERSION})
    if is_development(environment):
        yield on(people, Securable.CATALOG, catalog, _ENTER | {"CREATE_SCHEMA"})
        yield on(people, Securable.SCHEMA, schema, _BUILD | {CREATE_MODEL_VERSION})
        yield from _reading(robot, file, environment)
    else:
        yield from _seeing(people, file, name, objects)
    if file.is_mirrored(name):
        yield on(robot, Securable.SCHEMA, ".".join(environment.mirror), _OWN)
    if environment.protected:
        who = approvers(project)
        yield from _seeing(who, file, name, objects)
        # Whoever enters a decision moves the log's anchor and writes the version's pages, which are files.
        yield on(who, Securable.VOLUME, environment.keeps, {"READ_VOLUME", "WRITE_VOLUME"})
        yield on(who, Securable.TABLE, f"{schema}.{objects.audit}", {"SELECT", "MODIFY"}, later=True)
        yield on(who, Securable.MODEL, f"{schema}.{objects.model}", {"APPLY_TAG", "EXECUTE"}, later=True)


def _rehearsing(who: str, environment: Environment) -> Iterator[Grant]:
    """Raw files, schemas of its own, and which those are: code that nobody has reviewed yet."""
    schema = ".".join(environment.place)
    for securable, name, privileges in (
        (Securable.CATALOG, environment.catalog, _ENTER | {"CREATE_SCHEMA"}),
        (Securable.SCHEMA, schema, frozenset({"USE_SCHEMA"})),
        (Securable.VOLUME, environment.lands, frozenset({"READ_VOLUME"})),
        (Securable.VOLUME, environment.rehearses, frozenset({"READ_VOLUME", "WRITE_VOLUME"})),
    ):
        yield Grant(principal=who, securable=securable, name=name, privileges=privileges)


def _reading(who: str, file: EnvironmentsFile, environment: Environment) -> Iterator[Grant]:
    """What an environment needs of the one whose sources it reads: its tables, or the masked sample of them."""
    origin = file.environments[environment.sources_from or ""]
    place = origin.mirror if environment.source == "mirror" else origin.place
    yield Grant(principal=who, securable=Securable.CATALOG, name=place[0], privileges=_ENTER)
    privileges = frozenset({"USE_SCHEMA", "SELECT"})
    yield Grant(principal=who, securable=Securable.SCHEMA, name=".".join(place), privileges=privileges)


def _seeing(who: str, file: EnvironmentsFile, name: str, objects: Objects) -> Iterator[Grant]:
    """Runs, metrics, job results, models, audit and pages; the tables themselves only where nobody reads a mirror."""
    environment = file.environments[name]
    schema = ".".join(environment.place)
    masked = any(e.source == "mirror" for e in file.environments.values())
    yield Grant(principal=who, securable=Securable.CATALOG, name=environment.catalog, privileges=_ENTER)
    yield Grant(principal=who, securable=Securable.SCHEMA, name=schema, privileges=_LOOK if masked else _READ)
    volume = frozenset({"READ_VOLUME"})
    yield Grant(principal=who, securable=Securable.VOLUME, name=environment.keeps, privileges=volume)
    if masked:
        for table in (*objects.results, objects.audit):
            yield Grant(
                principal=who,
                securable=Securable.TABLE,
                name=f"{schema}.{table}",
                privileges=frozenset({"SELECT"}),
                later=True,
            )
        if file.is_mirrored(name):
            privileges = frozenset({"USE_SCHEMA", "SELECT"})
            place = ".".join(environment.mirror)
            yield Grant(principal=who, securable=Securable.SCHEMA, name=place, privileges=privileges)


def _merged(rows: Iterable[Grant]) -> tuple[Grant, ...]:
    """One row per principal and object: two environments may share a catalog."""
    found: dict[tuple[str, Securable, str], Grant] = {}
    for row in rows:
        key = (row.principal, row.securable, row.name)
        before = found[key].privileges if key in found else frozenset[str]()
        found[key] = Grant(
            principal=row.principal,
            securable=row.securable,
            name=row.name,
            privileges=before | row.privileges,
            later=row.later,
        )
    return tuple(found.values())
