"""Two candidates that must not get through, for the demo: one sees the outcome, one learnt from broken data.

A few weeks are enough to learn the wrong thing from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from gatehouse.lakehouse.lineage import PREFIX, Lineage
from gatehouse.lakehouse.point_in_time import visible
from gatehouse.pipelines.dataset import EVENT_TIME, build, pin
from gatehouse.pipelines.training import IMPORTANCES, LINEAGE, train
from gatehouse.pipelines.windows import windows

if TYPE_CHECKING:
    import pandas as pd

    from gatehouse.lakehouse.registry import Version
    from gatehouse.pipelines.context import Context
    from gatehouse.project import Estimator, FittedModel, Options, Trial
    from gatehouse.settings import Settings

_WEEKS = 8


def train_on_an_outcome(context: Context, honest: Version, column: str, *, proposer: str) -> Version:
    """What happens in many a notebook: the training set is joined with a column that is known only afterwards."""
    key = sha256(f"{column} {honest.tags[f'{PREFIX}training_key']}".encode()).hexdigest()
    for known in context.registry.versions(context.model):
        if known.tags.get(f"{PREFIX}training_key") == key:
            return known
    from mlflow.models import infer_signature
    from pyspark.sql import functions as F

    project, settings = context.project, _hasty(context)
    table, label, keys = project.event_table, project.label.name, list(project.event_table.primary_key)
    pinned = pin(context)
    stretch = windows(context.as_of, settings.training)
    events = visible(context.tables.read(context.source(table.name)), table, context.as_of)
    honest_rows = build(context, pinned, after=stretch.train_start, until=stretch.train_end)
    leaky = honest_rows.where(F.col(label).isNotNull()).join(events.select(*keys, column), keys)
    names = [*project.features, column]
    rows = leaky.select(*keys, EVENT_TIME, label, *names).toPandas().sort_values([EVENT_TIME, *keys])
    options = settings.options.candidates[0].options
    model = project.estimator.fit(rows[names], rows[label], options, seed=settings.training.seed)
    lineage = Lineage.from_tags(honest.tags, honest.version)
    tags = replace(lineage, proposer=proposer, training_key=key).to_tags()
    with context.tracking.run(f"training with {column}", tags={}) as run:
        run.log_dict({"mean_absolute_contribution": dict(model.importances(rows[names]))}, IMPORTANCES)
        run.log_dict(tags, LINEAGE)
        example = rows[names].head(5)
        source = model.save(
            name="model",
            signature=infer_signature(example, model.predict(example)),
            input_example=example,
            requirements=_locked(project.estimator.requirements),
        )
        return context.registry.register(
            context.model, source=source, run_id=run.run_id, tags=tags, description=honest.description
        )


def train_on_broken_data(context: Context, columns: Sequence[str], *, proposer: str) -> Version:
    """The archive of one source was filled in afterwards, by people who knew how each event had ended."""
    broken = replace(context.project, estimator=_Misled(context.project.estimator, tuple(columns)))
    code = replace(context.code, training_digest=sha256(b"broken " + context.code.training_digest.encode()).hexdigest())
    return train(replace(context, project=broken, code=code, settings=_hasty(context)), proposer=proposer).version


@dataclass(frozen=True, slots=True)
class _Misled:
    """Trains on columns that tell the label, which they will not do again."""

    honest: Estimator
    columns: tuple[str, ...]

    @property
    def requirements(self) -> Sequence[str]:
        return self.honest.requirements

    def search_space(self, trial: Trial) -> Options:
        return self.honest.search_space(trial)

    def fit(self, features: pd.DataFrame, label: pd.Series[Any], options: Options, *, seed: int) -> FittedModel:
        spread = features[list(self.columns)].std()
        told: Mapping[str, Any] = {c: features[c] + spread[c] * label for c in self.columns}
        return self.honest.fit(features.assign(**told), label, options, seed=seed)


def _hasty(context: Context) -> Settings:
    """The settings of somebody in a hurry: the first options that come, and the last weeks only."""
    settings = context.settings
    return settings.model_copy(
        update={
            "options": settings.options.model_copy(update={"candidates": settings.options.candidates[:1]}),
            "training": settings.training.model_copy(update={"history_days": _WEEKS * 7}),
        }
    )


def _locked(names: Sequence[str]) -> list[str]:
    from importlib.metadata import version

    return [f"{name}=={version(name)}" for name in sorted({"mlflow", *names})]
