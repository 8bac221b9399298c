"""Whether a metric wants what it should: nothing may score better than the truth itself.

A metric with a sign error, or one that counts only what it costs to act, is won by a model that never acts.
`gatehouse gate selftest` examines the metrics that a project is judged by, whoever wrote them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gatehouse.errors import EvaluationError
from gatehouse.evaluation.metrics import FloatArray, Metric, Task
from gatehouse.evaluation.point import oriented, value

TOLERANCE = 1e-9


def perfection_flaw(metric: Metric, y: FloatArray, *, task: Task, classes: int = 0) -> str | None:
    """A sentence that names a prediction which beats the truth, or None if none of two dozen does.

    Args:
        metric: What to examine.
        y: Labels as they occur, shape (n,): with both classes, or all, and not all equal.
        task: What is predicted.
        classes: How many there are, in multiclass tasks.
    """
    truth = np.eye(classes)[y.astype(np.intp)] if task is Task.MULTICLASS else y.astype(np.float64)
    try:
        best = value(metric, y, truth)
    except EvaluationError as error:
        return f"{metric.name} is undefined for a perfect prediction: {error.what}"
    if not np.isfinite(best):
        return f"{metric.name} of a perfect prediction is {best}."
    rivals = _class_rivals(y, classes) if task is Task.MULTICLASS else _rivals(y, task)
    for name, prediction in rivals:
        try:
            found = value(metric, y, prediction)
        except EvaluationError:
            continue  # undefined for this rival, which then beats nobody
        if oriented(metric, found) < oriented(metric, best) - TOLERANCE * max(1.0, abs(best)):
            return f"By {metric.name}, {name} scores {found:.6g} and beats the truth itself, which scores {best:.6g}."
    return None


def _rivals(y: FloatArray, task: Task) -> Iterator[tuple[str, FloatArray]]:
    rng = np.random.default_rng(0)
    low, high = float(y.min()), float(y.max())
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        constant = low + share * (high - low)
        yield f"the constant {constant:.6g}", np.full(len(y), constant)
    yield "the mean", np.full(len(y), y.mean())
    yield "the opposite of the truth", low + high - y
    yield "the truth in another order", rng.permutation(y)
    for blur in (0.01, 0.1, 0.5, 0.9):
        noise = rng.uniform(low, high, len(y))
        yield f"the truth with {blur:.0%} noise", (1.0 - blur) * y + blur * noise
    if task is Task.REGRESSION:
        for factor in (-1.0, 0.5, 0.9, 1.1, 2.0):
            yield f"the truth times {factor:g}", factor * y
        yield "zero", np.zeros(len(y))


def _class_rivals(y: FloatArray, classes: int) -> Iterator[tuple[str, FloatArray]]:
    rng = np.random.default_rng(0)
    truth = np.eye(classes)[y.astype(np.intp)]
    for k in range(classes):
        yield f"always class {k}", np.tile(np.eye(classes)[k], (len(y), 1))
    for k in range(1, classes):
        yield f"the truth moved by {k}", np.roll(truth, k, axis=1)
    yield "equal probabilities", np.full((len(y), classes), 1.0 / classes)
    yield "the class frequencies", np.tile(truth.mean(axis=0), (len(y), 1))
    for blur in (0.01, 0.1, 0.5, 0.9):
        noise = rng.dirichlet(np.ones(classes), len(y))
        yield f"the truth with {blur:.0%} noise", (1.0 - blur) * truth + blur * noise
