"""The promote job of a release on GitHub: its commands, against an interface that answers as GitHub does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.pipelines.release.conftest import PROPOSER
from tests.unit.ci.conftest import (
    Interface,
    interface,  # noqa: F401 - a fixture
)
from tests.unit.ci.github_run import COMMIT, HOME, attempt, environment, review

from gatehouse.ci.approval import addresses_in
from gatehouse.gates.promotion import CHALLENGER, CHAMPION, PREVIOUS

if TYPE_CHECKING:
    from tests.integration.pipelines.conftest import Command
    from tests.integration.pipelines.release.conftest import Road

pytestmark = pytest.mark.slow


@pytest.fixture
def github(
    road: Road,
    command: Command,
    answered: Any,
    interface: Interface,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Interface:
    """Run 77 of octo/flights, which dora started, and in which version 2 was judged by the policy of conf/."""
    answer = road.record("1").compliance["probe"]
    monkeypatch.setattr("gatehouse.cli.world.clean_process", lambda _where: answered(answer))
    judged = command(road.lakehouse, "release --version 2 --as-of 2013-12-01")
    assert (judged.code, "Waits for approval" in judged.out) == (0, True), judged.err
    told = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_API_URL": interface.address,
        "GITHUB_REPOSITORY": "octo/flights",
        "GITHUB_RUN_ID": "77",
        "GITHUB_RUN_ATTEMPT": "1",
        "GITHUB_SHA": COMMIT,
        "GITHUB_ACTOR": "dora",
        "GITHUB_TOKEN": "ghs_x",
        "GITHUB_EVENT_PATH": str(tmp_path / "none.json"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    interface.on(f"GET {HOME}/actions/runs/77/attempts/1", attempt())
    tell_commits(road, interface, "will")
    return interface


def tell_commits(road: Road, interface: Interface, will: str | None) -> None:  # noqa: F811
    """Of the run's own, by `will`, and of whoever wrote what trains here, each with the account that GitHub links."""
    written = addresses_in((PROPOSER, *road.record("2").candidate.authors))
    accounts = {"will@x.y": will, **dict.fromkeys(written, "ada-l")}
    listed: list[dict[str, Any]] = [
        {
            "commit": {"author": {"email": address}, "committer": {"email": "noreply@github.com"}},
            "author": {"login": login} if login else None,
            "committer": {"login": "web-flow"},
        }
        for address, login in accounts.items()
    ]
    for question, content in (("commits", listed), (f"commits/{COMMIT}", listed[0])):
        interface.answers[f"GET {HOME}/{question}"] = []
        interface.on(f"GET {HOME}/{question}", content)


REVIEWS, APPROVAL = f"GET {HOME}/actions/runs/77/approvals", f"GET {HOME}/environments/prod-approval"


def test_who_was_asked_approves_and_who_started_the_run_promotes(
    road: Road, command: Command, github: Interface, tmp_path: Path
) -> None:
    github.on(APPROVAL, environment(("User", "anna"), ("User", "dora")))
    github.on(REVIEWS, [review("dora")])
    github.on(REVIEWS, [review("dora"), review("anna", comment=f"{road.record('2').digest()[:12]} fine")])

    own = command(road.lakehouse, "approve 2 --env prod --from-ci")
    assert (own.code, "nobody approves what they proposed" in own.err) == (10, True)
    assert road.aliases() == {CHAMPION: "1", PREVIOUS: None, CHALLENGER: "2"}

    asked = command(road.lakehouse, "approve 2 --env prod --from-ci")
    assert (asked.code, "Version 2 approved by anna (proven, by GitHub's review" in " ".join(asked.out.split())) == (
        0,
        True,
    )
    assert command(road.lakehouse, "promote 2 --env prod").code == 0
    assert road.aliases() == {CHAMPION: "2", PREVIOUS: "1", CHALLENGER: None}
    moved = [e for e in road.context().audit.entries() if e.actor == "dora"]
    assert {entry.actor_source for entry in moved} == {"run 77 of octo/flights (github) (proven)"}
    summary = (tmp_path / "summary.md").read_text("utf-8")
    assert "**Champion** since" in summary
    assert summary.startswith("### ⚠️ The approval of version 2 by dora does not count.")
    assert "\n2\n" in (tmp_path / "output").read_text()


def test_an_author_whom_github_does_not_know_could_be_the_approver(
    road: Road, command: Command, github: Interface
) -> None:
    github.on(APPROVAL, environment(("User", "anna")))
    github.on(REVIEWS, [review("anna", comment=f"{road.record('2').digest()[:12]} fine")])
    tell_commits(road, github, None)
    before = road.said()

    refused = command(road.lakehouse, "approve 2 --env prod --from-ci")

    assert (refused.code, road.said()) == (10, before)
    said = " ".join(refused.err.split())
    assert "Whether anna approves what is their own cannot be told: no account is known for will@x.y" in said
    assert "https://github.com/settings/emails); then run this job again" in said
    assert "gatehouse approve 2 --env prod --reason" in said
    tell_commits(road, github, "will")
    assert command(road.lakehouse, "approve 2 --env prod --from-ci").code == 0


def test_where_nobody_is_asked_the_log_says_so(road: Road, command: Command, github: Interface) -> None:
    github.on(APPROVAL, environment())
    github.on(f"GET {HOME}", {"default_branch": "main"})

    assert command(road.lakehouse, "approve 2 --env prod --from-ci").code == 0

    last = next(e for e in reversed(road.context().audit.entries()) if e.action == "decision_approve")
    assert (last.actor, last.actor_source.endswith("(claimed)")) == ("unprotected", True)
    assert "has no required reviewers" in last.actor_source


def test_where_github_does_not_answer_nothing_is_approved(road: Road, command: Command, github: Interface) -> None:
    github.on(APPROVAL, {"message": "Resource not accessible by integration"}, status=403)
    before = road.said()

    refused = command(road.lakehouse, "approve 2 --env prod --from-ci")

    assert refused.code == 10
    assert "permissions: {actions: read, contents: read}" in refused.err
    assert road.said() == before
