"""What MLflow keeps per process, contained: environment variables, log messages, where its fluent functions write.

Nothing here talks to a server or a database. Import MLflow through `import_mlflow`, never before it: telemetry and
connection pooling are decided when MLflow is imported.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GIT_PYTHON_REFRESH": "quiet",  # no lecture where git is not installed
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    # A pooled connection outlives the file it was opened on, and a fork: what it writes then is lost without a word.
    "MLFLOW_SQLALCHEMYSTORE_POOLCLASS": "NullPool",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",  # long work shows its progress elsewhere
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # two lines for each run, among what a command says itself
    "MLFLOW_TRUNCATE_LONG_VALUES": "false",  # a parameter that is too long is an error, not another parameter
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # seven worker processes that nothing here needs
}
"""Environment variables, set unless the user has set them."""

_QUIET = {
    "mlflow.utils.environment": logging.ERROR,
    "mlflow.utils.uv_utils": logging.ERROR,
    # These print a traceback for what is raised, and told in our words, anyway.
    "mlflow.store.db.utils": logging.CRITICAL,
    "alembic": logging.ERROR,
    "mlflow.store.model_registry.abstract_store": logging.WARNING,  # how long it may wait for a server
}
_URI_VARIABLES = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_EXPERIMENT_ID")


def set_environment() -> None:
    """Make SETTINGS for this process and those that it starts."""
    for name, content in SETTINGS.items():
        os.environ.setdefault(name, content)


def import_mlflow() -> ModuleType:
    """The module `mlflow`, with its settings made before it is imported. About 3 s the first time."""
    set_environment()
    import mlflow

    for name, level in _QUIET.items():
        logging.getLogger(name).setLevel(level)
    return mlflow


@dataclass
class _Pointed:
    """Where MLflow points, for how many of those inside, and what has to be put back after the last of them."""

    target: tuple[str, str]
    before: tuple[Any, ...]
    variables: Mapping[str, str | None]
    uses: int = 0


_pointed: list[_Pointed] = []
_turn = threading.RLock()


@contextmanager
def pointed_at(tracking_uri: str, registry_uri: str) -> Iterator[None]:
    """Inside, MLflow's fluent functions (`log_model`, `models:/` addresses) work on these two; outside, as before.

    The state is the process's. Threads may be inside together while they point at the same two; those that point
    elsewhere must take turns.
    """
    import_mlflow()
    with _turn:
        if not _pointed or _pointed[-1].target != (tracking_uri, registry_uri):
            _pointed.append(_point(tracking_uri, registry_uri))
        point = _pointed[-1]
        point.uses += 1
    try:
        yield
    finally:
        with _turn:
            point.uses -= 1
            if point.uses == 0:
                _pointed.remove(point)
                _put_back(point)


def _point(tracking_uri: str, registry_uri: str) -> _Pointed:
    import mlflow
    from mlflow.tracking import fluent
    from mlflow.tracking._model_registry import utils as registry
    from mlflow.tracking._tracking_service import utils as tracking

    # MLflow has no public way to ask what was set, as opposed to what applies, nor to take back a choice of experiment.
    point = _Pointed(
        target=(tracking_uri, registry_uri),
        before=(tracking._tracking_uri, registry._registry_uri, fluent._active_experiment_id),
        variables={name: os.environ.get(name) for name in _URI_VARIABLES},
    )
    mlflow.set_tracking_uri(tracking_uri)
    mlflow.set_registry_uri(registry_uri)
    fluent._active_experiment_id = None
    os.environ.pop("MLFLOW_EXPERIMENT_ID", None)
    return point


def _put_back(point: _Pointed) -> None:
    import mlflow
    from mlflow.tracking import fluent

    mlflow.set_tracking_uri(point.before[0])
    mlflow.set_registry_uri(point.before[1])
    fluent._active_experiment_id = point.before[2]
    for name, content in point.variables.items():
        if content is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = content
