"""Can the policy say yes, and can it say no, on a hold-out of this size? A policy that cannot is refused beforehand.

A gate that holds everything is as useless as one that passes everything, and looks safe. What is known decides how much
can be said: the size of the hold-out always; chances only from challenges of a champion that were held before, because
they show how much such a difference varies from unit to unit. A challenge of the baseline does not: two models differ
much less than a model and a rule of thumb. The steadiest of them counts, and fewer than `ENOUGH` of them inform and
refuse nothing: month by month, the standard errors of the flights of 2013 went from 0.001 to 0.011.

PROMOTE counts as reachable if a good version (equal, under non-inferiority; better by half of what would be suspicious,
under superiority) passes each rule with a chance of at least `LEAST_CHANCE`; HOLD, if a version one margin worse than
what is demanded is held with at least that chance, and if the margin is smaller than all that the champion gains over
the baseline (FDA 2016, Non-Inferiority Clinical Trials: a margin that gives the whole effect away proves nothing).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gatehouse.evaluation.comparison import Comparison
from gatehouse.evaluation.significance import FEWEST_UNITS, Evidence
from gatehouse.gates.decision import POWER, zone
from gatehouse.gates.evidence import ALL, ChallengeEvidence
from gatehouse.gates.guards import power_of_each
from gatehouse.gates.looks import error_rate_at
from gatehouse.gates.phrases import count, percent
from gatehouse.gates.planner import at_units, spread_of
from gatehouse.gates.policy import Mode, Policy
from gatehouse.gates.rules import finding
from gatehouse.gates.verdict import Finding, Outcome, Verdict

LEAST_CHANCE = 0.2
"""Four times the usual error rate. A verdict that falls less often to those who deserve it is luck."""

ENOUGH = 3
"""Earlier challenges of a champion from which on their spread can refuse a policy."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prospect:
    """A challenge before it is held.

    Attributes:
        mode: What will be demanded.
        unit: The project's unit, in the singular.
        units: How many the hold-out will have.
        primary_metric: By name.
        required_slices: By name, `column=value`.
        earlier: Challenges held before, for the spread from unit to unit and the rows of slices; may be empty.
        effect: What the champion gained over the baseline in the primary metric; None if they never met.
        looks_before: How often the version was judged before, which leaves less of the error rate.
    """

    mode: Mode
    unit: str
    units: int
    primary_metric: str
    required_slices: tuple[str, ...] = ()
    earlier: tuple[ChallengeEvidence, ...] = ()
    effect: float | None = None
    looks_before: int = 0

    def spread(self, metric: str, slice_name: str) -> Evidence | None:
        """The smallest spread among earlier challenges of a champion, on a hold-out of this size; None if unknown.

        Raises:
            EvaluationError: A comparison holds numbers that are not finite.
        """
        spreads = [
            at_units(spread_of(comparison), self.units)
            for evidence in self.earlier
            if evidence.opponent.kind == "champion"
            for comparison in evidence.found(metric, slice_name)
            if isinstance(comparison, Comparison)
            and len(comparison.units) >= FEWEST_UNITS
            and any(comparison.influence)
        ]
        return min(spreads, key=lambda spread: spread.planning_error, default=None)

    @property
    def informs_only(self) -> bool:
        """Whether too few challenges were held for their spread to refuse anything."""
        return sum(evidence.opponent.kind == "champion" for evidence in self.earlier) < ENOUGH

    def rows(self, slice_name: str) -> int | None:
        """How many rows of the primary metric a slice can be expected to have; None if no challenge was held."""
        shares = [
            comparison.rows / evidence.hold_out.units
            for evidence in self.earlier
            for comparison in evidence.found(self.primary_metric, slice_name)
        ]
        return int(max(shares) * self.units) if shares else None


def refuse_unreachable(prospect: Prospect, policy: Policy) -> Verdict:
    """PROMOTE if both verdicts can be reached; ERROR says which cannot, and what to change."""
    findings = [f for check in CHECKS for f in check(prospect, policy)]
    return Verdict(tuple(findings))


def size_suffices(prospect: Prospect, policy: Policy) -> Iterator[Finding]:
    """The hold-out has the units that the policy demands, or every verdict would be INSUFFICIENT_EVIDENCE."""
    have, need = prospect.units, policy.hold_out.minimum_units
    there = f"The hold-out has {count(have, prospect.unit)}, and the policy demands {need:,}"
    if have >= need:
        yield finding("reachable: size", Outcome.PROMOTE, f"{there}.")
        return
    yield finding(
        "reachable: size",
        Outcome.ERROR,
        f"{there}: every version would end as INSUFFICIENT_EVIDENCE, the best and the worst.",
        next_step=f"Hold out at least {count(need, prospect.unit)} (hold_out_days in conf/training.yml), or lower "
        "hold_out.minimum_units in conf/promotion.yml.",
    )


def slices_suffice(prospect: Prospect, policy: Policy) -> Iterator[Finding]:
    """Required slices will have their minimum of rows, as far as an earlier comparison tells."""
    need = policy.slices.minimum_rows
    for name in prospect.required_slices:
        rows = prospect.rows(name)
        if rows is not None and rows < need:
            units = math.ceil(prospect.units * need / max(rows, 1))
            yield finding(
                f"reachable: slice {name}",
                Outcome.ERROR,
                f"Required slice {name} will have about {count(rows, 'row')}, and the policy demands {need:,}: every "
                "version would end as INSUFFICIENT_EVIDENCE.",
                next_step=f"Hold out {count(units, prospect.unit)}, lower slices.minimum_rows, or make it informative.",
            )


def primary_reaches_promote(prospect: Prospect, policy: Policy) -> Iterator[Finding]:
    """A good version passes the primary metric often enough."""
    spread = prospect.spread(prospect.primary_metric, ALL)
    if spread is None:
        yield _unknown(prospect.primary_metric, ALL)
        return
    margin, rate = policy.primary.margin, error_rate_at(policy, prospect.looks_before)
    if prospect.mode == "superiority":
        good = policy.primary.suspicious_gain / 2
        who = f"A version that is better by {good:g}, half of what would be suspicious,"
        step = "raise primary.suspicious_gain if such gains are plausible"
    else:
        good, who, step = margin, "An equal version", "widen primary.margin"
    yield _promote(prospect, prospect.primary_metric, spread, good, who, step, rate, POWER)


def guards_reach_promote(prospect: Prospect, policy: Policy) -> Iterator[Finding]:
    """An equal version passes every guardrail and required slice often enough."""
    wanted = [(name, ALL, rule.margin, f"guardrails.{name}.margin") for name, rule in sorted(policy.guardrails.items())]
    wanted += [(prospect.primary_metric, s, policy.slices.margin, "slices.margin") for s in prospect.required_slices]
    rate, power = error_rate_at(policy, prospect.looks_before), power_of_each(len(wanted))
    for metric, slice_name, margin, key in wanted:
        spread = prospect.spread(metric, slice_name)
        name = metric if slice_name == ALL else f"{metric} in {slice_name}"
        if spread is None:
            yield _unknown(metric, slice_name)
        else:
            step = f"widen {key}"
            yield _promote(prospect, name, spread, margin, "An equal version", step, rate, power)


def primary_reaches_hold(prospect: Prospect, policy: Policy) -> Iterator[Finding]:
    """A version that is one margin worse than demanded is held often enough, not put off for ever."""
    spread = prospect.spread(prospect.primary_metric, ALL)
    if spread is None:
        return  # `primary_reaches_promote` says so
    margin, frame = policy.primary.margin, zone(prospect.mode, policy.primary.margin)
    bad = frame.demanded - margin
    chance = spread.power(frame.hoped - bad, error_rate=error_rate_at(policy, prospect.looks_before))
    reason = (
        f"A version that is worse by {-bad:g} in {prospect.primary_metric} is held by a hold-out of "
        f"{count(prospect.units, prospect.unit)} with a chance of {percent(round(chance, 3))}"
    )
    if chance >= LEAST_CHANCE:
        yield finding("reachable: HOLD", Outcome.PROMOTE, f"{reason}.")
        return
    needed = spread.units_needed(
        margin=frame.hoped - bad, power=POWER, error_rate=error_rate_at(policy, prospect.looks_before)
    )
    yield finding(
        "reachable: HOLD",
        Outcome.ERROR,
        f"{reason}, less than {percent(LEAST_CHANCE)}: bad versions would be put off, not turned down.",
        next_step=f"{_hold_out(needed, prospect.unit)}, or widen primary.margin in conf/promotion.yml.",
        informative=prospect.informs_only,
    )


def margin_below_effect(prospect: Prospect, policy: Policy) -> Iterator[Finding]:
    """The margin does not give away all that the champion is worth."""
    effect, margin = prospect.effect, policy.primary.margin
    if effect is None or prospect.mode == "superiority":
        return
    reason = (
        f"The margin in {prospect.primary_metric} is {margin:g}, and the champion gained {effect:g} over the baseline"
    )
    if margin < effect:
        yield finding("reachable: margin", Outcome.PROMOTE, f"{reason}.")
        return
    yield finding(
        "reachable: margin",
        Outcome.ERROR,
        f"{reason}: a rule of thumb would pass as not worse than the champion.",
        next_step=(
            f"Set primary.margin in conf/promotion.yml to half of {effect:g} at most, as is usual."
            if effect > 0
            else "Demand that a retraining is better: primary.same_code: superiority in conf/promotion.yml."
        ),
    )


Check = Callable[[Prospect, Policy], Iterator[Finding]]
CHECKS: tuple[Check, ...] = (
    size_suffices,
    slices_suffice,
    primary_reaches_promote,
    guards_reach_promote,
    primary_reaches_hold,
    margin_below_effect,
)


def _promote(
    prospect: Prospect, name: str, spread: Evidence, good: float, who: str, step: str, error_rate: float, power: float
) -> Finding:
    chance, unit = spread.power(good, error_rate=error_rate), prospect.unit
    needed = spread.units_needed(margin=good, power=power, error_rate=error_rate)
    reason = (
        f"{who} passes {name} on {count(spread.units, unit)} with a chance of {percent(round(chance, 3))}; "
        f"{percent(round(power, 3))} take {'too many' if needed is None else count(needed, unit)}"
    )
    rule = f"reachable: PROMOTE by {name}"
    if chance >= LEAST_CHANCE:
        return finding(rule, Outcome.PROMOTE, f"{reason}.")
    return finding(
        rule,
        Outcome.ERROR,
        f"{reason}: less than {percent(LEAST_CHANCE)} is a gate that cannot say yes.",
        next_step=f"{_hold_out(needed, unit)}, or {step} in conf/promotion.yml.",
        informative=prospect.informs_only,
    )


def _unknown(metric: str, slice_name: str) -> Finding:
    where = metric if slice_name == ALL else f"{metric} in {slice_name}"
    reason = f"How much {where} varies from unit to unit is not known yet, so only the size was checked."
    return finding(f"reachable: PROMOTE by {where}", Outcome.PROMOTE, reason, informative=True)


def _hold_out(units: int | None, unit: str) -> str:
    if units is None:
        return "No hold-out of a reasonable size would do"
    return f"Hold out {count(units, unit)} (hold_out_days in conf/training.yml)"
