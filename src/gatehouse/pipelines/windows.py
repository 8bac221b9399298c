"""The stretches of time a training run divides its events into."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from gatehouse.settings import TrainingFile


@dataclass(frozen=True, kw_only=True, slots=True)
class Windows:
    """Half-open stretches (start, end]: training, of which the last days validate, then the hold-out.

    A model is fitted on (train_start, train_end]; nobody fits on (train_end, hold_out_end]. `validation_start` lies in
    the training stretch: what comes after it chooses among options and then joins the training rows.
    """

    train_start: datetime
    validation_start: datetime
    train_end: datetime
    hold_out_end: datetime


def windows(as_of: datetime, settings: TrainingFile, *, hold_out_days: int | None = None) -> Windows:
    """The windows at `as_of`. History without a limit starts in 1900: Spark's timestamps reach back that far safely."""
    hold_out = settings.hold_out_days if hold_out_days is None else hold_out_days
    train_end = as_of - timedelta(days=hold_out)
    start = (
        train_end - timedelta(days=settings.history_days)
        if settings.history_days
        else datetime(1900, 1, 1, tzinfo=as_of.tzinfo)
    )
    return Windows(
        train_start=start,
        validation_start=train_end - timedelta(days=settings.validation_days),
        train_end=train_end,
        hold_out_end=as_of,
    )
