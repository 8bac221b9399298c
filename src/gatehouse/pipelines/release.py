"""From a candidate to a decision record: compliance, challenge and, if the policy says so, a refit.

Resumable: a record that still holds for the version is used again. What people decide on it is in `approval`, what
becomes of it in `promotion`.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gatehouse.code_version import authors
from gatehouse.errors import DataError, RegistryUnavailable, StateError, StorageError
from gatehouse.evaluation.stability import score_shift
from gatehouse.evaluation.statistics import SliceKey, collect
from gatehouse.gates.challenge import judge_challenge
from gatehouse.gates.compliance import judge_compliance
from gatehouse.gates.evidence import Contender
from gatehouse.gates.promotion import CHALLENGER, CHAMPION
from gatehouse.gates.record import Candidate, DecisionRecord, Opponent, Refit
from gatehouse.gates.refit import judge_refit
from gatehouse.gates.replay import replay
from gatehouse.gates.verdict import Outcome, Verdict
from gatehouse.lakehouse.lineage import PREFIX, Lineage
from gatehouse.pipelines.approval import approval_verdict
from gatehouse.pipelines.challenge import Challenged, Prepared, measure, predict_with, prepare, required_slices
from gatehouse.pipelines.clean_process import CleanProcess
from gatehouse.pipelines.compliance import examine
from gatehouse.pipelines.context import Context
from gatehouse.pipelines.dataset import UNIT
from gatehouse.pipelines.decisions import OWN_TAGS, enter, find, keep
from gatehouse.pipelines.hold_out import hold_out
from gatehouse.pipelines.judges import judges
from gatehouse.pipelines.pages import publish
from gatehouse.pipelines.promotion import gatekeeper
from gatehouse.pipelines.prospect import refuse_undecidable
from gatehouse.pipelines.scoring import score_beside
from gatehouse.pipelines.training import train_again

if TYPE_CHECKING:
    from gatehouse.lakehouse.registry import Version
    from gatehouse.project import Project


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """A version with its decision record.

    `reused`: it was judged before, and nothing has changed since. `live`: it is the champion by this record.
    """

    record: DecisionRecord
    digest: str
    reused: bool
    live: bool = False

    @property
    def verdict(self) -> Verdict:
        """All findings."""
        return self.record.judged


def judge(context: Context, candidate: Version, process: CleanProcess | None = None) -> Judged:
    """Put a version through compliance and challenge, and write down what was found.

    `process` is one that was started early, to spare the seconds in which it imports; it stays open.
    """
    with context.alone("release"):
        gatekeeper(context).settle()
        if (before := judged_before(context, candidate)) is not None:
            return before
        champion = context.registry.by_alias(context.model, CHAMPION)
        with nullcontext(process) if process else CleanProcess() as ready:
            record = _judge(context, candidate, champion, ready)
        keep(context, record)
        enter(context, record)
        _name_challenger(context, record)
        publish(context, [record.promoted.version], approval_verdict)
    return Judged(record=record, digest=record.digest(), reused=False)


def judged_before(context: Context, candidate: Version) -> Judged | None:
    """What was decided on a version, if it would be decided again on the same grounds; None: it has to be judged."""
    champion = context.registry.by_alias(context.model, CHAMPION)
    known = _on_record(context, candidate)
    if champion is not None and champion.version in (candidate.version, known and known.promoted.version):
        return _champion_already(context, candidate, known)
    if known is None or not _holds(context, known, champion):
        return None
    context.progress.note(f"Version {candidate.version} was judged on exactly this: the record holds.")
    return Judged(record=known, digest=known.digest(), reused=True)


def _champion_already(context: Context, candidate: Version, known: DecisionRecord | None) -> Judged:
    if known is None:
        raise StateError(
            f"Version {candidate.version} is the champion already.",
            why="It cannot be compared with itself.",
            remedy="Nothing is to be done: the same code, data and configuration train the same version.",
        )
    context.progress.note(f"Version {known.promoted.version} is the champion already: nothing is to be done.")
    return Judged(record=known, digest=known.digest(), reused=True, live=True)


def _name_challenger(context: Context, record: DecisionRecord) -> None:
    """Who may yet take over holds the alias; who was turned away does not."""
    if record.verdict in (Outcome.PROMOTE, Outcome.INSUFFICIENT_EVIDENCE):
        context.registry.set_alias(context.model, CHALLENGER, record.promoted.version)
        return
    holder = context.registry.by_alias(context.model, CHALLENGER)
    if holder is not None and holder.version in (record.candidate.version, record.promoted.version):
        context.registry.delete_alias(context.model, CHALLENGER)


def _judge(context: Context, candidate: Version, champion: Version | None, process: CleanProcess) -> DecisionRecord:
    policy, files = context.policy, context.registry.digest(context.model, candidate.version)
    prepared: Future[Prepared] = Future()  # or what was raised, which matters only if it comes to a challenge

    def get_ready() -> None:
        try:
            prepared.set_result(prepare(context, candidate, champion, policy))
        except Exception as error:  # noqa: BLE001
            prepared.set_exception(error)

    with context.progress.step(f"examine version {candidate.version} in a clean process"):
        compliance = examine(context, candidate, process, meanwhile=get_ready)
    findings = judge_compliance(compliance, policy.compliance).findings
    met: Challenged | None = None
    if Verdict(findings).opens:
        against = f"version {champion.version}" if champion else f"the {policy.first}"
        with context.progress.step(f"compare version {candidate.version} with {against} on the hold-out"):
            met = measure(context, candidate, prepared.result())
        if met.evidence.faults is None:
            refuse_undecidable(context, met.evidence, policy)
        findings = (*findings, *judge_challenge(met.evidence, policy).findings)
    refit, trained_until = None, candidate.tags.get(f"{PREFIX}train_end")
    if Verdict(findings).opens and policy.refit == "full":
        refit, trained_until = _refit(context, candidate, process)
    _refuse_exchanged(context, candidate, files)
    if champion and met:
        _refuse_exchanged(context, champion, met.evidence.opponent.files_digest)
    return DecisionRecord.of(
        project=context.project.name,
        environment=context.name,
        model=context.model,
        candidate=Candidate(
            version=candidate.version,
            files_digest=files,
            lineage=_plain(candidate.tags),
            proposer=candidate.tags.get(f"{PREFIX}proposer") or "unknown",
            authors=_authors(context, candidate, champion),
        ),
        opponent=_opponent(met.evidence.opponent) if met else None,
        policy=policy,
        compliance=compliance.to_record(),
        challenge=met.evidence.to_record() if met else None,
        findings=findings,
        refit=refit,
        data_age_days=_days(trained_until, context.as_of),
        code_commit=context.code.commit,
        as_of=context.as_of,
        created_at=context.now,
    )


def _days(trained_until: str | None, as_of: datetime) -> float:
    """How old the newest row it learnt from is; 0 for a version that does not say, which its lineage is held for."""
    try:
        then = datetime.fromisoformat(trained_until or "")
    except ValueError:
        return 0.0
    return max(0.0, (as_of - then).total_seconds() / 86_400)


def _refuse_exchanged(context: Context, version: Version, files: str | None) -> None:
    if context.registry.digest(context.model, version.version) != files:
        raise StateError(
            f"The files of version {version.version} were changed while they were judged.",
            why="Nobody knows which of them the findings are about.",
            remedy="Find out who changed them, and train a new version.",
        )


def _opponent(contender: Contender) -> Opponent:
    return Opponent(
        kind=contender.kind,  # type: ignore[arg-type]
        version=contender.version,
        files_digest=contender.files_digest,
        value=contender.threshold,
    )


def _authors(context: Context, candidate: Version, champion: Version | None) -> tuple[str, ...]:
    """Who wrote what the version was trained from, as far as the champion was not: they cannot approve it."""
    tag, use_case = f"{PREFIX}code_commit", context.settings.environments.project.partition(":")[0]
    since = champion.tags.get(tag) if champion else None
    found = authors(use_case, context.settings.root, commit=candidate.tags.get(tag, ""), since=since)
    return found or ((context.code.author,) if context.code.author != "unknown" else ())


def _plain(tags: Mapping[str, str]) -> dict[str, str]:
    """The lineage as the version carries it; what the gates themselves wrote there is left out."""
    return {k: v for k, v in tags.items() if k.startswith("gatehouse_") and k not in OWN_TAGS}


def _refit(context: Context, judged: Version, process: CleanProcess) -> tuple[Refit, str]:
    """The judged recipe on all data up to as-of, examined and compared with the judged one; and the end of its data."""
    policy, lineage = context.policy, Lineage.from_tags(judged.tags, judged.version)
    version = train_again(context, lineage).version
    with context.progress.step(f"examine the refit, version {version.version}"):
        compliance = examine(context, version, process)
        shift = _shift(context, judged, version, lineage)
    evidence: dict[str, Any] = {"compliance": compliance.to_record()}
    refit = Refit(
        version=version.version,
        files_digest=context.registry.digest(context.model, version.version),
        score_shift=shift,
        evidence=evidence,
        findings=judge_refit({**evidence, "score_shift": shift}, policy).findings,
    )
    return refit, version.tags[f"{PREFIX}train_end"]


def _shift(context: Context, judged: Version, refit: Version, lineage: Lineage) -> float:
    """Mean absolute difference of the two versions' predictions on the judged one's hold-out."""
    project = context.project
    rows = hold_out(context, [lineage]).frame.select(*project.features, UNIT, project.label.name)
    both = {"judged": predict_with(context, judged), "refit": predict_with(context, refit)}
    statistics = collect(
        score_beside(rows, both, project.task),
        unit=UNIT,
        label=project.label.name,
        predictions={name: name for name in both},
        slices=[],
        metrics=[project.primary_metric],
        task=project.task,
        classes=len(project.classes),
    )
    return score_shift(statistics, SliceKey(), old="judged", new="refit").mean_absolute


def _on_record(context: Context, candidate: Version) -> DecisionRecord | None:
    """The record that was made of this version; None if there is none that can be relied on."""
    try:
        record = find(context, candidate)
    except RegistryUnavailable:
        raise  # not an answer
    except (StateError, DataError, StorageError):
        return None
    return record if record.candidate.version == candidate.version else None


def _holds(context: Context, record: DecisionRecord, champion: Version | None) -> bool:
    """Whether it would be made of the same things today, and say the same."""
    files = {record.candidate.version: record.candidate.files_digest}
    if record.refit is not None:
        files[record.refit.version] = record.refit.files_digest
    if record.opponent is not None and record.opponent.version is not None:
        files[record.opponent.version] = str(record.opponent.files_digest)
    opponent = champion.version if champion else None
    return (
        record.verdict in (Outcome.PROMOTE, Outcome.HOLD)
        and record.policy.digest == context.policy.digest()
        and record.as_of == context.as_of
        and (record.opponent is None or record.opponent.version == opponent)
        and _asks_the_same(context.project, record)
        and all(context.registry.digest(context.model, v) == digest for v, digest in files.items())
        and context.now < record.expires_at
        and replay(record, judges()).same
    )


def _asks_the_same(project: Project, record: DecisionRecord) -> bool:
    """Whether the project still declares what the record's evidence was gathered for."""
    columns = {"forbidden": project.forbidden, "late": project.event_table.late, "known": project.features}
    question: dict[str, object] = {
        "unit": project.unit.name,
        "primary_metric": project.primary_metric.name,
        "guardrail_metrics": [m.name for m in project.guardrail_metrics],
        "required_slices": required_slices(project),
    }
    asked = record.challenge or question
    return all(list(record.compliance[name]) == list(declared) for name, declared in columns.items()) and all(
        asked[name] == declared for name, declared in question.items()
    )
