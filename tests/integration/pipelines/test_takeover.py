"""Deploying a model instead of its code: what one environment approved is a candidate of the next, and no more."""

from __future__ import annotations

import pytest

from gatehouse.errors import Refused, StateError, UsageError
from gatehouse.gates.approval import Decision
from gatehouse.gates.identity import Identity, Strength
from gatehouse.pipelines.approval import decide
from gatehouse.pipelines.context import Context
from gatehouse.pipelines.features import refresh
from gatehouse.pipelines.inference import CHAMPION
from gatehouse.pipelines.ingest import ingest
from gatehouse.pipelines.promotion import promote
from gatehouse.pipelines.release import judge
from gatehouse.pipelines.takeover import take_over
from gatehouse.pipelines.training import train
from tests.integration.pipelines.conftest import Lakehouse, Open

AS_OF = "2013-10-01"
ANNA = Identity(name="anna@example.org", established_by="the test", strength=Strength.CLAIMED)


@pytest.fixture(scope="module")
def lakehouse(open_lakehouse: Open, tmp_path_factory: pytest.TempPathFactory) -> Lakehouse:
    """The temperature use case with a version that staging has judged and nobody has approved."""
    found = open_lakehouse(tmp_path_factory.mktemp("takeover"))
    for env in ("staging", "prod"):
        context = found.at(AS_OF, env)
        ingest(context)
        refresh(context)
    staging = found.at(AS_OF, "staging")
    judge(staging, train(staging, proposer="ada@example.org").version)
    return found


def _newest(context: Context) -> str:
    return context.registry.versions(context.model)[0].version


def test_a_version_travels_with_its_chain_and_is_judged_where_it_arrives(lakehouse: Lakehouse) -> None:
    staging, prod = lakehouse.at(AS_OF, "staging"), lakehouse.at(AS_OF, "prod")
    version = staging.registry.get(staging.model, _newest(staging))

    with pytest.raises(Refused, match="is not approved"):
        take_over(prod, staging, version, actor=ANNA)
    assert prod.registry.versions(prod.model) == ()

    decide(staging, version, Decision.APPROVE, actor=ANNA, reason="it is good here", answers={})
    copied = take_over(prod, staging, version, actor=ANNA)
    again = take_over(prod, staging, version, actor=ANNA)
    assert again.version == copied.version
    assert prod.registry.digest(prod.model, copied.version) == staging.registry.digest(staging.model, version.version)
    entry = prod.audit.entries()[-1]
    assert (entry.action, entry.version, entry.details["from"]) == (
        "taken_over",
        copied.version,
        f"{staging.model}/{version.version}",
    )
    assert entry.details["approved_by"] == [ANNA.name]

    # Staging's approval opens nothing in production.
    with pytest.raises((Refused, StateError)):
        promote(prod, copied, actor=ANNA)
    assert prod.registry.by_alias(prod.model, CHAMPION) is None

    judged = judge(prod, copied)
    assert judged.verdict.opens, judged.verdict.sentence()
    decide(prod, copied, Decision.APPROVE, actor=ANNA, reason="and here", answers={})
    settled = promote(prod, prod.registry.get(prod.model, copied.version), actor=ANNA)
    assert (settled.moved, settled.champion) == (True, copied.version)


def test_a_copy_within_one_environment_is_refused(lakehouse: Lakehouse) -> None:
    staging = lakehouse.at(AS_OF, "staging")
    with pytest.raises(UsageError, match="are one place"):
        take_over(staging, staging, staging.registry.get(staging.model, _newest(staging)), actor=ANNA)
