"""Rules on the hold-out itself: that no contender has seen it, that it is large enough, and that it is not used up.

Used up it is by many versions, and for one version by many looks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from gatehouse.gates.evidence import ChallengeEvidence, Contender, HoldOut
from gatehouse.gates.looks import error_rate_at
from gatehouse.gates.phrases import count, percent
from gatehouse.gates.policy import Policy
from gatehouse.gates.rules import finding
from gatehouse.gates.verdict import Finding, Outcome


def disjoint_by_window(evidence: ChallengeEvidence, _: Policy) -> Iterator[Finding]:
    """Each contender's training ended before the hold-out starts; later training would know how things went on."""
    hold_out = evidence.hold_out
    for contender in _trained(evidence):
        rule = f"hold-out after the training of {contender.kind}"
        if contender.training is None:
            yield finding(
                rule,
                Outcome.ERROR,
                f"It is not recorded what {contender.name} was trained on.",
                next_step="Register it with its training window; a version without lineage cannot be judged.",
            )
        elif contender.training.doubt is not None:
            yield finding(
                rule,
                Outcome.ERROR,
                f"{contender.training.doubt} Whoever may set tags could so have {contender.name} judged on rows that "
                "it was trained on.",
                next_step="Find out who changed the tags, or deleted the run, and put them back; else train a new "
                "version. A champion that this is said of is replaced by `gatehouse rollback`.",
            )
        elif not contender.training.end <= hold_out.start < hold_out.end:
            yield finding(
                rule,
                Outcome.ERROR,
                f"{_named(contender)} was trained on events until {contender.training.end:%Y-%m-%d %H:%M} UTC, and the "
                f"hold-out runs from {hold_out.start:%Y-%m-%d %H:%M} to {hold_out.end:%Y-%m-%d %H:%M} UTC: a model "
                "looks better than it is on what it was trained on.",
                next_step="Judge on a hold-out that starts when both trainings have ended: a later --as-of, or fewer "
                "hold_out_days in conf/training.yml.",
            )
        else:
            yield finding(
                rule,
                Outcome.PROMOTE,
                f"{_named(contender)} was trained on events until {contender.training.end:%Y-%m-%d %H:%M} UTC, and the "
                f"hold-out starts at {hold_out.start:%Y-%m-%d %H:%M} UTC.",
            )


def disjoint_by_key(evidence: ChallengeEvidence, _: Policy) -> Iterator[Finding]:
    """No key of the hold-out is among a contender's training rows, whatever the windows say."""
    for contender in _trained(evidence):
        rule = f"hold-out keys in the training of {contender.kind}"
        shared = contender.training.hold_out_keys if contender.training else None
        if shared is None:
            yield finding(
                rule,
                Outcome.ERROR,
                f"The keys of the hold-out were not looked for in the training rows of {contender.name}.",
                next_step="Compare the keys with the pinned training set; windows alone do not prove disjointness.",
            )
        elif shared != 0:
            yield finding(
                rule,
                Outcome.ERROR,
                f"{count(shared, 'event')} of the hold-out were among the training rows of {contender.name}: a model "
                "looks better than it is on what it was trained on.",
                next_step="Find how the same key got into both (a corrected date, a copied row), and judge on events "
                "that neither contender has seen.",
            )
        else:
            yield finding(
                rule, Outcome.PROMOTE, f"No event of the hold-out was among the training rows of {contender.name}."
            )


def enough_units(evidence: ChallengeEvidence, policy: Policy) -> Iterator[Finding]:
    """At least the policy's number of units."""
    have, need = evidence.hold_out.units, policy.hold_out.minimum_units
    there = f"The hold-out has {count(have, evidence.unit)} ({count(evidence.hold_out.rows, 'row')})"
    rule = "hold-out size"
    if have < 2:
        yield finding(
            rule,
            Outcome.ERROR,
            f"{there}, and the spread from one {evidence.unit} to the next cannot be measured.",
            next_step=f"Judge on at least {count(need, evidence.unit)}.",
        )
    elif have < need:
        yield finding(
            rule,
            Outcome.INSUFFICIENT_EVIDENCE,
            f"{there}, and the policy wants at least {need:,}.",
            next_step=f"Wait for {count(need - have, f'more {evidence.unit}')} of labels, or judge on a longer "
            "hold-out (hold_out_days in conf/training.yml).",
        )
    else:
        yield finding(rule, Outcome.PROMOTE, f"{there}; the policy wants at least {need:,}.")


def enough_labels(evidence: ChallengeEvidence, policy: Policy) -> Iterator[Finding]:
    """Labels have arrived for the policy's share of events: the early ones are rarely like the late ones."""
    share, need = evidence.hold_out.label_share, policy.hold_out.minimum_label_share
    rule = "hold-out labels"
    if not 0.0 <= share <= 1.0:
        yield finding(
            rule,
            Outcome.ERROR,
            f"The share of events with a known label is given as {share}, which is no share.",
            next_step="Count labelled and unlabelled events of the hold-out again.",
        )
    elif share < need:
        yield finding(
            rule,
            Outcome.INSUFFICIENT_EVIDENCE,
            f"{percent(share)} of the events have a known label, and the policy wants {percent(need)}"
            f"{_labels_missing(evidence.hold_out, need)}.",
            next_step="Wait until more labels have arrived, then judge the same version again.",
        )
    else:
        yield finding(
            rule,
            Outcome.PROMOTE,
            f"{percent(share)} of the events have a known label; the policy wants {percent(need)}.",
        )


def not_used_up(evidence: ChallengeEvidence, policy: Policy) -> Iterator[Finding]:
    """Many versions on one hold-out make a lucky one likely; so do many looks at one version (`looks`)."""
    before, looks = evidence.hold_out.judged_before, evidence.hold_out.looks_before
    rule, budget, rate = "hold-out reuse", policy.hold_out.reuse_budget, policy.primary.error_rate
    if before < 0 or looks < 0:
        yield finding(
            rule,
            Outcome.ERROR,
            f"The number of versions judged on this hold-out is given as {before}, that of earlier looks as {looks}.",
            next_step="Count the decisions on this hold-out in gate_decisions.",
        )
    elif before >= budget:
        yield finding(
            rule,
            Outcome.HOLD,
            f"{count(before, 'version')} were judged on this hold-out before, and the policy lets it serve {budget}: "
            "with enough attempts one of them wins by luck.",
            next_step="Judge on events nobody has judged on: wait for new labels and use a later --as-of.",
        )
    elif looks >= budget:
        yield finding(
            rule,
            Outcome.HOLD,
            f"This version was judged on {count(looks, 'other hold-out')} before, and the policy gives it "
            f"{count(budget, 'look')}, which have spent the error rate of {rate:g}: with enough looks it wins by luck.",
            next_step="Train a new version, and judge it when its hold-out is long enough: `gatehouse plan` says when.",
        )
    else:
        yield finding(
            rule,
            Outcome.PROMOTE,
            f"This is version number {before + 1} of the {budget} that this hold-out may judge, and look number "
            f"{looks + 1} of the {budget} that a version has, which spends {error_rate_at(policy, looks):g} of the "
            f"error rate of {rate:g}.",
        )


def _trained(evidence: ChallengeEvidence) -> tuple[Contender, ...]:
    return tuple(c for c in (evidence.candidate, evidence.opponent) if c.kind != "threshold")


def _named(contender: Contender) -> str:
    return contender.name[0].upper() + contender.name[1:]


def _labels_missing(hold_out: HoldOut, need: float) -> str:
    if hold_out.label_share == 0:
        return ""
    missing = math.ceil(need * hold_out.rows / hold_out.label_share) - hold_out.rows
    return f", which {count(missing, 'more label')} would reach"
