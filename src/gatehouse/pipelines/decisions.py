"""Decision records where they are kept: with the run that trained the version, in the gate tables, and for people."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from gatehouse.errors import StateError
from gatehouse.evaluation.comparison import Comparison
from gatehouse.evaluation.measurement import Unmeasured
from gatehouse.evaluation.significance import Evidence
from gatehouse.evaluation.significance import evidence as evidence_of
from gatehouse.gates.evidence import ChallengeEvidence
from gatehouse.gates.record import DecisionRecord
from gatehouse.gates.verdict import Outcome
from gatehouse.pipelines.context import Context
from gatehouse.pipelines.tables import GATE_DECISIONS, GATE_METRICS

if TYPE_CHECKING:
    from gatehouse.lakehouse.registry import Version

RECORD_TAG = "gatehouse_record"
VERDICT_TAG = "gatehouse_verdict"
JUDGED_TAG = "gatehouse_judged_version"
"""On a refit: the version whose record it shares."""
JUDGED = "judged"
"""What the audit log calls it that a record was made."""
_DECISION = "\n\n## Decision\n\n"
OWN_TAGS = (RECORD_TAG, VERDICT_TAG, JUDGED_TAG)
"""What the gates write on a version; everything else there is its lineage."""


def keep(context: Context, record: DecisionRecord) -> Path:
    """Store a record. Its digest goes to the version's tags last: a tag never names a record that is not there."""
    digest = record.digest()
    _write_metrics(context, record, digest)
    _write_decision(context, record, digest)
    path = folder(context) / f"version-{record.promoted.version}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    partial.write_text(record.to_json(), encoding="utf-8")
    partial.replace(path)
    versions = dict.fromkeys([record.candidate.version, record.promoted.version])
    for version in versions:
        known = context.registry.get(context.model, version)
        if known.run_id is not None:
            context.tracking.write_text(known.run_id, _artefact(digest), record.to_json())
        context.registry.set_description(context.model, version, _described(known.description, record, digest))
        tags = {RECORD_TAG: digest, VERDICT_TAG: record.verdict.value, JUDGED_TAG: record.candidate.version}
        context.registry.set_tags(context.model, version, tags)
    return path


def enter(context: Context, record: DecisionRecord) -> None:
    """Say in the audit log that this record was made: once, however often it is called."""
    digest = record.digest()
    context.audit.append(
        action=JUDGED,
        actor=record.candidate.proposer,
        actor_source="proposer of the version",
        model=context.model,
        version=record.promoted.version,
        details={"record": digest, "verdict": record.verdict.value, "judged": record.candidate.version},
        key=f"{JUDGED}:{digest}",
    )


def find(context: Context, version: Version, *, digest: str | None = None) -> DecisionRecord:
    """The version's record: the one its tag names, or of that digest; unchanged, and as the audit log knows it.

    Raises:
        StateError: there is none, it is another, or the audit log does not know it.
        StorageError, DataError: it is damaged.
    """
    digest = digest or version.tags.get(RECORD_TAG)
    if digest is None:
        raise StateError(
            f"Version {version.version} of {version.model} was not judged yet.",
            why="Nothing is known about it that could be approved, promoted or explained.",
            remedy=f"gatehouse release --env {context.name}",
        )
    text = context.tracking.read_text(version.run_id, _artefact(digest)) if version.run_id else None
    record, found = _read(text) if text is not None else (None, "")
    if problem := _not_the_one(context, version, record, found, wanted=digest):
        raise StateError(
            f"The decision record of version {version.version} is {problem}.",
            why="What was decided is bound to that very record.",
            remedy=f"Judge the version again: gatehouse release --env {context.name}",
        )
    assert record is not None  # noqa: S101 - `_not_the_one` says so
    return record


@lru_cache(maxsize=16)
def _read(text: str) -> tuple[DecisionRecord, str]:
    """A record and its digest, worked out once for each text: every page and every act asks for the same few again."""
    record = DecisionRecord.from_json(text)
    return record, record.digest()


def _not_the_one(
    context: Context, version: Version, record: DecisionRecord | None, digest: str, *, wanted: str
) -> str | None:
    if record is None:
        return "missing"
    if digest != wanted:
        return f"not the one of its tag ({digest[:12]}, not {wanted[:12]})"
    if version.version not in (record.candidate.version, record.promoted.version):
        return f"that of version {record.promoted.version}"
    entered = (e for e in context.audit.entries() if e.action == JUDGED and e.model == context.model)
    if digest not in {e.details["record"] for e in entered}:
        return f"unknown to the audit log ({digest[:12]}): Gatehouse did not make it, or did not end"
    return None


def folder(context: Context) -> Path:
    """Where people find records and their pages."""
    return context.root / "report" / "decisions" / f"{context.environment.catalog}.{context.environment.db_schema}"


def card_of(description: str) -> str:
    """A version's model card, without what was written below it when it was judged."""
    return description.partition(_DECISION)[0].rstrip()


def _described(description: str, record: DecisionRecord, digest: str) -> str:
    """The model card, and below it how the version was judged: what people see who look into the registry."""
    said = (
        record.judged.sentence() if record.verdict is not Outcome.PROMOTE else f"{Outcome.PROMOTE}: every gate opened."
    )
    return f"{card_of(description)}{_DECISION}{said}\n\nDecision record {digest}, {record.created_at:%Y-%m-%d}.\n"


def row_name(kind: str, version: str | None) -> str:
    """An opponent, as `gate_decisions` names it."""
    return kind if version is None else f"{kind} {version}"


def _artefact(digest: str) -> str:
    return f"decisions/{digest}.json"


def _write_decision(context: Context, record: DecisionRecord, digest: str) -> None:
    name = context.own(GATE_DECISIONS.name)
    context.tables.create(name, GATE_DECISIONS)
    window = record.challenge["hold_out"] if record.challenge else {}
    opponent = record.opponent
    met = "" if opponent is None else row_name(opponent.kind, opponent.version)
    row = (
        record.candidate.version,
        digest,
        record.as_of,
        record.created_at,
        record.verdict.value,
        record.judged.sentence(),
        met,
        _moment(window.get("start")),
        _moment(window.get("end")),
        record.policy.digest,
        record.candidate.proposer,
    )
    context.tables.merge(name, context.frame([row], GATE_DECISIONS.name), keys=GATE_DECISIONS.primary_key)


def _write_metrics(context: Context, record: DecisionRecord, digest: str) -> None:
    name = context.own(GATE_METRICS.name)
    context.tables.create(name, GATE_METRICS)
    head = (record.candidate.version, digest, record.as_of)
    none = (None,) * 7
    rows: list[tuple[object, ...]] = [
        (*head, f.gate, f.rule, "", "", f.outcome.value, f.reason, *none) for f in record.judged.findings
    ]
    comparisons = ChallengeEvidence.from_record(record.challenge).comparisons if record.challenge else ()
    rows += [(*head, "challenge", "comparison", c.metric, c.slice, *_measured(c)) for c in comparisons]
    unique = {tuple(row[:2]) + tuple(row[3:7]): row for row in rows}
    context.tables.merge(name, context.frame(list(unique.values()), GATE_METRICS.name), keys=GATE_METRICS.primary_key)


def _measured(comparison: Comparison | Unmeasured) -> tuple[object, ...]:
    if isinstance(comparison, Unmeasured):
        return (None, comparison.reason, None, None, None, None, None, None, comparison.rows)
    shown = evidence_of(comparison)
    low, high = shown.interval(0.9) if isinstance(shown, Evidence) else (None, None)
    return (
        None,
        "",
        comparison.champion,
        comparison.candidate,
        comparison.difference,
        low,
        high,
        len(comparison.units),
        comparison.rows,
    )


def _moment(text: object) -> datetime | None:
    return datetime.fromisoformat(str(text)) if text else None
