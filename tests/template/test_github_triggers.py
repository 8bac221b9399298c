"""Which workflows an event starts: each rule of GitHub's, alone."""

from __future__ import annotations

from typing import Any

import pytest
from tests.template.harness import NotUnderstood
from tests.template.harness.github_triggers import Event, dispatch_inputs, started, starts
from tests.template.harness.globs import example, matches, matches_azure
from tests.template.harness.yaml_files import parse


def workflow(on: str) -> dict[str, Any]:
    found: dict[str, Any] = parse(on)
    return found


def push(ref: str, *paths: str, **more: Any) -> Event:
    return Event(name="push", ref=ref, paths=paths or ("a.py",), **more)


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("main", "main", True),
        ("main", "maintenance", False),
        ("*", "main", True),
        ("*", "release/1", False),
        ("**", "release/1", True),
        ("release/*", "release/1", True),
        ("release/*", "release/a/b", False),
        ("release/**", "release/a/b", True),
        ("v*", "v1.2.3", True),
        ("v[0-9]+.[0-9]+.[0-9]+", "v10.2.3", True),
        ("v[0-9]+.[0-9]+.[0-9]+", "v1.2.3-rc1", False),
        ("*.jsx?", "page.js", True),
        ("*.jsx?", "page.jsx", True),
        ("**/docs/**", "docs/a.md", True),
        ("**/docs/**", "a/docs/b.md", True),
        ("**/README.md", "README.md", True),
        ("**.py", "src/a.py", True),
        ("src/**", "src/a/b.py", True),
        ("src/**", "lib/a.py", False),
    ],
)
def test_a_pattern_fits_as_on_github(pattern: str, name: str, fits: bool) -> None:
    assert matches(name, [pattern]) is fits


def test_the_last_pattern_that_fits_decides() -> None:
    patterns = ["release/**", "!release/**-alpha", "release/keep-alpha"]
    names = ["release/1", "release/1-alpha", "release/keep-alpha"]
    assert [matches(name, patterns) for name in names] == [True, False, True]


def test_on_azure_a_star_crosses_folders_and_a_folder_stands_for_what_is_in_it() -> None:
    names = ["main", "release/a/b", "docs/a/b.md", "documents"]
    assert [matches_azure(name, ["main", "release/*", "docs"]) for name in names] == [True, True, True, False]


@pytest.mark.parametrize("pattern", ["main", "release/**", "v*", "feature/*/x"])
def test_an_example_of_a_pattern_fits_it(pattern: str) -> None:
    assert matches(example(pattern), [pattern])


@pytest.mark.parametrize(
    ("on", "ref", "starts_it"),
    [
        ("on: push", "refs/heads/main", True),
        ("on: push", "refs/tags/v1", True),
        ("on: [pull_request, push]", "refs/heads/main", True),
        ("on: {push: {branches: [main]}}", "refs/heads/main", True),
        ("on: {push: {branches: [main]}}", "refs/heads/other", False),
        ("on: {push: {branches: [main]}}", "refs/tags/main", False),
        ("on: {push: {tags: ['v*']}}", "refs/tags/v1", True),
        ("on: {push: {tags: ['v*']}}", "refs/heads/main", False),
        ("on: {push: {branches: ['release/**'], tags: ['v*']}}", "refs/tags/v1", True),
        ("on: {push: {branches: ['release/**'], tags: ['v*']}}", "refs/heads/release/1", True),
        ("on: {push: {branches-ignore: [main]}}", "refs/heads/other", True),
        ("on: {push: {branches-ignore: [main]}}", "refs/heads/main", False),
        ("on: push", "refs/gatehouse/state-prod", False),
        ("on: pull_request", "refs/heads/main", False),
    ],
)
def test_a_push_starts_what_its_ref_fits(on: str, ref: str, starts_it: bool) -> None:
    assert starts(workflow(on), push(ref)) is starts_it


def test_a_path_filter_wants_one_changed_file_and_is_not_asked_for_tags() -> None:
    filtered = workflow("on: {push: {paths: ['src/**']}}")
    assert starts(filtered, push("refs/heads/main", "docs/a.md", "src/a.py"))
    assert not starts(filtered, push("refs/heads/main", "docs/a.md"))
    assert starts(filtered, push("refs/tags/v1", "docs/a.md"))


def test_ignored_paths_hold_back_only_when_nothing_else_changed() -> None:
    filtered = workflow("on: {push: {paths-ignore: ['docs/**']}}")
    assert not starts(filtered, push("refs/heads/main", "docs/a.md"))
    assert starts(filtered, push("refs/heads/main", "docs/a.md", "src/a.py"))


def test_a_pull_request_is_filtered_by_its_base_and_by_what_happened_to_it() -> None:
    filtered = workflow("on: {pull_request: {branches: [main]}}")
    assert starts(filtered, Event(name="pull_request", ref="refs/heads/main"))
    assert not starts(filtered, Event(name="pull_request", ref="refs/heads/other"))
    assert not starts(filtered, Event(name="pull_request", ref="refs/heads/main", action="labeled"))
    assert starts(workflow("on: {pull_request: {types: [labeled]}}"), Event(name="pull_request", action="labeled"))


def test_a_merge_queue_starts_only_what_names_it() -> None:
    group = Event(name="merge_group", ref="refs/heads/main")
    assert starts(workflow("on: {pull_request: , merge_group: }"), group)
    assert not starts(workflow("on: pull_request"), group)


def test_a_dispatch_starts_the_workflow_that_it_names() -> None:
    both = {name: workflow("on: workflow_dispatch") for name in ("release.yml", "rollback.yml")}
    assert started(both, Event(name="workflow_dispatch", workflow="rollback.yml")) == ["rollback.yml"]


def test_a_schedule_starts_its_own_hour() -> None:
    monitor = workflow("on: {schedule: [{cron: '0 5 * * *'}]}")
    assert starts(monitor, Event(name="schedule", cron="0 5 * * *"))
    assert not starts(monitor, Event(name="schedule", cron="0 6 * * *"))


def test_a_workflow_that_is_called_is_started_by_no_event() -> None:
    called = {"piece.yml": workflow("on: {workflow_call: {inputs: {env: {type: string}}}}")}
    assert started(called, push("refs/heads/main")) == []


def test_what_a_workflows_own_token_makes_starts_nothing_but_dispatches() -> None:
    release = {"release.yml": workflow("on: {push: , workflow_dispatch: }")}
    assert started(release, push("refs/heads/release/1", by_workflow_token=True)) == []
    dispatch = Event(name="workflow_dispatch", workflow="release.yml", by_workflow_token=True)
    assert started(release, dispatch) == ["release.yml"]


def test_a_commit_can_ask_to_be_skipped_and_more_than_three_tags_at_once_are() -> None:
    on_push = {"a.yml": workflow("on: push")}
    assert started(on_push, push("refs/heads/main", message="Docs [skip ci]")) == []
    assert started(on_push, push("refs/tags/v1", tags_at_once=3)) == ["a.yml"]
    assert started(on_push, push("refs/tags/v1", tags_at_once=4)) == []


@pytest.mark.parametrize(
    "on",
    [
        "on: pull_request_target",
        "on: {push: {branch: [main]}}",
        "on: {push: {branches: [main], branches-ignore: [x]}}",
        "on: {push: {branches: ['!main']}}",
        "on: {push: {branches: main}}",
        "on: {schedule: [{hour: 5}]}",
        "on: {push: {branches: ['a[']}}",
    ],
)
def test_what_is_not_known_is_refused(on: str) -> None:
    with pytest.raises(NotUnderstood):
        starts(workflow(on), push("refs/heads/a"))


DISPATCH = """
on:
  workflow_dispatch:
    inputs:
      reason: {required: true}
      code: {type: boolean}
      size: {type: choice, options: [S], default: S}
"""


def test_inputs_get_their_defaults() -> None:
    assert dispatch_inputs(workflow(DISPATCH), {"reason": "late"}) == {"reason": "late", "code": False, "size": "S"}


@pytest.mark.parametrize("given", [{}, {"reason": ""}, {"reason": "x", "other": "y"}, {"reason": "x", "size": "XL"}])
def test_inputs_that_github_refuses_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="input"):
        dispatch_inputs(workflow(DISPATCH), given)


def test_yaml_is_read_as_the_providers_do() -> None:
    assert parse("{on: yes, off: 12:30, n: 012, x: 1.5, y: true, d: 2013-07-01}") == {
        "on": "yes",
        "off": "12:30",
        "n": 12,
        "x": 1.5,
        "y": True,
        "d": "2013-07-01",
    }
    with pytest.raises(NotUnderstood, match="twice"):
        parse("{a: 1, a: 2}")
