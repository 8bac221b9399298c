"""What the bundle deploys: built the same from the same tree, locked, and at home in the runtime's Python."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.template.harness.bundle import ROOT
from tests.template.harness.repository import Author
from tests.template.harness.runtime_python import RUNTIME, find_python, find_uv

from gatehouse.code_version import authors, checked_out_aside, code_version
from gatehouse.databricks.build import build, code_of
from gatehouse.errors import ConfigurationError, PlatformError, StateError

BUILT_FROM = ("pyproject.toml", "uv.lock", "README.md", "LICENSE", "conf", "src")
NEEDS_NO_SPARK = ("pyspark", "pyspark-client", "pysail", "databricks-connect", "delta-spark")
ADA, BOB = Author("Ada", "ada@example.org"), Author("Bob", "bob@example.org")


@pytest.fixture(scope="module", autouse=True)
def uv() -> Iterator[str]:
    """uv, which `make` has at hand."""
    program = find_uv()
    if program is None:
        pytest.skip("uv was not found: run make test-template")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UV", program)
        yield program


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What the wheel is built from, in a repository with a history of its own: a README, a transform, conf/."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for path in BUILT_FROM:
        if (ROOT / path).is_dir():
            shutil.copytree(ROOT / path, folder / path, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / path, folder / path)
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder, ADA, "Begin")
    return folder


def git(folder: Path, *arguments: str, by: Author = ADA) -> str:
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    environment |= {f"GIT_{role}_NAME": by.name for role in ("AUTHOR", "COMMITTER")}
    environment |= {f"GIT_{role}_EMAIL": by.email for role in ("AUTHOR", "COMMITTER")}
    environment |= {f"GIT_{role}_DATE": "2026-05-04T03:02:01Z" for role in ("AUTHOR", "COMMITTER")}
    done = subprocess.run(["git", *arguments], cwd=folder, env=environment, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(folder: Path, by: Author, message: str) -> str:
    git(folder, "add", "--all", by=by)
    git(folder, "commit", "--quiet", "--message", message, by=by)
    return git(folder, "rev-parse", "HEAD")


def change(folder: Path, path: str, by: Author, message: str) -> str:
    """One more line at the end of a file."""
    (folder / path).write_text((folder / path).read_text("utf-8") + "\n# one more\n", "utf-8")
    return commit(folder, by, message)


def wheel(folder: Path) -> Path:
    (found,) = (folder / "dist").glob("*.whl")
    return found


def unlocked(requirements: str) -> list[str]:
    """Lines that leave a version open."""
    return [line for line in requirements.splitlines() if "==" not in line.partition(";")[0]]


def test_the_same_commit_gives_the_same_bytes_wherever_it_lies_and_whenever_it_is_built(
    checkout: Path, tmp_path: Path
) -> None:
    other = tmp_path / "elsewhere"
    git(tmp_path, "clone", "--quiet", str(checkout), str(other))
    (checkout / "dist").mkdir()
    (checkout / "dist/gatehouse-0.0.1-py3-none-any.whl").touch()
    build(checkout)
    build(other)

    assert wheel(checkout).read_bytes() == wheel(other).read_bytes()
    assert {wheel(folder).stat().st_mtime for folder in (checkout, other)} == {1777863721.0}  # of the commit
    assert (checkout / "code.json").read_bytes() == (other / "code.json").read_bytes()
    names = zipfile.ZipFile(wheel(checkout)).namelist()
    assert {name.split("/")[0] for name in names} == {"gatehouse", "flight_delays", "gatehouse-0.1.0.dist-info"}
    assert "gatehouse/reports/templates/base.html.j2" in names


def test_requirements_are_those_of_the_lock_and_bring_no_spark(checkout: Path) -> None:
    build(checkout)
    text = (checkout / "dist/requirements.txt").read_text("utf-8")
    lock = tomllib.loads((checkout / "uv.lock").read_text("utf-8"))
    locked = {(package["name"], package["version"]) for package in lock["package"] if "version" in package}
    pinned = {tuple(line.partition(";")[0].strip().split("==")) for line in text.splitlines()}

    assert unlocked(text) == []
    assert unlocked("pandas==2.3.0\nnumpy>=2 ; python_version == '3.12'\n./here") == [
        "numpy>=2 ; python_version == '3.12'",
        "./here",
    ]
    assert pinned <= locked
    assert {name for name, _ in pinned} & set(NEEDS_NO_SPARK) == set()
    assert {"mlflow", "lightgbm", "deltalake", "databricks-sdk"} <= {name for name, _ in pinned}


def test_what_git_knows_is_written_down_as_it_would_say_it_itself(checkout: Path) -> None:
    begun = git(checkout, "rev-parse", "HEAD")
    text = change(checkout, "README.md", BOB, "Text\n\nCo-authored-by: Cy <cy@example.org>")
    model = change(checkout, "src/flight_delays/estimator.py", BOB, "A model\n\nCo-authored-by: Dee <dee@example.org>")
    conf = change(checkout, "conf/training.yml", ADA, "A window")
    screen = change(checkout, "src/gatehouse/cli/status.py", BOB, "A screen")

    code = code_of(checkout)

    assert [(entry["commit"], entry["training"]) for entry in code["log"]] == [
        (screen, False),
        (conf, True),
        (model, True),
        (text, False),
        (begun, True),
    ]
    assert code["log"][2]["authors"] == ["Bob <bob@example.org>", "Dee <dee@example.org>"]
    assert (code["commit"], code["author"], code["dirty"]) == (screen, "bob@example.org", False)
    known = {name for entry in code["log"][:4] if entry["training"] for name in entry["authors"]}
    assert known == {"Ada <ada@example.org>", "Bob <bob@example.org>", "Dee <dee@example.org>"}


def test_of_a_second_use_case_its_own_conf_and_package_count(checkout: Path) -> None:
    beside = checkout / "projects/buses"
    shutil.copytree(ROOT / "examples/temperature/conf", beside / "conf")
    begun = commit(checkout, ADA, "A second")
    first = change(checkout, "conf/training.yml", BOB, "A window of the first")
    own = change(checkout, "projects/buses/conf/training.yml", BOB, "A window")
    machinery = change(checkout, "src/gatehouse/pipelines/training.py", BOB, "How models are trained")

    code = code_of(beside)
    assert [(entry["commit"], entry["training"]) for entry in code["log"][:-1]] == [
        (machinery, True),
        (own, True),
        (first, False),
        (begun, True),
    ]

    (beside / "code.json").write_text(json.dumps({**code, "commit": begun, "log": []}), "utf-8")  # of another day
    assert code_version("flight_delays", beside).commit == machinery
    with checked_out_aside(beside, own) as aside:
        assert code_version("flight_delays", aside).commit == own
        assert (aside / "conf/training.yml").is_file()
        assert aside.parts[-2:] == ("projects", "buses")


def test_a_job_without_git_names_the_same_authors(checkout: Path, tmp_path: Path) -> None:
    begun = git(checkout, "rev-parse", "HEAD")
    change(checkout, "README.md", Author("Cy", "cy@example.org"), "Text")
    last = change(checkout, "conf/training.yml", BOB, "A window\n\nCo-authored-by: Dee <dee@example.org>")
    deployed = tmp_path / "files"
    deployed.mkdir()
    (deployed / "code.json").write_text(json.dumps(code_of(checkout)), "utf-8")

    for since in (begun, last, None):
        there = authors("flight_delays", deployed, commit=last, since=since)
        assert there == authors("flight_delays", checkout, commit=last, since=since)
        assert there == ("Bob <bob@example.org>", "Dee <dee@example.org>")


def test_a_tree_with_changes_says_so_and_its_wheel_is_told_from_the_commits(checkout: Path) -> None:
    (checkout / "README.md").write_text("Another\n", "utf-8")
    build(checkout)
    assert json.loads((checkout / "code.json").read_text("utf-8"))["dirty"] is True
    assert wheel(checkout).stat().st_mtime > 1777863721.0


def test_a_shallow_clone_is_refused_because_it_forgets_authors(checkout: Path, tmp_path: Path) -> None:
    change(checkout, "README.md", BOB, "Text")
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{checkout}", str(tmp_path / "shallow"))
    with pytest.raises(StateError, match="shallow"):
        build(tmp_path / "shallow")


def test_where_there_is_no_git_or_no_uv_or_no_conf_it_says_what_to_do(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bare").mkdir()
    with monkeypatch.context() as patch:
        patch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
        with pytest.raises(StateError, match="git rev-parse failed"):
            build(tmp_path / "bare")
    with monkeypatch.context() as patch:
        patch.setenv("UV", str(tmp_path / "no-uv"))
        with pytest.raises(PlatformError, match="uv build failed"):
            build(checkout)
    (checkout / "conf/environments.yml").write_text("environments: {}\n", "utf-8")
    with pytest.raises(ConfigurationError, match="does not name the use case"):
        build(checkout)


@pytest.fixture(scope="module")
def python(uv: str) -> Path:
    """The runtime's Python, on this machine."""
    found = find_python(uv)
    if found is None:
        pytest.skip(f"Python {RUNTIME['python']}, which the runtime has, was not found on this machine")
    return found


def clean(folder: Path, uv: str, python: Path, *requirements: str) -> Path:
    """A new environment with these and nothing else; its folder of programs."""
    for arguments in (
        ["venv", "--python", str(python), str(folder)],
        ["pip", "install", "--python", str(folder / "bin/python"), *requirements],
    ):
        done = subprocess.run([uv, "--quiet", *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return folder / "bin"


def run_in(programs: Path, *command: str) -> str:
    """What a program of that environment prints; nothing of this one's is on its path."""
    done = subprocess.run(
        [str(programs / command[0]), *command[1:]],
        cwd=programs,
        env={"PATH": os.defpath, "HOME": str(programs.parent), "MLFLOW_DISABLE_TELEMETRY": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_wheel_and_its_requirements_run_in_the_runtimes_python(
    checkout: Path, tmp_path: Path, uv: str, python: Path
) -> None:
    build(checkout)
    requirements = ("-r", str(checkout / "dist/requirements.txt"), str(wheel(checkout)), RUNTIME["spark"])
    programs = clean(tmp_path / "runtime", uv, python, *requirements)
    everything = (
        "import importlib, pkgutil, gatehouse, flight_delays\n"
        "walks = [pkgutil.walk_packages(p.__path__, p.__name__ + '.') for p in (gatehouse, flight_delays)]\n"
        "names = [module.name for walk in walks for module in walk]\n"
        "[importlib.import_module(n) for n in names if not n.endswith('__main__')]\n"
        "print(len(names))\n"
    )

    assert "gatehouse" in run_in(programs, "gatehouse", "--help")
    assert "From a pull request" in run_in(programs, "gatehouse-task", "--help")
    conf = ("--conf", str(checkout / "conf"))
    assert '"environments"' in run_in(programs, "gatehouse-task", *conf, "schema", "environments")
    assert int(run_in(programs, "python", "-c", everything)) > 100


@pytest.mark.slow
def test_the_runtimes_mlflow_loads_the_examples_model_and_predicts_the_same(
    tmp_path: Path, uv: str, python: Path
) -> None:
    (tmp_path / "saves.py").write_text(SAVES, "utf-8")
    model = subprocess.run(
        [sys.executable, "saves.py", str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert model.returncode == 0, model.stderr
    said = json.loads(model.stdout.splitlines()[-1])
    needed = Path(said["folder"], "requirements.txt").read_text("utf-8").splitlines()
    others = [line for line in needed if not line.startswith("mlflow==")]  # which it names as the one that saved it
    programs = clean(tmp_path / "runtime", uv, python, RUNTIME["mlflow"], *others)

    assert run_in(programs, "python", "-c", "import mlflow; print(mlflow.__version__)").strip() == "3.8.1"
    assert json.loads(run_in(programs, "python", "-c", LOADS, said["folder"])) == said["predictions"]


SAVES = """
import json, sys
from pathlib import Path
import mlflow, numpy as np, pandas as pd
from importlib.metadata import version
from mlflow.models import infer_signature
from flight_delays import PROJECT
root = Path(sys.argv[1])
mlflow.set_tracking_uri(f"sqlite:///{root}/mlflow.db")
experiment = mlflow.create_experiment("x", artifact_location=str(root / "artefacts"))
rng = np.random.default_rng(1)
features = pd.DataFrame(rng.normal(size=(3000, len(PROJECT.features))), columns=list(PROJECT.features))
label = pd.Series((features.iloc[:, 0] + rng.normal(size=3000) > 0).astype(float))
fitted = PROJECT.estimator.fit(features, label, {}, seed=1)
with mlflow.start_run(experiment_id=experiment):
    uri = fitted.save(
        name="model", signature=infer_signature(features, fitted.predict(features)), input_example=features.head(5),
        requirements=[f"{name}=={version(name)}" for name in PROJECT.estimator.requirements],
    )
    folder = mlflow.artifacts.download_artifacts(uri, dst_path=str(root / "model"))
print(json.dumps({"folder": folder, "predictions": fitted.predict(features.head(5)).tolist()}))
"""
LOADS = """
import json, sys
import mlflow
model = mlflow.pyfunc.load_model(sys.argv[1])
print(json.dumps(model.predict(model.input_example).tolist()))
"""
