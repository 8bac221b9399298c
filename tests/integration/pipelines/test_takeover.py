"""Deploying a model instead of its code: what one environment approved is a candidate of the next, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatehouse.errors import Refused, StateError, UsageError
from gatehouse.gates.approval import Decision
from gatehouse.gates.identity import Identity, Strength
from gatehouse.gates.promotion import CHAMPION
from gatehouse.pipelines.approval import decide
from gatehouse.pipelines.features import refresh
from gatehouse.pipelines.ingest import ingest
from gatehouse.pipelines.promotion import promote
from gatehouse.pipelines.release import judge
from gatehouse.pipelines.takeover import take_over
from gatehouse.pipelines.training import train

if TYPE_CHECKING:
    from tests.integration.pipelines.conftest import Lakehouse, Open

    from gatehouse.pipelines.context import Context

pytestmark = pytest.mark.slow

AS_OF = "2013-08-01"
ANNA = Identity(name="anna@example.org", established_by="the test", strength=Strength.CLAIMED)


@pytest.fixture(scope="module")
def lakehouse(open_lakehouse: Open, tmp_path_factory: pytest.TempPathFactory) -> Lakehouse:
    """The temperature use case with a version that one environment has judged and nobody has approved."""
    found = open_lakehouse(tmp_path_factory.mktemp("takeover")).environment("trial", schema="temperature")
    for env in ("trial", "prod"):
        context = found.at(AS_OF, env)
        ingest(context)
        refresh(context)
    trial = found.at(AS_OF, "trial")
    judge(trial, train(trial, proposer="ada@example.org").version)
    return found


def _newest(context: Context) -> str:
    return context.registry.versions(context.model)[0].version


def test_a_version_travels_with_its_chain_and_is_judged_where_it_arrives(lakehouse: Lakehouse) -> None:
    trial, prod = lakehouse.at(AS_OF, "trial"), lakehouse.at(AS_OF, "prod")
    version = trial.registry.get(trial.model, _newest(trial))

    with pytest.raises(Refused, match="is not approved"):
        take_over(prod, trial, version, actor=ANNA)
    assert prod.registry.versions(prod.model) == ()

    decide(trial, version, Decision.APPROVE, actor=ANNA, reason="it is good here", answers={})
    copied = take_over(prod, trial, version, actor=ANNA)
    again = take_over(prod, trial, version, actor=ANNA)
    assert again.version == copied.version
    assert prod.registry.digest(prod.model, copied.version) == trial.registry.digest(trial.model, version.version)
    entry = prod.audit.entries()[-1]
    assert (entry.action, entry.version, entry.details["from"]) == (
        "taken_over",
        copied.version,
        f"{trial.model}/{version.version}",
    )
    assert entry.details["approved_by"] == [ANNA.name]

    # An approval elsewhere opens nothing in production.
    with pytest.raises((Refused, StateError)):
        promote(prod, copied, actor=ANNA)
    assert prod.registry.by_alias(prod.model, CHAMPION) is None

    judged = judge(prod, copied)
    assert judged.verdict.opens, judged.verdict.sentence()
    judged_version = prod.registry.get(prod.model, copied.version)  # with the tag of its own record
    decide(prod, judged_version, Decision.APPROVE, actor=ANNA, reason="and here", answers={})
    settled = promote(prod, judged_version, actor=ANNA)
    assert (settled.moved, settled.champion) == (True, copied.version)


def test_a_copy_within_one_environment_is_refused(lakehouse: Lakehouse) -> None:
    trial = lakehouse.at(AS_OF, "trial")
    with pytest.raises(UsageError, match="are one place"):
        take_over(trial, trial, trial.registry.get(trial.model, _newest(trial)), actor=ANNA)
