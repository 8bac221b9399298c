"""Decision records as the gates write them, for whoever shows them: the evidence is made up, the judges are real."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gatehouse.evaluation.comparison import Comparison
from gatehouse.evaluation.measurement import Unmeasured
from gatehouse.gates.challenge import judge_challenge
from gatehouse.gates.compliance import ComplianceEvidence, judge_compliance
from gatehouse.gates.evidence import ChallengeEvidence, Contender, HoldOut, Reading, Stability, Training
from gatehouse.gates.policy import Policy
from gatehouse.gates.record import Candidate, DecisionRecord, Opponent, Refit
from gatehouse.gates.verdict import Finding, Outcome
from gatehouse.lakehouse.audit import Entry

JULY, AUGUST = datetime(2013, 7, 4, tzinfo=UTC), datetime(2013, 8, 1, tzinfo=UTC)
JUDGED_AT = datetime(2013, 8, 1, 9, 30, tzinfo=UTC)
POLICY: Mapping[str, Any] = {
    "primary": {"margin": 0.01, "suspicious_gain": 0.15},
    "guardrails": {"roc_auc": {"margin": 0.015}},
    "slices": {"margin": 0.02, "minimum_rows": 100},
    "stability": {"negative_flips": 0.1, "score_shift": 0.2, "calibration_error": 0.1},
    "compliance": {"allowed_flavours": ["lightgbm"]},
}
ANSWERED = {"error": None, "predictions": [0.25], "finite": True, "served_status": 200, "served_predictions": [0.25]}
COMPLIANCE = ComplianceEvidence(
    inputs={"weight": "double"},
    outputs=1,
    forbidden=(),
    late=(),
    known=("weight",),
    flavours=("lightgbm", "python_function"),
    code_files=(),
    pickles=(),
    requirements=("lightgbm==4.6.0",),
    missing_lineage=None,
    card_blanks=(),
    explained=True,
    megabytes=0.4,
    probe={
        "loaded": True,
        "load_error": None,
        "load_seconds": 1.5,
        "cases": dict.fromkeys(("ordinary", "single", "empty", "null", "unseen", "extreme"), ANSWERED),
        "startup_seconds": 0.1,
        "latencies": [5.0] * 20,
        "failures": 0,
        "memory_megabytes": 300.0,
    },
    probe_error=None,
)
MakeRecord = Callable[..., DecisionRecord]


def comparison(metric: str, name: str, gain: float, *, error: float = 0.001, rows: int = 1000) -> Comparison:
    """Over 28 days; the champion has 0.5. The gain's standard error is `error`."""
    days = 28
    wave = [math.cos(math.pi * (day + 0.5) / days) for day in range(days)]
    cosines = 4  # that 28 days have; all of this wave lies in the first of them
    share = error * math.sqrt(cosines) / (math.sqrt(2.0) * sum(w * w for w in wave))
    return Comparison(
        metric=metric,
        slice=name,
        champion=0.5,
        candidate=0.5 + gain if metric == "roc_auc" else 0.5 - gain,
        difference=gain,
        influence=tuple(share * w for w in wave),
        units=tuple(f"{(JULY + timedelta(days=day)).date()}" for day in range(days)),
        rows=rows,
    )


def record_of(
    *,
    compared: Sequence[Comparison | Unmeasured] | None = None,
    informative: Sequence[str] = ("carrier=AA",),
    against: str = "champion",
    compliance: Mapping[str, Any] | None = None,
    flips: float = 0.03,
    refit_shift: float | None = None,
    model: str = "prod.main.parcels",
    proposer: str = "schedule",
    policy: Mapping[str, Any] | None = None,
) -> DecisionRecord:
    """Version 7 against champion version 3, 0.03 better in everything; `compared` replaces all comparisons."""
    rules = Policy.model_validate({**POLICY, **(policy or {})})
    opponent = {
        "champion": Opponent(kind="champion", version="3", files_digest="c" * 64, value=None),
        "baseline": Opponent(kind="baseline", version=None, files_digest=None, value=None),
    }[against]
    checked = ComplianceEvidence.from_record({**COMPLIANCE.to_record(), **(compliance or {})})
    findings: tuple[Finding, ...] = judge_compliance(checked, rules.compliance).findings
    challenge = None
    if all(f.outcome is Outcome.PROMOTE for f in findings):
        challenge = _challenge(compared, informative, opponent, flips)
        findings += judge_challenge(challenge, rules).findings
    return DecisionRecord.of(
        project="parcels",
        environment="prod",
        model=model,
        candidate=Candidate(
            version="7",
            files_digest="d" * 64,
            lineage={"gatehouse_seed": "7"},
            proposer=proposer,
            authors=("carl@example.org",),
        ),
        opponent=opponent if challenge else None,
        policy=rules,
        compliance=checked.to_record(),
        challenge=challenge.to_record() if challenge else None,
        findings=findings,
        refit=None
        if refit_shift is None
        else Refit(
            version="8",
            files_digest="e" * 64,
            score_shift=refit_shift,
            evidence={},
            findings=(Finding(gate="refit", rule="score_shift", outcome=Outcome.PROMOTE, reason="It moved little."),),
        ),
        data_age_days=1.5,
        code_commit="0123456789abcdef",
        as_of=AUGUST,
        created_at=JUDGED_AT,
    )


def _challenge(
    compared: Sequence[Comparison | Unmeasured] | None, informative: Sequence[str], opponent: Opponent, flips: float
) -> ChallengeEvidence:
    trained = Training(start=datetime(2013, 1, 1, tzinfo=UTC), end=JULY, hold_out_keys=0)
    if compared is None:
        slices = ("all", "depot=north", *informative)
        compared = [comparison("log_loss", name, 0.03) for name in slices] + [comparison("roc_auc", "all", 0.03)]
    return ChallengeEvidence(
        mode="superiority",
        mode_reason="The training code differs from the champion's.",
        unit="day",
        candidate=Contender(kind="candidate", version="7", files_digest="d" * 64, training=trained),
        opponent=Contender(
            kind=opponent.kind, version=opponent.version, files_digest=opponent.files_digest, training=trained
        ),
        primary_metric="log_loss",
        guardrail_metrics=("roc_auc",),
        required_slices=("depot=north",),
        informative_slices=tuple(informative),
        hold_out=HoldOut(start=JULY, end=AUGUST, units=28, rows=1000, label_share=0.98, judged_before=0),
        comparisons=tuple(compared),
        stability=Stability(
            negative_flips=Reading(value=flips, rows=1000),
            score_shift=Reading(value=0.05, rows=1000),
            calibration_error=Reading(value=0.02, rows=1000),
            opponent_calibration_error=Reading(value=0.04, rows=1000),
        ),
    )


@pytest.fixture
def make_record() -> MakeRecord:
    """`make_record()`: version 7 of prod.main.parcels is better than champion version 3, and every gate opened."""
    return record_of


@pytest.fixture
def compare() -> Callable[..., Comparison]:
    """`compare("log_loss", "all", 0.03)`: a gain of 0.03 with a standard error of 0.001."""
    return comparison


@pytest.fixture
def entry() -> Callable[..., Entry]:
    """`entry(3, "move_done", begun=2)`: the third entry of the log, by Anna, on version 7, with these details."""

    def make(seq: int, action: str, *, actor: str = "anna@example.org", version: str = "7", **details: Any) -> Entry:
        return Entry(
            seq=seq,
            at=JUDGED_AT + timedelta(hours=seq),
            actor=actor,
            actor_source="--as (claimed)",
            action=action,
            model="prod.main.parcels",
            version=version,
            key=None,
            details=details,
            previous_hash="0" * 64,
            hash="1" * 64,
        )

    return make
