"""Which options to train with: searched for in development, chosen among reviewed ones elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gatehouse.evaluation.point import oriented, value
from gatehouse.project import Options, Project

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """Labelled rows in memory. `features` has the project's features in order; `label` never holds a null."""

    features: pd.DataFrame
    label: pd.Series[Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """One set of options and what it reached on the validation days, in the primary metric's own direction."""

    options: Options
    score: float


def try_options(project: Project, options: Options, fit_on: Split, judge_on: Split, *, seed: int) -> Tried:
    """Train with the options on one part and score the other."""
    model = project.estimator.fit(fit_on.features, fit_on.label, options, seed=seed)
    metric = project.primary_metric
    return Tried(
        options=options,
        score=value(metric, judge_on.label.to_numpy(dtype=float), model.predict(judge_on.features)),
    )


def try_each(
    project: Project, choices: Sequence[Options], fit_on: Split, judge_on: Split, *, seed: int
) -> tuple[Tried, ...]:
    """Every set of options, in their order; fitted side by side, as many at a time as there are cores."""
    with ThreadPoolExecutor(max_workers=min(len(choices), os.cpu_count() or 1)) as pool:
        return tuple(pool.map(lambda options: try_options(project, options, fit_on, judge_on, seed=seed), choices))


def search(
    project: Project,
    fit_on: Split,
    judge_on: Split,
    *,
    trials: int,
    seed: int,
    on_trial: Callable[[int, Tried], None],
) -> tuple[Tried, ...]:
    """Optuna's TPE over the estimator's search space; `on_trial` is told of each. Best first."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    found: list[Tried] = []

    def objective(trial: optuna.Trial) -> float:
        tried = try_options(project, project.estimator.search_space(trial), fit_on, judge_on, seed=seed)
        found.append(tried)
        on_trial(trial.number, tried)
        return oriented(project.primary_metric, tried.score)

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    study.optimize(objective, n_trials=trials)
    return best_first(project, found)


def best_first(project: Project, tried: Sequence[Tried]) -> tuple[Tried, ...]:
    """Sorted by the primary metric; equals keep their order."""
    return tuple(sorted(tried, key=lambda t: oriented(project.primary_metric, t.score)))
