from __future__ import annotations

import re

import pytest
import yaml

from gatehouse.fork.files import File
from gatehouse.fork.names import Name
from gatehouse.fork.workflows import for_second

BUSES = Name("bus_delays")
CONF = "projects/bus_delays/conf"


def copies(**files: str) -> dict[str, str]:
    places = {path: File.of(text.encode()) for path, text in files.items()}
    return {path: file.text or "" for path, file in for_second(places, BUSES, CONF).items()}


def test_a_pull_request_starts_what_concerns_the_second_and_its_jobs_alone() -> None:
    text = """\
name: pull-request # what a pull request must pass

on:
  pull_request:
  merge_group: # a queue

permissions: {}

concurrency:
  group: pr-${{ github.ref }}
  cancel-in-progress: true # a newer push

jobs:
  lint:
    name: lint
    steps:
      - run: make lint

  rehearsal: # of the merge
    name: rehearsal
    steps:
      - uses: ./.github/actions/install
      - run: gatehouse rehearse --env staging
      - run: gatehouse comment .lakehouse/report/rehearsal.md

  pass: # required
    name: pass
    needs: [lint, rehearsal]
    steps:
      - run: echo
"""

    assert copies(**{".github/workflows/pull-request.yml": text}) == {
        ".github/workflows/pull-request-bus-delays.yml": """\
name: pull-request-bus-delays # what a pull request must pass

on:
  pull_request:
    paths:
      - "src/bus_delays/**"
      - "projects/bus_delays/**"
      - "tests/unit/bus_delays/**"
      - "src/gatehouse/**"
      - "pyproject.toml"
      - "uv.lock"
      - ".github/workflows/*-bus-delays.yml"
      - ".github/actions/**"
  merge_group: # a queue

permissions: {}

concurrency:
  group: pr-${{ github.ref }}-bus-delays
  cancel-in-progress: true # a newer push

env:
  GATEHOUSE_CONF: projects/bus_delays/conf

jobs:
  rehearsal: # of the merge
    name: rehearsal
    steps:
      - uses: ./.github/actions/install
      - run: gatehouse rehearse --env staging
      - run: gatehouse comment projects/bus_delays/.lakehouse/report/rehearsal.md

  pass: # required
    name: pass-bus-delays
    needs: [rehearsal]
    steps:
      - run: echo
"""
    }


def test_a_workflow_calls_the_copy_of_a_workflow_and_answers_to_tags_of_its_own() -> None:
    release = (
        'on:\n  push:\n    tags: ["v*"]\njobs:\n  gates:\n    uses: ./.github/workflows/gates.yml\n'
        "  lint:\n    uses: ./.github/workflows/lint.yml\n"
    )
    gates = "on:\n  workflow_call:\nenv:\n  A: b\njobs:\n  a:\n    steps:\n      - run: gatehouse release --env prod\n"
    lint = "on:\n  workflow_call:\njobs:\n  a:\n    steps:\n      - run: make lint\n"

    assert copies(
        **{
            ".github/workflows/release.yml": release,
            ".github/workflows/gates.yml": gates,
            ".github/workflows/lint.yml": lint,
            ".github/dependabot.yml": "version: 2\n",
        }
    ) == {
        ".github/workflows/release-bus-delays.yml": (
            'on:\n  push:\n    tags: ["bus-delays/v*"]\nenv:\n  GATEHOUSE_CONF: projects/bus_delays/conf\n\n'
            "jobs:\n  gates:\n    uses: ./.github/workflows/gates-bus-delays.yml\n"
            "  lint:\n    uses: ./.github/workflows/lint.yml\n"
        ),
        ".github/workflows/gates-bus-delays.yml": gates.replace(
            "env:\n", "env:\n  GATEHOUSE_CONF: projects/bus_delays/conf\n"
        ),
    }


def test_a_release_asks_for_runs_of_its_own_and_starts_its_own() -> None:
    text = (
        "jobs:\n  cut:\n    steps:\n      - run: gatehouse tested --env staging\n"
        '      - run: gatehouse cut-release "$NAME"\n'
    )

    (copy,) = copies(**{".github/workflows/cut-release.yml": text}).values()

    assert re.findall("run: (.*)", copy) == [
        "gatehouse tested --env staging --workflow staging-bus-delays",
        'gatehouse cut-release --start release-bus-delays "$NAME"',
    ]


def test_an_azure_pipeline_does_likewise_and_shares_its_templates() -> None:
    pull_request = """\
name: pull-request-$(Date:yyyyMMdd)
trigger: none
pr:
  branches:
    include: ["*"]

jobs:
  - job: lint
    steps:
      - bash: make lint

  - job: rehearsal
    steps:
      - template: templates/install.yml
      - bash: gatehouse rehearse --env staging
"""
    retrain = (
        "name: retrain-$(Rev:.r)\nstages:\n  - template: templates/gates.yml\n    parameters:\n      deploy: false\n"
    )

    assert copies(
        **{
            ".azure-pipelines/pull-request.yml": pull_request,
            ".azure-pipelines/retrain.yml": retrain,
            ".azure-pipelines/templates/gates.yml": "steps:\n  - bash: gatehouse release --env prod\n",
        }
    ) == {
        ".azure-pipelines/pull-request-bus-delays.yml": """\
name: pull-request-bus-delays-$(Date:yyyyMMdd)
trigger: none
pr:
  branches:
    include: ["*"]
  paths:
    include:
      - "src/bus_delays"
      - "projects/bus_delays"
      - "tests/unit/bus_delays"
      - "src/gatehouse"
      - "pyproject.toml"
      - "uv.lock"
      - ".azure-pipelines"

variables:
  GATEHOUSE_CONF: projects/bus_delays/conf

jobs:
  - job: rehearsal
    steps:
      - template: templates/install.yml
      - bash: gatehouse rehearse --env staging
""",
        ".azure-pipelines/retrain-bus-delays.yml": retrain.replace("retrain-$", "retrain-bus-delays-$").replace(
            "stages:", "variables:\n  GATEHOUSE_CONF: projects/bus_delays/conf\n\nstages:"
        ),
    }


def test_a_setting_stands_among_templates_of_variables_too() -> None:
    text = "name: x-$(Rev:.r)\nvariables:\n  - template: templates/settings.yml\nstages:\n  - bash: gatehouse alert\n"

    (made,) = copies(**{".azure-pipelines/monitor.yml": text}).values()

    assert yaml.safe_load(made)["variables"] == [
        {"name": "GATEHOUSE_CONF", "value": CONF},
        {"template": "templates/settings.yml"},
    ]


@pytest.mark.parametrize("path", ["Jenkinsfile", ".github/actions/install/action.yml", "docs/a.yml"])
def test_other_files_are_not_copied(path: str) -> None:
    assert copies(**{path: "- run: gatehouse release --env prod\n"}) == {}
