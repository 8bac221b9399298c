"""A version passes when the right people approved exactly it, in time, and nobody said no."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gatehouse.errors import DataError
from gatehouse.gates.approval import Answer, Approval, Decision, judge_approval, judge_break_glass, objection
from gatehouse.gates.consent import Witness
from gatehouse.gates.identity import Identity, Strength
from gatehouse.gates.policy import ApprovalRule, ComplianceRule, ManualCheck, Policy, PrimaryRule, SliceRule
from gatehouse.gates.record import Candidate, DecisionRecord, Refit
from gatehouse.gates.verdict import Finding, Outcome, Verdict

NOON = datetime(2013, 7, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=2)
FILES, OTHER = "d" * 64, "f" * 64
GOOD = Finding(gate="challenge", rule="primary", outcome=Outcome.PROMOTE, reason="Better by 0.01.")
BAD = Finding(gate="challenge", rule="primary", outcome=Outcome.HOLD, reason="Worse by 0.01.")
ANNA, BOB, CARL, DORA = "anna@example.org", "bob@example.org", "carl@example.org", "dora@example.org"


def policy_of(*, refit: str = "none", **approval: Any) -> Policy:
    return Policy.model_validate(
        {
            "primary": PrimaryRule(margin=0.003, suspicious_gain=0.05),
            "slices": SliceRule(margin=0.01),
            "compliance": ComplianceRule(allowed_flavours=("lightgbm",)),
            "approval": ApprovalRule(**approval),
            "refit": refit,
        }
    )


def record_of(
    policy: Policy | None = None,
    *,
    finding: Finding = GOOD,
    proposer: str = ANNA,
    authors: tuple[str, ...] = (CARL,),
    refit: Refit | None = None,
) -> DecisionRecord:
    return DecisionRecord.of(
        project="flight_delays",
        environment="prod",
        model="prod.main.flight_delays",
        candidate=Candidate(version="7", files_digest=FILES, lineage={}, proposer=proposer, authors=authors),
        opponent=None,
        policy=policy or policy_of(),
        compliance={},
        challenge=None,
        findings=(finding,),
        refit=refit,
        data_age_days=1.0,
        code_commit="4f2a",
        as_of=NOON,
        created_at=NOON,
    )


def person(name: str) -> Identity:
    return Identity(name=name, established_by="--as", strength=Strength.CLAIMED)


def decided(record: DecisionRecord, who: str = BOB, decision: Decision = Decision.APPROVE, **changes: Any) -> Approval:
    approval = Approval(
        version=record.promoted.version,
        record_digest=record.digest(),
        files_digest=record.promoted.files_digest,
        approver=person(who),
        decision=decision,
        reason="July looks right.",
        at=NOON + timedelta(hours=1),
        answers={},
    )
    return replace(approval, **changes)


def judge(
    record: DecisionRecord,
    *approvals: Approval,
    policy: Policy | None = None,
    files: str = FILES,
    now: datetime = LATER,
    proposers: tuple[str, ...] = (),
) -> Verdict:
    return judge_approval(record, files, approvals, policy or record.policy.read(), now, proposers)


def glass(record: DecisionRecord, *approvals: Approval, files: str = FILES, now: datetime = LATER) -> Verdict:
    return judge_break_glass(record, files, approvals, record.policy.read(), now, ())


def closed(verdict: Verdict) -> dict[str, Outcome]:
    """The rules that did not let it pass."""
    return {f.rule: f.outcome for f in verdict.findings if f.outcome is not Outcome.PROMOTE and not f.informative}


def reason(verdict: Verdict, rule: str) -> str:
    return next(f.reason for f in verdict.findings if f.rule == rule)


def test_an_approved_version_passes_and_every_rule_says_why() -> None:
    record = record_of()

    verdict = judge(record, decided(record))

    assert [(f.gate, f.rule, f.outcome, f.reason) for f in verdict.findings] == [
        ("approval", rule, Outcome.PROMOTE, said)
        for rule, said in [
            ("verdict", "The gates opened for version 7."),
            ("policy", "The policy is the one it was judged by."),
            ("files", "The files are those that were judged, dddddddddddd."),
            ("clock", "It is 2013-07-01 14:00 UTC, after everything that was decided."),
            ("expiry", "The decision stands until 2013-07-04 12:00 UTC."),
            ("proposer", "It comes from anna@example.org, carl@example.org."),
            ("approvals", "Approved by 1, of 1 needed. bob@example.org (claimed, by --as): July looks right."),
        ]
    ]
    assert verdict.opens


def test_a_version_that_nobody_approved_is_held() -> None:
    verdict = judge(record_of())

    assert closed(verdict) == {"approvals": Outcome.HOLD}
    finding = verdict.deciding[0]
    assert finding.reason == "0 of 1 approvals needed."
    assert finding.next_step == "Anybody but those it comes from can approve it: gatehouse approve 7 --reason ..."


# Nobody approves what they proposed.


@pytest.mark.parametrize("who", [ANNA, " Anna@Example.ORG ", "Anna <anna@example.org>", "anna\u200b@example.org"])
@pytest.mark.broken_gate(4)
def test_the_identity_that_proposed_cannot_approve(who: str) -> None:
    record = record_of()

    verdict = judge(record, decided(record, who))

    assert closed(verdict) == {"approvals": Outcome.HOLD}
    assert reason(verdict, "approvals") == (
        f"0 of 1 approvals needed. {who}'s does not count: it comes from them, and nobody approves what they proposed."
    )


def test_why_a_decision_would_not_count_is_a_sentence_about_it() -> None:
    record = record_of()

    def said(who: str, **differing: Any) -> str | None:
        decision = replace(decided(record, who), **differing)
        return objection(record, FILES, decision, policy_of(approvers=(BOB, ANNA)), LATER)

    assert said(ANNA) == "It comes from them, and nobody approves what they proposed."
    assert said(DORA) == "Only bob@example.org, anna@example.org may approve."
    assert said(BOB, reason=" ") == "It gives no reason."
    assert said(BOB) is None


@pytest.mark.broken_gate(4)
def test_who_wrote_the_commits_of_a_scheduled_candidate_cannot_approve_it() -> None:
    record = record_of(proposer="schedule")

    assert closed(judge(record, decided(record, CARL))) == {"approvals": Outcome.HOLD}
    assert judge(record, decided(record, BOB)).opens


@pytest.mark.broken_gate(4)
def test_proposers_that_only_the_caller_knows_cannot_approve_either() -> None:
    record = record_of()

    assert closed(judge(record, decided(record, BOB), proposers=(BOB,))) == {"approvals": Outcome.HOLD}


@pytest.mark.parametrize("unknown", ["schedule", "unknown", " "])
@pytest.mark.broken_gate(4)
def test_where_nobody_is_known_to_have_proposed_nobody_can_be_told_apart(unknown: str) -> None:
    record = record_of(proposer=unknown, authors=())

    verdict = judge(record, decided(record))

    assert closed(verdict) == {"proposer": Outcome.ERROR}


@pytest.mark.broken_gate(4)
def test_a_schedule_approves_nothing() -> None:
    record = record_of(policy_of(allow_own=True), proposer="schedule")

    verdict = judge(record, decided(record, "schedule"))

    assert reason(verdict, "approvals") == "0 of 1 approvals needed. schedule's is nobody's."


def test_a_team_of_one_may_allow_it_and_the_verdict_says_so() -> None:
    record = record_of(policy_of(allow_own=True))

    verdict = judge(record, decided(record, ANNA))

    assert verdict.opens
    assert reason(verdict, "own") == (
        "anna@example.org decided on what they proposed themselves, which approval.allow_own permits."
    )
    assert "own" not in {f.rule for f in judge(record, decided(record, BOB)).findings}


# Bound to a version, its record and its files.


@pytest.mark.parametrize(
    ("changes", "objection"),
    [
        ({"version": "6"}, "is for version 6, and this is version 7"),
        ({"record_digest": OTHER}, "is for decision record ffffffffffff, and this is "),
        ({"files_digest": OTHER}, "is for files ffffffffffff, and these are dddddddddddd"),
    ],
    ids=["version", "record", "files"],
)
@pytest.mark.broken_gate(6)
def test_an_approval_of_something_else_does_not_count(changes: dict[str, Any], objection: str) -> None:
    record = record_of()

    verdict = judge(record, decided(record, **changes))

    assert closed(verdict) == {"approvals": Outcome.HOLD}
    assert reason(verdict, "approvals").startswith(f"0 of 1 approvals needed. bob@example.org's {objection}")


@pytest.mark.broken_gate(6)
def test_files_that_changed_after_they_were_judged_are_an_error() -> None:
    record = record_of()

    verdict = judge(record, decided(record), files=OTHER)

    assert closed(verdict) == {"files": Outcome.ERROR}
    assert reason(verdict, "files") == (
        "The files of version 7 have the digest ffffffffffff, and those that were judged had dddddddddddd: "
        "they were changed since."
    )


@pytest.mark.broken_gate(6)
def test_an_approval_does_not_outlive_a_second_judgement_of_the_same_version() -> None:
    record = record_of()
    anew = replace(record, data_age_days=2.0)

    assert closed(judge(anew, decided(record))) == {"approvals": Outcome.HOLD}
    assert judge(anew, decided(anew)).opens


@pytest.mark.broken_gate(6)
def test_the_refit_is_approved_and_not_the_version_that_was_judged() -> None:
    moved = Finding(gate="refit", rule="shift", outcome=Outcome.PROMOTE, reason="Hardly moved.")
    refit = Refit(version="8", files_digest=OTHER, score_shift=0.01, evidence={}, findings=(moved,))
    record = record_of(policy_of(refit="full"), refit=refit)

    assert judge(record, decided(record), files=OTHER).opens
    assert closed(judge(record, decided(record), files=FILES)) == {"files": Outcome.ERROR}
    assert closed(judge(record, decided(record, version="7", files_digest=FILES), files=OTHER)) == {
        "approvals": Outcome.HOLD
    }


def test_a_version_whose_refit_is_still_to_come_is_held() -> None:
    record = record_of(policy_of(refit="full"))

    assert closed(judge(record, decided(record))) == {"refit": Outcome.HOLD}


def test_a_policy_that_changed_voids_the_decision() -> None:
    record = record_of()
    lenient = policy_of(allow_own=True)

    assert closed(judge(record, decided(record, ANNA), policy=lenient)) == {"policy": Outcome.HOLD}


@pytest.mark.broken_gate(2)
def test_approval_does_not_open_what_the_gates_held() -> None:
    record = record_of(finding=BAD)

    verdict = judge(record, decided(record))

    assert closed(verdict) == {"verdict": Outcome.HOLD}
    assert reason(verdict, "verdict") == "The gates did not open for version 7. HOLD: Worse by 0.01."


@pytest.mark.broken_gate(2)
def test_a_verdict_that_was_overwritten_is_an_error() -> None:
    record = replace(record_of(finding=BAD), verdict=Outcome.PROMOTE)

    verdict = judge(record, decided(record))

    assert closed(verdict) == {"verdict": Outcome.ERROR}
    assert reason(verdict, "verdict") == "The record's verdict is PROMOTE, and its findings make it HOLD."


# In time.


@pytest.mark.parametrize(
    ("now", "opens"),
    [(NOON + timedelta(hours=72, seconds=-1), True), (NOON + timedelta(hours=72), False)],
    ids=["just before", "just after"],
)
def test_a_decision_expires(now: datetime, opens: bool) -> None:
    record = record_of()

    verdict = judge(record, decided(record), now=now)

    assert closed(verdict) == ({} if opens else {"expiry": Outcome.HOLD})


def test_a_record_that_gives_itself_more_time_expires_when_the_policy_says() -> None:
    record = replace(record_of(), expires_at=NOON + timedelta(days=365))

    verdict = judge(record, decided(record, at=NOON + timedelta(hours=99)), now=NOON + timedelta(hours=100))

    assert closed(verdict) == {"expiry": Outcome.HOLD}
    assert reason(verdict, "expiry") == "The decision expired at 2013-07-04 12:00 UTC; it is 2013-07-05 16:00 UTC."


def test_a_record_that_gives_itself_less_time_expires_when_it_says() -> None:
    record = replace(record_of(), expires_at=NOON + timedelta(hours=1, minutes=30))

    assert closed(judge(record, decided(record))) == {"expiry": Outcome.HOLD}


@pytest.mark.parametrize(
    ("given_at", "objection"),
    [
        (NOON - timedelta(minutes=3), "is of 2013-07-01 11:57 UTC, before there was a decision record to read"),
        (NOON - timedelta(days=4), "is of 2013-06-27 12:00 UTC, before there was a decision record to read"),
    ],
)
def test_an_approval_older_than_the_record_does_not_count(given_at: datetime, objection: str) -> None:
    record = record_of()

    verdict = judge(record, decided(record, at=given_at))

    assert closed(verdict) == {"approvals": Outcome.HOLD}
    assert reason(verdict, "approvals") == f"0 of 1 approvals needed. bob@example.org's {objection}."


def test_a_clock_that_went_back_behind_the_record_is_an_error() -> None:
    record = record_of()

    verdict = judge(record, now=NOON - timedelta(minutes=3))

    assert closed(verdict) == {"clock": Outcome.ERROR, "approvals": Outcome.HOLD}
    assert reason(verdict, "clock") == (
        "The clock says 2013-07-01 11:57 UTC, and the record was made at 2013-07-01 12:00 UTC: one of the two is wrong."
    )


def test_a_clock_that_went_back_behind_an_approval_is_an_error() -> None:
    record = record_of()
    approvals = decided(record), decided(record, DORA, at=NOON + timedelta(hours=90))

    verdict = judge(record, *approvals, now=NOON + timedelta(hours=71))

    assert closed(verdict) == {"clock": Outcome.ERROR}
    assert reason(verdict, "clock") == (
        "The clock says 2013-07-04 11:00 UTC, and dora@example.org decided at 2013-07-05 06:00 UTC: "
        "one of the two is wrong."
    )


def test_clocks_of_two_machines_need_not_agree_to_the_second() -> None:
    record = record_of()

    assert judge(record, decided(record, at=NOON - timedelta(minutes=1)), now=NOON - timedelta(minutes=1)).opens


# By whom, and how many.


def test_a_rejection_by_anybody_holds() -> None:
    record = record_of(policy_of(approvers=(BOB,)))
    rejection = decided(record, "eve@example.org", Decision.REJECT, reason="Böen ✈ " * 2_000)

    verdict = judge(record, decided(record), rejection)

    assert closed(verdict) == {"rejection": Outcome.HOLD}
    assert reason(verdict, "rejection").startswith(
        "eve@example.org (claimed, by --as) rejected it at 2013-07-01 13:00 UTC: Böen ✈ Böen ✈"
    )
    assert len(reason(verdict, "rejection")) < 300


@pytest.mark.parametrize(
    "changes",
    [
        {"at": NOON - timedelta(days=100)},
        {"record_digest": OTHER, "version": "6"},
        {"record_digest": OTHER, "files_digest": OTHER},
        {"version": "6", "files_digest": OTHER},
    ],
    ids=["long ago", "same files", "same version", "same record"],
)
def test_a_rejection_stands_for_the_version_its_files_and_its_record(changes: dict[str, Any]) -> None:
    record = record_of()

    verdict = judge(record, decided(record), decided(record, DORA, Decision.REJECT, **changes))

    assert closed(verdict) == {"rejection": Outcome.HOLD}


def test_a_rejection_of_another_version_is_no_rejection_of_this() -> None:
    record = record_of()
    other = decided(record, DORA, Decision.REJECT, version="6", record_digest=OTHER, files_digest=OTHER)

    assert judge(record, decided(record), other).opens


def test_only_those_whom_the_policy_names_approve() -> None:
    record = record_of(policy_of(approvers=(" Bob@Example.org", DORA)))

    assert judge(record, decided(record, BOB)).opens
    refused = judge(record, decided(record, "eve@example.org"))
    assert closed(refused) == {"approvals": Outcome.HOLD}
    assert reason(refused, "approvals") == (
        "0 of 1 approvals needed. eve@example.org's does not count: only Bob@Example.org, dora@example.org may approve."
    )


@pytest.mark.parametrize("again", [BOB, "BOB@example.org", " bob@example.org ", "Bob B. <bob@example.org>"])
def test_one_person_approving_twice_counts_once(again: str) -> None:
    record = record_of(policy_of(number=2))

    verdict = judge(record, decided(record), decided(record, again))

    assert closed(verdict) == {"approvals": Outcome.HOLD}
    assert reason(verdict, "approvals") == (
        "1 of 2 approvals needed. bob@example.org (claimed, by --as): July looks right."
    )


def test_as_many_approve_as_the_policy_wants() -> None:
    record = record_of(policy_of(number=2))

    assert judge(record, decided(record, BOB), decided(record, DORA)).opens


def test_approvals_that_do_not_count_do_no_harm_and_are_shown() -> None:
    record = record_of()

    verdict = judge(record, decided(record, BOB), decided(record, DORA, version="6"))

    assert verdict.opens
    assert [(f.rule, f.informative) for f in verdict.findings if "dora" in f.reason] == [("void", True)]


@pytest.mark.parametrize("words", ["", " \n\t"])
def test_an_approval_without_a_reason_does_not_count(words: str) -> None:
    record = record_of()

    verdict = judge(record, decided(record, reason=words))

    assert reason(verdict, "approvals") == "0 of 1 approvals needed. bob@example.org's gives no reason."


@pytest.mark.parametrize("decision", [Decision.ANSWER, Decision.BREAK_GLASS])
def test_other_decisions_are_no_approval(decision: Decision) -> None:
    record = record_of()

    assert closed(judge(record, decided(record, decision=decision))) == {"approvals": Outcome.HOLD}


# Manual checks.

FAIR = ManualCheck(id="fair", question="Are carriers treated alike?", by=(DORA,))
OPEN = ManualCheck(id="open", question="Did you look at the slices?")
ANY_CHECKS = policy_of(manual_checks=(FAIR, OPEN))


def answers(who: str, *ids: str, text: str = "Yes, see the page.", at: datetime = LATER) -> Mapping[str, Answer]:
    return {check: Answer(text=text, by=person(who), at=at) for check in ids}


def test_every_manual_check_wants_its_answer() -> None:
    record = record_of(ANY_CHECKS)

    verdict = judge(record, decided(record))

    assert closed(verdict) == {"check fair": Outcome.HOLD, "check open": Outcome.HOLD}
    assert [(f.reason, f.next_step) for f in verdict.deciding] == [
        ("Nobody who may has answered: Are carriers treated alike?", "dora@example.org can answer it."),
        ("Nobody who may has answered: Did you look at the slices?", "Anybody but those it comes from can answer it."),
    ]


def test_checks_that_were_answered_by_those_who_may_let_it_pass() -> None:
    record = record_of(ANY_CHECKS)

    verdict = judge(
        record,
        decided(record, BOB, answers=answers(BOB, "open")),
        decided(record, DORA, Decision.ANSWER, answers=answers(DORA, "fair")),
    )

    assert verdict.opens
    assert reason(verdict, "check fair") == (
        "Are carriers treated alike? dora@example.org (claimed, by --as): Yes, see the page."
    )


@pytest.mark.parametrize(
    ("who", "given", "objection"),
    [
        (BOB, answers(BOB, "fair"), "bob@example.org is not among those who may answer."),
        (BOB, answers(DORA, "fair"), "An answer of dora@example.org was handed in by bob@example.org, and everybody"),
        (DORA, answers(DORA, "fair", text=" "), "dora@example.org left the answer empty."),
        (
            DORA,
            answers(DORA, "fair", at=NOON - timedelta(hours=1)),
            "dora@example.org's answer is of 2013-07-01 11:00 UTC, before there was a decision record to read.",
        ),
        (
            DORA,
            answers(DORA, "fair", at=LATER + timedelta(hours=1)),
            "dora@example.org's answer is of 2013-07-01 15:00 UTC, which is still to come.",
        ),
    ],
    ids=["somebody else", "on behalf of", "empty", "before", "after"],
)
def test_an_answer_that_does_not_count_holds(who: str, given: Mapping[str, Answer], objection: str) -> None:
    record = record_of(policy_of(manual_checks=(FAIR,)))

    verdict = judge(record, decided(record), decided(record, who, Decision.ANSWER, answers=given))

    assert closed(verdict) == {"check fair": Outcome.HOLD}
    assert reason(verdict, "check fair").startswith(
        f"Nobody who may has answered: Are carriers treated alike? {objection}"
    )


@pytest.mark.parametrize("who", [ANNA, CARL, "schedule"])
@pytest.mark.broken_gate(4)
def test_a_check_that_names_nobody_is_not_for_the_proposers_to_answer(who: str) -> None:
    record = record_of(policy_of(manual_checks=(OPEN,)))

    verdict = judge(record, decided(record), decided(record, who, Decision.ANSWER, answers=answers(who, "open")))

    assert closed(verdict) == {"check open": Outcome.HOLD}


@pytest.mark.parametrize("from_her", [{"proposer": DORA}, {"authors": (f"Dora <{DORA}>",)}], ids=["proposer", "author"])
@pytest.mark.broken_gate(4)
def test_whom_a_check_names_does_not_answer_for_what_comes_from_them(from_her: dict[str, Any]) -> None:
    record = record_of(policy_of(manual_checks=(FAIR,)), **from_her)

    verdict = judge(record, decided(record), decided(record, DORA, Decision.ANSWER, answers=answers(DORA, "fair")))

    assert closed(verdict) == {"check fair": Outcome.HOLD}
    assert "dora@example.org's answer does not count: it comes from them" in reason(verdict, "check fair")


def test_who_answers_is_known_by_every_name_that_the_provider_has() -> None:
    asked = FAIR.model_copy(update={"by": ("dora",)})
    record = record_of(policy_of(manual_checks=(asked,)), authors=(DORA,))
    witness = Witness(
        provider="github",
        environment="prod",
        environment_id="1",
        protected=True,
        run="",
        comment="",
        also=(DORA,),
        proposers=(),
    )
    given = decided(record, "dora", Decision.ANSWER, answers=answers("dora", "fair"), witness=witness)

    assert closed(judge(record, decided(record), given)) == {"check fair": Outcome.HOLD}


def test_in_a_team_of_one_a_proposer_answers_and_the_verdict_says_so() -> None:
    record = record_of(policy_of(manual_checks=(FAIR,), allow_own=True), proposer=DORA)

    verdict = judge(record, decided(record), decided(record, DORA, Decision.ANSWER, answers=answers(DORA, "fair")))

    assert verdict.opens
    assert reason(verdict, "own").startswith("dora@example.org answered for what they proposed themselves")


@pytest.mark.parametrize("changes", [{"version": "6"}, {"record_digest": OTHER}, {"decision": Decision.REJECT}])
def test_answers_about_something_else_do_not_count(changes: dict[str, Any]) -> None:
    record = record_of(policy_of(manual_checks=(FAIR,)))
    given = replace(decided(record, DORA, Decision.ANSWER, answers=answers(DORA, "fair")), **changes)

    assert "check fair" in closed(judge(record, decided(record), given))


# Breaking the glass.


def broken(record: DecisionRecord, who: str, **changes: Any) -> Approval:
    return decided(record, who, Decision.BREAK_GLASS, reason="Scores are wrong.", **changes)


def test_two_people_can_break_the_glass_and_everything_they_set_aside_is_listed() -> None:
    record = record_of(policy_of(manual_checks=(FAIR,)), finding=BAD)

    verdict = glass(record, broken(record, BOB), broken(record, DORA), now=NOON + timedelta(hours=72))

    assert verdict.opens
    assert reason(verdict, "break_glass") == (
        "The glass was broken by 2 people. bob@example.org (claimed, by --as): Scores are wrong. "
        "dora@example.org (claimed, by --as): Scores are wrong."
    )
    assert [f.rule for f in verdict.findings if f.informative and f.outcome is not Outcome.PROMOTE] == [
        "verdict",
        "expiry",
        "approvals",
        "check fair",
    ]


@pytest.mark.parametrize("who", [(), (BOB,), (BOB, BOB), (BOB, "BOB@example.org "), (BOB, ANNA), (BOB, CARL)])
@pytest.mark.broken_gate(4)
def test_one_person_cannot_break_the_glass_nor_can_a_proposer(who: tuple[str, ...]) -> None:
    record = record_of(finding=BAD)

    verdict = glass(record, *(broken(record, name) for name in who))

    assert closed(verdict) == {"break_glass": Outcome.HOLD}


def test_breaking_the_glass_expires_although_it_outlives_the_record() -> None:
    record = record_of(finding=BAD)
    both = broken(record, BOB), broken(record, DORA, at=NOON + timedelta(hours=80))

    assert glass(record, both[0], broken(record, DORA), now=NOON + timedelta(hours=73, seconds=-1)).opens
    verdict = glass(record, *both, now=NOON + timedelta(hours=80))
    assert closed(verdict) == {"break_glass": Outcome.HOLD}
    assert "bob@example.org's is of 2013-07-01 13:00 UTC and expired after 72 hours." in reason(verdict, "break_glass")


def test_an_ordinary_approval_does_not_break_the_glass() -> None:
    record = record_of(finding=BAD)

    verdict = glass(record, decided(record, BOB), decided(record, DORA))

    assert closed(verdict) == {"break_glass": Outcome.HOLD}


@pytest.mark.parametrize(
    "changes",
    [
        {"version": "6"},
        {"record_digest": OTHER},
        {"files_digest": OTHER},
        {"at": NOON - timedelta(hours=1)},
        {"reason": ""},
    ],
    ids=lambda changes: next(iter(changes)),
)
@pytest.mark.broken_gate(6)
def test_breaking_the_glass_is_bound_like_an_approval(changes: dict[str, Any]) -> None:
    record = record_of(finding=BAD)

    verdict = glass(record, broken(record, BOB), replace(broken(record, DORA), **changes))

    assert closed(verdict) == {"break_glass": Outcome.HOLD}


def test_only_approvers_break_the_glass() -> None:
    record = record_of(policy_of(approvers=(BOB,)), finding=BAD)

    verdict = glass(record, broken(record, BOB), broken(record, DORA))

    assert "only bob@example.org may approve" in reason(verdict, "break_glass")
    assert closed(verdict) == {"break_glass": Outcome.HOLD}


def test_not_even_two_people_promote_files_that_were_changed_or_by_a_clock_that_is_wrong() -> None:
    record = record_of(finding=BAD)
    both = broken(record, BOB), broken(record, DORA)

    assert closed(glass(record, *both, files=OTHER)) == {"files": Outcome.ERROR}
    assert closed(glass(record, *both, now=NOON - timedelta(hours=1))) == {
        "clock": Outcome.ERROR,
        "break_glass": Outcome.HOLD,
    }


# An approval as it is stored.


def test_an_approval_is_read_as_it_was_written() -> None:
    given = decided(record_of(), answers=answers(BOB, "open"), reason="Grüße ✈ 遅延 " * 1_000)

    content = given.to_record()

    assert Approval.from_record(content) == given
    assert content["approver"] == {"name": BOB, "established_by": "--as", "strength": "claimed"}


STORED = decided(record_of(), answers=answers(BOB, "open")).to_record()


@pytest.mark.parametrize("field", STORED)
def test_a_stored_approval_that_lacks_a_field_is_refused(field: str) -> None:
    with pytest.raises(DataError, match=f"The approval is not what was written: {field}"):
        Approval.from_record({name: value for name, value in STORED.items() if name != field})


@pytest.mark.parametrize(
    ("field", "value"),
    [("decision", "promote"), ("files_digest", "d"), ("at", "2013-07-01T13:00:00"), ("approver", BOB), ("strength", 1)],
)
def test_a_stored_approval_that_was_changed_into_none_is_refused(field: str, value: object) -> None:
    with pytest.raises(DataError, match=field):
        Approval.from_record({**STORED, field: value})


@pytest.mark.parametrize("field", [name for name in STORED if name not in ("answers", "reason")])
@pytest.mark.broken_gate(6)
def test_a_stored_approval_that_was_changed_in_one_field_does_not_become_valid(field: str) -> None:
    record = record_of()
    void = decided(record, ANNA, version="6", record_digest=OTHER, files_digest=OTHER, at=NOON - timedelta(days=9))

    mended = replace(void, **{field: getattr(decided(record), field)})

    assert "approvals" in closed(judge(record, mended))
