"""Every table of the use case, declared once. The keys and moments here are what the machinery joins and cuts by.

Moments are UTC. Distances are statute miles, temperatures degrees Fahrenheit, speeds miles per hour: the units of the
source, so that a row can be compared with the file it came from.
"""

from __future__ import annotations

from gatehouse.project import Action, Column, Expectation, Table

OWNER = "network-operations"
ORIGINS = ("EWR", "JFK", "LGA")
LATE_FROM_MINUTES = 15.0
"""An arrival this much after schedule counts as late, as the US Department of Transportation counts it."""

ARRIVED, CANCELLED, DIVERTED = "arrived", "cancelled", "diverted"

FLIGHTS = Table(
    name="flights",
    description="Scheduled departures from the three New York airports, one row per flight.",
    owner=OWNER,
    columns=(
        Column(name="carrier", type="string", description="IATA code of the airline", nullable=False),
        Column(name="flight_number", type="int", description="Number under the carrier", nullable=False),
        Column(name="origin", type="string", description="IATA code of the airport of departure", nullable=False),
        Column(name="destination", type="string", description="IATA code of the airport of arrival", nullable=False),
        Column(
            name="tail_number",
            type="string",
            description="Registration of the aircraft, as assigned; null for some flights that never left",
        ),
        Column(name="distance_miles", type="double", description="Great circle distance", unit="mi"),
        Column(name="scheduled_at", type="timestamp", description="Scheduled departure from the gate", nullable=False),
        Column(
            name="scheduled_arrival_at",
            type="timestamp",
            description="Scheduled arrival at the gate",
            nullable=False,
        ),
        Column(
            name="outcome",
            type="string",
            description=f"{ARRIVED}, {CANCELLED} or {DIVERTED} (left, and did not arrive at its destination by air)",
        ),
        Column(
            name="departure_delay_minutes",
            type="double",
            description="Departure after schedule, negative if early; null for a cancelled flight",
            unit="min",
        ),
        Column(
            name="arrival_delay_minutes",
            type="double",
            description="Arrival after schedule, negative if early; null unless arrived",
            unit="min",
        ),
        Column(name="air_time_minutes", type="double", description="Time in the air; null unless arrived", unit="min"),
        Column(
            name="outcome_known_at",
            type="timestamp",
            description="Arrival at the gate; for flights that did not arrive see flight_delays.sources",
        ),
    ),
    primary_key=("carrier", "flight_number", "origin", "scheduled_at"),
    known_at="scheduled_at",
    late=("outcome", "departure_delay_minutes", "arrival_delay_minutes", "air_time_minutes"),
    late_known_at="outcome_known_at",
    expectations=(
        Expectation(
            name="origin_is_served",
            condition=f"origin IN {ORIGINS}",
            action=Action.QUARANTINE,
            reason="The network has three airports; another code is a row of somebody else's.",
        ),
        Expectation(
            name="arrival_follows_departure",
            condition="scheduled_arrival_at > scheduled_at",
            action=Action.QUARANTINE,
            reason="A flight scheduled to arrive before it leaves has a broken clock or time zone.",
        ),
        Expectation(
            name="outcome_follows_schedule",
            condition="outcome_known_at > scheduled_at",
            action=Action.QUARANTINE,
            reason="An outcome known before the flight was due to leave would be the future in the features.",
        ),
        Expectation(
            name="delays_are_possible",
            condition="departure_delay_minutes BETWEEN -120 AND 2880 AND arrival_delay_minutes BETWEEN -240 AND 2880",
            action=Action.QUARANTINE,
            reason="Two hours early or two days late is a rescheduled flight or a typing error.",
        ),
        Expectation(
            name="distance_is_possible",
            condition="distance_miles > 0 AND distance_miles < 12500",
            action=Action.WARN,
            reason="No airport is further away than half the Earth's circumference.",
        ),
        Expectation(
            name="tail_number_is_known",
            condition="tail_number IS NOT NULL",
            action=Action.WARN,
            reason="A flight without an aircraft gets no aircraft features.",
        ),
    ),
)

DERIVED = (
    Column(name="local_hour", type="int", description="Hour of the scheduled departure, New York time", unit="h"),
    Column(name="minute_of_day", type="double", description="Minutes since midnight, New York time", unit="min"),
    Column(name="day_of_week", type="double", description="0 is Monday, New York time"),
    Column(name="scheduled_minutes", type="double", description="Scheduled time from gate to gate", unit="min"),
    Column(name="scheduled_speed", type="double", description="Distance over that time: low is slack", unit="mph"),
)
"""What a flight brings by itself; flight_delays.features.schedule computes it."""

WEATHER = Table(
    name="weather",
    description="Hourly observations at the three airports, one row per airport and hour.",
    owner=OWNER,
    columns=(
        Column(name="origin", type="string", description="IATA code of the airport", nullable=False),
        Column(name="observed_at", type="timestamp", description="Time of the observation", nullable=False),
        Column(name="temperature_f", type="double", description="Air temperature", unit="°F"),
        Column(name="dew_point_f", type="double", description="Dew point", unit="°F"),
        Column(name="relative_humidity", type="double", description="Relative humidity", unit="%"),
        Column(name="wind_direction", type="double", description="Where the wind blows from", unit="°"),
        Column(name="wind_speed_mph", type="double", description="Sustained wind", unit="mph"),
        Column(name="wind_gust_mph", type="double", description="Gusts; null where none were reported", unit="mph"),
        Column(name="precipitation_in", type="double", description="Precipitation in the hour", unit="in"),
        Column(name="pressure_hpa", type="double", description="Sea level pressure", unit="hPa"),
        Column(name="visibility_mi", type="double", description="Visibility, at most 10", unit="mi"),
    ),
    primary_key=("origin", "observed_at"),
    known_at="observed_at",
    expectations=(
        Expectation(
            name="wind_speed_is_possible",
            condition="wind_speed_mph BETWEEN 0 AND 253",
            action=Action.QUARANTINE,
            reason="The strongest gust ever measured at the surface was 253 mph; the source has an hour of 1,048.",
        ),
        Expectation(
            name="temperature_is_possible",
            condition="temperature_f BETWEEN -40 AND 130",
            action=Action.QUARANTINE,
            reason="Outside New York's records by far: a broken sensor.",
        ),
        Expectation(
            name="humidity_is_a_percentage",
            condition="relative_humidity BETWEEN 0 AND 100",
            action=Action.WARN,
            reason="More than saturated air is rounding; the row is still of use.",
        ),
        Expectation(
            name="pressure_is_reported",
            condition="pressure_hpa IS NOT NULL",
            action=Action.WARN,
            reason="A falling barometer is a feature; one observation in ten comes without.",
        ),
    ),
)

PLANES = Table(
    name="planes",
    description="The aircraft register as it stood at the start of 2013, one row per aircraft.",
    owner=OWNER,
    columns=(
        Column(name="tail_number", type="string", description="Registration", nullable=False),
        Column(name="year_built", type="int", description="Year of manufacture"),
        Column(name="manufacturer", type="string", description="Manufacturer, as registered"),
        Column(name="model", type="string", description="Model, as registered"),
        Column(name="engines", type="int", description="Number of engines"),
        Column(name="seats", type="int", description="Number of seats"),
        Column(
            name="registered_at",
            type="timestamp",
            description="Moment of the snapshot, the same in all rows",
            nullable=False,
        ),
    ),
    primary_key=("tail_number",),
    known_at="registered_at",
    expectations=(
        Expectation(
            name="year_built_is_possible",
            condition="year_built BETWEEN 1930 AND 2013",
            action=Action.WARN,
            reason="An aircraft older than the DC-3, or of the future, is a typing error in the register.",
        ),
        Expectation(
            name="has_seats",
            condition="seats > 0",
            action=Action.WARN,
            reason="An aircraft without seats carries no passengers.",
        ),
    ),
)


def _features(name: str, description: str, keys: tuple[str, ...], columns: tuple[Column, ...]) -> Table:
    """A feature table: its keys, the moment a row became known, and doubles that are null where nothing was known."""
    return Table(
        name=name,
        description=description,
        owner=OWNER,
        columns=(
            *(Column(name=k, type="string", description=f"Key: {k}", nullable=False) for k in keys),
            Column(name="known_at", type="timestamp", description="When this row became known", nullable=False),
            *columns,
        ),
        primary_key=(*keys, "known_at"),
        known_at="known_at",
    )


def _double(name: str, description: str, unit: str) -> Column:
    return Column(name=name, type="double", description=description, unit=unit)


def _punctuality(subject: str, keys: tuple[str, ...], whose: str) -> Table:
    return _features(
        f"{subject}_punctuality",
        f"How late the flights of {whose} were over the preceding days, one row per day.",
        keys,
        (
            _double(f"{subject}_late_rate_7d", f"Share of arrivals of {whose} that were late, 7 days", "share"),
            _double(f"{subject}_late_rate_28d", f"Share of arrivals of {whose} that were late, 28 days", "share"),
            _double(f"{subject}_mean_delay_28d", f"Mean arrival delay of {whose}, 28 days", "min"),
        ),
    )


CARRIER_PUNCTUALITY = _punctuality("carrier", ("carrier", "origin"), "a carrier at an origin")
DESTINATION_PUNCTUALITY = _punctuality("destination", ("destination",), "a destination")
ORIGIN_PUNCTUALITY = _punctuality("origin", ("origin",), "an origin")

ORIGIN_CONGESTION = _features(
    "origin_congestion",
    "How an airport is running right now, one row per half hour in which something happened.",
    ("origin",),
    (
        _double("origin_departures_1h", "Flights scheduled to leave the origin in the last hour", "flights"),
        _double("origin_recent_delay", "Mean arrival delay of the flights that landed in the last 2 h", "min"),
        _double(
            "origin_overdue", "Flights of the origin that should have landed, up to 6 h ago, and have not", "flights"
        ),
        _double("origin_cancelled_share_6h", "Share of cancellations among the outcomes of the last 6 h", "share"),
    ),
)
CARRIER_OPERATIONS = _features(
    "carrier_operations",
    "How a carrier is running right now, one row per half hour in which something happened.",
    ("carrier",),
    (
        _double("carrier_recent_delay", "Mean arrival delay of the flights that landed in the last 2 h", "min"),
        _double("carrier_overdue_share", "Share of the flights due in the last 6 h that have not landed", "share"),
    ),
)
DESTINATION_OPERATIONS = _features(
    "destination_operations",
    "How arrivals at a destination are running right now, one row per half hour with a landing.",
    ("destination",),
    (_double("destination_recent_delay", "Mean arrival delay of the flights that landed in the last 6 h", "min"),),
)

ORIGIN_WEATHER = _features(
    "origin_weather",
    "The weather at an airport as last observed, one row per observation.",
    ("origin",),
    (
        _double("temperature", "Air temperature", "°F"),
        _double("dew_point_spread", "Temperature above the dew point: near 0 is fog", "°F"),
        _double("wind_speed", "Sustained wind", "mph"),
        _double("wind_gust", "Gusts; null where none were reported", "mph"),
        _double("precipitation", "Precipitation in the hour", "in"),
        _double("pressure", "Sea level pressure", "hPa"),
        _double("visibility", "Visibility", "mi"),
    ),
)
AIRCRAFT = _features(
    "aircraft",
    "What kind of aircraft flies, one row per aircraft.",
    ("tail_number",),
    (
        _double("aircraft_seats", "Number of seats", "seats"),
        _double("aircraft_age", "Years since it was built, at the time of the register", "years"),
    ),
)
AIRCRAFT_ROTATION = _features(
    "aircraft_rotation",
    "How late an aircraft's last flight out of New York was, one row per landing.",
    ("tail_number",),
    (_double("aircraft_last_delay", "Arrival delay of the aircraft's last landing, within 24 h", "min"),),
)
