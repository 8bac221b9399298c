"""What arrives in memory reaches a table as declared, or not at all."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from gatehouse.errors import SchemaBreak
from gatehouse.project import Column, Table
from gatehouse.project.rows import typed

PARCELS = Table(
    name="parcels",
    description="Parcels.",
    owner="post@example.org",
    columns=(
        Column(name="number", type="string", description="Number."),
        Column(name="pieces", type="bigint", description="Pieces."),
        Column(name="weight", type="double", description="Weight.", unit="kg"),
        Column(name="fragile", type="boolean", description="Whether it breaks."),
        Column(name="sent_on", type="date", description="Day."),
        Column(name="sent_at", type="timestamp", description="Moment.", unit="UTC"),
        Column(name="sides", type="array<double>", description="Lengths.", unit="cm"),
    ),
    primary_key=("number",),
    known_at="sent_at",
)
ONE = {
    "number": ["A1"],
    "pieces": [2.0],
    "weight": [3],
    "fragile": [True],
    "sent_on": [date(2013, 5, 1)],
    "sent_at": pd.to_datetime(["2013-05-01 12:00"]),
    "sides": [[1.0, 2.5]],
}
ONE_AS_DECLARED = {
    "number": "A1",
    "pieces": 2,
    "weight": 3.0,
    "fragile": True,
    "sent_on": date(2013, 5, 1),
    "sent_at": datetime(2013, 5, 1, 12, tzinfo=UTC),
    "sides": [1.0, 2.5],
}


def test_rows_come_out_in_the_declared_order_and_types_and_other_columns_stay_behind() -> None:
    rows = pd.DataFrame({"note": ["x"], **dict(reversed(ONE.items()))})

    found = typed(rows, PARCELS)

    assert (found.column_names, found.to_pylist()) == (list(PARCELS.names), [ONE_AS_DECLARED])


def test_rows_of_arrow_are_converted_alike() -> None:
    assert typed(pa.Table.from_pandas(pd.DataFrame(ONE)), PARCELS).to_pylist() == [ONE_AS_DECLARED]


def test_what_is_missing_is_null_whatever_pandas_calls_it() -> None:
    rows = pd.DataFrame(
        {
            "number": [np.nan],
            "pieces": [np.nan],
            "weight": [np.nan],
            "fragile": [None],
            "sent_on": [None],
            "sent_at": [pd.NaT],
            "sides": [None],
        }
    )

    assert typed(rows, PARCELS).to_pylist() == [dict.fromkeys(PARCELS.names)]


def test_moments_of_another_zone_are_kept_and_nanoseconds_dropped() -> None:
    summer = pd.to_datetime(["2013-05-01 12:00:00.000000001"]).tz_localize("America/New_York")

    found = typed(pd.DataFrame({**ONE, "sent_at": summer}), PARCELS)

    assert found["sent_at"].to_pylist() == [datetime(2013, 5, 1, 16, tzinfo=UTC)]


def test_no_rows_are_rows_of_the_declared_types() -> None:
    found = typed(pd.DataFrame(columns=list(PARCELS.names)), PARCELS)

    assert (found.num_rows, found.schema) == (0, typed(pd.DataFrame(ONE), PARCELS).schema)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("pieces", 2.5),  # would be cut to 2
        ("pieces", "two"),
        ("weight", "3 kg"),
        ("number", 17),  # would be text of somebody's choosing
        ("fragile", "yes"),
        ("sent_at", "2013-05-01"),
        ("sent_on", "2013-05-01"),
    ],
)
def test_a_value_that_its_type_cannot_hold_is_refused_by_name(column: str, value: object) -> None:
    with pytest.raises(SchemaBreak, match=f"^Column {column} of parcels is declared {PARCELS.column(column).type}"):
        typed(pd.DataFrame({**ONE, column: [value]}), PARCELS)


def test_a_column_that_does_not_arrive_is_refused_with_those_that_do() -> None:
    with pytest.raises(SchemaBreak) as refused:
        typed(pd.DataFrame({"number": ["A1"], "Weight": [3.0]}), PARCELS)

    assert refused.value.what == "The rows for parcels lack pieces, weight, fragile, sent_on, sent_at, sides."
    assert "Rename what arrives (number, Weight)" in refused.value.remedy
