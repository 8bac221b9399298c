"""A build on Jenkins: who answered its input step, as far as its Jenkinsfile tells the truth."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from tests.unit.ci.azure_run import committed

from gatehouse.ci import detect
from gatehouse.ci.provider import Approved, Provider, Subject
from gatehouse.errors import PlatformError, Refused

SUBJECT = Subject(version="7", digest="0123456789ab" + "c" * 52)


def jenkins(folder: Path, **variables: str) -> Provider:
    environ = {"JENKINS_URL": "http://ci", "BUILD_TAG": "jenkins-flights-77", "JOB_NAME": "flights", **variables}
    return detect(environ, log=io.StringIO(), folder=folder)


def test_whom_the_jenkinsfile_names_is_claimed_and_not_proven(tmp_path: Path) -> None:
    ci = jenkins(tmp_path, GATEHOUSE_APPROVER="anna", GATEHOUSE_APPROVAL_COMMENT="0123456789ab")

    assert ci.approvals("prod", SUBJECT) == (
        Approved(
            who="anna",
            also=(),
            established_by=(
                "the input step of jenkins-flights-77 on Jenkins, handed on by its Jenkinsfile as GATEHOUSE_APPROVER"
            ),
            protected=False,
            at=None,
            comment="0123456789ab",
            environment_id="",
        ),
    )


@pytest.mark.parametrize(
    ("who", "comment", "said"),
    [
        ("", "0123456789ab", "Nobody answered for prod"),
        ("anna", "", "its comment has to name the decision record or the attempt"),
        ("anna", "fedcba987654", "names fedcba987654"),
    ],
)
def test_what_is_no_approval(tmp_path: Path, who: str, comment: str, said: str) -> None:
    with pytest.raises(Refused, match=said) as caught:
        jenkins(tmp_path, GATEHOUSE_APPROVER=who, GATEHOUSE_APPROVAL_COMMENT=comment).approvals("prod", SUBJECT)
    assert "submitterParameter: 'APPROVER'" in caught.value.remedy


def test_everybody_who_had_a_hand_in_it_proposed_it(tmp_path: Path) -> None:
    commit = committed(tmp_path, "will@example.org", "carl@example.org")

    found = jenkins(tmp_path, GIT_COMMIT=commit, BUILD_USER_ID="dora", CHANGE_AUTHOR="zoe").proposers()

    assert found == ("dora", "zoe", "will@example.org", "carl@example.org")
    with pytest.raises(PlatformError, match="git does not know commit 000000000000"):
        jenkins(tmp_path, GIT_COMMIT="0" * 40).proposers()


def test_a_summary_is_a_file_that_the_build_keeps(tmp_path: Path) -> None:
    jenkins(tmp_path).summary("# One")

    assert (tmp_path / "dist/ci/summary.md").read_text() == "# One\n\n"
