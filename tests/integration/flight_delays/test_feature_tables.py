"""What is declared is computed; no feature knows the future, none depends on when it was computed.

Shown on the real data of January and the first days of February.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from chispa import assert_df_equality
from pyarrow import parquet

from flight_delays import PROJECT, sources
from flight_delays.sources import REGISTER_SNAPSHOT
from gatehouse.lakehouse.point_in_time import visible
from gatehouse.project import FeatureTable, Table, Window

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.slow

END = datetime(2013, 2, 8, tzinfo=UTC)
EVERYTHING = Window(start=REGISTER_SNAPSHOT - timedelta(microseconds=1), end=END)
EACH = pytest.mark.parametrize("feature_table", PROJECT.feature_tables, ids=lambda f: f.table.name)


@pytest.fixture(scope="module")
def arrow() -> Mapping[str, pa.Table]:
    """All rows up to the end, with outcomes that only became known after it."""
    rows = {"flights": sources.flights(), "weather": sources.weather(), "planes": sources.planes()}
    return {
        name: table.filter(pa.array(table[PROJECT.tables[name].known_at].to_pandas() <= END))
        for name, table in rows.items()
    }


@pytest.fixture(scope="module")
def stored(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Callable[[pa.Table], DataFrame]:
    """Rows as a frame over a file, which a query on the JVM reads faster than rows it is sent."""

    def store(rows: pa.Table) -> DataFrame:
        file = tmp_path_factory.mktemp("rows") / "rows.parquet"
        parquet.write_table(rows, file)  # type: ignore[no-untyped-call]
        return spark.read.parquet(str(file))

    return store


@pytest.fixture(scope="module")
def inputs(arrow: Mapping[str, pa.Table], stored: Callable[[pa.Table], DataFrame]) -> Mapping[str, DataFrame]:
    return {name: stored(rows) for name, rows in arrow.items()}


@EACH
def test_rows_have_the_declared_columns_and_types_and_one_row_per_key(
    feature_table: FeatureTable, inputs: Mapping[str, DataFrame]
) -> None:
    rows = feature_table.compute(inputs, EVERYTHING)

    assert rows.dtypes == [(c.name, c.type) for c in feature_table.table.columns]
    frame = rows.toPandas()
    assert len(frame) > 0
    assert not frame.duplicated(list(feature_table.table.primary_key)).any()
    assert not frame[list(feature_table.table.primary_key)].isna().any(axis=None)
    assert frame[list(feature_table.features)].notna().any().all()


@EACH
def test_days_computed_one_by_one_are_the_same_as_computed_at_once(
    feature_table: FeatureTable, inputs: Mapping[str, DataFrame]
) -> None:
    from pyspark.sql import functions as F

    # Odd moments, so that days and half hours are cut; late enough that 28 days of history do not reach the start.
    cuts = [datetime(2013, 2, 4, 23, 50, tzinfo=UTC), datetime(2013, 2, 6, 13, 17, tzinfo=UTC), END]

    def as_the_pipeline_does(window: Window) -> DataFrame:
        known = {}
        for name in feature_table.inputs:
            table = PROJECT.tables[name]
            known[name] = visible(inputs[name], table, window.end)
            if feature_table.history is not None:
                reach = F.col(table.known_at) > F.lit(window.start - feature_table.history)
                known[name] = known[name].where(reach)
        return feature_table.compute(known, window)

    at_once = as_the_pipeline_does(EVERYTHING)
    bit_by_bit = as_the_pipeline_does(Window(start=cuts[0], end=cuts[1])).unionByName(
        as_the_pipeline_does(Window(start=cuts[1], end=cuts[2]))
    )

    known_at = F.col(feature_table.table.known_at)
    late = at_once.where(known_at > F.lit(cuts[0]))
    assert_df_equality(bit_by_bit, late, ignore_nullable=True, ignore_row_order=True)
    assert (late.count() > 0) == (feature_table.table.name != "aircraft")  # the register does not change


@EACH
def test_changing_what_was_not_yet_known_changes_no_row(
    feature_table: FeatureTable,
    stored: Callable[[pa.Table], DataFrame],
    arrow: Mapping[str, pa.Table],
    inputs: Mapping[str, DataFrame],
) -> None:
    from pyspark.sql import functions as F

    known_by = datetime(2013, 2, 5, 18, 10, tzinfo=UTC)  # a busy moment, amid a half hour
    changed = {
        name: stored(with_another_future(arrow[name], PROJECT.tables[name], known_by)) for name in feature_table.inputs
    }

    window = Window(start=known_by - timedelta(days=2), end=known_by + timedelta(days=1))
    before = feature_table.compute(inputs, window)
    after = feature_table.compute(changed, window)

    known = F.col(feature_table.table.known_at) <= F.lit(known_by)
    assert_df_equality(before.where(known), after.where(known), ignore_nullable=True, ignore_row_order=True)
    if feature_table.table.name != "aircraft":  # a register of which every row was known
        assert after.where(~known).exceptAll(before.where(~known)).count() > 0


def with_another_future(rows: pa.Table, table: Table, known_by: datetime) -> pa.Table:
    """Every value that was not known by then is another row's, and later rows are doubled a minute on."""
    rng = np.random.default_rng(13)
    order = np.arange(rows.num_rows)
    later = (rows[table.known_at].to_pandas() > known_by).to_numpy()
    taken_from = {n: shuffled(order, later, rng) for n in table.names if n != table.known_at}
    if table.late_known_at is not None:
        moments = rows[table.late_known_at].to_pandas()
        open_ = (moments > known_by).to_numpy()
        taken_from |= dict.fromkeys(table.late, shuffled(order, open_, rng))
        # At any moment after that one, and after the flight was to leave.
        earliest = rows[table.known_at].to_pandas().clip(lower=known_by)
        moments = moments.mask(open_, earliest + pd.to_timedelta(rng.integers(1, 600, len(order)), unit="min"))
        rows = put(rows, table.late_known_at, moments)
        del taken_from[table.late_known_at]
    for name, donors in taken_from.items():
        rows = put(rows, name, rows[name].take(pa.array(donors)))
    doubled = rows.filter(pa.array(later))
    moments = doubled[table.known_at].to_pandas() + pd.Timedelta(minutes=1)
    return pa.concat_tables([rows, put(doubled, table.known_at, moments)])


def shuffled(order: np.ndarray, which: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The order with the chosen places filled from each other."""
    changed = order.copy()
    changed[which] = rng.permutation(order[which])
    return changed


def put(rows: pa.Table, name: str, column: object) -> pa.Table:
    position, type_ = rows.schema.get_field_index(name), rows.schema.field(name).type
    values = column if isinstance(column, pa.ChunkedArray) else pa.array(column, type=type_)
    return rows.set_column(position, name, values)
