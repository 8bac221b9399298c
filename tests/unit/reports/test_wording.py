from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gatehouse.reports import wording


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),  # noqa: RUF001
        (0.0, "0.0000"),
        (0.45118, "0.4512"),
        (-0.45118, "-0.4512"),
        (0.000123, "0.00012"),
        (7.3921, "7.392"),
        (12.3456, "12.35"),
        (123.456, "123.5"),
        (12345.6, "12,346"),
    ],
)
def test_a_measurement_has_about_four_digits(value: float | None, text: str) -> None:
    assert wording.number(value) == text


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (None, "–"),  # noqa: RUF001
        (0.0, "0 %"),
        (0.0001, "0.1 %"),
        (0.955, "95.5 %"),
        (0.9999, "99.9 %"),
        (1.0, "100 %"),
    ],
)
def test_a_share_is_never_rounded_to_all_or_nothing(part: float | None, text: str) -> None:
    assert wording.share(part) == text


def test_moments_name_their_time_unless_it_is_midnight() -> None:
    midnight, morning = datetime(2013, 4, 1, tzinfo=UTC), datetime(2013, 4, 1, 6, 30, tzinfo=UTC)

    assert [wording.moment(m) for m in (midnight, morning)] == ["1 April 2013", "1 April 2013, 06:30 UTC"]


def test_a_stretch_names_a_year_once_if_once_is_enough() -> None:
    start, end = datetime(2012, 12, 27, tzinfo=UTC), datetime(2013, 1, 3, tzinfo=UTC)

    assert wording.stretch(start, end) == "27 December 2012 to 3 January 2013"
    assert wording.stretch(end, datetime(2013, 2, 1, tzinfo=UTC)) == "3 January to 1 February 2013"


def test_units_that_are_dates_are_short_on_an_axis_and_others_are_cut() -> None:
    assert [wording.short_unit(u) for u in ("2013-04-09", "2013-W17", "north-western")] == [
        "9 Apr",
        "2013-W17",
        "north-wes…",
    ]


def test_days_are_counted_in_english() -> None:
    assert [wording.days(n) for n in (1, 28, 1000)] == ["1 day", "28 days", "1,000 days"]
