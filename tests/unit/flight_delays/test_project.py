"""The declaration holds together: every column comes from somewhere, and none from the future."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from flight_delays import PROJECT

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def test_a_flight_brings_the_columns_that_are_declared_as_derived(flights: Callable[..., DataFrame]) -> None:
    before = flights(("2013-05-06 12:00", {})).drop(*PROJECT.event_table.late)

    assert PROJECT.events.derive is not None
    after = PROJECT.events.derive(before)

    assert after.dtypes == [*before.dtypes, *((c.name, c.type) for c in PROJECT.events.derived)]


def test_no_feature_is_forbidden_or_learned_after_departure() -> None:
    after_departure = {*PROJECT.event_table.late, PROJECT.event_table.late_known_at}

    assert after_departure <= set(PROJECT.forbidden)
    assert not set(PROJECT.features) & set(PROJECT.forbidden)


def test_a_flight_is_late_from_15_minutes_on_and_has_no_label_unless_it_arrived(
    flights: Callable[..., DataFrame],
) -> None:
    from pyspark.sql import functions as F

    known = flights(
        ("2013-05-06 12:00", {"flight_number": 1, "outcome": "arrived", "arrival_delay_minutes": 14.0}),
        ("2013-05-06 12:00", {"flight_number": 2, "outcome": "arrived", "arrival_delay_minutes": 15.0}),
        ("2013-05-06 12:00", {"flight_number": 3, "outcome": "cancelled"}),
        ("2013-05-06 12:00", {"flight_number": 4, "outcome": "diverted", "departure_delay_minutes": 90.0}),
    )

    labels = known.select("flight_number", F.expr(PROJECT.label.expression).alias("late")).collect()

    assert {r.flight_number: r.late for r in labels} == {1: 0.0, 2: 1.0, 3: None, 4: None}


def test_units_and_slices_go_by_the_local_clock(flights: Callable[..., DataFrame]) -> None:
    from pyspark.sql import functions as F

    assert PROJECT.events.derive is not None
    scheduled = PROJECT.events.derive(
        flights(
            ("2013-05-06 03:59", {"flight_number": 1}),  # a minute to midnight
            ("2013-05-06 15:59", {"flight_number": 2}),
            ("2013-05-06 16:00", {"flight_number": 3, "origin": "LGA"}),
        )
    )

    rows = scheduled.select(
        "flight_number",
        F.expr(PROJECT.unit.expression).alias("day"),
        *(F.expr(s.expression).alias(s.name) for s in PROJECT.slices if s.name != "carrier"),
    )

    assert sorted(tuple(r) for r in rows.collect()) == [
        (1, "2013-05-05", "JFK", "evening"),
        (2, "2013-05-06", "JFK", "morning"),
        (3, "2013-05-06", "LGA", "afternoon"),
    ]


def test_declaring_the_use_case_loads_no_engine_and_no_model_library() -> None:
    heavy = {"lightgbm", "mlflow", "pandas", "pyarrow", "pyspark"}
    program = f"import sys, flight_delays; print(sorted({heavy} & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
