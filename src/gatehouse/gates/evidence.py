"""Everything the challenge gate judges by, in a form that a decision record keeps: the verdict is recomputed from it.

ChallengeEvidence
|- candidate, opponent    Contender: who, and what it was trained on
|- hold_out               HoldOut: which rows both were measured on, and what is known of them
|- comparisons            evaluation's Comparison or Unmeasured: one per metric and slice
`- stability              Reading: how far predictions moved although the metrics may be fine
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AwareDatetime, ConfigDict, PlainSerializer, PlainValidator, TypeAdapter, ValidationError

from gatehouse.errors import EvaluationError
from gatehouse.evaluation.comparison import Comparison
from gatehouse.evaluation.measurement import Unmeasured
from gatehouse.gates.policy import Mode

ALL = "all"
"""The slice that holds every row, as evaluation names it."""

Kind = Literal["candidate", "champion", "baseline", "threshold"]
_CLOSED = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """What a contender was fitted on: events of (start, end], UTC.

    `hold_out_keys` is how many keys of the hold-out are among its training rows; None: nobody looked, which is a fault.
    `doubt` is a sentence about why that cannot be believed; None: the training run says the same as the version's tags.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _CLOSED

    start: AwareDatetime
    end: AwareDatetime
    hold_out_keys: int | None
    doubt: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Contender:
    """A registered version, the project's baseline, or a fixed value of the primary metric (`threshold`).

    `files_digest` is that of the files which were scored; only a version has files. Only a threshold has no training.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _CLOSED

    kind: Kind
    version: str | None = None
    files_digest: str | None = None
    threshold: float | None = None
    training: Training | None = None

    @property
    def name(self) -> str:
        """As it is called in a sentence."""
        if self.kind == "threshold":
            return "the threshold"
        return f"{self.kind} version {self.version}" if self.version is not None else f"the {self.kind}"


@dataclass(frozen=True, kw_only=True, slots=True)
class HoldOut:
    """The rows both contenders were measured on: events of (start, end], UTC.

    `rows` have a label and were counted, in `units` units; `label_share`, in [0, 1], is the share of the events that
    should have a label by now and do. `judged_before` counts the other versions that were judged on it before this one,
    `looks_before` the other hold-outs and opponents that this one was judged on and against.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _CLOSED

    start: AwareDatetime
    end: AwareDatetime
    units: int
    rows: int
    label_share: float
    judged_before: int
    looks_before: int = 0  # records from before looks were counted have none


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """One number about stability, over `rows` rows, or the reason why there is none.

    A number that does not apply (flips of a regression without a tolerance) is shown; one that is missing is a fault.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _CLOSED

    value: float | None
    rows: int = 0
    missing: str = ""
    applies: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Stability:
    """How differently the contenders behave.

    `negative_flips` is the share of rows the opponent got right and the candidate gets wrong, `score_shift` the mean
    absolute difference of their predictions, the calibration errors are expected ones (ECE).
    """

    __pydantic_config__: ClassVar[ConfigDict] = _CLOSED

    negative_flips: Reading
    score_shift: Reading
    calibration_error: Reading
    opponent_calibration_error: Reading


def _read_comparison(record: Any) -> Comparison | Unmeasured:
    if isinstance(record, Comparison | Unmeasured):
        return record
    if not isinstance(record, Mapping):
        raise ValueError("a comparison is a JSON object")
    if "reason" not in record:
        return Comparison.from_record(record)
    if set(record) != {"metric", "slice", "reason", "rows"}:
        raise ValueError(f"an unmeasured comparison has metric, slice, reason and rows, not {', '.join(record)}")
    metric, slice_name, reason = (str(record[k]) for k in ("metric", "slice", "reason"))
    return Unmeasured(metric=metric, slice=slice_name, reason=reason, rows=int(record["rows"]))


def _write_comparison(comparison: Comparison | Unmeasured) -> dict[str, Any]:
    return comparison.to_record() if isinstance(comparison, Comparison) else asdict(comparison)


Recorded = Annotated[Comparison | Unmeasured, PlainValidator(_read_comparison), PlainSerializer(_write_comparison)]


@dataclass(frozen=True, kw_only=True, slots=True)
class ChallengeEvidence:
    """One candidate against one opponent on one hold-out.

    Slices are named `column=value`; `guardrail_metrics` and `required_slices` are what the project declares. `unit` is
    the project's unit of independence, in the singular. `faults` is a sentence about rows that could not be judged.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _CLOSED

    mode: Mode
    mode_reason: str
    unit: str
    candidate: Contender
    opponent: Contender
    primary_metric: str
    guardrail_metrics: tuple[str, ...]
    required_slices: tuple[str, ...]
    informative_slices: tuple[str, ...]
    hold_out: HoldOut
    comparisons: tuple[Recorded, ...]
    stability: Stability
    faults: str | None = None

    def found(self, metric: str, slice_name: str) -> tuple[Comparison | Unmeasured, ...]:
        """What was recorded for a metric in a slice: one entry, unless something is wrong."""
        return tuple(c for c in self.comparisons if (c.metric, c.slice) == (metric, slice_name))

    def to_record(self) -> dict[str, Any]:
        """For JSON; `from_record` gives the same evidence back, to the last bit."""
        record: dict[str, Any] = _ADAPTER.dump_python(self, mode="json")
        return record

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> ChallengeEvidence:
        """What `to_record` gave.

        Raises:
            EvaluationError: Something is missing, of another type, not finite, or not known to this version.
        """
        try:
            return _ADAPTER.validate_json(json.dumps(record))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"])) or "the whole"
            raise _damaged(f"{error.error_count()} faults, the first in {where}: {first['msg']}") from error
        except (TypeError, ValueError, KeyError) as error:
            raise _damaged(f"{type(error).__name__}: {error}") from error


_ADAPTER = TypeAdapter(ChallengeEvidence)


def _damaged(what: str) -> EvaluationError:
    return EvaluationError(
        f"The recorded evidence of a challenge cannot be read: {what}.",
        why="A verdict can be repeated only from complete evidence.",
        remedy="Take the decision record from the artefacts of the model version again.",
    )
