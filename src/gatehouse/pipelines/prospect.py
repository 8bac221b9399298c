"""What a challenge can decide: whether the policy can say yes and no, and how many days of labels a margin needs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from gatehouse.errors import ConfigurationError, DataError, StateError, StorageError
from gatehouse.gates.evidence import ALL, ChallengeEvidence
from gatehouse.gates.planner import Plan, plan
from gatehouse.gates.policy import Policy
from gatehouse.gates.promotion import CHAMPION
from gatehouse.gates.reachability import Prospect, refuse_unreachable
from gatehouse.gates.verdict import Outcome
from gatehouse.pipelines.challenge import challenge
from gatehouse.pipelines.context import Context
from gatehouse.pipelines.decisions import find


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
        earlier=tuple(_held(context)),
    )
    verdict = refuse_unreachable(prospect, policy)
    if verdict.outcome is Outcome.ERROR:
        raise ConfigurationError(
            " ".join(f.reason for f in verdict.deciding),
            why="A gate that cannot say both yes and no decides nothing, however long one waits.",
            remedy=" ".join(f.next_step for f in verdict.deciding if f.next_step),
        )


def plan_margin(context: Context, margin: float) -> Plan:
    """How many units of labels a margin needs, from the newest comparison on record; before there is one, StateError.

    Raises:
        StateError: No version has met an opponent yet.
    """
    for evidence in _held(context):
        for comparison in evidence.found(context.project.primary_metric.name, ALL):
            rule = context.policy.primary
            return plan(comparison, margin=margin, unit=context.project.unit.name, error_rate=rule.error_rate)
    champion = context.registry.by_alias(context.model, CHAMPION)
    newest = champion or next(iter(context.registry.versions(context.model)), None)
    if newest is None:
        raise StateError(
            f"{context.model} has no version yet.",
            why="How much two contenders differ from day to day is learnt by scoring some.",
            remedy=f"gatehouse run training --env {context.name} --as-of DATE   trains one to plan with.",
        )
    with context.progress.step(f"compare version {newest.version} with the baseline"):
        found = challenge(context, newest, None, context.policy).evidence.found(
            context.project.primary_metric.name, ALL
        )
    return plan(found[0], margin=margin, unit=context.project.unit.name, error_rate=context.policy.primary.error_rate)


def _held(context: Context) -> Iterator[ChallengeEvidence]:
    """The evidence of every version that met a champion or the baseline, newest first."""
    for version in context.registry.versions(context.model):
        try:
            record = find(context, version)
        except (StateError, DataError, StorageError):
            continue
        if record.challenge is not None and record.opponent is not None and record.opponent.kind != "threshold":
            yield ChallengeEvidence.from_record(record.challenge)
