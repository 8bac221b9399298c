from __future__ import annotations

import pytest

from gatehouse.errors import UsageError
from gatehouse.fork.names import parse_name


@pytest.mark.parametrize("text", ["tram_delays", "churn", "co2", "a", "x_1", "demand_2026", "flight_delays_eu"])
def test_a_name_is_a_package_and_with_dashes_a_distribution(text: str) -> None:
    name = parse_name(text)

    assert (name.package, name.distribution) == (text, text.replace("_", "-"))


def test_a_title_is_what_people_read() -> None:
    assert parse_name("tram_delays").title == "Tram delays"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "small letters"),
        ("Tram", "small letters"),
        ("tram-delays", "small letters"),
        ("tram delays", "small letters"),
        ("2trams", "small letters"),
        ("_trams", "small letters"),
        ("trams_", "small letters"),
        ("tram__delays", "small letters"),
        ("trämme", "small letters"),
        ("trams\n", "small letters"),
        ("../trams", "small letters"),
        ("x" * 41, "41 characters, and 40 is the limit"),
        ("class", "keyword"),
        ("json", "standard library"),
        ("gatehouse", "the template itself uses it"),
        ("tests", "the template itself uses it"),
        ("flight_delays", "the example's"),
        ("temperature", "the example's"),
        ("pandas", "a package of that name exists already"),
    ],
)
def test_what_cannot_be_a_name_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        parse_name(text, taken=frozenset({"pandas"}))


@pytest.mark.parametrize(
    ("text", "suggested"),
    [("Tram-Delays", "tram_delays"), ("TramDelays", "tram_delays"), ("2 trams!", "trams"), ("class", "tram_delays")],
)
def test_a_name_that_would_do_is_suggested(text: str, suggested: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_name(text)

    assert f"'{suggested}'" in refused.value.remedy
