"""An approval in a CI that could be an author's own is refused, unless something tells that it is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gatehouse.ci.provider import Approved
from gatehouse.cli.from_ci import by_all_names
from gatehouse.errors import Refused
from gatehouse.gates.policy import ApprovalRule

ANNA = Approved(
    who="anna",
    also=("5",),
    established_by="GitLab's approval",
    protected=True,
    at=None,
    comment="",
    environment_id="9",
)
AUTHOR = ("ada@example.org",)
BY_HAND = "gatehouse approve 7 --env prod --reason '...'"


def test_who_may_be_the_author_by_another_name_is_refused_with_what_to_do() -> None:
    with pytest.raises(Refused) as caught:
        by_all_names(ANNA, ApprovalRule(), AUTHOR, BY_HAND)

    assert "Whether anna approves what is their own cannot be told" in caught.value.what
    assert "ada@example.org" in caught.value.what
    assert "'@anna <ADDRESS>' under approval.approvers in conf/promotion.yml" in caught.value.remedy
    assert caught.value.remedy.endswith(BY_HAND)


def test_where_the_ci_can_learn_an_address_the_refusal_begins_with_how() -> None:
    with pytest.raises(Refused) as caught:
        by_all_names(ANNA, ApprovalRule(), AUTHOR, BY_HAND, "Link it.")

    assert caught.value.remedy.startswith("Link it. Or write '@anna <ADDRESS>' under approval.approvers")
    assert "Of another approver it could be told as little" in str(caught.value.why)


def test_addresses_that_the_policy_has_for_the_account_are_names_of_the_person() -> None:
    rule = ApprovalRule(approvers=("@Anna <anna@example.org> <anna@home.example>", "@bert <bert@example.org>"))

    assert by_all_names(ANNA, rule, AUTHOR, BY_HAND).also == ("5", "anna@example.org", "anna@home.example")


@pytest.mark.parametrize("entry", ["anna", "@anna", "anna <ada@home.example>", "@bert <ada@home.example>"])
def test_an_entry_without_account_and_address_tells_nothing(entry: str) -> None:
    with pytest.raises(Refused):
        by_all_names(ANNA, ApprovalRule(approvers=(entry,)), AUTHOR, BY_HAND)


def test_an_address_is_an_account_where_accounts_are_addresses() -> None:
    rule = ApprovalRule(approvers=("anna@corp.example <anna@home.example>",))
    anna = replace(ANNA, who="Anna@corp.example")

    assert by_all_names(anna, rule, AUTHOR, BY_HAND).also == ("5", "anna@home.example")


@pytest.mark.parametrize(
    ("approved", "rule", "unlinked"),
    [
        (ANNA, ApprovalRule(), ()),
        (ANNA, ApprovalRule(allow_own=True), AUTHOR),
        (replace(ANNA, protected=False), ApprovalRule(), AUTHOR),
    ],
    ids=["all are known", "a team of one", "claimed anyway"],
)
def test_what_needs_no_comparison_stays_as_it_is(
    approved: Approved, rule: ApprovalRule, unlinked: tuple[str, ...]
) -> None:
    assert by_all_names(approved, rule, unlinked, BY_HAND) == approved
