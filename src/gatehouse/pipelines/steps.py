"""The pipelines by their names: one vocabulary for people, CI, job tasks and MLproject."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gatehouse.gates.promotion import CHAMPION
from gatehouse.pipelines.context import Context
from gatehouse.pipelines.export import export, shown
from gatehouse.pipelines.features import Refreshed, refresh
from gatehouse.pipelines.inference import Scored, infer, predictions_of
from gatehouse.pipelines.ingest import Ingested, ingest
from gatehouse.pipelines.mirror import mirror
from gatehouse.pipelines.monitoring import Monitored, monitor
from gatehouse.pipelines.training import Trained, train

ORDER = ("ingest", "features", "training", "inference", "monitoring")
"""The pipelines, each reading what the one before has written."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Results:
    """What each pipeline that ran has done; None or empty for those that did not."""

    ingest: tuple[Ingested, ...] = ()
    mirror: tuple[Ingested, ...] = ()
    features: tuple[Refreshed, ...] = ()
    training: Trained | None = None
    inference: Scored | None = None
    exported: tuple[str, ...] = field(default=())
    monitoring: Monitored | None = None
    report: Path | None = None

    def lines(self) -> list[str]:
        """The results as people read them."""
        lines = [
            f"{i.table}: {i.inserted:,} new, {i.updated:,} changed, {i.quarantined:,} set aside" for i in self.ingest
        ]
        lines += [f"{m.table} (mirror): {m.inserted:,} new, {m.updated:,} changed" for m in self.mirror]
        lines += [f"{r.table}: {r.rows:,} feature rows" for r in self.features]
        if self.training:
            lines += _training_lines(self.training)
        if self.inference:
            lines.append(f"{self.inference.rows:,} events scored with version {self.inference.model_version}")
        lines += [f"written to {place}" for place in self.exported]
        if self.monitoring:
            lines += self.monitoring.lines()
        if self.report:
            lines.append(f"report: {self.report}")
        return lines


def run_pipeline(
    context: Context, pipeline: str, *, hold_out_days: int | None = None, destinations: Sequence[str] = ()
) -> Results:
    """Run one pipeline, or several of them in order: `all`, or `daily`, which is all but training."""
    several = pipeline in ("all", "daily")
    wanted = {"all": ORDER, "daily": tuple(p for p in ORDER if p != "training")}.get(pipeline, (pipeline,))
    ingested = ingest(context) if "ingest" in wanted else ()
    mirrored = mirror(context) if "mirror" in wanted else ()
    refreshed = refresh(context) if "features" in wanted else ()
    trained = None
    if "training" in wanted:
        trained = train(context, proposer=proposer(context), hold_out_days=hold_out_days)
    served = not several or context.registry.by_alias(context.model, CHAMPION) is not None
    if not served:
        context.progress.note("There is no champion yet: nothing to score with, and nothing to monitor.")
    scored = infer(context) if served and "inference" in wanted else None
    exported = []
    for destination in destinations if scored else ():
        if scored and not scored.rows and "://" not in destination and Path(destination).exists():
            context.progress.note(f"{destination} stays as it is: nothing was scored.")
            continue
        with context.progress.step(f"write {shown(destination)}"):
            _export(context, scored, destination)  # type: ignore[arg-type]
        exported.append(shown(destination))
    monitored = report = None
    if served and "monitoring" in wanted:
        from gatehouse.pipelines.reporting import write_report

        monitored = monitor(context)
        report = write_report(context)
    return Results(
        ingest=ingested,
        mirror=mirrored,
        features=refreshed,
        training=trained,
        inference=scored,
        exported=tuple(exported),
        monitoring=monitored,
        report=report,
    )


def _export(context: Context, scored: Scored, destination: str) -> None:
    """In the order of time and key, so that the same run gives the same file."""
    keys = context.project.event_table.primary_key
    rows = predictions_of(context, scored.run_key).orderBy("event_time", *keys)
    export(rows, destination, run_key=scored.run_key)


def proposer(context: Context) -> str:
    """Who starts this training: the author of the commit it is made from, else the user of the machine."""
    author = context.code.author
    return author if author != "unknown" else getpass.getuser()


def _training_lines(trained: Trained) -> list[str]:
    version = trained.version
    lines = [f"version {version.version} of {version.model}" + (" (trained before)" if trained.reused else "")]
    for name, number in trained.metrics.items():
        lines.append(f"  hold-out {name}: {number:.4f} (baseline {trained.baseline_metrics[name]:.4f})")
    return lines
