"""The harness for GitHub: a workflow runs for real, and nothing it should not be able to do works."""

from __future__ import annotations

import io
import os
import zipfile

import pytest
from tests.template.harness import NotUnderstood
from tests.template.harness.github_hub import GitHub

pytestmark = pytest.mark.skipif(os.name == "nt", reason="jobs run in bash on this machine")

PERSIST = "{persist-credentials: false}"


def test_jobs_run_in_order_and_hand_over_outputs(hub: GitHub) -> None:
    hub.add(
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
    hub.add(
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
    hub.add(
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
    hub.add(PIECE, on=CALL % "${{ jobs.first.outputs.v }}", name="piece.yml")
    hub.add(CALLER % ("read", fails))
    (finished,) = hub.push("anna")
    names = ["outer/first", "outer/second", "outer", "behind"]
    assert finished.ran.jobs == {"before": "success", **dict(zip(names, results, strict=True)), "pass": "success"}
    assert "[outer/first] staging refs/heads/main" in finished.ran.log
    assert f"[pass] {told}" in finished.ran.log
    assert finished.conclusion == ("failure" if fails == "true" else "success")


def test_a_called_workflow_has_its_callers_rights_at_most(hub: GitHub) -> None:
    hub.add(PIECE, on=CALL % "x", name="piece.yml")
    hub.add(CALLER % ("none", "false"))
    with pytest.raises(NotUnderstood, match="caller lacks"):
        hub.push("anna")


def test_the_checkout_is_one_commit_deep_unless_more_is_asked_for(hub: GitHub) -> None:
    checkout = "actions/checkout@" + "a" * 40
    hub.add(
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
    hub.add(
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
    hub.add(jobs, top=top)
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
    hub.add(
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
    hub.add("  one: {runs-on: ubuntu-24.04, steps: [{uses: ./.github/actions/speak}]}")
    with pytest.raises(NotUnderstood, match="before it checks out"):
        hub.push("anna")
