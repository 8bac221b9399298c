"""The champion's predictions for every event that has none yet, appended to the inference log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from gatehouse.errors import DataError, NoChampion
from gatehouse.gates.promotion import CHAMPION
from gatehouse.pipelines.context import Context
from gatehouse.pipelines.dataset import EVENT_TIME, UNIT, build, pin
from gatehouse.pipelines.runs import Run, record
from gatehouse.pipelines.scoring import score, stored_model
from gatehouse.pipelines.tables import predictions_table

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import DataFrame

    from gatehouse.lakehouse.registry import Version


@dataclass(frozen=True, kw_only=True, slots=True)
class Scored:
    """One scoring run. `run_key` names it in the log: the same run again finds its events scored and adds nothing."""

    model_version: str
    run_key: str
    rows: int


def infer(context: Context) -> Scored:
    """Score the events of the last `scoring_days` up to as-of that no run has scored."""
    with context.alone("inference"):
        champion = require_champion(context)
        _tell_of_another_hand(context)
        run_key = f"{context.as_of:%Y%m%dT%H%M%S}-v{champion.version}"
        table = predictions_table(context.project)
        name = context.own(table.name)
        context.tables.create(name, table)
        with context.progress.step(f"score with version {champion.version}"):
            fresh = _unscored(context, context.tables.read(name))
            version = context.tables.append(name, _rows(context, fresh, champion, run_key))
        rows = predictions_of(context, run_key).count()
        record(context, Run(pipeline="inference", target=table.name, since=None, rows=rows, version=version))
        if not rows:
            context.progress.note(f"Every event up to {context.as_of:%Y-%m-%d %H:%M} is scored already.")
    return Scored(model_version=champion.version, run_key=run_key, rows=rows)


def require_champion(context: Context) -> Version:
    """The version that holds the champion alias; NoChampion if the registry says plainly that none does."""
    champion = context.registry.by_alias(context.model, CHAMPION)
    if champion is None:
        raise NoChampion(
            f"{context.model} has no champion.",
            why="Predictions are made by the version that was let through, and none was.",
            remedy=f"gatehouse release --env {context.name}    then approve and promote what it lets through.",
        )
    return champion


def _tell_of_another_hand(context: Context) -> None:
    """Scoring goes on with whoever holds the alias; that it was moved by another hand is said all the same."""
    from gatehouse.pipelines.promotion import gatekeeper  # here: promoting imports what scoring brings

    if (outside := gatekeeper(context).moved_outside()) is not None:
        context.progress.note(f"WARNING: {outside} See gatehouse audit verify --env {context.name}.")


def predictions_of(context: Context, run_key: str) -> DataFrame:
    """The log's rows of one scoring run."""
    from pyspark.sql import functions as F

    name = context.own(predictions_table(context.project).name)
    return context.tables.read(name).where(F.col("run_key") == F.lit(run_key))


def _unscored(context: Context, log: DataFrame) -> DataFrame:
    keys = list(context.project.event_table.primary_key)
    after = context.as_of - timedelta(days=context.settings.monitoring.scoring_days)
    events = build(context, pin(context), after=after, until=context.as_of)
    return events.join(log.select(*keys).distinct(), keys, "left_anti")


def _rows(context: Context, events: DataFrame, champion: Version, run_key: str) -> DataFrame:
    from pyspark.sql import functions as F

    project = context.project
    declared = predictions_table(project)
    inputs = events.select(
        *(F.col(c).cast(declared.column(c).type) for c in project.event_table.primary_key),
        EVENT_TIME,
        UNIT,
        *(f for f in project.features if f not in project.event_table.primary_key),
    )
    folder = context.registry.download(context.model, champion.version)
    features = features_of(context, folder, champion)
    return (
        score(inputs, stored_model(folder, features), project.task)
        .withColumns(
            {
                "run_key": F.lit(run_key),
                "model_version": F.lit(champion.version),
                "predicted_at": F.lit(context.as_of),
            }
        )
        .select(*declared.names)
    )


def features_of(context: Context, folder: Path, version: Version) -> list[str]:
    """The columns the stored model asks for, in its order, all of which this code must still bring."""
    from mlflow.models import Model

    signature = Model.load(str(folder)).signature
    wanted = list(signature.inputs.input_names()) if signature is not None else list(context.project.features)
    gone = [name for name in wanted if name not in context.project.features]
    if gone:
        raise DataError(
            f"Version {version.version} of {context.model} needs {', '.join(gone)}, which is no longer declared.",
            why="Scoring without a feature the model was trained on would give other predictions than were judged.",
            remedy="Deploy the code the version was trained with, or promote a version trained with this code.",
        )
    return wanted
