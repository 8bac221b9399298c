"""Runs, their ends, and what MLflow must not leave behind: in the process, the working folder, the database."""

from __future__ import annotations

import json
import math
import os
import sqlite3
import threading
from collections import UserDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, NoReturn

import mlflow
import pandas as pd
import pytest

from gatehouse.errors import ConfigurationError, EvaluationError, Interrupted, StateError, StorageError
from gatehouse.lakehouse.tracking import Run, Tracking, open_tracking, ui_command

pytestmark = pytest.mark.slow


def active() -> str | None:
    run = mlflow.active_run()
    return run.info.run_id if run else None


def ended(tracking: Tracking, run: Run) -> Any:
    return tracking.client.get_run(run.run_id)


def test_a_run_keeps_what_was_logged(tracking: Tracking) -> None:
    with tracking.run("training 2013-04-01", tags={"gatehouse.environment": "prod"}) as run:
        run.log_params({"num_leaves": 31, "loss": "log", **{f"feature_{n}": True for n in range(250)}})
        run.log_metrics({"log_loss": 0.478, "auc": math.nan})
        run.log_text("Größe: 12 kB", "cards/model_card.md")
        run.log_dict({"mean": 0.24}, "reference.json")

    data, info = ended(tracking, run).data, ended(tracking, run).info
    assert (info.run_name, info.status, info.experiment_id) == (
        "training 2013-04-01",
        "FINISHED",
        tracking.experiment_id,
    )
    assert data.params == {"num_leaves": "31", "loss": "log", **{f"feature_{n}": "True" for n in range(250)}}
    assert data.metrics["log_loss"] == 0.478
    assert math.isnan(data.metrics["auc"])
    assert data.tags["gatehouse.environment"] == "prod"
    kept = Path(tracking.client.download_artifacts(run.run_id, ""))
    assert (kept / "cards" / "model_card.md").read_text(encoding="utf-8") == "Größe: 12 kB"
    assert json.loads((kept / "reference.json").read_text()) == {"mean": 0.24}


def test_inputs_are_tables_at_a_version_and_version_0_is_one(tracking: Tracking) -> None:
    with tracking.run("training", tags={}) as run:
        run.log_table_inputs({"prod.flights.weather": 0}, "training")
        run.log_table_inputs({"prod.flights.flights": 12}, "evaluation")

    inputs = [
        (i.dataset.name, i.dataset.source_type, json.loads(i.dataset.source), i.tags[0].value)
        for i in ended(tracking, run).inputs.dataset_inputs
    ]
    assert sorted(inputs) == [
        (
            "prod.flights.flights",
            "delta_table",
            {"delta_table_name": "prod.flights.flights", "delta_table_version": 12},
            "evaluation",
        ),
        (
            "prod.flights.weather",
            "delta_table",
            {"delta_table_name": "prod.flights.weather", "delta_table_version": 0},
            "training",
        ),
    ]


def test_an_infinite_metric_is_refused_because_mlflow_would_store_a_number(tracking: Tracking) -> None:
    with (
        tracking.run("training", tags={}) as run,
        pytest.raises(EvaluationError, match="log_loss, ratio of training is infinite"),
    ):
        run.log_metrics({"log_loss": math.inf, "auc": 0.7, "ratio": -math.inf})

    assert ended(tracking, run).data.metrics == {}


def test_a_parameter_that_is_too_long_or_changes_is_refused(tracking: Tracking) -> None:
    with tracking.run("training", tags={}) as run:
        run.log_params({"columns": "x" * 6000})
        with pytest.raises(StateError, match="while logging parameters of training"):
            run.log_params({"more": "x" * 6001})
        with pytest.raises(StateError, match="while logging parameters of training"):
            run.log_params({"columns": "y"})

    assert ended(tracking, run).data.params == {"columns": "x" * 6000}


def test_a_trial_is_a_finished_run_below_its_parent_and_never_the_active_one(tracking: Tracking) -> None:
    with tracking.run("search", tags={}) as outer:
        tracking.log_trial(outer, "options 1", params={"leaves": 31}, metrics={"loss": 0.5})
        assert active() == outer.run_id
        with pytest.raises(EvaluationError, match="loss of options 2 is infinite"):
            tracking.log_trial(outer, "options 2", params={"leaves": 63}, metrics={"loss": math.inf})

    below = tracking.client.search_runs([tracking.experiment_id], f"tags.mlflow.parentRunId = '{outer.run_id}'")
    first, second = sorted(below, key=lambda run: run.info.run_name)
    assert (first.data.params, first.data.metrics, first.info.status) == ({"leaves": "31"}, {"loss": 0.5}, "FINISHED")
    assert (second.data.params, second.data.metrics, second.info.status) == ({"leaves": "63"}, {}, "FAILED")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("no rows"), "FAILED"),
        (SystemExit(0), "FAILED"),
        (KeyboardInterrupt(), "KILLED"),
        (Interrupted("stopped"), "KILLED"),
    ],
)
def test_a_run_that_an_exception_ends_says_so(tracking: Tracking, error: BaseException, status: str) -> None:
    class Measured(UserDict[str, float]):
        def items(self) -> NoReturn:
            raise error

    with (
        pytest.raises(type(error)) as caught,
        tracking.run("training", tags={}),
        tracking.run("options", tags={}) as inner,
    ):
        tracking.log_trial(inner, "options 1", params={}, metrics=Measured())

    assert caught.value is error
    runs = tracking.client.search_runs([tracking.experiment_id])
    assert {run.info.run_name: run.info.status for run in runs} == dict.fromkeys(
        ("training", "options", "options 1"), status
    )
    assert active() is None


def test_a_run_ends_with_those_that_its_body_left_open_and_after_one_that_its_body_ended(tracking: Tracking) -> None:
    with tracking.run("outer", tags={}) as outer:
        with tracking.run("forgetful", tags={}) as forgetful:
            left_open = mlflow.start_run(nested=True)
        with tracking.run("hasty", tags={}) as hasty:
            mlflow.end_run()
        assert active() == outer.run_id

    runs = [forgetful.run_id, left_open.info.run_id, hasty.run_id, outer.run_id]
    assert [tracking.client.get_run(run).info.status for run in runs] == ["FINISHED"] * 4


def test_the_bodys_error_is_not_hidden_by_a_database_that_is_lost_as_well(
    tracking: Tracking, mlflow_root: Path
) -> None:
    def body() -> None:
        with tracking.run("training", tags={}):
            (mlflow_root / "mlflow.db").unlink()
            raise ValueError("no rows")

    with pytest.raises(ValueError, match="no rows"):
        body()

    assert active() is None


def test_what_mlflow_pointed_at_before_it_points_at_afterwards(
    tracking: Tracking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "17")
    before = (mlflow.get_tracking_uri(), mlflow.get_registry_uri(), dict(os.environ))

    with tracking.run("training", tags={}):
        assert mlflow.get_tracking_uri() == mlflow.get_registry_uri() == tracking.tracking_uri
    with pytest.raises(ValueError, match="no rows"), tracking.run("training", tags={}):
        raise ValueError("no rows")

    assert (mlflow.get_tracking_uri(), mlflow.get_registry_uri(), dict(os.environ)) == before


def test_where_two_threads_have_runs_the_first_to_end_leaves_mlflow_pointed_for_the_other(tracking: Tracking) -> None:
    before = mlflow.get_tracking_uri()
    begun, may_end = threading.Event(), threading.Event()

    def other() -> str:
        with tracking.run("beside", tags={}) as run:
            begun.set()
            assert may_end.wait(60)
            return run.run_id

    with ThreadPoolExecutor(max_workers=1) as beside:
        with tracking.run("training", tags={}) as run:
            running = beside.submit(other)
            assert begun.wait(60)
            assert active() == run.run_id
        assert mlflow.get_tracking_uri() == tracking.tracking_uri
        may_end.set()
        assert running.result() != run.run_id
    assert mlflow.get_tracking_uri() == before
    assert {tracking.client.get_run(i).info.status for i in (run.run_id, running.result())} == {"FINISHED"}


def test_a_run_that_mlflow_projects_opened_elsewhere_is_left_alone(
    tracking: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", "0123456789abcdef0123456789abcdef")

    with tracking.run("training", tags={}) as run:
        assert active() == run.run_id != "0123456789abcdef0123456789abcdef"


def test_a_model_saved_in_a_run_lies_in_the_lakehouse_and_nothing_in_the_working_folder(
    tracking: Tracking,
    mlflow_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make_model: Callable[[float], Path],
) -> None:
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    files = make_model(0.25)
    registry = tracking.registry(writable=[("prod", "flights")])

    with tracking.run("training", tags={}) as run:
        saved = mlflow.pyfunc.log_model(
            name="model",
            loader_module="one_number",
            code_paths=[str(files / "code" / "one_number.py")],
            data_path=str(files / "number.txt"),
            pip_requirements=[],
        )
    version = registry.register("prod.flights.delays", source=saved.model_uri, run_id=run.run_id, tags={})

    assert (version.source, version.run_id) == (saved.model_uri, run.run_id)
    folder = registry.download("prod.flights.delays", "1")
    assert folder.is_relative_to(mlflow_root / "artifacts" / "dev.flights.delays" / "models")
    assert list(registry.load("prod.flights.delays", "1").predict(pd.DataFrame({"x": [1, 2]}))) == [0.25, 0.25]
    assert list((tmp_path / "cwd").iterdir()) == []


def test_opening_again_finds_the_same_experiment_and_another_name_another(
    tracking: Tracking, mlflow_root: Path
) -> None:
    again = open_tracking(mlflow_root, experiment="dev.flights.delays")
    other = open_tracking(mlflow_root, experiment="prod/flights delays")

    assert again == tracking
    assert other.experiment_id != tracking.experiment_id
    assert "0" not in (tracking.experiment_id, other.experiment_id)
    assert [t.client.get_experiment(t.experiment_id).artifact_location for t in (tracking, other)] == [
        (mlflow_root / "artifacts" / "dev.flights.delays").as_uri(),
        (mlflow_root / "artifacts" / "prod-flights-delays").as_uri(),
    ]


def test_many_may_open_a_new_lakehouse_at_once(tmp_path: Path) -> None:
    root = tmp_path / "new" / "lakehouse"
    opened: list[Tracking] = []
    threads = [
        threading.Thread(target=lambda: opened.append(open_tracking(root, experiment="dev.flights.delays")))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert opened == [opened[0]] * 4
    assert sorted(path.name for path in root.iterdir()) == ["mlflow.db", "mlflow.lock"]


@pytest.mark.parametrize("name", ["with space", "ümlaut 100% #1", "quote'd"])
def test_a_lakehouse_may_lie_in_a_folder_of_any_name(mlflow_root: Path, tmp_path: Path, name: str) -> None:
    root = mlflow_root.rename(tmp_path / name)
    with open_tracking(root, experiment="dev").run("training", tags={}) as run:
        run.log_text("hello", "a.txt")

    assert [path.read_text() for path in root.glob("artifacts/dev/*/artifacts/a.txt")] == ["hello"]


def test_a_folder_whose_address_would_name_another_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="question mark"):
        open_tracking(tmp_path / "what?", experiment="dev")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"not a database" * 1000, b"SQLite format 3\x00" + b"\x07" * 5000])
def test_a_damaged_database_is_named_and_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mlflow.db").write_bytes(content)

    with pytest.raises(StorageError, match=r"mlflow\.db cannot be read as an MLflow database"):
        open_tracking(tmp_path, experiment="dev")

    assert (tmp_path / "mlflow.db").read_bytes() == content


def test_an_empty_file_left_by_somebody_who_looked_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").touch()

    assert open_tracking(tmp_path, experiment="dev").experiment == "dev"


def test_what_a_process_killed_while_it_made_or_wrote_a_database_left_is_no_obstacle(tmp_path: Path) -> None:
    for name in (".mlflow.db.part", ".mlflow.db.part-journal", "mlflow.db-journal"):
        (tmp_path / name).write_bytes(b"half of it")

    open_tracking(tmp_path, experiment="dev")

    assert sorted(path.name for path in tmp_path.iterdir()) == ["mlflow.db", "mlflow.lock"]


def test_a_database_of_another_mlflow_is_named_and_left_alone(mlflow_root: Path) -> None:
    with closing(sqlite3.connect(mlflow_root / "mlflow.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")

    with pytest.raises(StateError, match="Another version of MLflow wrote the database"):
        open_tracking(mlflow_root, experiment="dev")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(StorageError, match=r"while opening .*mlflow\.db"):
        open_tracking(tmp_path / "file" / "lakehouse", experiment="dev")


def test_a_deleted_experiment_is_not_written_to(tracking: Tracking, mlflow_root: Path) -> None:
    tracking.client.delete_experiment(tracking.experiment_id)

    with pytest.raises(StateError, match=r"dev\.flights\.delays was deleted") as caught:
        open_tracking(mlflow_root, experiment="dev.flights.delays")

    assert f"mlflow experiments restore -x {tracking.experiment_id}" in caught.value.remedy


def test_the_user_interface_serves_this_lakehouse_to_this_machine_alone(
    mlflow_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.cli import server

    monkeypatch.delenv("MLFLOW_SERVER_ENABLE_JOB_EXECUTION")
    command = ui_command(mlflow_root, port=5005)

    assert command[1:4] == ["-m", "mlflow", "server"]
    asked = server.make_context("mlflow server", command[4:]).params
    assert (asked["host"], asked["port"], asked["serve_artifacts"]) == ("127.0.0.1", 5005, False)
    assert asked["backend_store_uri"] == f"sqlite:///{mlflow_root}/mlflow.db"
    assert os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"


def test_the_user_interface_of_a_lakehouse_without_runs_says_what_to_run_first(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="There are no runs yet") as caught:
        ui_command(tmp_path)
    assert "gatehouse run training" in caught.value.remedy
