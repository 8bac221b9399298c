"""Which code is live in an environment, and how another becomes it: entered in the audit log, after a comparison.

New code scores the champion on rows that the live code scored, in a schema that is thrown away. Where it cannot, or
predicts something else, the live code stays.
"""

from __future__ import annotations

import dataclasses
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from gatehouse.errors import Busy, EvaluationError, GatehouseError, RegistryUnavailable, StateError
from gatehouse.gates.deployment import Rescored, judge_deployment, shifts
from gatehouse.gates.identity import Identity
from gatehouse.gates.promotion import CHAMPION
from gatehouse.gates.verdict import Finding, Outcome
from gatehouse.pipelines.context import Context
from gatehouse.pipelines.dataset import EVENT_TIME, build, pin
from gatehouse.pipelines.ephemeral import Wanted, ephemeral_schema
from gatehouse.pipelines.features import refresh
from gatehouse.pipelines.inference import features_of
from gatehouse.pipelines.moments import utc
from gatehouse.pipelines.scoring import PREDICTION, PROBABILITIES, score, stored_model
from gatehouse.pipelines.tables import predictions_table
from gatehouse.project import Task

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import pandas as pd
    from pyspark.sql import DataFrame

    from gatehouse.lakehouse.registry import Version
    from gatehouse.settings import Settings

DEPLOYED, WENT_BACK = "code_deployed", "code_rolled_back"
Elsewhere = Callable[["Settings", str, datetime], Context]
"""An environment of other settings at a moment, with the right to write its own schema alone."""

_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_INSTANT = timedelta(microseconds=1)
_LOGGED = "_logged"


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveCode:
    """The code of an environment. `ref` is the tag or branch it came from, empty if nobody said."""

    commit: str
    ref: str
    training_digest: str
    actor: str
    at: datetime
    entry: int

    def __str__(self) -> str:
        return f"{self.ref} ({self.commit[:12]})" if self.ref else self.commit[:12]


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployed:
    """What became of a deployment. `finding` is what the comparison said; None: there was nothing to compare."""

    live: LiveCode
    before: LiveCode | None
    already: bool
    finding: Finding | None = None


def live_code(context: Context) -> LiveCode | None:
    """The code that is live; None if none was ever deployed."""
    way = _way(context)
    return way[-1] if way else None


def compared(context: Context, elsewhere: Elsewhere, champion: Version) -> Finding:
    """Score the champion with the code of this process, on rows that the live code scored.

    Raises:
        EvaluationError: it cannot, or scores it otherwise than the policy allows.
    """
    with context.progress.step(f"score champion version {champion.version} with this code"):
        finding = judge_deployment(_rescore(context, elsewhere, champion), context.policy.deployment)
    _refuse_other_predictions(context, finding, live_code(context))
    return finding


def deploy(
    context: Context,
    compare: Callable[[Version], Finding],
    *,
    ref: str,
    actor: Identity,
    activate: Callable[[], None] = lambda: None,
) -> Deployed:
    """Make the code of this process the live one, if it predicts with the champion what the live one did.

    `compare` is `compared`, here or in a run of its own; `activate` puts the code where jobs find it.

    Raises:
        StateError: it is not the code of a commit.
        EvaluationError: it cannot score the champion, or scores it otherwise; the live code stays.
    """
    commit = _refuse_unknown(context)
    with context.alone("deploy"):
        before = live_code(context)
        if before is not None and before.commit == commit:
            return Deployed(live=before, before=before, already=True)
        champion = context.registry.by_alias(context.model, CHAMPION)
        finding = compare(champion) if champion is not None else None
        activate()
        details = {
            "commit": commit,
            "ref": ref,
            "training_digest": context.code.training_digest,
            "from": before.commit if before else None,
            "champion": champion.version if champion else None,
            "finding": finding.reason if finding else None,
        }
        return Deployed(live=_enter(context, DEPLOYED, details, actor), before=before, already=False, finding=finding)


def code_before(context: Context) -> LiveCode:
    """The code that was live before the present one. What was gone back from is no target: twice goes further back."""
    way = _way(context)
    if len(way) < 2:
        raise StateError(
            f"No code was live in {context.name} before {'the present one' if way else 'any was deployed'}.",
            why="A rollback goes to code that was live, never to a guess.",
            remedy="Check the commit out that you want, and deploy it: gatehouse deploy",
        )
    return way[-2]


def go_back(context: Context, *, reason: str, actor: Identity) -> tuple[LiveCode, LiveCode]:
    """Make the code that was live before the present one live again; returns it, and what it took over from."""
    with context.alone("deploy"):
        target, present = code_before(context), _way(context)[-1]
        details = {
            "commit": target.commit,
            "ref": target.ref,
            "training_digest": target.training_digest,
            "from": present.commit,
            "to_entry": target.entry,
            "reason": reason,
        }
        return _enter(context, WENT_BACK, details, actor), present


def _way(context: Context) -> list[LiveCode]:
    """The codes that led to the live one, oldest first, without those that were gone back from."""
    way: list[LiveCode] = []
    for entry in context.audit.entries():
        if entry.action not in (DEPLOYED, WENT_BACK):
            continue
        if entry.action == WENT_BACK:
            while way and way[-1].entry != entry.details["to_entry"]:
                way.pop()
            continue
        commit = str(entry.details["commit"])
        if not _COMMIT.fullmatch(commit):
            raise StateError(
                f"Entry {entry.seq} of the audit log names {commit!r}, which is no commit.",
                why="It would be checked out and run.",
                remedy=f"gatehouse audit verify --env {context.name}",
            )
        way.append(
            LiveCode(
                commit=commit,
                ref=str(entry.details["ref"]),
                training_digest=str(entry.details["training_digest"]),
                actor=entry.actor,
                at=entry.at,
                entry=entry.seq,
            )
        )
    return way


def _enter(context: Context, action: str, details: dict[str, Any], actor: Identity) -> LiveCode:
    context.audit.append(
        action=action,
        actor=actor.name,
        actor_source=f"{actor.established_by} ({actor.strength})",
        details=details,
    )
    live = live_code(context)
    assert live is not None  # noqa: S101 - it has just been entered
    return live


def _refuse_unknown(context: Context) -> str:
    commit = context.code.commit
    if not _COMMIT.fullmatch(commit):
        raise StateError(
            "This code has changes that no commit holds." if "+" in commit else "This code is of no known commit.",
            why="What is live must be found again: for a rollback, and to say what a prediction was made with.",
            remedy="Commit the changes (git status shows them), then run the same command again.",
        )
    return commit


def _refuse_other_predictions(context: Context, finding: Finding, before: LiveCode | None) -> None:
    if finding.outcome is Outcome.PROMOTE:
        return
    stays = f"the code that is live in {context.name} stays: {before}" if before else "no code becomes live"
    raise EvaluationError(
        f"{finding.reason} So {stays}.",
        why="The champion was judged with the predictions of before; with others nobody knows how good it is.",
        remedy=finding.next_step,
    )


def _rescore(context: Context, elsewhere: Elsewhere, champion: Version) -> Rescored:
    """Features computed anew from the stored source tables, in a schema that goes at once."""
    schema = f"deployment_{uuid.uuid4().hex[:12]}"
    environment = context.environment
    wanted = Wanted(
        env=context.name,
        schema=schema,
        project=context.project.name,
        commit=context.code.commit,
        keep_failed=timedelta(0),
    )
    aside = environment.model_copy(
        update={
            "db_schema": schema,
            "sources_from": environment.sources_from or context.name,
            "clock": "now",
            "replay": None,
            "search": False,
            "protected": False,
            "serving": None,
        }
    )
    with ephemeral_schema(
        context.platform, context.settings, wanted, aside, called=schema, clock=context.clock, progress=context.progress
    ) as claimed:
        try:
            logged, moment = _newest_logged(context, champion)
            return _compare(elsewhere(claimed.settings, schema, moment), context, champion, logged)
        except (Busy, RegistryUnavailable):
            raise
        except Exception as error:
            said = error.what if isinstance(error, GatehouseError) else f"{type(error).__name__}: {error}"
            raise EvaluationError(
                f"This code cannot score champion version {champion.version}: {said}",
                why="It would take over a champion that it cannot use, so the live code stays.",
                remedy="Mend what it names. If the change is meant, promote a version that this code can use first.",
            ) from error


def _newest_logged(context: Context, champion: Version) -> tuple[DataFrame | None, datetime]:
    """Keys and predictions of the champion's last scoring run, the newest, and its as-of; None: there are none."""
    from pyspark.sql import functions as F

    declared = predictions_table(context.project)
    name = context.own(declared.name)
    if not context.tables.exists(name):
        return None, context.as_of
    log = context.tables.read(name).where(F.col("model_version") == F.lit(champion.version))
    moment = utc(log.agg(F.max("predicted_at").alias("moment")).toPandas()["moment"].iloc[0])
    if moment is None:
        return None, context.as_of
    keys = context.project.event_table.primary_key
    newest = (
        log.where(F.col("predicted_at") == F.lit(moment))
        .orderBy(F.col(EVENT_TIME).desc(), *keys)
        .limit(context.policy.deployment.rows)
    )
    return newest.select(*keys, EVENT_TIME, PREDICTION, PROBABILITIES), moment


def _compare(aside: Context, context: Context, champion: Version, logged: DataFrame | None) -> Rescored:
    folder = context.registry.download(context.model, champion.version)
    wanted = features_of(context, folder, champion)
    project = context.project
    # What the champion does not read may be new, and its sources not there yet.
    read = {*wanted, *project.baseline.columns}
    tables = tuple(t for t in project.feature_tables if not read.isdisjoint(t.features))
    narrowed = dataclasses.replace(project, features=tuple(wanted), feature_tables=tables)
    aside = dataclasses.replace(aside, project=narrowed)
    refresh(aside)
    if logged is None:
        recent = aside.as_of - timedelta(days=context.settings.monitoring.window_days)
        _score(aside, folder, wanted, recent, aside.as_of).limit(context.policy.deployment.rows).toPandas()
        return Rescored(version=champion.version, rows=0, missing=0, mean_shift=0.0, largest_shift=0.0)
    keys = list(project.event_table.primary_key)
    before = logged.toPandas()
    first, last = utc(before[EVENT_TIME].min()), utc(before[EVENT_TIME].max())
    assert first is not None  # noqa: S101 - a logged run has rows
    assert last is not None  # noqa: S101
    after = _score(aside, folder, wanted, first - _INSTANT, last).toPandas()
    both = before.merge(after, on=keys, how="left", suffixes=(_LOGGED, ""))
    return _measured(both, project.task, champion.version)


def _score(aside: Context, folder: Path, wanted: list[str], after: datetime, until: datetime) -> DataFrame:
    keys = aside.project.event_table.primary_key
    events = build(aside, pin(aside), after=after, until=until)
    rows = events.select(*keys, *(name for name in wanted if name not in keys))
    return score(rows, stored_model(folder, wanted), aside.project.task).select(*keys, PREDICTION, PROBABILITIES)


def _measured(both: pd.DataFrame, task: Task, version: str) -> Rescored:
    import numpy as np

    column = PROBABILITIES if task is Task.MULTICLASS else PREDICTION
    gone = both[column].isna() & both[f"{column}{_LOGGED}"].notna()
    there = both[both[column].notna() & both[f"{column}{_LOGGED}"].notna()]
    moved = np.zeros(1)
    if len(there):
        moved = shifts(_numbers(there[f"{column}{_LOGGED}"]), _numbers(there[column]))
    return Rescored(
        version=version,
        rows=len(both),
        missing=int(gone.sum()),
        mean_shift=float(moved.mean()),
        largest_shift=float(moved.max()),
    )


def _numbers(column: pd.Series[Any]) -> np.ndarray:
    import numpy as np

    return np.asarray(column.to_list(), dtype=float)
