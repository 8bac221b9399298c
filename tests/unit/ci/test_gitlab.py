"""A job of GitLab CI: sections, files, and the approvals of its own deployment."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.unit.ci.azure_run import committed
from tests.unit.ci.conftest import Interface

from gatehouse.ci import detect
from gatehouse.ci.gitlab import GitLab
from gatehouse.ci.provider import Approved, Level, Subject
from gatehouse.errors import PlatformError, Refused

SUBJECT = Subject(version="7", digest="0123456789ab" + "c" * 52)
HOME = "/api/v4/projects/3/deployments"


def gitlab(
    address: str, folder: Path, *, log: io.StringIO | None = None, commit: str = "c" * 40, token: str = ""
) -> GitLab:
    environ = {
        "GITLAB_CI": "true",
        "CI_API_V4_URL": f"{address}/api/v4",
        "CI_JOB_TOKEN": "s3cret",
        "GATEHOUSE_GITLAB_TOKEN": token,
        "CI_PROJECT_ID": "3",
        "CI_PROJECT_PATH": "octo/flights",
        "CI_PIPELINE_ID": "77",
        "CI_JOB_ID": "700",
        "CI_COMMIT_SHA": commit,
        "GITLAB_USER_LOGIN": "dora",
        "GITLAB_USER_EMAIL": "dora@example.org",
    }
    return GitLab(environ, log=log or io.StringIO(), folder=folder, wait=0)


def deployment(*approvals: dict[str, Any], job: int | None = 700) -> dict[str, Any]:
    return {
        "id": 41,
        "environment": {"id": 9, "name": "prod"},
        "deployable": {"id": job} if job else None,
        "approvals": list(approvals),
    }


def approval(who: str = "anna", status: str = "approved", comment: str = "") -> dict[str, Any]:
    return {
        "user": {"id": 5, "username": who},
        "status": status,
        "comment": comment,
        "created_at": "2026-11-20T12:00:00.000Z",
    }


def tell(interface: Interface, found: dict[str, Any]) -> None:
    interface.on(f"GET {HOME}", [deployment(job=None), found])
    interface.on(f"GET {HOME}/41", found)


def test_who_approved_this_jobs_deployment(interface: Interface, tmp_path: Path) -> None:
    tell(interface, deployment(approval(comment="record 0123456789ab")))

    assert gitlab(interface.address, tmp_path).approvals("prod", SUBJECT) == (
        Approved(
            who="anna",
            also=("5",),
            established_by="GitLab's approval of deployment 41 to prod (id 9) in pipeline 77 of octo/flights",
            protected=True,
            at=datetime(2026, 11, 20, 12, tzinfo=UTC),
            comment="record 0123456789ab",
            environment_id="9",
        ),
    )
    assert {asked.headers["job-token"] for asked in interface.asked} == {"s3cret"}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (deployment(), "Nobody approved this deployment to prod."),
        (deployment(approval(status="rejected", comment="no")), "anna rejected it: no"),
        (deployment(approval(comment="for fedcba987654")), "anna's approval names fedcba987654"),
        (deployment(approval(), job=701), "This job is no deployment to prod."),
    ],
)
def test_what_is_no_approval(interface: Interface, tmp_path: Path, found: dict[str, Any], said: str) -> None:
    tell(interface, found)

    with pytest.raises(Refused, match=said):
        gitlab(interface.address, tmp_path).approvals("prod", SUBJECT)


@pytest.mark.parametrize(("status", "content"), [(403, {"message": "403 Forbidden"}), (200, {"surprise": 1})])
def test_what_cannot_be_asked_or_read_is_refused(
    interface: Interface, tmp_path: Path, status: int, content: object
) -> None:
    interface.on(f"GET {HOME}", content, status=status)

    with pytest.raises(Refused, match="cannot be told") as caught:
        gitlab(interface.address, tmp_path).approvals("prod", SUBJECT)
    assert "s3cret" not in str(caught.value)


def test_summaries_and_outputs_are_files_that_the_job_keeps(tmp_path: Path) -> None:
    ci = gitlab("http://127.0.0.1:9", tmp_path)

    ci.summary("# One")
    ci.summary("Two")
    ci.output("version", "7")
    ci.annotate(Level.ERROR, "broken")

    files = {p.relative_to(tmp_path).as_posix(): p.read_text() for p in tmp_path.rglob("*") if p.is_file()}
    assert files == {"dist/ci/summary.md": "# One\n\nTwo\n\n", "dist/ci/outputs.env": "version=7\n"}


def test_a_section_of_the_log_ends_even_when_its_work_fails(tmp_path: Path) -> None:
    log = io.StringIO()

    with pytest.raises(ValueError, match="x"), gitlab("", tmp_path, log=log).group("Tests\r\x1b[0Ksection_end:1:x"):
        raise ValueError("x")

    found = re.findall(r"\x1b\[0Ksection_(start|end):\d+:(\w+)(?:\[collapsed=true\])?\r\x1b\[0K(.*)", log.getvalue())
    assert [kind for kind, _, _ in found] == ["start", "end"]
    assert found[0][1] == found[1][1]
    assert found[0][2] == "Tests [0Ksection_end:1:x"


def test_everybody_who_had_a_hand_in_it_proposed_it(tmp_path: Path) -> None:
    commit = committed(tmp_path, "will@example.org", "carl@example.org")

    assert gitlab("", tmp_path, commit=commit).proposers() == (
        "dora",
        "dora@example.org",
        "will@example.org",
        "carl@example.org",
    )
    with pytest.raises(PlatformError, match="git does not know commit"):
        gitlab("", tmp_path).proposers()


def test_without_a_token_no_address_has_an_account(interface: Interface, tmp_path: Path) -> None:
    ci = gitlab(interface.address, tmp_path)

    assert ci.accounts(("Ada <ada@example.org>",)) == ()
    assert ci.unlinked(("dora", "Ada <ada@example.org>", "ada@example.org")) == ("ada@example.org",)
    assert interface.asked == []


def test_with_a_token_the_account_of_exactly_that_address_is_told(interface: Interface, tmp_path: Path) -> None:
    ada = {"id": 6, "username": "ada-l", "name": "Ada", "public_email": "Ada@Example.org"}
    posing = {"id": 7, "username": "eve", "name": "ada@example.org", "public_email": ""}
    interface.on("GET /api/v4/users", [posing, ada])
    ci = gitlab(interface.address, tmp_path, token="u5ers")  # noqa: S106

    assert ci.accounts(("ada@example.org",)) == ("ada-l", "6")
    assert ci.unlinked(("ada@example.org",)) == ()
    (asked,) = interface.asked
    assert (asked.query, asked.headers["private-token"]) == ({"search": "ada@example.org"}, "u5ers")
    assert "job-token" not in asked.headers


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (200, [{"id": 7, "username": "eve", "name": "ada@example.org", "public_email": None}]),
        (200, {"surprise": 1}),
        (403, {"message": "403 Forbidden"}),
    ],
    ids=["only a name resembles it", "unreadable", "forbidden"],
)
def test_an_address_that_nobody_is_known_by_is_unlinked(
    interface: Interface, tmp_path: Path, status: int, content: object
) -> None:
    interface.on("GET /api/v4/users", content, status=status)

    assert gitlab(interface.address, tmp_path, token="u5ers").unlinked(("ada@example.org",)) == (  # noqa: S106
        "ada@example.org",
    )


def test_it_is_found_by_its_variable_and_wants_all_of_them(tmp_path: Path) -> None:
    ci = detect({"GITLAB_CI": "true"}, log=io.StringIO(), folder=tmp_path)

    assert ci.name == "gitlab"
    with pytest.raises(PlatformError, match="CI_PIPELINE_ID is ''"):
        ci.run()
