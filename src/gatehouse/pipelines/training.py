"""From pinned tables to a registered version: choose options, fit, explain, measure beside the baseline, register.

The same code, data, configuration and windows give the same version: a second run finds it and trains nothing.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version as installed
from typing import TYPE_CHECKING

import yaml

from gatehouse.errors import DataError
from gatehouse.evaluation import drift
from gatehouse.evaluation.point import value
from gatehouse.lakehouse.lineage import PREFIX, Lineage
from gatehouse.pipelines.context import Context
from gatehouse.pipelines.dataset import EVENT_TIME, UNIT, Pinned, build, pin
from gatehouse.pipelines.search import Split, Tried, best_first, search, try_options
from gatehouse.pipelines.windows import Windows, windows
from gatehouse.project import FittedModel, Options
from gatehouse.reports.card import model_card

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from gatehouse.lakehouse.registry import Version
    from gatehouse.lakehouse.tracking import Run

REFERENCE = "reference.json"
"""Artefact of the training run: the distributions that monitoring compares with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """A registered version. Metrics are on the hold-out, in their own units; empty where it held no label yet."""

    version: Version
    reused: bool
    rows: int
    metrics: Mapping[str, float]
    baseline_metrics: Mapping[str, float]


def train(context: Context, *, proposer: str, hold_out_days: int | None = None) -> Trained:
    """Train and register a candidate on what was known at the context's as-of."""
    with context.alone("training"):
        pinned = pin(context)
        stretch = windows(context.as_of, context.settings.training, hold_out_days=hold_out_days)
        key = _training_key(context, pinned, stretch)
        for known in context.registry.versions(context.model):
            if known.tags.get(f"{PREFIX}training_key") == key:
                context.progress.note(f"Version {known.version} was trained from exactly this: reused.")
                return _reused(known)
        with context.progress.step("read the training set"):
            frame = _labelled(context, pinned, stretch)
        return _train(context, frame, pinned, stretch, key=key, proposer=proposer)


def _train(
    context: Context, frame: pd.DataFrame, pinned: Pinned, stretch: Windows, *, key: str, proposer: str
) -> Trained:
    settings, project = context.settings.training, context.project
    fit_on = frame[frame[EVENT_TIME] <= _naive(stretch.train_end)]
    held_out = frame[frame[EVENT_TIME] > _naive(stretch.train_end)]
    _demand_rows(context, fit_on, stretch)
    tags = {f"{PREFIX}project": project.name, f"{PREFIX}environment": context.name}
    with context.tracking.run(f"training {context.as_of:%Y-%m-%d}", tags=tags) as run:
        chosen = _choose(context, fit_on, stretch, run)
        with context.progress.step(f"fit on {len(fit_on):,} rows"):
            split = _split(context, fit_on)
            model = project.estimator.fit(split.features, split.label, chosen, seed=settings.seed)
            baseline = project.baseline.fit(fit_on, split.label)
        measured = _measure(context, held_out, model.predict(held_out[list(project.features)])) if len(held_out) else {}
        by_baseline = _measure(context, held_out, baseline.predict(held_out)) if len(held_out) else {}
        with context.progress.step("log and register the version"):
            lineage = Lineage(
                project=project.name,
                environment=context.name,
                proposer=proposer,
                as_of=context.as_of,
                train_start=max(stretch.train_start, _aware(fit_on[EVENT_TIME].min())),
                train_end=stretch.train_end,
                hold_out_end=stretch.hold_out_end,
                code_commit=context.code.commit,
                code_digest=context.code.training_digest,
                configuration_digest=context.settings.digest(),
                data_versions=pinned.as_text(),
                options=dict(chosen),
                seed=settings.seed,
                training_key=key,
            )
            importances = model.importances(split.features)
            run.log_params({**chosen, "seed": settings.seed, "rows": len(fit_on)})
            run.log_metrics({f"hold_out_{n}": v for n, v in measured.items()})
            run.log_metrics({f"baseline_{n}": v for n, v in by_baseline.items()})
            for table, delta_version in lineage.data_versions.items():
                run.log_table_input(table, delta_version, "training")
            run.log_dict({"mean_absolute_contribution": dict(importances)}, "importances.json")
            run.log_dict(_reference(context, fit_on, model), REFERENCE)
            card = model_card(project, lineage, measured, by_baseline, importances, rows=len(fit_on))
            run.log_text(card, "model_card.md")
            source = _save(context, model, split.features)
            version = context.registry.register(
                context.model, source=source, run_id=run.run_id, tags=lineage.to_tags(), description=card
            )
    return Trained(version=version, reused=False, rows=len(fit_on), metrics=measured, baseline_metrics=by_baseline)


def _training_key(context: Context, pinned: Pinned, stretch: Windows) -> str:
    """SHA-256 over everything that decides which model comes out."""
    environment = context.environment
    parts = {
        "project": context.project.name,
        "code": context.code.training_digest,
        "configuration": context.settings.digest(),
        "requirements": _requirements(context),
        "data": pinned.as_text(),
        "windows": [str(stretch.train_start), str(stretch.train_end), str(stretch.hold_out_end)],
        "environment": environment.model_dump(mode="json", include={"data_fraction", "search", "max_trials"}),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _labelled(context: Context, pinned: Pinned, stretch: Windows) -> pd.DataFrame:
    """Events with a known label, in memory, ordered by time and key so that a fit never depends on Spark's order."""
    from pyspark.sql import functions as F

    project = context.project
    label = project.label.name
    keys = list(project.event_table.primary_key)
    wanted = list(dict.fromkeys([*keys, EVENT_TIME, UNIT, label, *project.features, *project.baseline.columns]))
    built = build(context, pinned, after=stretch.train_start, until=stretch.hold_out_end)
    frame = built.where(F.col(label).isNotNull()).select(*wanted).toPandas()
    return frame.sort_values([EVENT_TIME, *keys], ignore_index=True)


def _split(context: Context, frame: pd.DataFrame) -> Split:
    return Split(features=frame[list(context.project.features)], label=frame[context.project.label.name])


def _choose(context: Context, fit_on: pd.DataFrame, stretch: Windows, run: Run) -> Options:
    """The best options by the last days of the training stretch: searched for, or among the reviewed ones."""
    project, settings = context.project, context.settings.training
    reviewed = context.settings.options.candidates
    if not context.environment.search and len(reviewed) == 1:
        return reviewed[0].options
    early = fit_on[EVENT_TIME] <= _naive(stretch.validation_start)
    inner, judge = _split(context, fit_on[early]), _split(context, fit_on[~early])
    if not len(inner.features) or not len(judge.features):
        raise DataError(
            f"The {settings.validation_days} validation days leave {len(inner.features)} rows to fit on and "
            f"{len(judge.features)} to choose by.",
            why="Options are chosen on days that come after those they were fitted on.",
            remedy="Change validation_days in conf/training.yml, or use a later --as-of.",
        )

    def log(number: int, tried: Tried) -> None:
        with context.tracking.run(f"options {number + 1}", tags={}, parent=run) as nested:
            nested.log_params(dict(tried.options))
            nested.log_metrics({f"validation_{project.primary_metric.name}": tried.score})

    if not context.environment.search:
        with context.progress.step(f"choose among {len(reviewed)} reviewed options"):
            ranked = [try_options(project, r.options, inner, judge, seed=settings.seed) for r in reviewed]
            for number, tried in enumerate(ranked):
                log(number, tried)
            return best_first(project, ranked)[0].options
    trials = context.environment.max_trials
    with context.progress.step(f"search: {trials} trials"):
        found = search(project, inner, judge, trials=trials, seed=settings.seed, on_trial=log)
    _propose(context, found, run)
    return found[0].options


def _propose(context: Context, found: tuple[Tried, ...], run: Run) -> None:
    """Write the best options where a person can look at them, in the form of conf/options.yml."""
    best = [
        {"found_by": f"{run.run_id}", "validation_loss": round(t.score, 6), "options": dict(t.options)}
        for t in found[:3]
    ]
    path = context.root / "proposals" / "options.yml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({"candidates": best}, sort_keys=False), encoding="utf-8")
    context.progress.note(
        f"Best options written to {path.name}; production sees them once they are in conf/options.yml: {path}"
    )


def _measure(context: Context, frame: pd.DataFrame, prediction: object) -> dict[str, float]:
    label = frame[context.project.label.name].to_numpy(dtype=float)
    return {m.name: value(m, label, prediction) for m in context.project.metrics}  # type: ignore[arg-type]


def _reference(context: Context, fit_on: pd.DataFrame, model: FittedModel) -> dict[str, object]:
    """The distributions of features and predictions in training, with how much they vary from unit to unit."""
    features = list(context.project.features)
    predicted = model.predict(fit_on[features])
    frame = fit_on[[*features, UNIT]].assign(prediction=predicted if predicted.ndim == 1 else predicted.argmax(axis=1))
    return drift.reference(frame, [*features, "prediction"], unit=UNIT).to_dict()


def _save(context: Context, model: FittedModel, features: pd.DataFrame) -> str:
    from mlflow.models import infer_signature

    example = features.head(5)
    return model.save(
        name="model",
        signature=infer_signature(example, model.predict(example)),
        input_example=example,
        requirements=_requirements(context),
    )


def _requirements(context: Context) -> list[str]:
    return [f"{name}=={installed(name)}" for name in sorted({"mlflow", *context.project.estimator.requirements})]


def _demand_rows(context: Context, fit_on: pd.DataFrame, stretch: Windows) -> None:
    minimum = context.settings.training.minimum_rows
    if len(fit_on) < minimum:
        raise DataError(
            f"{len(fit_on):,} labelled rows up to {stretch.train_end:%Y-%m-%d}, fewer than minimum_rows ({minimum:,}).",
            why="A model of too little data is not worth judging.",
            remedy="Use a later --as-of, ingest more, or lower minimum_rows.",
        )


def _reused(known: Version) -> Trained:
    return Trained(version=known, reused=True, rows=0, metrics={}, baseline_metrics={})


def _naive(moment: object) -> pd.Timestamp:
    """`toPandas` gives timestamps without a zone, in UTC."""
    import pandas as pd

    return pd.Timestamp(moment).tz_localize(None)  # type: ignore[arg-type]


def _aware(moment: pd.Timestamp) -> datetime:
    return moment.tz_localize("UTC").to_pydatetime()
