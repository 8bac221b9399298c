"""The harness for Azure DevOps: a pipeline runs for real, and nothing it should not be able to do works."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.template.harness import NotUnderstood
from tests.template.harness.azure_hub import AzureDevOps
from tests.template.harness.azure_state import Answer, Person
from tests.template.harness.zipped import names

pytestmark = pytest.mark.skipif(os.name == "nt", reason="jobs run in bash on this machine")

POOL = "pool: {vmImage: ubuntu-24.04}\n"


@pytest.fixture
def project(tmp_path: Path) -> Iterator[AzureDevOps]:
    with AzureDevOps(tmp_path).open() as project:
        yield project


def add(project: AzureDevOps, text: str, name: str = "a") -> None:
    """A pipeline, in the working copy."""
    folder = project.work / ".azure-pipelines"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.yml").write_text(POOL + text, encoding="utf-8")


def lines(log: str, *words: str) -> list[str]:
    return [line for line in log.splitlines() if any(word in line for word in words)]


def test_steps_run_in_order_and_share_variables(project: AzureDevOps) -> None:
    project.variables["where"] = "here"
    add(
        project,
        """
variables:
  - {name: greeting, value: hello $(where)}
steps:
  - bash: |
      echo '$(greeting)' "$GREETING" '$(nobody)'
      echo "##vso[task.setvariable variable=made]7"
  - bash: echo "made $(made) $MADE in $(basename "$PWD")"
""",
    )
    (build,) = project.push("anna")
    assert build.result == "succeeded"
    assert lines(build.log, "hello", "made") == ["[Job] hello here hello here $(nobody)", "[Job] made 7 7 in s"]
    assert [step[2] for step in build.steps] == ["Succeeded"] * 3  # the checkout that nobody wrote is the first


def test_a_step_that_fails_ends_the_job_but_for_what_runs_always(project: AzureDevOps) -> None:
    add(
        project,
        """
steps:
  - {bash: exit 3, name: bad}
  - {bash: echo not this}
  - {bash: echo this, condition: always()}
  - {bash: echo and this, condition: failed()}
""",
    )
    (build,) = project.push("anna")
    assert build.result == "failed"
    assert [step[2] for step in build.steps] == ["Succeeded", "Failed", "Skipped", "Succeeded", "Succeeded"]


def test_bash_goes_on_after_a_command_that_failed_unless_told_not_to(project: AzureDevOps) -> None:
    add(
        project,
        """
jobs:
  - job: deaf
    steps:
      - bash: |
          false
          true
  - job: told
    steps:
      - bash: |
          set -e
          false
          true
""",
    )
    (build,) = project.push("anna")
    assert build.jobs == {"deaf": "Succeeded", "told": "Failed"}


def test_a_secret_reaches_only_the_step_that_asks_for_it_and_never_the_log(project: AzureDevOps) -> None:
    project.secrets["word"] = "hush"
    add(
        project,
        """
steps:
  - bash: echo "by itself <$WORD>"
  - bash: echo "mapped <$P> $(echo "$P" | rev)"
    env: {P: $(word)}
  - bash: 'echo "##vso[task.setvariable variable=made;isSecret=true]quiet"'
  - bash: echo "made <$MADE> $(made)"
""",
    )
    (build,) = project.push("anna")
    assert lines(build.log, "itself", "mapped", "made") == [
        "[Job] by itself <>",
        "[Job] mapped <***> hsuh",
        "[Job] made <> ***",
    ]


def test_outputs_pass_between_jobs_stages_and_deployments_under_azures_names(project: AzureDevOps) -> None:
    project.protect("prod")
    setting = 'echo "##vso[task.setvariable variable=v;isOutput=true]'
    add(
        project,
        f"""
stages:
  - stage: build
    jobs:
      - job: one
        steps: [{{name: s, bash: '{setting}7"'}}, {{bash: echo same $(s.v)}}]
      - job: two
        dependsOn: one
        condition: and(succeeded(), eq(dependencies.one.outputs['s.v'], '7'))
        variables: [{{name: got, value: "$[ dependencies.one.outputs['s.v'] ]"}}]
        steps: [{{bash: echo job $(got)}}]
  - stage: ship
    condition: and(succeeded(), eq(dependencies.build.outputs['one.s.v'], '7'))
    jobs:
      - deployment: go
        environment: prod
        variables: [{{name: got, value: "$[ stageDependencies.build.one.outputs['s.v'] ]"}}]
        strategy: {{runOnce: {{deploy: {{steps: [{{name: d, bash: 'echo stage $(got); {setting}8"'}}]}}}}}}
      - job: behind
        dependsOn: go
        variables: [{{name: got, value: "$[ dependencies.go.outputs['go.d.v'] ]"}}]
        steps: [{{bash: echo deployment $(got)}}]
  - stage: last
    dependsOn: [build, ship]
    condition: eq(dependencies.ship.outputs['go.go.d.v'], '8')
    variables: [{{name: got, value: "$[ stageDependencies.ship.go.outputs['go.d.v'] ]"}}]
    jobs: [{{job: j, steps: [{{bash: echo last $(got)}}]}}]
  - stage: never
    dependsOn: ship
    condition: eq(dependencies.ship.outputs['go.d.v'], '8')
    jobs: [{{job: j, steps: [{{bash: exit 1}}]}}]
""",
    )
    (build,) = project.push("anna")
    assert build.stages == {"build": "Succeeded", "ship": "Succeeded", "last": "Succeeded", "never": "Skipped"}, (
        build.log
    )
    assert lines(build.log, "same", "job 7", "stage", "deployment", "last") == [
        "[build.one] same 7",
        "[build.two] job 7",
        "[ship.go] stage 7",
        "[ship.behind] deployment 8",
        "[last.j] last 8",
    ]


def test_what_is_not_depended_on_cannot_be_read(project: AzureDevOps) -> None:
    add(
        project,
        """
stages:
  - {stage: a, jobs: [{job: j, steps: [{bash: 'true'}]}]}
  - {stage: b, dependsOn: [], jobs: [{job: j, steps: [{bash: 'true'}]}]}
  - stage: c
    dependsOn: b
    condition: eq(dependencies.a.outputs['j.s.v'], '7')
    jobs: [{job: j, steps: [{bash: 'true'}]}]
""",
    )
    with pytest.raises(NotUnderstood, match="dependsOn"):
        project.push("anna")


def test_a_stage_waits_for_all_before_it_and_a_failure_skips_it(project: AzureDevOps) -> None:
    add(
        project,
        """
stages:
  - {stage: a, jobs: [{job: j, steps: [{bash: exit 1}]}]}
  - {stage: b, jobs: [{job: j, steps: [{bash: 'true'}]}]}
  - {stage: c, jobs: [{job: j, steps: [{bash: 'true'}]}]}
  - {stage: d, condition: failed(), jobs: [{job: j, steps: [{bash: 'true'}]}]}
  - {stage: e, dependsOn: [], jobs: [{job: j, steps: [{bash: 'true'}]}]}
""",
    )
    (build,) = project.push("anna")
    assert build.result == "failed"
    assert build.stages == {"a": "Failed", "b": "Skipped", "c": "Skipped", "d": "Succeeded", "e": "Succeeded"}


def test_hooks_of_a_deployment_run_in_order_and_the_end_that_fits(project: AzureDevOps) -> None:
    project.protect("prod")
    add(
        project,
        """
parameters: [{name: code, type: number, default: 0}]
trigger: none
jobs:
  - deployment: go
    environment: prod
    strategy:
      runOnce:
        preDeploy: {steps: [{bash: echo hook pre}]}
        deploy: {steps: [{bash: 'echo hook deploy; exit ${{ parameters.code }}'}]}
        postRouteTraffic: {steps: [{bash: echo hook post}]}
        on:
          failure: {steps: [{bash: echo hook failure}]}
          success: {steps: [{bash: echo hook success}]}
""",
    )
    project.push("anna")
    (good,) = project.queue("anna", "a")
    (bad,) = project.queue("anna", "a", code=1)
    hooks = [[line.rsplit(" ", 1)[1] for line in lines(build.log, "hook")] for build in (good, bad)]
    assert hooks == [["pre", "deploy", "post", "success"], ["pre", "deploy", "failure"]]
    assert [good.result, bad.result] == ["succeeded", "failed"]


def test_jobs_share_no_files_but_what_artefacts_carry(project: AzureDevOps) -> None:
    project.protect("prod")
    add(
        project,
        """
stages:
  - stage: a
    jobs:
      - job: one
        steps:
          - bash: mkdir dist; echo seven > dist/x; echo '# Seven' > $(Agent.TempDirectory)/m.md
          - {task: PublishPipelineArtifact@1, inputs: {targetPath: dist, artifact: state}}
          - bash: echo "##vso[task.uploadsummary]$(Agent.TempDirectory)/m.md"
          - bash: echo "##vso[artifact.upload containerfolder=logs;artifactname=logs]$PWD/dist/x"
  - stage: b
    jobs:
      - job: two
        steps:
          - bash: '[ ! -e dist ]'
          - {download: current, artifact: state}
          - bash: cat $(Pipeline.Workspace)/state/x
      - deployment: three
        environment: prod
        strategy: {runOnce: {deploy: {steps: [{bash: 'cat ../state/x; ls'}]}}}
""",
    )
    (build,) = project.push("anna")
    assert build.result == "succeeded", build.log
    assert build.summary == "# Seven\n"
    assert lines(build.log, "seven") == ["[b.two] seven", "[b.three] seven"]
    assert [(artifact.name, names(artifact.content)) for artifact in project.api.artifacts] == [
        ("state", ["x"]),
        ("logs", ["x"]),
    ]


PROTECTED = """
stages:
  - stage: test
    jobs: [{job: t, steps: [{bash: 'true'}]}]
  - stage: ship
    jobs:
      - deployment: go
        environment: prod
        strategy:
          runOnce:
            deploy:
              steps:
                - bash: |
                    echo deployed
                    base=$(System.CollectionUri)$(System.TeamProject)/_apis
                    ask() { curl -s -H "Authorization: Bearer $T" "$base/$1"; }
                    approval='"id": "[^"]*", "parentId": "[^"]*", "type": "Checkpoint.Approval"'
                    id=$(ask "build/builds/$(Build.BuildId)/timeline" | grep -o "$approval" | cut -d'"' -f4)
                    ask "pipelines/approvals/$id?\\$expand=steps"
                  env: {T: $(System.AccessToken)}
"""


def test_a_stage_with_a_protected_environment_begins_when_an_approver_says_so(project: AzureDevOps) -> None:
    add(project, PROTECTED)
    project.protect("prod", "bert")
    (waiting,) = project.push("anna")
    assert (waiting.waiting_for, waiting.stages) == ("prod", {"test": "Succeeded", "ship": "Skipped"})
    assert "deployed" not in waiting.log

    project.approver = lambda _: Answer(by=Person("bert"), comment="go")
    (approved,) = project.push("anna")
    assert approved.result == "succeeded"
    assert '"uniqueName": "bert@example.org"' in approved.log
    assert '"comment": "go"' in approved.log

    project.approver = lambda _: Answer(by=Person("bert"), status="rejected")
    (rejected,) = project.push("anna")
    assert (rejected.result, rejected.stages["ship"]) == ("failed", "Failed")


def test_nobody_approves_their_own_run(project: AzureDevOps) -> None:
    add(project, PROTECTED)
    project.protect("prod", "anna")
    project.approver = lambda _: Answer(by=Person("anna"))
    with pytest.raises(AssertionError, match="approves their own run"):
        project.push("anna")


def test_an_environment_that_is_not_there_fails_the_run(project: AzureDevOps) -> None:
    add(project, PROTECTED)
    (build,) = project.push("anna")
    assert (build.result, build.stages) == ("failed", {"test": "Succeeded", "ship": "Failed"})


@pytest.mark.parametrize("may_push", [True, False])
def test_a_ref_is_pushed_by_the_build_service_if_it_may(project: AzureDevOps, may_push: bool) -> None:
    project.api.may_push = may_push
    add(
        project,
        """
steps:
  - {checkout: self, persistCredentials: "false", fetchDepth: "1"}
  - bash: |
      set -e
      if git push -q origin HEAD:refs/gatehouse/x; then exit 9; fi
      git -c http.extraheader="AUTHORIZATION: bearer $T" push -q origin HEAD:refs/gatehouse/state-prod
    env: {T: $(System.AccessToken)}
""",
    )
    (build,) = project.push("anna")
    assert (build.result == "succeeded") is may_push, build.log
    assert bool(project.repository.git("for-each-ref", "refs/gatehouse")) is may_push


def test_events_of_all_kinds_say_what_they_are(project: AzureDevOps) -> None:
    add(
        project,
        """
trigger: {branches: {include: [main]}, tags: {include: ['v*']}}
schedules: [{cron: '0 5 * * *', branches: {include: [main]}, always: true}]
parameters: [{name: reason, type: string, default: none}]
steps: [{bash: 'echo "$BUILD_REASON $BUILD_SOURCEBRANCH $BUILD_REQUESTEDFOR ${{ parameters.reason }}"'}]
""",
        "pull-request",
    )
    told = [
        *project.push("anna"),
        *project.tag("bert", "v1"),
        *project.queue("carla", "pull-request", reason="late"),
        *project.schedule("0 5 * * *", "anna"),
        *project.pull_request("bert", 5),
        *project.push("anna", "other"),
    ]
    assert [line for build in told for line in lines(build.log, "refs/")] == [
        "[Job] IndividualCI refs/heads/main anna none",
        "[Job] IndividualCI refs/tags/v1 bert none",
        "[Job] Manual refs/heads/main carla late",
        "[Job] Schedule refs/heads/main anna none",
        "[Job] PullRequest refs/pull/5/merge bert none",
    ]


@pytest.mark.parametrize(
    "step",
    [
        "{task: AzureCLI@2, inputs: {}}",
        "{task: PublishPipelineArtifact@1, inputs: {target: x}}",
        "{checkout: self, persistCredentials: true}",
        "{bash: 'echo \"##vso[task.frobnicate]x\"'}",
    ],
)
def test_a_step_that_is_not_known_is_refused(project: AzureDevOps, step: str) -> None:
    add(project, f"steps:\n  - {step}\n")
    with pytest.raises(NotUnderstood):
        project.push("anna")
