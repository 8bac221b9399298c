"""Does the gate, with this policy, do what it says? Known truths go through the judge that decides in earnest.

`gatehouse gate selftest` prints the checks. Situations have one right outcome each; error rates are measured on
challenges drawn from a recorded seed, and may differ from the stated ones by three standard errors of the simulation.
By none of the project's metrics may a prediction beat the truth.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gatehouse.evaluation.metrics import FloatArray, Task
from gatehouse.evaluation.significance import Evidence, degrees_of_freedom
from gatehouse.evaluation.soundness import perfection_flaw
from gatehouse.gates.challenge import judge_challenge
from gatehouse.gates.decision import zone
from gatehouse.gates.looks import error_rate_at
from gatehouse.gates.phrases import percent
from gatehouse.gates.policy import Mode, Policy
from gatehouse.gates.situations import situations
from gatehouse.gates.synthetic import PRIMARY, REQUIRED, Truth, draw, enough_units
from gatehouse.gates.verdict import Outcome
from gatehouse.project import Project

SEED = 2013
DRAWS = 200
_PRECISION = 3.0  # margins per standard error in the simulations: neither clear nor hopeless


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One thing the gate must do. `expected` and `observed` are for people; `passed` is for exit codes."""

    name: str
    expected: str
    observed: str
    passed: bool


def selftest(policy: Policy, *, seed: int = SEED, draws: int = DRAWS) -> tuple[Check, ...]:
    """Every situation, then the error rates of every mode that the policy uses."""
    checks = list(_situations(policy, np.random.default_rng(seed)))
    rng = np.random.default_rng([seed, 1])
    for mode in sorted({policy.primary.same_code, policy.primary.changed_code}):
        for simulation in (_false_promotion, _harmful_guard, _false_hold, _power):
            checks.append(simulation(policy, mode, draws, rng))
    return tuple(checks)


def metric_checks(project: Project, *, seed: int = SEED) -> tuple[Check, ...]:
    """Whether each metric that the project is judged by wants what it should, on 300 labels drawn from the seed."""
    y, checks = _labels(project, np.random.default_rng([seed, 2])), []
    for metric in project.metrics:
        flaw = perfection_flaw(metric, y, task=project.task, classes=len(project.classes))
        name = f"{metric.name}: a prediction beats the truth"
        checks.append(Check(name=name, expected="none", observed=flaw or "none", passed=flaw is None))
    return tuple(checks)


def _labels(project: Project, rng: np.random.Generator) -> FloatArray:
    """Of the project's task, each class among them; amounts are positive."""
    if project.task is Task.REGRESSION:
        return rng.gamma(2.0, 10.0, 300)
    return (np.arange(300) % (len(project.classes) or 2)).astype(np.float64)


def _situations(policy: Policy, rng: np.random.Generator) -> Iterator[Check]:
    for situation in situations(policy, rng):
        outcome = judge_challenge(situation.evidence, policy).outcome
        yield Check(
            name=situation.name,
            expected=situation.expected.value,
            observed=outcome.value,
            passed=outcome is situation.expected,
        )


def _false_promotion(policy: Policy, mode: Mode, draws: int, rng: np.random.Generator) -> Check:
    """The truth lies exactly where a version must not pass any more."""
    demanded = zone(mode, policy.primary.margin).demanded
    truth = Truth(gain=demanded, precision=_PRECISION, exact=True, units=enough_units(policy))
    seen = _frequencies(policy, truth, mode, draws, rng)
    who = "no better than the champion" if mode == "superiority" else "worse by the margin"
    return _at_most(f"{_words(mode)}: a version {who} is promoted", seen, Outcome.PROMOTE, policy, draws)


def _harmful_guard(policy: Policy, mode: Mode, draws: int, rng: np.random.Generator) -> Check:
    """The primary metric is fine, and one required slice is worse by its margin."""
    harm = {(PRIMARY, REQUIRED[0]): -policy.slices.margin}
    truth = Truth(gain=_hoped(policy, mode), harm=harm, precision=_PRECISION, units=enough_units(policy))
    seen = _frequencies(policy, truth, mode, draws, rng)
    name = f"{_words(mode)}: a version that harms one required slice by its margin is promoted"
    return _at_most(name, seen, Outcome.PROMOTE, policy, draws)


def _false_hold(policy: Policy, mode: Mode, draws: int, rng: np.random.Generator) -> Check:
    """As good as one hopes for everywhere: held by the primary metric or by the guards, each at most at the rate."""
    truth = Truth(gain=_hoped(policy, mode), precision=_PRECISION, units=enough_units(policy))
    seen = _frequencies(policy, truth, mode, draws, rng)
    who = "better by the margin" if mode == "superiority" else "as good as the champion"
    return _at_most(f"{_words(mode)}: a version {who} is held", seen, Outcome.HOLD, policy, draws, times=2)


def _power(policy: Policy, mode: Mode, draws: int, rng: np.random.Generator) -> Check:
    """What plans promise: the chance of promoting a version as good as one hopes for, by the primary metric."""
    margin, rate = policy.primary.margin, error_rate_at(policy, 0)
    truth = Truth(gain=_hoped(policy, mode), precision=_PRECISION, exact=True, units=enough_units(policy))
    promoted = _frequencies(policy, truth, mode, draws, rng)[Outcome.PROMOTE] / draws
    error = margin / _PRECISION
    stated = Evidence(
        difference=0.0,
        standard_error=error,
        planning_error=error,
        degrees_of_freedom=degrees_of_freedom(truth.units),
        units=truth.units,
    ).power(margin, error_rate=rate)
    slack = 3.0 * math.sqrt(stated * (1.0 - stated) / draws)
    who = "better by the margin" if mode == "superiority" else "as good as the champion"
    return Check(
        name=f"{_words(mode)}: a version {who} is promoted as often as plans say",
        expected=f"{percent(round(stated, 3))} within {percent(round(slack, 3))}",
        observed=f"{percent(round(promoted, 3))} of {draws}",
        passed=abs(promoted - stated) <= slack,
    )


def _hoped(policy: Policy, mode: Mode) -> float:
    return zone(mode, policy.primary.margin).hoped


def _frequencies(policy: Policy, truth: Truth, mode: Mode, draws: int, rng: np.random.Generator) -> Counter[Outcome]:
    return Counter(judge_challenge(draw(policy, truth, mode=mode, rng=rng), policy).outcome for _ in range(draws))


def _at_most(
    name: str, seen: Counter[Outcome], outcome: Outcome, policy: Policy, draws: int, *, times: int = 1
) -> Check:
    rate = times * policy.primary.error_rate
    slack = 3.0 * math.sqrt(rate * (1.0 - rate) / draws)
    return Check(
        name=name,
        expected=f"at most {percent(rate)} within {percent(round(slack, 3))}",
        observed=f"{percent(round(seen[outcome] / draws, 3))} of {draws}",
        passed=seen[outcome] / draws <= rate + slack,
    )


def _words(mode: Mode) -> str:
    return mode.replace("_", "-")
