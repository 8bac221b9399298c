"""Flights written down in a line each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pytest

from flight_delays.tables import FLIGHTS
from gatehouse.project import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

ARROW = {
    "string": pa.string(),
    "int": pa.int32(),
    "double": pa.float64(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}


@pytest.fixture(scope="session")
def rows_of(spark: SparkSession) -> Callable[[Table, Sequence[Mapping[str, Any]]], DataFrame]:
    """A table's rows in its declared types; moments are ISO 8601 texts in UTC, columns not named are null."""

    def make(table: Table, rows: Sequence[Mapping[str, Any]]) -> DataFrame:
        def parsed(column: str, value: Any) -> Any:
            moment = table.column(column).type == "timestamp" and value is not None
            return pd.Timestamp(value, tz="UTC").to_pydatetime() if moment else value

        schema = pa.schema([(c.name, ARROW[c.type]) for c in table.columns])
        filled = [{n: parsed(n, row.get(n)) for n in table.names} for row in rows]
        return spark.createDataFrame(pa.Table.from_pylist(filled, schema=schema))

    return make


@pytest.fixture(scope="session")
def flights(rows_of: Callable[..., DataFrame]) -> Callable[..., DataFrame]:
    """`flights(("2013-05-06 12:00", {..}), ..)`: one flight each, by scheduled departure and what differs.

    UA 1 from JFK to LAX in N1, scheduled for 6 hours; nothing has become of it yet.
    """

    def make(*rows: tuple[str, Mapping[str, Any]]) -> DataFrame:
        return rows_of(
            FLIGHTS,
            [
                {
                    "carrier": "UA",
                    "flight_number": 1,
                    "origin": "JFK",
                    "destination": "LAX",
                    "tail_number": "N1",
                    "distance_miles": 2475.0,
                    "scheduled_at": scheduled,
                    "scheduled_arrival_at": pd.Timestamp(scheduled) + pd.Timedelta(hours=6),
                    **differing,
                }
                for scheduled, differing in rows
            ],
        )

    return make
