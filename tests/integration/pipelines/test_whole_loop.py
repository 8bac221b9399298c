"""The second use case through every command, as a person would run them, and every command a second time."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import yaml

if TYPE_CHECKING:
    from tests.integration.pipelines.conftest import Command, Ended, Lakehouse, Open

TRAINED, LATER = "2013-10-01", "2013-11-01"
FEATURES = 9


@dataclass(frozen=True, kw_only=True, slots=True)
class Loop:
    """A lakehouse after the whole loop, and what the commands said on the way."""

    lakehouse: Lakehouse
    command: Command
    out: Path
    said: dict[str, Ended]


def every_command(out: Path) -> list[str]:
    destinations = f"--to {out}/predictions.csv --to {out}/predictions.parquet --to sqlite:///{out}/predictions.db"
    return [
        f"run ingest --env prod --as-of {TRAINED}",
        f"run features --env prod --as-of {TRAINED}",
        f"run features --env dev --as-of {TRAINED}",
        f"run training --env dev --as-of {TRAINED}",
        f"run training --env prod --as-of {TRAINED} --json",
        f"run ingest --env prod --as-of {LATER}",
        f"run features --env prod --as-of {LATER}",
        f"run inference --env prod --as-of {LATER} {destinations}",
        f"run monitoring --env prod --as-of {LATER}",
    ]


@pytest.fixture(scope="module")
def loop(open_lakehouse: Open, command: Command, tmp_path_factory: pytest.TempPathFactory) -> Loop:
    folder = tmp_path_factory.mktemp("loop")
    lakehouse = open_lakehouse(folder / "lakehouse")
    out = folder / "out"
    out.mkdir()
    said = {}
    for line in every_command(out):
        said[line] = command(lakehouse, line)
        if "training --env prod" in line:
            context = lakehouse.at(TRAINED)
            context.registry.set_alias(context.model, "champion", "1")
    return Loop(lakehouse=lakehouse, command=command, out=out, said=said)


def test_every_command_ends_well_and_says_what_it_did(loop: Loop) -> None:
    assert {line: ended.code for line, ended in loop.said.items()} == dict.fromkeys(loop.said, 0)
    lines = {line.split(" --")[0] + line.split(" --env")[1][:5]: ended.out for line, ended in loop.said.items()}
    assert lines["run ingest prod"] == "daily_weather: 93 new, 3 changed, 0 set aside\n"
    assert lines["run features prod"] == "recent_weather: 93 feature rows\n"
    assert lines["run features dev "] == "recent_weather: 819 feature rows\n"
    assert lines["run training dev "].startswith("version 1 of dev.temperature.temperature\n  hold-out rmse: ")


def test_the_log_the_files_and_the_database_hold_the_same_predictions(loop: Loop) -> None:
    (champion,) = loop.lakehouse.at(LATER).registry.versions("prod.temperature.temperature")
    log = loop.lakehouse.frame("predictions").toPandas().sort_values(["measured_at", "airport"], ignore_index=True)
    csv, parquet = (
        pd.read_csv(loop.out / "predictions.csv"),
        pd.read_parquet(loop.out / "predictions.parquet"),
    )
    with closing(sqlite3.connect(loop.out / "predictions.db")) as database:
        stored = pd.read_sql("SELECT * FROM predictions ORDER BY measured_at, airport", database)

    assert champion.aliases == ("champion",)
    assert len(log) == 62 * 3  # scoring_days, three airports
    assert set(log["model_version"]) == {"1"}
    assert set(log["run_key"]) == {"20131101T000000-v1"}
    assert log["event_time"].min() == datetime(2013, 9, 1)  # noqa: DTZ001 - pandas' moments are naive, in UTC
    for other in (csv, parquet, stored):
        assert other["airport"].to_list() == log["airport"].to_list()
        assert other["prediction"].to_numpy() == pytest.approx(log["prediction"].to_numpy(), rel=1e-12)


def test_predictions_are_good_and_monitoring_measures_what_they_are(loop: Loop) -> None:
    """Root mean squared and mean absolute error of the last 28 days, computed here once more."""
    log = loop.lakehouse.frame("predictions").toPandas()
    truth = loop.lakehouse.frame("daily_weather").toPandas()
    both = log.merge(truth[["airport", "measured_at", "next_temperature"]], on=["airport", "measured_at"])
    window = both[(both["event_time"] > pd.Timestamp("2013-10-04")) & both["next_temperature"].notna()]
    errors = (window["prediction"] - window["next_temperature"]).to_numpy()

    rows = loop.lakehouse.frame("monitoring_metrics").toPandas()
    whole = rows[(rows["subject"] == "temperature_tomorrow") & (rows["unit_value"] == "")]
    figures = dict(zip(whole["metric"], whole["value"], strict=True))

    assert figures == {
        "rmse": pytest.approx(np.sqrt((errors**2).mean())),
        "mae": pytest.approx(np.abs(errors).mean()),
        "labelled": 81.0,
    }
    (version,) = loop.lakehouse.at(LATER).registry.versions(loop.lakehouse.at(LATER).model)
    before = loop.lakehouse.at(LATER).tracking.read_metrics(version.run_id or "")["hold_out_rmse"]
    against = rows[rows["subject"] == "rmse"].set_index("metric")["value"]
    assert against.to_dict() == {
        "accuracy_shortfall": pytest.approx(figures["rmse"] - before),
        "accuracy_usual": pytest.approx(against["accuracy_usual"]),
        "accuracy_units": 5.0,  # weeks
    }
    assert 0 < against["accuracy_usual"] < 2  # degrees
    assert figures["rmse"] < 2.2  # degrees: taking tomorrow to be as today is 2.2 off in these weeks
    by_airport = rows[(rows["metric"] == "rmse") & rows["subject"].str.startswith("airport")]
    assert by_airport["subject"].to_list() == ["airport=EWR", "airport=JFK", "airport=LGA"]
    assert by_airport["rows"].to_list() == [27, 27, 27]
    weeks = rows[(rows["metric"] == "rmse") & (rows["unit_value"] != "")]
    assert weeks["unit_value"].to_list() == ["2013-09-30", "2013-10-07", "2013-10-14", "2013-10-21", "2013-10-28"]
    drift = rows[rows["metric"] == "drift_psi"]
    assert len(drift) == FEATURES + 1
    assert len(rows[rows["metric"] == "drift_usual"]) == FEATURES + 1


def test_a_version_knows_its_lineage_and_its_run_the_tables_it_read(loop: Loop) -> None:
    context = loop.lakehouse.at(TRAINED)
    (version,) = context.registry.versions(context.model)
    run = context.tracking.client.get_run(version.run_id)

    told = json.loads(loop.said[f"run training --env prod --as-of {TRAINED} --json"].out)["results"]["training"]
    tags = {name.removeprefix("gatehouse_"): text for name, text in version.tags.items()}
    assert told["version"]["tags"] == dict(version.tags)
    assert (tags["as_of"], tags["train_end"]) == ("2013-10-01T00:00:00+00:00", "2013-08-06T00:00:00+00:00")
    assert json.loads(tags["data_versions"]) == {"prod.temperature": {"daily_weather": 1, "recent_weather": 1}}
    assert json.loads(tags["options"]) == {"alpha": 1.0}
    inputs = [(i.dataset.name, json.loads(i.dataset.source)["delta_table_version"]) for i in run.inputs.dataset_inputs]
    assert sorted(inputs) == [("prod.temperature.daily_weather", 1), ("prod.temperature.recent_weather", 1)]
    assert run.info.status == "FINISHED"
    assert run.data.metrics["hold_out_rmse"] < run.data.metrics["baseline_rmse"]
    assert version.description.startswith("# temperature\n")


def test_a_search_in_dev_writes_its_best_options_where_a_person_can_review_them(loop: Loop) -> None:
    context = loop.lakehouse.at(TRAINED, "dev")
    (version,) = context.registry.versions(context.model)
    proposed = yaml.safe_load((context.root / "proposals" / "options.yml").read_text())["candidates"]
    nested = context.tracking.client.search_runs(
        [context.tracking.experiment_id], f"tags.mlflow.parentRunId = '{version.run_id}'"
    )

    assert len(nested) == 10
    losses = sorted(run.data.metrics["validation_rmse"] for run in nested)
    assert [c["validation_loss"] for c in proposed] == [pytest.approx(x, abs=1e-6) for x in losses[:3]]
    assert all(c["found_by"] == version.run_id for c in proposed)
    assert proposed[0]["options"] == json.loads(version.tags["gatehouse_options"])


def test_every_command_again_changes_nothing(loop: Loop) -> None:
    def state() -> dict[str, Any]:
        contexts = [loop.lakehouse.at(TRAINED, env) for env in ("dev", "prod")]
        return {
            "tables": [loop.lakehouse.versions(env) for env in ("dev", "staging", "prod")],
            "versions": [c.registry.versions(c.model) for c in contexts],
            "runs": [len(c.tracking.client.search_runs([c.tracking.experiment_id])) for c in contexts],
            "csv": (loop.out / "predictions.csv").read_bytes(),
        }

    before = state()
    again = {line: loop.command(loop.lakehouse, line) for line in every_command(loop.out)}

    assert {ended.code for ended in again.values()} == {0}
    assert state() == before
    assert again[f"run ingest --env prod --as-of {LATER}"].out == "daily_weather: 0 new, 0 changed, 0 set aside\n"
    assert again[f"run training --env dev --as-of {TRAINED}"].out.startswith(
        "version 1 of dev.temperature.temperature (trained before)\n"
    )
    with closing(sqlite3.connect(loop.out / "predictions.db")) as database:
        assert database.execute("SELECT count(*) FROM predictions").fetchall() == [(186,)]


def test_a_replay_goes_on_where_it_stands(loop: Loop) -> None:
    ended = loop.command(loop.lakehouse, "run monitoring --env prod --json")

    assert json.loads(ended.out)["as_of"] == f"{LATER}T00:00:00+00:00"


def test_status_tells_tables_versions_and_figures(loop: Loop) -> None:
    told = json.loads(loop.command(loop.lakehouse, "status --json").out)

    tables = {t["name"]: (t["rows"], t["known_until"]) for t in told["tables"]}
    assert (told["environment"], told["champion"]) == ("prod", "1")
    assert tables["daily_weather"] == (912, f"{LATER}T00:00:00+00:00")
    assert tables["predictions"] == (186, f"{LATER}T00:00:00+00:00")
    assert list(tables)[:4] == ["daily_weather", "recent_weather", "predictions", "pipeline_runs"]
    assert [(v["version"], v["aliases"], v["trained_until"]) for v in told["versions"]] == [
        ("1", ["champion"], "2013-08-06")
    ]
    assert set(told["metrics"]) == {"rmse", "mae"}
    for_people = loop.command(loop.lakehouse, "status").out
    assert "prod: tables of prod.temperature" in for_people
    assert "Champion version 1, measured 2013-11-01: " in for_people
    assert "is empty. Begin with: gatehouse run ingest --env staging" in " ".join(
        loop.command(loop.lakehouse, "status --env staging").out.split()
    )


def test_features_tells_what_there_is_and_how_fresh_it_is(loop: Loop) -> None:
    told = json.loads(loop.command(loop.lakehouse, "features --json").out)

    assert [f["name"] for f in told] == list(loop.lakehouse.world.project.features)
    assert told[4] == {
        "name": "mean_temperature_3d",
        "table": "recent_weather",
        "description": "Over three days.",
        "unit": "degrees Celsius",
        "owner": "weather@example.org",
        "fresh_until": f"{LATER}T00:00:00+00:00",
    }
    for_people = loop.command(loop.lakehouse, "features").out
    assert "recent_weather weather@example.org, fresh until 2013-11-01 00:00" in for_people


def test_lineage_goes_from_raw_data_to_predictions_and_back(loop: Loop) -> None:
    def names(node: dict[str, Any], direction: str) -> list[str]:
        return [node["name"], *(n for child in node[direction] for n in names(child, direction))]

    predictions = json.loads(loop.command(loop.lakehouse, "lineage predictions --json").out)
    raw = json.loads(loop.command(loop.lakehouse, "lineage raw:daily_weather --json").out)

    assert {"version 1", "recent_weather", "daily_weather", "raw:daily_weather"} <= set(names(predictions, "upstream"))
    assert {"daily_weather", "recent_weather", "version 1", "predictions", "monitoring_metrics"} <= set(
        names(raw, "downstream")
    )
    assert "comes from" in loop.command(loop.lakehouse, "lineage mean_temperature_3d").out
    unknown = loop.command(loop.lakehouse, "lineage nothing")
    assert (unknown.code, unknown.out) == (2, "")


def test_a_reset_leaves_nothing_of_its_environment_and_everything_of_others(loop: Loop) -> None:
    lakehouse = loop.lakehouse
    prod = lakehouse.versions("prod")

    ended = loop.command(lakehouse, "reset --env dev --yes")

    dev = lakehouse.at(TRAINED, "dev")
    assert (ended.code, ended.out) == (0, "dev is empty.\n")
    assert lakehouse.versions("dev") == {}
    assert dev.registry.versions(dev.model) == ()
    assert lakehouse.versions("prod") == prod
    assert [v.version for v in lakehouse.at(TRAINED).registry.versions("prod.temperature.temperature")] == ["1"]
    assert loop.command(lakehouse, "reset --env dev --yes").code == 0


def test_a_day_before_the_first_release_is_a_quiet_one(open_lakehouse: Open, command: Command, tmp_path: Path) -> None:
    lakehouse = open_lakehouse(tmp_path / "lakehouse")

    ended = command(lakehouse, f"run daily --env prod --as-of {TRAINED}")

    assert ended.code == 0
    assert [line.split(":")[0] for line in ended.out.splitlines()] == ["daily_weather", "recent_weather"]
    context = lakehouse.at(TRAINED)
    assert context.registry.versions(context.model) == ()
