"""Numbers as they stand in a finding's sentence."""

from __future__ import annotations

import math


def number(value: float, *, scale: float) -> str:
    """With three significant digits of `scale`, the smallest difference that matters: 0.47812 for a margin of 0.003."""
    decimals = 2 - math.floor(math.log10(scale)) if scale > 0 and math.isfinite(scale) else 6
    text = f"{value:,.{min(max(decimals, 0), 12)}f}"
    return text.removeprefix("-") if float(text.replace(",", "")) == 0 else text


def percent(share: float) -> str:
    """A share as per cent, to four significant digits."""
    return f"{100 * share:.4g} %"


def count(amount: int, noun: str) -> str:
    """`1 day`, `28 days`."""
    return f"{amount:,} {noun}" if amount == 1 else f"{amount:,} {noun}s"


def probability(p: float) -> str:
    """`p = 0.0271`; very small ones as a bound."""
    return f"p = {p:.4f}" if p >= 0.0001 else "p < 0.0001"
