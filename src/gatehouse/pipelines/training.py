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
from gatehouse.lakehouse import model_files
from gatehouse.lakehouse.lineage import PREFIX, Lineage
from gatehouse.pipelines.context import Context
from gatehouse.pipelines.dataset import EVENT_TIME, LABEL_KNOWN_AT, UNIT, Pinned, build, pin
from gatehouse.pipelines.scoring import demand_the_same
from gatehouse.pipelines.search import Split, Tried, best_first, search, try_each
from gatehouse.pipelines.windows import Windows, windows
from gatehouse.project import FittedModel, Options, Predictor
from gatehouse.reports.card import model_card

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from gatehouse.lakehouse.registry import Version
    from gatehouse.lakehouse.tracking import Run

IMPORTANCES = "importances.json"
"""Artefact of the training run: what the model leans on."""
PROPOSALS = "proposals/options.yml"
LINEAGE = "lineage.json"
"""Artefact of the training run: the lineage as training wrote it, for whoever doubts the version's tags."""
REFERENCE = "reference.json"
"""Artefact of the training run: the distributions that monitoring compares with."""

_ASKED_TWICE = 200
"""Rows, at most, on which the stored model is compared with the fitted one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """A registered version. Metrics are on the hold-out, in their own units; empty where it held no label yet."""

    version: Version
    reused: bool
    rows: int
    metrics: Mapping[str, float]
    baseline_metrics: Mapping[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Order:
    """What to train. `options` None: still to be chosen."""

    pinned: Pinned
    stretch: Windows
    proposer: str
    options: Options | None = None


def train(context: Context, *, proposer: str, hold_out_days: int | None = None) -> Trained:
    """Train and register a candidate on what was known at the context's as-of."""
    stretch = windows(context.as_of, context.settings.training, hold_out_days=hold_out_days)
    return _carry_out(context, _Order(pinned=pin(context), stretch=stretch, proposer=proposer))


def train_again(context: Context, judged: Lineage) -> Trained:
    """The recipe of a judged version once more, on all data up to as-of: its options, no hold-out."""
    stretch = windows(context.as_of, context.settings.training, hold_out_days=0)
    order = _Order(pinned=pin(context), stretch=stretch, proposer=judged.proposer, options=judged.options)
    return _carry_out(context, order)


def _carry_out(context: Context, order: _Order) -> Trained:
    with context.alone("training"):
        key = _training_key(context, order)
        for known in context.registry.versions(context.model):
            if known.tags.get(f"{PREFIX}training_key") == key:
                context.progress.note(f"Version {known.version} was trained from exactly this: reused.")
                return _reused(context, known)
        with context.progress.step("read the training set"):
            frame = _labelled(context, order)
        return _train(context, frame, order, key)


def _train(context: Context, frame: pd.DataFrame, order: _Order, key: str) -> Trained:
    settings, project, stretch = context.settings.training, context.project, order.stretch
    fit_on = frame[_known_by(frame, stretch.train_end)]
    held_out = frame[frame[EVENT_TIME] > _naive(stretch.train_end)]
    _demand_rows(context, fit_on, stretch)
    tags = {f"{PREFIX}project": project.name, f"{PREFIX}environment": context.name}
    with context.tracking.run(f"training {context.as_of:%Y-%m-%d}", tags=tags) as run:
        chosen = order.options or _choose(context, fit_on, stretch, run)
        with context.progress.step(f"fit on {len(fit_on):,} rows"):
            split = _split(context, fit_on)
            model = project.estimator.fit(split.features, split.label, chosen, seed=settings.seed)
            baseline = project.baseline.fit(fit_on, split.label)
        with context.progress.step("measure, explain and register the version"):
            measured = _measure(context, held_out, model, list(project.features))
            by_baseline = _measure(context, held_out, baseline, list(held_out.columns))
            first_row = max(stretch.train_start, _aware(fit_on[EVENT_TIME].min()))
            lineage = _lineage(context, order, chosen, key=key, train_start=first_row)
            importances = model.importances(split.features)
            _log(run, lineage, {**prefixed("hold_out", measured), **prefixed("baseline", by_baseline)}, len(fit_on))
            run.log_dict({"mean_absolute_contribution": dict(importances)}, IMPORTANCES)
            run.log_dict(lineage.to_tags(), LINEAGE)
            run.log_dict(_reference(context, fit_on, model), REFERENCE)
            card = model_card(project, lineage, measured, by_baseline, importances, rows=len(fit_on))
            run.log_text(card, "model_card.md")
            version = context.registry.register(
                context.model,
                source=_save(context, model, split.features),
                run_id=run.run_id,
                tags=lineage.to_tags(),
                description=card,
            )
    return Trained(version=version, reused=False, rows=len(fit_on), metrics=measured, baseline_metrics=by_baseline)


def _lineage(context: Context, order: _Order, options: Options, *, key: str, train_start: datetime) -> Lineage:
    return Lineage(
        project=context.project.name,
        environment=context.name,
        proposer=order.proposer,
        as_of=context.as_of,
        train_start=train_start,
        train_end=order.stretch.train_end,
        hold_out_end=order.stretch.hold_out_end,
        code_commit=context.code.commit,
        code_digest=context.code.training_digest,
        configuration_digest=context.settings.digest(),
        data_versions=order.pinned.as_text(),
        options=dict(options),
        seed=context.settings.training.seed,
        training_key=key,
    )


def _log(run: Run, lineage: Lineage, metrics: Mapping[str, float], rows: int) -> None:
    run.log_params({**lineage.options, "seed": lineage.seed, "rows": rows})
    run.log_metrics(metrics)
    run.log_table_inputs(lineage.data_versions, "training")


def prefixed(prefix: str, metrics: Mapping[str, float]) -> dict[str, float]:
    """The names under which a training run keeps metrics of the hold-out and of the baseline."""
    return {f"{prefix}_{name}": number for name, number in metrics.items()}


def _training_key(context: Context, order: _Order) -> str:
    """SHA-256 over everything that decides which model comes out."""
    environment = context.environment
    parts = {
        "project": context.project.name,
        "code": context.code.training_digest,
        "configuration": context.settings.digest(),
        "requirements": _requirements(context),
        "data": order.pinned.as_text(),
        "windows": [str(m) for m in (order.stretch.train_start, order.stretch.train_end, order.stretch.hold_out_end)],
        "options": dict(order.options) if order.options is not None else None,
        "environment": environment.model_dump(mode="json", include={"data_fraction", "search", "max_trials"}),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _labelled(context: Context, order: _Order) -> pd.DataFrame:
    """Events with a known label, in memory, ordered by time and key so that a fit never depends on Spark's order."""
    from pyspark.sql import functions as F

    project = context.project
    label = project.label.name
    keys = list(project.event_table.primary_key)
    wanted = dict.fromkeys([*keys, EVENT_TIME, UNIT, label, LABEL_KNOWN_AT])
    wanted |= dict.fromkeys([*project.features, *project.baseline.columns])
    built = build(context, order.pinned, after=order.stretch.train_start, until=order.stretch.hold_out_end)
    frame = built.where(F.col(label).isNotNull()).select(*wanted).toPandas()
    return frame.sort_values([EVENT_TIME, *keys], ignore_index=True)


def _known_by(frame: pd.DataFrame, moment: datetime) -> pd.Series[bool]:
    """Events whose label, too, was known by then: who trained at that moment would have had no others."""
    return (frame[EVENT_TIME] <= _naive(moment)) & (frame[LABEL_KNOWN_AT] <= _naive(moment))


def _split(context: Context, frame: pd.DataFrame) -> Split:
    return Split(features=frame[list(context.project.features)], label=frame[context.project.label.name])


def _choose(context: Context, fit_on: pd.DataFrame, stretch: Windows, run: Run) -> Options:
    """The best options by the last days of the training stretch: searched for, or among the reviewed ones."""
    project, settings = context.project, context.settings.training
    reviewed = context.settings.options.candidates
    if not context.environment.search and len(reviewed) == 1:
        return reviewed[0].options
    late = fit_on[EVENT_TIME] > _naive(stretch.validation_start)
    inner = _split(context, fit_on[_known_by(fit_on, stretch.validation_start)])
    judge = _split(context, fit_on[late])
    if not len(inner.features) or not len(judge.features):
        raise DataError(
            f"The {settings.validation_days} validation days leave {len(inner.features)} rows to fit on and "
            f"{len(judge.features)} to choose by.",
            why="Options are chosen on days that come after those they were fitted on.",
            remedy="Change validation_days in conf/training.yml, or use a later --as-of.",
        )

    def log(number: int, tried: Tried) -> None:
        score = {f"validation_{project.primary_metric.name}": tried.score}
        context.tracking.log_trial(run, f"options {number + 1}", params=tried.options, metrics=score)

    if not context.environment.search:
        with context.progress.step(f"choose among {len(reviewed)} reviewed options"):
            ranked = try_each(project, [r.options for r in reviewed], inner, judge, seed=settings.seed)
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
    context.store.write(PROPOSALS, yaml.safe_dump({"candidates": best}, sort_keys=False))
    context.progress.note(
        f"Best options in {context.root.name}/{PROPOSALS}; production considers them once they are in conf/."
    )


def _measure(context: Context, held_out: pd.DataFrame, predictor: Predictor, columns: list[str]) -> dict[str, float]:
    """The project's metrics on the hold-out; none where it has no row yet."""
    if held_out.empty:
        return {}
    label = held_out[context.project.label.name].to_numpy(dtype=float)
    prediction = predictor.predict(held_out[columns])
    return {m.name: value(m, label, prediction) for m in context.project.metrics}


def _reference(context: Context, fit_on: pd.DataFrame, model: FittedModel) -> dict[str, object]:
    """The distributions of features and predictions in training, with how much they vary from unit to unit."""
    features = list(context.project.features)
    predicted = model.predict(fit_on[features])
    frame = fit_on[[*features, UNIT]].assign(prediction=predicted if predicted.ndim == 1 else predicted.argmax(axis=1))
    return drift.reference(frame, [*features, "prediction"], unit=UNIT).to_dict()


def _save(context: Context, model: FittedModel, features: pd.DataFrame) -> str:
    from mlflow.models import infer_signature

    example = features.head(5)
    stored = model.save(
        name="model",
        signature=infer_signature(example, model.predict(example)),
        input_example=example,
        requirements=_requirements(context),
    )
    rows = features.iloc[:: max(1, -(-len(features) // _ASKED_TWICE))]
    demand_the_same(model_files.load(stored, f"The model in {stored}"), model, rows, context.project.task)
    return stored


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


def _reused(context: Context, known: Version) -> Trained:
    kept = context.tracking.read_metrics(known.run_id) if known.run_id else {}

    def read(prefix: str) -> dict[str, float]:
        names = [m.name for m in context.project.metrics]
        return {name: kept[f"{prefix}_{name}"] for name in names if f"{prefix}_{name}" in kept}

    return Trained(version=known, reused=True, rows=0, metrics=read("hold_out"), baseline_metrics=read("baseline"))


def _naive(moment: object) -> pd.Timestamp:
    """`toPandas` gives timestamps without a zone, in UTC."""
    import pandas as pd

    return pd.Timestamp(moment).tz_localize(None)  # type: ignore[arg-type]


def _aware(moment: pd.Timestamp) -> datetime:
    return moment.tz_localize("UTC").to_pydatetime()
