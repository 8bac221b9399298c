"""The harness for GitHub: a workflow runs for real, and nothing it should not be able to do works."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.template.harness import NotUnderstood
from tests.template.harness.github_hub import GitHub
from tests.template.harness.github_state import Review

pytestmark = pytest.mark.skipif(os.name == "nt", reason="jobs run in bash on this machine")

PERSIST = "{persist-credentials: false}"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[GitHub]:
    with GitHub(tmp_path).open() as hub:
        yield hub


def add(hub: GitHub, jobs: str, *, on: str = "push", name: str = "a.yml", top: str = "permissions: {}") -> None:
    """A workflow with these jobs, in the working copy."""
    folder = hub.work / ".github/workflows"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f"name: {name[:-4]}\non: {on}\n{top}\njobs:\n{jobs}", encoding="utf-8")


def test_jobs_run_in_order_and_hand_over_outputs(hub: GitHub) -> None:
    add(
        hub,
        """
  one:
    runs-on: ubuntu-24.04
    outputs: {v: "${{ steps.s.outputs.v }}"}
    steps: [{id: s, run: 'echo v=7 >> "$GITHUB_OUTPUT"; echo "# seven" >> "$GITHUB_STEP_SUMMARY"'}]
  two:
    needs: one
    if: needs.one.outputs.v == '7'
    runs-on: ubuntu-24.04
    steps: [{run: 'echo "got $V"', env: {V: "${{ needs.one.outputs.v }}"}}]
  three:
    needs: one
    if: needs.one.outputs.v == '8'
    runs-on: ubuntu-24.04
    steps: [{run: exit 1}]
""",
    )
    (finished,) = hub.push("anna")
    assert finished.conclusion == "success"
    assert finished.ran.jobs == {"one": "success", "two": "success", "three": "skipped"}
    assert finished.ran.summary == "# seven\n"
    assert "[two] got 7" in finished.ran.log


def test_a_job_that_fails_keeps_those_behind_it_from_running_and_the_run_is_red(hub: GitHub) -> None:
    add(
        hub,
        """
  one:
    runs-on: ubuntu-24.04
    steps: [{run: 'false | cat', shell: bash}, {run: echo later}]
  two:
    needs: one
    runs-on: ubuntu-24.04
    steps: [{run: 'true'}]
  pass:
    if: always()
    needs: [one, two]
    runs-on: ubuntu-24.04
    steps: [{run: 'echo "$R"', env: {R: "${{ join(needs.*.result, ' ') }}"}}]
""",
    )
    (finished,) = hub.push("anna")
    assert finished.conclusion == "failure"
    assert finished.ran.jobs == {"one": "failure", "two": "skipped", "pass": "success"}
    assert "[pass] failure skipped" in finished.ran.log
    assert [step for step in finished.ran.steps if step[0] == "one"] == [("one", "false | cat", "failure")]


def test_jobs_share_no_files_but_what_artefacts_carry(hub: GitHub) -> None:
    upload, download = "actions/upload-artifact@" + "b" * 40, "actions/download-artifact@" + "c" * 40
    add(
        hub,
        f"""
  one:
    runs-on: ubuntu-24.04
    outputs: {{id: "${{{{ steps.up.outputs.artifact-id }}}}"}}
    steps:
      - run: mkdir -p dist .hidden; echo seven > dist/x; echo y > .hidden/y
      - {{id: up, uses: {upload}, with: {{name: state, path: dist/x}}}}
      - {{uses: {upload}, with: {{name: nothing, path: .hidden}}}}
  two:
    needs: one
    runs-on: ubuntu-24.04
    steps:
      - run: '[ ! -e dist ]'
      - {{uses: {download}, with: {{name: state, path: got}}}}
      - run: '[ "$(cat got/x) $ID" = "seven {{id}}" ] || echo "$(cat got/x) $ID"'
        env: {{ID: "${{{{ needs.one.outputs.id }}}}"}}
""",
    )
    (finished,) = hub.push("anna")
    assert finished.conclusion == "success", finished.ran.log
    (artifact,) = hub.api.artifacts  # what hides behind a dot was not uploaded
    assert f"[two] seven {artifact.id}" in finished.ran.log
    assert zipfile.ZipFile(io.BytesIO(artifact.content)).namelist() == ["x"]


def test_an_artefact_of_another_run_takes_the_right_to_read_actions(hub: GitHub) -> None:
    upload, download = "actions/upload-artifact@" + "b" * 40, "actions/download-artifact@" + "c" * 40
    add(
        hub,
        f"""
  one:
    runs-on: ubuntu-24.04
    steps: [{{run: echo seven > x}}, {{uses: {upload}, with: {{name: state, path: x}}}}]
""",
    )
    (first,) = hub.push("anna")
    for rights, conclusion in (("actions: read", "success"), ("contents: read", "failure")):
        add(
            hub,
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
    add(
        hub,
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
    add(
        hub,
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
    add(
        hub,
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
    add(
        hub,
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
    add(hub, PROTECTED)
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
    add(hub, PROTECTED)
    (finished,) = hub.push("anna")
    assert finished.conclusion == "success"
    assert hub.api.environments["prod"].json()["protection_rules"] == []


def test_an_environment_takes_only_the_branches_and_tags_it_names(hub: GitHub) -> None:
    add(hub, PROTECTED)
    hub.protect("prod", branch_policies=("release/*", "tag:v*"))
    (pushed,) = hub.push("anna")
    assert pushed.conclusion == "failure"
    assert "main is not allowed to deploy to prod" in pushed.ran.log
    (tagged,) = hub.tag("anna", "v1.0.0")
    assert tagged.conclusion == "success"


def test_the_one_who_started_a_run_does_not_review_it(tmp_path: Path) -> None:
    hub = GitHub(tmp_path)
    add(hub, PROTECTED)
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
    add(
        hub,
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
    add(
        hub,
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
    add(
        hub,
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
    add(
        hub,
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


PIECE = """
  first:
    runs-on: ubuntu-24.04
    permissions: {contents: read}
    outputs: {v: "${{ steps.s.outputs.v }}"}
    steps:
      - {id: s, run: 'echo "$E $GITHUB_REF"; echo v=7 >> "$GITHUB_OUTPUT"', env: {E: "${{ inputs.env }}"}}
  second:
    needs: first
    if: inputs.fails && needs.first.outputs.v == '7'
    runs-on: ubuntu-24.04
    steps: [{run: exit 1}]
"""
CALL = "{workflow_call: {inputs: {env: {type: string}, fails: {type: boolean}}, outputs: {v: {value: '%s'}}}}"
CALLER = """
  before:
    runs-on: ubuntu-24.04
    steps: [{run: 'true'}]
  outer:
    needs: before
    permissions: {contents: %s}
    uses: ./.github/workflows/piece.yml
    with: {env: staging, fails: %s}
  behind:
    needs: outer
    runs-on: ubuntu-24.04
    steps: [{run: 'true'}]
  pass:
    if: always()
    needs: [before, outer, behind]
    runs-on: ubuntu-24.04
    steps:
      - run: 'echo "$R $V"'
        env: {R: "${{ join(needs.*.result, ' ') }}", V: "${{ needs.outer.outputs.v }}"}
"""


@pytest.mark.parametrize(
    ("fails", "results", "told"),
    [
        ("false", ["success", "skipped", "success", "success"], "success success success 7"),
        ("true", ["success", "failure", "failure", "skipped"], "success failure skipped 7"),
    ],
)
def test_a_called_workflow_is_one_job_to_those_behind_it(
    hub: GitHub, fails: str, results: list[str], told: str
) -> None:
    add(hub, PIECE, on=CALL % "${{ jobs.first.outputs.v }}", name="piece.yml")
    add(hub, CALLER % ("read", fails))
    (finished,) = hub.push("anna")
    names = ["outer/first", "outer/second", "outer", "behind"]
    assert finished.ran.jobs == {"before": "success", **dict(zip(names, results, strict=True)), "pass": "success"}
    assert "[outer/first] staging refs/heads/main" in finished.ran.log
    assert f"[pass] {told}" in finished.ran.log
    assert finished.conclusion == ("failure" if fails == "true" else "success")


def test_a_called_workflow_has_its_callers_rights_at_most(hub: GitHub) -> None:
    add(hub, PIECE, on=CALL % "x", name="piece.yml")
    add(hub, CALLER % ("none", "false"))
    with pytest.raises(NotUnderstood, match="caller lacks"):
        hub.push("anna")


def test_the_checkout_is_one_commit_deep_unless_more_is_asked_for(hub: GitHub) -> None:
    checkout = "actions/checkout@" + "a" * 40
    add(
        hub,
        f"""
  shallow:
    runs-on: ubuntu-24.04
    steps: [{{uses: {checkout}, with: {PERSIST}}}, {{run: 'echo "$(git log --oneline | wc -l) of it"'}}]
  deep:
    runs-on: ubuntu-24.04
    steps:
      - {{uses: {checkout}, with: {{persist-credentials: false, fetch-depth: 0}}}}
      - run: 'echo "$(git log --oneline | wc -l) of it; $(git status --short | wc -l) changed"'
""",
    )
    hub.commit("anna")
    (finished,) = hub.push("anna")
    assert "[shallow] 1 of it" in finished.ran.log
    assert "[deep] 2 of it; 0 changed" in finished.ran.log


def test_programs_of_a_hosted_machine_are_there_and_this_environments_are_not(hub: GitHub) -> None:
    add(
        hub,
        """
  one:
    runs-on: ubuntu-24.04
    steps:
      - run: uv run --locked gatehouse --version
      - run: if command -v gatehouse; then exit 1; fi
      - run: mkdir dist; echo 1 > dist/a.json; echo text > notes.md
      - run: gh release create v1 --title One --notes-file notes.md dist/a.json
        env: {GH_TOKEN: "${{ github.token }}"}
    permissions: {contents: write}
""",
    )
    (finished,) = hub.push("anna")
    assert finished.conclusion == "success", finished.ran.log
    (release,) = hub.api.releases
    assert (release.tag, release.title, release.body, release.files) == ("v1", "One", "text\n", {"a.json": b"1\n"})


@pytest.mark.parametrize(
    ("jobs", "top"),
    [
        ("  a: {runs-on: windows-2025, steps: [{run: x}]}", "permissions: {}"),
        ("  a: {runs-on: ubuntu-24.04, container: x, steps: [{run: x}]}", "permissions: {}"),
        ("  a: {runs-on: ubuntu-24.04, continue-on-error: true, steps: [{run: x}]}", "permissions: {}"),
        ("  a: {runs-on: ubuntu-24.04, steps: [{uses: some/action@v1}]}", "permissions: {}"),
        ("  a: {runs-on: ubuntu-24.04, steps: [{uses: actions/cache@v1, with: {what: x}}]}", "permissions: {}"),
        ("  a: {runs-on: ubuntu-24.04, steps: [{uses: actions/checkout@v1}]}", "permissions: {}"),
        ("  a: {runs-on: ubuntu-24.04, steps: [{run: x, retry: 3}]}", "permissions: {}"),
        ("  a: {runs-on: ubuntu-24.04, steps: [{run: x}]}", ""),
        ("  a: {runs-on: ubuntu-24.04, steps: [{run: x}]}", "permissions: write-all"),
        ("  a: {runs-on: ubuntu-24.04, concurrency: {group: g, quue: max}, steps: [{run: x}]}", "permissions: {}"),
    ],
)
def test_what_is_not_known_is_refused(hub: GitHub, jobs: str, top: str) -> None:
    add(hub, jobs, top=top)
    with pytest.raises(NotUnderstood):
        hub.push("anna")


def test_an_action_of_the_repository_runs_after_the_checkout_with_its_jobs_token(hub: GitHub) -> None:
    action = hub.work / ".github/actions/speak/action.yml"
    action.parent.mkdir(parents=True)
    action.write_text(
        """
name: Speak
description: Says something.
inputs: {what: {description: What., default: nothing}}
outputs: {said: {description: It., value: "${{ steps.s.outputs.said }}"}}
runs:
  using: composite
  steps:
    - id: s
      run: echo "$W $T"; echo "said=$W" >> "$GITHUB_OUTPUT"
      shell: bash
      env: {W: "${{ inputs.what }}", T: "${{ github.token }}"}
"""
    )
    add(
        hub,
        f"""
  one:
    runs-on: ubuntu-24.04
    steps:
      - {{uses: actions/checkout@{"a" * 40}, with: {PERSIST}}}
      - {{id: a, uses: ./.github/actions/speak, with: {{what: hello}}}}
      - run: 'echo "it said $S"'
        env: {{S: "${{{{ steps.a.outputs.said }}}}"}}
""",
    )
    (finished,) = hub.push("anna")
    assert f"[one] hello ghs_{finished.run.id}_one" in finished.ran.log
    assert "[one] it said hello" in finished.ran.log
    add(hub, "  one: {runs-on: ubuntu-24.04, steps: [{uses: ./.github/actions/speak}]}")
    with pytest.raises(NotUnderstood, match="before it checks out"):
        hub.push("anna")


def test_a_dispatch_with_an_input_that_is_not_declared_is_refused(hub: GitHub) -> None:
    call = 'curl -s -H "Authorization: Bearer $T" "$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/actions/workflows/b.yml'
    add(
        hub,
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
    add(hub, "  go: {runs-on: ubuntu-24.04, steps: [{run: 'true'}]}", on="workflow_dispatch", name="b.yml")
    (finished,) = hub.push("anna")
    assert "Unexpected inputs provided: ['who']" in finished.ran.log
