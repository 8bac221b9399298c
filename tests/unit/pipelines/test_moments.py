from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pandas as pd
import pytest

from gatehouse.pipelines.moments import utc

NOON = datetime(2013, 4, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "moment",
    [
        NOON,
        pd.Timestamp("2013-04-01 12:00"),
        pd.Timestamp("2013-04-01 08:00", tz="America/New_York"),
        NOON.astimezone(timezone(timedelta(hours=2))),
    ],
)
def test_a_moment_is_utc_whatever_zone_it_came_in(moment: object) -> None:
    found = utc(moment)

    assert found == NOON
    assert found.tzinfo is UTC


@pytest.mark.parametrize("nothing", [None, pd.NaT, float("nan")])
def test_a_null_is_no_moment(nothing: object) -> None:
    assert utc(nothing) is None
