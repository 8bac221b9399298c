"""Looks: how often one version may be judged, and how much of the error rate each judgement may spend.

A version that is judged again while its hold-out grows has another chance to win by luck each time. The first look
spends `FIRST_SHARE` of the policy's error rate, the others that `hold_out.reuse_budget` allows share the rest evenly,
and further ones promote nothing. All looks together spend the error rate, which so bounds the chance that any of them
errs, whatever they have in common (Bonferroni): nothing is assumed about how the hold-out grows, and each look remains
the test that it is.
"""

from __future__ import annotations

from gatehouse.gates.policy import Policy

FIRST_SHARE = 0.9
"""Most versions are judged once, and who cannot wait trains a new one: so the first look loses next to no power."""


def error_rate_at(policy: Policy, looks_before: int) -> float:
    """What this look may spend. Beyond the last one allowed, which `hold_out` holds, what that one had."""
    rate, looks = policy.primary.error_rate, policy.hold_out.reuse_budget
    if looks == 1:
        return rate
    return rate * FIRST_SHARE if looks_before < 1 else rate * (1.0 - FIRST_SHARE) / (looks - 1)
