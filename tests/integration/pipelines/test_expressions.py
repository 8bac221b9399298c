"""SQL in a project: a mistake in it is named with the expression and with what could have been written."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from gatehouse.errors import ConfigurationError
from gatehouse.pipelines.dataset import build, pin
from gatehouse.project import Label, Slice, Unit
from gatehouse.settings import parse_as_of

if TYPE_CHECKING:
    from tests.integration.pipelines.conftest import Lakehouse

LABEL = Label(name="tomorrow", expression="next_temperature", known_at="next_measured_at", description="Tomorrow's.")


@pytest.mark.parametrize(
    ("differing", "said"),
    [
        (
            {"label": replace(LABEL, expression="next_temperature + tomorow")},
            "label of the project cannot be evaluated: 'next_temperature + tomorow': ",
        ),
        (
            {"unit": Unit(name="week", expression="date_trunc('week', day)")},
            "unit of the project cannot be evaluated: \"date_trunc('week', day)\": ",
        ),
        (
            {"slices": (Slice(name="airport", expression="airprot"),)},
            "slices.airport of the project cannot be evaluated: 'airprot': ",
        ),
    ],
)
def test_a_mistake_in_an_expression_is_named(trained_once: Lakehouse, differing: dict[str, Any], said: str) -> None:
    context = trained_once.declaring(**differing).at("2013-10-01")

    with pytest.raises(ConfigurationError) as refused:
        build(context, pin(context), after=parse_as_of("2013-09-01"), until=parse_as_of("2013-10-01"))

    assert refused.value.what.startswith(said)
    assert "airport, measured_at, temperature, dew_point, pressure, wind_speed" in refused.value.remedy
