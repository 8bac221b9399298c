"""The hold-out of a challenge: which events, in which table versions, and whether a contender was trained on them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from gatehouse.errors import DataError, GatehouseError, RegistryUnavailable
from gatehouse.gates.evidence import Training
from gatehouse.lakehouse.lineage import PREFIX, Lineage
from gatehouse.lakehouse.point_in_time import sample, visible
from gatehouse.lakehouse.tables import TableName
from gatehouse.pipelines.context import Context
from gatehouse.pipelines.dataset import LABEL_KNOWN_AT, Pinned, build, outcomes, pin
from gatehouse.pipelines.moments import utc
from gatehouse.pipelines.tables import GATE_DECISIONS
from gatehouse.pipelines.training import LINEAGE

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from gatehouse.lakehouse.registry import Version


@dataclass(frozen=True, kw_only=True, slots=True)
class HoldOutRows:
    """Events of (start, end] with features and labels, one row each. `label_share` is of those due to have a label.

    `events` are the same ones without features, which is all it takes to count them.
    """

    frame: DataFrame
    events: DataFrame
    pinned: Pinned
    start: datetime
    end: datetime
    label_share: float


def hold_out(context: Context, trainings: list[Lineage]) -> HoldOutRows:
    """The events after the last that any contender was trained on, up to as-of.

    An outcome that is known and gives no label (a cancelled flight) is not due: it will never have one.
    """
    from pyspark.sql import functions as F

    start = max(lineage.train_end for lineage in trainings)
    if start >= context.as_of:
        # Somebody was trained on everything there is. One instant of time holds no event, which the judge reports.
        start = context.as_of - timedelta(microseconds=1)
    pinned = pin(context)
    frame = build(context, pinned, after=start, until=context.as_of)
    events = outcomes(context, pinned, after=start, until=context.as_of)
    has_label = F.col(context.project.label.name).isNotNull()
    counted = events.agg(
        F.sum(has_label.cast("bigint")).alias("labelled"),
        F.sum((F.col(LABEL_KNOWN_AT).isNull() & ~has_label).cast("bigint")).alias("waiting"),
    ).toPandas()
    labelled, waiting = (int(counted[c].fillna(0).iloc[0]) for c in ("labelled", "waiting"))
    return HoldOutRows(
        frame=frame,
        events=events,
        pinned=pinned,
        start=start,
        end=context.as_of,
        label_share=labelled / (labelled + waiting) if labelled + waiting else 0.0,
    )


def training_of(context: Context, lineage: Lineage, rows: HoldOutRows, *, doubt: str | None = None) -> Training:
    """A contender's training window, with the number of the hold-out's keys among its training rows.

    Looked up in the very table version that it was trained on, not inferred from the window. `doubt` is why its lineage
    cannot be believed, if it cannot.
    """
    from pyspark.sql import functions as F

    project = context.project
    table = project.event_table
    keys = list(table.primary_key)
    name, version = _events_read(lineage, table.name)
    events = visible(context.tables.read(TableName.parse(name), version=version), table, lineage.as_of)
    time = F.col(project.events.time)
    trained = events.where((time > F.lit(lineage.train_start)) & (time <= F.lit(lineage.train_end))).select(*keys)
    share = context.settings.environment(lineage.environment).data_fraction if _is_known(context, lineage) else 1.0
    trained = sample(trained, keys, share)
    shared = rows.events.select(*keys).join(trained, keys, "left_semi").count()
    return Training(start=lineage.train_start, end=lineage.train_end, hold_out_keys=shared, doubt=doubt)


def doubt_of(context: Context, version: Version) -> str | None:
    """Why a version's tags cannot be believed: what training wrote in its run is gone, or says something else."""
    number = version.version
    try:
        written = context.tracking.read_dict(version.run_id, LINEAGE) if version.run_id else None
    except RegistryUnavailable:
        raise  # not an answer
    except (GatehouseError, ValueError) as error:
        said = error.what if isinstance(error, GatehouseError) else str(error)
        return f"The lineage that the training of version {number} wrote cannot be read ({said.rstrip('.')})."
    if written is None:
        return f"The run that trained version {number} is gone, or holds no {LINEAGE}."
    differing = sorted(name for name, text in written.items() if version.tags.get(name) != text)
    if not differing and set(written) >= {f"{PREFIX}{field.name}" for field in fields(Lineage)}:
        return None
    first = differing[0] if differing else "an unknown tag"
    return (
        f"Version {number} is tagged {first} = {version.tags.get(first)}, and its training wrote {written.get(first)}"
        f"{f' ({len(differing)} tags differ)' if len(differing) > 1 else ''}."
    )


def _events_read(lineage: Lineage, table: str) -> tuple[str, int]:
    """The events' table and version that were trained on."""
    for name, version in lineage.data_versions.items():
        if name.rpartition(".")[2] == table:
            return name, version
    raise DataError(
        f"It is not on record which version of {table} was read in training.",
        why="Whether the hold-out was trained on is looked up in the very rows that were read.",
        remedy="Train the version again with `gatehouse run training`.",
    )


def _is_known(context: Context, lineage: Lineage) -> bool:
    return lineage.environment in context.settings.environments.environments


@dataclass(frozen=True, kw_only=True, slots=True)
class Before:
    """What was judged before: `versions` other ones on hold-outs that share more than half of this one's time.

    `looks` are the hold-outs and opponents, other than these, that the version itself was judged on and against, with
    whatever verdict. The same hold-out and opponent once more is the same look: it says the same.
    """

    versions: int
    looks: int


def judged_before(context: Context, rows: HoldOutRows, version: str, *, opponent: str) -> Before:
    """From the decisions on record. `opponent` is named as the record's row names it."""
    name = context.own(GATE_DECISIONS.name)
    if not context.tables.exists(name):
        return Before(versions=0, looks=0)
    found = context.tables.read(name).select("version", "opponent", "hold_out_start", "hold_out_end").toPandas()
    length = (rows.end - rows.start).total_seconds()
    others, looks = set(), set()
    for row in found.to_dict("records"):
        start, end = utc(row["hold_out_start"]), utc(row["hold_out_end"])
        if start is None or end is None:
            continue
        overlap = (min(end, rows.end) - max(start, rows.start)).total_seconds()
        if row["version"] == version:
            looks.add((start, end, row["opponent"]))
        elif overlap > length / 2:
            others.add(row["version"])
    return Before(versions=len(others), looks=len(looks - {(rows.start, rows.end, opponent)}))
