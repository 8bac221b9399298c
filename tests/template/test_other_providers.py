"""What GitLab, Jenkins and Airflow do with a judged version: as gates.yml on GitHub, and nobody asked in vain."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SITUATIONS = {
    "asked": ({"verdict": "promote", "live": "false", "driver": "ci"}, ["approve", "promote", "publish"]),
    "held": ({"verdict": "hold", "live": "false", "driver": "ci"}, []),
    "live already": ({"verdict": "promote", "live": "true", "driver": "ci"}, ["publish"]),
    "the registry asks": ({"verdict": "promote", "live": "false", "driver": "registry"}, ["publish"]),
    "held by the registry": ({"verdict": "hold", "live": "false", "driver": "registry"}, ["publish"]),
}
"""What `gatehouse release` hands over, and which commands follow it."""
FILES = (".gitlab-ci.yml", "Jenkinsfile", "airflow/gatehouse_dags.py")
pytestmark = pytest.mark.skipif(
    not all((ROOT / file).is_file() for file in FILES), reason="the project has chosen other providers"
)
PROGRAM = """#!/bin/sh
echo "$*" >> "$CALLS"
if [ "$1" = release ]; then mkdir -p dist/ci; printf '%s' "$OUTPUTS" >> dist/ci/outputs.env; printf '%s' "$JSON"; fi
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], Callable[[], list[str]]]:
    """A `gatehouse` that writes down what is asked of it; takes a release's outputs, gives the calls after it."""
    (tmp_path / "bin").mkdir()
    for name in ("gatehouse", "make"):
        (tmp_path / "bin" / name).write_text(PROGRAM)
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.chdir(tmp_path)

    def prepared(outputs: dict[str, str]) -> Callable[[], list[str]]:
        monkeypatch.setenv("OUTPUTS", "".join(f"{name}={value}\n" for name, value in outputs.items()))
        monkeypatch.setenv("JSON", json.dumps(outputs))
        return lambda: (tmp_path / "calls").read_text("utf-8").splitlines()

    return prepared


def after_release(lines: list[str]) -> list[str]:
    """The commands behind `gatehouse release`, each of which names the version."""
    (at,) = [i for i, line in enumerate(lines) if line.startswith("release ")]
    assert [line for line in lines[at + 1 :] if line.split()[1] != "7"] == []
    return [line.split()[0] for line in lines[at + 1 :]]


@pytest.mark.parametrize("job", ["candidate", "retrain"])
@pytest.mark.parametrize("situation", SITUATIONS)
def test_gitlab_promotes_what_waits_for_people_and_publishes_what_does_not(
    job: str, situation: str, calls: Callable[[dict[str, str]], Callable[[], list[str]]]
) -> None:
    found, expected = SITUATIONS[situation]
    outputs = {"version": "7", **found}
    said = calls(outputs)
    jobs = yaml.safe_load((ROOT / ".gitlab-ci.yml").read_text("utf-8"))
    names = [job, "promote"] if found["verdict"] == "promote" else [job]  # nobody starts it for what was held
    for name in names:
        script = "\n".join(jobs[name]["script"])
        subprocess.run(["bash", "-e", "-o", "pipefail", "-c", script], env=os.environ | outputs, check=True)
    assert after_release(said()) == expected


def stages() -> dict[str, tuple[str, list[str]]]:
    """Of the Jenkinsfile: name, the expression of its `when`, its commands."""
    text = (ROOT / "Jenkinsfile").read_text("utf-8")
    _, *parts = re.split(r"(?m)^    stage\('", text)
    return {
        part.partition("'")[0]: (
            next(iter(re.findall(r"when \{ expression \{ (.*) \} \}", part)), ""),
            re.findall(r"sh '(gatehouse .*?)'", part),
        )
        for part in parts
    }


@pytest.mark.parametrize("situation", SITUATIONS)
def test_jenkins_promotes_what_waits_for_people_and_publishes_what_does_not(situation: str) -> None:
    found, expected = SITUATIONS[situation]
    handed = re.search(r"if \(name in \[(.*)\]\)", (ROOT / "Jenkinsfile").read_text("utf-8"))
    assert handed is not None
    env = {name.upper(): value for name, value in found.items() if repr(name) in handed[1].split(", ")}

    def starts(expression: str) -> bool:
        """Comparisons of env's variables with texts, joined by one kind of operator: nothing else is understood."""
        joined = any if " || " in expression else all
        results = []
        for comparison in re.split(r" \|\| | && ", expression):
            parts = re.fullmatch(r"env\.(\w+) (==|!=) '(\w+)'", comparison)
            assert parts is not None, expression
            results.append((env.get(parts[1]) == parts[3]) == (parts[2] == "=="))
        assert not (" || " in expression and " && " in expression)
        return joined(results)

    known = stages()
    assert starts(known["approval"][0]) == (expected[:1] == ["approve"])
    after = [line for name in ("decision", "promote") if starts(known[name][0]) for line in known[name][1]]
    assert [line.split()[1] for line in after] == expected
    assert [line for line in after if line.split()[2] != '"$VERSION"'] == []


class Task:
    """An operator of Airflow: what it does, and what comes after it."""

    made: ClassVar[dict[str, Task]] = {}

    def __init__(self, task_id: str, does: Any = None, bash_command: str = "", **more: Any) -> None:
        self.does, self.command, self.env = does, bash_command, more.get("env", {})
        self.next: list[Task] = []
        if bash_command or does is None:
            assert task_id not in Task.made, task_id
        Task.made[task_id] = self

    def __rshift__(self, other: Task) -> Task:
        self.next.append(other)
        return other


class Dag:
    """Its tasks are those that were made in it; the last one's are kept."""

    def __init__(self, name: str, **_: Any) -> None:
        self.name = name

    def __enter__(self) -> Dag:
        Task.made = {}
        return self

    def __exit__(self, *_: object) -> None:
        DAGS[self.name] = Task.made


DAGS: dict[str, dict[str, Task]] = {}


def decorator(task_id: str) -> Callable[[Callable[..., Any]], Callable[..., Task]]:
    return lambda function: lambda *_: Task.made.get(task_id) or Task(task_id, function)


@pytest.fixture
def dags(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Task]]:
    """The file as Airflow would import it; of Airflow only the shapes that it uses."""
    decorator.branch = decorator  # type: ignore[attr-defined]
    names: dict[str, dict[str, Any]] = {
        "airflow": {},
        "airflow.sdk": {"DAG": Dag, "task": decorator},
        "airflow.providers": {},
        "airflow.providers.standard": {},
        "airflow.providers.standard.operators": {},
        "airflow.providers.standard.operators.bash": {"BashOperator": Task},
        "airflow.providers.standard.operators.hitl": {"ApprovalOperator": Task},
    }
    for name, content in names.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    DAGS.clear()
    runpy.run_path(str(ROOT / "airflow" / "gatehouse_dags.py"))
    return DAGS


@pytest.mark.parametrize("situation", SITUATIONS)
def test_airflow_promotes_what_waits_for_people_and_publishes_what_does_not(
    situation: str,
    calls: Callable[[dict[str, str]], Callable[[], list[str]]],
    dags: dict[str, dict[str, Task]],
) -> None:
    found, expected = SITUATIONS[situation]
    said = calls({"version": "7", **found})
    tasks = dags["gatehouse_retrain"]
    released, asked = None, []
    task: Task | None = tasks["live"]
    while task is not None:
        if task.command:
            env = task.env | {name: "7" if "version" in value else value for name, value in task.env.items()}
            subprocess.run(
                ["bash", "-c", task.command], env=os.environ | env | {"PATH": os.environ["PATH"]}, check=True
            )
        following = list(task.next)
        if task is tasks["release"]:
            released = task.does()
        elif task is tasks["asked"]:
            chosen = task.does(released)
            following = [other for other in following if other is tasks.get(chosen)]
        elif task is tasks["approval"]:
            asked.append(task)
        assert len(following) <= 1
        task = following[0] if following else None
    assert after_release(said()) == expected
    assert len(asked) == (expected[:1] == ["approve"])
