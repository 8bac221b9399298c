"""An approval as tags: both are needed, and they name one record."""

from __future__ import annotations

import pytest

from gatehouse.gates.tagged import Tagged
from gatehouse.lakehouse.registry_rules import APPROVAL_RECORD_TAG, APPROVAL_TAG

DIGEST = "3f2a9c0d1e2f" + "7" * 52
OTHER = "0" * 64


def approves(approval: str, record: str) -> bool:
    return Tagged.of({APPROVAL_TAG: approval, APPROVAL_RECORD_TAG: record}).approves(DIGEST)


@pytest.mark.parametrize("said", ["approved", "Approved", " APPROVED "])
def test_both_tags_together_approve_one_record(said: str) -> None:
    assert approves(said, f"{DIGEST[:12]} anna@example.org")


@pytest.mark.parametrize(
    ("approval", "record"),
    [
        ("approved", ""),  # Databricks' button alone
        ("approved", DIGEST[:12]),
        ("approved", f"{DIGEST[:12]} "),
        ("approved", f"{OTHER[:12]} anna@example.org"),
        ("approved", f"{DIGEST[:11]} anna@example.org"),
        ("approved", f"{DIGEST} anna@example.org"),
        ("approved", "anna@example.org"),
        ("", f"{DIGEST[:12]} anna@example.org"),
        ("rejected", f"{DIGEST[:12]} anna@example.org"),
        ("not approved", f"{DIGEST[:12]} anna@example.org"),
    ],
)
def test_anything_less_approves_nothing(approval: str, record: str) -> None:
    assert not approves(approval, record)


def test_without_tags_nobody_has_said_anything() -> None:
    assert Tagged.of({}) == Tagged(decision="", digits="", name="")


def test_what_is_written_is_read_again_and_the_word_that_decides_comes_last() -> None:
    said = Tagged(decision="approved", digits=DIGEST[:12], name="Anna Berg <anna@example.org>")
    tags = said.to_tags()
    assert Tagged.of(tags) == said
    assert tags[APPROVAL_TAG] == "Approved", "as Databricks' own button writes it"
    assert list(tags) == [APPROVAL_RECORD_TAG, APPROVAL_TAG]
