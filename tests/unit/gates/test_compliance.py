"""Each rule of compliance passes what it should and holds what it must, with a reason that says what to mend."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gatehouse.errors import EvaluationError
from gatehouse.gates.compliance import ComplianceEvidence, judge_compliance
from gatehouse.gates.policy import ComplianceRule
from gatehouse.gates.verdict import Finding, Outcome

RULE = ComplianceRule(allowed_flavours=("sklearn",), requests=20, request_rate=50.0)
ANSWERED = {"error": None, "predictions": [0.25, 0.5], "finite": True, "served_status": 200}
PROBE: dict[str, Any] = {
    "loaded": True,
    "load_error": None,
    "load_seconds": 1.5,
    "cases": {
        "ordinary": {**ANSWERED, "served_predictions": [0.25, 0.5]},
        "single": {**ANSWERED, "predictions": [0.25], "served_predictions": [0.25]},
        "empty": {"error": "ValueError: no rows", "predictions": None, "served_status": 400},
        "null": ANSWERED,
        "unseen": ANSWERED,
        "extreme": ANSWERED,
    },
    "startup_seconds": 0.1,
    "latencies": [float(n) for n in range(1, 21)],
    "failures": 0,
    "memory_megabytes": 300.0,
}
GOOD = ComplianceEvidence(
    inputs={"temperature": "double", "pressure": "double"},
    outputs=1,
    forbidden=("observer",),
    late=("temperature_tomorrow",),
    known=("temperature", "pressure"),
    flavours=("python_function", "sklearn"),
    code_files=(),
    pickles=(),
    requirements=("scikit-learn==1.7.2", "uvicorn[standard]==0.30.1 ; python_version >= '3.11'"),
    missing_lineage=None,
    card_blanks=(),
    explained=True,
    megabytes=0.4,
    probe=PROBE,
    probe_error=None,
)

Change = Callable[[dict[str, Any]], None]


def with_probe(change: Change) -> ComplianceEvidence:
    """The good evidence, but for what `change` does to a copy of the clean process's answer."""
    probe = copy.deepcopy(PROBE)
    change(probe)
    return replace(GOOD, probe=probe)


def case(name: str, **differing: Any) -> ComplianceEvidence:
    return with_probe(lambda probe: probe["cases"].update({name: {**probe["cases"][name], **differing}}))


def answer(**differing: Any) -> ComplianceEvidence:
    return with_probe(lambda probe: probe.update(differing))


REASONS = {
    "signature": "The signature names 2 inputs and 1 outputs.",
    "columns": "No input is forbidden or known only after the event.",
    "features": "Every input is a declared feature.",
    "serialisation": "It is stored as python_function, sklearn, without code or pickles.",
    "requirements": "All 2 requirements name one version.",
    "lineage": "Code, data versions, configuration, windows and seed are on record.",
    "model_card": "The model card is complete.",
    "explanation": "Contributions of the features are stored.",
    "size": "Its files take 0.4 MB of 100.",
    "loads": "It loads in a clean process in 1.5 s.",
    "predicts": "It predicts 2 ordinary rows.",
    "odd_rows": "It takes single, missing, unseen and extreme rows.",
    "empty_request": "A request without rows gets an orderly answer (HTTP 400).",
    "serves": "MLflow's server answers for it after 0.1 s.",
    "parity": "Batch and online predictions agree to 0.",
    "latency": "95 % of 20 requests at 50/s took at most 19.0 ms.",
    "errors": "0 of 20 requests failed.",
    "memory": "Loaded and serving it took 300 MB of memory.",
}
HELD: list[tuple[str, ComplianceEvidence, str]] = [
    (
        "signature",
        replace(GOOD, inputs=None),
        "The version has no complete signature, so nothing checks what it is fed.",
    ),
    (
        "signature",
        replace(GOOD, outputs=0),
        "The version has no complete signature, so nothing checks what it is fed.",
    ),
    (
        "columns",
        replace(GOOD, inputs={"temperature_tomorrow": "double", "observer": "string"}),
        "The model reads columns it must not: temperature_tomorrow: known only after the event; "
        "observer: forbidden by the project.",
    ),
    (
        "features",
        replace(GOOD, inputs={"temperature": "double", "humidity": "double"}),
        "The model reads humidity, which the project does not declare as features.",
    ),
    (
        "serialisation",
        replace(GOOD, flavours=("python_function", "pytorch")),
        "It is not stored safely: flavour pytorch is not among sklearn.",
    ),
    (
        "serialisation",
        replace(GOOD, flavours=("python_function",), code_files=("code/model.py",)),
        "It is not stored safely: a custom python_function is not among the allowed flavours; "
        "it brings code along (code/model.py).",
    ),
    (
        "serialisation",
        replace(GOOD, flavours=()),
        "It is not stored safely: no file says in which flavour.",
    ),
    (
        "serialisation",
        replace(GOOD, pickles=("model.pkl",)),
        "It is not stored safely: model.pkl can run any code when it is loaded.",
    ),
    (
        "requirements",
        replace(GOOD, requirements=("scikit-learn>=1.6", "numpy==2.*", "pandas ; python_version == '3.11'")),
        "Requirements are not locked: scikit-learn>=1.6, numpy==2.*, pandas ; python_version == '3.11'.",
    ),
    ("requirements", replace(GOOD, requirements=()), "Requirements are not locked: none are stored."),
    (
        "lineage",
        replace(GOOD, missing_lineage="Version 3 has no readable tag gatehouse_seed."),
        "Its lineage is incomplete. Version 3 has no readable tag gatehouse_seed.",
    ),
    ("model_card", replace(GOOD, card_blanks=("Limitations",)), "The model card leaves blank: Limitations."),
    ("model_card", replace(GOOD, card_blanks=None), "There is no model card."),
    ("explanation", replace(GOOD, explained=False), "Nothing says what the model leans on."),
    ("size", replace(GOOD, megabytes=100.1), "Its files take 100.1 MB, more than 100."),
    (
        "loads",
        answer(loaded=False, load_error="ModuleNotFoundError: my_session"),
        "It does not load in a clean process: ModuleNotFoundError: my_session",
    ),
    (
        "predicts",
        case("ordinary", error="ValueError: row 3", predictions=None),
        "It fails on ordinary rows of the hold-out: ValueError: row 3",
    ),
    (
        "predicts",
        case("ordinary", finite=False),
        "It fails on ordinary rows of the hold-out: some predictions are not finite",
    ),
    (
        "odd_rows",
        with_probe(
            lambda probe: probe["cases"].update(
                single={**ANSWERED, "error": "IndexError: 1"},
                null={**ANSWERED, "finite": False},
                unseen={**ANSWERED, "error": "KeyError: -1.0"},
                extreme={**ANSWERED, "finite": False},
            )
        ),
        "It fails on one row: IndexError: 1; on rows of missing values: the prediction is not finite; on "
        "categories it never saw: KeyError: -1.0; on extreme values: the prediction is not finite.",
    ),
    ("empty_request", case("empty", served_status=500), "A request without rows breaks the server (HTTP 500)."),
    ("empty_request", case("empty", served_status=0), "A request without rows breaks the server (HTTP no answer)."),
    (
        "serves",
        answer(startup_seconds=None),
        "MLflow's server did not answer for it within 120 s (HTTP 200).",
    ),
    (
        "serves",
        case("ordinary", served_status=500),
        "MLflow's server did not answer for it within 120 s (HTTP 500).",
    ),
    (
        "parity",
        case("ordinary", served_predictions=[0.25, 0.501]),
        "Batch and online predictions differ by up to 0.001, more than 1e-06.",
    ),
    (
        "parity",
        case("ordinary", served_predictions=[0.25, None]),
        "Batch and online predictions differ by up to inf, more than 1e-06.",
    ),
    (
        "parity",
        case("ordinary", served_predictions=[0.25]),
        "Batch and online predictions cannot be compared: one of them is missing.",
    ),
    (
        "latency",
        answer(latencies=[*(float(n) for n in range(1, 19)), 100.5, 1e6]),
        "95 % of 20 requests at 50/s took up to 100.5 ms; at most 100 are allowed.",
    ),
    ("latency", answer(latencies=[]), "No request of the load test was answered."),
    ("errors", answer(failures=1), "1 of 20 requests failed; 0.0% are allowed."),
    (
        "memory",
        answer(memory_megabytes=4097.0),
        "Loaded and serving it took 4,097 MB of memory, more than 4096.",
    ),
]


def found(evidence: ComplianceEvidence, rule: ComplianceRule = RULE) -> dict[str, Finding]:
    findings = judge_compliance(evidence, rule).findings
    assert len({f.rule for f in findings}) == len(findings)
    return {f.rule: f for f in findings}


def test_a_good_version_passes_every_rule_with_its_numbers() -> None:
    verdict = judge_compliance(GOOD, RULE)

    assert [(f.gate, f.rule, f.outcome, f.next_step, f.informative) for f in verdict.findings] == [
        ("compliance", rule, Outcome.PROMOTE, "", False) for rule in REASONS
    ]
    assert {f.rule: f.reason for f in verdict.findings} == REASONS
    assert verdict.opens


@pytest.mark.parametrize(("rule", "evidence", "reason"), HELD)
def test_a_version_that_fails_a_rule_is_held_with_the_reason_and_what_to_do(
    rule: str, evidence: ComplianceEvidence, reason: str
) -> None:
    finding = found(evidence)[rule]

    assert (finding.outcome, finding.reason) == (Outcome.HOLD, reason)
    assert finding.next_step.endswith(".")
    assert judge_compliance(evidence, RULE).outcome is Outcome.HOLD


def test_each_rule_is_held_by_some_case_above() -> None:
    assert {rule for rule, _, _ in HELD} == set(REASONS)


def test_all_that_is_wrong_is_said_at_once() -> None:
    wrong = replace(GOOD, inputs=None, explained=False, megabytes=1e6)

    assert {f.rule for f in judge_compliance(wrong, RULE).deciding} == {"signature", "explanation", "size"}


def test_a_clean_process_without_an_answer_is_an_error_and_not_a_failed_rule() -> None:
    verdict = judge_compliance(replace(GOOD, probe=None, probe_error="it ended with code -9: no word"), RULE)

    assert verdict.outcome is Outcome.ERROR
    assert [(f.rule, f.reason) for f in verdict.deciding] == [
        ("clean_process", "The clean process gave no answer: it ended with code -9: no word")
    ]


def test_a_version_that_does_not_load_is_asked_nothing_more() -> None:
    assert list(found(answer(loaded=False, load_error="no")))[-1] == "loads"


def test_where_memory_cannot_be_read_it_informs_and_does_not_decide() -> None:
    verdict = judge_compliance(answer(memory_megabytes=None), RULE)

    finding = {f.rule: f for f in verdict.findings}["memory"]
    assert (finding.informative, finding.reason) == (True, "Peak memory cannot be read on this system.")
    assert verdict.opens


def test_what_a_policy_allows_passes() -> None:
    custom = replace(GOOD, flavours=("python_function",), code_files=("code/model.py",))
    allowing = ComplianceRule(allowed_flavours=("python_function",), allow_code=True)

    assert found(custom, allowing)["serialisation"].reason == (
        "It is stored as python_function, with code that was let through, without pickles."
    )
    assert judge_compliance(custom, allowing).opens


def test_no_policy_lets_a_pickle_through() -> None:
    allowing = ComplianceRule(allowed_flavours=("python_function",), allow_code=True)
    pickled = replace(GOOD, flavours=("python_function",), pickles=("python_model.pkl",))

    assert found(pickled, allowing)["serialisation"].outcome is Outcome.HOLD


def test_predictions_of_several_classes_are_compared_class_by_class() -> None:
    same = case("ordinary", predictions=[[0.2, 0.8]], served_predictions=[[0.2, 0.8]])
    apart = case("ordinary", predictions=[[0.2, 0.8]], served_predictions=[[0.3, 0.7]])

    assert found(same)["parity"].outcome is Outcome.PROMOTE
    assert found(apart)["parity"].reason == "Batch and online predictions differ by up to 0.1, more than 1e-06."


def test_evidence_comes_back_from_a_record_as_it_was() -> None:
    assert ComplianceEvidence.from_record(GOOD.to_record()) == GOOD


@pytest.mark.parametrize("damage", [{"megabytes": "1"}, {"megabytes": float("nan")}, {"unknown": 1}])
def test_evidence_that_was_changed_cannot_be_read(damage: dict[str, Any]) -> None:
    with pytest.raises(EvaluationError, match="evidence of compliance cannot be read"):
        ComplianceEvidence.from_record({**GOOD.to_record(), **damage})


def test_evidence_that_lacks_something_cannot_be_read() -> None:
    record = GOOD.to_record()
    del record["pickles"]
    with pytest.raises(EvaluationError, match="pickles"):
        ComplianceEvidence.from_record(record)
