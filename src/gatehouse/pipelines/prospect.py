"""What a challenge can decide: whether the policy can say yes and no, and how many days of labels a margin needs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from gatehouse.errors import ConfigurationError, DataError, StateError, StorageError
from gatehouse.evaluation.comparison import Comparison
from gatehouse.evaluation.measurement import Unmeasured
from gatehouse.gates.evidence import ALL, ChallengeEvidence
from gatehouse.gates.looks import error_rate_at
from gatehouse.gates.planner import Basis, Plan, plan
from gatehouse.gates.policy import Policy
from gatehouse.gates.promotion import CHAMPION
from gatehouse.gates.reachability import Prospect, refuse_unreachable
from gatehouse.gates.record import DecisionRecord
from gatehouse.gates.verdict import Outcome
from gatehouse.pipelines.challenge import challenge
from gatehouse.pipelines.context import Context
from gatehouse.pipelines.decisions import find

if TYPE_CHECKING:
    from gatehouse.lakehouse.registry import Version

_Held = tuple[DecisionRecord, ChallengeEvidence]
_Compared = Comparison | Unmeasured


def refuse_undecidable(context: Context, evidence: ChallengeEvidence, policy: Policy) -> None:
    """ConfigurationError if, on a hold-out as long as conf/training.yml says, the policy cannot say both yes and no.

    A shorter hold-out (the champion has seen newer days) is not the policy's fault: it ends as INSUFFICIENT_EVIDENCE.
    """
    held_out = evidence.hold_out.end - evidence.hold_out.start
    if held_out < timedelta(days=context.settings.training.hold_out_days):
        return
    prospect = Prospect(
        mode=evidence.mode,
        unit=evidence.unit,
        units=evidence.hold_out.units,
        primary_metric=evidence.primary_metric,
        required_slices=evidence.required_slices,
        earlier=tuple(evidence for _, evidence in _held(context)),
        effect=_effect(context, evidence),
        looks_before=evidence.hold_out.looks_before,
    )
    verdict = refuse_unreachable(prospect, policy)
    if verdict.outcome is Outcome.ERROR:
        raise ConfigurationError(
            " ".join(f.reason for f in verdict.deciding),
            why="A gate that cannot say both yes and no decides nothing, however long one waits.",
            remedy=" ".join(f.next_step for f in verdict.deciding if f.next_step),
        )


def _effect(context: Context, evidence: ChallengeEvidence) -> float | None:
    """What the champion gained over the baseline, if it was that which it was compared with; None if it was not."""
    if evidence.opponent.kind != "champion" or evidence.opponent.version is None:
        return None
    record = _record(context, context.registry.get(context.model, evidence.opponent.version))
    if record is None or record.challenge is None or record.opponent is None or record.opponent.kind != "baseline":
        return None
    for found in ChallengeEvidence.from_record(record.challenge).found(evidence.primary_metric, ALL):
        return found.difference if isinstance(found, Comparison) else None
    return None


def plan_margin(context: Context, margin: float) -> Plan:
    """How many units of labels a margin needs, from the newest comparison that ended in PROMOTE, else the newest.

    Contenders that were held, as broken ones are, may differ by more than those a margin is for. Before there is a
    comparison on record, the champion, or else the newest version, is compared with the baseline.

    Raises:
        StateError: There is no version yet.
    """
    metric, rate = context.project.primary_metric.name, error_rate_at(context.policy, 0)
    if (known := _best(_held(context), metric)) is not None:
        record, evidence, comparison = known
        basis = Basis(
            candidate=record.candidate.version,
            opponent=evidence.opponent.name,
            record=record.digest(),
            verdict=record.verdict,
        )
        return plan(comparison, margin=margin, unit=context.project.unit.name, basis=basis, error_rate=rate)
    champion = context.registry.by_alias(context.model, CHAMPION)
    newest = champion or next(iter(context.registry.versions(context.model)), None)
    if newest is None:
        raise StateError(
            f"{context.model} has no version yet.",
            why="How much two contenders differ from day to day is learnt by scoring some.",
            remedy=f"gatehouse run training --env {context.name} --as-of DATE   trains one to plan with.",
        )
    with context.progress.step(f"compare version {newest.version} with the baseline"):
        found = challenge(context, newest, None, context.policy).evidence
    basis = Basis(candidate=newest.version, opponent=found.opponent.name)
    comparison = found.found(metric, ALL)[0]
    return plan(comparison, margin=margin, unit=context.project.unit.name, basis=basis, error_rate=rate)


def _best(held: Iterator[_Held], metric: str) -> tuple[DecisionRecord, ChallengeEvidence, _Compared] | None:
    """The newest challenge that ended in PROMOTE, else the newest, with its comparison; None: there is none."""
    newest = None
    for record, evidence in held:
        for comparison in evidence.found(metric, ALL):
            if record.verdict is Outcome.PROMOTE:
                return record, evidence, comparison
            newest = newest or (record, evidence, comparison)
    return newest


def _held(context: Context) -> Iterator[_Held]:
    """The record and evidence of every version that met a champion or the baseline, newest first."""
    for version in context.registry.versions(context.model):
        record = _record(context, version)
        if record and record.challenge is not None and record.opponent and record.opponent.kind != "threshold":
            yield record, ChallengeEvidence.from_record(record.challenge)


def _record(context: Context, version: Version) -> DecisionRecord | None:
    """A version's decision record; None if there is none that can be relied on."""
    try:
        return find(context, version)
    except (StateError, DataError, StorageError):
        return None
