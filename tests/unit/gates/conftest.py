"""Challenges that went the whole way: scored rows in a frame, statistics by `collect`, evidence by `gather`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gatehouse.evaluation.metrics import LOG_LOSS, ROC_AUC, Metric, Task
from gatehouse.evaluation.statistics import collect
from gatehouse.gates.evidence import ChallengeEvidence, Contender, Training
from gatehouse.gates.gather import Question, gather
from gatehouse.gates.policy import Mode, Policy
from gatehouse.project import Window

START = datetime(2013, 7, 1, tzinfo=UTC)
ORIGINS = ("EWR", "JFK", "LGA")
SLICES = tuple(f"origin={o}" for o in ORIGINS)
CANDIDATE = Contender(
    kind="candidate",
    version="8",
    training=Training(start=datetime(2013, 1, 1, tzinfo=UTC), end=START, hold_out_keys=0),
)
CHAMPION = Contender(
    kind="champion",
    version="7",
    training=Training(start=datetime(2013, 1, 1, tzinfo=UTC), end=START - timedelta(days=28), hold_out_keys=0),
)


def make_policy(**changes: Any) -> Policy:
    """A policy that the frames below can satisfy; top-level keys may be replaced."""
    content: dict[str, Any] = {
        "primary": {"margin": 0.02, "suspicious_gain": 0.3},
        "guardrails": {"roc_auc": {"margin": 0.03}},
        "slices": {"margin": 0.06, "minimum_rows": 200},
        "stability": {"negative_flips": 0.3, "score_shift": 0.3, "calibration_error": 0.3},
        "compliance": {"allowed_flavours": ["lightgbm"]},
    }
    return Policy.model_validate({**content, **changes})


def scored_rows(seed: int, *, champion: float, candidate: float, days: int = 28, rows: int = 150) -> pd.DataFrame:
    """One row per flight. Each contender sees the true log-odds through noise of that size: the smaller, the better."""
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(days), rows)
    logit = rng.normal(-0.8, 1.3, days * rows) + rng.normal(0.0, 0.4, days)[day]
    return pd.DataFrame(
        {
            "day": np.array([str((START + timedelta(days=d)).date()) for d in range(days)], dtype=object)[day],
            "late": (rng.random(len(day)) < _probability(logit)).astype(float),
            "origin": rng.choice(ORIGINS, len(day)),
            "champion": _probability(logit + rng.normal(0.0, champion, len(day))),
            "candidate": _probability(logit + rng.normal(0.0, candidate, len(day))),
        }
    )


def challenge_of(
    frame: pd.DataFrame,
    *,
    mode: Mode = "superiority",
    candidate: Contender = CANDIDATE,
    opponent: Contender = CHAMPION,
    primary: Metric = LOG_LOSS,
    guardrails: Sequence[Metric] = (ROC_AUC,),
    required: Sequence[str] = SLICES,
    task: Task = Task.BINARY,
    classes: int = 0,
) -> ChallengeEvidence:
    """The evidence of a frame with the columns day, late, origin, candidate and that of the opponent's kind."""
    predictions: dict[str, str] = {kind: kind for kind in (opponent.kind, "candidate") if kind != "threshold"}
    statistics = collect(
        frame,
        unit="day",
        label="late",
        predictions=predictions,
        slices=["origin"],
        metrics=[primary, *guardrails],
        task=task,
        classes=classes,
    )
    question = Question(
        candidate=candidate,
        opponent=opponent,
        mode=mode,
        mode_reason="The training code differs from the champion's.",
        unit="day",
        primary_metric=primary,
        guardrail_metrics=guardrails,
        required_slices=required,
        window=Window(start=START, end=START + timedelta(days=28)),
        label_share=0.98,
        judged_before=0,
    )
    return gather(statistics, question)


def _probability(logit: np.ndarray) -> np.ndarray:
    return np.asarray(1.0 / (1.0 + np.exp(-logit)))


@pytest.fixture
def champion() -> Contender:
    """Version 7, trained until four weeks before the hold-out."""
    return CHAMPION


@pytest.fixture
def policy() -> Callable[..., Policy]:
    return make_policy


@pytest.fixture
def scored() -> Callable[..., pd.DataFrame]:
    return scored_rows


@pytest.fixture
def challenge() -> Callable[..., ChallengeEvidence]:
    return challenge_of


@pytest.fixture(scope="session")
def good() -> ChallengeEvidence:
    """A better version's challenge, without a fault."""
    return challenge_of(scored_rows(1, champion=1.0, candidate=0.5))
