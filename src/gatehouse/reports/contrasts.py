"""The comparisons of a decision record as rows that tables and drawings share: who was how good where, and the mark.

A drawing puts metrics of different units on one scale: each difference is divided by the margin that it was judged by,
so that -1 is the margin for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from gatehouse.gates.evidence import ALL, ChallengeEvidence
from gatehouse.gates.looks import error_rate_at
from gatehouse.gates.measured import Measured, measured
from gatehouse.gates.policy import Policy
from gatehouse.gates.record import DecisionRecord
from gatehouse.gates.verdict import Finding, Outcome, Verdict

_LONGEST = 12.0  # margins; a drawing ends there, or one wild slice would flatten the rest


class Role(StrEnum):
    """What a comparison has to do with the verdict."""

    PRIMARY = "primary"
    GUARDRAIL = "guardrail"
    REQUIRED = "required slice"
    INFORMATIVE = "for information"


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A difference with its confidence interval, in the metric's unit; positive: the candidate is better."""

    difference: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Contrast:
    """One metric in one slice.

    Attributes:
        opponent: Value of the champion, the baseline or the threshold; None without a measurement, and `missing` then
            says why, as in `candidate` and `gain`.
        margin: In the metric's unit; None where the policy gives none.
        outcome: Of the findings on it; None if no rule judged it.
        units: Names of the units it was measured in, with what each of them says of the gain: their mean is the gain.
    """

    role: Role
    metric: str
    slice: str
    opponent: float | None
    candidate: float | None
    gain: Interval | None
    margin: float | None
    outcome: Outcome | None
    rows: int
    units: tuple[tuple[str, float], ...]
    missing: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawn:
    """Where a contrast lies on a scale, in per cent of its width; `cut` ends lie beyond it."""

    point: float
    low: float
    high: float
    cut_low: bool
    cut_high: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """A scale in margins, from `left` (below -1) to `right` (above 1)."""

    left: float
    right: float

    @classmethod
    def over(cls, contrasts: Sequence[Contrast]) -> Scale:
        """One that shows the intervals of all these, up to a limit."""
        ends = [
            end / c.margin for c in contrasts if c.gain is not None and c.margin for end in (c.gain.low, c.gain.high)
        ]
        left, right = min([-1.0, *ends]), max([1.0, *ends])
        room = 0.06 * (min(right, _LONGEST) - max(left, -_LONGEST))
        return cls(left=max(left, -_LONGEST) - room, right=min(right, _LONGEST) + room)

    def at(self, margins: float) -> float:
        """Per cent of the width."""
        return 100.0 * min(max((margins - self.left) / (self.right - self.left), 0.0), 1.0)

    def draw(self, contrast: Contrast) -> Drawn | None:
        """None where there is nothing to draw, or no margin to measure it by."""
        if contrast.gain is None or not contrast.margin:
            return None
        gain = contrast.gain
        point, low, high = (x / contrast.margin for x in (gain.difference, gain.low, gain.high))
        return Drawn(
            point=self.at(point),
            low=self.at(low),
            high=self.at(high),
            cut_low=low < self.left,
            cut_high=high > self.right,
        )


def level(policy: Policy, evidence: ChallengeEvidence | None) -> float:
    """Of the intervals: 91 % at an error rate of 4.5 %, so that an interval and its one-sided test say the same."""
    return 1.0 - 2.0 * error_rate_at(policy, evidence.hold_out.looks_before if evidence else 0)


def contrasts(record: DecisionRecord) -> tuple[Contrast, ...]:
    """Those that decide, in the order of their weight, then those for information; none if compliance refused it.

    Raises:
        DataError, EvaluationError: policy or evidence of the record are not what was written.
    """
    if record.challenge is None:
        return ()
    evidence, policy = ChallengeEvidence.from_record(record.challenge), record.policy.read()
    findings = [f for f in record.findings if f.gate == "challenge"]
    return tuple(_contrasts(evidence, policy, findings))


def _contrasts(evidence: ChallengeEvidence, policy: Policy, findings: Sequence[Finding]) -> Iterator[Contrast]:
    for role, metric, name, margin, judged_by in _asked(evidence, policy):
        if evidence.opponent.kind == "threshold" and role is not Role.PRIMARY:
            continue  # a threshold has a value for the primary metric over all rows, and no other
        judged = tuple(replace(f, informative=False) for f in findings if f.rule in judged_by)
        outcome = Verdict(judged).outcome if judged else None
        yield _contrast(evidence, role, metric, name, margin=margin, outcome=outcome, level=level(policy, evidence))


_Asked = tuple[Role, str, str, float | None, tuple[str, ...]]
"""Role, metric, slice, margin, and the rules that judge it."""


def _asked(evidence: ChallengeEvidence, policy: Policy) -> Iterator[_Asked]:
    primary, slices = evidence.primary_metric, policy.slices.margin
    yield Role.PRIMARY, primary, ALL, policy.primary.margin, (f"primary metric {primary}", "suspicious gain")
    for metric in evidence.guardrail_metrics:
        guardrail = policy.guardrails.get(metric)
        yield Role.GUARDRAIL, metric, ALL, guardrail.margin if guardrail else None, (f"guardrail {metric}",)
    for name in evidence.required_slices:
        yield Role.REQUIRED, primary, name, slices, (f"required slice {name}", f"rows of required slice {name}")
    for name in evidence.informative_slices:
        yield Role.INFORMATIVE, primary, name, slices, (f"slice {name}",)


def _contrast(
    evidence: ChallengeEvidence,
    role: Role,
    metric: str,
    name: str,
    *,
    margin: float | None,
    outcome: Outcome | None,
    level: float,
) -> Contrast:
    entries = evidence.found(metric, name)
    found = measured(entries, metric, name)
    if not isinstance(found, Measured):
        return Contrast(
            role=role,
            metric=metric,
            slice=name,
            opponent=None,
            candidate=None,
            gain=None,
            margin=margin,
            outcome=outcome,
            rows=max((c.rows for c in entries), default=0),
            units=(),
            missing=found.reason,
        )
    compared = found.comparison
    low, high = found.evidence.interval(level)
    says = (compared.difference + len(compared.units) * share for share in compared.influence)
    return Contrast(
        role=role,
        metric=metric,
        slice=name,
        opponent=compared.champion,
        candidate=compared.candidate,
        gain=Interval(difference=compared.difference, low=low, high=high),
        margin=margin,
        outcome=outcome,
        rows=compared.rows,
        units=tuple(zip(compared.units, says, strict=True)),
        missing="",
    )
