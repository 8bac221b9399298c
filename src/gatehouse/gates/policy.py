"""conf/promotion.yml: what a version must show before it may become the champion. Closed, frozen, typed.

Margins and limits are in the metric's own unit and always positive. Contradictions are refused when the file is read; a
policy that could not say PROMOTE, or not HOLD, on a given hold-out is refused by `gates.challenge` with its numbers.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

ErrorRate = Annotated[float, Field(gt=0, lt=0.5)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Mode = Literal["superiority", "non_inferiority"]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PrimaryRule(_Closed):
    """The project's primary metric decides."""

    changed_code: Mode = Field(default="superiority", description="Demanded when the training code differs.")
    same_code: Mode = Field(default="non_inferiority", description="Demanded of a retraining of the same code.")
    margin: Positive = Field(description="How much worse still counts as not worse (non-inferiority).")
    error_rate: ErrorRate = Field(
        default=0.05, description="Chance of promoting a version that lies at the margin, over all looks."
    )
    suspicious_gain: Positive = Field(
        description="A gain beyond this is held as a suspected leak until somebody has looked."
    )


class Guardrail(_Closed):
    """Another metric of the project, which must not be worse by more than its margin."""

    margin: Positive


class SliceRule(_Closed):
    """The primary metric in required slices, corrected for their number; informative slices are only shown."""

    margin: Positive
    minimum_rows: int = Field(default=500, ge=1, description="A required slice with fewer rows cannot be judged.")


class HoldOutRule(_Closed):
    """What the hold-out must be."""

    minimum_units: int = Field(default=14, ge=4, description="Fewer units (days) than this decide nothing.")
    minimum_label_share: Share = Field(default=0.8, description="Share of its events whose label must be known.")
    reuse_budget: int = Field(
        default=5,
        ge=1,
        description="How many versions may be judged on one hold-out before it is used up, and how often one version "
        "may be judged while its hold-out grows.",
    )


class StabilityRule(_Closed):
    """How far predictions may move although the metrics are fine."""

    negative_flips: Share = Field(default=0.05, description="Share of events right before and wrong now, at most.")
    score_shift: Positive = Field(default=0.1, description="Mean absolute difference of predictions, at most.")
    calibration_error: Positive = Field(default=0.05, description="Expected calibration error, at most (binary).")


class ComplianceRule(_Closed):
    """What a version must be, whatever it scores."""

    allowed_flavours: tuple[str, ...] = Field(min_length=1, description="MLflow flavours that may be stored.")
    allow_code: bool = Field(default=False, description="Whether a model may bring Python code along.")
    maximum_megabytes: Positive = 100.0
    maximum_memory_megabytes: Positive = 4096.0
    p95_milliseconds: Positive = Field(default=100.0, description="95th percentile of single-row requests.")
    requests: int = Field(default=200, ge=20, le=100_000, description="Requests of the load test.")
    request_rate: Positive = Field(default=50.0, description="Requests per second of the load test.")
    maximum_error_share: Share = 0.0
    startup_seconds: Positive = 120.0


class ManualCheck(_Closed):
    """A question that a person must answer before approval counts."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_-]*$", max_length=40)
    question: str = Field(min_length=5)
    by: tuple[str, ...] = Field(default=(), description="Who may answer, proposers apart; empty: whoever may approve.")


class ApprovalRule(_Closed):
    """Who lets a version through."""

    number: int = Field(default=1, ge=1, le=10, description="Approvals needed.")
    approvers: tuple[str, ...] = Field(default=(), description="Who may approve; empty: anybody but the proposers.")
    valid_hours: int = Field(default=72, ge=1, le=24 * 90, description="How long a decision and an approval stand.")
    allow_own: bool = Field(
        default=False, description="For a team of one: the proposer may approve and answer, and every record says so."
    )
    manual_checks: tuple[ManualCheck, ...] = ()


class DeploymentRule(_Closed):
    """What new code may change about the predictions of the champion that is there."""

    score_shift: Positive = Field(
        default=0.01, description="Mean absolute difference of its predictions under old and new code, at most."
    )
    rows: int = Field(default=2000, ge=1, le=100_000, description="How many of the newest predictions are made again.")


class Policy(_Closed):
    """conf/promotion.yml"""

    primary: PrimaryRule
    guardrails: dict[str, Guardrail] = Field(default_factory=dict, description="By name of the project's metric.")
    slices: SliceRule
    hold_out: HoldOutRule = HoldOutRule()
    stability: StabilityRule = StabilityRule()
    compliance: ComplianceRule
    approval: ApprovalRule = ApprovalRule()
    deployment: DeploymentRule = DeploymentRule()
    first: Literal["baseline", "threshold"] = Field(
        default="baseline", description="What the first version, without a champion, is compared with."
    )
    threshold: float | None = Field(
        default=None, allow_inf_nan=False, description="Value of the primary metric to beat, for `first: threshold`."
    )
    refit: Literal["none", "full"] = Field(
        default="none", description="`full`: the judged recipe is trained once more on all data before approval."
    )
    refit_score_shift: Positive = Field(default=0.05, description="How far a refit's predictions may move, on average.")

    @model_validator(mode="after")
    def _consistent(self) -> Policy:
        if (self.first == "threshold") != (self.threshold is not None):
            raise ValueError("`threshold` belongs to `first: threshold`, which needs it")
        if self.primary.suspicious_gain <= self.primary.margin:
            raise ValueError("primary.suspicious_gain must exceed primary.margin, or ordinary gains would be held")
        ids = [c.id for c in self.approval.manual_checks]
        if len(set(ids)) != len(ids):
            raise ValueError("two manual checks have one id")
        if self.approval.approvers and len(set(self.approval.approvers)) < self.approval.number:
            raise ValueError(
                f"approval.number is {self.approval.number}, and only {len(set(self.approval.approvers))} may approve"
            )
        return self

    def digest(self) -> str:
        """SHA-256 of its canonical JSON: what a decision record is bound to."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()
