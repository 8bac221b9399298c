"""May the candidate take over? Pure: evidence in, verdict out, the same every time. `promotion` acts on it.

Every rule is a function of its own that turns the evidence into findings; all of them are asked, so that a verdict
lists everything that stands in the way. The most severe finding decides.

    admissibility    what is compared with what, and whether anything could be measured at all
    hold_out         rows that neither contender has seen, enough of them, and not judged on too often
    primary          the primary metric, better or not worse as the mode demands, and not too good to be true
    guards           guardrail metrics and required slices, with error rates that hold for any number of them
    stability        negative flips, score shift, calibration

Error rates of the whole gate, at an error rate of 5 %: a version that lies at or beyond a margin in the primary metric,
a guardrail or a required slice is promoted at most one time in twenty, however often it is judged; a version as good as
one hopes for is held by the primary metric at most one time in twenty, and by all guards together at most one time in
twenty.
"""

from __future__ import annotations

from gatehouse.gates import admissibility, guards, hold_out, primary, stability
from gatehouse.gates.evidence import ChallengeEvidence
from gatehouse.gates.policy import Policy
from gatehouse.gates.rules import Rule
from gatehouse.gates.verdict import Verdict

RULES: tuple[Rule, ...] = (
    admissibility.two_contenders,
    admissibility.mode_allowed,
    admissibility.guardrails_named,
    admissibility.nothing_refused,
    admissibility.something_compared,
    hold_out.disjoint_by_window,
    hold_out.disjoint_by_key,
    hold_out.enough_units,
    hold_out.enough_labels,
    hold_out.not_used_up,
    primary.primary_good_enough,
    primary.not_suspiciously_good,
    guards.guards_not_worse,
    guards.required_slices_present,
    stability.few_negative_flips,
    stability.small_score_shift,
    stability.calibrated,
    guards.informative_slices,
)
"""In the order in which a person wants to read them."""


def judge_challenge(evidence: ChallengeEvidence, policy: Policy) -> Verdict:
    """The findings of every rule, and with them the verdict."""
    return Verdict(tuple(f for rule in RULES for f in rule(evidence, policy)))
