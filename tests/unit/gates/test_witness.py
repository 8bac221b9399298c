"""An approval that a CI's gate gave: who it names, by every name of theirs, and what the provider says of proposers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.gates.test_approval import ANNA, BOB, closed, decided, judge, policy_of, reason, record_of

from gatehouse.errors import DataError, UsageError
from gatehouse.gates.consent import Approval, Witness
from gatehouse.gates.identity import Identity, Strength, provider_identity


def witness(**changed: Any) -> Witness:
    given: dict[str, Any] = {
        "provider": "github",
        "environment": "prod-approval",
        "environment_id": "161088068",
        "protected": True,
        "run": "https://github.com/octo/flights/actions/runs/77",
        "comment": "",
        "also": (),
        "proposers": ("dora",),
    }
    return Witness(**{**given, **changed})


def test_whom_a_provider_asked_is_proven() -> None:
    assert provider_identity("anna", "GitHub's review", proven=True) == Identity(
        name="anna", established_by="GitHub's review", strength=Strength.PROVEN
    )
    assert provider_identity("unprotected", "GitHub's environment", proven=False).strength is Strength.CLAIMED


@pytest.mark.parametrize("name", ["", "unknown", "schedule", "an\u200bna"])
def test_a_provider_cannot_name_nobody_either(name: str) -> None:
    with pytest.raises(UsageError):
        provider_identity(name, "GitHub's review", proven=True)


def test_who_started_the_run_approves_nothing_in_it() -> None:
    record = record_of()
    approval = decided(record, "Dora", witness=witness())

    assert "approvals" in closed(judge(record, approval))
    assert "it comes from them, and nobody approves what they proposed" in reason(judge(record, approval), "approvals")


def test_an_account_is_the_proposer_by_another_name_of_theirs() -> None:
    record = record_of(proposer=ANNA)

    assert "approvals" in closed(
        judge(record, decided(record, "anna-on-github", witness=witness(also=(ANNA.upper(),))))
    )
    assert closed(judge(record, decided(record, "bob-on-github", witness=witness(also=(BOB,))))) == {}


def test_one_person_by_two_names_is_not_two_who_approve() -> None:
    record = record_of(policy_of(number=2))
    by_name, by_account = decided(record, BOB), decided(record, "bob-on-github", witness=witness(also=("583231", BOB)))
    renamed = decided(record, "bob-renamed", witness=witness(also=("583231",)))

    for decisions in ((by_name, by_account), (by_account, renamed), (by_name, renamed, by_account)):
        assert "1 of 2 approvals needed" in reason(judge(record, *decisions), "approvals")
    assert closed(judge(record, by_account, decided(record, "carla"))) == {}


def test_an_approver_of_the_policy_may_be_named_by_account_or_address() -> None:
    record = record_of(policy_of(approvers=(BOB,)))

    assert closed(judge(record, decided(record, "bob-on-github", witness=witness(also=(BOB,))))) == {}
    assert "approvals" in closed(judge(record, decided(record, "bob-on-github", witness=witness())))


def test_a_proposer_whom_one_provider_names_is_one_for_every_approval_of_that_record() -> None:
    record = record_of()
    named = decided(record, "carla", witness=witness(proposers=(BOB,)))

    assert reason(judge(record, named, decided(record, BOB)), "approvals").startswith(
        "Approved by 1, of 1 needed. carla"
    )


def test_proposers_of_another_record_are_none_of_this_one() -> None:
    record = record_of()
    other = decided(record, "carla", record_digest="0" * 64, witness=witness(proposers=(BOB,)))

    assert closed(judge(record, other, decided(record, BOB))) == {}


def test_an_approval_that_nobody_vouches_for_says_so() -> None:
    record = record_of()
    nobody = Identity(name="unprotected", established_by="GitHub", strength=Strength.CLAIMED)

    verdict = judge(record, decided(record, approver=nobody, witness=witness(protected=False)))

    assert closed(verdict) == {}
    assert reason(verdict, "unprotected") == (
        "prod-approval is unprotected: nobody vouches for unprotected (claimed, by GitHub)."
    )


def test_where_the_policy_names_approvers_nobody_is_not_one_of_them() -> None:
    record = record_of(policy_of(approvers=(BOB,)))

    assert "approvals" in closed(judge(record, decided(record, "unprotected", witness=witness(protected=False))))


def test_a_team_of_one_may_approve_its_own_and_every_verdict_says_so() -> None:
    record = record_of(policy_of(allow_own=True))

    verdict = judge(record, decided(record, "dora", witness=witness()))

    assert closed(verdict) == {}
    assert "which approval.allow_own permits" in reason(verdict, "own")


@pytest.mark.parametrize("told", [None, witness()])
def test_an_approval_is_read_as_it_was_written(told: Witness | None) -> None:
    approval = decided(record_of(), witness=told)

    assert Approval.from_record(approval.to_record()) == approval
    assert ("witness" in approval.to_record()) == (told is not None), "those of before had none"


def test_a_witness_that_was_changed_is_not_read() -> None:
    content = replace(decided(record_of()), witness=witness()).to_record()
    del content["witness"]["proposers"]

    with pytest.raises(DataError, match="proposers"):
        Approval.from_record(content)
