from __future__ import annotations

import pytest

from gatehouse.fork.names import EXAMPLE, Name
from gatehouse.fork.wording import renamed_path, renamed_text

ZEBRAS = Name("zebra_counts")


@pytest.mark.parametrize(
    ("path", "text", "becomes"),
    [
        ("conf/a.yml", "project: flight_delays:PROJECT", "project: zebra_counts:PROJECT"),
        ("a.toml", 'name = "flight-delays"', 'name = "zebra-counts"'),
        ("resources/a.yml", "title: Flight delays by day", "title: Zebra counts by day"),
        (
            "a.md",
            "Flight delays of an hour are rare. `flight_delays`",
            "Flight delays of an hour are rare. `zebra_counts`",
        ),
        ("a.py", 'N = "prod.flight_delays.flights"', 'N = "prod.zebra_counts.flights"'),
        (
            "a.py",
            "my_flight_delays = flight_delays2 = flight_delaysX",
            "my_flight_delays = flight_delays2 = flight_delaysX",
        ),
        ("a.md", "src/flight_delays/     the use case", "src/zebra_counts/      the use case"),
    ],
)
def test_whole_words_are_replaced_and_titles_in_declarations_only(path: str, text: str, becomes: str) -> None:
    assert renamed_text(path, text, EXAMPLE, ZEBRAS) == becomes


def test_a_path_is_renamed_in_each_of_its_parts() -> None:
    assert renamed_path("tests/unit/flight_delays/flight_delays.py", EXAMPLE, ZEBRAS) == (
        "tests/unit/zebra_counts/zebra_counts.py"
    )
    assert renamed_path("src/flight_delays_more/a.py", EXAMPLE, ZEBRAS) == "src/flight_delays_more/a.py"


def test_imports_stay_in_order_whatever_the_name_begins_with() -> None:
    source = (
        "import os\n\n"
        "import flight_delays\n"
        "import gatehouse\n"
        "from flight_delays import (\n    PROJECT,\n    sources,\n)\n"
        "from flight_delays.tables import A\n"
        "from gatehouse.project import B\n"
        "\n"
        "def later():\n"
        "    from flight_delays import C\n"
        "    from gatehouse.errors import D\n"
    )

    assert renamed_text("a.py", source, EXAMPLE, ZEBRAS) == (
        "import os\n\n"
        "import gatehouse\n"
        "import zebra_counts\n"
        "from gatehouse.project import B\n"
        "from zebra_counts import (\n    PROJECT,\n    sources,\n)\n"
        "from zebra_counts.tables import A\n"
        "\n"
        "def later():\n"
        "    from gatehouse.errors import D\n"
        "    from zebra_counts import C\n"
    )


def test_a_file_that_does_not_parse_is_renamed_all_the_same() -> None:
    assert renamed_text("a.py", "from flight_delays import (", EXAMPLE, ZEBRAS) == "from zebra_counts import ("
