"""The model of these tests predicts the number it is given as option; labels are all 3."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from gatehouse.evaluation.metrics import WholeSample
from gatehouse.pipelines.search import Split, Tried, best_first, search, try_each, try_options
from gatehouse.project import Project, Task

ROWS = Split(features=pd.DataFrame({"weight": [1.0, 2.0]}), label=pd.Series([3.0, 3.0]))


def test_options_are_scored_by_the_primary_metric_on_rows_they_were_not_fitted_on(project: Project) -> None:
    other = Split(features=ROWS.features, label=pd.Series([100.0, 100.0]))

    tried = try_options(project, {"number": 5.0}, other, ROWS, seed=1)

    assert tried == Tried(options={"number": 5.0}, score=2.0)


def test_each_of_several_options_is_scored_as_if_it_were_alone_and_their_order_is_kept(project: Project) -> None:
    choices = [{"number": float(n)} for n in (5, 1, 4, 3, 9)]

    tried = try_each(project, choices, ROWS, ROWS, seed=1)

    assert tried == tuple(try_options(project, options, ROWS, ROWS, seed=1) for options in choices)
    assert [t.score for t in tried] == [2.0, 2.0, 1.0, 0.0, 6.0]


def test_a_search_tells_of_every_trial_and_returns_them_best_first(project: Project) -> None:
    told: list[tuple[int, Tried]] = []

    found = search(project, ROWS, ROWS, trials=6, seed=1, on_trial=lambda n, t: told.append((n, t)))

    assert [number for number, _ in told] == [0, 1, 2, 3, 4, 5]
    assert found == tuple(sorted((t for _, t in told), key=lambda t: abs(float(t.options["number"]) - 3)))
    assert all(0 <= float(t.options["number"]) <= 10 for t in found)


def test_a_search_with_the_same_seed_is_the_same_search(project: Project) -> None:
    def run(seed: int) -> tuple[Tried, ...]:
        return search(project, ROWS, ROWS, trials=3, seed=seed, on_trial=lambda _n, _t: None)

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_where_more_is_better_the_largest_comes_first_and_equals_keep_their_order(project: Project) -> None:
    hits = WholeSample(
        name="hits",
        greater_is_better=True,
        tasks=(Task.REGRESSION,),
        compute=lambda y, p: float(np.mean(y == p)),
    )
    tried = [Tried(options={"number": n}, score=s) for n, s in ((1, 0.5), (2, 0.9), (3, 0.5))]

    best = best_first(replace(project, primary_metric=hits), tried)

    assert [t.options["number"] for t in best] == [2, 1, 3]
