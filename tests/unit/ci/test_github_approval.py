"""Who approved on GitHub: a required reviewer, for this run, environment and record, or nobody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.unit.ci.conftest import Interface
from tests.unit.ci.github_run import COMMIT, HOME, TOKEN, attempt, environment, github, review

from gatehouse.ci.provider import Approved, Subject
from gatehouse.errors import Refused

DIGEST = "0123456789ab" + "c" * 52
SUBJECT = Subject(version="7", digest=DIGEST)
ANNA, TEAM = ("User", "anna"), ("Team", "risk")


def tell(interface: Interface, place: dict[str, Any], *reviews: dict[str, Any], begun: str = "") -> None:
    """What GitHub knows about the environment and the run."""
    interface.on(f"GET {HOME}/environments/prod", place)
    interface.on(f"GET {HOME}/actions/runs/77/approvals", list(reviews))
    interface.on(f"GET {HOME}/actions/runs/77/attempts/1", attempt(created_at=begun or "2026-11-20T10:00:00Z"))
    interface.on(f"GET {HOME}", {"default_branch": "main"})


def refusal(interface: Interface, folder: Path, **run: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        github(interface.address, folder, **run).approvals("prod", SUBJECT)
    assert TOKEN not in str(caught.value)
    return caught.value


def test_a_required_reviewer_approved(interface: Interface, tmp_path: Path) -> None:
    tell(interface, environment(ANNA), review("anna", comment="Looks right."))

    assert github(interface.address, tmp_path).approvals("prod", SUBJECT) == (
        Approved(
            who="anna",
            also=("414",),
            established_by=("GitHub's review of environment prod (id 161088068) in run 77, attempt 1, of octo/flights"),
            protected=True,
            at=None,
            comment="Looks right.",
            environment_id="161088068",
        ),
    )
    assert {asked.headers["authorization"] for asked in interface.asked} == {f"Bearer {TOKEN}"}


def test_a_member_of_a_required_team_is_one_as_github_enforced(interface: Interface, tmp_path: Path) -> None:
    tell(interface, environment(ANNA, TEAM), review("bob"))

    (approved,) = github(interface.address, tmp_path).approvals("prod", SUBJECT)

    assert approved.who == "bob"
    assert approved.established_by.endswith("octo/flights, as a member of a required team (risk) as GitHub enforced")


def test_an_environment_without_required_reviewers_asks_nobody(interface: Interface, tmp_path: Path) -> None:
    tell(interface, environment())

    (approved,) = github(interface.address, tmp_path).approvals("prod", SUBJECT)

    assert (approved.who, approved.protected, approved.environment_id) == ("unprotected", False, "161088068")
    assert "has no required reviewers" in approved.established_by


def test_a_rule_with_an_empty_list_of_reviewers_protects_nothing(interface: Interface, tmp_path: Path) -> None:
    place = environment(ANNA)
    place["protection_rules"][1]["reviewers"] = []
    tell(interface, place)

    (approved,) = github(interface.address, tmp_path).approvals("prod", SUBJECT)

    assert approved.protected is False


def test_no_review_is_no_approval_not_even_an_administrators_bypass(interface: Interface, tmp_path: Path) -> None:
    tell(interface, environment(ANNA))

    refused = refusal(interface, tmp_path)

    assert "this run has no review of theirs" in refused.what
    assert "an administrator started it past the rule" in refused.what
    assert "with the comment `0123456789ab`" in refused.remedy
    assert "https://github.com/octo/flights/settings/environments" in refused.remedy


def test_a_private_repository_is_told_that_its_plan_may_ignore_the_rule(interface: Interface, tmp_path: Path) -> None:
    tell(interface, environment(ANNA))

    assert "only GitHub Enterprise enforces" in refusal(interface, tmp_path, visibility="private").what


def test_a_rejection_closes_the_gate_whoever_else_approved(interface: Interface, tmp_path: Path) -> None:
    tell(interface, environment(ANNA, TEAM), review("anna"), review("bob", "rejected", "not on a Friday"))

    assert "bob rejected it: not on a Friday" in refusal(interface, tmp_path).what


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (review("eve"), "eve's approval does not count: they are not among the required reviewers"),
        (review("ci", kind="Bot"), "ci's approval is of a Bot, and a person has to decide."),
        (review("anna", number=1), "this run has no review of theirs"),
        (review("anna", "pending"), "this run has no review of theirs"),
        (review("anna", comment="ok for fedcba987654"), "names fedcba987654, and the decision record is 0123456789ab"),
        (review("anna", comment="ok, attempt 2"), "names attempt 2, and this is attempt 1"),
    ],
    ids=["not a reviewer", "a bot", "of an environment deleted since", "pending", "another record", "another attempt"],
)
def test_an_approval_that_does_not_count(
    interface: Interface, tmp_path: Path, entry: dict[str, Any], said: str
) -> None:
    tell(interface, environment(ANNA), entry)

    assert said in refusal(interface, tmp_path).what


@pytest.mark.parametrize(
    "comment", [DIGEST, DIGEST[:12].upper(), f"record {DIGEST[:20]}, commit {COMMIT}", "Attempt #2"]
)
def test_in_a_re_run_an_approval_names_what_it_is_for(interface: Interface, tmp_path: Path, comment: str) -> None:
    tell(interface, environment(ANNA), review("anna", comment=""), review("anna", comment=comment))

    (approved,) = github(interface.address, tmp_path, attempt=2).approvals("prod", SUBJECT)

    assert approved.comment == comment


@pytest.mark.parametrize("comment", ["", "fine", "0123456789a", f"commit {COMMIT}", "attempt 1"])
def test_in_a_re_run_an_approval_of_an_earlier_attempt_is_none(
    interface: Interface, tmp_path: Path, comment: str
) -> None:
    tell(interface, environment(ANNA), review("anna", comment=comment))

    refused = refusal(interface, tmp_path, attempt=2)

    assert "attempt" in refused.what
    assert "with the comment `0123456789ab attempt 2`" in refused.remedy


def test_a_rejection_of_an_earlier_attempt_does_not_close_this_one(interface: Interface, tmp_path: Path) -> None:
    tell(interface, environment(ANNA), review("anna", "rejected", "no"), review("anna", comment="attempt 2"))

    assert [a.who for a in github(interface.address, tmp_path, attempt=2).approvals("prod", SUBJECT)] == ["anna"]


def test_an_environment_made_after_the_run_began_proves_nothing(interface: Interface, tmp_path: Path) -> None:
    tell(interface, environment(ANNA, created_at="2026-11-20T10:00:01Z"), review("anna"), begun="2026-11-20T10:00:00Z")

    refused = refusal(interface, tmp_path)

    assert "was made at 2026-11-20T10:00:01Z, after the run had begun" in refused.what


def test_a_deleted_environment_approves_nothing(interface: Interface, tmp_path: Path) -> None:
    refused = refusal(interface, tmp_path)

    assert "There is no environment prod in octo/flights." in refused.what
    assert "https://github.com/octo/flights/settings/environments" in refused.remedy


@pytest.mark.parametrize("question", ["environments/prod", "actions/runs/77/approvals", "actions/runs/77/attempts/1"])
@pytest.mark.parametrize(
    ("status", "content", "said"),
    [
        (403, {"message": "Resource not accessible by integration"}, "403: Resource not accessible by integration"),
        (401, {"message": "Bad credentials"}, "answered 401: Bad credentials"),
        (500, b"oops", "answered 500"),
        (200, b"<html>Sign in</html>", "that is no JSON"),
        (200, [{"surprise": True}], "has no"),
        (200, None, "that is no JSON"),
    ],
    ids=["may not see", "unknown token", "down", "a page", "another shape", "nothing"],
)
def test_what_cannot_be_asked_or_read_is_refused(
    interface: Interface, tmp_path: Path, question: str, status: int, content: object, said: str
) -> None:
    tell(interface, environment(ANNA), review("anna"))
    interface.answers[f"GET {HOME}/{question}"] = []
    interface.on(f"GET {HOME}/{question}", content, status=status)

    refused = refusal(interface, tmp_path)

    assert "Whether version 7 was approved for prod cannot be told." in refused.what
    assert said in refused.what
    assert refused.why == "Not knowing is not an approval."


def test_a_person_is_told_with_the_right_that_is_missing(interface: Interface, tmp_path: Path) -> None:
    interface.on(f"GET {HOME}/environments/prod", {"message": "no"}, status=403)

    assert "permissions: {actions: read, contents: read}" in refusal(interface, tmp_path).remedy


def test_everybody_who_had_a_hand_in_it_proposed_it(interface: Interface, tmp_path: Path) -> None:
    interface.on(f"GET {HOME}/actions/runs/77/attempts/1", attempt("dora"))
    interface.on(f"GET {HOME}/actions/runs/77/attempts/2", attempt("rita"))
    interface.on(
        f"GET {HOME}/commits/{COMMIT}",
        {
            "sha": COMMIT,
            "commit": {"author": {"email": "will@example.org"}, "committer": {"email": "noreply@github.com"}},
            "author": {"login": "will"},
            "committer": {"login": "web-flow"},
        },
    )
    ci = github(interface.address, tmp_path, attempt=2)
    (tmp_path / "event.json").write_text(
        '{"sender": {"login": "sam"}, "pusher": {"name": "tim", "email": "tim@example.org"},'
        ' "inputs": {"proposer": "zoe"}}'
    )

    assert ci.proposers() == (
        "dora",
        "sam",
        "tim",
        "tim@example.org",
        "zoe",
        "rita",
        "will",
        "will@example.org",
    )
