"""The use case on rows written down here. A minimal use case that `gatehouse rename` makes brings this file along."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest
import yaml

from gatehouse.cli.world import load_project
from gatehouse.gates.policy import Policy
from gatehouse.gates.selftest import metric_checks, selftest
from gatehouse.project import Extraction, Project, Window
from gatehouse.settings import load

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

CONF = Path(__file__).parents[3] / "examples" / "temperature" / "conf"


@pytest.fixture(scope="module")
def project() -> Project:
    return load_project(load(CONF))


@pytest.fixture
def weather(spark: SparkSession) -> Callable[[str], DataFrame]:
    """Rows written as lines of `airport day temperature pressure`."""

    def make(lines: str) -> DataFrame:
        rows = pd.read_csv(io.StringIO(lines), sep=r"\s+", names=["airport", "day", "temperature", "pressure"])
        rows["measured_at"] = pd.to_datetime(rows.pop("day"), utc=True)
        return spark.createDataFrame(rows)

    return make


def test_the_source_gives_each_day_the_temperature_of_the_day_after_or_none(
    project: Project, spark: SparkSession, tmp_path: Path
) -> None:
    (source,) = project.sources
    everything = Extraction(spark=spark, since=None, until=datetime(2014, 1, 1, tzinfo=UTC), raw=tmp_path)

    rows = source.extract(everything).where("airport = 'JFK'").orderBy("measured_at")

    found = rows.select("temperature", "next_temperature", "measured_at", "next_measured_at").toPandas()
    assert len(found) == 364
    assert found["next_temperature"].isna().tolist() == [False] * 363 + [True]
    assert found["next_temperature"].tolist()[:-1] == found["temperature"].tolist()[1:]
    assert set(found["next_measured_at"] - found["measured_at"]) == {timedelta(days=1)}


def test_recent_weather_looks_back_over_the_rows_of_one_airport_and_gives_the_window(
    project: Project, weather: Callable[[str], DataFrame]
) -> None:
    (recent,) = project.feature_tables
    rows = weather("""\
        JFK 2013-05-01  1 1000
        JFK 2013-05-02  2 1010
        JFK 2013-05-03  3 1005
        JFK 2013-05-04 10 1004
        LGA 2013-05-04 20  990
    """)
    window = Window(start=datetime(2013, 5, 2, tzinfo=UTC), end=datetime(2013, 5, 4, tzinfo=UTC))

    computed = recent.compute({"daily_weather": rows}, window).orderBy("airport", "known_at")

    columns = ["airport", "mean_temperature_3d", "mean_temperature_7d", "pressure_change"]
    assert [tuple(row) for row in computed.select(*columns).collect()] == [
        ("JFK", 2.0, 2.0, -5.0),
        ("JFK", 5.0, 4.0, -1.0),
        ("LGA", 20.0, 20.0, None),
    ]


def test_an_event_brings_the_columns_that_are_declared_as_derived(
    project: Project, weather: Callable[[str], DataFrame]
) -> None:
    before = weather("JFK 2013-05-01 1 1000")

    assert project.events.derive is not None
    after = project.events.derive(before)

    assert after.dtypes == [*before.dtypes, *((c.name, c.type) for c in project.events.derived)]


def test_nothing_beats_the_truth_by_a_metric_of_the_project(project: Project) -> None:
    checks = metric_checks(project)

    assert [check.name.partition(":")[0] for check in checks] == [metric.name for metric in project.metrics]
    assert [check for check in checks if not check.passed] == []


@pytest.mark.slow
def test_the_policy_names_the_guardrails_of_the_project_and_keeps_its_word(project: Project) -> None:
    policy = Policy.model_validate(yaml.safe_load((CONF / "promotion.yml").read_text(encoding="utf-8")))

    assert set(policy.guardrails) == {metric.name for metric in project.guardrail_metrics}
    assert [case for case in selftest(policy) if not case.passed] == []
