"""The harness for Azure: expressions and templates, each rule alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.template.harness import NotUnderstood
from tests.template.harness.azure_expressions import Evaluator, Named, Status
from tests.template.harness.azure_model import pipeline
from tests.template.harness.azure_templates import Expansion
from tests.template.harness.azure_triggers import pull_request_starts, push_starts
from tests.template.harness.yaml_files import parse

CONTEXTS = {
    "variables": {"build.reason": "Manual", "n": "3"},
    "parameters": {"names": ["a", "b"], "about": {"x": 1}, "flag": True},
    "dependencies": Named({"a": {"result": "Succeeded", "outputs": {"step.v": "7"}}}),
}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("'it''s'", "it's"),
        ("and(true, eq(1, '1'))", True),
        ("eq('A', 'a')", True),
        ("eq(true, 'False')", True),
        ("ne(variables['Build.Reason'], 'manual')", False),
        ("variables.n", "3"),
        ("variables.missing", None),
        ("eq(variables['missing'], '')", True),
        ("parameters.names[1]", "b"),
        ("parameters.about.x", 1),
        ("length(parameters.names)", 2),
        ("join(', ', parameters.names)", "a, b"),
        ("containsValue(parameters.names, 'B')", True),
        ("format('{0}-{1}', 'x', 3)", "x-3"),
        ("in('b', 'a', 'b')", True),
        ("startsWith('refs/heads/release/1', 'refs/heads/release/')", True),
        ("or(false, not(false))", True),
        ("coalesce('', null, 'x')", "x"),
        ("iif(gt(3, 2), 'more', 'less')", "more"),
        ("upper(replace('a-b', '-', '_'))", "A_B"),
        ("dependencies.a.outputs['step.v']", "7"),
        ("dependencies.a.outputs['step.missing']", None),
        ("split('a,b', ',')[1]", "b"),
    ],
)
def test_an_expression_has_the_value_that_azure_gives_it(expression: str, value: Any) -> None:
    assert Evaluator(contexts=CONTEXTS).evaluate(expression) == value


@pytest.mark.parametrize(
    ("condition", "results", "canceled", "holds"),
    [
        ("succeeded()", ["Succeeded", "SucceededWithIssues"], False, True),
        ("succeeded()", ["Succeeded", "Skipped"], False, False),
        ("succeeded()", [], False, True),
        ("failed()", ["Succeeded", "Failed"], False, True),
        ("failed()", ["Skipped"], False, False),
        ("succeededOrFailed()", ["Succeeded", "Failed"], False, True),
        ("succeededOrFailed()", ["Succeeded"], True, False),
        ("always()", ["Failed", "Skipped"], True, True),
        ("canceled()", ["Succeeded"], True, True),
        ("succeeded('s1')", ["Failed", "Succeeded"], False, True),
    ],
)
def test_a_status_function_answers_as_azures_does(
    condition: str, results: list[str], canceled: bool, holds: bool
) -> None:
    status = Status(results={f"s{number}": result for number, result in enumerate(results)}, canceled=canceled)
    assert Evaluator(contexts={}, status=status).evaluate(condition) is holds


@pytest.mark.parametrize(
    "expression",
    ["frobnicate()", "counter('a', 1)", "secrets.x", "eq(1, 2", "1 2", "variables.a.*", "'open", "succeeded()",
     "dependencies.b.result", "github.ref"],
)  # fmt: skip
def test_an_expression_that_is_not_known_is_refused(expression: str) -> None:
    with pytest.raises(NotUnderstood):
        Evaluator(contexts=CONTEXTS).evaluate(expression)


def expanded(folder: Path, parameters: dict[str, Any] | None = None, **files: str) -> dict[str, Any]:
    """`main` as a pipeline, the other files as templates beside it."""
    for name, text in files.items():
        (folder / f"{name}.yml").write_text(text, encoding="utf-8")
    return Expansion(root=folder, variables={"Build.Reason": "Manual"}).pipeline("main.yml", parameters)


def test_parameters_reach_texts_keys_and_lists(tmp_path: Path) -> None:
    main = """
parameters:
  - {name: env, type: string, default: staging}
  - {name: many, type: object, default: [1, 2]}
  - {name: more, type: stepList, default: [{bash: a}]}
steps:
  - bash: deploy ${{ parameters.env }} ${{ variables['Build.Reason'] }}
    env: {"${{ upper(parameters.env) }}": x}
  - ${{ parameters.more }}
  - ${{ each one in parameters.many }}:
      - bash: one ${{ one }}
"""
    assert expanded(tmp_path, {"env": "prod"}, main=main) == {
        "steps": [
            {"bash": "deploy prod Manual", "env": {"PROD": "x"}},
            {"bash": "a"},
            {"bash": "one 1"},
            {"bash": "one 2"},
        ]
    }


@pytest.mark.parametrize(("env", "runs"), [("prod", ["p"]), ("staging", ["s"]), ("dev", ["d", "always"])])
def test_of_if_elseif_and_else_one_branch_is_taken(tmp_path: Path, env: str, runs: list[str]) -> None:
    main = """
parameters: [{name: env, type: string}]
steps:
  - ${{ if eq(parameters.env, 'prod') }}:
      - bash: p
  - ${{ elseif eq(parameters.env, 'staging') }}:
      - bash: s
  - ${{ else }}:
      - bash: d
      - bash: always
"""
    assert [step["bash"] for step in expanded(tmp_path, {"env": env}, main=main)["steps"]] == runs


def test_if_each_and_insert_make_keys_too(tmp_path: Path) -> None:
    main = """
parameters: [{name: env, type: object, default: {A: 1, B: 2}}]
steps:
  - bash: x
    ${{ if eq(variables['Build.Reason'], 'Manual') }}:
      displayName: by hand
    env:
      ${{ each pair in parameters.env }}:
        ${{ pair.key }}: v${{ pair.value }}
      ${{ insert }}: {C: w}
"""
    (step,) = expanded(tmp_path, main=main)["steps"]
    assert step == {"bash": "x", "displayName": "by hand", "env": {"A": "v1", "B": "v2", "C": "w"}}


def test_templates_of_stages_jobs_steps_and_variables_are_put_in_their_place(tmp_path: Path) -> None:
    assert expanded(
        tmp_path,
        main="""
variables: [{template: names.yml}, {name: c, value: "${{ variables.b }}d"}]
stages:
  - template: stage.yml
    parameters: {name: release}
""",
        names="variables: [{name: b, value: e}]",
        stage="""
parameters: [{name: name, type: string}]
stages:
  - stage: ${{ parameters.name }}
    jobs: [{template: job.yml}]
""",
        job="jobs: [{job: j, steps: [{template: step.yml, parameters: {command: make}}]}]",
        step="parameters: [{name: command, type: string}]\nsteps: [{bash: '${{ parameters.command }} $(x)'}]",
    ) == {
        "stages": [{"stage": "release", "jobs": [{"job": "j", "steps": [{"bash": "make $(x)"}]}]}],
        "variables": [{"name": "b", "value": "e"}, {"name": "c", "value": "ed"}],
    }


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({}, "must be provided"),
        ({"env": "other"}, "may not be"),
        ({"env": "prod", "wide": "perhaps"}, "not a valid boolean"),
        ({"env": "prod", "extra": 1}, "Unexpected parameter"),
    ],
)
def test_parameters_that_azure_refuses_are_refused(tmp_path: Path, given: dict[str, Any], why: str) -> None:
    main = """
parameters:
  - {name: env, type: string, values: [prod, staging]}
  - {name: wide, type: boolean, default: false}
steps: [{bash: x}]
"""
    with pytest.raises(ValueError, match=why):
        expanded(tmp_path, given, main=main)


@pytest.mark.parametrize(
    "main",
    [
        "extends: {template: x.yml}",
        "steps: [{template: x.yml@other}]",
        "steps: ['${{ else }}': [{bash: x}]]",
        "parameters: [{name: a, type: list}]\nsteps: []",
        "steps: [{bash: '${{ parameters.x'}]",
    ],
)
def test_a_template_that_is_not_known_is_refused(tmp_path: Path, main: str) -> None:
    with pytest.raises(NotUnderstood):
        expanded(tmp_path, main=main)


@pytest.mark.parametrize(
    "text",
    [
        "steps: [{pwsh: x}]",
        "steps: [{bash: x, retryCountOnTaskFailure: 3}]",
        "steps: [{bash: x, enabled: false}]",
        "jobs: [{job: a-b, steps: []}]",
        "jobs: [{job: a, strategy: {matrix: {}}, steps: []}]",
        "jobs: [{job: a, container: x, steps: []}]",
        "jobs: [{job: a, dependsOn: b, steps: []}]",
        "jobs: [{job: a, dependsOn: b, steps: []}, {job: b, dependsOn: a, steps: []}]",
        "jobs: [{deployment: a, environment: p, strategy: {canary: {}}}]",
        "jobs: [{deployment: a, environment: {name: p, tags: x}, strategy: {runOnce: {deploy: {steps: []}}}}]",
        "stages: [{stage: a, trigger: manual, jobs: []}]",
        "steps: []\njobs: []",
        "pool: {name: mine}\nsteps: [{bash: x}]",
    ],
)
def test_a_pipeline_that_is_not_known_is_refused(text: str) -> None:
    document = parse(text)
    document.setdefault("pool", {"vmImage": "ubuntu-24.04"})
    with pytest.raises(NotUnderstood):
        pipeline(document)


@pytest.mark.parametrize(
    ("trigger", "ref", "starts"),
    [
        ("trigger: none", "refs/heads/main", False),
        ("steps: []", "refs/heads/any", True),
        ("steps: []", "refs/tags/v1", False),
        ("trigger: [main]", "refs/heads/main", True),
        ("trigger: [main]", "refs/heads/other", False),
        ("trigger: {branches: {include: ['release/*']}}", "refs/heads/release/1", True),
        ("trigger: {branches: {include: ['*'], exclude: [main]}}", "refs/heads/main", False),
        ("trigger: {tags: {include: ['v*']}}", "refs/tags/v1", True),
        ("trigger: {tags: {include: ['v*']}}", "refs/heads/main", False),
        ("trigger: {branches: {include: [main]}, tags: {include: ['v*']}}", "refs/heads/main", True),
        ("trigger: {branches: {include: [main]}}", "refs/gatehouse/state-prod", False),
    ],
)
def test_a_push_starts_what_its_ref_fits_and_tags_alone_stop_branches(trigger: str, ref: str, starts: bool) -> None:
    assert push_starts(parse(trigger), ref) is starts


def test_in_azure_repos_a_pull_request_starts_what_the_branch_policy_names_whatever_pr_says() -> None:
    document = parse("pr: {branches: {include: [main]}}")
    main = "refs/heads/main"
    assert pull_request_starts(document, main, hosted_on="github", policy=False)
    assert not pull_request_starts(document, main, hosted_on="azure", policy=False)
    assert pull_request_starts(parse("pr: none"), main, hosted_on="azure", policy=True)
    assert not pull_request_starts(parse("pr: none"), main, hosted_on="github", policy=True)


def test_a_trigger_that_is_not_known_is_refused() -> None:
    with pytest.raises(NotUnderstood):
        push_starts(parse("trigger: {branch: [main]}"), "refs/heads/main")
