"""A lakehouse in which everything up to an approval has happened once; every test gets a copy of its own.

version 1   first deployment on 1 October 2013, compared with the baseline, approved by Anna: the champion
version 2   trained on 1 December, compared with version 1: PROMOTE, and nobody has approved it
version 3   trained on 1 December by other code, always 3 degrees too warm, and not judged yet
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gatehouse.gates.approval import Decision
from gatehouse.gates.identity import Identity, Strength
from gatehouse.gates.policy import Policy
from gatehouse.gates.promotion import CHALLENGER, CHAMPION, PREVIOUS, Settled
from gatehouse.gates.record import DecisionRecord
from gatehouse.gates.verdict import Verdict
from gatehouse.pipelines.approval import decide
from gatehouse.pipelines.clean_process import CleanProcess
from gatehouse.pipelines.decisions import find
from gatehouse.pipelines.features import refresh
from gatehouse.pipelines.ingest import ingest
from gatehouse.pipelines.promotion import promote, rollback
from gatehouse.pipelines.release import Judged, judge
from gatehouse.pipelines.training import train
from gatehouse.project import Estimator, FittedModel, Options, Trial

if TYPE_CHECKING:
    import pandas as pd
    from tests.integration.pipelines.conftest import Lakehouse, Open

    from gatehouse.lakehouse.registry import Version
    from gatehouse.pipelines.context import Context

FIRST, SECOND = "2013-10-01", "2013-12-01"
PROPOSER, ANNA, BERT = "ada@example.org", "anna@example.org", "bert@example.org"


class Answered(CleanProcess):
    """A clean process that gives an answer it gave before: what versions of one kind do in it is always the same."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        self._known = dict(answer)

    def ask(self, request: dict[str, Any], *, limit: float) -> tuple[dict[str, Any] | None, str | None]:
        return self._known, None

    def close(self) -> None:
        """There is none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Road:
    """A lakehouse, seen by those who release. Policy, code and clock may be replaced."""

    lakehouse: Lakehouse
    replaced: Mapping[str, Any]

    def context(self, as_of: str = SECOND) -> Context:
        return replace(self.lakehouse.at(as_of), **self.replaced)

    def under(self, **replaced: Any) -> Road:
        """The same lakehouse with other parts of its context."""
        return replace(self, replaced={**self.replaced, **replaced})

    def policy(self, **sections: Any) -> Road:
        """The same lakehouse under a policy of which some sections say something else."""
        content = self.context().policy.model_dump(mode="json")
        merged = {k: {**content[k], **v} if isinstance(v, dict) else v for k, v in sections.items()}
        return self.under(policy=Policy.model_validate({**content, **merged}))

    def later(self, moment: datetime) -> Road:
        """The same lakehouse when the machine's clock says so."""
        return self.under(clock=lambda: moment)

    def version(self, number: str) -> Version:
        context = self.context()
        return context.registry.get(context.model, number)

    def record(self, number: str) -> DecisionRecord:
        return find(self.context(), self.version(number))

    def judge(self, number: str, *, as_of: str = SECOND) -> Judged:
        """Without a clean process of its own: version 1 had one, and versions 2 and 3 are of its kind."""
        answer = self.record("1").compliance["probe"]
        return judge(self.context(as_of), self.version(number), Answered(answer))

    def decide(
        self,
        number: str,
        who: str,
        *,
        decision: Decision = Decision.APPROVE,
        reason: str = "read it",
        as_of: str = SECOND,
        **answers: str,
    ) -> Verdict:
        context, actor = self.context(as_of), person(who)
        return decide(context, self.version(number), decision, actor=actor, reason=reason, answers=answers)[1]

    def promote(self, number: str, who: str = ANNA, *, as_of: str = SECOND, **how: Any) -> Settled:
        return promote(self.context(as_of), self.version(number), actor=person(who), **how)

    def rollback(
        self, who: str = ANNA, *, dry_run: bool = False, reason: str = "it drifts"
    ) -> tuple[str, tuple[str, ...], Settled | None]:
        return rollback(self.context(), actor=person(who), reason=reason, dry_run=dry_run)

    def aliases(self) -> dict[str, str | None]:
        context = self.context()
        holders = {a: context.registry.by_alias(context.model, a) for a in (CHAMPION, PREVIOUS, CHALLENGER)}
        return {alias: holder.version if holder else None for alias, holder in holders.items()}

    def said(self) -> list[tuple[str, str | None]]:
        """What the audit log says, oldest first: action and version."""
        return [(e.action, e.version) for e in self.context().audit.entries()]

    def files(self, number: str) -> Path:
        """The folder of a version's files."""
        context = self.context()
        return context.registry.download(context.model, number)


def person(name: str) -> Identity:
    return Identity(name=name, established_by="the test", strength=Strength.CLAIMED)


def held(champion: str | None, previous: str | None, challenger: str | None = None) -> dict[str, str | None]:
    return {CHAMPION: champion, PREVIOUS: previous, CHALLENGER: challenger}


@pytest.fixture(scope="session")
def released(
    open_lakehouse: Open,
    tmp_path_factory: pytest.TempPathFactory,
    state: tuple[Callable[[str, Path], Path | None], Callable[[str, Lakehouse], None]],
) -> Lakehouse:
    """Written once. Nobody changes it: tests get copies."""
    known_state, keep_state = state
    folder = tmp_path_factory.mktemp("released")
    if known := known_state("released", folder):
        return open_lakehouse(known)
    lakehouse = open_lakehouse(folder / "lakehouse")
    with CleanProcess() as process:
        road = quick(Road(lakehouse=lakehouse, replaced={}))
        first = road.context(FIRST)
        ingest(first)
        refresh(first)
        judged = judge(first, train(first, proposer=PROPOSER).version, process)
    assert judged.verdict.opens, judged.verdict.sentence()
    road.decide("1", ANNA)
    assert road.promote("1", as_of=FIRST).moved
    second = road.context(SECOND)
    ingest(second)
    refresh(second)
    train(second, proposer=PROPOSER)
    train(warm(second, degrees=3.0), proposer=PROPOSER)
    road.judge("2")
    keep_state("released", lakehouse)
    return lakehouse


@dataclass(frozen=True, kw_only=True, slots=True)
class Warm:
    """The project's estimator, told that it is always warmer than it is."""

    own: Estimator
    degrees: float

    @property
    def requirements(self) -> Sequence[str]:
        return self.own.requirements

    def search_space(self, trial: Trial) -> Options:
        return self.own.search_space(trial)

    def fit(self, features: pd.DataFrame, label: pd.Series[Any], options: Options, *, seed: int) -> FittedModel:
        return self.own.fit(features, label + self.degrees, options, seed=seed)


def warm(context: Context, *, degrees: float) -> Context:
    """The context with another estimator: other code, so another version."""
    estimator = Warm(own=context.project.estimator, degrees=degrees)
    code = replace(context.code, training_digest=f"{degrees}")
    return replace(context, project=replace(context.project, estimator=estimator), code=code)


def quick(road: Road) -> Road:
    """The shipped policy, with a load test of 20 requests at once, on a machine that may be busy with other tests."""
    return road.policy(compliance={"requests": 20, "request_rate": 1000.0, "p95_milliseconds": 60_000.0})


@pytest.fixture(scope="session")
def copied(open_lakehouse: Open) -> Callable[[Lakehouse, Path], Road]:
    """`copied(lakehouse, root)`: the same again, to be changed."""
    from mlflow.tracking._tracking_service import utils

    def copy(lakehouse: Lakehouse, root: Path) -> Road:
        shutil.copytree(lakehouse.world.place.root, root)
        # A process remembers where the files of a run lie, and copies share their runs.
        utils._artifact_repos_cache.clear()
        return quick(Road(lakehouse=open_lakehouse(root), replaced={}))

    return copy


@pytest.fixture
def road(released: Lakehouse, copied: Callable[[Lakehouse, Path], Road], tmp_path: Path) -> Road:
    """A copy of the lakehouse, for one test."""
    return copied(released, tmp_path / "lakehouse")


@pytest.fixture(scope="session")
def on() -> Callable[[Lakehouse], Road]:
    """The road of a lakehouse."""
    return lambda lakehouse: quick(Road(lakehouse=lakehouse, replaced={}))


@pytest.fixture(scope="session")
def answered() -> type[Answered]:
    """A clean process that is none."""
    return Answered
