"""The harness for GitHub: events start what they start, and rights, environments and secrets hold."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from tests.template.harness import NotUnderstood
from tests.template.harness.github_hub import GitHub
from tests.template.harness.github_state import NAME, OWNER, Person, Review

from gatehouse.ci import github as provider

pytestmark = pytest.mark.skipif(os.name == "nt", reason="jobs run in bash on this machine")

PERSIST = "{persist-credentials: false}"


def test_an_artefact_of_another_run_takes_the_right_to_read_actions(hub: GitHub) -> None:
    upload, download = "actions/upload-artifact@" + "b" * 40, "actions/download-artifact@" + "c" * 40
    hub.add(
        f"""
  one:
    runs-on: ubuntu-24.04
    steps: [{{run: echo seven > x}}, {{uses: {upload}, with: {{name: state, path: x}}}}]
""",
    )
    (first,) = hub.push("anna")
    for rights, conclusion in (("actions: read", "success"), ("contents: read", "failure")):
        hub.add(
            f"""
  two:
    runs-on: ubuntu-24.04
    permissions: {{{rights}}}
    steps:
      - uses: {download}
        with: {{name: state, path: got, run-id: "{first.run.id}", github-token: "${{{{ github.token }}}}"}}
      - run: '[ "$(cat got/x)" = seven ]'
""",
        )
        (second,) = hub.push("anna")
        assert second.conclusion == conclusion, second.ran.log
    assert hub.api.denied == ["a.yml two: actions: read"]


def test_a_token_may_do_what_its_job_was_given_and_no_more(hub: GitHub) -> None:
    call = """curl -s -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $T" """
    steps = f"""
      - run: |
          echo "runs $({call} "$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/actions/runs/$GITHUB_RUN_ID")"
          echo "issue $({call} -d '{{"title": "t"}}' "$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/issues")"
        env: {{T: "${{{{ github.token }}}}"}}
"""
    hub.add(
        f"""
  reader:
    runs-on: ubuntu-24.04
    permissions: {{actions: read}}
    steps: {steps}
  writer:
    runs-on: ubuntu-24.04
    permissions: {{issues: write}}
    steps: {steps}
""",
    )
    (finished,) = hub.push("anna")
    log = finished.ran.log.splitlines()
    assert sorted(line for line in log if " runs " in line or " issue " in line) == [
        "[reader] issue 403",
        "[reader] runs 200",
        "[writer] issue 201",
        "[writer] runs 403",
    ]
    assert [issue.title for issue in hub.api.issues.values()] == ["t"]


def test_a_call_that_the_loopback_server_does_not_know_fails_the_test(tmp_path: Path) -> None:
    hub = GitHub(tmp_path)
    hub.add(
        """
  one:
    runs-on: ubuntu-24.04
    steps: [{run: 'curl -s "$GITHUB_API_URL/repos/octo/flights/zen"'}]
""",
    )
    with pytest.raises(NotUnderstood, match="GET /repos/octo/flights/zen"), hub.open():
        hub.push("anna")


@pytest.mark.parametrize(("rights", "pushed"), [("{contents: write}", True), ("{contents: read}", False)])
def test_a_ref_is_pushed_with_a_token_that_may_and_only_forwards(hub: GitHub, rights: str, pushed: bool) -> None:
    hub.add(
        f"""
  one:
    runs-on: ubuntu-24.04
    permissions: {rights}
    steps:
      - {{uses: actions/checkout@{"a" * 40}, with: {PERSIST}}}
      - run: |
          auth="AUTHORIZATION: basic $(printf 'x:%s' "$T" | base64 | tr -d "\\n")"
          git -c http.extraheader="$auth" push -q origin HEAD:refs/gatehouse/state-prod
          git -c user.name=x -c user.email=x@example.org commit -q --allow-empty --amend -m other
          if git -c http.extraheader="$auth" push -q origin HEAD:refs/gatehouse/state-prod; then exit 1; fi
        env: {{T: "${{{{ github.token }}}}"}}
        shell: bash
""",
    )
    (finished,) = hub.push("anna")
    assert (finished.conclusion == "success") is pushed, finished.ran.log
    assert bool(hub.git("for-each-ref", "refs/gatehouse")) is pushed


def test_without_a_token_nothing_is_pushed(hub: GitHub) -> None:
    hub.add(
        f"""
  one:
    runs-on: ubuntu-24.04
    permissions: {{contents: write}}
    steps:
      - {{uses: actions/checkout@{"a" * 40}, with: {PERSIST}}}
      - run: git push -q origin HEAD:refs/gatehouse/state-prod
""",
    )
    (finished,) = hub.push("anna")
    assert finished.conclusion == "failure"
    assert hub.git("for-each-ref", "refs/gatehouse") == ""


PROTECTED = """
  one:
    runs-on: ubuntu-24.04
    environment: prod
    steps: [{run: echo deployed}]
"""


def test_a_protected_environment_opens_when_a_reviewer_says_so(hub: GitHub) -> None:
    hub.add(PROTECTED)
    hub.protect("prod", "bert", "carla")
    (waiting,) = hub.push("anna")
    assert waiting.conclusion == "waiting"
    assert waiting.run.waiting_for == "prod"
    assert "deployed" not in waiting.ran.log

    hub.reviewer = lambda w: Review(environment=w.environment, by=hub.people["bert"], comment="go")
    (approved,) = hub.push("anna")
    assert approved.conclusion == "success"
    assert [(review.by.login, review.comment) for review in approved.run.reviews] == [("bert", "go")]

    hub.reviewer = lambda w: Review(environment=w.environment, by=hub.people["bert"], state="rejected")
    (rejected,) = hub.push("anna")
    assert rejected.conclusion == "failure"


def test_an_environment_that_is_not_there_is_made_and_protects_nothing(hub: GitHub) -> None:
    hub.add(PROTECTED)
    (finished,) = hub.push("anna")
    assert finished.conclusion == "success"
    assert hub.api.environments["prod"].json()["protection_rules"] == []


def test_an_environment_takes_only_the_branches_and_tags_it_names(hub: GitHub) -> None:
    hub.add(PROTECTED)
    hub.protect("prod", branch_policies=("release/*", "tag:v*"))
    (pushed,) = hub.push("anna")
    assert pushed.conclusion == "failure"
    assert "main is not allowed to deploy to prod" in pushed.ran.log
    (tagged,) = hub.tag("anna", "v1.0.0")
    assert tagged.conclusion == "success"


def test_the_one_who_started_a_run_does_not_review_it(tmp_path: Path) -> None:
    hub = GitHub(tmp_path)
    hub.add(PROTECTED)
    hub.protect("prod", "anna")
    hub.reviewer = lambda w: Review(environment=w.environment, by=hub.people["anna"])
    with pytest.raises(NotUnderstood, match="reviews their own run"), hub.open():
        hub.push("anna")


def test_events_of_all_kinds_say_what_they_are(hub: GitHub) -> None:
    told = """
  told:
    runs-on: ubuntu-24.04
    steps:
      - run: 'echo "$E $R $A $GITHUB_TRIGGERING_ACTOR $GITHUB_SHA $I"'
        env:
          E: ${{ github.event_name }}
          R: ${{ github.ref }}
          A: ${{ github.actor }}
          I: ${{ inputs.reason }}
"""
    hub.add(
        told,
        on="{push: {branches: [main], tags: ['v*']}, pull_request: , schedule: [{cron: '0 5 * * *'}], "
        "workflow_dispatch: {inputs: {reason: {required: true}}}}",
    )
    (pushed,) = hub.push("anna")
    sha = pushed.run.sha
    assert f"push refs/heads/main anna anna {sha}" in pushed.ran.log
    (again,) = [hub.again(pushed, "carla")]
    assert f"push refs/heads/main anna carla {sha}" in again.ran.log
    assert again.run.attempt == 2
    (tagged,) = hub.tag("bert", "v1.0.0")
    assert f"push refs/tags/v1.0.0 bert bert {sha}" in tagged.ran.log
    (dispatched,) = hub.dispatch("carla", "a.yml", reason="late")
    assert f"workflow_dispatch refs/heads/main carla carla {sha} late" in dispatched.ran.log
    (scheduled,) = hub.schedule("0 5 * * *")
    assert f"schedule refs/heads/main anna anna {sha}" in scheduled.ran.log
    (proposed,) = hub.pull_request("bert", 5)
    assert f"pull_request refs/pull/5/merge bert bert {proposed.run.sha}" in proposed.ran.log
    assert hub.push("anna", "other") == []


def test_a_forks_pull_request_gets_no_secret_and_may_write_nothing(hub: GitHub) -> None:
    hub.add(
        """
  one:
    runs-on: ubuntu-24.04
    permissions: {pull-requests: write}
    steps: [{run: 'echo "<$S>"', env: {S: "${{ secrets.S }}"}}]
""",
        on="pull_request",
    )
    hub.commit("anna")
    hub.secrets["S"] = "hush"
    (ours,) = hub.pull_request("anna", 1)
    (theirs,) = hub.pull_request("bert", 2, head="theirs", fork=True)
    assert "[one] <***>" in ours.ran.log
    assert "[one] <>" in theirs.ran.log
    assert [run.run.permissions for run in (ours, theirs)] == [
        {"one": {"pull-requests": "write"}},
        {"one": {"pull-requests": "read"}},
    ]


def test_a_dispatch_made_by_a_workflow_runs_and_a_push_made_by_one_does_not(hub: GitHub) -> None:
    call = 'curl -s -H "Authorization: Bearer $T" "$GITHUB_API_URL/repos/$GITHUB_REPOSITORY'
    hub.add(
        f"""
  cut:
    runs-on: ubuntu-24.04
    permissions: {{contents: write, actions: write}}
    steps:
      - run: |
          {call}/git/refs" -d "{{\\"ref\\": \\"refs/heads/release/1\\", \\"sha\\": \\"$GITHUB_SHA\\"}}"
          {call}/actions/workflows/release.yml/dispatches" -d '{{"ref": "release/1"}}'
        env: {{T: "${{{{ github.token }}}}"}}
""",
        on="workflow_dispatch",
        name="cut.yml",
    )
    hub.add(
        """
  go:
    runs-on: ubuntu-24.04
    steps: [{run: 'echo "$GITHUB_REF $GITHUB_ACTOR"'}]
""",
        on="{workflow_dispatch: , push: {branches: ['release/**']}}",
        name="release.yml",
    )
    hub.commit("anna")
    cut, release = hub.dispatch("anna", "cut.yml")
    assert (cut.conclusion, release.run.event) == ("success", "workflow_dispatch")
    assert "refs/heads/release/1 github-actions[bot]" in release.ran.log


def test_a_dispatch_with_an_input_that_is_not_declared_is_refused(hub: GitHub) -> None:
    call = 'curl -s -H "Authorization: Bearer $T" "$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/actions/workflows/b.yml'
    hub.add(
        f"""
  one:
    runs-on: ubuntu-24.04
    permissions: {{actions: write}}
    steps:
      - run: |
          {call}/dispatches" -d '{{"ref": "main", "inputs": {{"who": "me"}}}}'
        env: {{T: "${{{{ github.token }}}}"}}
""",
    )
    hub.add("  go: {runs-on: ubuntu-24.04, steps: [{run: 'true'}]}", on="workflow_dispatch", name="b.yml")
    (finished,) = hub.push("anna")
    assert "Unexpected inputs provided: ['who']" in finished.ran.log


def test_commits_name_the_account_of_an_address_that_has_one(hub: GitHub) -> None:
    hub.people["eve"] = Person("eve", 110, "eve@home.example")
    hub.commit("eve", "As she is known\n\nCo-authored-by: Bert <BERT@example.org>\nCo-authored-by: Fay <fay@x.example>")
    hub.people["eve"] = Person("eve", 110, "42+nobody@users.noreply.github.com")  # she took the first address away
    sha = hub.commit("carla")
    run = hub.green("release.yml", sha, "anna")
    run.permissions["promote"] = {"contents": "read"}
    environ = {
        "GITHUB_API_URL": hub.api.url,
        "GITHUB_REPOSITORY": f"{OWNER}/{NAME}",
        "GITHUB_RUN_ID": str(run.id),
        "GITHUB_RUN_ATTEMPT": "1",
        "GITHUB_SHA": sha,
        "GITHUB_TOKEN": hub.api.token(run, "promote"),
    }
    ci = provider.GitHub(environ, log=io.StringIO(), wait=0)
    names = ("Carla <carla@example.org>", "Bert <bert@example.org>", "eve@home.example", "fay@x.example", "x@y.example")

    assert ci.accounts(names) == ("carla", "bert")
    assert ci.unlinked(names) == ("eve@home.example", "fay@x.example", "x@y.example")
