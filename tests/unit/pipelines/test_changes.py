"""Deliveries are known when sent; when and in how many days they arrived becomes known later."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from chispa import assert_df_equality

from gatehouse.pipelines.changes import Changes, first_load, fresh_rows, summarise
from gatehouse.project import Column, Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

PARCELS = Table(
    name="parcels",
    description="One row per parcel.",
    owner="post@example.org",
    columns=(
        Column(name="parcel", type="string", description="Number."),
        Column(name="sent_at", type="timestamp", description="When it was sent."),
        Column(name="weight", type="double", description="Weight.", unit="kg"),
        Column(name="days", type="double", description="How long it took.", unit="days"),
        Column(name="arrived_at", type="timestamp", description="When it arrived."),
    ),
    primary_key=("parcel",),
    known_at="sent_at",
    late=("days",),
    late_known_at="arrived_at",
)
COLUMNS = "parcel string, sent_at timestamp, weight double, days double, arrived_at timestamp"


def day(number: int) -> datetime:
    return datetime(2013, 5, number, tzinfo=UTC)


def parcel(number: str, **differing: Any) -> tuple[Any, ...]:
    """Sent on the 10th, and not arrived yet."""
    row = {"parcel": number, "sent_at": day(10), "weight": 2.0, "days": None, "arrived_at": None, **differing}
    return tuple(row.values())


@pytest.fixture
def frame(spark: SparkSession) -> Callable[..., DataFrame]:
    return lambda *rows: spark.createDataFrame(list(rows), COLUMNS)


STORED = (
    parcel("unchanged"),
    parcel("unchanged after arrival", days=3.0, arrived_at=day(13)),
    parcel("no weight", weight=None),
    parcel("weighed again"),
    parcel("weight found", weight=None),
    parcel("sent before", sent_at=day(10)),
    parcel("sent after", sent_at=day(10)),
    parcel("arrives"),
    parcel("outcome corrected", days=3.0, arrived_at=day(13)),
    parcel("arrived before", days=3.0, arrived_at=day(13)),
    parcel("arrived after", days=3.0, arrived_at=day(13)),
    parcel("not arrived after all", days=3.0, arrived_at=day(13)),
    parcel("weighed again and arrives"),
    parcel("no longer delivered"),
)
INCOMING = (
    parcel("unchanged"),
    parcel("unchanged after arrival", days=3.0, arrived_at=day(13)),
    parcel("no weight", weight=None),
    parcel("weighed again", weight=2.5),
    parcel("weight found", weight=2.5),
    parcel("sent before", sent_at=day(8)),
    parcel("sent after", sent_at=day(12)),
    parcel("arrives", days=4.0, arrived_at=day(14)),
    parcel("outcome corrected", days=4.0, arrived_at=day(13)),
    parcel("arrived before", days=2.0, arrived_at=day(12)),
    parcel("arrived after", days=5.0, arrived_at=day(15)),
    parcel("not arrived after all"),
    parcel("weighed again and arrives", weight=2.5, days=4.0, arrived_at=day(14)),
    parcel("new", sent_at=day(15)),
    parcel("new and arrived", days=1.0, arrived_at=day(11)),
)
FRESH = (
    # what was known of the parcel itself differs: from the moment it was known, in either form
    (*INCOMING[3], True, day(10)),
    (*INCOMING[4], True, day(10)),
    (*INCOMING[5], True, day(8)),
    (*INCOMING[6], True, day(10)),
    # only the outcome differs: from the moment it was known, in either form
    (*INCOMING[7], True, day(14)),
    (*INCOMING[8], True, day(13)),
    (*INCOMING[9], True, day(12)),
    (*INCOMING[10], True, day(13)),
    (*INCOMING[11], True, day(13)),
    # both
    (*INCOMING[12], True, day(10)),
    # not known before
    (*INCOMING[13], False, day(15)),
    (*INCOMING[14], False, day(10)),
)


def test_fresh_rows_are_the_new_and_the_changed_with_the_moment_from_which_it_matters(
    spark: SparkSession, frame: Callable[..., DataFrame]
) -> None:
    fresh = fresh_rows(frame(*INCOMING), frame(*STORED), PARCELS)

    expected = spark.createDataFrame(list(FRESH), f"{COLUMNS}, _known boolean, _changed_from timestamp")
    assert_df_equality(fresh, expected, ignore_row_order=True, ignore_nullable=True)
    assert summarise(fresh) == Changes(inserted=2, updated=10, changed_from=day(8))


def test_nothing_fresh_changes_nothing(frame: Callable[..., DataFrame]) -> None:
    fresh = fresh_rows(frame(*STORED[:3]), frame(*STORED), PARCELS)

    assert summarise(fresh) == Changes(inserted=0, updated=0, changed_from=None)


def test_a_table_without_late_columns_changes_from_the_moment_of_the_row(
    spark: SparkSession, frame: Callable[..., DataFrame]
) -> None:
    weights = Table(
        name="weights",
        description="One row per parcel.",
        owner="post@example.org",
        columns=PARCELS.columns[:3],
        primary_key=("parcel",),
        known_at="sent_at",
    )
    columns = ["parcel", "sent_at", "weight"]

    fresh = fresh_rows(frame(*INCOMING[2:4]).select(columns), frame(*STORED).select(columns), weights)

    assert [tuple(r)[2:] for r in fresh.collect()] == [(2.5, True, day(10).replace(tzinfo=None))]


def test_all_rows_of_a_first_load_are_new(frame: Callable[..., DataFrame]) -> None:
    assert first_load(frame(*INCOMING), PARCELS) == Changes(inserted=15, updated=0, changed_from=day(8))
    assert first_load(frame(), PARCELS) == Changes(inserted=0, updated=0, changed_from=None)
