"""What a window looked like: rows, expectations, drift of inputs and predictions, accuracy where labels are known.

Every figure is one row of `monitoring_metrics`; a run replaces the rows of its own as-of, so it can be repeated. Pages,
dashboards and alerts read that table and measure nothing themselves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from gatehouse.errors import StateError
from gatehouse.evaluation import drift
from gatehouse.evaluation.measurement import Unmeasured, Value, measure
from gatehouse.evaluation.significance import evidence_of_value
from gatehouse.evaluation.statistics import collect
from gatehouse.lakehouse.lineage import Lineage
from gatehouse.lakehouse.point_in_time import visible
from gatehouse.lakehouse.tables import Equals
from gatehouse.pipelines.context import Context
from gatehouse.pipelines.dataset import EVENT_TIME, OUTCOME, UNIT, derived, slice_column
from gatehouse.pipelines.decisions import JUDGED_TAG
from gatehouse.pipelines.moments import utc
from gatehouse.pipelines.runs import Run, record
from gatehouse.pipelines.tables import EXPECTATIONS, METRICS, predictions_table
from gatehouse.pipelines.training import REFERENCE, prefixed
from gatehouse.project import Task
from gatehouse.reports.accuracy import BY_CHANCE, SHORTFALL, UNITS
from gatehouse.reports.inputs import State, drift_state

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import DataFrame

    from gatehouse.lakehouse.tables import TableName

PREDICTIONS = "predictions"


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One row of the metrics table, less the run's own columns. An empty `unit` means the whole window."""

    metric: str
    subject: str
    value: float | None
    rows: int
    model_version: str = ""
    unit: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Monitored:
    """What a run found. `drifted` are features with their population stability index, largest first, where it is beyond
    both the alert threshold and what ordinary windows of this length show."""

    window_start: datetime
    window_end: datetime
    predictions: int
    labelled: int
    metrics: dict[str, float]
    drifted: tuple[tuple[str, float], ...]

    def lines(self) -> list[str]:
        """The finding as people read it."""
        window = f"{self.window_start:%Y-%m-%d} to {self.window_end:%Y-%m-%d}"
        lines = [f"{window}: {self.predictions:,} predictions, labels of {self.labelled:,} are known"]
        lines += [f"  {name}: {number:.4f}" for name, number in self.metrics.items()]
        if self.drifted:
            lines.append("  drift: " + ", ".join(f"{name} {number:.2f}" for name, number in self.drifted))
        return lines


def monitor(context: Context) -> Monitored:
    """Measure the window that ends at as-of and write its figures."""
    with context.alone("monitoring"):
        start = context.as_of - timedelta(days=context.settings.monitoring.window_days)
        with context.progress.step("count rows and expectations"):
            figures = [*_row_figures(context, start), *_expectation_figures(context, start)]
        log = _log(context, start)
        versions = _versions(log)
        with context.progress.step("measure drift"):
            for version, rows in versions.items():
                figures.append(
                    Figure(
                        metric="predictions",
                        subject=PREDICTIONS,
                        value=rows,
                        rows=rows,
                        model_version=version,
                    )
                )
                figures += _drift_figures(context, log, version)
        with context.progress.step("measure accuracy where labels are known"):
            for version in versions:
                figures += _accuracy_figures(context, log, version, start)
        _write(context, figures, start)
    return _found(context, figures, start, versions)


def _row_figures(context: Context, start: datetime) -> Iterator[Figure]:
    from pyspark.sql import functions as F

    for source in context.project.sources:
        table = source.table
        rows = visible(context.tables.read(context.source(table.name)), table, context.as_of)
        number = rows.where(F.col(table.known_at) > F.lit(start)).count()
        yield Figure(metric="rows", subject=table.name, value=number, rows=number)


def _expectation_figures(context: Context, start: datetime) -> list[Figure]:
    from pyspark.sql import functions as F

    name = context.source(EXPECTATIONS.name)
    if not context.tables.exists(name):
        return []
    moment = F.col("as_of")
    counted = (
        context.tables.read(name)
        .where((moment > F.lit(start)) & (moment <= F.lit(context.as_of)))
        .groupBy("table_name", "expectation")
        .agg(F.sum("violations").alias("violations"), F.sum("rows_checked").alias("rows"))
        .orderBy("table_name", "expectation")
        .toPandas()
    )
    return [
        Figure(
            metric="violations",
            subject=f"{r['table_name']}.{r['expectation']}",
            value=float(r["violations"]),
            rows=int(r["rows"]),
        )
        for r in counted.to_dict("records")
    ]


def _log(context: Context, start: datetime) -> DataFrame:
    """The predictions of the window, made by as-of; an event that was scored twice counts by its last scoring."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    table = predictions_table(context.project)
    name = context.own(table.name)
    context.tables.create(name, table)
    moment = F.col(EVENT_TIME)
    rows = visible(context.tables.read(name), table, context.as_of)
    rows = rows.where((moment > F.lit(start)) & (moment <= F.lit(context.as_of)))
    latest = Window.partitionBy(*context.project.event_table.primary_key).orderBy(
        F.col("predicted_at").desc(), "run_key"
    )
    return rows.withColumn("_rank", F.row_number().over(latest)).where(F.col("_rank") == 1).drop("_rank")


def _versions(log: DataFrame) -> dict[str, int]:
    counted = log.groupBy("model_version").count().orderBy("model_version").toPandas()
    return {str(v): int(n) for v, n in zip(counted["model_version"], counted["count"], strict=True)}


def _drift_figures(context: Context, log: DataFrame, version: str) -> Iterator[Figure]:
    from pyspark.sql import functions as F

    reference = _reference(context, version)
    if reference is None:
        context.progress.note(f"Version {version} has no {REFERENCE}: its drift cannot be measured.")
        return
    for found in drift.measure(log.where(F.col("model_version") == F.lit(version)), reference):
        subject = PREDICTIONS if found.column == "prediction" else found.column
        for metric, value in (
            ("drift_psi", found.psi),
            ("drift_usual", found.usual_psi),
            ("missing_rate", found.missing_rate),
        ):
            yield Figure(metric=metric, subject=subject, value=value, rows=found.rows, model_version=version)


def _reference(context: Context, version: str) -> drift.DriftReference | None:
    known = context.registry.get(context.model, version)
    content = context.tracking.read_dict(known.run_id, REFERENCE) if known.run_id else None
    return drift.DriftReference.from_dict(content) if content is not None else None


def _accuracy_figures(context: Context, log: DataFrame, version: str, start: datetime) -> Iterator[Figure]:
    from pyspark.sql import functions as F

    project = context.project
    label = project.label.name
    scored = log.where(F.col("model_version") == F.lit(version)).join(
        _labels(context, start), list(project.event_table.primary_key)
    )
    if scored.where(F.col(label).isNotNull()).isEmpty():
        yield Figure(metric="labelled", subject=label, value=0.0, rows=0, model_version=version)
        return
    column = "probabilities" if project.task is Task.MULTICLASS else "prediction"
    slices = [slice_column(s.name) for s in project.slices]
    statistics = collect(
        scored,
        unit=UNIT,
        label=label,
        predictions={version: column},
        slices=[UNIT, *slices],
        metrics=project.metrics,
        task=project.task,
        classes=len(project.classes),
    )
    for metric in project.metrics:
        for key in statistics.slices:
            found = measure(statistics, metric=metric, key=key, contender=version)
            value = None if isinstance(found, Unmeasured) else found.value
            of_unit = key.column == UNIT
            yield Figure(
                metric=metric.name,
                subject=label if of_unit or not key.column else key.name.removeprefix("slice_"),
                value=value,
                rows=found.rows,
                model_version=version,
                unit=key.value if of_unit else "",
            )
            if metric is project.primary_metric and not key.column:
                yield Figure(metric="labelled", subject=label, value=found.rows, rows=found.rows, model_version=version)
                if isinstance(found, Value):
                    yield from _change_figures(context, found, version, start)


def _change_figures(context: Context, found: Value, version: str, start: datetime) -> Iterator[Figure]:
    """How much worse the primary metric is than on the hold-out, and how much chance makes of that.

    The units of the hold-out are taken to vary as those of the window do: nobody kept how they varied.
    """
    metric = context.project.primary_metric
    try:
        before, held_out = _let_through_with(context, version)
    except StateError:
        context.progress.note(f"What version {version} had on a hold-out is not on record: nothing to compare with.")
        return
    shown = evidence_of_value(found)
    apart = math.sqrt(1.0 + (context.as_of - start) / held_out)
    by_chance = None if isinstance(shown, Unmeasured) else (shown.interval(0.9)[1] - shown.difference) * apart
    worse = before - found.value if metric.greater_is_better else found.value - before
    for name, value in ((SHORTFALL, worse), (BY_CHANCE, by_chance), (UNITS, float(len(found.units)))):
        yield Figure(metric=name, subject=metric.name, value=value, rows=found.rows, model_version=version)


def _let_through_with(context: Context, version: str) -> tuple[float, timedelta]:
    """The primary metric on the hold-out, and how long that was: of a refit, what the version had that was judged.

    Raises:
        StateError: it is not on record.
    """
    known = context.registry.get(context.model, version)
    if (judged := known.tags.get(JUDGED_TAG, version)) != version:
        known = context.registry.get(context.model, judged)
    lineage = Lineage.from_tags(known.tags, known.version)
    kept = context.tracking.read_metrics(known.run_id) if known.run_id else {}
    (name,) = prefixed("hold_out", {context.project.primary_metric.name: 0.0})
    if name not in kept:
        raise StateError(
            f"Version {known.version} has no {name}.",
            why="It was trained without a hold-out, or its run is gone.",
            remedy="Train the next one with hold_out_days in conf/training.yml.",
        )
    return kept[name], lineage.hold_out_end - lineage.train_end


def _labels(context: Context, start: datetime) -> DataFrame:
    """Key, label and slices of the window's events, as known at as-of."""
    from pyspark.sql import functions as F

    project = context.project
    table = project.event_table
    rows = visible(context.tables.read(context.source(table.name)), table, context.as_of)
    rows = derived(context, rows.where(F.col(project.events.time) > F.lit(start)))
    return rows.select(
        *table.primary_key,
        F.col(f"{OUTCOME}.label").alias(project.label.name),
        *(F.expr(s.expression).cast("string").alias(slice_column(s.name)) for s in project.slices),
    )


def _write(context: Context, figures: list[Figure], start: datetime) -> None:
    name = context.own(METRICS.name)
    context.tables.create(name, METRICS)
    rows: list[tuple[object, ...]] = [
        (context.as_of, start, context.as_of, f.metric, f.subject, f.model_version, f.unit, f.value, f.rows)
        for f in figures
    ]
    rows = [(*r[:7], None if r[7] is None else float(r[7]), r[8]) for r in rows]  # type: ignore[arg-type]
    if _is_stored(context, name, figures, start):
        version = context.tables.version(name)
    else:
        frame = context.frame(rows, METRICS.name)
        version = context.tables.replace(name, frame, where=Equals("as_of", context.as_of))
    record(context, Run(pipeline="monitoring", target=METRICS.name, since=start, rows=len(rows), version=version))


def _is_stored(context: Context, name: TableName, figures: list[Figure], start: datetime) -> bool:
    """Whether a run at this as-of has written these figures before, but for the last digits, which follow the order."""
    from pyspark.sql import functions as F

    at = context.tables.read(name).where(F.col("as_of") == F.lit(context.as_of))
    columns = ("metric", "subject", "model_version", "unit_value", "rows", "value", "window_start")
    found = {tuple(row[:5]): row for row in at.select(*columns).collect()}
    if found.keys() != {(f.metric, f.subject, f.model_version, f.unit, f.rows) for f in figures}:
        return False
    for figure in figures:
        row = found[figure.metric, figure.subject, figure.model_version, figure.unit, figure.rows]
        if utc(row["window_start"]) != start or (row["value"] is None) != (figure.value is None):
            return False
        if figure.value is not None and not math.isclose(row["value"], figure.value, rel_tol=1e-9, abs_tol=1e-12):
            return False
    return True


def _found(context: Context, figures: list[Figure], start: datetime, versions: dict[str, int]) -> Monitored:
    newest = max(versions, key=lambda v: (len(v), v), default="")
    whole = [f for f in figures if f.model_version == newest and not f.unit]
    usual = {f.subject: f.value for f in whole if f.metric == "drift_usual"}
    thresholds = context.settings.monitoring
    drifted = [
        (f.subject, f.value)
        for f in whole
        if f.metric == "drift_psi"
        and f.value is not None
        and drift_state(f.value, usual.get(f.subject), thresholds) is State.ALERT
    ]
    names = {m.name for m in context.project.metrics}
    label = context.project.label.name
    return Monitored(
        window_start=start,
        window_end=context.as_of,
        predictions=sum(versions.values()),
        labelled=sum(f.rows for f in figures if f.metric == "labelled"),
        metrics={f.metric: f.value for f in whole if f.metric in names and f.subject == label and f.value is not None},
        drifted=tuple(sorted(drifted, key=lambda d: -d[1])),
    )
