"""A decision record is one text with one digest, is read exactly or not at all, and gives the same verdict again."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

from gatehouse.errors import DataError, EvaluationError, GatehouseError, StateError, StorageError
from gatehouse.evaluation.comparison import Comparison
from gatehouse.gates.challenge import judge_challenge as real_judge_challenge
from gatehouse.gates.evidence import ChallengeEvidence, Contender, HoldOut, Reading, Stability, Training
from gatehouse.gates.policy import ApprovalRule, ComplianceRule, Guardrail, Policy, PrimaryRule, SliceRule
from gatehouse.gates.record import SCHEMA, Candidate, DecisionRecord, Opponent, Refit, json_schema
from gatehouse.gates.replay import replay
from gatehouse.gates.verdict import Finding, Outcome, Verdict

NOON = datetime(2013, 7, 1, 12, tzinfo=UTC)
POLICY = Policy(
    primary=PrimaryRule(margin=0.003, suspicious_gain=0.05),
    guardrails={"roc_auc": Guardrail(margin=0.01)},
    slices=SliceRule(margin=0.01),
    compliance=ComplianceRule(allowed_flavours=("lightgbm",)),
    approval=ApprovalRule(valid_hours=72),
    refit="full",
)
CHAMPION = Opponent(kind="champion", version="3", files_digest="c" * 64, value=None)
COMPLIANCE: Mapping[str, Any] = {"flavour": "lightgbm", "checks": {"signature": True, "loads alone": True}}
CHALLENGE: Mapping[str, Any] = {
    "candidate": {"kind": "candidate", "version": "7", "files_digest": "d" * 64},
    "opponent": {"kind": "champion", "version": "3", "files_digest": "c" * 64, "threshold": None},
    "difference": 0.0042,
    "influence": [0.1, -0.1, 1e-7, 0.0],
}
REFIT: Mapping[str, Any] = {"checks": {"signature": True}}
Path = tuple[str | int, ...]


def judge_compliance(evidence: Mapping[str, Any], policy: Policy) -> Verdict:
    good = evidence["flavour"] in policy.compliance.allowed_flavours and all(evidence["checks"].values())
    checked = Finding(
        gate="compliance",
        rule="checks",
        outcome=Outcome.PROMOTE if good else Outcome.HOLD,
        reason=f"{sum(evidence['checks'].values())} of {len(evidence['checks'])} checks passed, {evidence['flavour']}.",
    )
    return Verdict((checked,))


def judge_challenge(evidence: Mapping[str, Any], policy: Policy) -> Verdict:
    gain, asked = evidence["difference"], policy.primary.margin
    primary = Finding(
        gate="challenge",
        rule="primary",
        outcome=Outcome.PROMOTE if gain > asked else Outcome.HOLD,
        reason=f"Verspätungen: Log-Loss um {gain} besser, {asked} verlangt ✈.",
        next_step="" if gain > asked else "Train on more days.",
    )
    shown = Finding(gate="challenge", rule="slice", outcome=Outcome.HOLD, reason="EWR is worse.", informative=True)
    return Verdict((primary, shown))


def judge_refit(evidence: Mapping[str, Any], policy: Policy) -> Verdict:
    good = evidence["score_shift"] <= policy.refit_score_shift and all(evidence["checks"].values())
    shift = Finding(
        gate="refit",
        rule="score shift",
        outcome=Outcome.PROMOTE if good else Outcome.HOLD,
        reason=f"Predictions moved by {evidence['score_shift']} on average.",
    )
    return Verdict((shift,))


JUDGES = {"compliance": judge_compliance, "challenge": judge_challenge, "refit": judge_refit}


def sample(
    *,
    policy: Policy = POLICY,
    opponent: Opponent | None = CHAMPION,
    compliance: Mapping[str, Any] = COMPLIANCE,
    challenge: Mapping[str, Any] | None = CHALLENGE,
    score_shift: float | None = 0.012,
    **candidate: Any,
) -> DecisionRecord:
    """A record as the gates would write it: its findings are what the judges find. `score_shift` None: no refit."""
    found = judge_compliance(compliance, policy).findings
    if challenge is not None:
        found += judge_challenge(challenge, policy).findings
    refit = None
    if score_shift is not None:
        refit = Refit(
            version="8",
            files_digest="e" * 64,
            score_shift=score_shift,
            evidence=REFIT,
            findings=judge_refit({**REFIT, "score_shift": score_shift}, policy).findings,
        )
    return DecisionRecord.of(
        project="flight_delays",
        environment="prod",
        model="prod.main.flight_delays",
        candidate=Candidate(
            **{
                "version": "7",
                "files_digest": "d" * 64,
                "lineage": {"seed": 7, "data_versions": {"prod.main.flights": 12}, "train_end": NOON},
                "proposer": "anna@example.org",
                "authors": ("carl@example.org",),
                **candidate,
            }
        ),
        opponent=opponent,
        policy=policy,
        compliance=compliance,
        challenge=challenge,
        findings=found,
        refit=refit,
        data_age_days=1.5,
        code_commit="4f2a",
        as_of=NOON,
        created_at=NOON,
    )


def leaves(content: Any, path: Path = ()) -> Iterator[Path]:
    """The paths of everything in a JSON value that is not itself an object or a list."""
    if isinstance(content, dict) and content:
        for key, value in content.items():
            yield from leaves(value, (*path, key))
    elif isinstance(content, list) and content:
        for position, value in enumerate(content):
            yield from leaves(value, (*path, position))
    else:
        yield path


def at(content: Any, path: Path) -> Any:
    for step in path:
        content = content[step]
    return content


def changed(content: Any, path: Path, value: Any) -> Any:
    """A copy with another value at the path."""
    content = copy.deepcopy(content)
    at(content, path[:-1])[path[-1]] = value
    return content


def without(content: Any, path: Path) -> Any:
    """A copy without what is at the path."""
    content = copy.deepcopy(content)
    del at(content, path[:-1])[path[-1]]
    return content


def another(value: Any) -> Any:
    """A value of the same kind that says something else."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str) and value.startswith("2013-"):
        return value.replace("2013-", "2014-")
    if isinstance(value, str) and value in set(Outcome):
        return (Outcome.HOLD if value == Outcome.PROMOTE else Outcome.PROMOTE).value
    if isinstance(value, str):
        return "0" + value[1:] if len(value) == 64 else value + "0"
    return "something"


CONTENT = json.loads(sample().to_json())
LEAVES = sorted(leaves(CONTENT), key=str)

BASELINE = Opponent(kind="baseline", version=None, files_digest=None, value=None)
THRESHOLD = Opponent(kind="threshold", version=None, files_digest=None, value=0.5)
_DAYS = tuple(f"2013-07-{day:02}" for day in range(1, 29))
_NOTHING = Reading(value=0.01, rows=2_800)
CHALLENGE_OF_28_DAYS = ChallengeEvidence(
    mode="superiority",
    mode_reason="The training code differs.",
    unit="day",
    candidate=Contender(
        kind="candidate",
        version="7",
        files_digest="d" * 64,
        training=Training(start=NOON - timedelta(days=90), end=NOON, hold_out_keys=0),
    ),
    opponent=Contender(
        kind="champion",
        version="3",
        files_digest="c" * 64,
        training=Training(start=NOON - timedelta(days=120), end=NOON, hold_out_keys=0),
    ),
    primary_metric="log_loss",
    guardrail_metrics=(),
    required_slices=(),
    informative_slices=(),
    hold_out=HoldOut(start=NOON, end=NOON + timedelta(days=28), units=28, rows=2_800, label_share=1.0, judged_before=0),
    comparisons=(
        Comparison(
            metric="log_loss",
            slice="all",
            champion=0.5,
            candidate=0.49,
            difference=0.01,
            influence=tuple(0.0001 if day % 2 else -0.0001 for day in range(28)),
            units=_DAYS,
            rows=2_800,
        ),
    ),
    stability=Stability(
        negative_flips=_NOTHING, score_shift=_NOTHING, calibration_error=_NOTHING, opponent_calibration_error=_NOTHING
    ),
)

# Where the form of a record is fixed. Evidence, lineage and policy are objects of any content.
FREE = ("compliance", "challenge", "lineage", "evidence", "content")
OBJECTS: list[Path] = [
    (),
    ("candidate",),
    ("opponent",),
    ("policy",),
    ("refit",),
    ("findings", 0),
    ("refit", "findings", 0),
]
FIELDS = [(*path, name) for path in OBJECTS for name in at(CONTENT, path)]
FIXED_LEAVES = [path for path in LEAVES if not set(path) & set(FREE)]


def text(content: Any) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def read_or_refused(tampered: str) -> str:
    """The digest of what is read, or what the refusal says."""
    try:
        return DecisionRecord.from_json(tampered).digest()
    except GatehouseError as error:
        return str(error)


def named(path: Path) -> str:
    return ".".join(map(str, path))


def test_a_record_is_canonical_json() -> None:
    record = sample()

    assert record.to_json() == text(CONTENT)
    assert {**CONTENT, "challenge": None, "findings": [], "policy": None, "refit": None} == {
        "schema": 1,
        "project": "flight_delays",
        "environment": "prod",
        "model": "prod.main.flight_delays",
        "candidate": {
            "version": "7",
            "files_digest": "d" * 64,
            "lineage": {
                "seed": 7,
                "data_versions": {"prod.main.flights": 12},
                "train_end": "2013-07-01T12:00:00+00:00",
            },
            "proposer": "anna@example.org",
            "authors": ["carl@example.org"],
        },
        "opponent": {"kind": "champion", "version": "3", "files_digest": "c" * 64, "value": None},
        "compliance": {"flavour": "lightgbm", "checks": {"signature": True, "loads alone": True}},
        "challenge": None,
        "findings": [],
        "policy": None,
        "refit": None,
        "verdict": "PROMOTE",
        "data_age_days": 1.5,
        "code_commit": "4f2a",
        "as_of": "2013-07-01T12:00:00+00:00",
        "created_at": "2013-07-01T12:00:00+00:00",
        "expires_at": "2013-07-04T12:00:00+00:00",
    }
    assert CONTENT["policy"] == {"content": POLICY.model_dump(mode="json"), "digest": POLICY.digest()}
    assert CONTENT["findings"] == [f.to_record() for f in record.findings]
    assert CONTENT["refit"] == {
        "version": "8",
        "files_digest": "e" * 64,
        "score_shift": 0.012,
        "evidence": {"checks": {"signature": True}},
        "findings": [f.to_record() for f in record.refit.findings] if record.refit else None,
    }


def test_the_digest_is_that_of_the_bytes() -> None:
    record = sample()

    assert "Verspätungen" in record.to_json()
    assert record.digest() == hashlib.sha256(record.to_json().encode("utf-8")).hexdigest()


def test_what_is_written_is_read() -> None:
    record = sample()

    assert DecisionRecord.from_json(record.to_json()) == record
    assert DecisionRecord.from_json(record.to_json().encode()) == record


def test_a_record_of_long_reasons_in_any_script_is_read() -> None:
    reason = 'Schöne Grüße ✈ 遅延 🛬 \u2028 \\ " \u0000' * 500
    finding = Finding(gate="compliance", rule="card", outcome=Outcome.PROMOTE, reason=reason)
    record = replace(sample(), findings=(finding,))

    assert DecisionRecord.from_json(record.to_json()).findings == (finding,)


def test_the_digest_knows_neither_the_zone_of_a_moment_nor_the_order_of_keys_nor_the_library_of_a_number() -> None:
    in_new_york = NOON.astimezone(timezone(timedelta(hours=-4)))
    evidence = {"influence": np.array([0.1, -0.1, 1e-7, 0.0]).tolist(), **CHALLENGE, "difference": np.float64(0.0042)}
    record = replace(sample(challenge=evidence), as_of=in_new_york)

    assert record.to_json() == sample().to_json()


def test_floats_are_written_in_their_shortest_form() -> None:
    evidence = {
        **CHALLENGE,
        "difference": 0.1 + 0.2,
        "influence": (1 / 3, 1e22, 5e-324, -0.0, 1.0, 100, np.float32(0.5)),
    }

    written = sample(challenge=evidence).to_json()

    assert '"difference":0.30000000000000004,' in written
    assert '"influence":[0.3333333333333333,1e+22,5e-324,-0.0,1.0,100,0.5],' in written


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf"), np.float64("nan")], ids=str)
@pytest.mark.parametrize(
    "put",
    [
        lambda x: sample(challenge={**CHALLENGE, "influence": [0.1, x]}),
        lambda x: sample(compliance={"flavour": "lightgbm", "checks": {}, "megabytes": x}),
        lambda x: sample(lineage={"options": {"learning_rate": x}}),
        lambda x: replace(sample(), data_age_days=x),
        lambda x: Refit(version="8", files_digest="e" * 64, score_shift=x, evidence={}, findings=()),
        lambda x: Opponent(kind="threshold", version=None, files_digest=None, value=x),
    ],
    ids=["challenge", "compliance", "lineage", "data_age_days", "score_shift", "threshold"],
)
@pytest.mark.broken_gate(14)
def test_what_is_no_number_has_no_place_in_a_record(put: Callable[[float], object], number: float) -> None:
    with pytest.raises(DataError, match=r"is -?(nan|inf|np\.float64\(nan\)), which canonical JSON cannot hold"):
        put(number)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (datetime(2013, 7, 1), "a moment without a time zone"),  # noqa: DTZ001
        ({1: "one"}, "the keys of a JSON object are text"),
        ({"flight", "weather"}, "JSON has nothing for a set"),
        ("\ud83d", "half of a surrogate pair is no character"),
    ],
    ids=["naive moment", "number as key", "set", "half a character"],
)
def test_what_json_cannot_say_has_no_place_in_a_record(value: object, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        sample(compliance={"flavour": "lightgbm", "checks": {}, "found": value})


def test_evidence_that_changes_later_does_not_change_the_record() -> None:
    evidence = {**CHALLENGE, "influence": [0.1]}
    record = sample(challenge=evidence)
    before = record.digest()

    evidence["influence"].append(0.2)

    assert record.digest() == before


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        sample().verdict = Outcome.HOLD  # type: ignore[misc]


@pytest.mark.parametrize("share", [0, 0.01, 0.25, 0.5, 0.75, 0.99, 1])
def test_a_record_cut_short_is_no_record(share: float) -> None:
    whole = sample().to_json()

    with pytest.raises(StorageError, match="The decision record cannot be read as JSON") as caught:
        DecisionRecord.from_json(whole[: min(int(len(whole) * share), len(whole) - 1)])

    assert caught.value.why
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [
        (b"\xff\xfe{}", "invalid start byte"),
        ('{"schema":1,"schema":1}', "the key 'schema' stands twice in one object"),
        ('{"schema":NaN}', "NaN is no number"),
        ('{"schema":-Infinity}', "-Infinity is no number"),
        ('{"schema":1e999}', r"\$\.schema is inf"),
        ('{"schema":' + "[" * 100_000, "recursion"),
        ('{"schema":' + "9" * 10_000 + "}", "integer string conversion"),
        ('{"schema":"\\ud83d"}', "half of a surrogate pair"),
    ],
    ids=["bytes", "twice", "nan", "infinity", "overflow", "deep", "long number", "half a character"],
)
def test_what_can_be_read_in_two_ways_is_no_record(damaged: str | bytes, reason: str) -> None:
    with pytest.raises(StorageError, match=f"(?i){reason}"):
        DecisionRecord.from_json(damaged)


@pytest.mark.parametrize("other", ["null", "[]", '"record"', "1", "{}", '{"schema":1}'])
def test_other_json_is_no_record(other: str) -> None:
    with pytest.raises(DataError, match="The decision record is not what was written"):
        DecisionRecord.from_json(other)


@pytest.mark.parametrize("number", [0, 2, "1", None, [1]])
def test_a_record_of_another_form_is_not_guessed_at(number: object) -> None:
    with pytest.raises(StateError, match=r"has the schema .*, and this version of Gatehouse reads 1"):
        DecisionRecord.from_json(text({**CONTENT, "schema": number, "new_field": 1}))


@pytest.mark.parametrize("path", OBJECTS, ids=named)
def test_an_unknown_field_is_refused(path: Path) -> None:
    with pytest.raises(DataError, match=r"unknown: .*(Unexpected|unexpected)"):
        DecisionRecord.from_json(text(changed(CONTENT, (*path, "unknown"), 1)))


@pytest.mark.parametrize("path", FIELDS, ids=named)
def test_a_missing_field_is_refused(path: Path) -> None:
    with pytest.raises(DataError, match=str(path[-1])):
        DecisionRecord.from_json(text(without(CONTENT, path)))


@pytest.mark.parametrize("path", FIXED_LEAVES, ids=named)
def test_a_value_of_another_type_is_refused(path: Path) -> None:
    wrong = "true" if isinstance(at(CONTENT, path), bool) else [at(CONTENT, path)]

    with pytest.raises((DataError, StateError)):
        DecisionRecord.from_json(text(changed(CONTENT, path, wrong)))


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (
            ("as_of",),
            "2013-07-01T12:00:00Z",
            r"\$\.as_of is '2013-07-01T12:00:00Z', which is written '2013-07-01T12:00",
        ),
        (("as_of",), "2013-07-01T08:00:00-04:00", r"\$\.as_of is '2013-07-01T08:00:00-04:00', which is written"),
        (("as_of",), "2013-07-01T12:00:00", "as_of: Input should have timezone info"),
        (("as_of",), 1372680000, "as_of: Input should be a valid datetime"),
        (("data_age_days",), 2, r"\$\.data_age_days is 2, which is written 2\.0"),
        (("data_age_days",), -1.0, "data_age_days: Input should be greater than or equal to 0"),
        (("schema",), True, r"schema"),
        (("schema",), 1.0, r"schema"),
        (("candidate", "files_digest"), "D" * 64, "candidate.files_digest: String should match pattern"),
        (("candidate", "proposer"), "", "candidate.proposer: String should have at least 1 character"),
        (("verdict",), "promote", "verdict: Input should be 'PROMOTE'"),
        (("opponent", "kind"), "challenger", "opponent.kind: Input should be 'champion'"),
        (("opponent", "version"), None, "a champion, and nothing else, has a version"),
        (("opponent", "value"), 0.5, "a threshold, and nothing else, has a value"),
        (("opponent",), None, "an opponent and the evidence of the challenge belong together"),
        (("challenge",), None, "an opponent and the evidence of the challenge belong together"),
        (("expires_at",), "2013-07-01T12:00:00+00:00", "it expires before it was made"),
        (("findings", 0, "outcome"), "MAYBE", "findings.0.outcome: Input should be 'PROMOTE'"),
    ],
    ids=lambda value: named(value) if isinstance(value, tuple) else "",
)
def test_a_value_that_no_record_has_is_refused(path: Path, value: object, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        DecisionRecord.from_json(text(changed(CONTENT, path, value)))


def test_white_space_and_the_order_of_keys_do_not_make_another_record() -> None:
    spaced = json.dumps(CONTENT, indent=2, sort_keys=False, ensure_ascii=True)

    assert DecisionRecord.from_json(spaced + "\n").digest() == sample().digest()


@pytest.mark.parametrize("path", LEAVES, ids=named)
def test_any_changed_value_makes_another_record_or_none(path: Path) -> None:
    tampered = text(changed(CONTENT, path, another(at(CONTENT, path))))

    assert read_or_refused(tampered) != sample().digest()


def test_the_verdict_follows_from_all_findings_and_the_expiry_from_the_policy() -> None:
    assert sample().verdict is Outcome.PROMOTE
    assert sample(challenge={**CHALLENGE, "difference": 0.001}).verdict is Outcome.HOLD
    assert sample(score_shift=0.2).verdict is Outcome.HOLD
    assert sample(opponent=None, challenge=None, score_shift=None).verdict is Outcome.PROMOTE
    assert sample().expires_at == NOON + timedelta(hours=72)


def test_the_version_to_approve_is_the_refit_where_there_is_one() -> None:
    assert (sample().promoted.version, sample().promoted.files_digest) == ("8", "e" * 64)
    judged = sample(score_shift=None).promoted
    assert (judged.version, judged.files_digest) == ("7", "d" * 64)


def test_the_recorded_policy_is_the_one_that_was_in_force() -> None:
    assert sample().policy.read() == POLICY


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (("primary", "margin"), 0.5, "suspicious_gain must exceed primary.margin"),
        (("primary", "margin"), 0.004, "and [0-9a-f]{64} was recorded"),
        (("primary", "margin"), "0.003", "are left out or written in another way|it is none"),
        (("approval", "allow_own"), True, "and [0-9a-f]{64} was recorded"),
        (("approval", "maximum"), 1, "it is none"),
    ],
    ids=["contradiction", "margin", "text", "allow_own", "unknown"],
)
def test_a_policy_that_was_changed_is_not_read(path: Path, value: object, reason: str) -> None:
    record = DecisionRecord.from_json(text(changed(CONTENT, ("policy", "content", *path), value)))

    with pytest.raises(DataError, match=f"is not the one it was judged by: .*({reason})"):
        record.policy.read()


def test_a_policy_that_leaves_its_defaults_out_is_not_read() -> None:
    record = DecisionRecord.from_json(text(without(CONTENT, ("policy", "content", "hold_out"))))

    with pytest.raises(DataError, match="some of its settings are left out"):
        record.policy.read()


def test_the_schema_accepts_what_is_written_and_says_what_every_field_is() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())

    first = Opponent(kind="threshold", version=None, files_digest=None, value=0.5)
    for record in (sample(), sample(score_shift=None), sample(opponent=first), sample(opponent=None, challenge=None)):
        assert list(validator.iter_errors(json.loads(record.to_json()))) == []
    assert schema["properties"]["schema"]["const"] == SCHEMA
    assert CHAMPION.kind in schema["$defs"]["Opponent"]["properties"]["kind"]["enum"]


@pytest.mark.parametrize("path", FIELDS, ids=named)
def test_the_schema_demands_every_field(path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")

    validator = jsonschema.Draft202012Validator(json_schema())

    assert validator.is_valid(CONTENT)
    assert not validator.is_valid(without(CONTENT, path))


@pytest.mark.parametrize("path", OBJECTS, ids=named)
def test_the_schema_knows_no_other_field(path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")

    assert not jsonschema.Draft202012Validator(json_schema()).is_valid(changed(CONTENT, (*path, "unknown"), 1))


# Replay.


def test_a_record_replays_to_its_own_verdict() -> None:
    record = sample()

    again = replay(record, JUDGES, digest=record.digest())

    assert (again.same, again.differences, again.verdict) == (True, (), record.judged)


@pytest.mark.parametrize(
    "record",
    [
        sample(challenge={**CHALLENGE, "difference": 0.001}, score_shift=None),
        sample(score_shift=0.2),
        sample(compliance={"flavour": "pickle", "checks": {}}, opponent=None, challenge=None, score_shift=None),
    ],
    ids=["challenge", "refit", "compliance"],
)
def test_a_record_that_did_not_open_replays_to_hold(record: DecisionRecord) -> None:
    again = replay(DecisionRecord.from_json(record.to_json()), JUDGES, digest=record.digest())

    assert (again.differences, again.verdict.outcome) == ((), Outcome.HOLD)


@pytest.mark.parametrize("path", LEAVES, ids=named)
def test_any_changed_value_is_found_by_the_digest_kept_elsewhere(path: Path) -> None:
    kept = sample().digest()
    tampered = text(changed(CONTENT, path, another(at(CONTENT, path))))

    assert replays_or_refused(tampered, kept) is not True


# What a replay finds without a digest kept elsewhere: a record that contradicts itself.
CONTRADICTIONS: dict[str, tuple[dict[Path, Any], str]] = {
    "verdict overwritten": (
        {("challenge", "difference"): 0.001},
        "The recorded verdict is PROMOTE, and the evidence makes it HOLD.",
    ),
    "verdict alone": (
        {("verdict",): "HOLD"},
        "The recorded verdict is HOLD, and the recorded findings make it PROMOTE.",
    ),
    "finding": (
        {("findings", 1, "reason"): "Viel besser."},
        "The record says: challenge/primary PROMOTE: Viel besser. Its evidence says: challenge/primary PROMOTE: "
        "Verspätungen: Log-Loss um 0.0042 besser, 0.003 verlangt ✈.",
    ),
    "findings in another order": (
        {("findings",): CONTENT["findings"][::-1]},
        "The findings stand in another order than the evidence gives them.",
    ),
    "finding put in": (
        {("refit", "findings"): [*CONTENT["refit"]["findings"], CONTENT["findings"][0]]},
        "The record says: compliance/checks PROMOTE: 2 of 2 checks passed, lightgbm. "
        "Its evidence says nothing of that.",
    ),
    "finding taken out": (
        {("refit", "findings"): []},
        "refit/score shift PROMOTE: Predictions moved by 0.012 on average. It is not in the record.",
    ),
    "other candidate": (
        {("candidate", "version"): "9"},
        "The candidate's version is '9', and what was measured is that of '7'.",
    ),
    "other champion": (
        {("opponent", "version"): "2"},
        "The opponent's version is '2', and what was measured is that of '3'.",
    ),
    "other files of the candidate": (
        {("candidate", "files_digest"): "a" * 64},
        f"The candidate's files_digest is '{'a' * 64}', and what was measured is that of '{'d' * 64}'.",
    ),
    "other files of the champion": (
        {("challenge", "opponent", "files_digest"): "a" * 64},
        f"The opponent's files_digest is '{'c' * 64}', and what was measured is that of '{'a' * 64}'.",
    ),
    "no contender": (
        {("challenge", "candidate"): None},
        "The candidate's version is '7', and what was measured is that of None.",
    ),
    "expiry": (
        {("expires_at",): "2014-07-04T12:00:00+00:00"},
        "It expires at 2014-07-04T12:00:00+00:00, and the policy gives it 72 hours from its making.",
    ),
    "policy": (
        {("policy", "content", "primary", "margin"): 0.002},
        "The policy in the decision record is not the one it was judged by: its digest is "
        + POLICY.model_copy(update={"primary": PrimaryRule(margin=0.002, suspicious_gain=0.05)}).digest()
        + f", and {POLICY.digest()} was recorded.",
    ),
}


@pytest.mark.parametrize("kind", CONTRADICTIONS)
@pytest.mark.broken_gate(2)
def test_a_record_that_contradicts_itself_does_not_replay(kind: str) -> None:
    edits, difference = CONTRADICTIONS[kind]
    content = CONTENT
    for path, value in edits.items():
        content = changed(content, path, value)

    again = replay(DecisionRecord.from_json(text(content)), JUDGES)

    assert not again.same
    assert difference in again.differences


def test_a_finding_that_was_taken_out_is_the_only_difference() -> None:
    first, *others = CONTENT["findings"]

    again = replay(DecisionRecord.from_json(text(changed(CONTENT, ("findings",), others))), JUDGES)

    assert again.differences == (
        f"{first['gate']}/{first['rule']} {first['outcome']}: {first['reason']} It is not in the record.",
    )


def test_a_record_with_another_digest_is_another_record() -> None:
    record, kept = sample(), "0" * 64

    assert replay(record, JUDGES, digest=kept).differences == (
        f"The record's digest is {record.digest()}, and {kept} was kept elsewhere: it is another record.",
    )


def test_under_a_policy_that_cannot_be_read_nothing_is_judged() -> None:
    record = DecisionRecord.from_json(text(without(CONTENT, ("policy", "content", "primary"))))

    again = replay(record, JUDGES)

    assert again.verdict.outcome is Outcome.ERROR
    assert "is not the one it was judged by: it is none" in again.differences[0]


@pytest.mark.parametrize("gate", JUDGES)
def test_evidence_that_nobody_judges_is_an_error(gate: str) -> None:
    again = replay(sample(), {name: judge for name, judge in JUDGES.items() if name != gate})

    assert (again.same, again.verdict.outcome) == (False, Outcome.ERROR)
    assert f"There is evidence for {gate}, and nobody to judge it." in again.verdict.sentence()


@pytest.mark.parametrize("error", [EvaluationError("cut"), KeyError("flavour"), TypeError("None"), ZeroDivisionError()])
def test_evidence_that_cannot_be_judged_is_an_error(error: Exception) -> None:
    def fails(evidence: Mapping[str, Any], policy: Policy) -> Verdict:
        raise error

    again = replay(sample(), {**JUDGES, "challenge": fails})

    assert (again.same, again.verdict.outcome) == (False, Outcome.ERROR)
    assert "The evidence cannot be judged: " in again.verdict.sentence()


def test_a_judge_that_finds_nothing_is_an_error() -> None:
    again = replay(sample(), {**JUDGES, "compliance": lambda evidence, policy: Verdict(())})

    assert (again.same, again.verdict.outcome) == (False, Outcome.ERROR)


def test_a_compliant_candidate_without_a_challenge_is_an_error() -> None:
    again = replay(sample(opponent=None, challenge=None, score_shift=None), JUDGES)

    assert again.verdict.outcome is Outcome.ERROR
    assert (
        "challenge/replay ERROR: Compliance opens, and there is no evidence of a challenge. It is not in the record."
        in (again.differences)
    )


@pytest.mark.parametrize(
    ("opponent", "measured", "differences"),
    [
        (BASELINE, {"kind": "baseline", "version": None, "threshold": None}, ()),
        (
            THRESHOLD,
            {"kind": "threshold", "version": None, "threshold": 0.5},
            (
                "The opponent is the threshold, and the policy compares a first version with the baseline.",
                "The threshold is 0.5, and the policy's is None.",
            ),
        ),
        (
            THRESHOLD,
            {"kind": "threshold", "version": None, "threshold": 0.6},
            (
                "The opponent's threshold is 0.5, and what was measured is that of 0.6.",
                "The opponent is the threshold, and the policy compares a first version with the baseline.",
                "The threshold is 0.5, and the policy's is None.",
            ),
        ),
        (
            BASELINE,
            {"kind": "champion", "version": "3", "threshold": None},
            (
                "The opponent's kind is 'baseline', and what was measured is that of 'champion'.",
                "The opponent's version is None, and what was measured is that of '3'.",
            ),
        ),
    ],
    ids=["baseline", "threshold that the policy does not want", "other threshold", "champion passed over"],
)
@pytest.mark.broken_gate(5)
def test_a_first_version_was_compared_with_what_the_policy_says(
    opponent: Opponent, measured: dict[str, Any], differences: tuple[str, ...]
) -> None:
    record = sample(opponent=opponent, challenge={**CHALLENGE, "opponent": measured})

    assert replay(record, JUDGES).differences == differences


def test_a_first_version_against_a_threshold_replays() -> None:
    policy = POLICY.model_copy(update={"first": "threshold", "threshold": 0.5})
    measured = {"kind": "threshold", "version": None, "threshold": 0.5}

    record = sample(policy=policy, opponent=THRESHOLD, challenge={**CHALLENGE, "opponent": measured})

    assert replay(DecisionRecord.from_json(record.to_json()), JUDGES).same


def test_a_refit_that_the_policy_does_not_want_is_found() -> None:
    record = sample(policy=POLICY.model_copy(update={"refit": "none"}))

    assert replay(record, JUDGES).differences == ("It has a refit, and the policy wants none.",)


def test_the_evidence_of_a_real_challenge_gives_its_verdict_again_from_the_text() -> None:
    def judge(evidence: Mapping[str, Any], policy: Policy) -> Verdict:
        return real_judge_challenge(ChallengeEvidence.from_record(evidence), policy)

    policy = POLICY.model_copy(update={"refit": "none", "guardrails": {}})
    evidence = CHALLENGE_OF_28_DAYS.to_record()
    record = replace(
        sample(policy=policy, challenge={**CHALLENGE, "difference": 1}, score_shift=None),
        challenge=evidence,
        findings=judge_compliance(COMPLIANCE, policy).findings + judge(evidence, policy).findings,
    )
    record = replace(record, verdict=record.judged.outcome)

    again = replay(DecisionRecord.from_json(record.to_json()), {**JUDGES, "challenge": judge}, digest=record.digest())

    assert (again.differences, again.verdict, again.verdict.outcome) == ((), record.judged, Outcome.PROMOTE)


def replays_or_refused(tampered: str, kept: str) -> bool | str:
    """Whether the text replays as the record of that digest, or what the refusal to read it says."""
    try:
        return replay(DecisionRecord.from_json(tampered), JUDGES, digest=kept).same
    except GatehouseError as error:
        return str(error)
