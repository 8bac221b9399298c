"""Who may do what: for each role and each object, every privilege that is expected, and no other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from gatehouse.settings import EnvironmentsFile
from gatehouse.setup.roles import Grant, Objects, Securable, acts_as, grants, principals

OBJECTS = Objects(model="parcels", audit="audit_log", results=("pipeline_runs", "monitoring_metrics"))
PLACES = {
    "dev": ("d", "parcels"),
    "staging": ("s", "parcels"),
    "prod": ("p", "parcels"),
}
# One thing of each kind in each environment, made by a run or by hand.
THINGS = {
    "raw": (Securable.TABLE, "{0}.{1}.parcels"),
    "predictions": (Securable.TABLE, "{0}.{1}.predictions"),
    "metrics": (Securable.TABLE, "{0}.{1}.monitoring_metrics"),
    "audit": (Securable.TABLE, "{0}.{1}.audit_log"),
    "masked": (Securable.TABLE, "{0}.{1}_mirror.parcels"),
    "model": (Securable.MODEL, "{0}.{1}.parcels"),
    "pages": (Securable.VOLUME, "{0}.{1}.gatehouse"),
    "landing": (Securable.VOLUME, "{0}.{1}.landing"),
    "schema": (Securable.SCHEMA, "{0}.{1}"),
    "elsewhere": (Securable.TABLE, "{0}.of_somebody_else.salaries"),
}
READS = {"SELECT", "EXECUTE", "READ_VOLUME"}
WRITES = {
    *("MODIFY", "WRITE_VOLUME", "CREATE_TABLE", "CREATE_FUNCTION", "CREATE_MODEL", "CREATE_MODEL_VERSION"),
    *("CREATE_VOLUME", "APPLY_TAG"),
}
OWNS = READS | WRITES | {"MANAGE"}


def environments(source: str = "live", **prod: Any) -> EnvironmentsFile:
    places = {name: {"catalog": c, "schema": s, "platform": "databricks"} for name, (c, s) in PLACES.items()}
    return EnvironmentsFile.model_validate(
        {
            "project": "parcels:PROJECT",
            "environments": {
                "dev": {**places["dev"], "sources_from": "prod", "source": source},
                "staging": places["staging"],
                "prod": {**places["prod"], "protected": True, **prod},
            },
        }
    )


def table(source: str = "live") -> tuple[Grant, ...]:
    return grants("parcels", environments(source), OBJECTS)


def effective(rows: Iterable[Grant], principal: str, securable: Securable, name: str) -> frozenset[str]:
    """What a principal holds on an object through itself, its schema and its catalog.

    Without USE CATALOG and USE SCHEMA on the way, nothing further down can be used, and nothing is returned.
    """
    parts = name.split(".")
    above = {".".join(parts[:length]) for length in range(1, len(parts) + 1)}
    held: Mapping[str, frozenset[str]] = {
        row.name: row.privileges
        for row in rows
        if row.principal == principal
        and row.name in above
        and (row.name != name or row.securable is securable)
        and (row.name == name or row.securable in (Securable.CATALOG, Securable.SCHEMA))
    }
    every: frozenset[str] = frozenset().union(*held.values()) if held else frozenset()
    needed = {"USE_CATALOG"} | ({"USE_SCHEMA"} if len(parts) > 1 else set())
    return every if needed <= every else frozenset()


def may(rows: tuple[Grant, ...], who: str, env: str, thing: str) -> set[str]:
    """Without what only opens the way."""
    kind, pattern = THINGS[thing]
    return set(effective(rows, who, kind, pattern.format(*PLACES[env]))) - {
        "USE_CATALOG",
        "USE_SCHEMA",
        "CREATE_SCHEMA",
    }


def matrix(source: str, who: str) -> dict[str, set[str]]:
    """Every thing on which a role may do anything, as `prod.audit`."""
    rows = table(source)
    found = {f"{env}.{thing}": may(rows, who, env, thing) for env in PLACES for thing in THINGS}
    return {name: held for name, held in found.items() if held}


def own(env: str, privileges: set[str]) -> dict[str, set[str]]:
    """The same privileges on everything in the environment's own schema."""
    return {f"{env}.{thing}": privileges for thing in THINGS if thing not in ("masked", "elsewhere")}


SEES_LIVE = {
    thing: {"SELECT", "EXECUTE"} for thing in ("raw", "predictions", "metrics", "audit", "model", "landing", "schema")
} | {"pages": READS}
SEES_MASKED = {
    **{thing: {"EXECUTE"} for thing in ("raw", "predictions", "model", "landing", "schema")},
    **{thing: {"EXECUTE", "SELECT"} for thing in ("metrics", "audit")},
    "pages": {"EXECUTE", "READ_VOLUME"},
}


def at(env: str, things: dict[str, set[str]]) -> dict[str, set[str]]:
    return {f"{env}.{thing}": held for thing, held in things.items()}


def approving(sees: dict[str, set[str]]) -> dict[str, set[str]]:
    writes = {"audit": {"MODIFY"} | sees["audit"], "pages": {"WRITE_VOLUME"} | sees["pages"]}
    return at("prod", sees | writes | {"model": sees["model"] | {"APPLY_TAG"}})


MATRIX: dict[tuple[str, str], dict[str, set[str]]] = {
    ("live", "parcels-developers"): own("dev", READS | WRITES) | at("staging", SEES_LIVE) | at("prod", SEES_LIVE),
    ("mirror", "parcels-developers"): own("dev", READS | WRITES)
    | at("staging", SEES_MASKED)
    | at("prod", SEES_MASKED | {"masked": {"SELECT"}}),
    ("live", "parcels-approvers"): approving(SEES_LIVE),
    ("mirror", "parcels-approvers"): approving(SEES_MASKED | {"masked": {"SELECT"}}),
    ("live", "parcels-dev"): own("dev", OWNS)
    | at(
        "prod",
        {
            thing: {"SELECT"}
            for thing in ("raw", "predictions", "metrics", "audit", "model", "landing", "pages", "schema")
        },
    ),
    ("mirror", "parcels-dev"): own("dev", OWNS) | {"prod.masked": {"SELECT"}},
    ("live", "parcels-staging"): own("staging", OWNS),
    ("mirror", "parcels-staging"): own("staging", OWNS),
    ("live", "parcels-prod"): own("prod", OWNS),
    ("mirror", "parcels-prod"): own("prod", OWNS) | {"prod.masked": OWNS - {"CREATE_MODEL_VERSION"}},
    ("live", "parcels-pull-request"): {"staging.landing": {"READ_VOLUME"}},
    ("mirror", "parcels-pull-request"): {"staging.landing": {"READ_VOLUME"}},
    ("live", "somebody-else"): {},
}


@pytest.mark.parametrize(("source", "who"), MATRIX)
def test_a_role_may_do_this_and_nothing_else(source: str, who: str) -> None:
    assert matrix(source, who) == MATRIX[source, who]


def test_every_role_has_its_line_in_the_matrix() -> None:
    roles = {"parcels-developers", "parcels-approvers", *principals("parcels", environments())}

    assert {who for _, who in MATRIX} == {*roles, "somebody-else"}
    assert {row.principal for row in table()} == roles


@pytest.mark.parametrize(
    ("environment", "who"),
    [
        ("prod", "parcels-prod"),
        ("prod-approval", "parcels-prod"),  # it promotes, publishes and rolls back
        ("pull-request", "parcels-pull-request"),
    ],
)
def test_an_environment_of_the_provider_signs_in_as_somebody_who_is_made(environment: str, who: str) -> None:
    assert acts_as("parcels", environment) == who
    assert who in principals("parcels", environments())


@pytest.mark.parametrize("source", ["live", "mirror"])
def test_a_catalog_which_may_be_shared_opens_the_way_and_nothing_more(source: str) -> None:
    held = {p for row in table(source) if row.securable is Securable.CATALOG for p in row.privileges}

    assert held == {"USE_CATALOG", "CREATE_SCHEMA"}


def test_environments_in_one_catalog_stay_apart() -> None:
    file = EnvironmentsFile.model_validate(
        {
            "project": "parcels:PROJECT",
            "environments": {
                "dev": {"catalog": "main", "schema": "d", "platform": "databricks", "sources_from": "prod"},
                "prod": {"catalog": "main", "schema": "p", "platform": "databricks", "protected": True},
            },
        }
    )
    rows = grants("parcels", file, OBJECTS)

    assert len({(row.principal, row.securable, row.name) for row in rows}) == len(rows)
    assert "MODIFY" in effective(rows, "parcels-developers", Securable.TABLE, "main.d.parcels")
    assert "MODIFY" not in effective(rows, "parcels-developers", Securable.TABLE, "main.p.parcels")
    assert effective(rows, "parcels-prod", Securable.TABLE, "main.d.parcels") == frozenset()


@pytest.mark.parametrize(
    ("held", "usable"),
    [
        ({"c": {"USE_CATALOG"}, "c.s": {"USE_SCHEMA", "SELECT"}}, {"USE_CATALOG", "USE_SCHEMA", "SELECT"}),
        ({"c": {"USE_CATALOG", "USE_SCHEMA", "SELECT"}}, {"USE_CATALOG", "USE_SCHEMA", "SELECT"}),
        ({"c": {"USE_CATALOG"}, "c.s.t": {"SELECT"}}, set()),
        ({"c.s": {"USE_SCHEMA"}, "c.s.t": {"SELECT"}}, set()),
        ({"c": {"USE_CATALOG"}, "c.s": {"USE_SCHEMA"}, "c.s.other": {"SELECT"}}, {"USE_CATALOG", "USE_SCHEMA"}),
        ({}, set()),
    ],
)
def test_privileges_come_down_from_catalog_and_schema_and_need_the_way(
    held: dict[str, set[str]], usable: set[str]
) -> None:
    kinds = (Securable.CATALOG, Securable.SCHEMA, Securable.TABLE)
    rows = [
        Grant(principal="a", securable=kinds[name.count(".")], name=name, privileges=frozenset(privileges))
        for name, privileges in held.items()
    ]

    assert effective(rows, "a", Securable.TABLE, "c.s.t") == usable


def test_a_model_and_a_table_of_one_name_are_two_things() -> None:
    rows = table()

    assert "MODIFY" not in effective(rows, "parcels-approvers", Securable.TABLE, "p.parcels.parcels")
    assert "APPLY_TAG" not in effective(rows, "parcels-approvers", Securable.TABLE, "p.parcels.parcels")
    assert "APPLY_TAG" in effective(rows, "parcels-approvers", Securable.MODEL, "p.parcels.parcels")


def test_local_environments_need_no_grant() -> None:
    file = EnvironmentsFile.model_validate(
        {"project": "parcels:PROJECT", "environments": {"prod": {"catalog": "p", "protected": True}}}
    )

    assert grants("parcels", file, OBJECTS) == ()
    assert principals("parcels", file) == ()
