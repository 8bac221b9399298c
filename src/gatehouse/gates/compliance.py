"""Is this a model that may run here at all, whatever it scores? Pure: evidence in, verdict out.

One finding per rule. A rule that could not be checked is an ERROR; a rule that the version fails is a HOLD, which
rejects it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import ConfigDict, TypeAdapter

from gatehouse.errors import EvaluationError
from gatehouse.gates.policy import ComplianceRule
from gatehouse.gates.verdict import Finding, Outcome, Verdict

GATE = "compliance"
PARITY = 1e-6
"""Largest difference between a batch and an online prediction that rounding explains."""
_LOCKED = re.compile(r"[\w.-]+(\[[^\]]*\])?={2,3}[^=*,;\s]+(\s*;.*)?")
"""name==version, with extras and a marker if need be; a marker alone locks nothing, nor does `==1.*`."""
_ODD_CASES = {
    "single": "one row",
    "null": "rows of missing values",
    "unseen": "categories it never saw",
    "extreme": "extreme values",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ComplianceEvidence:
    """What was found out about a version; everything the verdict needs, JSON-able.

    `inputs` are the signature's columns by type (None: no signature). `probe` is the answer of `gates.probe`, None if
    the clean process ended without one, for the reason in `probe_error`.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    inputs: Mapping[str, str] | None
    outputs: int
    forbidden: tuple[str, ...]
    late: tuple[str, ...]
    known: tuple[str, ...]
    flavours: tuple[str, ...]
    code_files: tuple[str, ...]
    pickles: tuple[str, ...]
    requirements: tuple[str, ...]
    missing_lineage: str | None
    card_blanks: tuple[str, ...] | None
    explained: bool
    megabytes: float
    probe: Mapping[str, Any] | None
    probe_error: str | None

    def to_record(self) -> dict[str, Any]:
        """For JSON; `from_record` gives the same evidence back."""
        record: dict[str, Any] = _ADAPTER.dump_python(self, mode="json")
        return record

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> ComplianceEvidence:
        """What `to_record` gave; EvaluationError if it lacks something or holds something else."""
        try:
            return _ADAPTER.validate_json(json.dumps(record))
        except (TypeError, ValueError) as error:
            raise EvaluationError(
                f"The recorded evidence of compliance cannot be read: {' '.join(str(error).split())[:300]}",
                why="A verdict can be repeated only from complete evidence.",
                remedy="Take the decision record from the version's artefacts again.",
            ) from error


_ADAPTER = TypeAdapter(ComplianceEvidence)


def judge_compliance(evidence: ComplianceEvidence, rule: ComplianceRule) -> Verdict:
    """Every rule, whether or not another failed: whoever mends the model wants to see all of it."""
    return Verdict(tuple(_findings(evidence, rule)))


def _findings(evidence: ComplianceEvidence, rule: ComplianceRule) -> Iterator[Finding]:
    yield _signature(evidence)
    yield _columns(evidence)
    yield _unknown_columns(evidence)
    yield _serialisation(evidence, rule)
    yield _requirements(evidence)
    yield _lineage(evidence)
    yield _card(evidence)
    yield _explanation(evidence)
    yield _size(evidence, rule)
    probe = evidence.probe
    if probe is None:
        yield _finding("clean_process", Outcome.ERROR, f"The clean process gave no answer: {evidence.probe_error}")
        return
    yield _loads(probe)
    if not probe["loaded"]:
        return
    yield _predicts(probe)
    yield _odd_rows(probe)
    yield _empty_request(probe)
    yield _serves(probe, rule)
    yield _parity(probe)
    yield _latency(probe, rule)
    yield _failures(probe, rule)
    yield _memory(probe, rule)


def _finding(rule: str, outcome: Outcome, reason: str, next_step: str = "") -> Finding:
    return Finding(gate=GATE, rule=rule, outcome=outcome, reason=reason, next_step=next_step)


def _held(ok: bool, rule: str, good: str, bad: str, next_step: str) -> Finding:
    if ok:
        return _finding(rule, Outcome.PROMOTE, good)
    return _finding(rule, Outcome.HOLD, bad, next_step)


def _signature(evidence: ComplianceEvidence) -> Finding:
    number = len(evidence.inputs or ())
    return _held(
        bool(evidence.inputs) and evidence.outputs > 0,
        "signature",
        f"The signature names {number} inputs and {evidence.outputs} outputs.",
        "The version has no complete signature, so nothing checks what it is fed.",
        "Log the model with a signature of inputs and outputs.",
    )


def _columns(evidence: ComplianceEvidence) -> Finding:
    inputs = set(evidence.inputs or ())
    late = sorted(inputs & set(evidence.late))
    forbidden = sorted(inputs & set(evidence.forbidden) - set(late))
    reasons = [f"{', '.join(late)}: known only after the event"] if late else []
    reasons += [f"{', '.join(forbidden)}: forbidden by the project"] if forbidden else []
    return _held(
        not reasons,
        "columns",
        "No input is forbidden or known only after the event.",
        f"The model reads columns it must not: {'; '.join(reasons)}.",
        "Take these columns out of the features and train again.",
    )


def _unknown_columns(evidence: ComplianceEvidence) -> Finding:
    unknown = sorted(set(evidence.inputs or ()) - set(evidence.known) - set(evidence.late) - set(evidence.forbidden))
    return _held(
        not unknown,
        "features",
        "Every input is a declared feature.",
        f"The model reads {', '.join(unknown)}, which the project does not declare as features.",
        "Declare the features, or train the model with the declared ones.",
    )


def _serialisation(evidence: ComplianceEvidence, rule: ComplianceRule) -> Finding:
    foreign = [f for f in evidence.flavours if f not in (*rule.allowed_flavours, "python_function")]
    reasons = [f"flavour {', '.join(foreign)} is not among {', '.join(rule.allowed_flavours)}"] if foreign else []
    if not evidence.flavours:
        reasons.append("no file says in which flavour")
    elif set(evidence.flavours) == {"python_function"} and "python_function" not in rule.allowed_flavours:
        reasons.append("a custom python_function is not among the allowed flavours")
    if evidence.code_files and not rule.allow_code:
        reasons.append(f"it brings code along ({', '.join(evidence.code_files[:3])})")
    if evidence.pickles:
        reasons.append(f"{', '.join(evidence.pickles[:3])} can run any code when it is loaded")
    return _held(
        not reasons,
        "serialisation",
        f"It is stored as {', '.join(evidence.flavours)}, "
        + ("with code that was let through, without pickles." if evidence.code_files else "without code or pickles."),
        f"It is not stored safely: {'; '.join(reasons)}.",
        "Save it in a native flavour, or allow this one in compliance.allowed_flavours after a review.",
    )


def _requirements(evidence: ComplianceEvidence) -> Finding:
    loose = [r for r in evidence.requirements if not _LOCKED.fullmatch(r)]
    return _held(
        bool(evidence.requirements) and not loose,
        "requirements",
        f"All {len(evidence.requirements)} requirements name one version.",
        f"Requirements are not locked: {', '.join(loose) or 'none are stored'}.",
        "Store exact versions (name==version) with the model.",
    )


def _lineage(evidence: ComplianceEvidence) -> Finding:
    return _held(
        evidence.missing_lineage is None,
        "lineage",
        "Code, data versions, configuration, windows and seed are on record.",
        f"Its lineage is incomplete. {evidence.missing_lineage}",
        "Train it with `gatehouse run training`.",
    )


def _card(evidence: ComplianceEvidence) -> Finding:
    blanks = evidence.card_blanks
    return _held(
        blanks == (),
        "model_card",
        "The model card is complete.",
        "There is no model card." if blanks is None else f"The model card leaves blank: {', '.join(blanks)}.",
        "Fill in what the project says of itself (intended_use, limitations, owner), and train again.",
    )


def _explanation(evidence: ComplianceEvidence) -> Finding:
    return _held(
        evidence.explained,
        "explanation",
        "Contributions of the features are stored.",
        "Nothing says what the model leans on.",
        "Let the estimator's `importances` return contributions.",
    )


def _size(evidence: ComplianceEvidence, rule: ComplianceRule) -> Finding:
    return _held(
        evidence.megabytes <= rule.maximum_megabytes,
        "size",
        f"Its files take {evidence.megabytes:.1f} MB of {rule.maximum_megabytes:g}.",
        f"Its files take {evidence.megabytes:.1f} MB, more than {rule.maximum_megabytes:g}.",
        "Train a smaller model, or raise compliance.maximum_megabytes.",
    )


def _loads(probe: Mapping[str, Any]) -> Finding:
    return _held(
        bool(probe["loaded"]),
        "loads",
        f"It loads in a clean process in {probe.get('load_seconds', 0.0):.1f} s.",
        f"It does not load in a clean process: {probe['load_error']}",
        "Store everything the model needs with it, and nothing that only your session has.",
    )


def _predicts(probe: Mapping[str, Any]) -> Finding:
    case = probe["cases"]["ordinary"]
    error = case["error"] or (None if case["finite"] else "some predictions are not finite")
    return _held(
        error is None,
        "predicts",
        f"It predicts {len(case['predictions'] or ())} ordinary rows.",
        f"It fails on ordinary rows of the hold-out: {error}",
        "Find the row on which it fails; the message above comes from the model.",
    )


def _odd_rows(probe: Mapping[str, Any]) -> Finding:
    wrong = []
    for name, what in _ODD_CASES.items():
        case = probe["cases"].get(name)
        if case is None:
            continue
        if case["error"]:
            wrong.append(f"{what}: {case['error']}")
        elif not case["finite"]:
            wrong.append(f"{what}: the prediction is not finite")
    return _held(
        not wrong,
        "odd_rows",
        "It takes single, missing, unseen and extreme rows.",
        f"It fails on {'; on '.join(wrong)}.",
        "Let the model impute or ignore what it does not know.",
    )


def _empty_request(probe: Mapping[str, Any]) -> Finding:
    """No rows may be refused (HTTP 4xx), but the server must say so and go on."""
    case = probe["cases"]["empty"]
    status = case.get("served_status", 0)
    return _held(
        status == 200 or 400 <= status < 500,
        "empty_request",
        f"A request without rows gets an orderly answer (HTTP {status}).",
        f"A request without rows breaks the server (HTTP {status or 'no answer'}).",
        "Return no predictions for no rows.",
    )


def _serves(probe: Mapping[str, Any], rule: ComplianceRule) -> Finding:
    startup = probe.get("startup_seconds")
    status = probe["cases"]["ordinary"].get("served_status")
    return _held(
        startup is not None and status == 200,
        "serves",
        f"MLflow's server answers for it after {startup or 0:.1f} s.",
        f"MLflow's server did not answer for it within {rule.startup_seconds:g} s (HTTP {status or 'no answer'}).",
        "Try `mlflow models serve` on the version and read what it says.",
    )


def _parity(probe: Mapping[str, Any]) -> Finding:
    case = probe["cases"]["ordinary"]
    batch, served = case["predictions"], case.get("served_predictions")
    if batch is None or served is None or len(batch) != len(served):
        return _finding(
            "parity",
            Outcome.HOLD,
            "Batch and online predictions cannot be compared: one of them is missing.",
            "Mend what the other findings name.",
        )
    apart = max((_distance(a, b) for a, b in zip(batch, served, strict=True)), default=0.0)
    return _held(
        apart <= PARITY,
        "parity",
        f"Batch and online predictions agree to {apart:.1g}.",
        f"Batch and online predictions differ by up to {apart:.3g}, more than {PARITY:g}.",
        "Look for state or rounding that only one of the two ways has.",
    )


def _distance(a: Any, b: Any) -> float:
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return max((_distance(x, y) for x, y in zip(a, b, strict=True)), default=0.0)
    if isinstance(a, int | float) and isinstance(b, int | float):
        return abs(a - b)
    return 0.0 if a == b else float("inf")


def _latency(probe: Mapping[str, Any], rule: ComplianceRule) -> Finding:
    latencies = sorted(probe["latencies"])
    if not latencies:
        return _finding("latency", Outcome.HOLD, "No request of the load test was answered.", "See the rule `serves`.")
    p95 = latencies[math.ceil(0.95 * len(latencies)) - 1]
    return _held(
        p95 <= rule.p95_milliseconds,
        "latency",
        f"95 % of {len(latencies)} requests at {rule.request_rate:g}/s took at most {p95:.1f} ms.",
        f"95 % of {len(latencies)} requests at {rule.request_rate:g}/s took up to {p95:.1f} ms; "
        f"at most {rule.p95_milliseconds:g} are allowed.",
        "Train a smaller model, or change compliance.p95_milliseconds.",
    )


def _failures(probe: Mapping[str, Any], rule: ComplianceRule) -> Finding:
    number = len(probe["latencies"])
    share = probe["failures"] / number if number else 1.0
    return _held(
        share <= rule.maximum_error_share,
        "errors",
        f"{probe['failures']} of {number} requests failed.",
        f"{probe['failures']} of {number} requests failed; {rule.maximum_error_share:.1%} are allowed.",
        "Read the server's answers for single rows of the hold-out.",
    )


def _memory(probe: Mapping[str, Any], rule: ComplianceRule) -> Finding:
    used = probe["memory_megabytes"]
    if used is None:
        return Finding(
            gate=GATE,
            rule="memory",
            outcome=Outcome.PROMOTE,
            reason="Peak memory cannot be read on this system.",
            informative=True,
        )
    return _held(
        used <= rule.maximum_memory_megabytes,
        "memory",
        f"Loaded and serving it took {used:,.0f} MB of memory.",
        f"Loaded and serving it took {used:,.0f} MB of memory, more than {rule.maximum_memory_megabytes:g}.",
        "Train a smaller model, or raise compliance.maximum_memory_megabytes.",
    )
