"""This very repository under another name: linted, tested, made by Copier, updated, a second use case in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.template.harness.bundle import TARGETS, copy_bundle, resolved, somewhere, validate

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ADA = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false")
NEEDED_BY_COPIER = (
    ".azure-pipelines/",
    ".copier/",
    "CHANGELOG.md",
    "MLproject",
    "README.md",
    "bench/README.md",
    "conf/",
    "copier.yml",
    "docs/dependencies.md",
    "docs/gates.md",
    "docs/install.md",
    "examples/",
    "pyproject.toml",
    "src/flight_delays/",
    "src/gatehouse/__init__.py",
    "src/gatehouse/errors.py",
    "src/gatehouse/fork/",
    "src/gatehouse/git.py",
    "tests/unit/examples/",
    "uv.lock",
    "{{ _copier_conf",
)
"""Copier takes its time with each file; these are enough to see what it does."""


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    """What a command said; its source tree is that of `cwd`."""
    environment = {n: v for n, v in os.environ.items() if not n.startswith(("GIT_", "GATEHOUSE_", "MAKE", "MFLAGS"))}
    environment |= {"PYTHONPATH": str(cwd / "src"), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "120", **variables}
    done = subprocess.run(
        [*map(str, command)],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def commit(folder: Path, message: str) -> None:
    run("git", "add", "--all", cwd=folder)
    run("git", *ADA, "commit", "--quiet", "--message", message, cwd=folder)


def copied(folder: Path, *beginnings: str) -> Path:
    """The files of this checkout, as they lie, committed in a repository of their own."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0"):
        if name and name.startswith(beginnings or "") and (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
    run("git", "init", "--quiet", cwd=folder)
    commit(folder, "The template")
    return folder


def rename(folder: Path, *arguments: str) -> str:
    said = run(sys.executable, "-m", "gatehouse", "rename", *arguments, cwd=folder)
    commit(folder, "Rename")
    return said


def pytest_in(folder: Path, *tests: str) -> str:
    return run(sys.executable, "-m", "pytest", "--quiet", *tests, cwd=folder).splitlines()[-1]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(tmp_path_factory.mktemp("template"))


@pytest.fixture(scope="module")
def zebras(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The flights, under a name that sorts behind `gatehouse`: with another order of imports everywhere."""
    folder = Path(shutil.copytree(template, tmp_path_factory.mktemp("zebras") / "project", symlinks=True))
    rename(folder, "zebra_delays")
    return folder


@pytest.fixture(scope="module")
def trams(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A minimal use case for one provider, with everything called otherwise."""
    folder = Path(shutil.copytree(template, tmp_path_factory.mktemp("trams") / "project", symlinks=True))
    catalogs = "dev=ml_dev,staging=ml_staging,prod=ml_prod"
    rename(
        folder, "trams", "--remove-example", "--ci", "azure", "--environments", catalogs, "--staging-branch", "develop"
    )
    return folder


@pytest.mark.parametrize("project", ["zebras", "trams"])
def test_a_renamed_copy_has_the_style_of_the_template(project: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(project)

    run(sys.executable, "-m", "ruff", "check", "--no-cache", cwd=folder)
    run(sys.executable, "-m", "ruff", "format", "--check", "--no-cache", cwd=folder)
    run(sys.executable, "-m", "mypy", cwd=folder)


@pytest.mark.parametrize("project", ["zebras", "trams"])
def test_its_lock_is_the_one_that_uv_would_write(project: str, request: pytest.FixtureRequest) -> None:
    uv = os.environ.get("UV") or shutil.which("uv")
    if uv is None:
        pytest.skip("uv is not on the path")

    run(uv, "lock", "--check", "--offline", cwd=request.getfixturevalue(project))


@pytest.mark.parametrize("project", ["zebras", "trams"])
def test_nobody_speaks_of_the_old_name(project: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(project)

    found = run("git", "ls-files", cwd=folder).splitlines()
    assert [
        name
        for name in found
        if not name.startswith(("src/gatehouse/fork/", "tests/unit/fork/"))
        and not (folder / name).is_symlink()
        and (b"flight_delays" in (folder / name).read_bytes() or "flight_delays" in name)
    ] == []


def test_a_minimal_project_passes_all_its_unit_tests(trams: Path) -> None:
    assert " passed" in pytest_in(trams, "tests/unit")


def test_a_minimal_project_ingests_its_table_into_the_catalog_of_its_own(trams: Path, mlflow_root: Path) -> None:
    gatehouse = (sys.executable, "-m", "gatehouse", "--lakehouse", mlflow_root)

    run(*gatehouse, "run", "ingest", "--env", "prod", "--as-of", "2013-08-01", cwd=trams)

    assert (mlflow_root / "tables/ml_prod/trams/daily_weather/_delta_log").is_dir()


def test_make_leaves_out_what_is_not_there(trams: Path) -> None:
    lint = run("make", "--dry-run", "lint-workflows", "PYTHON=python3", cwd=trams)
    proof = run("make", "--dry-run", "test-template", "PYTHON=python3", cwd=trams)

    assert ".azure-pipelines" in lint
    assert ".github" not in lint
    assert "pytest" not in proof


@pytest.mark.parametrize(
    ("project", "name", "catalog", "branch", "package"),
    [("zebras", "zebra_delays", "prod", "main", "zebra-delays"), ("trams", "trams", "ml_prod", "develop", "trams")],
)
def test_its_bundle_is_its_own_and_works(
    project: str, name: str, catalog: str, branch: str, package: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder = copy_bundle(request.getfixturevalue(project), tmp_path)
    with somewhere() as host:
        assert validate(folder, "staging", host, {}) == ""
        found = resolved(folder, "prod", host, {})

    said = {key: found["variables"][key]["value"] for key in ("catalog", "schema", "package")}
    assert said == {"catalog": catalog, "schema": name, "package": package}
    assert (found["bundle"]["name"], found["bundle"]["git"]["branch"]) == (name, branch)
    assert found["resources"]["experiments"]["runs"]["name"] == f"/Shared/{catalog}.{name}.{name}"
    assert {job["name"] for job in found["resources"]["jobs"].values()} > {f"{name} prod release"}


def test_workflows_name_the_staging_branch_and_no_other(trams: Path) -> None:
    branches = run("git", "grep", "-hE", r"(branches|include): *\[", "--", ".azure-pipelines", cwd=trams)

    assert "[develop]" in branches
    assert "main" not in branches


def test_the_flights_under_another_name_and_a_second_use_case_pass_the_tests_that_know_names(
    zebras: Path, tmp_path: Path
) -> None:
    both = Path(shutil.copytree(zebras, tmp_path / "both", symlinks=True))
    rename(both, "--add", "buses")

    workflows = sorted((both / ".github/workflows").glob("*-buses.yml"))
    assert len(workflows) > 1
    check = ("-m", "check_jsonschema", "--quiet", "--builtin-schema")
    run(sys.executable, *check, "vendor.github-workflows", *workflows, cwd=both)
    run(sys.executable, "-m", "ruff", "check", "--no-cache", cwd=both)
    assert clashes(both / "projects/buses", both, tmp_path) == set()
    assert " passed" in pytest_in(
        both,
        "tests/unit/zebra_delays/test_project.py",
        "tests/unit/buses",
        "tests/unit/gates/test_promotion_file.py",
        "tests/unit/test_docs.py",
        "tests/unit/test_repository.py",
    )


def clashes(second: Path, first: Path, folder: Path) -> set[str]:
    """Names that both bundles would give to something in a workspace, once each is valid for every target."""
    named: list[set[str]] = [set(), set()]
    with somewhere() as host:
        for found, bundle, place in zip(named, (second, first), ("second", "first"), strict=True):
            (folder / place).mkdir()
            copy = copy_bundle(bundle, folder / place)
            for target in TARGETS:
                assert validate(copy, target, host, {}) == ""
                said = resolved(copy, target, host, {})
                found.add(said["workspace"]["root_path"])
                schema = said["variables"]["schema"]["value"]
                for kind, key, made in (
                    (k, key, m) for k, every in said["resources"].items() for key, m in every.items()
                ):
                    place_of = made.get("catalog_name"), schema if "schema_name" in made else None
                    found.add(f"{kind} {place_of} {made.get('display_name') or made.get('name', key)}")
    return named[0] & named[1]


def copier(*arguments: str | Path, cwd: Path) -> str:
    return run(sys.executable, "-m", "copier", *arguments, cwd=cwd, GIT_CONFIG_GLOBAL=os.devnull)


def write(folder: Path, edits: dict[str, str | None]) -> None:
    """A path's new text; None removes it; a text that begins with + is appended."""
    for path, text in edits.items():
        file = folder / path
        if text is None:
            file.unlink()
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(file.read_text("utf-8") + text[1:] if text.startswith("+") else text, "utf-8")


def test_copier_makes_a_project_and_brings_later_changes_into_what_was_edited(tmp_path: Path) -> None:
    template, project = tmp_path / "template", tmp_path / "project"
    template.mkdir()
    copied(template, *NEEDED_BY_COPIER)
    run("git", "tag", "v1.0.0", cwd=template)

    answers = ("name=trams", "ci=[azure]", "prod_catalog=ml_prod", "staging_branch=develop")
    data = [word for answer in answers for word in ("--data", answer)]
    copier("copy", "--quiet", "--trust", "--defaults", *data, template, project, cwd=tmp_path)
    run("git", "init", "--quiet", cwd=project)
    commit(project, "Begin")
    begun = run("git", "ls-files", cwd=project).splitlines()
    write(
        project,
        {
            "conf/training.yml": (project / "conf/training.yml")
            .read_text("utf-8")
            .replace("hold_out_days: 42", "hold_out_days: 28"),
            "src/trams/tables.py": "+MINE = 1\n",
            "src/trams/own.py": "OWN = 1\n",
            "bench/README.md": "# Our own\n",
            "notes.md": "It was called flight_delays before.\n",
            "docs/gates.md": None,
        },
    )
    commit(project, "Our edits")
    write(
        template,
        {
            "conf/training.yml": (template / "conf/training.yml")
            .read_text("utf-8")
            .replace("seed: 2013", "seed: 2014"),
            "src/flight_delays/tables.py": "# Later\n" + (template / "src/flight_delays/tables.py").read_text("utf-8"),
            "src/flight_delays/later.py": "from flight_delays import PROJECT\n",
            "bench/README.md": "+More.\n",
            "docs/gates.md": "+More.\n",
            "docs/install.md": None,
        },
    )
    commit(template, "Later")
    run("git", "tag", "v1.1.0", cwd=template)

    copier("update", "--quiet", "--trust", "--defaults", cwd=project)

    changed = run("git", "status", "--porcelain", "--untracked-files=all", cwd=project).splitlines()
    assert "src/trams/tables.py" in begun
    assert "bench/README.md" not in begun
    assert [name for name in begun if "flight_delays" in name or name.startswith((".copier/", "copier.yml"))] == []
    assert sorted(changed) == [
        " D docs/install.md",
        " M .copier-answers.yml",
        " M README.md",
        " M conf/training.yml",
        " M src/trams/tables.py",
        "?? src/trams/later.py",
    ]
    training = (project / "conf/training.yml").read_text("utf-8")
    tables = (project / "src/trams/tables.py").read_text("utf-8")
    assert ("hold_out_days: 28" in training, "seed: 2014" in training, "<<<<" in training) == (True, True, False)
    assert tables.startswith("# Later\n")
    assert tables.endswith("MINE = 1\n")
    assert (project / "src/trams/later.py").read_text("utf-8") == "from trams import PROJECT\n"
    assert (project / "bench/README.md").read_text("utf-8") == "# Our own\n"
    assert (project / "notes.md").read_text("utf-8") == "It was called flight_delays before.\n"
    assert "catalog: ml_prod" in (project / "conf/environments.yml").read_text("utf-8")
    assert "include: [develop]" in (project / ".azure-pipelines/staging.yml").read_text("utf-8")


def test_copier_says_why_a_name_will_not_do_and_leaves_nothing(tmp_path: Path) -> None:
    template = tmp_path / "template"
    template.mkdir()
    copied(template, *NEEDED_BY_COPIER)

    with pytest.raises(AssertionError, match="'pandas' cannot be the name of a project"):
        copier(
            "copy", "--quiet", "--trust", "--defaults", "--data", "name=pandas", template, tmp_path / "p", cwd=tmp_path
        )

    assert not (tmp_path / "p").exists()
