"""Runs: what a training did, and on which versions of which tables. MLflow on SQLite, elsewhere by other addresses."""

from __future__ import annotations

import json
import math
import re
import shutil
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gatehouse.errors import EvaluationError, GatehouseError, Interrupted, StateError
from gatehouse.lakehouse.mlflow_database import ARTIFACTS, DATABASE, exclusive, prepare, sqlite_address
from gatehouse.lakehouse.mlflow_errors import told
from gatehouse.lakehouse.mlflow_globals import import_mlflow, pointed_at, set_environment
from gatehouse.lakehouse.registry_mlflow import MlflowRegistry
from gatehouse.lakehouse.registry_rules import Schema


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """An open run. Everything is written at once, so what was logged before a crash stays."""

    run_id: str
    name: str
    _client: Any = field(repr=False, compare=False)

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Parameters, each once; StateError for one that was logged with another value, or of over 6,000 characters."""
        from mlflow.entities import Param

        with told(f"logging parameters of {self.name}"):
            self._client.log_batch(self.run_id, params=[Param(k, str(v)) for k, v in params.items()])

    def log_metrics(self, metrics: Mapping[str, float]) -> None:
        """Metrics, in their own units. NaN says "not measurable"; infinity is an EvaluationError."""
        from mlflow.entities import Metric
        from mlflow.utils.time import get_current_time_millis

        infinite = [name for name, number in metrics.items() if math.isinf(number)]
        if infinite:
            raise EvaluationError(
                f"{', '.join(infinite)} of {self.name} is infinite.",
                why="MLflow would store 1.8e308, which looks like a measurement.",
                remedy="Find what was divided by zero, or predicted with certainty and wrong.",
            )
        now = get_current_time_millis()  # type: ignore[no-untyped-call]
        with told(f"logging metrics of {self.name}"):
            self._client.log_batch(self.run_id, metrics=[Metric(k, float(v), now, 0) for k, v in metrics.items()])

    def log_text(self, text: str, path: str) -> None:
        """An artefact of that relative path."""
        with told(f"writing {path} of {self.name}"):
            self._client.log_text(self.run_id, text, path)

    def log_dict(self, content: Mapping[str, Any], path: str) -> None:
        """An artefact of that relative path: JSON, or YAML if the path ends so."""
        with told(f"writing {path} of {self.name}"):
            self._client.log_dict(self.run_id, dict(content), path)

    def log_table_inputs(self, versions: Mapping[str, int], context: str) -> None:
        """Tables, catalog.schema.table, each at a Delta version, and what they were used for. No row is read."""
        from mlflow.data.meta_dataset import MetaDataset
        from mlflow.entities import DatasetInput, InputTag
        from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

        tags = [InputTag(MLFLOW_DATASET_CONTEXT, context)]
        inputs = []
        for name, version in versions.items():
            dataset = MetaDataset(_table_source(name, version), name=name, digest=f"v{version}")  # type: ignore[abstract]
            inputs.append(DatasetInput(dataset._to_mlflow_entity(), tags))
        with told(f"logging the inputs of {self.name}"):
            self._client.log_inputs(self.run_id, inputs)


@dataclass(frozen=True, kw_only=True, slots=True)
class Tracking:
    """One experiment, and the registry beside it. `connect` makes one; `open_tracking` makes the laptop's."""

    tracking_uri: str
    registry_uri: str
    root: Path
    experiment: str
    experiment_id: str
    client: Any = field(repr=False, compare=False)
    _opened: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def connect(
        cls,
        *,
        tracking_uri: str,
        registry_uri: str,
        root: Path,
        experiment: str,
        artifact_location: str | None = None,
    ) -> Tracking:
        """Find or make the experiment. `root` holds the lock; without `artifact_location` the server decides."""
        with told(f"opening the experiment {experiment}"):
            client = import_mlflow().MlflowClient(tracking_uri=tracking_uri, registry_uri=registry_uri)
            found = client.get_experiment_by_name(experiment)
            if found is None:
                with exclusive(root):
                    found = client.get_experiment_by_name(experiment)
                    made = None if found else client.create_experiment(experiment, artifact_location)
                    found = found or client.get_experiment(made)
        if found.lifecycle_stage != "active":
            raise StateError(
                f"The experiment {experiment} was deleted.",
                why="Its runs are hidden, so new ones would be as well.",
                remedy=f"MLFLOW_TRACKING_URI={tracking_uri} mlflow experiments restore -x {found.experiment_id}",
            )
        return cls(
            tracking_uri=tracking_uri,
            registry_uri=registry_uri,
            root=root,
            experiment=experiment,
            experiment_id=found.experiment_id,
            client=client,
        )

    @contextmanager
    def run(self, name: str, *, tags: Mapping[str, str]) -> Iterator[Run]:
        """An open run, and MLflow's active one inside, so that `FittedModel.save` logs to it.

        It ends FINISHED, by an exception FAILED, by Ctrl-C KILLED, and with it whatever runs the body left open.
        """
        mlflow = import_mlflow()
        with pointed_at(self.tracking_uri, self.registry_uri):
            outer = mlflow.active_run()
            with told(f"starting the run {name}"):
                # Made by the client and then resumed: MLFLOW_RUN_ID, which `mlflow run` sets, names a run elsewhere.
                run_id = self.client.create_run(self.experiment_id, run_name=name, tags=dict(tags)).info.run_id
                mlflow.start_run(run_id=run_id, nested=True)
            try:
                yield Run(run_id=run_id, name=name, _client=self.client)
            except BaseException as error:
                # The body's error is the news; a registry that is down as well must not hide it.
                with suppress(GatehouseError):
                    self._end(run_id, outer, _ended_by(error))
                raise
            self._end(run_id, outer, "FINISHED")

    def log_trial(self, parent: Run, name: str, *, params: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        """A finished run below another one: options that were tried, and what they reached. No model can be in it.

        An exception ends it as it ends `run`.
        """
        from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

        tags = {MLFLOW_PARENT_RUN_ID: parent.run_id}
        with told(f"starting the run {name}"):
            run_id = self.client.create_run(self.experiment_id, run_name=name, tags=tags).info.run_id
        trial = Run(run_id=run_id, name=name, _client=self.client)
        try:
            trial.log_params(params)
            trial.log_metrics(metrics)
        except BaseException as error:
            with suppress(GatehouseError), told(f"ending the run {name}"):
                self.client.set_terminated(run_id, _ended_by(error))
            raise
        with told(f"ending the run {name}"):
            self.client.set_terminated(run_id, "FINISHED")

    def read_dict(self, run_id: str, path: str) -> dict[str, Any] | None:
        """A JSON artefact of a run; None if the run has none of that name."""
        text = self.read_text(run_id, path)
        return dict(json.loads(text)) if text is not None else None

    def read_text(self, run_id: str, path: str) -> str | None:
        """A text artefact of a run; None if the run has none of that name."""
        with told(f"reading {path} of the run {run_id}"):
            files = self._files(run_id)
            if path not in {a.path for a in files.list_artifacts(path.rpartition("/")[0] or None)}:
                return None
            with tempfile.TemporaryDirectory() as folder:
                return Path(files.download_artifacts(path, folder)).read_text(encoding="utf-8")

    def read_metrics(self, run_id: str) -> dict[str, float]:
        """The last value of each metric of a run."""
        with told(f"reading the metrics of the run {run_id}"):
            return dict(self.client.get_run(run_id).data.metrics)

    def write_text(self, run_id: str, path: str, text: str) -> None:
        """Add a text artefact to a run, also to one that has ended."""
        with told(f"writing {path} of the run {run_id}"):
            self.client.log_text(run_id, text, path)

    def discard(self) -> None:
        """Throw the experiment away with its runs and files; its name is free again, and this object of no more use."""
        with exclusive(self.root), told(f"deleting the experiment {self.experiment}"):
            # MLflow keeps the name of what it deletes, for whoever wants it restored.
            self.client.rename_experiment(self.experiment_id, f"{self.experiment} (dropped, {self.experiment_id})")
            self.client.delete_experiment(self.experiment_id)
        shutil.rmtree(_artifact_folder(self.root, self.experiment), ignore_errors=True)

    def registry(self, *, writable: Collection[Schema]) -> MlflowRegistry:
        """The model registry, with the right to change the models of these schemas."""
        return MlflowRegistry(self.tracking_uri, self.registry_uri, root=self.root, writable=writable)

    def _files(self, run_id: str) -> Any:
        """Where a run's artefacts are, which never changes; by its number MLflow would look it up six times a file."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
        from mlflow.utils.uri import add_databricks_profile_info_to_artifact_uri as as_seen_from

        if run_id not in self._opened:
            address = as_seen_from(  # type: ignore[no-untyped-call]
                self.client.get_run(run_id).info.artifact_uri, self.tracking_uri
            )
            self._opened[run_id] = get_artifact_repository(address, tracking_uri=self.tracking_uri)
        return self._opened[run_id]

    def _end(self, run_id: str, outer: Any, status: str) -> None:
        mlflow = import_mlflow()
        ended = set()
        with told(f"ending the run {run_id}"):
            while (active := mlflow.active_run()) and (outer is None or active.info.run_id != outer.info.run_id):
                mlflow.end_run(status)
                ended.add(active.info.run_id)
            if run_id not in ended:
                self.client.set_terminated(run_id, status)


def open_tracking(root: Path, *, experiment: str) -> Tracking:
    """The lakehouse's own runs and registry, in `root`/mlflow.db and `root`/artifacts, made on first use.

    Safe in any number of processes at once. StorageError if the database cannot be read, StateError if another version
    of MLflow wrote it.
    """
    address = prepare(root.resolve())
    return Tracking.connect(
        tracking_uri=address,
        registry_uri=address,
        root=root.resolve(),
        experiment=experiment,
        artifact_location=_artifact_folder(root.resolve(), experiment).as_uri(),
    )


def _artifact_folder(root: Path, experiment: str) -> Path:
    """An own folder, by its address: experiment 0 would put files wherever the first process happened to run."""
    return root / ARTIFACTS / re.sub(r"[^A-Za-z0-9_.-]+", "-", experiment).strip(".")


def ui_command(root: Path, *, port: int = 5000) -> list[str]:
    """The command that serves MLflow's own pages on this machine alone. It is ready after about 15 s; SIGTERM ends it.

    The settings that keep it quiet and small reach its process through the environment, where this function puts them.
    """
    path = root.resolve() / DATABASE
    if not path.is_file():
        raise StateError(
            f"There are no runs yet: {path} does not exist.",
            why="MLflow would start with an empty database of its own.",
            remedy="gatehouse demo, or gatehouse run training.",
        )
    set_environment()
    address = sqlite_address(path)
    artifacts = (path.parent / ARTIFACTS).as_uri()
    return [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--backend-store-uri", address),
        *("--default-artifact-root", artifacts, "--no-serve-artifacts"),
        *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
    ]


def _ended_by(error: BaseException) -> str:
    """MLflow's word for the end of a run that did not reach its own."""
    return "KILLED" if isinstance(error, KeyboardInterrupt | Interrupted) else "FAILED"


def _table_source(name: str, version: int) -> Any:
    """MLflow's own source for Delta tables, without two habits: it forgets version 0, and asks a workspace for an id.

    It asks for every catalog that is not Spark's own, so for a laptop's as well.
    """
    from mlflow.data.delta_dataset_source import DeltaDatasetSource

    class PinnedTable(DeltaDatasetSource):
        def to_dict(self) -> dict[str, Any]:
            return {"delta_table_name": name, "delta_table_version": version}

    return PinnedTable(delta_table_name=name, delta_table_version=version)
