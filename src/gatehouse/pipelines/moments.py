"""Moments between Spark, pandas and Python. All UTC: Spark's naive values are in the session's zone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pandas as pd


def utc(moment: Any) -> datetime | None:
    """A moment that came out of `toPandas`, aware; None for a null."""
    if moment is None or pd.isna(moment):
        return None
    found: datetime = pd.Timestamp(moment).to_pydatetime()
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
