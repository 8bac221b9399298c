"""The evidence of a challenge: candidate and opponent scored on the same rows in one pass, then arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatehouse.errors import DataError, EvaluationError
from gatehouse.evaluation.statistics import collect
from gatehouse.gates.admissibility import choose_mode
from gatehouse.gates.evidence import ChallengeEvidence, Contender, Training
from gatehouse.gates.gather import Question, gather, nothing_measured
from gatehouse.gates.policy import Mode, Policy
from gatehouse.lakehouse.lineage import Lineage
from gatehouse.pipelines.context import Context
from gatehouse.pipelines.dataset import EVENT_TIME, UNIT, build, pin, slice_column
from gatehouse.pipelines.decisions import row_name
from gatehouse.pipelines.hold_out import Before, HoldOutRows, doubt_of, hold_out, judged_before, training_of
from gatehouse.pipelines.inference import features_of
from gatehouse.pipelines.scoring import Predict, fitted, score_beside, stored_model
from gatehouse.project import Window

if TYPE_CHECKING:
    from gatehouse.lakehouse.registry import Version
    from gatehouse.project import Project


@dataclass(frozen=True, kw_only=True, slots=True)
class Challenged:
    """The evidence, and the Delta versions of the tables that the hold-out was read from."""

    evidence: ChallengeEvidence
    data_versions: dict[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """Everything about a challenge that can be known without a look into the candidate's files."""

    rows: HoldOutRows
    opponent: Contender
    predict_opponent: Predict | None
    training: Training
    mode: Mode
    mode_reason: str
    before: Before


def challenge(context: Context, candidate: Version, champion: Version | None, policy: Policy) -> Challenged:
    """Measure a candidate against the champion or, if the registry says there is none, the policy's `first`."""
    return measure(context, candidate, prepare(context, candidate, champion, policy))


def prepare(context: Context, candidate: Version, champion: Version | None, policy: Policy) -> Prepared:
    """The hold-out, who was trained on what of it, and the opponent. Nothing of the candidate is loaded."""
    mine = Lineage.from_tags(candidate.tags, candidate.version)
    theirs = Lineage.from_tags(champion.tags, champion.version) if champion else None
    rows = hold_out(context, [mine, theirs] if theirs else [mine])
    training = training_of(context, mine, rows, doubt=doubt_of(context, candidate))
    opponent, predict_opponent = _opponent(context, mine, champion, theirs, policy, rows, training)
    same_code = theirs is not None and theirs.code_digest == mine.code_digest
    mode, why = choose_mode(policy, first=theirs is None, same_code=same_code)
    return Prepared(
        rows=rows,
        opponent=opponent,
        predict_opponent=predict_opponent,
        training=training,
        mode=mode,
        mode_reason=why,
        before=judged_before(context, rows, candidate.version, opponent=row_name(opponent.kind, opponent.version)),
    )


def measure(context: Context, candidate: Version, prepared: Prepared) -> Challenged:
    """Score both on the same rows, and compare."""
    from pyspark.sql import functions as F

    rows, opponent = prepared.rows, prepared.opponent
    predictors: dict[str, Predict] = {"candidate": predict_with(context, candidate)}
    if prepared.predict_opponent is not None:
        predictors[opponent.kind] = prepared.predict_opponent
    project = context.project
    wanted = list(dict.fromkeys([*project.features, *project.baseline.columns, UNIT, project.label.name]))
    slices = [slice_column(s.name) for s in project.slices]
    scored = score_beside(rows.frame.select(*wanted, *slices), predictors, project.task).select(
        UNIT,
        project.label.name,
        *predictors,
        *(F.col(slice_column(s.name)).alias(s.name) for s in project.slices),
    )
    question = Question(
        candidate=Contender(
            kind="candidate",
            version=candidate.version,
            files_digest=context.registry.digest(context.model, candidate.version),
            training=prepared.training,
        ),
        opponent=opponent,
        mode=prepared.mode,
        mode_reason=prepared.mode_reason,
        unit=project.unit.name,
        primary_metric=project.primary_metric,
        guardrail_metrics=project.guardrail_metrics,
        required_slices=required_slices(project),
        window=Window(start=rows.start, end=rows.end),
        label_share=rows.label_share,
        judged_before=prepared.before.versions,
        looks_before=prepared.before.looks,
    )
    try:
        statistics = collect(
            scored,
            unit=UNIT,
            label=project.label.name,
            predictions={name: name for name in predictors},
            slices=[s.name for s in project.slices],
            metrics=project.metrics,
            task=project.task,
            classes=len(project.classes),
        )
        evidence = gather(statistics, question)
    except EvaluationError as error:
        evidence = nothing_measured(question, error.what)
    return Challenged(evidence=evidence, data_versions=rows.pinned.as_text())


def required_slices(project: Project) -> list[str]:
    """As evidence names them."""
    return [f"{s.name}={value}" for s in project.slices if s.required for value in s.values]


def _opponent(
    context: Context,
    mine: Lineage,
    champion: Version | None,
    theirs: Lineage | None,
    policy: Policy,
    rows: HoldOutRows,
    training: Training,
) -> tuple[Contender, Predict | None]:
    if champion is not None and theirs is not None:
        contender = Contender(
            kind="champion",
            version=champion.version,
            files_digest=context.registry.digest(context.model, champion.version),
            training=training_of(context, theirs, rows, doubt=doubt_of(context, champion)),
        )
        return contender, predict_with(context, champion)
    if policy.first == "threshold":
        return Contender(kind="threshold", threshold=policy.threshold), None
    return Contender(kind="baseline", training=training), _baseline(context, mine)


def predict_with(context: Context, version: Version) -> Predict:
    """A registered version as a predictor; DataError if this code no longer brings its features."""
    folder = context.registry.download(context.model, version.version)
    return stored_model(folder, features_of(context, folder, version))


def _baseline(context: Context, mine: Lineage) -> Predict:
    """The project's rule of thumb, learnt from the rows that the candidate was trained on."""
    from pyspark.sql import functions as F

    project = context.project
    label = project.label.name
    frame = build(context, pin(context), after=mine.train_start, until=mine.train_end)
    keys = list(project.event_table.primary_key)
    wanted = list(dict.fromkeys([EVENT_TIME, *keys, label, *project.baseline.columns]))
    rows = frame.where(F.col(label).isNotNull()).select(*wanted).toPandas()
    if rows.empty:
        raise DataError(
            f"No labelled event lies in the candidate's training window (to {mine.train_end:%Y-%m-%d}).",
            why="The baseline learns from the rows that the candidate learnt from.",
            remedy="Ingest the history again, or train the candidate on data that are there.",
        )
    rows = rows.sort_values([EVENT_TIME, *keys], ignore_index=True)
    return fitted(project.baseline.fit(rows, rows[label]))
