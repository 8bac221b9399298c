"""Who approved on Azure DevOps: by the check of this environment, in this attempt of this stage, or nobody."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.unit.ci.azure_run import (
    ENVIRONMENT,
    HOME,
    TOKEN,
    approval,
    azure,
    build,
    check,
    committed,
    listed,
    place,
    stage,
    step,
)
from tests.unit.ci.conftest import Interface

from gatehouse.ci.provider import Approved, Subject
from gatehouse.errors import PlatformError, Refused

SUBJECT = Subject(version="7", digest="0123456789ab" + "c" * 52)
ANNA, BERT = "anna@example.org", "bert@example.org"


def tell(interface: Interface, **changed: Any) -> None:
    """What Azure knows about environment, check, build, timeline and approvals."""
    told = {
        "environments": listed(place(), {**place(), "id": 13, "name": "prod-eu"}),
        "configurations": listed({"id": 1, "type": {"id": "x", "name": "ExclusiveLock"}}, check(ANNA)),
        "builds": build(),
        "timeline": {"records": [*stage("candidate", approvals=()), *stage()]},
        "approvals": approval(step()),
        **changed,
    }
    interface.on(f"GET {HOME}/_apis/pipelines/environments", told["environments"])
    interface.on(f"GET {HOME}/_apis/pipelines/checks/configurations", told["configurations"])
    interface.on(f"GET {HOME}/_apis/build/builds/77", told["builds"])
    interface.on(f"GET {HOME}/_apis/build/builds/77/timeline", told["timeline"])
    interface.on(f"GET {HOME}/_apis/pipelines/approvals/ap-1", told["approvals"])


def refusal(interface: Interface, folder: Path, **variables: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        azure(interface.address, folder, **variables).approvals("prod", SUBJECT)
    assert TOKEN not in str(caught.value)
    return caught.value


def test_an_approver_approved(interface: Interface, tmp_path: Path) -> None:
    tell(interface, approvals=approval(step(comment="Looks right.")))

    assert azure(interface.address, tmp_path).approvals("prod", SUBJECT) == (
        Approved(
            who=ANNA,
            also=(f"id-{ANNA}",),
            established_by=(
                "Azure DevOps' approval check of environment prod (id 12) in stage promote, attempt 1, of build 77"
            ),
            protected=True,
            at=datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC),
            comment="Looks right.",
            environment_id="12",
        ),
    )
    queries = {asked.path.rpartition("/")[2]: asked.query for asked in interface.asked}
    assert queries["configurations"]["resourceId"] == str(ENVIRONMENT)
    assert queries["ap-1"] == {"api-version": "7.1", "$expand": "steps"}


def test_of_a_group_the_person_who_decided_is_named(interface: Interface, tmp_path: Path) -> None:
    tell(interface, configurations=listed(check("group")), approvals=approval(step("group", BERT)))

    assert [a.who for a in azure(interface.address, tmp_path).approvals("prod", SUBJECT)] == [BERT]


def test_all_who_approved_are_named(interface: Interface, tmp_path: Path) -> None:
    tell(
        interface,
        configurations=listed(check(ANNA, BERT, "carl@example.org")),
        approvals=approval(step(), step(BERT), step("carl@example.org", status="skipped")),
    )

    assert [a.who for a in azure(interface.address, tmp_path).approvals("prod", SUBJECT)] == [ANNA, BERT]


@pytest.mark.parametrize(
    "checks",
    [listed(), listed(check(ANNA, disabled=True)), listed(check())],
    ids=["no check", "a disabled one", "one that asks nobody"],
)
def test_an_environment_that_asks_nobody_is_unprotected(
    interface: Interface, tmp_path: Path, checks: dict[str, Any]
) -> None:
    tell(interface, configurations=checks)

    (found,) = azure(interface.address, tmp_path).approvals("prod", SUBJECT)

    assert (found.who, found.protected, found.environment_id) == ("unprotected", False, "12")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"approvals": approval(step(status="skipped"), status="skipped")}, "The approval of prod is skipped."),
        ({"approvals": approval(step(status="timedOut"), status="timedOut")}, "The approval of prod is timedOut."),
        ({"approvals": approval(step(status="canceled"), status="canceled")}, "The approval of prod is canceled."),
        ({"approvals": approval(step(status="pending"), status="pending")}, "The approval of prod is pending."),
        (
            {"approvals": approval(step(status="rejected", comment="no"), status="rejected")},
            "The approval of prod is rejected, by anna@example.org: no.",
        ),
        ({"approvals": approval(step(status="skipped"))}, "No person stands behind its approval."),
        ({"approvals": approval()}, "this attempt of stage promote waited for none of its approvers"),
        ({"approvals": approval(step(BERT))}, "this attempt of stage promote waited for none of its approvers"),
        ({"timeline": {"records": stage(approvals=())}}, "an administrator went past the check"),
        (
            {"approvals": approval(step(comment="ok fedcba987654"))},
            "names fedcba987654, and the decision record is 0123",
        ),
        ({"environments": listed({**place(), "name": "prod-eu"})}, "There is no environment prod."),
        ({"environments": listed(place("2026-11-20T10:00:01Z"))}, "was made at 2026-11-20T10:00:01Z, after the run"),
        ({"timeline": {"records": stage("other")}}, "The timeline of the build has no stage promote."),
        (
            {"timeline": {"records": [*stage(), *stage(attempt=2)]}},
            "The newest attempt of stage promote is 2, not 1.",
        ),
    ],
    ids=[
        "skipped",
        "out of time",
        "canceled",
        "pending",
        "rejected",
        "bypassed",
        "steps not shown",
        "of another resource",
        "no approval",
        "of another record",
        "a deleted environment",
        "a new environment",
        "another stage",
        "repeated since",
    ],
)
def test_what_is_no_approval(interface: Interface, tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    tell(interface, **changed)

    assert said in refusal(interface, tmp_path).what


def test_a_repeated_stage_has_an_approval_of_its_own(interface: Interface, tmp_path: Path) -> None:
    tell(interface, timeline={"records": [*stage(approvals=("old",)), *stage(attempt=2)]})

    (found,) = azure(interface.address, tmp_path, SYSTEM_STAGEATTEMPT="2").approvals("prod", SUBJECT)

    assert found.established_by.endswith("in stage promote, attempt 2, of build 77")
    assert not [asked for asked in interface.asked if asked.path.endswith("/old")]


@pytest.mark.parametrize(
    "question",
    [
        "_apis/pipelines/environments",
        "_apis/pipelines/checks/configurations",
        "_apis/build/builds/77",
        "_apis/build/builds/77/timeline",
        "_apis/pipelines/approvals/ap-1",
    ],
)
@pytest.mark.parametrize(
    ("status", "content", "said"),
    [
        (403, {"message": "TF400813: not authorized"}, "Azure DevOps answered 403: TF400813: not authorized"),
        (203, b"<html>Sign in</html>", "that is no JSON"),
        (200, {"surprise": 1}, "has no"),
        (500, b"", "answered 500"),
    ],
)
def test_what_cannot_be_asked_or_read_is_refused(
    interface: Interface, tmp_path: Path, question: str, status: int, content: object, said: str
) -> None:
    tell(interface)
    interface.answers[f"GET {HOME}/{question}"] = []
    interface.on(f"GET {HOME}/{question}", content, status=status)

    refused = refusal(interface, tmp_path)

    assert "Whether version 7 was approved for prod cannot be told." in refused.what
    assert said in refused.what


def test_the_right_that_is_missing_is_named(interface: Interface, tmp_path: Path) -> None:
    interface.on(f"GET {HOME}/_apis/pipelines/environments", {"message": "no"}, status=403)

    assert "the role Reader on the environment" in refusal(interface, tmp_path).remedy


def test_everybody_who_had_a_hand_in_it_proposed_it(interface: Interface, tmp_path: Path) -> None:
    commit = committed(tmp_path, "will@example.org", "carl@example.org")
    interface.on(f"GET {HOME}/_apis/build/builds/77", build(triggeredByBuild=None))
    interface.on(f"GET {HOME}/_apis/build/definitions", listed({"id": 3, "name": "cut-release"}))
    cut: dict[str, Any] = {"requestedFor": {"id": "id-cora", "uniqueName": "cora@example.org"}, "result": None}
    interface.on(f"GET {HOME}/_apis/build/builds", listed(build(70, commit=commit, **cut), build(71)))

    assert azure(interface.address, tmp_path, commit=commit, GATEHOUSE_PROPOSER="zoe@example.org").proposers() == (
        "dora@example.org",
        "id-dora@example.org",
        "zoe@example.org",
        "rita@example.org",
        "id-rita@example.org",
        "cora@example.org",
        "id-cora",
        "will@example.org",
        "carl@example.org",
    )


def test_a_commit_that_is_not_checked_out_hides_its_authors(interface: Interface, tmp_path: Path) -> None:
    interface.on(f"GET {HOME}/_apis/build/builds/77", build())
    interface.on(f"GET {HOME}/_apis/build/definitions", listed())

    with pytest.raises(PlatformError, match="git does not know commit cccccccccccc") as caught:
        azure(interface.address, tmp_path).proposers()
    assert "checkout: self" in caught.value.remedy
