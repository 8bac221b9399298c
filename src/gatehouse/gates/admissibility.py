"""Rules on the question itself: who is compared with whom, by which demand, on which complete set of numbers.

What could not be measured is an ERROR. None of these rules looks for a way around it: a champion whose numbers are
missing is not "no champion yet".
"""

from __future__ import annotations

from collections.abc import Iterator

from gatehouse.evaluation.comparison import Comparison
from gatehouse.gates.evidence import ALL, ChallengeEvidence
from gatehouse.gates.phrases import count
from gatehouse.gates.policy import Mode, Policy
from gatehouse.gates.rules import finding
from gatehouse.gates.verdict import Finding, Outcome


def choose_mode(policy: Policy, *, first: bool, same_code: bool) -> tuple[Mode, str]:
    """What to demand of a candidate, and why.

    Args:
        policy: The promotion policy.
        first: No version is in production: the opponent is the baseline or a threshold.
        same_code: The candidate was trained by the code that trained the champion.
    """
    if first:
        return "superiority", "The first version must beat what one has without a model."
    if same_code:
        return policy.primary.same_code, "The training code is the champion's; only its data are newer."
    return policy.primary.changed_code, "The training code differs from the champion's."


def nothing_refused(evidence: ChallengeEvidence, _: Policy) -> Iterator[Finding]:
    """Every row of the hold-out could be scored and judged."""
    if evidence.faults is None:
        yield finding("rows", Outcome.PROMOTE, "Every labelled row of the hold-out could be judged.")
    else:
        yield finding(
            "rows",
            Outcome.ERROR,
            evidence.faults,
            next_step="Find these rows and mend the model or the data; measured without them, a model that fails on "
            "them would look better than it is.",
        )


def something_compared(evidence: ChallengeEvidence, _: Policy) -> Iterator[Finding]:
    """There is a comparison at all, of as many units and rows as the hold-out has."""
    hold_out = evidence.hold_out
    wholes = [c for c in evidence.comparisons if c.slice == ALL]
    counted = {(len(c.units), c.rows) for c in wholes if isinstance(c, Comparison)}
    odd = sorted(counted - {(hold_out.units, hold_out.rows)})
    if not wholes:
        yield finding(
            "comparisons",
            Outcome.ERROR,
            "Nothing was compared over all rows of the hold-out, so there is nothing to decide by.",
            next_step="Score the hold-out with both contenders and run `gatehouse gate challenge` again.",
        )
    elif odd:
        units, rows = odd[0]
        yield finding(
            "comparisons",
            Outcome.ERROR,
            f"A comparison counts {count(rows, 'row')} in {count(units, evidence.unit)}, and the hold-out "
            f"{count(hold_out.rows, 'row')} in {count(hold_out.units, evidence.unit)}.",
            next_step="Measure again; evidence that contradicts itself was put together from two runs, or changed.",
        )
    else:
        made = f"{len(evidence.comparisons)} comparisons of metrics and slices were made"
        yield finding("comparisons", Outcome.PROMOTE, f"{made}, over {count(hold_out.rows, 'row')}.")


def two_contenders(evidence: ChallengeEvidence, policy: Policy) -> Iterator[Finding]:
    """The candidate meets the champion; or, where there is none, what the policy names for the first version."""
    candidate, opponent = evidence.candidate, evidence.opponent
    problem = ""
    if candidate.kind != "candidate" or candidate.version is None:
        problem = f"The version under test is given as {candidate.name}"
    elif opponent.kind == "candidate" or (opponent.kind == "champion" and opponent.version is None):
        problem = f"The opponent is given as {opponent.name}"
    elif opponent.kind == "champion" and opponent.version == candidate.version:
        problem = f"Version {candidate.version} would be compared with itself"
    elif opponent.kind not in ("champion", policy.first):
        problem = f"The opponent is {opponent.name}, and the policy names the {policy.first} for a first version"
    elif opponent.kind == "threshold" and opponent.threshold != policy.threshold:
        problem = f"The threshold is given as {opponent.threshold}, and the policy says {policy.threshold}"
    if problem:
        yield finding(
            "contenders",
            Outcome.ERROR,
            f"{problem}.",
            next_step="Name a candidate version and its opponent; ask the registry who the champion is.",
        )
    else:
        yield finding("contenders", Outcome.PROMOTE, f"{_capital(candidate.name)} is compared with {opponent.name}.")


def mode_allowed(evidence: ChallengeEvidence, policy: Policy) -> Iterator[Finding]:
    """Only a champion may be met with "not worse"; a heuristic or a threshold has to be beaten."""
    allowed: set[Mode] = {"superiority"}
    if evidence.opponent.kind == "champion":
        allowed = {policy.primary.changed_code, policy.primary.same_code}
    words = evidence.mode.replace("_", "-")
    if evidence.mode in allowed:
        yield finding("mode", Outcome.PROMOTE, f"{evidence.mode_reason} Demanded: {words}.")
    else:
        yield finding(
            "mode",
            Outcome.ERROR,
            f"The evidence asks for {words} against {evidence.opponent.name}, and the policy demands "
            f"{' or '.join(sorted(allowed)).replace('_', '-')}.",
            next_step="Judge by what conf/promotion.yml demands, or change it in a reviewed change.",
        )


def guardrails_named(evidence: ChallengeEvidence, policy: Policy) -> Iterator[Finding]:
    """The project's guardrail metrics and the policy's margins name each other: none guards by name only."""
    declared, with_margin = set(evidence.guardrail_metrics), set(policy.guardrails)
    problems = [f"{name} is a guardrail of the project and has no margin" for name in sorted(declared - with_margin)]
    problems += [f"{name} has a margin and is no guardrail of the project" for name in sorted(with_margin - declared)]
    if evidence.primary_metric in declared:
        problems.append(f"{evidence.primary_metric} is both the primary metric and a guardrail")
    if problems:
        yield finding(
            "guardrails",
            Outcome.ERROR,
            f"{_capital('; '.join(problems))}.",
            next_step="Make `guardrails` in conf/promotion.yml and the project's guardrail_metrics name the same.",
        )
    else:
        known = ", ".join(sorted(declared)) or "none"
        yield finding("guardrails", Outcome.PROMOTE, f"Each guardrail metric has a margin: {known}.")


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
